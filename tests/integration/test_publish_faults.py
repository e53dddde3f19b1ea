"""pingd on PostgreSQL and three brokers, everything threefold: brokers that die and freeze one by one, a COMMIT that fails, connections cut around
it, and keys that two replicas are told of with a crash in between."""
import concurrent.futures
import time

import pytest
from conftest import scaled, wait_for
from kafka import TOPICS, kafka3  # noqa: F401  (a fixture)
from proxy import Proxy
from test_postgres_kafka import NOW_MS, agree, assert_kept, database, loading, postgres, progress, pytestmark  # noqa: F401


@pytest.fixture
def make_replica(make_pingd, postgres, kafka3, database):  # noqa: F811
    kafka3.delete_topics(*TOPICS)

    def make(*arguments, ledger=None, **more):
        return make_pingd("--ledger", ledger or postgres.url(database), "--log", kafka3.url, *arguments, **more)
    return make


def test_one_of_three_brokers_at_a_time_dies_or_freezes(make_replica, postgres, kafka3, database, tmp_path):  # noqa: F811
    record = tmp_path / "acknowledged"
    pingd = make_replica().start()
    with loading(pingd, record):
        for broker in kafka3.brokers[:scaled(1)]:
            progress(record)
            broker.kill()
            progress(record)
            broker.start()
            wait_for("all replicas to be in step", kafka3.in_step)
        with kafka3.brokers[-1].frozen():
            progress(record)  # the others have thrown it out
            time.sleep(12)  # longer than Kafka lets a transaction be open
        progress(record)
    agree(postgres, kafka3, database)
    assert_kept(record, postgres, database)


FAILING_COMMIT = """CREATE SEQUENCE failed; CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
 $$ BEGIN IF nextval('failed') <= 30 THEN RAISE 'no room'; END IF; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON pings DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (hashtext(NEW.id::text) % 200 = 0) EXECUTE FUNCTION fail()"""


@pytest.mark.parametrize("mode", ["transactional", "outbox"])
def test_commits_that_fail_leave_nothing_in_either(mode, make_replica, postgres, kafka3, database, tmp_path):  # noqa: F811
    record = tmp_path / "acknowledged"
    pingd = make_replica("--publish", mode).start()
    postgres.sql(FAILING_COMMIT, database)
    with loading(pingd, record):
        wait_for("commits to fail", lambda: postgres.number("SELECT last_value FROM failed", database) > 30)
        progress(record)
    agree(postgres, kafka3, database)
    assert_kept(record, postgres, database)
    assert "no room" in pingd.log()


@pytest.mark.parametrize("mode", ["transactional", "outbox", "ordered"])
def test_connections_that_are_cut_before_and_after_the_commit(mode, make_replica, postgres, kafka3, database, tmp_path):  # noqa: F811
    """Under `ordered` an event may be there twice, or without a row: it has no transaction. What was acknowledged is kept all the same."""
    record, proxy = tmp_path / "acknowledged", Proxy(postgres.port)
    pingd = make_replica("--publish", mode, ledger=postgres.url(database, port=proxy.port, sslmode="disable")).start()
    try:
        with loading(pingd, record):
            for cut in range(1, scaled(10) + 1):
                proxy.cut(b"INSERT INTO pings", forward=cut % 2 == 0)
                wait_for("the connection to be cut", lambda cut=cut: proxy.cuts == cut)
                progress(record, more=50)
    finally:
        proxy.close()
    if mode != "ordered":
        agree(postgres, kafka3, database)
    assert_kept(record, postgres, database)


def told(pingd, key, timestamp_ms=NOW_MS):
    """The first answer that says what became of it: a key is asked again while that is not known."""
    answers = []

    def known():
        try:
            answers.append(pingd.ping(timestamp_ms, "203.0.113.7", key)[0])
        except OSError:  # it dies
            answers.append(503)
        return answers[-1] not in (503, 504)
    wait_for("an answer", known)
    return answers[-1]


@pytest.mark.parametrize("crash", [None, "claiming:1", "producing:1", "committing:1", "publishing:1"])
def test_a_key_told_to_two_replicas_is_one_ping(crash, make_replica, postgres, kafka3, database):  # noqa: F811
    """To the one, which may die of it, to the other, and to the first again; then the other way round, nobody dying."""
    first, other = make_replica(name="first"), make_replica(name="other").start()
    first.env = {"PING_CRASH_AT": crash} if crash else {}
    first.spawn()
    wait_for("the first to be ready", first.ready_or_gone)

    if crash:
        with pytest.raises(OSError):
            first.ping(NOW_MS, "203.0.113.7", "a")
        first.wait()
    else:
        assert told(first, "a") == 200
    assert told(other, "a") == 200
    first.env = {}
    if crash:
        first.start()
    assert told(first, "a") == 200
    assert told(first, "a", NOW_MS + 1) == told(other, "a", NOW_MS + 1) == 409
    assert told(other, "b") == told(first, "b") == told(other, "b") == 200
    assert agree(postgres, kafka3, database) == 2
    assert [pingd.ask("PingCount", {})["pingCount"] for pingd in (first, other)] == ["2", "2"]


def test_keys_told_to_two_replicas_at_once_are_one_ping_each_though_one_dies(make_replica, postgres, kafka3, database):  # noqa: F811
    steady, shaky = make_replica(name="steady").start(), make_replica(name="shaky").start()
    keys = [f"key {number}" for number in range(scaled(400))]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = [pool.submit(told, pingd, key) for key in keys for pingd in (steady, shaky)]
        for _ in range(3):
            done = sum(answer.done() for answer in answers)
            wait_for("some more answers", lambda done=done: sum(answer.done() for answer in answers) > min(done + 100, len(answers) - 1))
            shaky.kill()
            shaky.start()
    assert {answer.result() for answer in answers} == {200}
    assert agree(postgres, kafka3, database) == len(keys)
