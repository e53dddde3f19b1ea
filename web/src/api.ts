// Connect's JSON, as far as this page needs it: unary calls by POST, and one server stream of enveloped messages.
import type { Json } from "./model";

const CALL_TIMEOUT_MS = 15_000;
// Three heartbeats of the server's default.
const SILENCE_MS = 45_000;
const FLAG_END = 2;
const HEAD_BYTES = 5;

export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }

  // Not by this server, however often it is asked.
  get permanent(): boolean {
    return this.code === "unimplemented" || this.code === "failed_precondition" || this.code === "not_found" || this.code === "permission_denied";
  }
}

function path(method: string): string {
  return `/ping.v1.${method === "PingCount" ? "PingService" : "MetricsService"}/${method}`;
}

// The server's clock less this one's, in ms: "12 s ago" is by the server's. Its Date has whole seconds, so little is nothing.
let offsetMs = 0;
export function now(): number {
  return Date.now() + offsetMs;
}

function learnClock(response: Response, sentMs: number): void {
  const date = Date.parse(response.headers.get("date") ?? "");
  if (Number.isNaN(date)) return;
  const offset = date + 500 - (sentMs + Date.now()) / 2;
  offsetMs = Math.abs(offset) > 2000 ? offset : 0;
}

function toError(status: number, text: string): ApiError {
  try {
    const { code, message } = JSON.parse(text) as { code?: string; message?: string };
    if (code) return new ApiError(code, message ?? code);
  } catch {
    // Not pingd's words: a proxy's.
  }
  const code = status === 404 ? "unimplemented" : status >= 500 || status === 429 ? "unavailable" : "unknown";
  return new ApiError(code, `the server answered with HTTP ${status}`);
}

function toFailure(error: unknown, late: boolean): unknown {
  if (error instanceof ApiError) return error;
  if (late) return new ApiError("deadline_exceeded", "the server did not answer in time");
  if (error instanceof DOMException && error.name === "AbortError") return error;
  return new ApiError("unavailable", "the server does not answer");
}

export async function call(method: string, message: object, signal?: AbortSignal): Promise<Json> {
  const abort = new AbortController();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    abort.abort();
  }, CALL_TIMEOUT_MS);
  const forward = (): void => abort.abort();
  signal?.addEventListener("abort", forward);
  const sentMs = Date.now();
  try {
    const response = await fetch(path(method), {
      method: "POST",
      headers: { "content-type": "application/json", "connect-protocol-version": "1" },
      body: JSON.stringify(message),
      signal: abort.signal,
      credentials: "same-origin",
    });
    learnClock(response, sentMs);
    const text = await response.text();
    if (!response.ok) throw toError(response.status, text);
    return JSON.parse(text) as Json;
  } catch (error) {
    throw toFailure(error, late);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", forward);
  }
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

function envelope(message: object): Uint8Array<ArrayBuffer> {
  const body = new TextEncoder().encode(JSON.stringify(message));
  const bytes = new Uint8Array(HEAD_BYTES + body.length);
  new DataView(bytes.buffer).setUint32(1, body.length);
  bytes.set(body, HEAD_BYTES);
  return bytes;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b;
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

// Takes whole messages off the front; returns what is left.
function takeMessages(bytes: Uint8Array, take: (flags: number, message: Json) => void): Uint8Array {
  const decoder = new TextDecoder();
  while (bytes.length >= HEAD_BYTES) {
    const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
    if (bytes.length < HEAD_BYTES + size) break;
    take(bytes[0] ?? 0, JSON.parse(decoder.decode(bytes.subarray(HEAD_BYTES, HEAD_BYTES + size))) as Json);
    bytes = bytes.subarray(HEAD_BYTES + size);
  }
  return bytes;
}

function endOf(message: Json): ApiError {
  const error = message["error"] as { code?: string; message?: string } | undefined;
  return error ? new ApiError(error.code ?? "unknown", error.message ?? "") : new ApiError("unavailable", "the stream has ended");
}

// Until the stream ends, which is always an error, or the signal says so. Each message is handed over as it comes, heartbeats too.
export async function stream(method: string, message: object, signal: AbortSignal, onMessage: (message: Json) => void): Promise<never> {
  const abort = new AbortController();
  let late = false;
  const forward = (): void => abort.abort();
  signal.addEventListener("abort", forward);
  let timer = 0;
  const expectMore = (): void => {
    clearTimeout(timer);
    timer = window.setTimeout(() => {
      late = true;
      abort.abort();
    }, SILENCE_MS);
  };
  try {
    expectMore();
    const response = await fetch(path(method), {
      method: "POST",
      headers: { "content-type": "application/connect+json", "connect-protocol-version": "1" },
      body: envelope(message),
      signal: abort.signal,
      credentials: "same-origin",
    });
    if (!response.ok || response.body === null) throw toError(response.status, await response.text());
    const reader = response.body.getReader();
    let rest: Uint8Array = new Uint8Array();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) throw new ApiError("unavailable", "the stream broke off");
      expectMore();
      rest = takeMessages(joined(rest, value), (flags, one) => {
        if (flags & FLAG_END) throw endOf(one);
        onMessage(one);
      });
    }
  } catch (error) {
    throw toFailure(error, late);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", forward);
    abort.abort();
  }
}
