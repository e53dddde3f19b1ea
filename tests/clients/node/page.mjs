// What the browser runs: the generated client of connect-web. The page calls take(kind, url, timestampMs).
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { MetricsService, PingService } from "./gen/ping/v1/ping_pb.js";
import { tour } from "./tour.mjs";

globalThis.take = (kind, baseUrl, timestampMs) => {
  const transport = {
    "connect": () => createConnectTransport({ baseUrl, useBinaryFormat: true }),
    "connect-json": () => createConnectTransport({ baseUrl }),
    "connect-get": () => createConnectTransport({ baseUrl, useHttpGet: true }),
    "grpc-web": () => createGrpcWebTransport({ baseUrl }),
  }[kind]();
  return tour(createClient(PingService, transport), createClient(MetricsService, transport), BigInt(timestampMs));
};
