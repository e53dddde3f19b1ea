"""The rows of the metrics in Cassandra, whole: as the tables have them, and as SQL's plain counting makes them of a log's events."""
import contextlib
import random
import threading
import time

WINDOW_MS, DAY_MS, HOUR_MS = 300_000, 86_400_000, 3_600_000


def time_text(ms):
    """As pingd writes it: RFC 3339, no trailing zeros."""
    seconds, fraction = divmod(ms, 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{fraction:03}".rstrip("0").rstrip(".") + "Z"


def milliseconds(moment):
    return None if moment is None else round((moment - moment.__class__(1970, 1, 1)).total_seconds() * 1000)


def plain(value):
    """Moments and days in milliseconds, so that rows can be compared and read."""
    if hasattr(value, "days_from_epoch"):
        return value.days_from_epoch * DAY_MS
    return milliseconds(value) if hasattr(value, "tzinfo") else value


# Table: its key's columns, and those that say when a row was written and not what of.
TABLES = {"window_stats": (("client_ip", "window_start"), ()), "daily_totals": (("client_ip", "day"), ()), "daily_stats": (("client_ip", "day"), ()),
          "clients": (("address",), ("shard", "list", "rank")), "activity_24h": (("client_ip",), ("since",))}
PARTITION_KEYS = {"clients": "shard", "activity_due": "partition, bucket"}  # of others client_ip
RANGES, RANGES_AT_ONCE = 64, 8


def scan(session, table, columns="*"):
    """Every row, by ranges of tokens, several at once."""
    from cassandra.concurrent import execute_concurrent_with_args
    token = f"token({PARTITION_KEYS.get(table, 'client_ip')})"
    edges = [-2**63 + 2**64 * number // RANGES for number in range(RANGES)] + [2**63 - 1]
    statement = session.prepare(f"SELECT {columns} FROM {table} WHERE {token} > ? AND {token} <= ?")
    for _, rows in execute_concurrent_with_args(session, statement, list(zip(edges, edges[1:])), concurrency=RANGES_AT_ONCE):
        yield from rows


def stored(session):
    """{table: {key: {column: value}}}. Of clients only what a client's row says: places in lists may be left behind, and are belied by it."""
    found = {}
    for table, (key, others) in TABLES.items():
        rows = {}
        for row in scan(session, table):
            values = {name: plain(value) for name, value in row._asdict().items()}
            for name in ("kept_count", "kept"):  # of rows that somebody else had begun: here is none
                if values.get(name) is None:
                    values.pop(name, None)
            if values.get("list", 0) == 0:
                rows[tuple(values[name] for name in key)] = {name: value for name, value in values.items() if name not in (*key, *others)}
        found[table] = rows
    return found


def differences(want, found):
    """What differs, table by table, in words: column for column."""
    lines = []
    for table in want:
        for key in want[table].keys() | found[table].keys():
            wanted, is_there = want[table].get(key), found[table].get(key)
            if wanted != is_there:
                lines.append(f"{table} {key}: is {is_there}, should be {wanted}")
    return lines


def expected(events, now_ms, retention_ms=90 * DAY_MS):
    """The same of (client, ms, position) in the order of the log: windows, days and counters, and the ends of each client's life."""
    windows, days, clients = {}, {}, {}
    for client, ms, position in events:
        first, last = clients.get(client, (ms, ms))
        clients[client] = (min(first, ms), max(last, ms))
        day = days.setdefault((client, ms // DAY_MS * DAY_MS), {"total": 0})
        day.update(total=day["total"] + 1, position=position)
        start = ms // WINDOW_MS * WINDOW_MS
        if start + WINDOW_MS > now_ms - retention_ms + HOUR_MS:
            row = windows.setdefault((client, start), {"ping_count": 0, "first_ping": ms, "last_ping": ms})
            row.update(ping_count=row["ping_count"] + 1, first_ping=min(row["first_ping"], ms), last_ping=max(row["last_ping"], ms), position=position)
    for (_, start), row in windows.items():
        count, spread = row["ping_count"], row["last_ping"] - row["first_ping"]
        row.update(window_end=start + WINDOW_MS, avg_interval_ms=spread / (count - 1) if count > 1 else None)
    return {"window_stats": windows, "daily_totals": days, "daily_stats": {key: {"total_pings": row["total"]} for key, row in days.items()}}, clients


def check_lives(session, rows, retention_ms=90 * DAY_MS):
    """Windows live by event time, whenever they were written."""
    now_ms = int(time.time() * 1000)
    for row in scan(session, "window_stats", "client_ip, window_start, window_end, ttl(ping_count) AS left"):
        left_s = (milliseconds(row.window_end) + retention_ms - now_ms) // 1000
        assert abs(row.left - left_s) < 120, (row, left_s)
    assert rows["window_stats"], "no window is there"


def check_activities(session, rows):
    """Each client's rolling 24 hours are its windows' that they cover; its row, its place in the list and its due say the same."""
    listed, dues = set(), set()
    for row in scan(session, "clients", "list, rank, address"):
        listed.add((row.list, row.address, -row.rank))
    for row in scan(session, "activity_due", "due, address"):
        dues.add((row.address, milliseconds(row.due)))
    since = {row.client_ip: milliseconds(row.since) for row in scan(session, "activity_24h", "client_ip, since")}
    windows = {}
    for (client, start), row in rows["window_stats"].items():
        windows.setdefault(client, {})[start] = row
    for (address,), client in rows["clients"].items():
        name, activity = client["client_ip"], rows["activity_24h"].get((client["client_ip"],))
        assert (1, address, client["last_ping"]) in listed, client
        if activity is None:
            assert client["ping_count"] is None, client
            continue
        inside = {s: row for s, row in windows.get(name, {}).items() if since[name] <= s < since[name] + DAY_MS}
        assert inside and activity["ping_count"] == client["ping_count"] == sum(row["ping_count"] for row in inside.values()), (client, activity)
        assert activity["active_windows"] == len(inside)
        assert activity["first_ping"] == min(row["first_ping"] for row in inside.values())
        assert activity["last_ping"] == max(row["last_ping"] for row in inside.values())
        assert activity["busiest_ping_count"] == max(row["ping_count"] for row in inside.values())
        assert activity["due"] == client["due"] and (address, client["due"]) in dues, (client, activity)
        assert (2, address, client["ping_count"]) in listed, client


@contextlib.contextmanager
def watched(cassandra, keyspace, clients):
    """Meanwhile a reader looks at one client after another, whether any row of it goes back: what did."""
    back, stop, chance = [], threading.Event(), random.Random(1)
    newest, polls = {}, [0]

    def look(session):
        client = chance.choice(clients)
        polls[0] += 1
        rows = [(("window", row.window_start), (row.position, row.ping_count)) for row in session.execute(
            "SELECT window_start, position, ping_count FROM window_stats WHERE client_ip = %s", (client,))]
        rows += [(("day", row.day), (row.position, row.total)) for row in session.execute(
            "SELECT day, position, total FROM daily_totals WHERE client_ip = %s", (client,))]
        for key, now in rows:
            before = newest.get((client, key), (-1, 0))
            if now[0] < before[0] or now[1] < before[1]:
                back.append((client, key, before, now))
            newest[client, key] = now

    def watch():
        with cassandra.session(keyspace) as session:
            while not stop.wait(0.03):
                look(session)
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield back
    finally:
        stop.set()
        thread.join()
    assert polls[0] > 50, "the reader hardly looked"
