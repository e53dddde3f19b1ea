"""The native engine on Kafka: pings that PostgreSQL keeps and Kafka carries become the same metrics as anywhere else, whoever dies meanwhile."""
import contextlib
import http.client
import time

from conftest import wait_for
from kafka import kafka  # noqa: F401  (fixtures, here and below)
from test_postgres_kafka import agree, assert_kept, database, loading, make_pair, postgres, progress, pytestmark  # noqa: F401

WINDOW_MS = 300_000
# Of a window that any store still keeps.
START_MS = int((time.time() - 7200) * 1000) // WINDOW_MS * WINDOW_MS + 60_000


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


def metrics_agree(pingd, postgres, database):  # noqa: F811
    want = expected(postgres, database)

    def same():
        with contextlib.suppress(OSError, http.client.HTTPException, AssertionError):
            return stored(pingd) == want
        return False
    wait_for("the metrics to be the ledger's", same, 90)
    return want


def test_a_ping_is_seen_in_its_window_day_and_lists(make_pair, postgres, kafka, database):  # noqa: F811
    pingd = make_pair("--store", "sqlite:").start()
    for n in range(6):
        assert pingd.ping(START_MS + n * 1000, client="203.0.113.7")[0] == 200
    assert pingd.ping(START_MS + WINDOW_MS, client="2001:db8::7")[0] == 200
    windows, days = metrics_agree(pingd, postgres, database)
    assert len(windows) == 2 and len(days) == 2
    first = pingd.ask("ListWindowStats", {"clientIp": "203.0.113.7"})["windowStats"][0]
    assert (first["pingCount"], first["avgIntervalMs"]) == ("6", 1000)
    status = pingd.ask("GetPipelineStatus", {})
    assert status["log"] == "kafka" and status["engine"] == "native"
    wait_for("no lag", lambda: int(pingd.ask("GetPipelineStatus", {}).get("lagEvents", 0)) == 0)
    assert pingd.stop() == 0


def test_the_metrics_are_exact_whoever_dies(make_pair, postgres, kafka, database, tmp_path):  # noqa: F811
    record = tmp_path / "acknowledged"
    pingd = make_pair("--store", "sqlite:").start()
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
    metrics_agree(pingd, postgres, database)


def test_each_process_with_a_store_of_its_own_has_all_metrics(make_pair, postgres, kafka, database):  # noqa: F811
    """They don't share the partitions out among them, as engines of one store do."""
    replicas = [make_pair("--store", "sqlite:").start(), make_pair("--store", "sqlite:", name="second").start()]
    for n in range(60):
        assert replicas[n % 2].ping(START_MS + n * 1000, client=f"203.0.113.{n}")[0] == 200
    want = metrics_agree(replicas[0], postgres, database)
    assert len(want[0]) == 60
    assert metrics_agree(replicas[1], postgres, database) == want
