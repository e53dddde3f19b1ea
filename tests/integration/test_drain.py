"""The end of pingd, and of calls that would have none: GOAWAY, timeouts of streams, methods that there are not."""
import contextlib
import json
import socket
import struct

import grpc
import h2.config
import h2.connection
import h2.events
import pytest
from conftest import DEADLINE_S, wait_for

PING, REFLECTION = "/ping.v1.PingService/Ping", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
WATCH = "/ping.v1.MetricsService/WatchWindowStats"
BASE_MS = 1728926100000


class H2:
    """A client that shows every event."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
        self.state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.state.initiate_connection()
        self.flush()
        self.events = []

    def flush(self):
        self.sock.sendall(self.state.data_to_send())

    def post(self, stream, path, *more):
        self.state.send_headers(stream, [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", path), *more])
        self.flush()

    def wait(self, kind, count=1):
        """The last of so many events of this kind; everything else is kept too."""
        while sum(isinstance(event, kind) for event in self.events) < count:
            data = self.sock.recv(65536)
            assert data, f"the connection ended before {kind.__name__}"
            self.events += self.state.receive_data(data)
            self.flush()
        return [event for event in self.events if isinstance(event, kind)][count - 1]


def refuses(pingd):
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", pingd.port), timeout=DEADLINE_S):
        return False
    return True


@pytest.mark.sanitized
def test_calls_in_flight_finish_between_two_goaways(pingd):
    client = H2(pingd.port)
    body = json.dumps({"timestampMs": BASE_MS}).encode()
    client.post(1, PING, ("content-type", "application/json"))
    client.state.send_data(1, body[:5])
    client.flush()
    client.state.ping(b"ordered.")
    client.flush()
    client.wait(h2.events.PingAckReceived)
    pingd.signal(15)
    # h2 answers the PING between the two by itself. It also refuses to go on after a GOAWAY: the rest is sent by hand.
    first = client.wait(h2.events.ConnectionTerminated)
    assert (first.last_stream_id, first.error_code) == (2**31 - 1, 0)
    data = b""
    goaway = struct.pack(">I", 8)[1:] + b"\x07\x00" + struct.pack(">I", 0)
    client.sock.sendall(struct.pack(">I", 8)[1:] + b"\x06\x01" + struct.pack(">I", 0) + b"\0" * 8)
    while goaway not in data:
        piece = client.sock.recv(65536)
        assert piece, "the connection ended before the second GOAWAY"
        data += piece
    assert data.partition(goaway)[2][:8] == struct.pack(">II", 1, 0)
    wait_for("nobody to listen any more", lambda: refuses(pingd))  # each thread stops for itself
    rest = body[5:]
    client.sock.sendall(struct.pack(">I", len(rest))[1:] + b"\x00\x01" + struct.pack(">I", 1) + rest)
    while piece := client.sock.recv(65536):
        data += piece
    assert b"{}" in data
    assert pingd.wait() == 0
    pingd.start()
    assert pingd.ask("PingCount", {}) == {"pingCount": "1"}


def test_what_does_not_finish_ends_with_the_drain(make_pingd):
    pingd = make_pingd("--drain-timeout", "1s").start()
    client = H2(pingd.port)
    client.post(1, PING, ("content-type", "application/json"))
    client.state.ping(b"ordered.")
    client.flush()
    client.wait(h2.events.PingAckReceived)
    assert pingd.stop() == 0


@pytest.mark.sanitized
def test_a_method_that_there_is_not(pingd):
    channel = grpc.insecure_channel(f"127.0.0.1:{pingd.port}")
    with contextlib.closing(channel), pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/ping.v1.PingService/Pong")(b"", timeout=DEADLINE_S)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert caught.value.details() == "there is no method /ping.v1.PingService/Pong here"
    with contextlib.closing(pingd.connect()) as connection:
        connection.request("POST", "/ping.v1.PingService/Pong", "{}", {"Content-Type": "application/json"})
        assert connection.getresponse().status == 404


def start_stream(pingd, path, first):
    """A Connect stream over HTTP/1.1 whose request stays open: its connection."""
    sock = socket.create_connection(("127.0.0.1", pingd.port), timeout=DEADLINE_S)
    sock.sendall(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/connect+json\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
                 + chunk(first))
    return sock


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def envelope(message):
    text = json.dumps(message).encode()
    return struct.pack(">BI", 0, len(text)) + text


def read_until(sock, *wanted):
    data = b""
    while not any(text in data for text in wanted):
        piece = sock.recv(65536)
        assert piece, f"the connection ended: {data}"
        data += piece
    return data


@pytest.mark.sanitized
def test_a_message_of_a_stream_has_its_time(make_pingd):
    pingd = make_pingd("--body-timeout", "500ms").start()
    question = envelope({"listServices": ""})
    halting = start_stream(pingd, REFLECTION, question)
    steady = start_stream(pingd, REFLECTION, question)
    for sock in halting, steady:
        read_until(sock, b"ping.v1.PingService")
    halting.sendall(chunk(question[:7]))
    assert b"deadline_exceeded" in read_until(halting, b"deadline_exceeded")
    # It was silent for longer than that, between messages. At once: this process may be kept waiting for as long.
    steady.sendall(chunk(question[:7]) + chunk(question[7:]))
    read_until(steady, b"ping.v1.PingService")
    halting.close()
    steady.close()


@pytest.mark.sanitized
def test_a_stream_without_deadline_ends_at_the_longest_timeout_but_a_watch(make_pingd):
    pingd = make_pingd("--default-timeout", "1s", "--max-timeout", "1s", "--watch-heartbeat", "100ms").start()
    watch = start_stream(pingd, WATCH, envelope({}))
    watch.sendall(b"0\r\n\r\n")
    silent = start_stream(pingd, REFLECTION, envelope({"listServices": ""}))
    read_until(silent, b"deadline_exceeded")
    data = b""
    while data.count(b"\x00\x00\x00\x00\x02{}") < 15:
        piece = watch.recv(65536)
        assert piece and b"deadline_exceeded" not in piece
        data += piece
    watch.close()
    silent.close()


def test_what_is_held_is_bounded_over_all_connections(make_pingd):
    pingd = make_pingd("--max-held", "1MiB", "--body-timeout", "1h", "--default-timeout", "1h", "--max-timeout", "1h").start()
    head = (f"POST {PING} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 3000000\r\n\r\n").encode()
    socks = [socket.create_connection(("127.0.0.1", pingd.port), timeout=DEADLINE_S) for _ in range(30)]
    for sock in socks:
        sock.sendall(head + b" " * 60000)

    def held():
        return next(float(line.split()[1]) for line in pingd.get("/metrics")[1].decode().splitlines() if line.startswith("http_held_bytes "))
    wait_for("all of it to be held", lambda: held() >= 30 * 60000)
    for sock in socks[:5]:  # and still more than 1 MiB is held
        sock.sendall(b" " * 60000)
        assert b" 429 " in read_until(sock, b"\r\n\r\n")
    assert pingd.ping(BASE_MS)[0] == 200
    for sock in socks:
        sock.close()
    wait_for("all of it to be given back", lambda: held() < 60000)
