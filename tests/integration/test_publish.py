"""One OK, two systems: whatever is killed, frozen or cut off, the ids in PostgreSQL are the ids that a committed reader sees in Kafka, each
once, at the position that its row says, and every acknowledged ping is among them."""
import collections
import os
import subprocess
import sys
import time
import uuid

import pytest
from conftest import BUILD, DEADLINE_S, ROOT, SCALE, processes, scaled, wait_for
from kafka import kafka  # noqa: F401  (a fixture)

confluent_kafka = pytest.importorskip("confluent_kafka")
sys.path.insert(0, str(ROOT / "tests" / "tools"))
from postgres import Postgres, binaries  # noqa: E402

pytestmark = pytest.mark.skipif(binaries() is None, reason="no PostgreSQL server: apt-get install postgresql")
SETTLE_S = 120 * max(1, SCALE)  # all are compared each time


@pytest.fixture(scope="module")
def server():
    server = Postgres()
    try:
        yield server.start()
    finally:
        server.remove()


def events_of(cluster):
    """All that a committed reader sees: (id, partition, offset, client)."""
    consumer = confluent_kafka.Consumer({"bootstrap.servers": cluster.addresses, "group.id": f"check-{uuid.uuid4()}", "enable.auto.commit": False,
                                         "isolation.level": "read_committed", "auto.offset.reset": "earliest", "enable.partition.eof": True})
    try:
        partitions = consumer.list_topics("raw-pings", timeout=DEADLINE_S).topics["raw-pings"].partitions
        consumer.assign([confluent_kafka.TopicPartition("raw-pings", p, confluent_kafka.OFFSET_BEGINNING) for p in partitions])
        events, ended, deadline = [], set(), time.monotonic() + DEADLINE_S
        while len(ended) < len(partitions):
            assert time.monotonic() < deadline, "the log could not be read to its end"
            message = consumer.poll(1)
            if message is None:
                continue
            if message.error():
                assert message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF, message.error()
                ended.add(message.partition())
                continue
            events.append((uuid.UUID(bytes=dict(message.headers())["id"]), message.partition(), message.offset(), message.key().decode()))
        return events
    finally:
        consumer.close()


def rows_of(server):
    """(id, position, client) of each row."""
    lines = server.sql("SELECT id, position, host(client_ip) FROM pings").splitlines()
    return [(uuid.UUID(i), int(position or -1), client) for i, position, client in (line.split("|") for line in lines)]


def difference(server, cluster):
    """None when ledger and log agree, else what is wrong first."""
    rows, events = rows_of(server), events_of(cluster)
    for what, found in (("rows", rows), ("events", events)):
        twice = [i for i, n in collections.Counter(entry[0] for entry in found).items() if n > 1]
        if twice:
            return f"{len(twice)} ids stand more than once in the {what}, such as {twice[0]}"
    by_id = {event[0]: event for event in events}
    only_rows = [row for row in rows if row[0] not in by_id]
    only_events = set(by_id) - {row[0] for row in rows}
    if only_rows or only_events:
        return f"{len(only_rows)} rows without events, {len(only_events)} events without rows"
    wrong = [row for row in rows if (row[1], row[2]) != by_id[row[0]][2:]]
    return f"{len(wrong)} rows at another position or client than their event: {wrong[0]} {by_id[wrong[0][0]]}" if wrong else None


def assert_agree(server, cluster, *records):
    """Once what was left is finished. Records: files of acknowledged pings, keyed, so that each is one row."""
    state = {}

    def agree():
        waiting = server.number("SELECT count(*) FROM pings WHERE position IS NULL")  # found at once: to compare all takes a while
        state["difference"] = f"{waiting} rows have no position" if waiting else difference(server, cluster)
        return state["difference"] is None
    try:
        wait_for("ledger and log to agree", agree, SETTLE_S)
    except BaseException:
        print(state["difference"])
        raise
    kept = collections.Counter(server.sql(
        "SELECT host(client_ip) || ' ' || round(extract(epoch FROM pinged_at) * 1000)::bigint FROM pings").splitlines())
    for record in records:
        missing = collections.Counter(record.read_text().splitlines()) - kept
        assert not missing, f"{sum(missing.values())} acknowledged pings are not kept, such as {next(iter(missing))}"


@pytest.fixture
def make_publisher(make_pingd, server, kafka):  # noqa: F811
    def make(*arguments, **more):
        return make_pingd("--ledger", server.url(), "--log", kafka.url, *arguments, **more)
    return make


def start_load(pingd, record, *arguments):
    return subprocess.Popen(processes.tied([BUILD / "pingctl", "load", "--record", record, "--keys", "--retry", "--duration", "500s", "--timestamps", "spread:24h",
                                            *arguments]), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            env={**os.environ, "PINGCTL_ADDRESS": pingd.address})


def kept(server):
    return int(server.sql("SELECT count(*) FROM pings"))


def finish(load, total, record):
    output, _ = load.communicate(timeout=500)
    assert load.returncode == 0, output
    assert len(record.read_text().splitlines()) == total


def test_a_ping_is_a_row_and_an_event(make_publisher, server, kafka):  # noqa: F811
    pingd = make_publisher().start()
    assert pingd.ping(1_728_926_331_123, "203.0.113.7") == (200, {})
    assert pingd.ping(1_728_926_331_124, "2001:DB8::0:7") == (200, {})
    assert pingd.ask("PingCount", {}) == {"pingCount": "2"}
    assert_agree(server, kafka)
    assert {event[3] for event in events_of(kafka)} == {"203.0.113.7", "2001:db8::7"}
    wait_for("both publishers to be ready", lambda: b"\nping_publishers_ready 2\n" in pingd.get("/metrics")[1])
    assert pingd.stop() == 0
    held = server.sql("SELECT count(*) FROM publisher_slots WHERE held").strip()
    assert held == "0", "a clean stop frees its slots"


def test_kills_of_pingd(make_publisher, server, kafka, tmp_path):  # noqa: F811
    pingd, record, total = make_publisher().start(), tmp_path / "acknowledged", scaled(40_000)
    before = kept(server)
    load = start_load(pingd, record, "--pings", str(total), "--clients", "500")
    for kill in range(1, 5):
        wait_for(f"pings before kill {kill}", lambda: load.poll() is not None or kept(server) - before >= total * kill // 6, 240)
        assert load.poll() is None, load.stdout.read()
        pingd.kill()
        pingd.start()
    finish(load, total, record)
    assert kept(server) == before + total
    assert_agree(server, kafka, record)


def test_kill_of_postgresql(make_publisher, server, kafka, tmp_path):  # noqa: F811
    pingd, record, total = make_publisher().start(), tmp_path / "acknowledged", scaled(30_000)
    before = kept(server)
    load = start_load(pingd, record, "--pings", str(total), "--clients", "500")
    wait_for("pings to flow", lambda: kept(server) - before >= total // 4)
    server.kill()
    wait_for("an answer that says so", lambda: pingd.ping(1_728_926_331_000, "198.51.100.1", "while-down")[1].get("code") in
             ("unavailable", "deadline_exceeded"))
    server.start()
    finish(load, total, record)
    assert_agree(server, kafka, record)


@pytest.mark.parametrize("how", ["killed", "frozen for longer than a transaction lives"])
def test_a_broker(make_publisher, server, kafka, tmp_path, how):  # noqa: F811
    pingd, record, total = make_publisher().start(), tmp_path / "acknowledged", scaled(30_000)
    before, broker = kept(server), kafka.brokers[0]
    load = start_load(pingd, record, "--pings", str(total), "--clients", "500")
    wait_for("pings to flow", lambda: kept(server) - before >= total // 4)
    if how == "killed":
        broker.kill()
        broker.start()
    else:
        with broker.frozen():
            time.sleep(25)
    finish(load, total, record)
    assert_agree(server, kafka, record)


def test_clients_that_hang_up(make_publisher, server, kafka, tmp_path):  # noqa: F811
    pingd, body = make_publisher().start(), tmp_path / "ping.json"
    body.write_text('{"timestampMs": 1728926331000}')
    for _ in range(5):
        before = kept(server)
        load = subprocess.Popen(["h2load", "-n1000000", "-c16", "-m16", "-d", body, "-H", "content-type: application/json",
                                 f"{pingd.address}/ping.v1.PingService/Ping"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("pings to flow", lambda: kept(server) - before > scaled(500))
        load.kill()
        load.wait()
    assert_agree(server, kafka)


def test_another_replica_finishes_what_a_dead_one_left(make_publisher, server, kafka, tmp_path):  # noqa: F811
    doomed, other = make_publisher(name="doomed").start(), make_publisher(name="other").start()
    record, total, before = tmp_path / "acknowledged", scaled(10_000), kept(server)
    load = start_load(other, record, "--pings", str(total), "--clients", "100")
    flood = start_load(doomed, tmp_path / "flood", "--pings", str(total), "--clients", "100")
    wait_for("pings to flow", lambda: kept(server) - before > scaled(2_000))
    doomed.kill()
    flood.kill()
    flood.communicate()
    finish(load, total, record)
    assert_agree(server, kafka, record)
    wait_for("the dead one's slots to be free", lambda: server.sql("SELECT count(*) FROM publisher_slots WHERE held").strip() == "2")


def test_a_zombie_publishes_nothing(make_publisher, server, kafka, tmp_path):  # noqa: F811
    zombie, other = make_publisher(name="zombie").start(), make_publisher(name="other").start()
    record, before = tmp_path / "acknowledged", kept(server)
    load = start_load(zombie, record, "--pings", str(scaled(20_000)), "--clients", "100")
    wait_for("pings to flow", lambda: kept(server) - before > scaled(2_000))
    with zombie.frozen():
        wait_for("its slots to be taken over", lambda: int(server.sql("SELECT count(*) FROM publisher_slots WHERE held")) == 2)
        assert other.ping(1_728_926_331_000, "198.51.100.2") == (200, {})
    finish(load, scaled(20_000), record)
    assert_agree(server, kafka, record)


def test_an_outbox_answers_while_kafka_is_away(make_publisher, server, kafka):  # noqa: F811
    pingd, broker = make_publisher("--publish", "outbox").start(), kafka.brokers[0]
    assert pingd.ping(1_728_926_331_000, "198.51.100.3") == (200, {})
    with broker.frozen():
        for i in range(50):
            assert pingd.ping(1_728_926_332_000 + i, "198.51.100.3") == (200, {})
    assert_agree(server, kafka)
