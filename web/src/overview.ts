// Is it alive, all of it: the numbers, the last 24 hours, the pipeline, and who pings most.
import { call, now } from "./api";
import { Bars } from "./bars";
import { describeStrip, drawStrip } from "./strip";
import { firstSteps } from "./empty";
import { h, setAttribute, setText, show } from "./dom";
import { onColors } from "./colors";
import type { Live, View } from "./live";
import { Picture } from "./picture";
import { apply, int, roll, toActivities, type Activity, type Status, type Window } from "./model";
import { agoText, exactText, group, minuteText, plural, rateText } from "./time";

const HALF_HOUR_MS = 1_800_000;
const HALF_HOURS = 48;
const TOP = 8;
const COUNT_MS = 4000;
const LIST_MS = 30_000; // who overtakes them is not watched

class Figure {
  readonly element: HTMLElement;
  private readonly value = h("dd", {}, "–");

  constructor(label: string, title: string) {
    this.element = h("div", { class: "figure", title }, h("dt", {}, label), this.value);
  }

  set(text: string): void {
    setText(this.value, text);
  }
}

async function countPings(start: number, end: number, signal: AbortSignal): Promise<number> {
  const range = start === 0 && end === 0 ? {} : { timeRange: { start: String(start), end: String(end) } };
  return int((await call("PingCount", range, signal))["pingCount"]);
}

export class OverviewView implements View {
  readonly title = "Ping";
  readonly element: HTMLElement;
  private readonly rate = new Figure("Pings a second", "Over the last 10 seconds");
  private readonly hour = new Figure("Last hour", "Pings whose own time lies in the last 60 minutes");
  private readonly active = new Figure("Active clients", "With a ping in the last 24 hours");
  private readonly silent = new Figure("Silent clients", "Seen before, but with no ping in the last 24 hours");
  private readonly total = new Figure("All pings", "Every ping that is kept");
  private readonly picture = new Picture();
  private readonly bars = new Bars({
    label: "Pings of all clients in the last 24 hours, by half hours",
    heat: false,
    readout: (start, end, value, open) => `${minuteText(start)}–${open ? "now" : minuteText(end)}: ${plural(value, "ping")}`,
  });
  private readonly top = h("ol", { class: "top-list" });
  private readonly topPanel = h("section", { class: "panel", "aria-labelledby": "top-title", hidden: true },
    h("div", { class: "panel-head" }, h("h2", { id: "top-title" }, "Busiest clients"), h("a", { href: "/clients?sort=pings" }, "All clients")), this.top);
  private readonly empty = firstSteps();
  private readonly rows = h("div", {});
  private readonly abort = new AbortController();
  private readonly forget = onColors(() => this.drawTop());
  private clients: Activity[] = [];
  private readonly halfHours: number[] = [];
  private firstHalfHour = 0;
  private countTimer = 0;
  private reading = false;
  private listed = false;
  private listedAt = 0;

  constructor(private readonly live: Live) {
    this.rows.append(
      h("dl", { class: "figures" }, this.rate.element, this.hour.element, this.active.element, this.silent.element, this.total.element),
      h("section", { class: "panel", "aria-labelledby": "day-title" }, h("div", { class: "panel-head" }, h("h2", { id: "day-title" }, "Last 24 hours"), h("span", { class: "muted" }, "half hours, all clients")), this.bars.element),
      this.picture.element,
      this.topPanel,
    );
    this.element = h("div", { class: "view" }, h("h1", { class: "sr" }, "Overview"), this.empty, this.rows);
    this.empty.hidden = true;
    this.count();
    void this.readDay();
  }

  destroy(): void {
    this.abort.abort();
    clearTimeout(this.countTimer);
    this.bars.destroy();
    this.forget();
  }

  // Before the first ping it is anybody's.
  watched(): readonly string[] | null {
    return this.listed ? this.clients.map((one) => one.client) : null;
  }

  onStatus(status: Status): void {
    if (!this.listed) this.resync();
    this.rate.set(rateText(status.rate));
    // A process without a store knows of no clients: that is not none.
    this.active.set(status.store === "" ? "–" : group(status.activeClients));
    this.silent.set(status.store === "" ? "–" : group(Math.max(0, status.clients - status.activeClients)));
    this.picture.set(status);
  }

  onWindows(windows: Window[]): void {
    if (!this.empty.hidden) this.count(); // the first: not in four seconds
    for (const window of windows) {
      const client = this.clients.find((one) => one.client === window.client);
      if (client === undefined && this.clients.length < TOP) return this.resync();
      if (client !== undefined && !apply(client, window)) return this.resync();
    }
    this.clients.sort((a, b) => b.count - a.count); // a stable sort: equals stay as the server has them
    this.drawTop();
  }

  resync(): void {
    if (this.reading || this.live.status?.store === "") return;
    this.reading = true;
    this.listedAt = Date.now();
    call("ListClients", { pageSize: TOP, includeWindowCounts: true, orderBy: "CLIENT_ORDER_PING_COUNT" }, this.abort.signal)
      .then((json) => {
        this.clients = toActivities(json);
        this.listed = true;
        this.drawTop();
        this.live.rewatch();
      })
      .catch(() => {}) // the status says what is wrong; what was read stays
      .finally(() => (this.reading = false));
  }

  tick(): void {
    let left = false;
    for (const client of this.clients) left = roll(client, now()) || left;
    if (left || Date.now() - this.listedAt > LIST_MS) this.resync();
    this.drawTop();
    const half = now() - (now() % HALF_HOUR_MS);
    if (this.firstHalfHour > 0 && half >= this.firstHalfHour + HALF_HOURS * HALF_HOUR_MS) void this.readDay();
  }

  // The last hour, the half hour that is not over, all: each is one look at a roll-up.
  private count(): void {
    clearTimeout(this.countTimer);
    const start = now() - 3_600_000;
    const half = now() - (now() % HALF_HOUR_MS);
    Promise.all([countPings(0, 0, this.abort.signal), countPings(start, 0, this.abort.signal), countPings(half, 0, this.abort.signal)])
      .then(([total, hour, current]) => {
        this.total.set(group(total));
        this.hour.set(group(hour));
        show(this.empty, total === 0);
        show(this.rows, total > 0);
        if (this.halfHours.length === HALF_HOURS && half === this.firstHalfHour + (HALF_HOURS - 1) * HALF_HOUR_MS) {
          this.halfHours[HALF_HOURS - 1] = current;
          this.showDay();
        }
      })
      .catch(() => {})
      .finally(() => {
        if (this.abort.signal.aborted) return;
        clearTimeout(this.countTimer);
        this.countTimer = window.setTimeout(() => this.count(), document.hidden ? 10 * COUNT_MS : COUNT_MS);
      });
  }

  // Four at a time: a browser has six connections, and the page is not to wait for its past.
  private async readDay(): Promise<void> {
    const first = now() - (now() % HALF_HOUR_MS) - (HALF_HOURS - 1) * HALF_HOUR_MS;
    const counts = new Array<number>(HALF_HOURS).fill(0);
    let next = 0;
    const work = async (): Promise<void> => {
      while (next < HALF_HOURS) {
        const i = next++;
        const end = i === HALF_HOURS - 1 ? 0 : first + (i + 1) * HALF_HOUR_MS;
        counts[i] = await countPings(first + i * HALF_HOUR_MS, end, this.abort.signal);
      }
    };
    try {
      await Promise.all([work(), work(), work(), work()]);
    } catch {
      if (!this.abort.signal.aborted) window.setTimeout(() => void this.readDay(), 10_000);
      return;
    }
    this.firstHalfHour = first;
    this.halfHours.splice(0, this.halfHours.length, ...counts);
    this.showDay();
  }

  private showDay(): void {
    this.bars.set({ start: this.firstHalfHour, step: HALF_HOUR_MS, values: this.halfHours, open: true });
  }

  private drawTop(): void {
    show(this.topPanel, this.clients.length > 0);
    while (this.top.children.length > this.clients.length) this.top.lastElementChild!.remove();
    while (this.top.children.length < this.clients.length) this.top.append(topRow());
    this.clients.forEach((client, i) => fillTopRow(this.top.children[i]!, client));
  }
}

function topRow(): HTMLElement {
  return h("li", {}, h("a", { class: "address" }), h("canvas", { class: "strip", role: "img" }), h("span", { class: "number" }), h("time", { class: "ago muted" }));
}

function fillTopRow(row: Element, client: Activity): void {
  const [link, canvas, count, ago] = row.children as unknown as [HTMLAnchorElement, HTMLCanvasElement, HTMLElement, HTMLTimeElement];
  setText(link, client.client);
  setAttribute(link, "href", `/clients/${client.client}`);
  if (client.counts !== null) {
    drawStrip(canvas, client.counts, canvas.clientWidth || 288, 22);
    setAttribute(canvas, "aria-label", describeStrip(client.counts, client.start));
  }
  setText(count, plural(client.count, "ping"));
  setText(ago, agoText(client.last, now()));
  setAttribute(ago, "title", exactText(client.last));
}
