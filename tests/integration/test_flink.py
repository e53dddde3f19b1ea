"""The Flink job on real Kafka, Flink and Cassandra: every row is what the log holds, whoever is killed on the way."""
import collections
import contextlib
import ipaddress
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import threading
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[0] / "tools"))

import flink_cluster
from cassandra_ring import cassandra  # noqa: F401  (fixtures, here and below)
from kafka import java, kafka, reserve_ports  # noqa: F401

ROOT = HERE.parents[1]
MIGRATIONS = ROOT / "src" / "adapter" / "cql" / "migrations"
SCALE = float(os.environ.get("PING_SCALE", "1"))
EVENTS = int(30_000 * SCALE)
WINDOW_MS, DAY_MS, HOUR_MS = 300_000, 86_400_000, 3_600_000
PARTITIONS = 6
# Two clusters that are killed and started again take many minutes on a machine with other work to do.
pytestmark = [pytest.mark.skipif(not os.environ.get("PING_TEST_FLINK"), reason="the Flink job on a real cluster: only with PING_TEST_FLINK=1"),
              pytest.mark.skipif(not shutil.which("mvn") or not shutil.which("javac"), reason="no Maven or no JDK (scripts/bootstrap test)"),
              pytest.mark.skipif(not java(), reason="no Java 17")]


@pytest.fixture(scope="module")
def jar():
    done = subprocess.run([ROOT / "scripts" / "flink", "build"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    return ROOT / "flink" / "target" / "ping-metrics.jar"


@pytest.fixture(scope="module")
def flink(tmp_path_factory):
    cluster = flink_cluster.Cluster(tmp_path_factory.mktemp("flink"), reserve_ports(5), slots=2)
    try:
        yield cluster.start()
    finally:
        cluster.end()


@pytest.fixture(scope="module")
def log(kafka):  # noqa: F811
    for topic in ("raw-pings", "raw-pings-dead"):
        kafka.topics("--create", "--topic", topic, "--partitions", PARTITIONS, "--config", "message.timestamp.type=LogAppendTime")
    return kafka


@pytest.fixture
def store(cassandra, request):  # noqa: F811
    """A keyspace of the test's own, with pingctl's tables."""
    keyspace = "m" + str(abs(hash(request.node.name)) % 10**8)
    with cassandra.session() as session:
        session.execute(f"CREATE KEYSPACE {keyspace} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}")
        session.set_keyspace(keyspace)
        for file in sorted(MIGRATIONS.glob("*.cql")):
            text = "\n".join(line for line in file.read_text().splitlines() if not line.startswith("--"))
            for statement in filter(str.strip, text.split(";\n")):
                session.execute(statement.rstrip().rstrip(";"))
    with cassandra.session(keyspace) as session:
        yield keyspace, session


def time_text(ms):
    seconds, fraction = divmod(ms, 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{fraction:03}".rstrip("0").rstrip(".") + "Z"


def make_events(chance, count, clients, now_ms):
    """(key, value): in order but for those that are late, by minutes, days and years; with poison."""
    lateness = [0] * 20 + [10_000] * 4 + [20 * 60_000] * 2 + [3 * DAY_MS, 900 * DAY_MS]
    for n in range(count):
        if chance.random() < 0.003:
            yield chance.choice(clients), chance.choice(['{"ClientIP":"nobody","Timestamp":"2024-10-14T15:45:31Z"}', "rubbish", "{}"])
        late_ms = chance.choice(lateness)
        ms = now_ms - 6 * HOUR_MS + n * 6 * HOUR_MS // count - (chance.randrange(late_ms) if late_ms else 0)
        client = chance.choice(clients)
        yield client, json.dumps({"ClientIP": client, "Timestamp": time_text(ms)}, separators=(",", ":"))


def records(log, count):
    """(client, ms, partition, offset) of the events in the log, and how many are none."""
    events, dead = [], 0
    for partition, offset, _, key, value in log.console_consume("raw-pings", count):
        try:
            event = json.loads(value)
            client, text = str(ipaddress.ip_address(event["ClientIP"])), event["Timestamp"]
        except (ValueError, KeyError, TypeError):
            dead += 1
            continue
        head, _, fraction = text.rstrip("Z").partition(".")
        ms = int(time.mktime(time.strptime(head, "%Y-%m-%dT%H:%M:%S")) - time.timezone) * 1000 + int((fraction + "000")[:3])
        events.append((client, ms, partition, offset))
    return events, dead


def expected(events, retention_from_ms):
    windows, days, clients, ends = {}, {}, {}, {}
    for client, ms, partition, offset in sorted(events, key=lambda event: event[2:]):
        ends[partition] = offset
        first, last = clients.get(client, (ms, ms))
        clients[client] = (min(first, ms), max(last, ms))
        total, _ = days.get((client, ms // DAY_MS * DAY_MS), (0, 0))
        days[client, ms // DAY_MS * DAY_MS] = (total + 1, offset)
        start = ms // WINDOW_MS * WINDOW_MS
        if start + WINDOW_MS > retention_from_ms:
            count, first, last, _ = windows.get((client, start), (0, ms, ms, 0))
            windows[client, start] = (count + 1, min(first, ms), max(last, ms), offset)
    return windows, days, clients, ends


def milliseconds(moment):
    return round((moment - moment.__class__(1970, 1, 1)).total_seconds() * 1000)


def day_ms(day):
    return day.days_from_epoch * DAY_MS


def stored(session):
    windows = {(row.client_ip, milliseconds(row.window_start)): (row.ping_count, milliseconds(row.first_ping), milliseconds(row.last_ping), row.position)
               for row in session.execute("SELECT client_ip, window_start, ping_count, first_ping, last_ping, position FROM window_stats")}
    days = {(row.client_ip, day_ms(row.day)): (row.total, row.position) for row in session.execute("SELECT client_ip, day, total, position FROM daily_totals")}
    clients = {row.client_ip: (milliseconds(row.first_ping), milliseconds(row.last_ping))
               for row in session.execute("SELECT client_ip, first_ping, last_ping, list FROM clients") if row.list == 0}
    return windows, days, clients


def averages(session):
    for row in session.execute("SELECT client_ip, window_start, window_end, ping_count, avg_interval_ms, first_ping, last_ping FROM window_stats"):
        first, last = milliseconds(row.first_ping), milliseconds(row.last_ping)
        assert milliseconds(row.window_end) == milliseconds(row.window_start) + WINDOW_MS
        assert row.avg_interval_ms == (None if row.ping_count < 2 else (last - first) / (row.ping_count - 1)), row


def positions(session):
    return {row.writer: row.position for row in session.execute("SELECT writer, position FROM engine_writers") if row.writer >= 0}


def check_activities(session, windows):
    """Each client's rolling 24 hours are its windows' that they cover, and its places in the lists say the same."""
    listed = {row.address: -row.rank for row in session.execute("SELECT address, rank, list FROM clients") if row.list == 2}
    counts = {row.address: row.ping_count for row in session.execute("SELECT address, ping_count, list FROM clients") if row.list == 0}
    for row in session.execute("SELECT * FROM activity_24h"):
        since = milliseconds(row.since)
        inside = {start: window for (client, start), window in windows.items() if client == row.client_ip and since <= start < since + DAY_MS}
        assert row.ping_count == sum(window[0] for window in inside.values()), row
        assert row.active_windows == len(inside)
        if inside:
            assert milliseconds(row.first_ping) == min(window[1] for window in inside.values())
            assert milliseconds(row.last_ping) == max(window[2] for window in inside.values())
            assert row.busiest_ping_count == max(window[0] for window in inside.values())
    assert listed == {address: count for address, count in counts.items() if count}


@contextlib.contextmanager
def watched(cassandra, keyspace):  # noqa: F811
    """Meanwhile a reader looks whether any row goes back."""
    back, stop = [], threading.Event()

    def watch():
        newest = {}
        with cassandra.session(keyspace) as session:
            while not stop.wait(0.05):
                for row in session.execute("SELECT client_ip, window_start, ping_count, position FROM window_stats LIMIT 2000"):
                    key, now = (row.client_ip, row.window_start), (row.position, row.ping_count)
                    before = newest.get(key, (-1, 0))
                    if now[0] < before[0] or now[1] < before[1]:
                        back.append((key, before, now))
                    newest[key] = now
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield back
    finally:
        stop.set()
        thread.join()


def wait_for_positions(flink, session, ends):  # noqa: F811
    flink.wait_until(lambda: all(positions(session).get(partition, -1) >= end for partition, end in ends.items()),
                     f"the positions {ends}", 300)


def test_every_row_is_the_logs_whoever_is_killed(flink, jar, log, cassandra, store):  # noqa: F811
    keyspace, session = store
    chance = random.Random(8)
    now_ms = int(time.time() * 1000)
    clients = [f"10.1.{n // 200}.{n % 200}" for n in range(40)] + [f"2001:db8::{n:x}" for n in range(1, 20)]
    produced = []

    def produce(share):
        pairs = list(make_events(chance, EVENTS // share, clients, now_ms))
        log.console_produce("raw-pings", pairs)
        produced.extend(pairs)

    program = flink.upload(jar)
    arguments = ["--log", log.url, "--store", cassandra.url(keyspace), "--checkpoint-interval", "500ms", "--lanes", "4"]
    with watched(cassandra, keyspace) as back:
        produce(4)
        job = flink.run(program, arguments)
        flink.wait_until_running(job)
        flink.wait_for_checkpoint(job)
        produce(4)
        flink.kill("taskmanager-1")
        flink.start_task_manager("taskmanager-1")
        flink.wait_until_running(job)
        flink.wait_for_checkpoint(job)
        produce(4)
        flink.kill("jobmanager")
        flink.kill("taskmanager-1")
        checkpoint = flink.newest_checkpoint(job)
        flink.start()
        program = flink.upload(jar)
        job = flink.run(program, arguments, parallelism=2, savepoint=checkpoint)
        flink.wait_until_running(job)
        flink.wait_for_checkpoint(job)
        savepoint = flink.stop(job)
        produce(4)
        job = flink.run(program, arguments, parallelism=1, savepoint=savepoint)
        events, dead = records(log, len(produced))
        want_windows, want_days, want_clients, ends = expected(events, now_ms - 90 * DAY_MS + HOUR_MS)
        wait_for_positions(flink, session, ends)
    windows, days, seen = stored(session)
    assert back == []
    assert windows == want_windows
    assert days == want_days
    assert seen == want_clients
    averages(session)
    counters = {(row.client_ip, day_ms(row.day)): row.total_pings for row in session.execute("SELECT client_ip, day, total_pings FROM daily_stats")}
    assert counters == {key: total for key, (total, _) in want_days.items()}
    check_activities(session, windows)
    letters = log.console_consume("raw-pings-dead", dead)
    assert collections.Counter(b"reason" in headers for _, _, headers, _, _ in letters) == {True: dead}
    flink.stop(job)


@pytest.mark.parametrize("arguments, words", [
    ([], "--log kafka://HOST:PORT"), (["--log", "nowhere"], "expected kafka://"), (["--lanes", "0"], "not within 1 and 1024")])
def test_wrong_settings_end_with_a_clear_error_before_the_job_starts(flink, jar, arguments, words):
    program = flink.upload(jar)
    before = len(flink.get("/jobs")["jobs"])
    with pytest.raises(AssertionError) as error:
        flink.run(program, arguments if not arguments or arguments[0] == "--log" else ["--log", "kafka://a", "--store", "scylla://b", *arguments])
    assert words in str(error.value)
    assert len(flink.get("/jobs")["jobs"]) == before
