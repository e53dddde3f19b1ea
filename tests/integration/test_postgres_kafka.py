"""pingd on PostgreSQL and Kafka together: what was answered OK is in both, and nothing is in one of them alone."""
import collections
import contextlib
import pathlib
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))

from conftest import BUILD, DEADLINE_S, scaled, wait_for
from kafka import TOPICS, kafka, processes  # noqa: F401  (one is a fixture)
from postgres import Postgres, binaries
from test_kafka import TOOL, Tool

pytestmark = [pytest.mark.skipif(not TOOL.exists(), reason="pingd was built without Kafka: `make drivers` (drivers/README.md)"),
              pytest.mark.skipif(binaries() is None, reason="no PostgreSQL server: apt-get install postgresql")]

NOW_MS = 1728926331000


@pytest.fixture(scope="module")
def postgres():
    server = Postgres()
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.fixture
def database(postgres):
    """A database and topics of the test's own."""
    name = f"ping{int(time.monotonic() * 1e6)}"
    postgres.sql(f"CREATE DATABASE {name}")
    yield name
    postgres.sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def make_pair(make_pingd, postgres, kafka, database):  # noqa: F811
    kafka.delete_topics(*TOPICS)

    def make(*arguments, ledger=None, **more):
        return make_pingd("--ledger", ledger or postgres.url(database), "--log", kafka.url, *arguments, **more)
    return make


def rows(postgres, database):
    """{id: position} of the ledger; -1 where the row isn't published yet."""
    said = postgres.sql("SELECT replace(id::text, '-', ''), position FROM pings", database)
    return {line.split("|")[0]: int(line.split("|")[1] or -1) for line in said.splitlines()}


def events(kafka):  # noqa: F811
    """{id: offset} of the committed events; none is there twice."""
    tool = Tool(kafka.addresses)
    try:
        found = [line.split(" ") for line in tool.ok("read", "raw-pings", 6)]
    finally:
        tool.end()
    assert all(line[0] == line[1] for line in found), "an event in another client's partition"
    placed = {}
    for line in found:
        placed.setdefault(line[5], []).append((int(line[0]), int(line[2])))
    twice = {ping: places for ping, places in placed.items() if len(places) > 1}
    assert not twice, f"events are there twice, as (partition, offset): {twice}"
    return {ping: offset for ping, [(_, offset)] in placed.items()}


def agree(postgres, kafka, database):  # noqa: F811
    """Waits until ledger and log hold the same pings, each at the position that its row says. How many."""
    return len(wait_for("ledger and log to agree", lambda: (r := rows(postgres, database)) == events(kafka) and (r or {"": 0})))


def test_a_ping_is_in_both_at_the_same_place(make_pair, postgres, kafka, database):  # noqa: F811
    pingd = make_pair().start()
    for n in range(20):
        assert pingd.ping(NOW_MS + n, client=f"203.0.113.{n}")[0] == 200
    assert pingd.ping(NOW_MS, client="2001:db8::7", key="once")[0] == 200
    assert pingd.ping(NOW_MS, client="2001:db8::7", key="once")[0] == 200
    assert pingd.ping(NOW_MS + 1, client="2001:db8::7", key="once")[0] == 409
    assert agree(postgres, kafka, database) == 21
    assert pingd.ask("PingCount", {})["pingCount"] == "21"
    assert pingd.stop() == 0


# A publisher's states in which a crash can matter, and how many times one is entered before it. Those of the recovery follow a
# crash between the two commits; they are entered once the dead publisher's lease has run out.
CRASHES = ["producing:40", "committing:40", "publishing:40", "reproducing:1", "moving:1", "republishing:1", "ready:60", "taking:1",
           "fencing:1", "looking:1", "recovering:1", "verifying:1", "claiming:30", "publishing:1"]


@contextlib.contextmanager
def loading(pingd, record, rate=3000):
    """A steady load, each ping again until it is acknowledged, for as long as the body does things to the servers."""
    command = [BUILD / "pingctl", "load", "--pings", "100000000", "--rate", str(scaled(rate)), "--duration", "3000s", "--retry",
               "--record", record, "--clients", "500"]
    client = subprocess.Popen(processes.tied(command), env={"PINGCTL_ADDRESS": pingd.address, "LC_ALL": "C.UTF-8"}, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    try:
        wait_for("the first pings", lambda: record.exists() and record.stat().st_size > 0)
        yield
        progress(record)
        assert client.poll() is None, "the load ended before the faults did"
    finally:
        client.kill()
        client.wait()


def assert_kept(record, postgres, database):
    """Every acknowledged ping is a row. (The load was killed: its last line may be half of one.)"""
    lines = collections.Counter(record.read_text().rpartition("\n")[0].splitlines())
    kept = collections.Counter(postgres.sql("SELECT host(client_ip) || ' ' || round(extract(epoch FROM pinged_at) * 1000)::bigint FROM pings",
                                            database).splitlines())
    missing = lines - kept
    assert lines and not missing, f"{sum(missing.values())} acknowledged pings are not kept"


def progress(record, more=500):
    """Waits for more acknowledgements."""
    size = record.stat().st_size
    wait_for("pings to be acknowledged again", lambda: record.stat().st_size > size + more * 20)


def test_killed_in_every_state_of_a_publisher_nothing_is_lost_doubled_or_misplaced(make_pair, postgres, kafka, database, tmp_path):  # noqa: F811
    record = tmp_path / "acknowledged"
    pingd = make_pair().start()
    with loading(pingd, record):
        for where in CRASHES:
            pingd.kill()
            pingd.env = {"PING_CRASH_AT": where}
            pingd.spawn()
            assert pingd.wait() == -signal.SIGKILL, where
        pingd.env = {}
        pingd.start()
    kept = agree(postgres, kafka, database)
    assert_kept(record, postgres, database)
    assert pingd.ask("PingCount", {})["pingCount"] == str(kept)


@pytest.mark.parametrize("mode", ["transactional", "outbox"])
def test_servers_that_freeze_and_die_under_load_leave_nothing_in_one_alone(mode, make_pair, postgres, kafka, database, tmp_path):  # noqa: F811
    record, broker = tmp_path / "acknowledged", kafka.brokers[0]
    pingd = make_pair("--publish", mode).start()
    with loading(pingd, record):
        progress(record)
        with broker.frozen():
            time.sleep(14 if mode == "transactional" else 3)  # longer than Kafka lets a transaction be open
        progress(record)
        broker.kill()
        broker.start()
        progress(record)
        postgres.kill()
        postgres.start()
        progress(record)
    agree(postgres, kafka, database)
    assert_kept(record, postgres, database)


BACKLOG = 30_000


def pending(postgres, database):
    return int(postgres.sql("SELECT count(*) FROM pings WHERE position IS NULL", database))


def rows_read_whole(postgres, database):
    """How many rows scans of whole days have read so far."""
    return int(postgres.sql("SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname LIKE 'pings%'", database))


def test_a_backlog_of_an_outbox_drains_while_the_load_goes_on(make_pair, postgres, kafka, database, tmp_path):  # noqa: F811
    """While Kafka is away no ping fails; what piled up is published faster than more comes in, without reading a day for each batch."""
    record, broker = tmp_path / "acknowledged", kafka.brokers[0]
    pingd = make_pair("--publish", "outbox").start()
    with loading(pingd, record):
        progress(record)
        broker.kill()
        wait_for("a backlog", lambda: pending(postgres, database) > scaled(BACKLOG))
        reads = rows_read_whole(postgres, database)
        broker.start()
        counted = []  # each count reads every row once
        wait_for("the backlog to drain", lambda: counted.append(1) or pending(postgres, database) < scaled(BACKLOG) // 10)
        reads = rows_read_whole(postgres, database) - reads
    assert "its pings were told" not in pingd.log()
    kept = agree(postgres, kafka, database)
    assert_kept(record, postgres, database)
    assert reads < (len(counted) + 10) * kept, "batches were published by reading the whole day for each"


ROWS_THERE, PINGS_MORE, READ_A_PING = 20_000, 4_000, 8


def rows_read(postgres, database):
    """How many rows of pings were read so far, by whatever path; how many were given their position."""
    said = postgres.sql("SELECT sum(seq_tup_read) + sum(coalesce(idx_tup_fetch, 0)), sum(n_tup_upd) FROM pg_stat_user_tables"
                        " WHERE relname ~ '^pings($|_p?[0-9])'", database)
    return [int(part) for part in said.split("|")]


@pytest.mark.parametrize("mode", ["transactional", "ordered", "outbox"])
def test_a_batch_costs_the_same_whatever_the_day_holds(mode, make_pair, postgres, kafka, database):  # noqa: F811
    """Also where the planner knows nothing of the table yet: no batch reads more than its own rows."""
    pingd = make_pair("--publish", mode).start()
    postgres.sql(f"INSERT INTO pings (pinged_at) SELECT now() FROM generate_series(1, {ROWS_THERE})", database)
    read, placed = rows_read(postgres, database)
    subprocess.run([BUILD / "pingctl", "load", "--pings", str(PINGS_MORE), "--clients", "50", "--connections", "16", "--streams", "8"],
                   env={"PINGCTL_ADDRESS": pingd.address, "LC_ALL": "C.UTF-8"}, stdout=subprocess.DEVNULL, check=True, timeout=4 * DEADLINE_S)
    if mode != "transactional":  # that one's rows have their position from the start
        wait_for("the statistics to tell of all positions", lambda: rows_read(postgres, database)[1] - placed >= PINGS_MORE)
    assert pingd.stop() == 0
    assert rows_read(postgres, database)[0] - read < READ_A_PING * PINGS_MORE


def test_a_frozen_process_whose_slots_were_taken_publishes_nothing_more(make_pair, postgres, kafka, database, tmp_path):  # noqa: F811
    record = tmp_path / "acknowledged"
    zombie, other = make_pair().start(), make_pair(name="other").start()
    with loading(other, record):
        client = subprocess.Popen(processes.tied([BUILD / "pingctl", "load", "--duration", "3000s", "--clients", "300", "--timeout", "5s"]),
                                  env={"PINGCTL_ADDRESS": zombie.address}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for("the other's pings", lambda: int(other.ask("PingCount", {}).get("pingCount", 0)) > 2000)
            with zombie.frozen():
                wait_for("its slots to be taken", lambda: int(postgres.sql("SELECT max(epoch) FROM publisher_slots", database)) > 1)
            progress(record)
        finally:
            client.kill()
            client.wait()
    zombie.stop()
    agree(postgres, kafka, database)
    assert_kept(record, postgres, database)
