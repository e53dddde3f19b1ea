"""The native engine on Kafka: pings that PostgreSQL keeps and Kafka carries become the same metrics as anywhere else, whoever dies meanwhile."""
import contextlib
import http.client
import json
import re
import threading
import time

import pytest

import cql_proxy
from cassandra_ring import cassandra  # noqa: F401  (fixtures, here and below)
from conftest import BUILD, SCALE, wait_for
from exact_metrics import prove
from kafka import kafka  # noqa: F401
from test_kafka_reader import remove_events
from test_postgres_kafka import agree, assert_kept, database, loading, make_pair, postgres, progress, pytestmark  # noqa: F401

WINDOW_MS, PARTITIONS = 300_000, 6
# Of a window that any store still keeps.
START_MS = int((time.time() - 7200) * 1000) // WINDOW_MS * WINDOW_MS + 60_000


CQL = BUILD / "tests" / "unit" / "cql" / "test-cassandra-rules"


class Store:
    """Where the metrics lie: `argument` names it to pingd."""

    def __init__(self, argument, cassandra=None, keyspace=None):  # noqa: F811
        self.arguments, self.cassandra, self.keyspace = ("--store", argument), cassandra, keyspace

    def counters(self):
        """{(client, day): total} of the RFC's counter; None: this store has no such thing."""
        if self.cassandra is None:
            return None
        with self.cassandra.session(self.keyspace) as session:
            return {(row.client_ip, str(row.day)): row.total_pings
                    for row in session.execute("SELECT client_ip, day, total_pings FROM daily_stats") if row.total_pings}


@pytest.fixture(params=["sqlite", "scylla"])
def store(request):
    """Each engine that tests start shares it, or, embedded, has one of its own."""
    if request.param == "sqlite":
        return Store("sqlite:")
    if not CQL.exists():
        pytest.skip("pingd was built without ScyllaDB: `make drivers` (drivers/README.md)")
    ring, keyspace = request.getfixturevalue("cassandra"), f"metrics{int(time.monotonic() * 1e6)}"
    return Store(ring.url(keyspace), ring, keyspace)


def pages(pingd, method, message, name):
    token = ""
    while True:
        answer = pingd.ask(method, {**message, "pageSize": 1000, "pageToken": token})
        yield from answer.get(name, [])
        token = answer.get("nextPageToken", "")
        if not token:
            return


def stored(pingd):
    """{(client, window's start): (count, first, last)}, {(client, day): total}"""
    windows, days = {}, {}
    for client in [row["clientIp"] for row in pages(pingd, "ListClients", {}, "clients")]:
        for row in pages(pingd, "ListWindowStats", {"clientIp": client}, "windowStats"):
            windows[client, int(row["windowStartMs"])] = (int(row["pingCount"]), int(row["firstPingMs"]), int(row["lastPingMs"]))
        for row in pages(pingd, "ListDailyStats", {"clientIp": client}, "dailyStats"):
            days[client, row["day"]] = int(row["totalPings"])
    return windows, days


def expected(postgres, database):  # noqa: F811
    """The same, of the ledger's rows."""
    pinged = "(extract(epoch FROM pinged_at) * 1000)::bigint"
    windows = postgres.sql(f"SELECT host(client_ip), {pinged} / {WINDOW_MS} * {WINDOW_MS}, count(*), min({pinged}), max({pinged}) FROM pings"
                           " GROUP BY 1, 2", database)
    days = postgres.sql("SELECT host(client_ip), to_char(pinged_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), count(*) FROM pings GROUP BY 1, 2",
                        database)
    rows = [line.split("|") for line in windows.splitlines()]
    return ({(client, int(start)): (int(count), int(first), int(last)) for client, start, count, first, last in rows},
            {(client, day): int(count) for client, day, count in (line.split("|") for line in days.splitlines())})


def metrics_agree(pingd, postgres, database, store):  # noqa: F811
    """Waits until every row is what SQL makes of the ledger, and every counter its day's total. The ledger may be given a last batch meanwhile."""
    last, want = {}, None

    def same():
        nonlocal want
        want = expected(postgres, database)
        with contextlib.suppress(OSError, http.client.HTTPException, AssertionError):
            last["rows"], last["counters"] = stored(pingd), store.counters()
            return last["rows"] == want and last["counters"] in (None, want[1])
        return False
    try:
        wait_for("the metrics to be the ledger's", same, 180)
    except pytest.fail.Exception as why:
        pytest.fail(f"{why}\n{differences(want, last)}")
    return want


def differences(want, last):
    if not last:
        return "the store could not be read"
    pairs = [("window", want[0], last["rows"][0]), ("day", want[1], last["rows"][1])]
    pairs += [("counter", want[1], last["counters"])] if last["counters"] is not None else []
    lines = [f"{kind} {key}: {found.get(key)}, and should be {wanted.get(key)}"
             for kind, wanted, found in pairs for key in sorted(wanted.keys() | found.keys()) if wanted.get(key) != found.get(key)]
    return f"{len(lines)} differ, as " + "\n".join(lines[:20])


def test_a_ping_is_seen_in_its_window_day_and_lists(store, make_pair, postgres, kafka, database):  # noqa: F811
    pingd = make_pair(*store.arguments).start()
    for n in range(6):
        assert pingd.ping(START_MS + n * 1000, client="203.0.113.7")[0] == 200
    assert pingd.ping(START_MS + WINDOW_MS, client="2001:db8::7")[0] == 200
    windows, days = metrics_agree(pingd, postgres, database, store)
    assert len(windows) == 2 and len(days) == 2
    first = pingd.ask("ListWindowStats", {"clientIp": "203.0.113.7"})["windowStats"][0]
    assert (first["pingCount"], first["avgIntervalMs"]) == ("6", 1000)
    status = pingd.ask("GetPipelineStatus", {})
    assert status["log"] == "kafka" and status["engine"] == "native"
    wait_for("no lag", lambda: int(pingd.ask("GetPipelineStatus", {}).get("lagEvents", 0)) == 0)
    figures = pingd.ask("GetPipelineStatus", {})["engineFigures"]
    assert len(figures["partitions"]) == PARTITIONS and figures["rebalancedPartitions"] == str(PARTITIONS)
    assert sum(int(one.get("appliedEvents", 0)) for one in figures["partitions"]) == 7
    assert 0 < figures["cacheHitRatio"] < 1 and figures["rowsPerFlush"] > 0 and figures["storeReadMs"] > 0 and figures["storeWriteMs"] > 0
    scraped = pingd.get("/metrics")[1].decode()
    assert sum(float(value) for value in re.findall(r"^ping_engine_partition_applied_events_total\{.*\} (.+)$", scraped, re.M)) == 7
    assert float(re.search(r'^ping_store_call_seconds_count\{call="write"\} (.+)$', scraped, re.M)[1]) > 0
    assert pingd.stop() == 0


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)  # and ScyllaDB: a fleet's day, below
def test_the_metrics_are_exact_whoever_dies(store, make_pair, postgres, kafka, database, tmp_path):  # noqa: F811
    record = tmp_path / "acknowledged"
    pingd = make_pair(*store.arguments).start()
    with loading(pingd, record):
        for _ in range(3):
            progress(record, 2000)
            pingd.kill()
            pingd.start()
        kafka.brokers[0].kill()
        kafka.brokers[0].start()
        progress(record, 2000)
    agree(postgres, kafka, database)
    assert_kept(record, postgres, database)
    metrics_agree(pingd, postgres, database, store)


def test_each_process_with_a_store_of_its_own_has_all_metrics(store, make_pair, postgres, kafka, database):  # noqa: F811
    """They don't share the partitions out among them, as engines of one store do."""
    replicas = [make_pair(*store.arguments).start(), make_pair(*store.arguments, name="second").start()]
    for n in range(60):
        assert replicas[n % 2].ping(START_MS + n * 1000, client=f"203.0.113.{n}")[0] == 200
    want = metrics_agree(replicas[0], postgres, database, store)
    assert len(want[0]) == 60
    assert metrics_agree(replicas[1], postgres, database, store) == want


def owners(store):
    """{partition: who fills it}"""
    with store.cassandra.session(store.keyspace) as session:
        return {row.writer: row.owner for row in session.execute("SELECT writer, owner FROM engine_writers") if row.owner}


def shared_by(store, engines):
    """Waits until each partition is some engine's, and as many engines have some; who they are."""
    def found():
        with contextlib.suppress(Exception):  # no tables yet
            who = owners(store)
            return len(who) == PARTITIONS and len(set(who.values())) == engines and set(who.values())
        return None
    return wait_for(f"{engines} engines to share the partitions", found)


FLEET_PINGS = int(100_000 * min(1, SCALE))  # in the soak a million on a ring: test_engine_ring.py


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("store", ["scylla"], indirect=True)
def test_a_fleets_day_leaves_every_row_exact_whoever_dies(store, make_pair, postgres, kafka, database, tmp_path):  # noqa: F811
    """Two engines hand each other their partitions: they are killed ten times, stopped, and frozen until the other has all, and go on; so are
    Cassandra and the broker killed, and positions go back."""
    api, _ = prove(make_pair, postgres, kafka, database, store, tmp_path, pings=FLEET_PINGS, rate=2000, patience=180)
    agree(postgres, kafka, database)
    assert_kept(tmp_path / "acknowledged", postgres, database)
    kinds = audit(api, store, 0)["kinds"]
    assert all(kinds[kind]["checked"] > 0 and kinds[kind]["differences"] == 0 for kind in ("windows", "days", "counters", "clients"))


@pytest.mark.parametrize("store", ["scylla"], indirect=True)
def test_a_store_that_is_away_for_a_while_stops_no_ping_and_is_caught_up(store, make_pair, postgres, kafka, database, tmp_path):  # noqa: F811
    record, node = tmp_path / "acknowledged", store.cassandra.nodes[0]
    pingd = make_pair(*store.arguments).start()

    def health(name):
        return next(d for d in pingd.ask("GetPipelineStatus", {})["dependencies"] if d["name"] == name)["state"].removeprefix("DEPENDENCY_STATE_")
    with loading(pingd, record):
        wait_for("the first rows", lambda: pingd.call("ListClients", {})[1].get("clients"))
        node.kill()
        wait_for("queries to be unavailable", lambda: pingd.call("ListClients", {})[1].get("code") == "unavailable")
        wait_for("the engine to wait", lambda: health("engine") == "DEGRADED")
        progress(record, 2000)
        node.start()
        wait_for("the engine to go on", lambda: health("engine") == "OK")
        wait_for("queries to be answered", lambda: pingd.call("ListClients", {})[0] == 200)
        progress(record)
    agree(postgres, kafka, database)
    metrics_agree(pingd, postgres, database, store)


COUNTERS_HARMED, REQUEST_TIMEOUT_MS = 4, 2000


@pytest.mark.parametrize("store", ["scylla"], indirect=True)
def test_writes_of_counters_whose_outcome_is_unknown_leave_them_exact(store, make_pair, postgres, kafka, database, tmp_path):  # noqa: F811
    """Some were carried out and their answers lost, some never were, some are when the engine has long read the counter again."""
    record, ring = tmp_path / "acknowledged", store.cassandra
    node = ring.nodes[0].address, ring.port
    with cql_proxy.running(node, every=193, late_s=REQUEST_TIMEOUT_MS / 1000 * 2) as proxy:
        url = ring.url(store.keyspace, timeout=REQUEST_TIMEOUT_MS).replace("%s:%d" % node, f"127.0.0.1:{proxy.port}")
        pingd = make_pair("--store", url).start()
        with loading(pingd, record):
            wait_for("enough writes to be harmed", lambda: min(proxy.harmed[kind] for kind in ("lost", "late", "cut")) >= COUNTERS_HARMED, 300)
        proxy.harms = False
        agree(postgres, kafka, database)
        metrics_agree(pingd, postgres, database, store)
        assert pingd.stop() == 0


def audit(pingd, store, exit_code):
    done = pingd.ctl("audit", "--json", *pingd.arguments[:4], *store.arguments, check=False)
    assert done.returncode == exit_code, f"audit ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout)


@pytest.mark.parametrize("store", ["scylla"], indirect=True)
def test_the_audit_finds_what_is_wrong_in_the_metrics_and_nothing_while_pings_pour_in(store, make_pair, postgres, kafka, database, tmp_path):  # noqa: F811
    record = tmp_path / "acknowledged"
    pingd = make_pair(*store.arguments).start()
    with loading(pingd, record):
        wait_for("the first rows", lambda: pingd.call("ListClients", {})[1].get("clients"))
        for _ in range(2):
            progress(record, 2000)
            kinds = audit(pingd, store, 0)["kinds"]
            assert all(kinds[kind]["checked"] > 0 for kind in ("windows", "days", "counters", "clients"))
    agree(postgres, kafka, database)
    windows, days = metrics_agree(pingd, postgres, database, store)
    assert pingd.stop() == 0
    (client, start), (gone, day), (counted, counted_day) = sorted(windows)[0], sorted(days)[1], sorted(days)[2]
    later_us = int((time.time() + 3600) * 1e6)
    with store.cassandra.session(store.keyspace) as session:
        session.execute(f"UPDATE window_stats USING TIMESTAMP {later_us} SET ping_count = 99999 WHERE client_ip = '{client}' AND window_start = {start}")
        session.execute(f"DELETE FROM daily_totals USING TIMESTAMP {later_us} WHERE client_ip = '{gone}' AND day = '{day}'")
        session.execute(f"UPDATE daily_stats SET total_pings = total_pings + 5 WHERE client_ip = '{counted}' AND day = '{counted_day}'")
        session.execute("INSERT INTO window_stats (client_ip, window_start, window_end, ping_count, first_ping, last_ping, position)"
                        f" VALUES ('203.0.113.99', {start}, {start + WINDOW_MS}, 1, {start}, {start}, 0)")
    report = audit(pingd, store, 1)
    found = {kind: numbers["differences"] for kind, numbers in report["kinds"].items() if numbers["differences"]}
    assert found == {"windows": 2, "days": 1, "counters": 1}, report
    said = "\n".join(report["examples"])
    assert all(word in said for word in (client, gone, counted, "203.0.113.99", "99999", "store nothing")), said


def newest_write_us(session):
    """When the newest row of the metrics was written, as its timestamp says: the engine's may be ahead of the clock, by what it has reserved."""
    return max(session.execute(f"SELECT max(writetime({column})) AS us FROM {table}").one().us or 0
               for table, column in (("window_stats", "ping_count"), ("daily_totals", "total"), ("clients", "first_ping")))


def damage(store, windows, days):
    """By hand, under a running engine: wrong, missing and too many rows of each kind. Whose they are."""
    clients = sorted({client for client, _ in windows})
    wrong, missing, more, counted, unknown, listed = clients[:6]

    def first(client):
        return min(start for one, start in windows if one == client), min(day for one, day in days if one == client)
    with store.cassandra.session(store.keyspace) as session:
        def run(text):
            session.execute(text)
        wait_for("a hand's writes to be newer than the engine's", lambda: newest_write_us(session) < time.time() * 1e6)
        start, day = first(wrong)
        run(f"UPDATE window_stats SET ping_count = 99999, avg_interval_ms = 1 WHERE client_ip = '{wrong}' AND window_start = {start}")
        run(f"UPDATE daily_totals SET total = 99999 WHERE client_ip = '{wrong}' AND day = '{day}'")
        start, day = first(missing)
        run(f"DELETE FROM window_stats WHERE client_ip = '{missing}' AND window_start = {start}")
        run(f"DELETE FROM daily_totals WHERE client_ip = '{missing}' AND day = '{day}'")
        for client, at in ((more, START_MS // WINDOW_MS * WINDOW_MS - 12 * WINDOW_MS), ("203.0.113.99", first(more)[0])):
            run("INSERT INTO window_stats (client_ip, window_start, window_end, ping_count, first_ping, last_ping, position)"
                f" VALUES ('{client}', {at}, {at + WINDOW_MS}, 3, {at}, {at + 2}, 0)")
        run(f"INSERT INTO daily_totals (client_ip, day, total, position) VALUES ('{more}', '2024-10-14', 3, 0)")
        run(f"UPDATE daily_stats SET total_pings = total_pings + 3 WHERE client_ip = '{more}' AND day = '2024-10-14'")
        run(f"UPDATE daily_stats SET total_pings = total_pings + 5 WHERE client_ip = '{counted}' AND day = '{first(counted)[1]}'")
        for row in session.execute("SELECT shard, list, rank, address, client_ip FROM clients"):
            where = f"WHERE shard = {row.shard} AND list = {row.list} AND rank = {row.rank} AND address = 0x{row.address.hex()}"
            if row.list == 0 and row.client_ip == unknown:
                run(f"DELETE FROM clients {where}")
            if row.list == 0 and row.client_ip == listed:
                run(f"UPDATE clients SET first_ping = 5 {where}")
    return wrong, missing, more, counted, unknown, listed


def metric(pingd, name):
    return float(re.search(rf"^{re.escape(name)} (\S+)$", pingd.get("/metrics")[1].decode(), re.M)[1])


def rebuild(pingd, store, *what, exit_code=0):
    """What `pingctl rebuild` says of itself: (its result, the audit at its end; None without one)."""
    done = pingd.ctl("rebuild", "--json", *what, *pingd.arguments[:4], *store.arguments, check=False)
    assert done.returncode == exit_code, f"rebuild ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return lines[0], lines[1] if len(lines) > 1 else None


@pytest.mark.parametrize("store", ["scylla"], indirect=True)
def test_a_rebuild_puts_right_what_was_damaged_by_hand_while_pings_pour_in(store, make_pair, postgres, kafka, database, tmp_path):  # noqa: F811
    record = tmp_path / "acknowledged"
    pingd = make_pair(*store.arguments).start()
    with loading(pingd, record):
        wait_for("the first rows", lambda: pingd.call("ListClients", {})[1].get("clients"))
        progress(record, 2000)
    agree(postgres, kafka, database)
    windows, days = metrics_agree(pingd, postgres, database, store)
    wrong, missing, *_ = damage(store, windows, days)
    assert audit(pingd, store, 1)["differences"] >= 9
    # One client, then a day of one: the others stay as they are.
    result, found = rebuild(pingd, store, "--client", wrong, exit_code=1)
    assert (result["partitions"], result["done"], result["clients"]) == (1, 1, 1) and result["corrected"] >= 2
    said = "\n".join(found["examples"])
    assert f"client {wrong}," not in said and f"client {missing}," in said
    day = min(day for client, day in days if client == missing)
    result, nothing = rebuild(pingd, store, "--client", missing, "--day", day, "--no-audit")
    assert result["corrected"] >= 2 and nothing is None
    with loading(pingd, record):
        result, found = rebuild(pingd, store, "--all")
        assert result["partitions"] == result["done"] == PARTITIONS and result["corrected"] >= 3  # what pings touched is right already
        assert found["differences"] == 0
    agree(postgres, kafka, database)
    metrics_agree(pingd, postgres, database, store)
    assert audit(pingd, store, 0)["differences"] == 0
    assert "metrics were rebuilt" in pingd.log()
    again, _ = rebuild(pingd, store, "--all", "--no-audit")
    assert again["corrected"] == 0 and again["clients"] >= 500
    # What the engine tells of itself settles at the end of its step.
    wait_for("the passes to be in /metrics", lambda: metric(pingd, 'ping_rebuild_passes_total{outcome="done"}') == 2 + 2 * PARTITIONS)
    assert metric(pingd, "ping_rebuild_running") == 0
    assert metric(pingd, "ping_rebuild_written_rows_total") > metric(pingd, "ping_rebuild_corrected_rows_total") >= 7


def requests(store):
    """{partition: state} of what is asked for; none while the store is too busy to say."""
    with contextlib.suppress(Exception), store.cassandra.session(store.keyspace) as session:
        return {row.partition: row.state for row in session.execute("SELECT partition, state FROM rebuild_requests")}
    return {}


@pytest.mark.parametrize("store", ["scylla"], indirect=True)
def test_what_was_asked_for_is_carried_out_whoever_dies(store, make_pair, postgres, kafka, database, tmp_path):  # noqa: F811
    """Nobody runs when it is asked for; who begins it is killed; of the next two one is frozen in the middle and goes on later."""
    record = tmp_path / "acknowledged"
    api = make_pair(*store.arguments, "--roles", "api").start()
    first, second = (make_pair(*store.arguments, "--roles", "stream", name=name) for name in ("first", "second"))
    first.start()
    with loading(api, record):
        shared_by(store, 1)
        progress(record, 2000)
    agree(postgres, kafka, database)
    windows, days = metrics_agree(api, postgres, database, store)
    first.kill()
    damage(store, windows, days)
    rebuild(api, store, "--all", "--no-wait")
    assert set(wait_for("the requests", lambda: requests(store)).values()) == {0}
    first.start()
    wait_for("the rebuild to begin", lambda: any(requests(store).values()))
    first.kill()
    with loading(api, record):
        first.start()
        second.start()
        with second.frozen():
            shared_by(store, 1)
            wait_for("all of it to be done", lambda: set(requests(store).values()) == {2})
        progress(record)
    agree(postgres, kafka, database)
    metrics_agree(api, postgres, database, store)
    assert audit(api, store, 0)["differences"] == 0


@pytest.mark.parametrize("store", ["scylla"], indirect=True)
def test_what_kafka_no_longer_holds_stops_the_engine_and_is_rebuilt_from_the_ledger(store, make_pair, postgres, kafka, database, tmp_path):  # noqa: F811
    """The engine was away for longer than Kafka keeps events; the way out is what it says."""
    record = tmp_path / "acknowledged"
    api = make_pair(*store.arguments, "--roles", "api").start()
    engine = make_pair(*store.arguments, "--roles", "stream", name="engine").start()
    with loading(api, record):
        shared_by(store, 1)
        wait_for("the first rows", lambda: api.call("ListClients", {})[1].get("clients"))
        assert engine.stop() == 0
        progress(record, 2000)
        remove_events(kafka, tmp_path)
        progress(record)
        engine.spawn()
        wait_for("the engine to stop and say why", lambda: "state=stopped" in engine.log() and "removed (retention)" in engine.log())
        assert "pingctl rebuild --all --no-wait, then start this engine again" in engine.log()
        rebuild(api, store, "--all", "--no-wait")
        assert engine.stop() == 0
        engine.start()
        wait_for("all of it to be done", lambda: set(requests(store).values()) == {2})
    assert api.stop() == 0  # nothing is on its way then: what Kafka has cannot be compared here
    api.start()
    metrics_agree(api, postgres, database, store)
    assert audit(api, store, 0)["differences"] == 0


def make_tables_by_hand(store, counts, counters):
    """Keyspace and tables as the RFC has them, filled by somebody who kept no positions."""
    window, day = START_MS // WINDOW_MS * WINDOW_MS, time.strftime("%Y-%m-%d", time.gmtime(START_MS / 1000))
    with store.cassandra.session() as session:
        session.execute(f"CREATE KEYSPACE {store.keyspace} WITH replication = {{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}}")
        session.set_keyspace(store.keyspace)
        session.execute("CREATE TABLE window_stats (client_ip text, window_start timestamp, window_end timestamp, ping_count int, avg_interval_ms double,"
                        " PRIMARY KEY ((client_ip), window_start)) WITH CLUSTERING ORDER BY (window_start DESC)")
        session.execute("CREATE TABLE daily_stats (client_ip text, day date, total_pings counter, PRIMARY KEY ((client_ip), day))"
                        " WITH CLUSTERING ORDER BY (day DESC)")
        for client, count in counts.items():
            session.execute("INSERT INTO window_stats (client_ip, window_start, window_end, ping_count, avg_interval_ms)"
                            f" VALUES ('{client}', {window}, {window + WINDOW_MS}, {count}, 1000)")
        for client, count in counters.items():
            session.execute(f"UPDATE daily_stats SET total_pings = total_pings + {count} WHERE client_ip = '{client}' AND day = '{day}'")


@pytest.mark.parametrize("store", ["scylla"], indirect=True)
def test_tables_filled_by_hand_keep_what_neither_kafka_nor_postgres_holds_and_nothing_is_doubled(
        store, make_pair, postgres, kafka, database, tmp_path):  # noqa: F811
    partly, gone, missed, whole, unknown = clients = [f"203.0.113.{n}" for n in range(1, 6)]
    everywhere = [f"198.51.100.{n}" for n in range(60)]  # so that each partition has events
    sent = 0

    def ping(pingd, client, count=1):
        nonlocal sent
        for _ in range(count):
            sent += 1
            assert pingd.ping(START_MS + sent, client=client)[0] == 200

    def found(pingd):
        windows, days = stored(pingd)
        assert store.counters() == days
        return [windows[client, START_MS // WINDOW_MS * WINDOW_MS][0] for client in clients], [
            sum(total for (one, _), total in days.items() if one == client) for client in clients]
    api = make_pair("--roles", "api").start()
    for client, count in {partly: 3, gone: 5, missed: 5, **dict.fromkeys(everywhere, 1)}.items():
        ping(api, client, count)
    remove_events(kafka, tmp_path)
    for client, count in {partly: 4, missed: 2, whole: 6, **dict.fromkeys(everywhere, 1)}.items():
        ping(api, client, count)
    assert api.stop() == 0
    counts = {partly: 10, gone: 5, missed: 3, whole: 6, unknown: 9}
    make_tables_by_hand(store, counts, {**counts, unknown: 12})

    pingd = make_pair(*store.arguments, name="all").start()
    wait_for("the migration", lambda: "put aside until the log is read: 5 of windows, 5 of days" in pingd.log())

    with store.cassandra.session(store.keyspace) as session:
        wait_for("what was there to be merged",
                 lambda: len(list(session.execute("SELECT partition FROM inherited_partitions"))) == 1 + PARTITIONS, 180)
    assert found(pingd) == ([10, 5, 3, 6, 9], [10, 5, 3, 6, 12])
    rebuild(pingd, store, "--all", "--no-audit")  # PostgreSQL has what Kafka had once
    assert found(pingd) == ([10, 5, 7, 6, 9], [10, 5, 7, 6, 12])
    assert audit(pingd, store, 0)["differences"] == 0
    ping(pingd, partly)
    ping(pingd, unknown)
    wait_for("late pings to be counted", lambda: stored(pingd)[0][unknown, START_MS // WINDOW_MS * WINDOW_MS][0] == 10)
    wait_for("counters to follow", lambda: store.counters() == stored(pingd)[1])
    assert found(pingd) == ([11, 5, 7, 6, 10], [11, 5, 7, 6, 13])
    assert audit(pingd, store, 0)["differences"] == 0
    assert pingd.stop() == 0


class Watcher:
    """Follows WatchWindowStats in its own thread: the newest row of each window that it was told."""

    def __init__(self, pingd, *clients):
        self.rows, self.messages, self.error = {}, 0, None
        self.connection = http.client.HTTPConnection("127.0.0.1", pingd.port, timeout=300)
        body = json.dumps({"clientIps": clients}).encode()
        self.connection.request("POST", "/ping.v1.MetricsService/WatchWindowStats", b"\0" + len(body).to_bytes(4, "big") + body,
                                {"Content-Type": "application/connect+json"})
        self.answer = self.connection.getresponse()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()
        wait_for("the watch to begin", lambda: self.messages or self.error)

    def read(self):
        with contextlib.suppress(OSError, ValueError, AttributeError, http.client.HTTPException):  # the test closes it
            while len(head := self.answer.read(5)) == 5:
                message = json.loads(self.answer.read(int.from_bytes(head[1:], "big")))
                if head[0] & 2:
                    self.error = message
                    return
                for row in message.get("windowStats", []):
                    key = row["clientIp"], int(row["windowStartMs"])
                    if int(row["pingCount"]) < self.rows.get(key, 0):
                        self.error = f"an older row came behind a newer one: {row}"
                    self.rows[key] = int(row["pingCount"])
                self.messages += 1

    def close(self):
        self.connection.close()


def health(pingd):
    with contextlib.closing(pingd.connect()) as connection:
        connection.request("POST", "/grpc.health.v1.Health/List", "{}", {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())["statuses"]


def watch_once_it_can(pingd):
    """Who comes before the store is there is told to watch anew."""
    def told():
        watcher = Watcher(pingd)
        pingd.ping(START_MS, client="198.51.100.1")
        wait_for("a row or the end", lambda: watcher.rows or watcher.error)
        return watcher.error is None and watcher
    return wait_for("a watch", told)


@pytest.mark.parametrize("store", ["scylla"], indirect=True)
def test_who_watches_one_process_hears_of_what_an_engine_in_another_writes(store, make_pingd, make_pair, postgres, kafka, database):  # noqa: F811
    """The engine is killed in between. Whoever came before a change was written is told of it. An engine alone needs no ledger."""
    engine = make_pingd("--log", kafka.url, *store.arguments, "--roles", "stream", name="engine").start()
    assert 'msg="without a ledger' in engine.log()
    api = make_pair(*store.arguments, "--roles", "api", name="api").start()
    wait_for("the engine alone to serve, without an API", lambda: health(engine) == {"": {"status": "SERVING"}})
    everybody = watch_once_it_can(api)
    wait_for("the metrics to be served", lambda: health(api)["ping.v1.MetricsService"] == {"status": "SERVING"})
    one = Watcher(api, "203.0.113.7")
    for n in range(60):
        assert api.ping(START_MS + n * 1000, client=f"203.0.113.{n % 20}")[0] == 200
    want = {key: row[0] for key, row in expected(postgres, database)[0].items()}
    wait_for("all windows to be told", lambda: everybody.rows == want, 120)
    mine = {key: count for key, count in want.items() if key[0] == "203.0.113.7"}
    wait_for("its own windows to be told", lambda: one.rows == mine)
    engine.kill()
    for n in range(200):
        assert api.ping(START_MS + n * 700, client=f"203.0.113.{n % 20}")[0] == 200
    late = Watcher(api)  # behind the pings, before their rows
    engine.start()
    changed = {key for key in want if key[0] != "198.51.100.1"}
    want = {key: row[0] for key, row in expected(postgres, database)[0].items()}
    wait_for("what came meanwhile to be told", lambda: everybody.rows == want and late.rows == {key: want[key] for key in changed}, 180)
    assert everybody.error is None and one.error is None and late.error is None
    for watcher in (everybody, one, late):
        watcher.close()
    assert api.stop() == 0
