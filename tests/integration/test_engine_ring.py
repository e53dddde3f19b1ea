"""The same proof as on one node, on a ring of three with every row threefold and quorums, ten times as large: part of the soak."""
import pytest

import cassandra_ring
from conftest import SCALE
from exact_metrics import prove
from kafka import kafka  # noqa: F401  (fixtures, here and below)
from test_engine_kafka import CQL, Store, audit
from test_postgres_kafka import database, make_pair, postgres  # noqa: F401
from test_postgres_kafka import pytestmark as needs_servers

PINGS = int(200_000 * SCALE)  # a million in the soak
pytestmark = [*needs_servers, pytest.mark.timeout(7200), pytest.mark.skipif(SCALE <= 1, reason="part of make soak"),
              pytest.mark.skipif(not CQL.exists(), reason="pingd was built without ScyllaDB: `make drivers` (drivers/README.md)")]


@pytest.fixture
def ring(tmp_path_factory):
    with cassandra_ring.running(tmp_path_factory.mktemp("ring"), count=3, lasting=True) as nodes:
        yield nodes


def test_a_million_pings_leave_every_row_exact_whoever_dies(ring, make_pair, postgres, kafka, database, tmp_path):  # noqa: F811
    store = Store(ring.url("metrics"), ring, "metrics")
    with ring.session() as session:
        api, _ = prove(make_pair, postgres, kafka, database, store, tmp_path, pings=PINGS, rate=2000, patience=600)
        [row] = session.execute("SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = 'metrics'")
        assert row.replication["datacenter1"] == "3", row
    kinds = audit(api, store, 0)["kinds"]
    assert all(kinds[kind]["checked"] > 0 and kinds[kind]["differences"] == 0 for kind in ("windows", "days", "counters", "clients"))
