"""Streams: windows as they change, gRPC's health, reflection; and how they end when pingd does."""
import contextlib
import json
import os
import socket
import struct
import subprocess
import threading

import grpc
import pytest
from conftest import BUILD, DEADLINE_S, scaled, wait_for
from google.protobuf import descriptor_pool, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
BASE_MS = 1728926100000  # a window's start
WINDOW_MS = 300000


class Client:
    """What grpcurl is: it knows nothing but what reflection tells."""

    def __init__(self, pingd):
        # A pool of its own: channels to one address share their connection otherwise, and a window with it.
        self.channel = grpc.insecure_channel(f"127.0.0.1:{pingd.port}", options=[("grpc.use_local_subchannel_pool", 1)])
        self.pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(self.channel))

    def type(self, name):
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(name))

    def method(self, name):
        service, _, method = name.rpartition("/")
        found = self.pool.FindServiceByName(service).FindMethodByName(method)
        request, response = (message_factory.GetMessageClass(kind) for kind in (found.input_type, found.output_type))
        make = self.channel.unary_stream if found.server_streaming else self.channel.unary_unary
        return request, make(f"/{name}", request_serializer=request.SerializeToString, response_deserializer=response.FromString)

    def ping(self, timestamp_ms, client):
        request, call = self.method("ping.v1.PingService/Ping")
        return call(request(timestamp_ms=timestamp_ms), metadata=[("x-forwarded-for", client)], timeout=DEADLINE_S)

    def watch(self, *clients, timeout=4 * DEADLINE_S):
        request, call = self.method("ping.v1.MetricsService/WatchWindowStats")
        stream = call(request(client_ips=clients), timeout=timeout)
        assert not next(stream).window_stats  # it watches
        return stream


@pytest.fixture
def connect():
    made = []

    def make(pingd):
        made.append(Client(pingd))
        return made[-1]

    yield make
    for client in made:
        client.channel.close()


def counts(stream, want):
    """Reads until (client, window's start) → count are these."""
    seen = {}
    for message in stream:
        for row in message.window_stats:
            seen[row.client_ip, row.window_start_ms] = row.ping_count
        if all(seen.get(key) == count for key, count in want.items()):
            return seen
    pytest.fail(f"the stream ended; seen {seen}, wanted {want}")


# --- reflection ---

@pytest.mark.sanitized
def test_a_client_needs_no_proto_file(pingd, connect):
    client = connect(pingd)
    client.ping(BASE_MS, "203.0.113.7")
    request, count = client.method("ping.v1.PingService/PingCount")
    assert count(request(), timeout=DEADLINE_S).ping_count == 1


@pytest.mark.sanitized
def test_reflection_lists_services_files_and_symbols(pingd, connect):
    stub = reflection_pb2_grpc.ServerReflectionStub(connect(pingd).channel)
    questions = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="ping.v1.MetricsService.ListClients"),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="ping.v1.WindowStats"),
        reflection_pb2.ServerReflectionRequest(file_by_filename="ping/v1/ping.proto"),
        reflection_pb2.ServerReflectionRequest(file_by_filename="nothing.proto"),
        reflection_pb2.ServerReflectionRequest(all_extension_numbers_of_type="ping.v1.WindowStats"),
        reflection_pb2.ServerReflectionRequest(file_containing_extension={"containing_type": "ping.v1.WindowStats", "extension_number": 1}),
    ]
    answers = list(stub.ServerReflectionInfo(iter(questions), timeout=DEADLINE_S))
    assert [answer.original_request for answer in answers] == questions
    assert {service.name for service in answers[0].list_services_response.service} == {
        "ping.v1.PingService", "ping.v1.MetricsService", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"}
    files = {answer.file_descriptor_response.file_descriptor_proto[0] for answer in answers[1:4]}
    assert len(files) == 1 and b"ping/v1/ping.proto" in files.pop()
    assert answers[4].error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
    assert answers[5].all_extension_numbers_response.base_type_name == "ping.v1.WindowStats"
    assert answers[6].error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


def test_both_versions_of_reflection_answer(pingd, connect):
    channel = connect(pingd).channel
    for version in "v1", "v1alpha":
        call = channel.stream_stream(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
                                     request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
                                     response_deserializer=reflection_pb2.ServerReflectionResponse.FromString)
        (answer,) = call(iter([reflection_pb2.ServerReflectionRequest(list_services="*")]), timeout=DEADLINE_S)
        assert len(answer.list_services_response.service) == 4


# --- health ---

@pytest.mark.sanitized
def test_health_of_each_service(pingd, connect):
    stub = health_pb2_grpc.HealthStub(connect(pingd).channel)
    for service in "", "ping.v1.PingService", "ping.v1.MetricsService":
        assert stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=DEADLINE_S).status == SERVING
        stream = stub.Watch(health_pb2.HealthCheckRequest(service=service), timeout=DEADLINE_S)
        assert next(stream).status == SERVING
        stream.cancel()
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(health_pb2.HealthCheckRequest(service="ping.v1.Other"), timeout=DEADLINE_S)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    assert next(stub.Watch(health_pb2.HealthCheckRequest(service="ping.v1.Other"), timeout=DEADLINE_S)).status == SERVICE_UNKNOWN


@pytest.mark.sanitized
def test_before_it_ends_it_says_so_and_still_takes_pings(make_pingd, connect):
    pingd = make_pingd("--drain-delay", "6s").start()  # as long as the questions below may take
    client = connect(pingd)
    client.ping(BASE_MS, "203.0.113.7")
    stream = health_pb2_grpc.HealthStub(client.channel).Watch(health_pb2.HealthCheckRequest(), timeout=DEADLINE_S)
    assert next(stream).status == SERVING
    pingd.signal(15)
    wait_for("readyz to fail", lambda: pingd.get("/readyz")[0] == 503)
    assert json.loads(pingd.get("/readyz")[1])["status"] == "draining"
    assert pingd.get("/livez")[0] == 200
    client.ping(BASE_MS + 1, "203.0.113.7")
    assert next(stream).status == NOT_SERVING
    with pytest.raises(grpc.RpcError) as caught:
        next(stream)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert pingd.wait() == 0


# --- windows as they change ---

@pytest.mark.sanitized
def test_windows_come_as_they_change(pingd, connect):
    client = connect(pingd)
    everything, one = client.watch(), client.watch("203.0.113.7", "2001:DB8::1")
    for i in range(5):
        client.ping(BASE_MS + i, "203.0.113.7")
    client.ping(BASE_MS, "203.0.113.8")
    client.ping(BASE_MS + WINDOW_MS, "2001:db8::1")
    seen = counts(one, {("203.0.113.7", BASE_MS): 5, ("2001:db8::1", BASE_MS + WINDOW_MS): 1})
    assert all(address != "203.0.113.8" for address, _ in seen)
    counts(everything, {("203.0.113.7", BASE_MS): 5, ("203.0.113.8", BASE_MS): 1, ("2001:db8::1", BASE_MS + WINDOW_MS): 1})
    client.ping(BASE_MS + 9, "203.0.113.7")
    counts(one, {("203.0.113.7", BASE_MS): 6})
    counts(everything, {("203.0.113.7", BASE_MS): 6})


@pytest.mark.sanitized
def test_a_wrong_address_is_named(pingd, connect):
    request, call = connect(pingd).method("ping.v1.MetricsService/WatchWindowStats")
    with pytest.raises(grpc.RpcError) as caught:
        next(call(request(client_ips=["203.0.113.300"]), timeout=DEADLINE_S))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert '"203.0.113.300" is not an IP address' in caught.value.details()


def test_a_silent_stream_beats(make_pingd, connect):
    stream = connect(make_pingd("--watch-heartbeat", "50ms").start()).watch()
    for _ in range(5):
        assert not next(stream).window_stats


def test_connect_streams_over_http_1(pingd):
    """What a browser's fetch reads: envelopes of JSON in chunks."""
    message = json.dumps({"clientIps": ["203.0.113.7"]}).encode()
    body = struct.pack(">BI", 0, len(message)) + message
    with contextlib.closing(pingd.connect()) as connection:
        connection.request("POST", "/ping.v1.MetricsService/WatchWindowStats", body, {"Content-Type": "application/connect+json"})
        answer = connection.getresponse()
        assert answer.status == 200

        def envelope():
            flags, size = struct.unpack(">BI", answer.read(5))
            return flags, json.loads(answer.read(size))
        assert envelope() == (0, {})
        pingd.ping(BASE_MS, "203.0.113.7")
        flags, rows = envelope()
        while (flags, rows) == (0, {}):  # it beats while it has nothing to say
            flags, rows = envelope()
        assert flags == 0 and rows["windowStats"][0]["pingCount"] == "1"
        pingd.signal(15)
        flags, last = envelope()
        while flags == 0:
            flags, last = envelope()
        assert flags == 2 and last["error"]["code"] == "unavailable"
    assert pingd.wait() == 0


def open_h2_watch(port, window=65535):
    """A watch over bare HTTP/2 whose reader then does nothing: (socket, bytes of its opening)."""
    def frame(kind, flags, stream, payload):
        return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload

    def field(name, value):
        return bytes([0, len(name)]) + name + bytes([len(value)]) + value
    head = b"".join(field(*pair) for pair in [
        (b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/ping.v1.MetricsService/WatchWindowStats"), (b":authority", b"a"),
        (b"content-type", b"application/grpc"), (b"te", b"trailers")])
    sock = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
    sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, struct.pack(">HI", 4, window)) + frame(1, 4, 1, head)
                 + frame(0, 1, 1, b"\0\0\0\0\0"))
    return sock


def test_one_that_does_not_read_holds_up_nobody(make_pingd, connect):
    pingd = make_pingd("--write-timeout", "2s").start()
    client = connect(pingd)
    stuck = [open_h2_watch(pingd.port, window=0) for _ in range(20)]
    stream = client.watch()
    clients = scaled(2000)
    pingd.ctl("load", "--pings", str(4 * clients), "--clients", str(clients), "--timestamps", "spread:24h")
    client.ping(BASE_MS, "203.0.113.7")
    counts(stream, {("203.0.113.7", BASE_MS): 1})
    # A stream whose answer is not taken is reset; its connection may go on.
    for sock in stuck:
        data = b""
        while b"\x00\x00\x04\x03\x00\x00\x00\x00\x01" not in data:
            piece = sock.recv(65536)
            assert piece, "the connection was ended"
            data += piece
        sock.close()
    client.ping(BASE_MS + 1, "203.0.113.7")
    counts(stream, {("203.0.113.7", BASE_MS): 2})


def test_many_watchers_hear_the_same(pingd, connect):
    watchers = scaled(300)
    client = connect(pingd)
    others = [connect(pingd) for _ in range(watchers // 100 + 1)]  # 256 streams are the most of one connection
    streams = [others[i % len(others)].watch(*(["203.0.113.7"] if i % 2 else [])) for i in range(watchers)]
    for i in range(3):
        client.ping(BASE_MS + i, "203.0.113.7")
    done = []

    def read(stream):
        counts(stream, {("203.0.113.7", BASE_MS): 3})
        done.append(stream)
    threads = [threading.Thread(target=read, args=(stream,)) for stream in streams]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert len(done) == watchers


@contextlib.contextmanager
def pingctl_watch(pingd, *arguments):
    watch = subprocess.Popen([BUILD / "pingctl", "watch", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             env={**os.environ, "PINGCTL_ADDRESS": pingd.address, "LC_ALL": "C.UTF-8"})
    try:
        yield watch
    finally:
        watch.kill()
        watch.communicate()


def watched(pingd):
    return b"ping_watchers 1\n" in pingd.get("/metrics")[1]


@pytest.mark.sanitized
def test_pingctl_watches(pingd):
    with pingctl_watch(pingd, "203.0.113.7", "--count", "2", "--json") as watch:
        wait_for("pingctl to watch", lambda: watched(pingd))
        pingd.ping(BASE_MS, "203.0.113.8")
        for count in "1", "2":
            pingd.ping(BASE_MS + int(count), "203.0.113.7")
            assert json.loads(watch.stdout.readline())["pingCount"] == count
        assert watch.wait(DEADLINE_S) == 0
    assert pingd.ctl("watch", "--for", "300ms").stdout == ""


def test_pingctl_watches_on_when_pingd_is_back(pingd):
    with pingctl_watch(pingd, "--json") as watch:
        wait_for("pingctl to watch", lambda: watched(pingd))
        pingd.kill()
        pingd.start()
        assert "watching again" in watch.stderr.readline()
        wait_for("pingctl to watch again", lambda: watched(pingd))
        pingd.ping(BASE_MS, "203.0.113.7")
        assert json.loads(watch.stdout.readline())["clientIp"] == "203.0.113.7"
        assert pingd.stop() == 0
        assert "shutting down" in watch.stderr.readline()
    assert pingd.ctl("watch", check=False).returncode == 3


@pytest.mark.sanitized
def test_watchers_are_told_when_it_ends(make_pingd, connect):
    pingd = make_pingd("--drain-timeout", "1h").start()  # they don't end by that
    client = connect(pingd)
    streams = [client.watch() for _ in range(10)]
    pingd.signal(15)
    for stream in streams:
        with pytest.raises(grpc.RpcError) as caught:
            for _ in stream:
                pass
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert pingd.wait() == 0
