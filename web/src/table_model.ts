// The clients as they are listed: pages read one behind the other as far as somebody looks, and kept exact while they are in sight.
//
//   ensure(end) ──► ListClients … (100 a page with their windows; 1,000 without, where somebody jumped far) ──► rows
//   freshen(first, end) ──► GetActivity for those in sight whose windows are missing or no longer true, four at a time
import { ApiError, call, isAbort, now } from "./api";
import { apply, roll, toActivities, toActivity, type Activity, type Json, type Window } from "./model";

const PAGE = 100;
const FIRST_PAGE = 50; // read again and again: not more than is seen
const LARGE_PAGE = 1000;
const AT_ONCE = 4;
const KEEP_COUNTS = 3000; // rows whose 288 numbers stay in memory

export type Order = "pings" | "seen" | "client";
const orders: Record<Order, string> = { pings: "CLIENT_ORDER_PING_COUNT", seen: "CLIENT_ORDER_LAST_PING", client: "CLIENT_ORDER_CLIENT_IP" };

export interface Row {
  activity: Activity;
  index: number;
  true: boolean; // until something was missed
}

export class ClientList {
  rows: Row[] = [];
  done = false;
  failure: string | null = null;
  over = false; // this server will never list them
  reading = false;
  private byClient = new Map<string, Row>();
  private nextToken = "";
  private wanted = 0;
  private abort = new AbortController();
  private asked = new Set<Row>();
  private sight: [number, number] = [0, 0];

  // changed: rows were added, or all are others; touched: one row shows something else.
  constructor(
    readonly order: Order,
    readonly prefix: string,
    private readonly changed: () => void,
    private readonly touched: (index: number) => void,
  ) {}

  destroy(): void {
    this.abort.abort();
  }

  find(client: string): Row | undefined {
    return this.byClient.get(client);
  }

  ensure(end: number): void {
    this.wanted = end;
    if (!this.reading && !this.done && !this.over && this.rows.length < end) void this.read();
  }

  // The first page again, as the order is now; the rest is read anew when somebody looks.
  async restart(): Promise<void> {
    if (this.over) return;
    this.abort.abort();
    const abort = (this.abort = new AbortController());
    this.reading = true;
    try {
      const size = Math.min(PAGE, Math.max(FIRST_PAGE, this.sight[1] + 10));
      const json = await call("ListClients", this.request("", size, true), abort.signal);
      this.rows = [];
      this.byClient = new Map();
      this.asked = new Set();
      this.done = false;
      this.take(json);
      this.failure = null;
    } catch (error) {
      if (isAbort(error)) return;
      this.fail(error);
    }
    this.reading = false;
    this.changed();
    this.ensure(this.wanted);
  }

  private fail(error: unknown): void {
    this.failure = (error as Error).message;
    this.over = error instanceof ApiError && error.permanent;
  }

  private request(pageToken: string, pageSize: number, includeWindowCounts: boolean): object {
    return { orderBy: orders[this.order], prefix: this.prefix, pageSize, pageToken, includeWindowCounts };
  }

  private take(json: Json): void {
    for (const activity of toActivities(json)) {
      if (this.byClient.has(activity.client)) continue; // it moved down meanwhile
      const row = { activity, index: this.rows.length, true: true };
      this.rows.push(row);
      this.byClient.set(activity.client, row);
    }
    this.nextToken = (json["nextPageToken"] as string | undefined) ?? "";
    this.done = this.nextToken === "";
  }

  private async read(): Promise<void> {
    const { signal } = this.abort;
    this.reading = true;
    try {
      while (!this.done && this.rows.length < this.wanted) {
        const far = this.wanted - this.rows.length > 2 * PAGE;
        this.take(await call("ListClients", this.request(this.nextToken, far ? LARGE_PAGE : PAGE, !far), signal));
        this.failure = null;
        this.changed();
      }
    } catch (error) {
      if (isAbort(error)) return;
      this.fail(error);
      this.changed();
    }
    this.reading = false;
  }

  // False: there is a client that is not listed, or one that is no longer where it belongs.
  apply(windows: Window[]): boolean {
    let inOrder = true;
    for (const window of windows) {
      const row = this.byClient.get(window.client);
      if (row === undefined) {
        inOrder &&= this.prefix !== "" && !window.client.startsWith(this.prefix);
        continue;
      }
      roll(row.activity, now());
      if (!apply(row.activity, window)) row.true = false;
      if (this.order !== "client" && this.isBefore(row)) inOrder = false;
      this.touched(row.index);
    }
    return inOrder;
  }

  private isBefore(row: Row): boolean {
    const above = this.rows[row.index - 1]?.activity;
    if (above === undefined) return false;
    return this.order === "seen" ? row.activity.last > above.last : row.activity.count > above.count;
  }

  // What is shown was not told of for a while.
  distrust(): void {
    for (const row of this.rows) row.true = false;
  }

  // The clock has gone on: windows leave.
  roll(): boolean {
    const nowMs = now();
    let rolled = false;
    for (let i = this.sight[0]; i < Math.min(this.sight[1], this.rows.length); i++) {
      const row = this.rows[i]!;
      const start = row.activity.start;
      if (roll(row.activity, nowMs)) row.true = false;
      rolled ||= row.activity.start !== start;
    }
    return rolled;
  }

  freshen(first: number, end: number): void {
    this.sight = [first, end];
    this.forget();
    for (let i = first; i < Math.min(end, this.rows.length) && this.asked.size < AT_ONCE; i++) {
      const row = this.rows[i]!;
      if ((row.true && row.activity.counts !== null) || this.asked.has(row)) continue;
      this.asked.add(row);
      void this.ask(row);
    }
  }

  private async ask(row: Row): Promise<void> {
    const { asked } = this;
    row.true = true; // what comes from now on is newer than the answer, or in it
    try {
      const json = await call("GetActivity", { clientIp: row.activity.client }, this.abort.signal);
      row.activity = toActivity((json["activity"] ?? {}) as Json);
      this.touched(row.index);
    } catch {
      row.true = false;
      setTimeout(() => asked.delete(row), 3000);
      return;
    }
    asked.delete(row);
    this.freshen(...this.sight);
  }

  private forget(): void {
    if (this.rows.length <= KEEP_COUNTS) return;
    const keepFrom = this.sight[0] - KEEP_COUNTS / 2;
    const keepTo = this.sight[1] + KEEP_COUNTS / 2;
    for (const row of this.rows) if (row.index < keepFrom || row.index > keepTo) row.activity.counts = null;
  }
}
