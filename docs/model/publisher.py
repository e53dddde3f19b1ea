#!/usr/bin/env python3
"""A random model of docs/SEMANTICS.md, "Publishing": one slot, many owners, zombies, Kafka's transaction timeout, a broker that
dies while it ends a transaction, replies that are lost and requests that are carried out late. Each mode leaves one safeguard out; only the whole rule ends with every
row's event in the log once, at the position that the row says.

usage: publisher.py [SEEDS]
Exit code 1 when the whole rule went wrong with a seed, or a safeguard could be left out unnoticed.
"""
import random
import sys


class Unknown(Exception):
    """The reply was lost: done, not done, or still to be done."""


class Model:
    def __init__(self, seed, without, loss):
        self.r, self.without, self.loss = random.Random(seed), without, loss
        self.epoch, self.batch_seq, self.rows, self.lost = 0, 0, {}, set()  # PostgreSQL; rows: id -> [batch, position]
        self.fence, self.open, self.log, self.published = 0, None, [], 0    # Kafka; log: [state, id]; partition: id % 3
        self.last, self.left, self.crashes = None, set(), 0  # last transaction, if fresh; offsets that got no end
        self.air, self.answered, self.ids = [], set(), 0

    def request(self, action):
        x = self.r.random()
        if x < 0.80:
            return action()
        if x < 0.88:
            action()
        elif x < 0.95:
            self.air.append(action)
        raise Unknown

    # Kafka
    def end(self, state):
        """An end in a partition is that of all that the producer has open there."""
        offsets, before = self.open[1], self.published
        touched = {self.log[offset][1] % 3 for offset in offsets}
        for offset in offsets + [o for o in self.left if self.log[o][1] % 3 in touched]:
            self.log[offset][0] = state
        self.left -= {o for o in self.left if self.log[o][0] != "open"}
        self.last = (offsets, before)

    def abort(self):
        if self.open:
            self.end("aborted")
        self.open = None

    def crash(self):
        """The only broker dies, and comes back believing that the last transaction has its end in every partition."""
        self.crashes += 1
        if self.last is None:
            return
        offsets, before = self.last
        gone = {p for p in range(3) if self.r.random() < 0.5}
        for offset in offsets:
            if self.log[offset][1] % 3 in gone:
                self.log[offset][0] = "open"
                self.left.add(offset)
        if self.r.random() < 0.5:  # the slot's record lies in a partition of its own
            self.published = before
        self.last = None

    def visible(self):
        return {offset for offset, (state, _) in enumerate(self.log) if state == "visible"}

    def init_transactions(self):
        self.abort()
        if self.without != "sweep":
            for offset in self.left:
                self.log[offset][0] = "aborted"
            self.left = set()
        self.last = None
        self.fence += 1
        return self.fence

    def produce(self, fence, ids, n):
        if fence != self.fence or (self.open and self.open[0] != (fence, n)):
            return None
        base = len(self.log)
        self.log += [["open", i] for i in ids]
        self.last = None
        self.open = ((fence, n), list(range(base, len(self.log))))
        return base

    def commit(self, fence, n):
        if self.open is None or self.open[0] != (fence, n) or fence != self.fence:
            return False
        self.end("visible")
        self.open, self.published = None, n
        return True

    # PostgreSQL
    def insert(self, epoch, n, ids, base):
        mine = epoch == self.epoch
        if mine or self.without == "raise":
            self.rows.update((i, [n, base + j]) for j, i in enumerate(ids))
            self.batch_seq = n if mine else self.batch_seq
        return mine

    def move(self, epoch, ids, base):
        if epoch != self.epoch and self.without != "epoch-in-republish":
            return False
        for j, i in enumerate(ids):
            self.rows.get(i, [0, 0])[1] = base + j
        return True

    def raise_epoch(self, mine):
        if mine is not None and mine != self.epoch:
            return None
        self.epoch += 1
        return self.epoch, self.batch_seq


def publisher(m):
    mine = None
    while True:  # take over, again after every reply that was lost
        yield
        try:
            early = m.published, m.visible()
            got = m.request(lambda e=mine: m.raise_epoch(e))
            if got is None:
                return
            mine, seq = got
            yield
            crashes = m.crashes
            fence = m.request(m.init_transactions)
            yield
            k, there = early if m.without == "k-after-init" else (m.published, m.visible())
            yield
            for n in range(k, seq + 1):
                ids = sorted(i for i, row in m.rows.items() if row[0] == n)
                if m.without != "find":
                    ids = [i for i in ids if not (m.rows[i][1] in there and m.log[m.rows[i][1]][1] == i)]
                elif n == k:
                    continue
                if n == k and not ids:
                    continue
                yield
                if m.crashes != crashes and m.without != "check":
                    raise Unknown
                base = m.request(lambda f=fence, ids=ids, n=n: m.produce(f, ids, n))
                yield
                if base is None:
                    raise Unknown
                if not m.request(lambda e=mine, ids=ids, b=base: m.move(e, ids, b)):
                    return
                yield
                if not m.request(lambda f=fence, n=n: m.commit(f, n)):
                    raise Unknown
            yield
            if m.without != "max":
                seq = max(seq, k)
            while True:
                n, ids = seq + 1, list(range(m.ids, m.ids + m.r.randrange(1, 4)))
                m.ids += len(ids)
                yield
                if m.crashes != crashes and m.without != "check":
                    raise Unknown
                base = m.request(lambda f=fence, ids=ids, n=n: m.produce(f, ids, n))
                yield
                if base is None:
                    raise Unknown
                try:
                    done = m.request(lambda e=mine, n=n, ids=ids, b=base: m.insert(e, n, ids, b))
                except Unknown:  # COMMIT's outcome: through the row lock, which shuts the door behind the late one
                    yield
                    if m.without == "row-lock":
                        done = m.batch_seq == n
                    else:
                        got = m.request(lambda e=mine: m.raise_epoch(e))
                        if got is None:
                            return
                        mine, done = got[0], got[1] == n
                    if not done:
                        if fence == m.fence:
                            m.abort()
                        continue
                if not done:
                    return
                yield
                if not m.request(lambda f=fence, n=n: m.commit(f, n)) or (m.crashes != crashes and m.without != "check"):
                    raise Unknown
                m.answered.update(ids)
                seq = n
        except Unknown:
            continue


def run(seed, without, loss=False):
    m = Model(seed, without, loss)
    owners = [publisher(m)]
    for _ in range(150):
        x = m.r.random()
        if x < 0.03:
            owners.append(publisher(m))
        if x > 0.98:  # Kafka's transaction timeout
            m.init_transactions()
        if 0.95 < x < 0.97:
            m.crash()
        if loss and 0.03 < x < 0.04 and m.batch_seq:  # failover to a standby that lacks the newest batch
            gone = [i for i, row in m.rows.items() if row[0] == m.batch_seq]
            m.lost.update(gone)
            for i in gone:
                del m.rows[i]
            m.batch_seq -= 1
        if m.air and m.r.random() < 0.2:
            m.air.pop(m.r.randrange(len(m.air)))()
        owner = owners[-1] if m.r.random() < 0.7 else m.r.choice(owners)
        try:
            next(owner)
        except StopIteration:
            owners.remove(owner)
        if not owners:
            owners.append(publisher(m))
    while m.air:
        m.air.pop()()
    m.init_transactions()
    there = m.visible()
    for n in range(m.published, m.batch_seq + 1):  # one last takeover, undisturbed
        for i in sorted(i for i, row in m.rows.items() if row[0] == n):
            if without != "find" and m.rows[i][1] in there and m.log[m.rows[i][1]][1] == i or without == "find" and n == m.published:
                continue
            m.log.append(["visible", i])
            m.rows[i][1] = len(m.log) - 1
    events, rows = [i for state, i in m.log if state == "visible"], set(m.rows)
    found = []
    if len(events) != len(set(events)):
        found.append("event twice")
    if rows - set(events):
        found.append("row without event")
    if set(events) - rows - m.lost:
        found.append("event without row")
    if any(m.log[p] != ["visible", i] for i, (_, p) in m.rows.items() if i in events):
        found.append("wrong position")
    if m.answered - rows - m.lost:
        found.append("answered and lost")
    return found


def main():
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    as_expected = True
    for title, loss, cases in (
            ("crashes, zombies, lost and late replies, a dying broker", False,
             ("nothing", "raise", "epoch-in-republish", "k-after-init", "row-lock", "sweep", "find", "check")),
            ("and a ledger that may lose its newest batch", True, ("nothing", "max"))):
        print(title)
        for without in cases:
            ends = [run(s, without, loss) for s in range(seeds)]
            kinds = sorted({kind for end in ends for kind in end})
            print(f"  without {without:19} right {sum(not e for e in ends):<5}",
                  *(f"{kind} {sum(kind in e for e in ends)} " for kind in kinds))
            as_expected &= (not any(ends)) == (without == "nothing")
    return 0 if as_expected else 1


if __name__ == "__main__":
    sys.exit(main())
