// The windows of one client over any range: read page by page, summed for a chart, searched for silence, written to a file.
import { call } from "./api";
import { toWindows, WINDOW_MS, type Json, type Window } from "./model";

const PAGE = 1000;
export const MAX_WINDOWS = 100_000; // about a year without a gap

export interface Range {
  start: number;
  end: number; // 0: open
}

// Newest first, as the API has them. progress is told after each page; false: that many are too many, and the oldest are left out.
export async function readWindows(client: string, range: Range, signal: AbortSignal, progress: (windows: Window[]) => void): Promise<boolean> {
  const windows: Window[] = [];
  let pageToken = "";
  do {
    const json: Json = await call("ListWindowStats", { clientIp: client, timeRange: { start: String(range.start), end: String(range.end) }, pageSize: PAGE, pageToken }, signal);
    windows.push(...toWindows(json));
    pageToken = (json["nextPageToken"] as string | undefined) ?? "";
    progress(windows);
  } while (pageToken !== "" && windows.length < MAX_WINDOWS);
  return pageToken === "";
}

// A window's newest state into a list that is newest first.
export function merge(windows: Window[], changed: Window): void {
  let at = 0;
  while (at < windows.length && windows[at]!.start > changed.start) at++;
  if (windows[at]?.start === changed.start) windows[at] = changed;
  else windows.splice(at, 0, changed);
}

export interface Gap {
  from: number;
  to: number | null; // null: until now
}

// Silence of at least minMs, newest first: between a ping and the next, exactly. Within a window there is none that long.
export function findGaps(windows: readonly Window[], minMs: number, nowMs: number | null): Gap[] {
  const gaps: Gap[] = [];
  const newest = windows[0];
  if (newest !== undefined && nowMs !== null && nowMs - newest.last >= minMs) gaps.push({ from: newest.last, to: null });
  for (let i = 0; i + 1 < windows.length; i++) {
    const [later, earlier] = [windows[i]!, windows[i + 1]!];
    if (later.first - earlier.last >= minMs) gaps.push({ from: earlier.last, to: later.first });
  }
  return gaps;
}

export const GAP_CHOICES = [WINDOW_MS, 15 * 60_000, 3_600_000, 6 * 3_600_000, 86_400_000];

// The shortest that isn't the client's own pace: twice the middle one of its intervals.
export function fittingGap(windows: readonly Window[]): number {
  const paces: number[] = windows.filter((one) => one.average !== null).map((one) => one.average!);
  for (let i = 0; i + 1 < windows.length; i++) if (windows[i]!.count === 1) paces.push(windows[i]!.first - windows[i + 1]!.last);
  paces.sort((a, b) => a - b);
  const middle = paces[Math.floor(paces.length / 2)] ?? 0;
  return GAP_CHOICES.find((choice) => choice >= 2 * middle) ?? GAP_CHOICES[GAP_CHOICES.length - 1]!;
}

// Bars of whole windows, at most so many.
export function toBars(windows: readonly Window[], start: number, end: number, most: number): { start: number; step: number; values: number[] } {
  const first = start - (start % WINDOW_MS);
  const count = Math.max(1, Math.ceil((end - first) / WINDOW_MS));
  const each = Math.max(1, Math.ceil(count / most));
  const step = each * WINDOW_MS;
  const values = new Array<number>(Math.ceil(count / each)).fill(0);
  for (const one of windows) {
    const index = Math.floor((one.start - first) / step);
    if (index >= 0 && index < values.length) values[index]! += one.count;
  }
  return { start: first, step, values };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

export function windowsCsv(windows: readonly Window[]): string {
  const lines = windows.map((one) =>
    [one.client, iso(one.start), iso(one.end), one.count, one.average ?? "", iso(one.first), iso(one.last), one.open].join());
  return ["client_ip,window_start,window_end,ping_count,avg_interval_ms,first_ping,last_ping,open", ...lines, ""].join("\r\n");
}

// As the API would answer it in one page.
export function windowsJson(windows: readonly Window[]): string {
  const windowStats = windows.map((one) => ({
    clientIp: one.client,
    windowStartMs: String(one.start),
    windowEndMs: String(one.end),
    pingCount: String(one.count),
    ...(one.average === null ? {} : { avgIntervalMs: one.average }),
    firstPingMs: String(one.first),
    lastPingMs: String(one.last),
    ...(one.open ? { open: true } : {}),
  }));
  return JSON.stringify({ windowStats }, null, 2) + "\n";
}

export function download(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
