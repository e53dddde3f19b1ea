#!/usr/bin/env python3
"""The vectors that both engines are held to: streams of records, and the rows that they must leave.

usage: generate.py          writes streams/*.json anew
       generate.py --check  fails where they are not what it would write

The rows are counted here in a third way: from the set of distinct events, all at once, without positions deciding anything but what a
stored row holds already. Nothing is random from run to run.
"""
import collections
import ipaddress
import json
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).resolve().parent
WINDOW_MS, DAY_MS, HOUR_MS = 300_000, 86_400_000, 3_600_000
NOW_MS = 1_728_926_331_000  # 2024-10-14T17:18:51Z
PARTITIONS = 6


def murmur2(key):
    mask, multiplier = 0xFFFFFFFF, 0x5BD1E995
    value = 0x9747B28C ^ len(key)
    whole = len(key) // 4 * 4
    for at in range(0, whole, 4):
        word = int.from_bytes(key[at:at + 4], "little") * multiplier & mask
        word = (word ^ word >> 24) * multiplier & mask
        value = (value * multiplier & mask) ^ word
    if whole < len(key):
        value = (value ^ int.from_bytes(key[whole:], "little")) * multiplier & mask
    value = (value ^ value >> 13) * multiplier & mask
    return value ^ value >> 15


def partition_of(client):
    return (murmur2(client.encode()) & 0x7FFFFFFF) % PARTITIONS


def canonical(text):
    address = ipaddress.ip_address(text.split("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def time_text(ms):
    import datetime
    text = (datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=ms)).isoformat(timespec="milliseconds")
    head, fraction = text.split(".")
    fraction = fraction.rstrip("0")
    return head + ("." + fraction if fraction else "") + "Z"


def event_value(client, ms):
    return json.dumps({"ClientIP": client, "Timestamp": time_text(ms)}, separators=(",", ":"))


class Stream:
    """Records (partition, offset, value) in the order in which an engine is given them; `events` are the distinct ones that count."""

    def __init__(self, about, epoch=0, retention_ms=0):
        self.about, self.epoch, self.retention_ms = about, epoch, retention_ms
        self.records, self.events, self.dead = [], {}, {}
        self.next = collections.Counter()
        self.stored = {"windows": [], "days": [], "clients": []}

    def position(self, offset):
        return self.epoch << 48 | offset

    def add(self, partition, value):
        offset = self.next[partition]
        self.next[partition] += 1
        self.records.append((partition, offset, value))
        return offset

    def ping(self, client, ms, value=None):
        client = canonical(client)
        partition = partition_of(client)
        offset = self.add(partition, value or event_value(client, ms))
        self.events[partition, offset] = (client, ms)

    def poison(self, partition, value, reason):
        offset = self.add(partition, value)
        self.dead[partition, offset] = reason

    def again(self, first, end=None):
        """The records are delivered once more, as after a crash."""
        self.records += self.records[first:end]

    def rows(self):
        def blank():
            return {"count": 0, "first": None, "last": None, "position": -1}

        windows, days, clients = collections.defaultdict(blank), {}, {}
        for row in self.stored["windows"]:
            windows[row["client"], row["start"]] = {k: row[k] for k in ("count", "first", "last", "position")}
        for row in self.stored["days"]:
            days[row["client"], row["start"]] = {"total": row["total"], "position": row["position"]}
        for row in self.stored["clients"]:
            clients[row["client"]] = (row["first"], row["last"])
        for (_, offset), (client, ms) in sorted(self.events.items()):
            position = self.position(offset)
            first, last = clients.get(client, (ms, ms))
            clients[client] = (min(first, ms), max(last, ms))
            day = days.setdefault((client, ms // DAY_MS * DAY_MS), {"total": 0, "position": -1})
            if position > day["position"]:
                day.update(total=day["total"] + 1, position=position)
            start = ms // WINDOW_MS * WINDOW_MS
            if self.retention_ms and start + WINDOW_MS + self.retention_ms <= NOW_MS + HOUR_MS:
                continue
            window = windows[client, start]
            if position > window["position"]:
                window.update(count=window["count"] + 1, first=min(window["first"] or ms, ms), last=max(window["last"] or ms, ms),
                              position=position)
        return windows, days, clients

    def activity(self, windows):
        start = NOW_MS // WINDOW_MS * WINDOW_MS - 287 * WINDOW_MS
        inside = [(s, w) for s, w in windows if start <= s < start + DAY_MS]
        ahead = [s for s, _ in windows if s >= start + DAY_MS]
        due = min([s + DAY_MS for s, _ in inside] + ahead, default=0)
        busiest = max(inside, key=lambda one: (one[1]["count"], one[0]), default=None)
        return {"count": sum(w["count"] for _, w in inside), "active": len(inside),
                "first": min((w["first"] for _, w in inside), default=0), "last": max((w["last"] for _, w in inside), default=0),
                "busiest_start": busiest[0] if busiest else 0, "busiest_count": busiest[1]["count"] if busiest else 0, "due": due}

    def as_json(self):
        windows, days, clients = self.rows()
        by_client = collections.defaultdict(list)
        for (client, start), row in windows.items():
            by_client[client].append((start, row))
        return {
            "about": self.about, "partitions": PARTITIONS, "log_epoch": self.epoch, "now": NOW_MS, "window_retention": self.retention_ms,
            "stored": self.stored, "records": self.records,
            "expected": {
                "windows": [{"client": c, "start": s, **row,
                             "average": None if row["count"] < 2 else (row["last"] - row["first"]) / (row["count"] - 1)}
                            for (c, s), row in sorted(windows.items())],
                "days": [{"client": c, "start": s, **row} for (c, s), row in sorted(days.items())],
                "clients": [{"client": c, "first": f, "last": last} for c, (f, last) in sorted(clients.items())],
                "activities": [{"client": c, **self.activity(by_client[c])} for c in sorted(clients)],
                "dead": [{"partition": p, "offset": o, "reason": reason} for (p, o), reason in sorted(self.dead.items())],
            },
        }


OPEN = NOW_MS // WINDOW_MS * WINDOW_MS


def in_order():
    stream = Stream("One client in order, over the ends of a window and of a day; a second one, with one ping: no interval.")
    midnight = NOW_MS // DAY_MS * DAY_MS
    for ms in (midnight - 300_001, midnight - 300_000, midnight - 1, midnight, midnight + 299_999, midnight + 300_000):
        stream.ping("203.0.113.7", ms)
    stream.ping("2001:db8::7", OPEN)
    return stream


def late():
    stream = Stream("Late by seconds, minutes, days and years; a clock that is ahead; the very first and the last time there is.")
    for ms in (NOW_MS, NOW_MS - 5_000, NOW_MS - 600_000, NOW_MS - 3 * DAY_MS, NOW_MS - 20 * 365 * DAY_MS, NOW_MS + 240_000,
               NOW_MS + 3 * WINDOW_MS, 1, 253_402_300_799_999, OPEN - 287 * WINDOW_MS, OPEN - 288 * WINDOW_MS, NOW_MS - 1):
        stream.ping("203.0.113.7", ms)
    return stream


def replayed():
    stream = Stream("Delivered again from the start, and again from the middle: nothing changes.")
    for n in range(60):
        stream.ping(f"203.0.113.{n % 3}", NOW_MS - n * 47_000)
    count = len(stream.records)
    stream.again(0, count)
    stream.again(count // 2, count)
    stream.ping("203.0.113.1", NOW_MS - 17)
    return stream


def stored():
    stream = Stream("Rows that are stored already hold some of the events: only newer ones are added, by the position of each row.")
    client = "198.51.100.4"
    for n in range(20):
        stream.ping(client, OPEN + n * 1000)
    stream.stored["windows"] = [{"client": client, "start": OPEN, "count": 12, "first": OPEN, "last": OPEN + 11_000, "position": 11},
                                {"client": client, "start": OPEN - WINDOW_MS, "count": 3, "first": OPEN - 200_000, "last": OPEN - 100,
                                 "position": 9}]
    stream.stored["days"] = [{"client": client, "start": OPEN // DAY_MS * DAY_MS, "total": 9, "position": 8}]
    stream.stored["clients"] = [{"client": client, "first": OPEN - 200_000, "last": OPEN + 11_000}]
    return stream


def epoch():
    stream = Stream("A later life of the log: its offsets begin anew, its positions do not.", epoch=2)
    client = "198.51.100.4"
    stream.stored["windows"] = [{"client": client, "start": OPEN, "count": 5, "first": OPEN, "last": OPEN + 9_000, "position": 1 << 48 | 9_000_000}]
    stream.stored["days"] = [{"client": client, "start": OPEN // DAY_MS * DAY_MS, "total": 5, "position": 1 << 48 | 9_000_000}]
    stream.stored["clients"] = [{"client": client, "first": OPEN, "last": OPEN + 9_000}]
    for n in range(3):
        stream.ping(client, OPEN + 10_000 + n)
    return stream


def retention():
    stream = Stream("Windows past their retention, or within an hour of it, are not written; days are.", retention_ms=30 * HOUR_MS)
    for hours in (0, 1, 28, 29, 30, 31, 1000):
        stream.ping("203.0.113.9", NOW_MS - hours * HOUR_MS)
    edge = (NOW_MS + HOUR_MS - 30 * HOUR_MS - WINDOW_MS) // WINDOW_MS * WINDOW_MS
    stream.ping("203.0.113.9", edge)
    stream.ping("203.0.113.9", edge + WINDOW_MS)
    return stream


def poison():
    stream = Stream("What is no event, or in another partition than its client's, is set aside, and stops nothing.")
    client = "203.0.113.7"
    home = partition_of(client)
    stream.ping(client, OPEN)
    stream.poison(home, "", "not a JSON object")
    stream.poison(home, "{}", "no ClientIP")
    stream.poison(home, '{"ClientIP":"203.0.113.7"}', "no Timestamp")
    stream.poison(home, '{"ClientIP":"nobody","Timestamp":"2024-10-14T15:45:31Z"}', "ClientIP is not an address")
    stream.poison(home, '{"ClientIP":"203.0.113.7","Timestamp":"yesterday"}', "Timestamp is not a time as in RFC 3339")
    stream.poison(home, '{"ClientIP":"203.0.113.7","Timestamp":"1969-12-31T23:59:59Z"}', "Timestamp is not within 1970 and 9999")
    stream.poison((home + 1) % PARTITIONS, event_value(client, OPEN + 1), "misplaced")
    stream.ping(client, NOW_MS + 1500, '{"timestamp":"2024-10-14T19:18:52.5+02:00","more":[1,{"a":null}],"CLIENTIP":"::ffff:203.0.113.7"}')
    stream.ping(client, OPEN + 3)
    return stream


def many():
    stream = Stream("Forty clients in three of six partitions, out of order, late by up to years, with poison, and delivered again now and then.")
    chance = random.Random(20241014)
    clients = [c for c in (f"10.0.{n // 250}.{n % 250}" if n % 3 else str(ipaddress.ip_address((0x20010db8 << 96) + n)) for n in range(200))
               if partition_of(c) < 3][:40]
    lateness = [0, 0, 0, 0, 10_000, 600_000, 5 * HOUR_MS, 3 * DAY_MS, 800 * DAY_MS]
    for n in range(1000):
        if chance.random() < 0.02:
            stream.poison(chance.randrange(3), '{"ClientIP":"10.0.0.1"', "JSON, byte 22: expected ',' or '}'")
        if chance.random() < 0.006:
            first = chance.randrange(max(0, len(stream.records) - 100), len(stream.records) + 1)
            stream.again(first, len(stream.records))
        late_ms = chance.choice(lateness)
        ms = NOW_MS - 4 * HOUR_MS + n * 14_300 - (chance.randrange(late_ms) if late_ms else 0)
        stream.ping(chance.choice(clients), ms)
    return stream


STREAMS = {"in-order": in_order, "late": late, "replayed": replayed, "stored": stored, "epoch": epoch, "retention": retention,
           "poison": poison, "many": many}


def text_of(vector):
    """One record and one row a line."""
    def listed(rows):
        return "[\n" + ",\n".join("    " + json.dumps(row) for row in rows) + "]" if rows else "[]"
    head = {k: v for k, v in vector.items() if k not in ("stored", "records", "expected")}
    parts = [f' "{name}": {json.dumps(value)}' for name, value in head.items()]
    parts.append(' "stored": {' + ", ".join(f'"{k}": {listed(v)}' for k, v in vector["stored"].items()) + "}")
    parts.append(f' "records": {listed(vector["records"])}')
    parts.append(' "expected": {' + ",\n  ".join(f'"{k}": {listed(v)}' for k, v in vector["expected"].items()) + "}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main():
    wrong = 0
    for name, make in STREAMS.items():
        path, text = HERE / "streams" / f"{name}.json", text_of(make().as_json())
        json.loads(text)
        if "--check" not in sys.argv:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            print(f"{path} is not what generate.py writes")
            wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
