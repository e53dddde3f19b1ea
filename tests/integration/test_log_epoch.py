"""The procedure of log-epoch: a topic that is made anew, with more partitions, and metrics that go on as if nothing had been."""
import contextlib
import json
import pytest

from cassandra_ring import cassandra  # noqa: F401  (fixtures, here and below)
from conftest import wait_for
from kafka import kafka  # noqa: F401
from test_engine_kafka import START_MS, WINDOW_MS, metrics_agree
from test_engine_kafka import store  # noqa: F401
from test_postgres_kafka import assert_kept, database, loading, make_pair, postgres, progress, pytestmark  # noqa: F401

TOPICS_MADE_ANEW = ("raw-pings", "raw-pings-dead")


def drained(pingd):
    """Waits until the engine has all that pingd keeps. In between it may be away."""
    def at_the_end():
        with contextlib.suppress(AssertionError, OSError):
            status = pingd.ask("GetPipelineStatus", {})
            return int(status.get("lagEvents", 0)) == 0 and all(d["state"].endswith("_OK") for d in status["dependencies"])
        return False
    wait_for("the engine to come to the log's end", at_the_end)


def ping(pingd, count, first=0):
    """Of clients whose partitions differ between 6 and 12, in windows that each call touches again."""
    for n in range(first, first + count):
        assert pingd.ping(START_MS + n % 3 * WINDOW_MS + n, client=f"203.0.113.{n % 60}")[0] == 200


def kafka_topics(pingd, *arguments):
    """Makes what is missing, as the procedure does."""
    assert pingd.ctl("migrate", *pingd.arguments[:4], *arguments, check=False).returncode == 0


def written_at(postgres, database):  # noqa: F811
    """{log epoch: pings} of the ledger's rows."""
    said = postgres.sql("SELECT position >> 48, count(*) FROM pings GROUP BY 1", database)
    return {int(epoch): int(count) for epoch, count in (line.split("|") for line in said.splitlines())}


def refused(pingd, words):
    """Waits until the engine says why it does not go on; the API goes on meanwhile."""
    def said():
        status = pingd.ask("GetPipelineStatus", {})
        return any(d["name"] == "engine" and words in d.get("detail", "") for d in status["dependencies"])
    wait_for(f"the engine to say {words}", said)


def refuses_to_publish(pingd, words):
    """Waits until it says so; it is never ready."""
    wait_for(f"the publishers to say {words}", lambda: words in pingd.log())
    wait_for("pingd to answer that it is not ready", lambda: not_ready(pingd))


def not_ready(pingd):
    with contextlib.suppress(OSError):
        return pingd.get("/readyz")[0] == 503
    return False


def test_partitions_grow_from_six_to_twelve_and_every_row_stays_exact(store, make_pair, postgres, kafka, database, tmp_path):  # noqa: F811
    """Pings before, until the moment it stops, and after; kill -9 on the other side."""
    record = tmp_path / "acknowledged"
    before = make_pair(*store.arguments, name="before").start()
    ping(before, 300)
    with loading(before, record):
        progress(record, 2000)
    drained(before)
    metrics_agree(before, postgres, database, store)
    assert before.stop() == 0
    assert list(written_at(postgres, database)) == [0]
    kafka.delete_topics(*TOPICS_MADE_ANEW)
    grown = ("--log-partitions", "12", "--log-epoch", "1")
    after = make_pair(*store.arguments, *grown, name="before").start()
    ping(after, 300, first=300)
    more = tmp_path / "acknowledged-after"
    with loading(after, more):
        progress(more, 1000)
        after.kill()
        after.start()
        progress(more, 1000)
    drained(after)
    windows, days = metrics_agree(after, postgres, database, store)
    assert sorted(written_at(postgres, database)) == [0, 1] and windows and days
    for path in (record, more):
        assert_kept(path, postgres, database)
    if store.cassandra is not None:
        done = after.ctl("audit", "--json", *after.arguments[:4], *store.arguments, *grown, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout)["kinds"]["windows"]["checked"] == len(windows)


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)  # ScyllaDB's refusals are in the contract of stores, on a real Cassandra
def test_a_topic_made_anew_is_refused_until_the_epoch_says_so(store, make_pair, postgres, kafka, database):  # noqa: F811
    """And the epoch alone is not enough: the same events would count twice."""
    first = make_pair(*store.arguments, name="same").start()
    ping(first, 60)
    metrics_agree(first, postgres, database, store)
    assert first.stop() == 0
    early = make_pair(*store.arguments, "--log-epoch", "1", name="same").spawn()
    refuses_to_publish(early, "set --log-epoch to 0")
    refused(early, "log-epoch")
    assert early.stop() == 0
    again = make_pair(*store.arguments, name="same").start()  # the mistake has left nothing
    ping(again, 60, first=60)
    metrics_agree(again, postgres, database, store)
    assert again.stop() == 0
    kafka.delete_topics(*TOPICS_MADE_ANEW)
    kafka_topics(first, "--log-epoch", "1")
    late = make_pair(*store.arguments, name="same").spawn()
    refuses_to_publish(late, "raw-pings was made anew behind slot")
    wait_for("the engine to say that it is another log", lambda: "another log" in late.log())
    assert late.stop() == 0
    right = make_pair(*store.arguments, "--log-epoch", "1", name="same").start()
    ping(right, 60, first=120)
    drained(right)
    metrics_agree(right, postgres, database, store)
