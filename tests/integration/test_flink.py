"""The Flink job on real Kafka, Flink and Cassandra: every row is what the native engine makes of the same log, whoever is killed on the way."""
import contextlib
import ipaddress
import itertools
import json
import pathlib
import random
import re
import shutil
import subprocess
import sys
import threading
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[0] / "tools"), str(HERE.parents[0] / "vectors")]

import flink_cluster
import generate as vectors
from cassandra_ring import cassandra  # noqa: F401  (fixtures, here and below)
from conftest import BUILD, SCALE, wait_for
from kafka import TOPICS, java, kafka, reserve_ports  # noqa: F401
from metric_rows import DAY_MS, HOUR_MS, WINDOW_MS, check_activities, check_lives, differences, expected, stored, time_text, watched
from test_engine_kafka import CQL, Store, audit, metrics_agree
from test_postgres_kafka import agree, assert_kept, database, loading, make_pair, postgres, progress  # noqa: F401
from test_postgres_kafka import pytestmark as needs_servers

ROOT = HERE.parents[1]
PARTITIONS = 6
EVENTS = int((100_000 if SCALE <= 1 else 200_000) * SCALE)  # a million in the soak
# Servers that start, two engines, and what is killed comes back: minutes, and more of them where the machine has other work.
pytestmark = [*needs_servers, pytest.mark.timeout(1500 if SCALE <= 1 else 7200),
              pytest.mark.skipif(not CQL.exists(), reason="pingd was built without ScyllaDB: `make drivers` (drivers/README.md)"),
              pytest.mark.skipif(not shutil.which("mvn") or not shutil.which("javac"), reason="no Maven or no JDK (scripts/bootstrap test)"),
              pytest.mark.skipif(not java(), reason="no Java 17")]


@pytest.fixture(scope="module")
def jar():
    """Built anew where it is older than what it is made of."""
    made = ROOT / "flink" / "target" / "ping-metrics.jar"
    sources = [ROOT / "flink" / "pom.xml", *(ROOT / "flink" / "src" / "main").rglob("*.*")]
    if not made.exists() or made.stat().st_mtime < max(file.stat().st_mtime for file in sources):
        done = subprocess.run([ROOT / "scripts" / "flink", "build"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-4000:]
    return made


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = flink_cluster.Cluster(tmp_path_factory.mktemp("flink"), reserve_ports(6), slots=2, quick=True)
    try:
        yield made.start()
    finally:
        made.end()


@pytest.fixture
def flink(cluster):
    """One JobManager and one TaskManager, whatever the test before killed; no job."""
    cluster.repair()
    yield cluster
    cluster.cancel_all()


class Metrics:
    """A keyspace, and the job that fills it."""

    def __init__(self, ring, log, name):
        self.ring, self.log = ring, log
        self.keyspace = f"{name}{int(time.monotonic() * 1e6)}"
        self.url = ring.url(self.keyspace)
        # As docs/FLINK.md has it: the tables are pingctl's to make.
        wait_for("the tables to be made", self.migrate)
        self.opened = contextlib.ExitStack()
        self.session = self.opened.enter_context(ring.session(self.keyspace))

    def migrate(self):
        """False: a server that is very busy has not said yet whether the lock is ours."""
        done = subprocess.run([BUILD / "pingctl", "migrate", "--log", self.log.url, "--store", self.url], capture_output=True, text=True, timeout=300,
                              check=False)
        assert done.returncode == 0 or "try again" in done.stderr, done.stderr
        return done.returncode == 0

    @property
    def arguments(self):
        return ["--log", self.log.url, "--store", self.url, "--checkpoint-interval", "500ms", "--lanes", "4"]

    def writers(self):
        return {row.writer: row for row in self.session.execute("SELECT * FROM engine_writers")}

    def wait_for_positions(self, ends):
        def there():
            found = self.writers()
            return all(number in found and found[number].position + 1 >= end for number, end in ends.items())
        wait_for(f"the metrics to be at {ends}", there, 300 + EVENTS // 1000)


@pytest.fixture
def new_metrics(cassandra, kafka):  # noqa: F811
    kafka.delete_topics(*TOPICS)
    with contextlib.ExitStack() as opened:
        def make(name="metrics"):
            metrics = Metrics(cassandra, kafka, name)
            opened.callback(metrics.opened.close)
            return metrics
        yield make


class Feed(threading.Thread):
    """Produces events in the background, as Java's producer would place them; they may be without end. From `held_at` on they wait for release()."""

    def __init__(self, log, pairs, rate, held_at=None):
        super().__init__()
        from confluent_kafka import Producer
        self.producer = Producer({"bootstrap.servers": log.addresses, "partitioner": "murmur2_random", "linger.ms": 20})
        self.pairs, self.rate, self.count, self.stopped = pairs, rate, 0, False
        self.held_at, self.released = held_at, threading.Event()

    def run(self):
        begun = time.monotonic()
        for key, value in self.pairs:
            if self.count == self.held_at:
                self.producer.flush(120)
                self.released.wait(900)
            if self.stopped:
                break
            self.producer.produce("raw-pings", key=key, value=value)
            self.count += 1
            if self.count % 50 == 0:
                self.producer.poll(0)
                time.sleep(max(0, self.count / self.rate - (time.monotonic() - begun)))
        self.producer.flush(120)
        self.producer = None  # else it goes on when its Kafka has ended

    def reach(self, count):
        wait_for(f"{count} events to be produced", lambda: self.count >= count or not self.is_alive(), 900)

    def __enter__(self):
        self.start()
        return self

    def release(self):
        self.released.set()

    def __exit__(self, kind, *_):
        self.stopped = self.stopped or kind is not None
        self.release()
        self.join()


CLIENTS = [name for name in [f"10.1.{n // 200}.{n % 200}" for n in range(80)] + [f"2001:db8::{n:x}" for n in range(1, 40)]
           if vectors.partition_of(name) not in (2, 5)]  # those two partitions stay idle


def poison(chance, client):
    """What is no event, or not where it belongs."""
    stranger = next(other for other in CLIENTS if vectors.partition_of(other) != vectors.partition_of(client))
    return chance.choice([(client, '{"ClientIP":"nobody","Timestamp":"2024-10-14T15:45:31Z"}'), (client, "rubbish"), (client, "{}"),
                          (stranger, event(client, 1728926331000))])


def event(client, ms):
    return json.dumps({"ClientIP": client, "Timestamp": time_text(ms)}, separators=(",", ":"))


def make_events(count, now_ms, seed=8):
    """(key, value): of the last six hours in order, but for those that are late, by minutes, days and years; with poison. No window is
    near the end of the last 24 hours, nor of the 90 days that it is kept, where two engines may be a moment apart."""
    chance = random.Random(seed)
    lateness = [(0, 1)] * 20 + [(0, 10_000)] * 4 + [(0, 20 * 60_000)] * 2
    lateness += [(first * DAY_MS, last * DAY_MS) for first, last in ((2, 3), (60, 89), (91, 120), (900, 901))]
    for n in range(count):
        client = chance.choice(CLIENTS)
        if chance.random() < 0.003:
            yield poison(chance, client)
        ms = now_ms - 6 * HOUR_MS + n * 6 * HOUR_MS // count - chance.randrange(*chance.choice(lateness))
        mapped = ":" not in client and chance.random() < 0.01
        yield client, event(f"::ffff:{client}" if mapped else client, ms)


def read_topic(log, topic):
    """All of it that is committed: (partition, offset, headers, key, value)."""
    from confluent_kafka import Consumer, KafkaError, TopicPartition
    consumer = Consumer({"bootstrap.servers": log.addresses, "group.id": "reader", "enable.auto.commit": False, "enable.partition.eof": True,
                         "isolation.level": "read_committed"})
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    found, open_ = [], set(range(PARTITIONS))
    while open_:
        for message in consumer.consume(10_000, 1):
            if message.error():
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                open_.discard(message.partition())
            else:
                found.append((message.partition(), message.offset(), dict(message.headers() or ()), message.key(), message.value()))
    consumer.close()
    return sorted(found, key=lambda record: record[:2])


def events_of(records):
    """Of raw-pings: (client, ms, position) of each event; what is none, by place, and whether it is misplaced; and each partition's end."""
    events, dead, ends = [], {}, {}
    for partition, offset, _, _, value in records:
        ends[partition] = offset + 1
        try:
            read = json.loads(value)
            client, text = vectors.canonical(str(ipaddress.ip_address(read["ClientIP"]))), read["Timestamp"]
        except (ValueError, KeyError, TypeError):
            dead[partition, offset] = False
            continue
        if vectors.partition_of(client) != partition:
            dead[partition, offset] = True
            continue
        head, _, fraction = text.rstrip("Z").partition(".")
        ms = int(time.mktime(time.strptime(head, "%Y-%m-%dT%H:%M:%S")) - time.timezone) * 1000 + int((fraction + "000")[:3])
        events.append((client, ms, offset))
    return events, dead, ends


def native_rows(make_pingd, new_metrics, ends):
    """What pingd makes of the same log."""
    metrics = new_metrics("native")
    engine = make_pingd("--log", metrics.log.url, "--store", metrics.url, "--roles", "stream", name="native").start()
    metrics.wait_for_positions(ends)
    assert engine.stop() == 0
    return stored(metrics.session)


def check_rows(metrics, make_pingd, new_metrics, now_ms):
    """Every row is the native engine's, column for column, and what counting says; dead letters are those that are no events."""
    records = read_topic(metrics.log, "raw-pings")
    events, dead, ends = events_of(records)
    metrics.wait_for_positions(ends)
    want, clients = expected(events, now_ms)
    found = stored(metrics.session)
    assert differences(want, found)[:10] == []
    assert {row["client_ip"]: (row["first_ping"], row["last_ping"]) for row in found["clients"].values()} == clients
    check_lives(metrics.session, found)
    check_activities(metrics.session, found)
    assert differences(native_rows(make_pingd, new_metrics, ends), found)[:10] == []
    letters = read_topic(metrics.log, "raw-pings-dead")
    assert {(int(headers["partition"]), int(headers["offset"])): headers["reason"] == b"misplaced" for _, _, headers, _, _ in letters} == dead
    return len(events), sum(map(len, found.values()))


def check_metrics(flink):
    """Its reporters expose the names that rules, boards and documents are held to, and no others."""
    known = flink_cluster.known_metrics()
    with contextlib.suppress(AssertionError):
        flink.wait_until(lambda: flink.exposed() == known, "the metrics of tests/deploy/flink-metrics.txt", 60)
    exposed = flink.exposed()
    assert (sorted(known - exposed), sorted(exposed - known)) == ([], [])


def test_every_row_is_the_native_engines_whoever_is_killed(flink, jar, new_metrics, cassandra, make_pingd):  # noqa: F811
    """A TaskManager, then the JobManager with it; a savepoint that goes on with another parallelism."""
    metrics, now_ms, count = new_metrics(), int(time.time() * 1000), EVENTS
    program, restarts = flink.upload(jar), flink.restarts()
    events, rate = make_events(count, now_ms), max(3000, EVENTS // 150)
    with watched(cassandra, metrics.keyspace, CLIENTS) as back, Feed(metrics.log, events, rate, held_at=count * 9 // 10) as feed:
        job = flink.run(program, metrics.arguments)
        flink.wait_until_running(job)
        feed.reach(count // 5)
        flink.wait_for_checkpoint(job)
        flink.kill("taskmanager-1")
        flink.start_task_manager("taskmanager-1")
        flink.wait_until_running(job)
        feed.reach(count * 2 // 5)
        flink.wait_for_checkpoint(job)
        flink.kill("jobmanager")
        flink.kill("taskmanager-1")
        checkpoint = flink.newest_checkpoint(job)
        program = flink.start().upload(jar)
        job = flink.run(program, metrics.arguments, parallelism=2, savepoint=checkpoint)
        flink.wait_until_running(job)
        feed.reach(count * 7 // 10)
        flink.wait_for_checkpoint(job)
        savepoint = flink.stop(job)
        job = flink.run(program, metrics.arguments, savepoint=savepoint)
        feed.release()  # a source that has read nothing since its start says nothing of what waits for it
        feed.join()
        metrics.wait_for_positions(events_of(read_topic(metrics.log, "raw-pings"))[2])
    flink.wait_for_checkpoint(job)
    check_metrics(flink)
    flink.stop(job)
    # One that is taken for dead because the machine is slow writes on for a moment, as a zombie: then a reader may see an older value.
    assert back == [] or flink.restarts() > restarts + 1
    print(check_rows(metrics, make_pingd, new_metrics, now_ms))


def flushing(flink, job):
    """The checkpoint that all sources have passed and that a sink holds up, whose rows are not written yet: (number, how many are behind it)."""
    newest = flink.get(f"/jobs/{job}/checkpoints")["history"][0]
    passed, tasks = newest["num_acknowledged_subtasks"], newest["num_subtasks"]
    return (newest["id"], passed) if newest["status"] == "IN_PROGRESS" and tasks // 2 <= passed < tasks else None


@contextlib.contextmanager
def frozen_in_mid_flush(flink, job, metrics, name):
    """The TaskManager stands still with rows on their way. The latest timestamp that it may have used."""
    def held_up():
        before = flushing(flink, job)
        time.sleep(1)
        return before and flushing(flink, job) == before
    with metrics.ring.nodes[0].frozen():
        flink.wait_until(held_up, "a flush to be held up")
        flink.freeze(name)
    try:
        yield max(row.reserved_us for number, row in metrics.writers().items() if number < 0)
    finally:
        flink.thaw(name)


def write_late(metrics, latest_us):
    """What the lanes' former owner may still write, by the latest of its timestamps: rows that say 99999, of windows that were written since."""
    written = 0
    for row in metrics.session.execute("SELECT client_ip, window_start, writetime(ping_count) AS at FROM window_stats"):
        if row.at > latest_us:
            metrics.session.execute("INSERT INTO window_stats (client_ip, window_start, ping_count, position) VALUES (%s, %s, 99999, 0)"
                                    " USING TIMESTAMP %s", (row.client_ip, row.window_start, latest_us))
            written += 1
    assert written > 0, "no row was written since"


def endless(now_ms):
    """One window of each client, over and over: no row is to be looked up, so a store that is away holds up what is written alone."""
    for n in itertools.count():
        client = CLIENTS[n % len(CLIENTS)]
        yield client, event(client, now_ms - n % 1000)


def test_a_task_manager_that_slept_in_mid_flush_changes_no_row(flink, jar, new_metrics, make_pingd):
    """Another has taken over when it goes on; then that one dies, and it is the successor's successor."""
    metrics, now_ms, count = new_metrics(), int(time.time() * 1000), int(10_000 * SCALE)
    log = itertools.chain(make_events(count, now_ms, seed=9), endless(now_ms // WINDOW_MS * WINDOW_MS + 1000))
    with Feed(metrics.log, log, rate=400) as feed:
        job = flink.run(flink.upload(jar), metrics.arguments)
        flink.wait_until_running(job)
        feed.reach(count + 1000)
        metrics.wait_for_positions(events_of(read_topic(metrics.log, "raw-pings"))[2])
        owner = metrics.writers()[-1].owner
        with frozen_in_mid_flush(flink, job, metrics, "taskmanager-1") as latest_us:
            flink.start_task_manager("taskmanager-2")
            wait_for("another to have the lanes", lambda: metrics.writers()[-1].owner != owner, 180)
            flink.wait_until_running(job)
            flink.wait_for_checkpoint(job)
        flink.wait_until(lambda: flink.get("/overview")["slots-available"] == 3, "the one that slept to have ended its task")
        flink.wait_for_checkpoint(job)
        write_late(metrics, latest_us)
        flink.kill("taskmanager-2")
        flink.wait_until_running(job)
        flink.wait_for_checkpoint(job)
        feed.stopped = True
        feed.join()
        print(check_rows(metrics, make_pingd, new_metrics, now_ms))
        flink.stop(job)


def delete_records(log, offsets):
    """As retention does."""
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient
    admin = AdminClient({"bootstrap.servers": log.addresses})
    for done in admin.delete_records([TopicPartition("raw-pings", *where) for where in offsets.items()], request_timeout=60).values():
        done.result()


def assert_refused(flink, program, arguments, words):
    """The job does not even start, and says why."""
    before = len(flink.get("/jobs")["jobs"])
    with pytest.raises(AssertionError) as error:
        flink.run(program, arguments)
    assert words in str(error.value), str(error.value)[-3000:]
    assert len(flink.get("/jobs")["jobs"]) == before


def age_heartbeats(metrics):
    """As if a minute had passed since the engines were heard of."""
    for number in range(PARTITIONS):
        metrics.session.execute(f"UPDATE engine_writers SET heartbeat = {int(time.time() * 1000) - 61_000} WHERE writer = {number} IF EXISTS")


def test_metrics_whose_place_in_the_log_is_not_known_are_an_error_and_so_is_a_wrong_setting(flink, jar, new_metrics):
    metrics = new_metrics()
    program = flink.upload(jar)
    assert_refused(flink, program, [], "--log kafka://HOST:PORT")
    assert_refused(flink, program, ["--log", "nowhere", "--store", metrics.url], "expected kafka://")
    assert_refused(flink, program, [*metrics.arguments[:4], "--lanes", "0"], "not within 1 and 1024")
    assert_refused(flink, program, [*metrics.arguments, "--log-partitions", "7"], "has 6 partitions, configured are 7")
    with Feed(metrics.log, make_events(2000, int(time.time() * 1000)), rate=10_000):
        pass
    job = flink.run(program, metrics.arguments)
    ends = events_of(read_topic(metrics.log, "raw-pings"))[2]
    metrics.wait_for_positions(ends)
    flink.stop(job)
    before = stored(metrics.session)
    for number in ends:
        metrics.session.execute(f"UPDATE engine_writers SET position = -1 WHERE writer = {number} IF EXISTS")
    delete_records(metrics.log, {number: 5 for number in ends})
    assert_refused(flink, program, metrics.arguments, "begins at offset 5, but the metrics are at 0")
    for number in ends:
        metrics.session.execute(f"UPDATE engine_writers SET position = {10**9} WHERE writer = {number} IF EXISTS")
    assert_refused(flink, program, metrics.arguments, "or has lost events")
    metrics.session.execute("TRUNCATE engine_writers")
    assert_refused(flink, program, metrics.arguments, "nothing tells how far they go")
    assert stored(metrics.session) == before


def entered(metrics, epoch):
    """Every partition is at the start of the log in that epoch, or in it."""
    rows = [row for number, row in metrics.writers().items() if number >= 0]
    return len(rows) == PARTITIONS and all(row.position >= (epoch << 48) - 1 for row in rows)


def test_a_log_that_was_made_anew_is_entered_by_pingd_and_then_the_job_goes_on(flink, jar, new_metrics, make_pingd):
    metrics, now_ms, program = new_metrics(), int(time.time() * 1000), flink.upload(jar)
    anew = [*metrics.arguments, "--log-epoch", "1"]
    with Feed(metrics.log, make_events(1000, now_ms, seed=10), rate=10_000):
        pass
    job = flink.run(program, metrics.arguments)
    events, _, ends = events_of(read_topic(metrics.log, "raw-pings"))
    metrics.wait_for_positions(ends)
    savepoint = flink.stop(job)
    assert_refused(flink, program, anew, "its events would count twice; set --log-epoch back")

    metrics.log.delete_topics(*TOPICS)
    wait_for("the topics to be made anew", metrics.migrate)
    with Feed(metrics.log, make_events(1500, now_ms, seed=11), rate=10_000):
        pass
    assert_refused(flink, program, metrics.arguments, "the topic was made anew, which is a procedure (drain, count, log-epoch + 1)")
    assert_refused(flink, program, anew, "pingd moves them: start pingd --roles stream with --log-epoch 1")
    engine = make_pingd("--log", metrics.log.url, "--store", metrics.url, "--roles", "stream", "--log-epoch", "1").start()
    wait_for("pingd to enter the log", lambda: entered(metrics, 1))
    assert engine.stop() == 0
    with pytest.raises(AssertionError) as refused:  # its offsets are the other topic's, and would skip events of this one
        flink.run(program, anew, savepoint=savepoint)
    assert "allowNonRestoredState" in str(refused.value) or "not available in the new program" in str(refused.value), str(refused.value)[-3000:]
    job = flink.run(program, anew)
    with Feed(metrics.log, make_events(500, now_ms, seed=12), rate=10_000):
        pass
    more, _, ends = events_of(read_topic(metrics.log, "raw-pings"))
    metrics.wait_for_positions({number: (1 << 48) + end for number, end in ends.items()})
    flink.stop(job)
    want, _ = expected(events + [(client, ms, (1 << 48) + offset) for client, ms, offset in more], now_ms)
    assert differences(want, stored(metrics.session))[:10] == []


def filled_by(api):
    """As a process without an engine tells of the one elsewhere: (kind, when it was heard of)."""
    status = api.ask("GetPipelineStatus", {})
    return status.get("engine", ""), int(status.get("engineOwner", {}).get("heartbeatMs", 0))


def state_of(engine):
    return sorted(re.findall(r"^ping_engine_(?:running|waiting) \d$", engine.get("/metrics")[1].decode(), re.M))


def start_and_wait(native):
    """pingd does not stream while the job is heard of; it waits for its end, is ready meanwhile, and is no member of the group."""
    native.start()
    wait_for("pingd to say who fills the metrics", lambda: "another kind of engine (flink)" in native.log())
    wait_for("its metrics to say that it waits", lambda: state_of(native) == ["ping_engine_running 0", "ping_engine_waiting 1"])


def test_native_to_flink_to_native_in_mid_stream(flink, jar, new_metrics, cassandra, make_pair, postgres, database, tmp_path):  # noqa: F811
    """As docs/FLINK.md says: the one is stopped in good order, the other started; in the end a job that was killed while a TaskManager slept."""
    metrics, record, program = new_metrics(), tmp_path / "acknowledged", flink.upload(jar)
    store = Store(metrics.url, cassandra, metrics.keyspace)
    api = make_pair(*store.arguments, "--roles", "api", name="api").start()
    native = make_pair(*store.arguments, "--roles", "stream", name="native")

    def moves_on(what):
        """Its owner writes, and the positions follow."""
        before = {number: row.position for number, row in metrics.writers().items() if number >= 0}
        progress(record, 300)
        wait_for(f"{what} to move on", lambda: all(metrics.writers()[number].position > position for number, position in before.items()), 180)

    with loading(api, record, rate=500):
        native.start()
        wait_for("every partition's row", lambda: len(metrics.writers()) == PARTITIONS)
        moves_on("pingd")
        assert_refused(flink, program, metrics.arguments, "another kind of engine (native)")
        assert native.stop() == 0
        job = flink.run(program, metrics.arguments)
        moves_on("the job")
        start_and_wait(native)
        moves_on("the job beside it")
        wait_for("who answers to name the job", lambda: filled_by(api)[0] == "flink" and filled_by(api)[1] > 0)
        told = api.ctl("status").stdout
        assert re.search(r"filled by     flink \(0x[0-9a-f]{32}\), last heard of ", told) and "not known here" in told, told
        savepoint = flink.stop(job)
        moves_on("pingd after the job")
        wait_for("who answers to name pingd", lambda: filled_by(api)[0] == "native")
        wait_for("its metrics to say that it gets on", lambda: state_of(native) == ["ping_engine_running 1", "ping_engine_waiting 0"])
        assert native.stop() == 0
        job = flink.run(program, metrics.arguments, parallelism=2, savepoint=savepoint)
        flink.wait_until_running(job)
        moves_on("the job from its old savepoint")
        with frozen_in_mid_flush(flink, job, metrics, "taskmanager-1") as latest_us:
            flink.kill("jobmanager")
            age_heartbeats(metrics)
            native.start()
            moves_on("pingd after a job that was killed")
            write_late(metrics, latest_us)
        wait_for("the one that slept to be told", lambda: "has taken" in flink.log("taskmanager-1") or "Close JobManager" in flink.log("taskmanager-1"))
        progress(record, 300)
    agree(postgres, metrics.log, database)
    assert_kept(record, postgres, database)
    metrics_agree(api, postgres, database, store)
    audit(api, store, 0)
