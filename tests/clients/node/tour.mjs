// What each client does with a pingd: as tests/clients/go/tour. `pings`, `metrics`: clients; `nameOf`: a code's name.
import { Code, ConnectError } from "@connectrpc/connect";

const nameOf = (code) => Code[code].replace(/(?<!^)[A-Z]/g, "_$&").toLowerCase();

async function codeOf(promise) {
  try {
    await promise;
    return ["none", ""];
  } catch (error) {
    const known = ConnectError.from(error);
    return [nameOf(known.code), known.rawMessage];
  }
}

/* The clients of the first rows; pings once the stream is open. */
async function watch(pings, metrics, timestampMs) {
  const stop = new AbortController();
  let pinged = false;
  const pingSoon = () => {
    pinged = pinged || Boolean(pings.ping({ timestampMs: timestampMs + 1n }));
  };
  try {
    const stream = metrics.watchWindowStats({}, { signal: stop.signal, onHeader: pingSoon });
    for await (const { windowStats } of stream)
      if (windowStats.length > 0)
        return windowStats.map((row) => row.clientIp);
    return [];
  } finally {
    stop.abort();
  }
}

async function drain(stream) {
  for await (const _ of stream);
}

export async function tour(pings, metrics, timestampMs) {
  const report = { count: 0, code: "", message: "", deadline: "", watched: null };
  try {
    for (const key of ["a", "a", "b"])
      await pings.ping({ timestampMs, idempotencyKey: `${key}${timestampMs}` });
    report.count = Number((await pings.pingCount({ timeRange: { start: timestampMs, end: timestampMs + 1n } })).pingCount);
    [report.code, report.message] = await codeOf(pings.ping({ timestampMs: 0n }));
    report.watched = await watch(pings, metrics, timestampMs);
    [report.deadline] = await codeOf(drain(metrics.watchWindowStats({ clientIps: ["203.0.113.99"] }, { timeoutMs: 300 })));
  } catch (error) {
    const known = ConnectError.from(error);
    report.failed = `${nameOf(known.code)}: ${known.rawMessage}`;
  }
  return report;
}
