// The generated client of connect-node, over each protocol it speaks.
//
// usage: client.mjs connect|connect-json|connect-get|grpc|grpc-web URL TIMESTAMP_MS     over HTTP/2, but connect-json over HTTP/1.1
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { MetricsService, PingService } from "./gen/ping/v1/ping_pb.js";
import { tour } from "./tour.mjs";

const [kind, baseUrl, timestampMs] = process.argv.slice(2);
const transport = {
  "connect": () => createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: true }),
  "connect-json": () => createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false }),
  "connect-get": () => createConnectTransport({ baseUrl, httpVersion: "2", useHttpGet: true }),
  "grpc": () => createGrpcTransport({ baseUrl }),
  "grpc-web": () => createGrpcWebTransport({ baseUrl, httpVersion: "2" }),
}[kind]();
console.log(JSON.stringify(await tour(createClient(PingService, transport), createClient(MetricsService, transport), BigInt(timestampMs))));
process.exit(0);
