// What the API's messages mean here: numbers instead of the decimal text that JSON has for 64 bits, null for what is absent.
export const WINDOW_MS = 300_000;
export const WINDOWS = 288;
export const DAY_MS = 86_400_000;

export interface Window {
  client: string;
  start: number;
  end: number;
  count: number;
  average: number | null;
  first: number;
  last: number;
  open: boolean;
}

export interface Activity {
  client: string;
  count: number;
  activeWindows: number;
  first: number;
  last: number;
  average: number | null;
  busiest: Window | null;
  counts: number[] | null;
  start: number;
  version: number; // another with each change: what is drawn of it need not be compared
}

export interface Day {
  client: string;
  day: string;
  count: number;
}

export type State = "ok" | "degraded" | "down" | "unknown";

export interface Dependency {
  name: string;
  state: State;
  detail: string;
  since: number;
}

// Who fills the store by its own records.
export interface Elsewhere {
  kind: string;
  heartbeat: number; // 0: it has been stopped
}

export interface Status {
  version: string;
  ledger: string;
  log: string;
  store: string;
  engine: string;
  elsewhere: Elsewhere | null; // the engine, where the process that answers has none of its own
  lag: number;
  newestApplied: number;
  openWindows: number;
  deadLetters: number;
  activeClients: number;
  clients: number;
  rate: number;
  dependencies: Dependency[];
}

// proto3's JSON: int64 as text, and what is 0 or empty left out.
export type Json = { [name: string]: Json | Json[] | string | number | boolean | null | undefined };

export function int(value: unknown): number {
  return typeof value === "string" || typeof value === "number" ? Number(value) : 0;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function optional(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}

function list(value: unknown): Json[] {
  return Array.isArray(value) ? (value as Json[]) : [];
}

export function toWindow(json: Json): Window {
  return {
    client: text(json["clientIp"]),
    start: int(json["windowStartMs"]),
    end: int(json["windowEndMs"]),
    count: int(json["pingCount"]),
    average: optional(json["avgIntervalMs"]),
    first: int(json["firstPingMs"]),
    last: int(json["lastPingMs"]),
    open: json["open"] === true,
  };
}

export function toWindows(json: Json): Window[] {
  return list(json["windowStats"]).map(toWindow);
}

let versions = 0;

export function toActivity(json: Json): Activity {
  const counts = list(json["windowCounts"]);
  return {
    client: text(json["clientIp"]),
    count: int(json["pingCount"]),
    activeWindows: int(json["activeWindows"]),
    first: int(json["firstPingMs"]),
    last: int(json["lastPingMs"]),
    average: optional(json["avgIntervalMs"]),
    busiest: json["busiestWindow"] ? toWindow(json["busiestWindow"] as Json) : null,
    counts: counts.length === WINDOWS ? counts.map(int) : null,
    start: int(json["startMs"]),
    version: ++versions,
  };
}

export function toActivities(json: Json): Activity[] {
  return list(json["clients"]).map(toActivity);
}

export function toDays(json: Json): Day[] {
  return list(json["dailyStats"]).map((day) => ({ client: text(day["clientIp"]), day: text(day["day"]), count: int(day["totalPings"]) }));
}

const states: Record<string, State> = { DEPENDENCY_STATE_OK: "ok", DEPENDENCY_STATE_DEGRADED: "degraded", DEPENDENCY_STATE_DOWN: "down" };

function toElsewhere(json: Json): Elsewhere {
  return { kind: text(json["kind"]), heartbeat: int(json["heartbeatMs"]) };
}

export function toStatus(json: Json): Status {
  return {
    version: text(json["version"]),
    ledger: text(json["ledger"]),
    log: text(json["log"]),
    store: text(json["store"]),
    engine: text(json["engine"]),
    elsewhere: json["engineOwner"] && !json["engineFigures"] ? toElsewhere(json["engineOwner"] as Json) : null,
    lag: int(json["lagEvents"]),
    newestApplied: int(json["newestAppliedMs"]),
    openWindows: int(json["openWindows"]),
    deadLetters: int(json["deadLetters"]),
    activeClients: int(json["activeClients"]),
    clients: int(json["clients"]),
    rate: int(json["pingsPerSecond"]),
    dependencies: list(json["dependencies"]).map((one) => ({
      name: text(one["name"]),
      state: states[text(one["state"])] ?? "unknown",
      detail: text(one["detail"]),
      since: int(one["sinceMs"]),
    })),
  };
}

export function windowStart(ms: number): number {
  return ms - (ms % WINDOW_MS);
}

// The 24 hours have gone on: windows leave at the old end, empty ones come. True when pings left, so that first, count and average
// must be asked for again.
export function roll(activity: Activity, nowMs: number): boolean {
  const start = windowStart(nowMs) - (WINDOWS - 1) * WINDOW_MS;
  const steps = Math.min(WINDOWS, Math.round((start - activity.start) / WINDOW_MS));
  if (steps <= 0) return false;
  activity.start = start;
  activity.version = ++versions;
  if (activity.counts === null) return activity.count > 0;
  const left = activity.counts.splice(0, steps).some((count) => count > 0);
  while (activity.counts.length < WINDOWS) activity.counts.push(0);
  return left;
}

// A window's newest state. False: the activity can't be told from it, and must be asked for again.
export function apply(activity: Activity, window: Window): boolean {
  const index = Math.round((window.start - activity.start) / WINDOW_MS);
  if (index < 0) return true;
  if (activity.counts === null || index >= WINDOWS) return false;
  activity.version = ++versions;
  const before = activity.counts[index] ?? 0;
  // Of a client that was silent, first and last are of all time.
  const silent = activity.count === 0;
  activity.counts[index] = window.count;
  activity.count += window.count - before;
  if (before === 0 && window.count > 0) activity.activeWindows++;
  activity.first = silent ? window.first : Math.min(activity.first, window.first);
  activity.last = silent ? window.last : Math.max(activity.last, window.last);
  activity.average = activity.count < 2 ? null : (activity.last - activity.first) / (activity.count - 1);
  if (activity.busiest === null || window.count > activity.busiest.count || (window.count === activity.busiest.count && window.start >= activity.busiest.start))
    activity.busiest = window;
  return true;
}
