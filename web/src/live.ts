// What keeps the page true: the status asked for every other second, and the windows that a view watches, by a stream where it can be
// had. Each has its own way back after a failure. Nothing is asked for while the page is hidden.
//
//   status:  OK ── a failure ──► STALE (since when it was last OK) ── 1, 2, 4 … 15 s, or "try now" ──► OK
//   stream:  OPENING ── the first, empty message ──► OPEN ── broken ──► 1, 2, 4 … 30 s ──► OPENING
//            └─ meanwhile, and where there is none, the view is asked to read again every 3 s
import { ApiError, call, isAbort, now, stream } from "./api";
import { toStatus, toWindows, type Status, type Window } from "./model";

const STATUS_MS = 2000;
const POLL_MS = 3000;
const HIDDEN_MS = 20_000;

export interface View {
  readonly element: HTMLElement;
  readonly title: string;
  // The clients whose windows it shows; empty: all; null: it watches nothing.
  watched(): readonly string[] | null;
  // Newest states of windows.
  onWindows(windows: Window[]): void;
  // From now on every change is told: what is shown must be read again. Also the poll.
  resync(): void;
  onStatus(status: Status): void;
  // A second has passed, or the zone is another.
  tick(): void;
  destroy(): void;
}

export type Mode = "starting" | "live" | "polling" | "stale";

export class Live {
  status: Status | null = null;
  lastOk = 0;
  failure: string | null = null;
  nextTryMs = 0;
  private view: View | null = null;
  private statusTimer = 0;
  private pollTimer = 0;
  private failures = 0;
  private asking: AbortController | null = null;
  private watching: AbortController | null = null;
  private streamOpen = false;
  private streamFailures = 0;
  private streamTimer = 0;
  private filter: string | null = null; // of the stream that is open or wanted
  private paused = false;
  private hideTimer = 0;

  constructor(private readonly changed: () => void) {
    document.addEventListener("visibilitychange", () => this.visibility());
    addEventListener("online", () => this.tryNow());
    addEventListener("pageshow", (event) => event.persisted && this.tryNow());
  }

  get mode(): Mode {
    if (this.failure !== null) return "stale";
    if (this.status === null) return "starting";
    return this.streamOpen ? "live" : "polling";
  }

  show(view: View): void {
    this.view = view;
    this.filter = null;
    this.rewatch();
    if (this.status !== null) view.onStatus(this.status);
    else this.askStatus();
  }

  tryNow(): void {
    this.failures = this.streamFailures = 0;
    this.askStatus();
    if (!this.streamOpen) this.openStream();
  }

  // The view watches other clients than before.
  rewatch(): void {
    const wanted = this.view?.watched() ?? null;
    const filter = wanted === null ? "-" : [...wanted].sort().join();
    if (filter === this.filter) return;
    this.filter = filter;
    this.streamFailures = 0;
    this.openStream();
  }

  private visibility(): void {
    clearTimeout(this.hideTimer);
    if (!document.hidden) {
      if (this.paused) {
        this.paused = false;
        this.tryNow();
      }
      return;
    }
    // A browser has six connections to a host over HTTP/1.1: pages that nobody sees must not hold one each.
    this.hideTimer = window.setTimeout(() => {
      this.paused = true;
      clearTimeout(this.statusTimer);
      this.closeStream();
    }, HIDDEN_MS);
  }

  private askStatus(): void {
    clearTimeout(this.statusTimer);
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    call("GetPipelineStatus", {}, asking.signal).then(
      (json) => this.gotStatus(toStatus(json)),
      (error: unknown) => {
        if (!isAbort(error)) this.statusFailed(error instanceof ApiError ? error : new ApiError("unknown", String(error)));
      },
    );
  }

  private gotStatus(status: Status): void {
    const wasAway = this.failure !== null;
    this.status = status;
    this.lastOk = now();
    this.failure = null;
    this.failures = 0;
    if (!this.paused) this.statusTimer = window.setTimeout(() => this.askStatus(), STATUS_MS);
    this.view?.onStatus(status);
    if (wasAway && !this.streamOpen) {
      this.streamFailures = 0;
      this.openStream();
      this.view?.resync();
    }
    this.changed();
  }

  private statusFailed(error: ApiError): void {
    this.failure = error.message;
    const waitMs = backoff(this.failures++, 15_000);
    this.nextTryMs = Date.now() + waitMs;
    if (!this.paused) this.statusTimer = window.setTimeout(() => this.askStatus(), waitMs);
    this.changed();
  }

  private closeStream(): void {
    clearTimeout(this.streamTimer);
    clearTimeout(this.pollTimer);
    this.watching?.abort();
    this.watching = null;
    this.streamOpen = false;
  }

  private openStream(): void {
    this.closeStream();
    const clients = this.view?.watched() ?? null;
    if (clients === null || this.paused) {
      this.changed();
      return;
    }
    const watching = (this.watching = new AbortController());
    this.poll();
    stream("WatchWindowStats", { clientIps: clients }, watching.signal, (message) => {
      const windows = toWindows(message);
      if (!this.streamOpen) this.opened();
      if (windows.length > 0) this.view?.onWindows(windows);
    }).catch((error: unknown) => {
      if (this.watching === watching && !isAbort(error)) this.streamFailed(error instanceof ApiError ? error : new ApiError("unknown", String(error)));
    });
  }

  private opened(): void {
    clearTimeout(this.pollTimer);
    this.streamOpen = true;
    this.streamFailures = 0;
    this.view?.resync();
    this.changed();
  }

  private streamFailed(error: ApiError): void {
    const wasOpen = this.streamOpen;
    this.streamOpen = false;
    // A server that makes no metrics has no stream either: the poll goes on.
    if (!error.permanent) this.streamTimer = window.setTimeout(() => this.openStream(), backoff(this.streamFailures++, 30_000));
    // The server is gone, or drains: the status will tell, at once and not in two seconds.
    if (wasOpen) this.askStatus();
    this.poll();
    this.changed();
  }

  private poll(): void {
    clearTimeout(this.pollTimer);
    this.pollTimer = window.setTimeout(() => {
      if (this.failure === null && this.status !== null) this.view?.resync();
      this.poll();
    }, POLL_MS);
  }
}

// Doubled each time from a second on, with a quarter of chance in it: a server that comes back is not met by all at once.
function backoff(failures: number, maxMs: number): number {
  return Math.min(maxMs, 1000 * 2 ** Math.min(failures, 10)) * (0.75 + Math.random() / 4);
}
