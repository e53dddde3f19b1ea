#!/usr/bin/env python3
"""A random model of docs/SEMANTICS.md, "Exactly once, by position": one partition, several owners, zombies, replies
that are lost, writes that land late. Each mode leaves one safeguard out; only the whole rule finishes with no wrong row.

usage: engine.py [SEEDS]   ("row", "counter": left wrong; "stuck": did not finish)
Exit code 1 when the whole rule went wrong with a seed, or a safeguard could be left out unnoticed.
"""
import random
import sys

ROWS, EVENTS, NONE = 3, 30, (0, 0, -1)  # a stored row: (write timestamp, count, position)
DAY = "day"


class Model:
    def __init__(self, seed, without, zombies):
        self.r, self.without, self.zombies = random.Random(seed), without, zombies
        self.log = [self.r.randrange(ROWS) for _ in range(EVENTS)]
        self.store, self.counter = {}, 0
        self.writer = dict(version=0, owner=None, position=0, reserved=0)
        self.air = []  # requests that may still be carried out, in any order
        self.owners, self.now = 0, 1000

    def put(self, key, value):  # the greater timestamp wins
        if value[0] > self.store.get(key, NONE)[0]:
            self.store[key] = value

    def add(self, delta):
        self.counter += delta

    def cas(self, version, **change):
        if self.writer["version"] != version and self.without != "version":
            return False
        self.writer.update(change, version=self.writer["version"] + 1)
        return True

    def request(self, action):
        """Done, done with the reply lost, late, or never: None means not known."""
        x = self.r.random()
        if not self.zombies and x >= 0.85:
            return None
        if x < 0.75:
            return action()
        if x < 0.85:
            action()
        elif x < 0.97:
            self.air.append(action)
        return None


class Engine:
    def __init__(self, m):
        self.m, m.owners = m, m.owners + 1
        self.me, self.state = m.owners, "taking"

    def own(self):
        self.seen = dict(self.m.writer)

    def take(self):
        m = self.m
        self.own()
        if self.seen["owner"] == self.me:  # an earlier try was carried out after all
            self.taken()
            return
        if self.seen["owner"] and self.seen["owner"] > self.me:
            self.state = "dead"
            return
        self.old = self.seen["reserved"]
        clock = m.now + m.r.choice([0, 0, -120])
        if m.request(lambda v=self.seen["version"], c=clock, o=self.old:
                     m.cas(v, owner=self.me, reserved=max(c, o) + 30)):
            self.own()
            self.taken()

    def taken(self):
        self.ts = self.old if self.m.without != "reservation" else 0
        self.next = self.seen["position"]
        self.cache, self.dirty, self.unsure = {}, set(), False
        self.state, self.pending = "live", None

    def commit(self, position):
        m = self.m
        reserved = max(self.seen["reserved"], max(m.now, self.ts) + 30)  # never less; no further ahead than needed
        m.request(lambda v=self.seen["version"]: m.cas(v, position=position, reserved=reserved))
        self.own()  # a serial read: what is, whatever the reply was
        if self.seen["owner"] != self.me:
            self.state = "dead"

    def consume(self):
        m, i = self.m, self.next
        self.next += 1
        for key in (m.log[i], DAY):
            if key not in self.cache:
                ts, count, position = m.store.get(key, NONE)
                self.cache[key] = [count, position]
                if m.without != "reservation":
                    self.ts = max(self.ts, ts)
            row = self.cache[key]
            if i > row[1]:
                row[0], row[1] = row[0] + 1, i
                self.dirty.add(key)
            elif m.without == "position":
                row[0] += 1
                self.dirty.add(key)
            elif m.without != "rewrite":
                self.dirty.add(key)
        self.unsure = True  # the day's counter

    def flush(self):
        for key in sorted(self.dirty, key=str):
            if self.m.without != "reservation" and self.ts + 1 > self.seen["reserved"]:
                self.commit(self.seen["position"])
                return
            self.ts += 1
            value = (self.ts, *self.cache[key])
            if self.m.request(lambda k=key, v=value: self.m.put(k, v) or True):
                self.dirty.discard(key)

    def follow(self):  # read the counter, add what is missing, read again
        m = self.m
        if self.pending is None:
            self.pending = self.cache[DAY][0] - m.counter
            if self.pending == 0:
                self.unsure, self.pending = False, None
        else:
            delta, self.pending = self.pending, None
            m.request(lambda: m.add(delta) or True)

    def step(self):
        if self.state == "taking":
            return self.take()
        if self.state == "dead":
            return None
        x = self.m.r.random()
        if x < 0.45 and self.next < EVENTS:
            return self.consume()
        if x < 0.7:
            return self.flush()
        settled = not self.unsure or self.m.without == "counters-first"
        if x < 0.8 and not self.dirty and settled:
            return self.commit(self.next)
        if self.unsure and DAY not in self.dirty and DAY in self.cache:
            return self.follow()
        return None


def run(seed, without, zombies=True):
    m = Model(seed, without, zombies)
    engines = [Engine(m)]
    for _ in range(400):
        m.now += m.r.randrange(3)
        if m.r.random() < 0.03:
            engines.append(Engine(m))
        if m.air and m.r.random() < 0.2:
            m.air.pop(m.r.randrange(len(m.air)))()
        engine = engines[-1] if not zombies or m.r.random() < 0.7 else m.r.choice(engines)
        engine.step()
        if engines[-1].state == "dead":
            engines.append(Engine(m))
    engines.append(Engine(m))
    for _ in range(6000):  # the zombies are silent now, but what they sent still lands
        m.now += 1
        if m.air and m.r.random() < 0.3:
            m.air.pop(m.r.randrange(len(m.air)))()
        last = engines[-1]
        last.step()
        if last.state == "dead":
            engines.append(Engine(m))
        if last.state == "live" and m.writer["position"] == EVENTS and not last.dirty and not m.air:
            break
    else:
        return "stuck"
    day = m.store.get(DAY, NONE)[1]
    if zombies and without != "sweep":  # the endless sweep comes by once more, now that all is quiet
        m.counter = day
    if day != EVENTS or any(m.store.get(k, NONE)[1] != m.log.count(k) for k in range(ROWS)):
        return "row"
    return "right" if m.counter == EVENTS else "counter"


def main():
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    as_expected = True
    for title, zombies, cases in (
            ("old owners go on, requests land late", True,
             ("nothing", "position", "rewrite", "reservation", "version", "sweep")),
            ("crashes only, nothing lands late, no sweep", False, ("nothing", "counters-first"))):
        print(title)
        for without in cases:
            ends = [run(s, without, zombies) for s in range(seeds)]
            print(f"  without {without:15}", *(f"{e} {ends.count(e):<5}" for e in ("right", "row", "counter", "stuck")))
            as_expected &= (ends.count("right") == seeds) == (without == "nothing")
    return 0 if as_expected else 1


if __name__ == "__main__":
    sys.exit(main())
