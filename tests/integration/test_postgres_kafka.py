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


def load(pingd, seconds, *arguments):
    """Pings from many clients; does not end when pingd does. The process."""
    return subprocess.Popen([BUILD / "pingctl", "load", "--duration", f"{seconds}s", "--json", *arguments],
                            env={"PINGCTL_ADDRESS": pingd.address, "LC_ALL": "C.UTF-8"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True)


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
