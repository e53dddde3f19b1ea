"""The generated client of grpcio. usage: grpcio_client.py grpc URL TIMESTAMP_MS [CA_FILE]; the generated code is on PYTHONPATH."""
import sys

import grpc
import tour
from ping.v1 import ping_pb2, ping_pb2_grpc


class Service:
    error = grpc.RpcError

    def __init__(self, url, ca_file=None):
        address, more = url.partition("//")[2], {"compression": grpc.Compression.Gzip}
        if ca_file:
            channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(open(ca_file, "rb").read()), **more)
        else:
            channel = grpc.insecure_channel(address, **more)
        self.pings, self.metrics = ping_pb2_grpc.PingServiceStub(channel), ping_pb2_grpc.MetricsServiceStub(channel)

    def ping(self, timestamp_ms, key):
        self.pings.Ping(ping_pb2.PingRequest(timestamp_ms=timestamp_ms, idempotency_key=key))

    def count(self, start_ms, end_ms):
        return self.pings.PingCount(ping_pb2.PingCountRequest(time_range=ping_pb2.TimeRange(start=start_ms, end=end_ms))).ping_count

    def watch(self, clients, begun, timeout_s=None):
        stream = self.metrics.WatchWindowStats(ping_pb2.WatchWindowStatsRequest(client_ips=clients), timeout=timeout_s)
        stream.initial_metadata()
        begun()
        for answer in stream:
            if answer.window_stats:
                stream.cancel()
                return [row.client_ip for row in answer.window_stats]
        return []

    def code(self, error):
        return error.code().name.lower(), error.details()


tour.take(Service(sys.argv[2], *sys.argv[4:]), int(sys.argv[3]))
