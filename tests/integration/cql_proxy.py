"""Between pingd and a node of Cassandra: passes CQL frames on, and does harm to writes of counters, whose outcome then nobody knows.

lost    the node carries the write out; its answer never comes, and the connection breaks
cut     the connection breaks before the node hears of it
late    the node hears of it when pingd has given it up

It knows a counter's statement by its text when it is prepared, and by the id that the node gave it (CQL v4, "PREPARE", "EXECUTE").
"""
import asyncio
import collections
import contextlib
import struct
import threading

from ports import reserve_one

HEADER = struct.Struct(">BBhBi")  # version, flags, stream, opcode, length
RESULT, PREPARE, EXECUTE = 8, 9, 10
PREPARED = 4  # a kind of RESULT
COUNTER = b"UPDATE daily_stats"


def short_bytes(body, at):
    size = int.from_bytes(body[at:at + 2], "big")
    return body[at + 2:at + 2 + size]


class Connection:
    def __init__(self, proxy, reader, writer):
        self.proxy, self.client = proxy, (reader, writer)
        self.preparing, self.losing, self.late = set(), set(), []  # streams, streams, tasks

    async def run(self):
        reader, self.node = await asyncio.open_connection(*self.proxy.target)
        ways = [asyncio.ensure_future(self.forward(self.client[0], self.to_node)), asyncio.ensure_future(self.forward(reader, self.to_client))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        self.client[1].close()
        await asyncio.gather(*self.late)  # the node hears of these although the client is gone
        self.node.close()

    async def forward(self, reader, take):
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = await reader.readexactly(HEADER.size)
                _, _, stream, opcode, size = HEADER.unpack(head)
                if not await take(stream, opcode, head, await reader.readexactly(size)):
                    return

    async def to_node(self, stream, opcode, head, body):
        if opcode == PREPARE and COUNTER in body:
            self.preparing.add(stream)
        harm = self.proxy.harm_next() if opcode == EXECUTE and short_bytes(body, 0) in self.proxy.counters else None
        if harm == "cut":
            return False
        if harm == "lost":
            self.losing.add(stream)
        if harm == "late":
            self.late.append(asyncio.ensure_future(self.pass_late(head + body)))
            return True
        self.node.write(head + body)
        await self.node.drain()
        return True

    async def pass_late(self, frame):
        await asyncio.sleep(self.proxy.late_s)
        if not self.node.is_closing():
            self.node.write(frame)
            self.proxy.harmed["late"] += 1

    async def to_client(self, stream, opcode, head, body):
        if opcode == RESULT and stream in self.preparing and int.from_bytes(body[:4], "big") == PREPARED:
            self.preparing.discard(stream)
            self.proxy.counters.add(short_bytes(body, 4))
        if stream in self.losing:
            return False
        self.client[1].write(head + body)
        await self.client[1].drain()
        return True


class Proxy:
    """`every`: how many writes of counters between two that are harmed."""

    def __init__(self, target, every, late_s):
        self.target, self.every, self.late_s, self.port = target, every, late_s, reserve_one()
        self.counters, self.seen, self.harmed, self.harms = set(), 0, collections.Counter(), True

    def harm_next(self):
        self.seen += 1
        if not self.harms or self.seen % self.every != 0:
            return None
        kind = ("lost", "late", "cut")[self.seen // self.every % 3]
        if kind != "late":  # counts when it gets there
            self.harmed[kind] += 1
        return kind

    async def serve(self, started):
        self.loop, self.ends = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(lambda *streams: Connection(self, *streams).run(), "127.0.0.1", self.port)
        started.set()
        await self.ends.wait()
        server.close()


@contextlib.contextmanager
def running(target, every, late_s):
    proxy, started = Proxy(target, every, late_s), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(proxy.serve(started)), daemon=True)
    thread.start()
    assert started.wait(60), "the proxy did not start"
    try:
        yield proxy
    finally:
        proxy.loop.call_soon_threadsafe(proxy.ends.set)
        thread.join(60)
