"""HTTP/2 frames as a hostile client writes them: nothing here keeps to RFC 9113 unless the test does."""
import collections
import contextlib
import socket
import struct
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, HAS_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
(NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM,
 CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM) = range(12)
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = range(1, 7)

Frame = collections.namedtuple("Frame", "kind flags stream payload")


def frame(kind, flags, stream, payload=b"", size=None):
    """`size`: what the header says, where it lies."""
    return struct.pack(">I", len(payload) if size is None else size)[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def hpack_int(value, bits, first=0):
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    value -= most
    out = bytearray([first | most])
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def literal(name, value, first=0x00, bits=4):
    """A field without indexing; first=0x40, bits=6: one that is put into the table."""
    name, value = (text.encode() if isinstance(text, str) else text for text in (name, value))
    return hpack_int(0, bits, first) + hpack_int(len(name), 7) + name + hpack_int(len(value), 7) + value


def head(path="/ping.v1.PingService/PingCount", method="POST", content_type="application/json", more=()):
    fields = [(":method", method), (":scheme", "http"), (":authority", "a"), (":path", path)]
    if content_type:
        fields.append(("content-type", content_type))
    return b"".join(literal(name, value) for name, value in [*fields, *more])


def headers(stream, block=None, flags=END_HEADERS | END_STREAM):
    return frame(HEADERS, flags, stream, head() if block is None else block)


def data(stream, payload=b"{}", flags=END_STREAM):
    return frame(DATA, flags, stream, payload)


def call(stream, **more):
    """A whole request that the server answers."""
    return headers(stream, head(**more), END_HEADERS) + data(stream)


def rst(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def window(stream, increment):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def settings(*pairs, flags=0):
    return frame(SETTINGS, flags, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


class Peer:
    """A connection whose bytes the test writes. What the server says is taken in as it comes, also while the test is writing."""

    def __init__(self, port, hello=PREFACE + settings(), receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.bytes, self.frames, self.over, self.sent = b"", [], False, 0
        if hello:
            self.send(hello)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def take_in(self):
        """All that is there."""
        with contextlib.suppress(BlockingIOError):
            while not self.over:
                piece = self.socket.recv(1 << 16)
                self.over = not piece
                self.bytes += piece
        while len(self.bytes) >= 9:
            size = int.from_bytes(self.bytes[:3], "big")
            if len(self.bytes) < 9 + size:
                break
            kind, flags, stream = struct.unpack(">BBI", self.bytes[3:9])
            self.frames.append(Frame(kind, flags, stream, self.bytes[9:9 + size]))
            self.bytes = self.bytes[9 + size:]

    def receive(self):
        try:
            self.take_in()
        except (ConnectionResetError, BrokenPipeError):
            self.over = True

    def send(self, payload, seconds=120, reading=True):
        """False: the server has closed, or takes no more within the time."""
        view, end = memoryview(payload), time.monotonic() + seconds
        while view and not self.over:
            try:
                sent = self.socket.send(view)
                view, self.sent = view[sent:], self.sent + sent
            except BlockingIOError:
                if time.monotonic() > end:
                    return False
                if reading:
                    self.receive()
                time.sleep(0.001)
            except (ConnectionResetError, BrokenPipeError):
                self.receive()
                self.over = True
        return not view

    def wait(self, condition, seconds=120):
        """What the condition gives of the peer, as soon as it is true; fails when the time is over. The last look is after the
        connection's end."""
        end = time.monotonic() + seconds
        while True:
            self.receive()
            found = condition(self)
            if found:
                return found
            assert not self.over, f"the connection ended; frames: {self.summary()}"
            assert time.monotonic() < end, f"waited {seconds} s in vain; frames: {self.summary()}"
            time.sleep(0.002)

    def wait_over(self, seconds=120):
        self.wait(lambda peer: peer.over, seconds)

    def summary(self):
        return [frame._replace(payload=frame.payload[:16]) for frame in self.frames[-8:]]

    def of(self, kind, stream=None, acks=None):
        return [frame for frame in self.frames if frame.kind == kind and stream in (None, frame.stream) and
                (acks is None or bool(frame.flags & ACK) == acks)]

    def goaway(self):
        """The error code of the newest GOAWAY; None: there was none."""
        found = self.of(GOAWAY)
        return int.from_bytes(found[-1].payload[4:8], "big") if found else None

    def reset(self, stream):
        """The error code of the stream's RST_STREAM; None: there was none."""
        found = self.of(RST_STREAM, stream)
        return int.from_bytes(found[0].payload, "big") if found else None

    def ended(self, stream):
        return any(frame.flags & END_STREAM for frame in self.frames if frame.stream == stream and frame.kind in (DATA, HEADERS))

    def body(self, stream):
        return b"".join(frame.payload for frame in self.of(DATA, stream))

    def answers(self):
        return sum(bool(frame.flags & END_STREAM) for frame in self.frames if frame.kind in (DATA, HEADERS))
