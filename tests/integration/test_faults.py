"""What goes wrong around a batch on its way into PostgreSQL and Kafka: cut connections, failing commits, clients that hang up, replicas that
die for good, a broker of three that is killed. Afterwards both hold the same pings, each once, and every acknowledged one."""
import contextlib
import itertools
import json
import pathlib
import signal
import socket
import sys
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))

from conftest import scaled, wait_for
from kafka import kafka, kafka3  # noqa: F401  (fixtures)
from postgres import binaries
from test_kafka import TOOL
from test_postgres import Proxy
from test_postgres_kafka import (NOW_MS, agree, assert_kept, database, events, loading, make_pair, postgres, progress, rows)  # noqa: F401

pytestmark = [pytest.mark.skipif(not TOOL.exists(), reason="pingd was built without Kafka: `make drivers` (drivers/README.md)"),
              pytest.mark.skipif(binaries() is None, reason="no PostgreSQL server: apt-get install postgresql")]

CUTS = 6


def start_to_die(pingd, where):
    """Killed, and started again to die there. Returns when it is ready, or has died already."""
    pingd.kill()
    pingd.env = {"PING_CRASH_AT": where}
    pingd.spawn()

    def ready_or_dead():
        try:
            return pingd.ready_or_gone()
        except pytest.fail.Exception:
            if pingd.process.poll() == -signal.SIGKILL:
                return True
            raise
    wait_for("pingd to be ready, or to die", ready_or_dead)


def die_in(pingd, where, provoke=None):
    """Ends pingd as a power cut would when a publisher enters that state, be it before anybody saw it ready; it is there again afterwards."""
    start_to_die(pingd, where)
    if provoke:
        provoke()
    assert pingd.wait() == -signal.SIGKILL
    pingd.env = {}
    pingd.start()


@pytest.fixture
def proxy(postgres):  # noqa: F811
    proxy = Proxy(postgres.port)
    yield proxy
    proxy.close()


def cut_until_it_ends(pingd, proxy):
    """Not every COMMIT is a batch's."""
    while pingd.process.poll() is None:
        proxy.cut(b"COMMIT", True)
        wait_for("a commit to be cut", lambda: proxy.cut_at is None or pingd.process.poll() is not None)


@pytest.mark.parametrize("mode", ["transactional", "outbox"])
def test_connections_cut_around_the_commit(mode, make_pair, proxy, postgres, kafka, database, tmp_path):  # noqa: F811
    record = tmp_path / "acknowledged"
    pingd = make_pair("--publish", mode, ledger=postgres.url(database, port=proxy.port)).start()
    with loading(pingd, record):
        for cut, forward in enumerate([False, True] * CUTS, 1):
            proxy.cut(b"COMMIT", forward)
            wait_for("a commit to be cut", lambda cut=cut: proxy.cuts == cut)
            progress(record, 50)
        die_in(pingd, "settling:1", lambda: cut_until_it_ends(pingd, proxy))
        progress(record)
    agree(postgres, kafka, database)
    assert_kept(record, postgres, database)


REFUSE_COMMITS = """
CREATE SEQUENCE commits;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('commits') % 40 = 0 THEN RAISE EXCEPTION 'refused at the COMMIT'; END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON publisher_slots DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();
"""


@pytest.mark.parametrize("mode", ["transactional", "outbox"])
def test_commits_that_fail(mode, make_pair, postgres, kafka, database, tmp_path):  # noqa: F811
    """At the COMMIT itself, when the events are in the log's open transaction."""
    record = tmp_path / "acknowledged"
    pingd = make_pair("--publish", mode).start()
    postgres.sql(REFUSE_COMMITS, database)
    with loading(pingd, record):
        wait_for("commits to fail", lambda: pingd.log().count("refused at the COMMIT") > 3)
        progress(record)
        if mode == "transactional":
            die_in(pingd, "aborting:1")
            progress(record)
    agree(postgres, kafka, database)
    assert_kept(record, postgres, database)


def test_killed_while_it_gives_its_slots_back(make_pair, postgres, kafka, database, tmp_path):  # noqa: F811
    record = tmp_path / "acknowledged"
    pingd = make_pair().start()
    with loading(pingd, record):
        die_in(pingd, "releasing:1", lambda: (progress(record), pingd.signal(signal.SIGTERM)))
        progress(record)
    agree(postgres, kafka, database)
    assert_kept(record, postgres, database)


def told_while(pingd, away, first):
    """Pings while something is away: {timestamp: status}, until one is refused."""
    told = {}
    with away:
        while 503 not in told.values() and len(told) < 200:
            timestamp = first + len(told)
            told[timestamp] = pingd.ping(timestamp)[0]
    assert set(told.values()) <= {200, 503, 504} and 503 in told.values(), told
    return told


@contextlib.contextmanager
def killed(server):
    server.kill()
    try:
        yield
    finally:
        server.start()


@pytest.mark.parametrize("who", ["kafka", "postgres"])
def test_what_is_refused_while_a_server_is_away_is_in_neither(who, make_pair, postgres, kafka, database):  # noqa: F811
    """And it goes on by itself when the server is back."""
    pingd = make_pair("--default-timeout", "3s").start()
    status, answer = pingd.ping(NOW_MS)
    assert status == 200, f"{answer}\n{pingd.log()}"
    told = told_while(pingd, killed(kafka.brokers[0] if who == "kafka" else postgres), NOW_MS + 1)
    wait_for("pings to be taken again", lambda: pingd.ping(NOW_MS + 1000)[0] == 200)
    agree(postgres, kafka, database)
    kept = {int(line) for line in postgres.sql("SELECT round(extract(epoch FROM pinged_at) * 1000)::bigint FROM pings", database).split()}
    assert kept >= {timestamp for timestamp, status in told.items() if status == 200}
    assert not kept & {timestamp for timestamp, status in told.items() if status == 503}


def test_in_order_an_event_may_be_left_without_its_row_and_nothing_else(make_pair, proxy, postgres, kafka, database, tmp_path):  # noqa: F811
    """`ordered` is INSERT, publish, COMMIT: what the other modes are for."""
    record = tmp_path / "acknowledged"
    pingd = make_pair("--publish", "ordered", ledger=postgres.url(database, port=proxy.port)).start()
    with loading(pingd, record):
        for cut, forward in enumerate([False, True] * 3, 1):
            proxy.cut(b"COMMIT", forward)
            wait_for("a commit to be cut", lambda cut=cut: proxy.cuts == cut)
            progress(record, 50)
        for where in ("producing:20", "committing:20"):
            die_in(pingd, where)
            progress(record, 50)

    def rows_have_events():
        kept, published = rows(postgres, database), events(kafka)
        return kept and kept.items() <= published.items()

    wait_for("every row to have its event", rows_have_events)
    assert_kept(record, postgres, database)


def hang_up(pingd, count, first):
    """Clients that send a ping and are gone before it is answered."""
    for n in range(count):
        body = json.dumps({"timestampMs": NOW_MS + first + n}).encode()
        head = (f"POST /ping.v1.PingService/Ping HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n").encode()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", pingd.port)) as client:
            client.sendall(head + body)


def test_clients_that_hang_up_leave_no_event_without_its_row(make_pair, postgres, kafka, database):  # noqa: F811
    """The order INSERT, publish, COMMIT leaks events when a caller's end cancels it in between; here it has no say."""
    pingd = make_pair().start()
    callers = [threading.Thread(target=hang_up, args=(pingd, scaled(200), n * 1000)) for n in range(32)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert pingd.ping(NOW_MS)[0] == 200
    assert agree(postgres, kafka, database) > 1


def test_a_key_is_one_ping_on_two_replicas_whichever_dies(make_pair, postgres, kafka, database):  # noqa: F811
    """Sent to one that is killed at any moment of it, then to the other; and in the other order."""
    replicas = [make_pair("--publishers", "1"), make_pair("--publishers", "1", name="other")]
    keys = itertools.count()
    used = []
    for replica in replicas:
        replica.start()
    for where in ("claiming:2", "producing:2", "committing:2", "publishing:2", "ready:3"):
        for first, second in (replicas, replicas[::-1]):
            start_to_die(first, where)
            while first.process.poll() is None:
                used.append(f"key {next(keys)}")
                with contextlib.suppress(OSError, ValueError):
                    first.ping(NOW_MS, client="203.0.113.7", key=used[-1])
                wait_for("the other replica to know", lambda: second.ping(NOW_MS, client="203.0.113.7", key=used[-1])[0] == 200)
            assert first.wait() == -signal.SIGKILL
            first.env = {}
            first.start()
    for key, replica in zip(used, itertools.cycle(replicas)):
        assert replica.ping(NOW_MS, client="203.0.113.7", key=key)[0] == 200
    assert agree(postgres, kafka, database) == len(used)
    assert replicas[0].ask("PingCount", {})["pingCount"] == str(len(used))


def test_a_replica_that_dies_in_mid_batch_for_good_is_finished_by_the_other(make_pair, postgres, kafka, database, tmp_path):  # noqa: F811
    record = tmp_path / "acknowledged"
    victim, other = make_pair(), make_pair(name="other").start()
    victim.env = {"PING_CRASH_AT": "publishing:30"}
    victim.start()
    with loading(victim, record):
        assert victim.wait() == -signal.SIGKILL
        left = int(postgres.sql("SELECT sum(batch_seq) FROM publisher_slots", database))
        wait_for("the other to finish it", lambda: "left unfinished are published" in other.log())
        victim.env = {}
        victim.start()  # or the load would have nobody to send to
        progress(record)
    assert left > 0
    agree(postgres, kafka, database)
    assert_kept(record, postgres, database)


@pytest.fixture
def make_triple(make_pingd, postgres, kafka3, database):  # noqa: F811
    def make(*arguments, **more):
        return make_pingd("--ledger", postgres.url(database), "--log", kafka3.url, *arguments, **more)
    return make


def test_one_of_three_brokers_is_killed_and_comes_back(make_triple, postgres, kafka3, database, tmp_path):  # noqa: F811
    record = tmp_path / "acknowledged"
    pingd = make_triple().start()
    with loading(pingd, record):
        progress(record)
        for broker in kafka3.brokers[:2]:
            broker.kill()
            progress(record)
            broker.start()
            progress(record)
    agree(postgres, kafka3, database)
    assert_kept(record, postgres, database)
