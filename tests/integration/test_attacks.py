"""Hostile peers: each does what brings a careless server down, and others are served meanwhile. What is asserted are counts, codes and
states; a server without the bound that the test is for fails it."""
import contextlib
import http.client
import re
import socket
import struct
import threading
import time

import http2
import pytest
from conftest import DEADLINE_S, Pingd, wait_for
from http2 import ACK, CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, \
    GOAWAY, HEADERS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, NO_ERROR, PADDED, PING, PREFACE, PRIORITY, PROTOCOL_ERROR, PUSH_PROMISE, \
    REFUSED_STREAM, RST_STREAM, SETTINGS, STREAM_CLOSED, WINDOW_UPDATE, COMPRESSION_ERROR, ENABLE_PUSH, Peer, call, data, frame, head, \
    headers, hpack_int, literal, rst, settings, window

NOW_MS = 1_728_926_331_000
PING_PATH, COUNT_PATH = "/ping.v1.PingService/Ping", "/ping.v1.PingService/PingCount"
TIMEOUT_MS = 500


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """One pingd for all that needs no settings of its own."""
    pingd = Pingd(tmp_path_factory.mktemp("attacks")).start()
    yield pingd
    assert pingd.process.poll() is None
    pingd.end()
    assert not re.search(r"(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:)", pingd.log()), pingd.log()[-6000:]


def metric(pingd, name):
    """A number of /metrics; `name` with its labels. Asked again where this process was so slow that the server's limits ended the question."""
    def answer():
        with contextlib.suppress(OSError, http.client.HTTPException):
            status, text = pingd.get("/metrics")
            return text.decode() if status == 200 else None
    return float(re.search(rf"^{re.escape(name)} (\S+)", wait_for("the metrics", answer), re.M)[1])


def requests(pingd):
    return metric(pingd, 'http_requests_total{version="2"}')


def resident_mb(pingd):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pingd.process.pid}/status").read())[1]) / 1024


def others_are_served(pingd):
    assert pingd.ping(NOW_MS)[0] == 200
    with Peer(pingd.port) as peer:
        peer.send(call(1))
        peer.wait(lambda peer: peer.ended(1))
        assert b"pingCount" in peer.body(1)


# ── Floods: what costs the peer nothing ends the connection with ENHANCE_YOUR_CALM ──

STREAMS = range(1, 20001, 2)
OPEN = END_HEADERS  # the request goes on


def each(make):
    return b"".join(make(stream) for stream in STREAMS)


FLOODS = {
    # CVE-2023-44487: a request that is taken back at once. Less than a tenth of them may begin.
    "rapid reset": (lambda: each(lambda s: headers(s) + rst(s)), 1500),
    # CVE-2025-8671: the server is made to take it back.
    "window overflow": (lambda: each(lambda s: headers(s, flags=OPEN) + window(s, 2**31 - 1)), 1500),
    "more body than announced": (lambda: each(lambda s: headers(s, head(more=[("content-length", "1")]), OPEN) + data(s)), 1500),
    "less body than announced": (lambda: each(lambda s: headers(s, head(more=[("content-length", "3")]), OPEN) + data(s)), 1500),
    "trailers that end nothing": (lambda: each(lambda s: headers(s, flags=OPEN) + headers(s, literal("a", "b"), OPEN)), 1500),
    "malformed field": (lambda: each(lambda s: headers(s, head() + literal("Upper", "a"))), 1500),
    "no field at all": (lambda: each(lambda s: headers(s, b"")), 1500),
    "more streams than allowed": (lambda: each(lambda s: headers(s, flags=OPEN)), 1500),
    "pings": (lambda: frame(PING, 0, 0, b"12345678") * 20000, 1),
    "answers to no ping": (lambda: frame(PING, ACK, 0, b"12345678") * 20000, 1),
    "settings": (lambda: settings((INITIAL_WINDOW_SIZE, 1)) * 20000, 1),
    "empty settings": (lambda: settings() * 20000, 1),
    "a frame of 2,700 settings": (lambda: settings(*[(INITIAL_WINDOW_SIZE, i) for i in range(2700)]), 1),
    "empty data": (lambda: headers(1, flags=OPEN) + data(1, b"", 0) * 20000, 2),
    "data of padding alone": (lambda: headers(1, flags=OPEN) + frame(DATA, PADDED, 1, b"\xff" + bytes(255)) * 20000, 2),
    "resets": (lambda: headers(1, flags=OPEN) + rst(1) * 20000, 2),
    "priorities": (lambda: frame(PRIORITY, 0, 1, bytes(4) + b"\1") * 20000, 1),
    "windows opened by a byte": (lambda: window(0, 1) * 20000, 1),
    "windows of a closed stream": (lambda: headers(1, flags=OPEN) + rst(1) + window(1, 1) * 20000, 2),
    "heads of a closed stream": (lambda: headers(1, flags=OPEN) + rst(1) + headers(1) * 20000, 2),
    # CVE-2024-27316 and its kin: a head that never ends.
    "empty continuations": (lambda: frame(HEADERS, 0, 1, head()) + frame(CONTINUATION, 0, 1) * 20000, 2),
    "full continuations": (lambda: frame(HEADERS, 0, 1, head()) + frame(CONTINUATION, 0, 1, literal("a", "b" * 16000)) * 1000, 2),
    "continuations of an unwanted stream": (lambda: headers(1, flags=OPEN) + rst(1) + frame(HEADERS, 0, 1, head()) +
                                            frame(CONTINUATION, 0, 1) * 20000, 2),
    # A field of 4,000 bytes in the table, then named 90,000 times by a byte each: 360 MB to look at.
    "an HPACK bomb": (lambda: frame(HEADERS, 0, 1, head() + literal("a", "b" * 4000, 0x40, 6)) +
                      frame(CONTINUATION, 0, 1, b"\xbe" * 15000) * 5 + frame(CONTINUATION, END_HEADERS, 1, b"\xbe" * 15000), 2),
    "an HPACK bomb in trailers": (lambda: headers(1, head() + literal("a", "b" * 4000, 0x40, 6), OPEN) +
                                  headers(1, b"\xbe" * 16000), 2),
}


@pytest.mark.sanitized
@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_ends_the_connection(target, name):
    make, most = FLOODS[name]
    begun, ended, memory = requests(target), metric(target, "http_protocol_errors_total"), resident_mb(target)
    with Peer(target.port) as peer:
        peer.send(make())
        peer.wait_over()
        assert peer.goaway() == ENHANCE_YOUR_CALM, peer.summary()
        assert peer.answers() <= most
    assert requests(target) - begun <= most
    assert metric(target, "http_protocol_errors_total") == ended + 1
    assert resident_mb(target) - memory < 40
    others_are_served(target)


@pytest.mark.parametrize("unit", [frame(0x42, 0, 0), frame(10, 0, 0, bytes(8)), frame(0xff, 0xff, 2**31 - 1, bytes(100))], ids=["0x42", "ALTSVC", "0xff"])
def test_frames_that_nobody_knows_are_skipped(target, unit):
    """RFC 9113, 5.5: they may be extensions."""
    with Peer(target.port) as peer:
        peer.send(unit * 20000 + call(1))
        peer.wait(lambda peer: peer.ended(1))


@pytest.mark.sanitized
def test_a_busy_client_is_no_flood(target):
    """What clients send beside their requests, thousands of times, as fast as they can: windows, a ping a call (gRPC's), priorities."""
    with Peer(target.port) as peer:
        for stream in range(1, 8001, 2):
            peer.send(call(stream) + frame(PRIORITY, 0, stream, bytes(4) + b"\1") + frame(PING, 0, 0, bytes(8)))
            if stream % 100 == 1:
                peer.wait(lambda peer: peer.ended(stream))
                peer.send((window(0, 100)) * 50)
        peer.wait(lambda peer: peer.answers() == 4000)
        assert len(peer.of(PING, acks=True)) == 4000 and peer.goaway() is None


@pytest.mark.sanitized
def test_who_reads_no_answers_to_pings_is_read_no_more(target):
    """The answers wait for the peer, at most so many; then nothing is taken in, whatever the peer still sends."""
    memory = resident_mb(target)
    with Peer(target.port, receive_buffer=4096) as peer:
        sent = peer.send(call(1) + frame(PING, 0, 0, bytes(8)) * 2_000_000, seconds=2, reading=False)
        assert not sent or peer.over
    assert resident_mb(target) - memory < 40
    others_are_served(target)


# ── Error codes (RFC 9113, RFC 7541), in the manner of h2spec ──

def conn(*codes):
    """The connection ends with one of these codes."""
    return "connection", codes


def either(*codes):
    """The stream 1 or the connection ends with one of these codes."""
    return "either", codes


ANSWERED = "answered", ()
BIG = 2**31 - 1
FRAMES = {
    "3.4 the preface without SETTINGS": (frame(PING, 0, 0, bytes(8)), conn(PROTOCOL_ERROR), PREFACE),
    "4.1 undefined flags": (headers(1, flags=OPEN | 0xd2) + frame(PING, 0xfe, 0, bytes(8)) + data(1), ANSWERED),
    "4.1 the reserved bit of a stream's id": (frame(HEADERS, END_HEADERS, 1 | 1 << 31, head()) + data(1), ANSWERED),
    "4.2 DATA too long": (headers(1, flags=OPEN) + data(1, bytes(16385)), either(FRAME_SIZE_ERROR)),
    "4.2 HEADERS too long": (headers(1, head() + literal("a", "b" * 17000)), conn(FRAME_SIZE_ERROR)),
    "4.2 SETTINGS too long": (frame(SETTINGS, 0, 0, bytes(6 * 2731)), conn(FRAME_SIZE_ERROR)),
    "4.3 a head that cannot be read": (headers(1, b"\xff\xff\xff\xff\xff\xff"), conn(COMPRESSION_ERROR)),
    "4.3 a head interrupted by PRIORITY": (headers(1, flags=0) + frame(PRIORITY, 0, 1, bytes(4) + b"\1"), conn(PROTOCOL_ERROR)),
    "4.3 a head interrupted by another": (headers(1, flags=0) + headers(3), conn(PROTOCOL_ERROR)),
    "5.1 idle: DATA": (data(1), conn(PROTOCOL_ERROR)),
    "5.1 idle: RST_STREAM": (rst(1), conn(PROTOCOL_ERROR)),
    "5.1 idle: WINDOW_UPDATE": (window(1, 100), conn(PROTOCOL_ERROR)),
    "5.1 idle: CONTINUATION": (frame(CONTINUATION, END_HEADERS, 1, head()), conn(PROTOCOL_ERROR)),
    "5.1 half closed: DATA": (headers(1) + data(1), either(STREAM_CLOSED)),
    "5.1 half closed: HEADERS": (headers(1) + headers(1), either(STREAM_CLOSED, PROTOCOL_ERROR)),
    "5.1 half closed: CONTINUATION": (headers(1) + frame(CONTINUATION, END_HEADERS, 1, head()), conn(STREAM_CLOSED, PROTOCOL_ERROR)),
    "5.1.1 an even stream": (headers(2), conn(PROTOCOL_ERROR)),
    "6.1 DATA of stream 0": (data(0), conn(PROTOCOL_ERROR)),
    "6.1 DATA with padding past its end": (headers(1, flags=OPEN) + frame(DATA, PADDED | END_STREAM, 1, b"\x06{}xxx"), conn(PROTOCOL_ERROR)),
    "6.1 DATA padded without a length": (headers(1, flags=OPEN) + frame(DATA, PADDED | END_STREAM, 1, b""), conn(PROTOCOL_ERROR, FRAME_SIZE_ERROR)),
    "6.2 HEADERS of stream 0": (headers(0), conn(PROTOCOL_ERROR)),
    "6.2 HEADERS with padding past its end": (frame(HEADERS, PADDED | END_HEADERS | END_STREAM, 1, b"\xff" + head()[:100]), conn(PROTOCOL_ERROR)),
    "6.3 PRIORITY of stream 0": (frame(PRIORITY, 0, 0, bytes(5)), conn(PROTOCOL_ERROR)),
    "6.3 PRIORITY of another size": (headers(1, flags=OPEN) + frame(PRIORITY, 0, 1, bytes(4)), either(FRAME_SIZE_ERROR)),
    "6.4 RST_STREAM of stream 0": (rst(0), conn(PROTOCOL_ERROR)),
    "6.4 RST_STREAM of another size": (headers(1, flags=OPEN) + frame(RST_STREAM, 0, 1, bytes(3)), conn(FRAME_SIZE_ERROR)),
    "6.5 an acknowledgement with settings": (frame(SETTINGS, ACK, 0, bytes(6)), conn(FRAME_SIZE_ERROR)),
    "6.5 an acknowledgement of nothing": (settings(flags=ACK) * 2, conn(PROTOCOL_ERROR)),
    "6.5 SETTINGS of a stream": (frame(SETTINGS, 0, 1, bytes(6)), conn(PROTOCOL_ERROR)),
    "6.5 SETTINGS of another size": (frame(SETTINGS, 0, 0, bytes(5)), conn(FRAME_SIZE_ERROR)),
    "6.5.2 ENABLE_PUSH 2": (settings((ENABLE_PUSH, 2)), conn(PROTOCOL_ERROR)),
    "6.5.2 INITIAL_WINDOW_SIZE 2^31": (settings((INITIAL_WINDOW_SIZE, 2**31)), conn(FLOW_CONTROL_ERROR)),
    "6.5.2 MAX_FRAME_SIZE 16383": (settings((MAX_FRAME_SIZE, 16383)), conn(PROTOCOL_ERROR)),
    "6.5.2 MAX_FRAME_SIZE 2^24": (settings((MAX_FRAME_SIZE, 2**24)), conn(PROTOCOL_ERROR)),
    "6.5.2 a setting that nobody knows": (settings((0xff, 1)) + call(1), ANSWERED),
    "6.6 PUSH_PROMISE": (headers(1, flags=OPEN) + frame(PUSH_PROMISE, END_HEADERS, 1, struct.pack(">I", 2) + head()), conn(PROTOCOL_ERROR)),
    "6.7 PING of a stream": (frame(PING, 0, 1, bytes(8)), conn(PROTOCOL_ERROR)),
    "6.7 PING of another size": (frame(PING, 0, 0, bytes(6)), conn(FRAME_SIZE_ERROR)),
    "6.8 GOAWAY of a stream": (frame(GOAWAY, 0, 1, bytes(8)), conn(PROTOCOL_ERROR)),
    "6.8 GOAWAY too short": (frame(GOAWAY, 0, 0, bytes(7)), conn(FRAME_SIZE_ERROR)),
    "6.9 a window opened by 0": (window(0, 0), conn(PROTOCOL_ERROR)),
    "6.9 a stream's window opened by 0": (headers(1, flags=OPEN) + window(1, 0), either(PROTOCOL_ERROR)),
    "6.9 WINDOW_UPDATE of another size": (frame(WINDOW_UPDATE, 0, 0, bytes(3)), conn(FRAME_SIZE_ERROR)),
    "6.9.1 a window past 2^31-1": (window(0, BIG), conn(FLOW_CONTROL_ERROR)),
    "6.9.1 a stream's window past 2^31-1": (headers(1, flags=OPEN) + window(1, BIG), either(FLOW_CONTROL_ERROR)),
    "6.9.2 a window past 2^31-1 by SETTINGS": (headers(1, flags=OPEN) + window(1, BIG - 65535) + settings((INITIAL_WINDOW_SIZE, BIG)),
                                               either(FLOW_CONTROL_ERROR)),
    "6.10 CONTINUATION behind a whole head": (headers(1, flags=OPEN) + frame(CONTINUATION, END_HEADERS, 1, literal("a", "b")), conn(PROTOCOL_ERROR)),
    "6.10 CONTINUATION of stream 0": (headers(1, flags=0) + frame(CONTINUATION, END_HEADERS, 0, literal("a", "b")), conn(PROTOCOL_ERROR)),
    "6.10 CONTINUATION of another stream": (headers(1, flags=0) + frame(CONTINUATION, END_HEADERS, 3, literal("a", "b")), conn(PROTOCOL_ERROR)),
    "6.10 CONTINUATIONs of a head": (frame(HEADERS, 0, 1, head()[:9]) + frame(CONTINUATION, 0, 1, head()[9:20]) +
                                     frame(CONTINUATION, END_HEADERS, 1, head()[20:]) + data(1), ANSWERED),
    "8.1 trailers": (headers(1, flags=OPEN) + data(1, flags=0) + headers(1, literal("a", "b")), ANSWERED),
    "8.1 trailers that end nothing": (headers(1, flags=OPEN) + data(1, flags=0) + headers(1, literal("a", "b"), OPEN), either(PROTOCOL_ERROR)),
    "8.1.1 less body than announced": (headers(1, head(more=[("content-length", "3")]), OPEN) + data(1), either(PROTOCOL_ERROR)),
    "8.1.1 more body than announced": (headers(1, head(more=[("content-length", "1")]), OPEN) + data(1), either(PROTOCOL_ERROR)),
    "8.1.1 a body announced and none": (headers(1, head(more=[("content-length", "1")])), either(PROTOCOL_ERROR)),
    "8.3 a pseudo-field in trailers": (headers(1, flags=OPEN) + data(1, flags=0) + headers(1, literal(":path", "/")), either(PROTOCOL_ERROR)),
    "8.3 a pseudo-field behind others": (headers(1, literal("a", "b") + head()), either(PROTOCOL_ERROR)),
    "CVE-2019-9516 fields without a name": (headers(1, head() + literal("", "b") * 100), either(PROTOCOL_ERROR)),
    "RFC 7541, 2.3.3 index 0": (headers(1, head() + b"\x80"), conn(COMPRESSION_ERROR)),
    "RFC 7541, 2.3.3 an index past the table": (headers(1, head() + b"\xff\x20"), conn(COMPRESSION_ERROR)),
    "RFC 7541, 4.2 a table larger than allowed": (headers(1, hpack_int(1 << 20, 5, 0x20) + head()), conn(COMPRESSION_ERROR)),
    "RFC 7541, 4.2 a table resized behind a field": (headers(1, head() + hpack_int(0, 5, 0x20)), conn(COMPRESSION_ERROR)),
    "RFC 7541, 5.1 a number without end": (headers(1, head() + b"\x0f" + b"\xff" * 20), conn(COMPRESSION_ERROR)),
    "RFC 7541, 5.2 a text past the end": (headers(1, head() + b"\x00\x01a\x7f\x80\x01"), conn(COMPRESSION_ERROR)),
    "RFC 7541, 5.2 Huffman padded with 0": (headers(1, head() + b"\x00\x01a\x81\x00"), conn(COMPRESSION_ERROR)),
    "RFC 7541, 5.2 Huffman padded too long": (headers(1, head() + b"\x00\x01a\x82\x1f\xff"), conn(COMPRESSION_ERROR)),
    "RFC 7541, 5.2 Huffman with the end's mark": (headers(1, head() + b"\x00\x01a\x84\xff\xff\xff\xff"), conn(COMPRESSION_ERROR)),
}

FIELDS = {
    "8.2 an upper-case name": literal("Upper", "a"),
    "8.2 a blank in a name": literal("a b", "a"),
    "8.2.1 a line's end in a value": literal("a", "b\r\nc: d"),
    "8.2.1 a NUL in a value": literal("a", "b\0c"),
    "8.2.2 connection": literal("connection", "close"),
    "8.2.2 keep-alive": literal("keep-alive", "1"),
    "8.2.2 transfer-encoding": literal("transfer-encoding", "chunked"),
    "8.2.2 upgrade": literal("upgrade", "h2c"),
    "8.2.2 te": literal("te", "gzip"),
    "8.3 a pseudo-field that nobody knows": literal(":protocol", "a"),
    "8.3 a pseudo-field of responses": literal(":status", "200"),
    "8.3.1 a second :path": literal(":path", "/"),
    "8.1.1 two lengths": literal("content-length", "2") + literal("content-length", "3"),
    "8.1.1 a length that is none": literal("content-length", "2x"),
}


def pseudo(**more):
    fields = {":method": "POST", ":scheme": "http", ":authority": "a", ":path": COUNT_PATH, **more}
    return b"".join(literal(name, value) for name, value in fields.items() if value is not None)


HEADS = {
    **{name: (head() + field if ":" not in name else literal(":method", "POST") + literal(":scheme", "http") + literal(":path", COUNT_PATH) + field)
       for name, field in FIELDS.items()},
    "8.3.1 no :method": pseudo(**{":method": None}),
    "8.3.1 no :scheme": pseudo(**{":scheme": None}),
    "8.3.1 no :path": pseudo(**{":path": None}),
    "8.3.1 an empty :path": pseudo(**{":path": ""}),
}


def expect(target, payload, wanted, hello=PREFACE + settings()):
    scope, codes = wanted
    with Peer(target.port, hello) as peer:
        peer.send(payload)
        if scope == "answered":
            peer.wait(lambda peer: peer.ended(1))
            assert b"pingCount" in peer.body(1) and peer.goaway() is None
        elif scope == "connection":
            peer.wait_over()
            assert peer.goaway() in codes, peer.summary()
        else:
            peer.wait(lambda peer: peer.over or peer.reset(1) is not None)
            assert peer.goaway() in codes or peer.reset(1) in codes, peer.summary()
        assert not (scope != "answered" and b"pingCount" in peer.body(1) and "half closed" not in str(payload)) or peer.goaway() is not None


@pytest.mark.sanitized
@pytest.mark.parametrize("name", FRAMES)
def test_a_wrong_frame_is_answered_by_its_error(target, name):
    expect(target, *FRAMES[name])
    others_are_served(target)


@pytest.mark.sanitized
def test_a_wrong_preface_is_no_http2(target):
    with Peer(target.port, PREFACE[:18] + b"XX\r\n\r\n" + settings()) as peer:
        peer.wait_over()
        assert peer.bytes.startswith(b"HTTP/1.1 505 ") and peer.bytes.count(b"HTTP/1.1 ") == 1


@pytest.mark.sanitized
@pytest.mark.parametrize("name", HEADS)
def test_a_malformed_head_resets_its_stream_alone(target, name):
    with Peer(target.port) as peer:
        peer.send(headers(1, HEADS[name]) + call(3))
        peer.wait(lambda peer: peer.ended(3) and peer.reset(1) is not None)
        assert peer.reset(1) == PROTOCOL_ERROR and not peer.ended(1) and peer.goaway() is None


def test_bodies_past_what_a_connection_may_hold_are_refused(target):
    """100 streams with 3 MiB each and no end: past 16 MiB they are reset, and what is held is given back."""
    memory = resident_mb(target)
    with Peer(target.port) as peer:
        for stream in range(1, 200, 2):
            peer.send(headers(stream, flags=OPEN))
        for _ in range(192):
            peer.send(b"".join(data(stream, bytes(16384), 0) for stream in range(1, 200, 2) if peer.reset(stream) is None))
            peer.receive()
        peer.wait(lambda peer: peer.of(RST_STREAM))
        assert peer.goaway() in (None, ENHANCE_YOUR_CALM)
        assert {peer.reset(frame.stream) for frame in peer.of(RST_STREAM)} == {ENHANCE_YOUR_CALM}
    assert resident_mb(target) - memory < 64
    others_are_served(target)


def test_a_stream_past_the_limit_is_refused_and_the_others_answered(make_pingd):
    pingd = make_pingd("--max-streams", "10").start()
    with Peer(pingd.port) as peer:
        opened = range(1, 41, 2)
        peer.send(b"".join(headers(stream, flags=OPEN) for stream in opened))
        peer.wait(lambda peer: all(peer.reset(stream) is not None for stream in opened[10:]))
        assert {peer.reset(stream) for stream in opened[10:]} == {REFUSED_STREAM}
        peer.send(b"".join(data(stream) for stream in opened[:10]))
        peer.wait(lambda peer: all(peer.ended(stream) for stream in opened[:10]))
        assert peer.answers() == 10


@pytest.mark.sanitized
def test_a_head_past_the_limit_is_answered_431(target):
    field = literal("a", "b" * 15000)
    with Peer(target.port) as peer:
        peer.send(frame(HEADERS, END_STREAM, 1, head()) + frame(CONTINUATION, 0, 1, field) * 4 + frame(CONTINUATION, END_HEADERS, 1, field) + call(3))
        peer.wait(lambda peer: peer.ended(1) and peer.ended(3))
        assert b"431" in peer.of(HEADERS, 1)[0].payload and b"pingCount" in peer.body(3)


# ── Windows: what is not taken is held, up to a bound, for a time ──

def test_answers_that_no_window_lets_out_are_bounded_and_given_up(make_pingd):
    """200 answers of many KiB each into windows of 0 bytes, by ten connections: what waits is bounded, and when it has waited for the
    write timeout it is given up."""
    pingd = make_pingd("--write-timeout", f"{TIMEOUT_MS}ms").start()
    memory = resident_mb(pingd)
    pages = b"".join(headers(stream, head("/metrics", "GET", None)) for stream in range(1, 401, 2))
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Peer(pingd.port, PREFACE + settings((INITIAL_WINDOW_SIZE, 0)))) for _ in range(10)]
        for peer in peers:
            peer.send(pages)
        for peer in peers:
            peer.wait(lambda peer: any(peer.reset(stream) == CANCEL for stream in range(1, 401, 2)))
            assert not peer.of(DATA)
    assert resident_mb(pingd) - memory < 10 * 16 + 32
    others_are_served(pingd)


@pytest.mark.sanitized
def test_an_answer_into_windows_of_a_byte_comes_whole(target):
    """Slow, yet it moves: each window of a byte lets a byte out, and costs nobody else anything. It is work, not a flood."""
    with Peer(target.port, PREFACE + settings((INITIAL_WINDOW_SIZE, 1))) as peer:
        peer.send(headers(1, head("/livez", "GET", None)))
        for size in range(1, 1000):
            peer.wait(lambda peer: len(peer.body(1)) >= size or peer.ended(1))
            if peer.ended(1):
                break
            peer.send(window(1, 1))
        assert peer.ended(1) and all(len(frame.payload) <= 1 for frame in peer.of(DATA, 1)) and peer.body(1)
        others_are_served(target)


@pytest.mark.sanitized
def test_windows_that_shrink_below_nothing_are_kept_to(target):
    """RFC 9113, 6.9.2: SETTINGS may take back what was given; the stream then waits until it is above 0 again."""
    with Peer(target.port, PREFACE + settings((INITIAL_WINDOW_SIZE, 1000))) as peer:
        peer.send(headers(1, head("/metrics", "GET", None)))
        peer.wait(lambda peer: len(peer.body(1)) == 1000)
        peer.send(settings((INITIAL_WINDOW_SIZE, 0)) + window(1, 1000) + frame(PING, 0, 0, bytes(8)))
        peer.wait(lambda peer: peer.of(PING, acks=True))
        assert len(peer.body(1)) == 1000
        peer.send(window(1, 5))
        peer.wait(lambda peer: len(peer.body(1)) == 1005)


# ── Slow peers: each wait has an end ──

def raw(port, payload=b"", receive_buffer=None):
    return Peer(port, payload, receive_buffer)


SLOW = {
    # name: (the limit that ends it, what is sent at once, what is sent bit by bit, what comes back)
    "nothing at all": ("--header-timeout", b"", b"", b""),
    "half a preface": ("--header-timeout", PREFACE[:10], b"", b""),
    "a preface without SETTINGS": ("--header-timeout", PREFACE, b"", b""),
    "a preface byte by byte": ("--header-timeout", PREFACE[:3], PREFACE[3:], b""),
    "a request line byte by byte": ("--header-timeout", b"GET /", b"a" * 1000, b"HTTP/1.1 408 "),
    "a head line by line": ("--header-timeout", b"GET /livez HTTP/1.1\r\nHost: a\r\n", b"a: b\r\n" * 90, b"HTTP/1.1 408 "),
    "an HTTP/2 head frame by frame": ("--header-timeout", PREFACE + settings() + headers(1, flags=0), b"", b""),
    "half a frame": ("--header-timeout", PREFACE + settings() + headers(1, flags=0)[:20], b"", b""),
    "a body byte by byte": ("--body-timeout", f"POST {COUNT_PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n"
                            .encode(), b" " * 1000, b"HTTP/1.1 504 "),
    "a body that waits for 100": ("--body-timeout", f"POST {COUNT_PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n"
                                  "Expect: 100-continue\r\n\r\n".encode(), b"", b"HTTP/1.1 504 "),
    "the body of a page": ("--body-timeout", b"POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n", b" " * 1000, b"HTTP/1.1 405 "),
    "chunks byte by byte": ("--body-timeout", f"POST {COUNT_PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n".encode(), b"1\r\n \r\n" * 200, b"HTTP/1.1 504 "),
    "nothing behind a request": ("--idle-timeout", b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n", b"", b"HTTP/1.1 200 "),
    "nothing behind an HTTP/2 request": ("--idle-timeout", PREFACE + settings() + call(1), b"", b""),
    "pings alone": ("--idle-timeout", PREFACE + settings() + call(1), frame(PING, 0, 0, bytes(8)) * 60, b""),
    "settings alone": ("--idle-timeout", PREFACE + settings() + call(1), settings() * 100, b""),
}


@pytest.mark.sanitized
@pytest.mark.parametrize("name", SLOW)
def test_a_slow_peer_is_not_waited_for(make_pingd, name):
    """The others' limits are an hour: what ends the connection is the one that it is for. A peer that goes on byte by byte, with more
    to say than the time allows, does not gain any."""
    setting, begin, again, answer = SLOW[name]
    hours = [word for other in ("--header-timeout", "--body-timeout", "--idle-timeout", "--write-timeout") if other != setting for word in (other, "1h")]
    pingd = make_pingd(setting, f"{TIMEOUT_MS}ms", *hours, "--default-timeout", "1h", "--max-timeout", "1h").start()
    before = metric(pingd, "http_timeouts_total")
    pieces = [again[i:i + max(1, len(again) // 100)] for i in range(0, len(again), max(1, len(again) // 100))]
    with raw(pingd.port, begin) as peer:
        for piece in pieces:
            peer.send(piece)
            peer.receive()
            if peer.over:
                break
            time.sleep(5 * TIMEOUT_MS / 1000 / len(pieces))
        assert peer.over or not pieces, "it was waited for to the end"
        peer.wait_over()
        assert answer in peer.bytes
        if begin.startswith(PREFACE + settings()):
            assert peer.goaway() == NO_ERROR
    if answer[9:12] not in (b"405", b"504"):  # those are answers; the rest is no request, and counted as what it is
        assert metric(pingd, "http_timeouts_total") == before + 1


@pytest.mark.parametrize("begin, unit", [(b"", b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"),
                                         (PREFACE + settings((INITIAL_WINDOW_SIZE, 2**30)) + window(0, 2**30), None)], ids=["HTTP/1.1", "HTTP/2"])
def test_who_takes_no_byte_of_an_answer_is_closed(make_pingd, begin, unit):
    pingd = make_pingd("--write-timeout", f"{TIMEOUT_MS}ms").start()
    memory, before = resident_mb(pingd), metric(pingd, "http_timeouts_total")
    with raw(pingd.port, begin, receive_buffer=4096) as peer:
        peer.send(unit * 2000 if unit else b"".join(headers(s, head("/metrics", "GET", None)) for s in range(1, 401, 2)), seconds=1, reading=False)
        wait_for("the connection's end", lambda: metric(pingd, "http_timeouts_total") == before + 1)
        assert resident_mb(pingd) - memory < 48
    others_are_served(pingd)


# ── Connections ──

def test_past_the_limit_of_connections_others_wait_and_then_come_in(make_pingd):
    pingd = make_pingd("--max-connections", "20").start()
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Peer(pingd.port)) for _ in range(40)]
        for peer in peers:
            peer.send(call(1))
        wait_for("twenty answers", lambda: sum(peer.receive() or peer.ended(1) for peer in peers) == 20)
        served = [peer for peer in peers if peer.ended(1)]
        for peer in served:
            peer.socket.close()
        for peer in peers:
            if peer not in served:
                peer.wait(lambda peer: peer.ended(1))


def test_an_address_has_so_many_connections_and_leaves_the_rest_to_others(make_pingd):
    pingd = make_pingd("--max-connections-per-address", "10", trusted="127.0.0.9").start()
    with contextlib.ExitStack() as stack:
        def connect(source):
            with contextlib.suppress(OSError):
                peer = stack.enter_context(contextlib.closing(socket.create_connection(("127.0.0.1", pingd.port), DEADLINE_S, (source, 0))))
                peer.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
                return peer.recv(100)[:12]
            return b""

        first = [connect("127.0.0.2") for _ in range(15)]
        assert first.count(b"HTTP/1.1 200") == 10 and first.count(b"") == 5, first
        assert connect("127.0.0.3") == b"HTTP/1.1 200"
        assert all(connect("127.0.0.9") == b"HTTP/1.1 200" for _ in range(15)), "a trusted proxy brings others"
    wait_for("all to be closed", lambda: metric(pingd, "http_connections") == 1)
    assert metric(pingd, "http_connections_refused_total") == 5
    with contextlib.ExitStack() as stack:
        assert all(connect("127.0.0.2") == b"HTTP/1.1 200" for _ in range(9))


def test_an_address_is_counted_by_what_a_trusted_proxy_says(make_pingd):
    pingd = make_pingd("--max-connections-per-address", "3").start()

    def connect(client):
        preamble = b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack(">H", 12) + socket.inet_aton(client) + socket.inet_aton("127.0.0.1") + bytes(4)
        return stack.enter_context(Peer(pingd.port, preamble + PREFACE + settings() + call(1)))

    with contextlib.ExitStack() as stack:
        for _ in range(3):
            connect("203.0.113.7").wait(lambda peer: peer.ended(1))
        peer = connect("203.0.113.7")
        peer.wait(lambda peer: peer.over)
        assert not peer.ended(1)
        connect("203.0.113.8").wait(lambda peer: peer.ended(1))


def test_ten_thousand_idle_connections_are_small(make_pingd):
    """Half HTTP/1.1, half HTTP/2, each after a request of its own. The file limit of this process may allow fewer: then as many."""
    import resource
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(10000, hard - 1000)
    pingd = make_pingd("--max-connections", str(count + 100), "--idle-timeout", "1h").start()
    empty = resident_mb(pingd)
    peers = []
    try:
        for i in range(count):
            peers.append(raw(pingd.port, PREFACE + settings() + call(1) if i % 2 else b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"))
            if i % 100 == 99:
                for peer in peers[-100:]:
                    peer.wait(lambda peer: peer.ended(1) or peer.bytes.endswith(b"\n"))
        wait_for("all to be counted", lambda: metric(pingd, "http_connections") >= count)
        used = resident_mb(pingd)
        print(f"{count} idle connections: {used:.0f} MB, {(used - empty) * 1024 / count:.1f} KiB each")
        assert used < 200 * count / 10000
        others_are_served(pingd)
    finally:
        for peer in peers:
            peer.socket.close()


def test_pipelined_answers_that_wait_for_a_slow_reader_are_not_idle(make_pingd):
    """More than the sockets hold: what was asked is answered, however late it is read, as long as the reader reads on."""
    pingd = make_pingd("--idle-timeout", "1s", "--header-timeout", "1s", "--body-timeout", "1s").start()
    count = 250
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sock.connect(("127.0.0.1", pingd.port))
        sock.settimeout(DEADLINE_S)
        sender = threading.Thread(target=sock.sendall, args=(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * count,))
        sender.start()
        reader = sock.makefile("rb")
        for number in range(count):
            if number in (1, 100):
                time.sleep(2.5)  # longer than it may be idle
            assert reader.readline() == b"HTTP/1.1 200 OK\r\n", f"{number} of {count}"
            headers = http.client.parse_headers(reader)
            assert reader.read(int(headers["Content-Length"])).endswith(b"\n")
        sender.join()
        assert not reader.read(), "then it is idle"


# ── HTTP/1.1: what two parties could read in two ways is refused, and ends the connection ──

HIDDEN = b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"


def post(*fields, body=b"", version=b"1.1"):
    return b"POST /livez HTTP/" + version + b"\r\n" + b"".join(field + b"\r\n" for field in (b"Host: a", *fields)) + b"\r\n" + body


SMUGGLED = {
    "a length and chunks": post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "chunks and a length": post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n"),
    "two lengths": post(b"Content-Length: 0", b"Content-Length: 5"),
    "one length twice": post(b"Content-Length: 0", b"Content-Length: 0"),
    "a list of lengths": post(b"Content-Length: 0, 0"),
    "a length with a sign": post(b"Content-Length: +0"),
    "a length below nothing": post(b"Content-Length: -1"),
    "a length in hex": post(b"Content-Length: 0x0"),
    "a length that is none": post(b"Content-Length: "),
    "a length with a blank within": post(b"Content-Length: 0 0"),
    "a length with a NUL": post(b"Content-Length: 0\0"),
    "a length behind a vertical tab": post(b"Content-Length: \x0b0"),
    "a length past 64 bits": post(b"Content-Length: 18446744073709551616").replace(b"/livez", b"*"),
    "a length folded": post(b"Content-Length:", b" 0"),
    "a blank before the colon": post(b"Content-Length : 0"),
    "a tab before the colon": post(b"Transfer-Encoding\t: chunked", body=b"0\r\n\r\n"),
    "a line that begins with a blank": post(b" Content-Length: 0"),
    "a name with a NUL": post(b"Content-Length\0: 0"),
    "a line without a colon": post(b"Content-Length 0"),
    "no name": post(b": 0"),
    "chunks twice": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "chunks twice in a list": post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
    "gzip and chunks": post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    "chunks and identity": post(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"),
    "identity": post(b"Transfer-Encoding: identity"),
    "a coding that nobody knows": post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "chunks behind a vertical tab": post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"),
    "chunks in quotes": post(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"),
    "chunks with a parameter": post(b"Transfer-Encoding: chunked;q=1", body=b"0\r\n\r\n"),
    "chunks folded": post(b"Transfer-Encoding:", b" chunked", body=b"0\r\n\r\n"),
    "chunks in HTTP/1.0": post(b"Transfer-Encoding: chunked", body=b"0\r\n\r\n", version=b"1.0"),
    "lines that end in LF": post(b"Content-Length: 0").replace(b"\r\n", b"\n"),
    "one line that ends in LF": post(b"Content-Length: 0").replace(b"a\r\n", b"a\n"),
    "a lone CR in a value": post(b"a: b\rContent-Length: 5"),
    "a lone CR as a line's end": post(b"a: b\r\rContent-Length: 5"),
    "a NUL in a value": post(b"a: b\0c"),
    "two hosts": post(b"Host: b"),
    "a host that is none": b"GET /livez HTTP/1.1\r\nHost: a/b@c\r\n\r\n",
    "no host": b"GET /livez HTTP/1.1\r\n\r\n",
    "two blanks": b"GET  /livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "tabs": b"GET\t/livez\tHTTP/1.1\r\nHost: a\r\n\r\n",
    "a word too many": b"GET /livez HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "no version": b"GET /livez\r\nHost: a\r\n\r\n",
    "another version": b"GET /livez HTTP/1.2\r\nHost: a\r\n\r\n",
    "a version of two digits": b"GET /livez HTTP/01.1\r\nHost: a\r\n\r\n",
    "a control character in the target": b"GET /li\x7fvez HTTP/1.1\r\nHost: a\r\n\r\n",
    "a fragment in the target": b"GET /livez#a HTTP/1.1\r\nHost: a\r\n\r\n",
    "a target without a slash": b"GET livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT": b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
}

CHUNKS = {
    "a size with 0x": b"0x0\r\n\r\n", "a size below nothing": b"-0\r\n\r\n", "a size with a sign": b"+0\r\n\r\n",
    "a blank before a size": b" 0\r\n\r\n", "no size": b"\r\n\r\n", "a size past 64 bits": b"10000000000000000\r\n",
    "a size that ends in LF": b"0\n\r\n", "a chunk longer than its size": b"1\r\nab\r\n0\r\n\r\n", "a chunk that ends in LF": b"1\r\na\n0\r\n\r\n",
    "an extension with a line's end": b"0;a\n\r\n\r\n", "an extension with a CR": b"0;a\rb\r\n\r\n", "an extension too long": b"0;" + b"a" * 5000 + b"\r\n\r\n",
    "a trailer that is no field": b"0\r\na b\r\n\r\n", "a trailer folded": b"0\r\na: b\r\n c\r\n\r\n", "a trailer that ends in LF": b"0\r\na: b\n\r\n",
}


@pytest.mark.sanitized
@pytest.mark.parametrize("name", [*SMUGGLED, *CHUNKS])
def test_what_can_be_read_in_two_ways_is_refused(target, name):
    """One answer, an error, and the end: what stands behind it is never read as a request."""
    path = COUNT_PATH.encode()
    payload = SMUGGLED.get(name) or b"POST " + path + b" HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS[name]
    with raw(target.port, payload + HIDDEN) as peer:
        peer.wait_over()
        assert re.match(rb"HTTP/1.1 (400|413|414|431|501|505) ", peer.bytes), peer.bytes
        assert peer.bytes.count(b"HTTP/1.1 ") == 1 and b"Connection: close" in peer.bytes, peer.bytes


@pytest.mark.sanitized
@pytest.mark.parametrize("payload, answers", [
    (HIDDEN * 3, 3),
    (post(b"Content-Length: %d" % len(HIDDEN), body=HIDDEN) + HIDDEN, 2),
    (post(b"Content-Type: application/json", b"Transfer-Encoding: CHUNKED", body=b"%x;a=b\r\n" % len(HIDDEN) + HIDDEN + b"\r\n0\r\na: b\r\n\r\n")
     .replace(b"/livez", COUNT_PATH.encode()) + HIDDEN, 2),
    (b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n" + HIDDEN, 2),
    (b"\r\n" + HIDDEN, 1),
    (b"GET http://b/livez HTTP/1.1\r\nHost: a\r\n\r\n" + HIDDEN, 2)],
    ids=["pipelined", "a request as a body", "a request in a chunk", "an upgrade to h2c is not taken", "a blank line before", "absolute form"])
def test_what_is_clear_is_read_the_one_way(target, payload, answers):
    with raw(target.port, payload) as peer:
        peer.wait(lambda peer: peer.bytes.count(b"HTTP/1.1 ") == answers)
        peer.socket.shutdown(socket.SHUT_WR)
        peer.wait_over()
        assert peer.bytes.count(b"HTTP/1.1 ") == answers and b" 101 " not in peer.bytes


@pytest.mark.sanitized
@pytest.mark.parametrize("payload, status", [
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414), (b"A" * 40 + b" / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    (b"GET / HTTP/1.1\r\nHost: a\r\na: " + b"b" * 20000, 431), (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"a: b\r\n" * 200, 431),
    (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"a" * 20000, 431), (b"a" * 20000, 414)],
    ids=["a long target", "a long method", "a long field", "many fields", "a name without end", "a line without end"])
def test_a_huge_head_is_refused_before_it_is_all_there(target, payload, status):
    with raw(target.port, payload) as peer:
        peer.wait_over()
        assert peer.bytes.startswith(b"HTTP/1.1 %d " % status), peer.bytes
