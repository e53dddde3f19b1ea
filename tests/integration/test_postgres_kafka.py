"""pingd on PostgreSQL and Kafka together: what was answered OK is in both, and nothing is in one of them alone."""
import contextlib
import pathlib
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))

from conftest import BUILD, scaled, wait_for
from kafka import kafka  # noqa: F401  (a fixture)
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
    for topic in ("raw-pings", "raw-pings-dead", "ping-publishers"):
        with contextlib.suppress(AssertionError):
            kafka.topics("--delete", "--topic", topic)

    def make(*arguments, **more):
        return make_pingd("--ledger", postgres.url(database), "--log", kafka.url, *arguments, **more)
    return make


def rows(postgres, database):
    """{id: position} of the ledger."""
    said = postgres.sql("SELECT replace(id::text, '-', ''), position FROM pings", database)
    return {line.split("|")[0]: int(line.split("|")[1]) for line in said.splitlines()}


def events(kafka):  # noqa: F811
    """{id: offset} of the committed events; none is there twice."""
    tool = Tool(kafka.addresses)
    try:
        found = [line.split(" ") for line in tool.ok("read", "raw-pings", 6)]
    finally:
        tool.end()
    assert all(line[0] == line[1] for line in found), "an event in another client's partition"
    placed = {line[5]: int(line[2]) for line in found}
    assert len(placed) == len(found), "an event is there twice"
    return placed


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
           "fencing:1", "looking:1", "claiming:30", "publishing:1"]


@contextlib.contextmanager
def loading(pingd, pings, record):
    """Pings, each again until it is acknowledged, whatever the body does to the servers. Afterwards all of them are."""
    command = [BUILD / "pingctl", "load", "--pings", str(pings), "--retry", "--record", record, "--clients", "500"]
    with subprocess.Popen(command, env={"PINGCTL_ADDRESS": pingd.address, "LC_ALL": "C.UTF-8"}, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True) as client:
        try:
            wait_for("the first pings", lambda: record.exists() and record.stat().st_size > 0)
            yield
            assert client.poll() is None, "the load ended before the faults did"
            output = client.communicate(timeout=300)[0]
            assert client.returncode == 0, output
        finally:
            client.kill()
    assert len(record.read_text().splitlines()) == pings


def progress(record, more=500):
    """Waits for more acknowledgements."""
    size = record.stat().st_size
    wait_for("pings to be acknowledged again", lambda: record.stat().st_size > size + more * 20)


def test_killed_in_every_state_of_a_publisher_nothing_is_lost_doubled_or_misplaced(make_pair, postgres, kafka, database, tmp_path):  # noqa: F811
    pings, record = scaled(60_000), tmp_path / "acknowledged"
    pingd = make_pair().start()
    with loading(pingd, pings, record):
        for where in CRASHES:
            pingd.kill()
            pingd.env = {"PING_CRASH_AT": where}
            pingd.spawn()
            assert pingd.wait(40) == -signal.SIGKILL, where
        pingd.env = {}
        pingd.start()
    assert agree(postgres, kafka, database) == pings
    assert pingd.ask("PingCount", {})["pingCount"] == str(pings)


@pytest.mark.parametrize("mode", ["transactional", "outbox"])
def test_servers_that_freeze_and_die_under_load_leave_nothing_in_one_alone(mode, make_pair, postgres, kafka, database, tmp_path):  # noqa: F811
    pings, record, broker = scaled(120_000), tmp_path / "acknowledged", kafka.brokers[0]
    pingd = make_pair("--publish", mode).start()
    with loading(pingd, pings, record):
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
    assert agree(postgres, kafka, database) == pings


def test_a_frozen_process_whose_slots_were_taken_publishes_nothing_more(make_pair, postgres, kafka, database, tmp_path):  # noqa: F811
    pings, record = scaled(100_000), tmp_path / "acknowledged"
    zombie, other = make_pair().start(), make_pair(name="other").start()
    with loading(other, pings, record):
        client = subprocess.Popen([BUILD / "pingctl", "load", "--duration", "40s", "--clients", "300", "--timeout", "5s"],
                                  env={"PINGCTL_ADDRESS": zombie.address}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for("the other's pings", lambda: int(other.ask("PingCount", {}).get("pingCount", 0)) > 2000)
            zombie.signal(signal.SIGSTOP)
            wait_for("its slots to be taken", lambda: int(postgres.sql("SELECT max(epoch) FROM publisher_slots", database)) > 1, 40)
            zombie.signal(signal.SIGCONT)
            progress(record)
        finally:
            client.kill()
            client.wait()
    zombie.stop()
    assert agree(postgres, kafka, database) >= pings
