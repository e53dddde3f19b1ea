"""The generated client of connectrpc. usage: connectrpc_client.py connect|connect-json|connect-get|grpc|grpc-web URL TIMESTAMP_MS [CA_FILE];
the generated code is on PYTHONPATH."""
import sys
import threading

import tour
from connectrpc.codec import proto_binary_codec, proto_json_codec
from connectrpc.errors import ConnectError
from connectrpc.protocol import ProtocolType
from ping.v1 import ping_connect, ping_pb
from pyqwest import HTTPVersion, SyncClient, SyncHTTPTransport


class Service:
    error = ConnectError

    def __init__(self, kind, url, ca_file=None):
        protocol = {"grpc": ProtocolType.GRPC, "grpc-web": ProtocolType.GRPC_WEB}.get(kind, ProtocolType.CONNECT)
        version = HTTPVersion.HTTP1 if kind == "connect-json" else HTTPVersion.HTTP2
        more = {"protocol": protocol, "codec": proto_json_codec() if kind == "connect-json" else proto_binary_codec(),
                "http_client": SyncClient(SyncHTTPTransport(http_version=version, **({"tls_ca_cert": open(ca_file, "rb").read()} if ca_file else {})))}
        self.pings, self.metrics = ping_connect.PingServiceClientSync(url, **more), ping_connect.MetricsServiceClientSync(url, **more)
        self.get = kind == "connect-get"

    def ping(self, timestamp_ms, key):
        self.pings.ping(ping_pb.PingRequest(timestamp_ms=timestamp_ms, idempotency_key=key))

    def count(self, start_ms, end_ms):
        more = {"use_get": True} if self.get else {}
        return self.pings.ping_count(ping_pb.PingCountRequest(time_range=ping_pb.TimeRange(start=start_ms, end=end_ms)), **more).ping_count

    def watch(self, clients, begun, timeout_s=None):
        # Its stream says nothing of itself before the first message, so that another thread pings until there is one.
        over = threading.Event()

        def ping_on():
            while not over.is_set():
                begun()
                over.wait(0.1)

        pinging = threading.Thread(target=ping_on)
        pinging.start()
        try:
            request = ping_pb.WatchWindowStatsRequest(client_ips=clients)
            for answer in self.metrics.watch_window_stats(request, timeout_ms=timeout_s and int(timeout_s * 1000)):
                if answer.window_stats:
                    return [row.client_ip for row in answer.window_stats]
            return []
        finally:
            over.set()
            pinging.join()

    def code(self, error):
        return error.code.name.lower(), error.message


tour.take(Service(sys.argv[1], sys.argv[2], *sys.argv[4:]), int(sys.argv[3]))
