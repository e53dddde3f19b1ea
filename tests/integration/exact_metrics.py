"""The proof that metrics are exact on real servers: a fleet's day of pings, and meanwhile all that makes metrics of them is killed, in an order
that chance has. In the end each row is what SQL makes of the ledger, column for column.

Which chance: it is printed, and PING_CHANCE brings the same order again.
"""
import contextlib
import os
import pathlib
import random
import re
import signal
import subprocess
import threading
import time

import pytest

from conftest import BUILD, wait_for
from kafka import processes
from metric_rows import DAY_MS, WINDOW_MS, check_activities, check_lives, differences, stored

PARTITIONS, CLIENTS, KILLS, REPLAYS = 6, 10_000, 10, 2
OFFSET = (1 << 48) - 1  # of a position; above it is log-epoch


class Fleet:
    """pingctl load: `count` pings of one day of 10,000 clients, each until it is acknowledged. It stands still at `limit`, a share of
    them, so that it is not over before all has befallen."""

    def __init__(self, pingd, record, count, rate, limit):
        self.record, self.count, self.limit, self.ended = record, count, limit, threading.Event()
        command = [BUILD / "pingctl", "load", "--pings", str(count), "--clients", str(CLIENTS), "--rate", str(rate), "--timestamps", "fleet:24h",
                   "--retry", "--record", record]
        self.process = subprocess.Popen(processes.tied(command), env={"PINGCTL_ADDRESS": pingd.address, "LC_ALL": "C.UTF-8"},
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.pacer = threading.Thread(target=self.pace)
        self.pacer.start()

    def pace(self):
        stands = False
        while not self.ended.wait(0.02):
            if stands != (self.acknowledged() >= self.limit * self.count):
                stands = not stands
                (processes.freeze if stands else processes.thaw)(self.process.pid)

    def acknowledged(self):
        """About how many."""
        return self.record.stat().st_size // 25 if self.record.exists() else 0

    def reach(self, share, seconds):
        wait_for(f"{share:.0%} of the pings", lambda: self.acknowledged() >= share * self.count or self.process.poll() is not None, seconds)

    def finish(self, seconds):
        self.stop_pacing()
        said = self.process.communicate(timeout=seconds)[1]
        assert self.process.returncode == 0, said

    def stop_pacing(self):
        self.ended.set()
        self.pacer.join()
        if self.process.poll() is None:
            processes.thaw(self.process.pid)

    def end(self):
        self.stop_pacing()
        self.process.kill()
        self.process.wait()


def peak_memory_mb(process):
    """The most that it has held so far."""
    text = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", text)[1]) // 1024


class Storm:
    """What befalls two engines and what they stand on. `patience`: seconds for what usually takes some."""

    def __init__(self, engines, store, kafka, session, patience, seed):
        self.engines, self.store, self.kafka, self.session, self.patience = engines, store, kafka, session, patience
        self.chance, self.owners, self.memory_mb, self.killed, self.seen = random.Random(seed), set(), 0, 0, 0
        for engine in engines:
            engine.spawn()

    def writers(self):
        """engine_writers; None while the store can't be asked."""
        with contextlib.suppress(Exception):
            rows = list(self.session.execute("SELECT writer, owner, version, position FROM engine_writers"))
            self.owners |= {row.owner for row in rows if row.owner}
            return rows
        return None

    def applied(self):
        rows = self.writers()
        return None if rows is None else sum((row.position & OFFSET) + 1 for row in rows if row.position >= 0)

    def moves_on(self, events):
        """Waits until the metrics have come further by so many events since the last time."""
        def further():
            time.sleep(0.1)  # the store has other things to do than to be asked all the time
            now = self.applied()
            return now is not None and now >= self.seen + events
        wait_for("the metrics to come further", further, self.patience)
        self.seen = self.applied() or self.seen

    def kill(self, engine):
        self.memory_mb = max(self.memory_mb, peak_memory_mb(engine.process))
        engine.kill()
        self.killed += 1

    def kill_engine(self):
        engine = self.chance.choice(self.engines)
        self.kill(engine)
        engine.spawn()

    def replay(self):
        """Both are killed, and the positions set back: whoever comes next is given events again that are in the rows already."""
        for engine in self.engines:
            self.kill(engine)
        for row in wait_for("the positions", self.writers, self.patience):
            offset, epoch = row.position & OFFSET, row.position & ~OFFSET
            if row.position >= 0:
                back = epoch | int(offset * self.chance.uniform(0.7, 1))
                [done] = self.session.execute("UPDATE engine_writers SET position = %s, version = %s WHERE writer = %s IF version = %s",
                                              (back, row.version + 1, row.writer, row.version))
                assert done.applied
        self.seen = self.applied() or 0
        for engine in self.engines:
            engine.spawn()

    def stop_engine(self):
        engine = self.chance.choice(self.engines)
        self.end_in_order(engine)
        engine.spawn()

    def end_in_order(self, engine):
        wait_for("the engine to have begun", lambda: self.is_ready(engine), self.patience)
        engine.signal(signal.SIGTERM)
        assert engine.wait(self.patience) == 0

    def freeze_engine(self):
        """Until the other has its partitions; then it goes on with what it was about to write."""
        wait_for("both engines to have partitions", lambda: len(self.sharing()) == 2, self.patience)
        engine = self.chance.choice(self.engines)
        with engine.frozen():
            wait_for("the other engine to have them all", lambda: len(self.sharing()) == 1, self.patience)

    def sharing(self):
        """Whose the partitions are, if each is somebody's."""
        owners = [row.owner for row in self.writers() or [] if row.owner]
        return set(owners) if len(owners) == PARTITIONS else set()

    def is_ready(self, engine):
        return engine.ready_or_gone()

    def kill_broker(self):
        broker = self.chance.choice(self.kafka.brokers)
        broker.kill()
        broker.start()

    def kill_node(self):
        node = self.chance.choice(self.store.cassandra.nodes)
        node.kill()
        if len(self.store.cassandra.nodes) > 1:  # a quorum is left, and goes on
            self.moves_on(1)
        node.start()

    def events(self):
        """In the order that chance has."""
        events = [self.kill_engine] * (KILLS - 2 * REPLAYS) + [self.replay] * REPLAYS
        events += [self.stop_engine, self.freeze_engine, self.kill_broker, self.kill_node]
        self.chance.shuffle(events)
        return events

    def caught_up(self, kafka):
        """Waits until every partition's position is its end."""
        ends = log_ends(kafka)

        def there():
            rows = self.writers() or []
            return {row.writer: (row.position & OFFSET) + 1 for row in rows if row.position >= 0} == ends
        wait_for(f"the metrics to be at {ends}", there, self.patience * 4)


def log_ends(kafka):
    """{partition: the offset behind its last}"""
    from confluent_kafka import Consumer, TopicPartition
    consumer = Consumer({"bootstrap.servers": kafka.addresses, "group.id": "ends", "isolation.level": "read_uncommitted"})
    try:
        return {number: consumer.get_watermark_offsets(TopicPartition("raw-pings", number), timeout=60)[1] for number in range(PARTITIONS)}
    finally:
        consumer.close()


def rows_of_ledger(postgres, database):
    """As metric_rows.stored gives them, by SQL over the pings; and {client: (first, last)}."""
    pinged = "(extract(epoch FROM pinged_at) * 1000)::bigint"

    def groups(step, columns):
        said = postgres.sql(f"SELECT host(client_ip), {pinged} / {step} * {step}, {columns} FROM pings GROUP BY 1, 2", database)
        for line in said.splitlines():
            client, start, *numbers = line.split("|")
            yield (client, int(start)), [int(number) for number in numbers]
    windows, days = {}, {}
    for (client, start), (count, first, last, position) in groups(WINDOW_MS, f"count(*), min({pinged}), max({pinged}), max(position)"):
        windows[client, start] = {"ping_count": count, "first_ping": first, "last_ping": last, "position": position, "window_end": start + WINDOW_MS,
                                  "avg_interval_ms": (last - first) / (count - 1) if count > 1 else None}
    for key, (count, position) in groups(DAY_MS, "count(*), max(position)"):
        days[key] = {"total": count, "position": position}
    lives = postgres.sql(f"SELECT host(client_ip), min({pinged}), max({pinged}) FROM pings GROUP BY 1", database)
    clients = {client: (int(first), int(last)) for client, first, last in (line.split("|") for line in lives.splitlines())}
    return {"window_stats": windows, "daily_totals": days, "daily_stats": {key: {"total_pings": row["total"]} for key, row in days.items()}}, clients


def check_fleet(postgres, database, count):
    """The day was as it should be: all of it, with pings out of order, and some that came days late."""
    said = postgres.sql("SELECT count(*), count(DISTINCT client_ip), count(*) FILTER (WHERE late > interval '2 minutes' AND late < interval '1 hour'),"
                        " count(*) FILTER (WHERE late > interval '12 hours') FROM (SELECT client_ip, max(pinged_at) OVER"
                        " (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) - pinged_at AS late FROM pings) AS pings", database)
    pings, clients, minutes, days = (int(part) for part in said.split("|"))
    assert (pings, clients) == (count, min(CLIENTS, count // 5)), said
    assert minutes > 0.03 * count and days > 0.005 * count, said


def check_rows(session, postgres, database, patience):
    """Every row, and the counters: what a store that died carried out after all may be in them until they are swept. How many rows."""
    want, clients = rows_of_ledger(postgres, database)
    last = {}

    def same():
        last["found"] = stored(session)
        last["differences"] = differences(want, last["found"])
        return not last["differences"]
    try:
        wait_for("every row to be the ledger's", same, patience)
    except pytest.fail.Exception as why:
        pytest.fail(f"{why}\n{len(last['differences'])} differ, as " + "\n".join(last["differences"][:20]))
    found = last["found"]
    assert {row["client_ip"]: (row["first_ping"], row["last_ping"]) for row in found["clients"].values()} == clients
    return found


def prove(make_pair, postgres, kafka, database, store, tmp_path, *, pings, rate, patience):
    """What it found, in figures."""
    seed = int(os.environ.get("PING_CHANCE", time.time_ns() % 10**9))
    print(f"PING_CHANCE={seed}")
    begun = time.monotonic()
    api = make_pair(*store.arguments, "--roles", "api", name="api").start()
    engines = [make_pair(*store.arguments, "--roles", "stream", name=name) for name in ("first", "second")]
    fleet = Fleet(api, tmp_path / "acknowledged", pings, rate, limit=0)
    with contextlib.ExitStack() as opened:
        opened.callback(fleet.end)
        session = opened.enter_context(store.cassandra.session())
        storm = Storm(engines, store, kafka, session, patience, seed)
        wait_for("the keyspace", lambda: has_tables(session, store), patience)
        events = storm.events()
        for number, event in enumerate(events):
            fleet.limit = (number + 1.5) / (len(events) + 1)
            fleet.reach((number + storm.chance.random()) / (len(events) + 1), patience * 4)
            storm.moves_on(pings // 100)
            print(f"{time.monotonic() - begun:.0f} s: {event.__name__} at {fleet.acknowledged()} pings, {storm.seen} applied", flush=True)
            event()
        fleet.finish(patience * 10)
        print(f"{time.monotonic() - begun:.0f} s: all pings", flush=True)
        assert storm.killed == KILLS
        storm.caught_up(kafka)
        print(f"{time.monotonic() - begun:.0f} s: caught up", flush=True)
        check_fleet(postgres, database, pings)
        check_rows(session, postgres, database, patience * 4)
        print(f"{time.monotonic() - begun:.0f} s: rows are the ledger's", flush=True)
        for engine in engines:
            storm.memory_mb = max(storm.memory_mb, peak_memory_mb(engine.process))
            storm.end_in_order(engine)
        rows = check_rows(session, postgres, database, 0)  # and so they stay
        check_lives(session, rows)
        check_activities(session, rows)
    figures = {"seconds": round(time.monotonic() - begun), "rows": {table: len(there) for table, there in rows.items()},
               "owners": len(storm.owners), "memory_mb": storm.memory_mb}
    print(figures)
    return api, figures


def has_tables(session, store):
    with contextlib.suppress(Exception):
        session.set_keyspace(store.keyspace)
        session.execute("SELECT writer FROM engine_writers")
        return True
    return False
