// One client: its day with a cursor, and any range of its past as chart, windows, gaps and days.
import { ApiError, call, isAbort, now } from "./api";
import { Bars } from "./bars";
import { h, setAttribute, setText, show } from "./dom";
import { copyButton } from "./empty";
import { download, findGaps, fittingGap, GAP_CHOICES, MAX_WINDOWS, merge, readWindows, toBars, windowsCsv, windowsJson, type Range } from "./history";
import type { Live, View } from "./live";
import { apply, DAY_MS, roll, toActivity, toDays, WINDOW_MS, WINDOWS, windowStart, type Activity, type Day, type Json, type Status, type Window } from "./model";
import { RangeChooser } from "./range";
import { agoText, dateText, durationText, exactText, fullText, group, intervalText, minuteText, plural, secondText } from "./time";
import { VirtualRows, type Row } from "./virtual";

const GAPS_SHOWN = 200;
const ROW_PX = 36;
const REREAD_MS = 1000;

class Fact {
  readonly element: HTMLElement;
  private readonly value = h("dd", {}, "–");
  constructor(label: string) {
    this.element = h("div", { class: "fact" }, h("dt", {}, label), this.value);
  }
  set(text: string, title = ""): void {
    setText(this.value, text);
    setAttribute(this.value, "title", title);
  }
}

export class ClientView implements View {
  readonly title: string;
  readonly element: HTMLElement;
  private client: string; // as it was asked for; then as the server writes it
  private activity: Activity | null = null;
  private windows: Window[] = [];
  private days: Day[] = [];
  private range: Range;
  private readonly chooser: RangeChooser;
  private readonly badge = h("span", { class: "badge" });
  private readonly facts = {
    count: new Fact("Pings, 24 h"),
    interval: new Fact("Average interval"),
    windows: new Fact("Active windows"),
    busiest: new Fact("Busiest window"),
    first: new Fact("First ping"),
    last: new Fact("Last ping"),
  };
  private readonly heading = h("h1", { class: "address" });
  private readonly failure = h("p", { class: "note", hidden: true, role: "status" });
  private readonly dayBars = new Bars({ label: "Pings in the 288 windows of the last 24 hours", heat: true, readout: readWindow });
  private readonly rangeBars = new Bars({ label: "Pings in the chosen range", heat: false, readout: readRange });
  private readonly rangeNote = h("p", { class: "muted" });
  private readonly windowBody = h("div", { class: "rows", role: "rowgroup" });
  private readonly windowScroll = h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Windows, to scroll" });
  private readonly virtual = new VirtualRows(this.windowBody, this.windowScroll, () => new WindowRow(this.shownWindows));
  private readonly gapChoice = h("select", { id: "gap" }, h("option", { value: "0" }, "its own pace"), ...GAP_CHOICES.map((ms) => h("option", { value: ms }, durationText(ms))));
  private readonly gapNote = h("p", { class: "muted" });
  private readonly gapList = h("ol", { class: "gaps" });
  private readonly dayTable = h("tbody", {});
  private readonly shownWindows: Window[] = [];
  private readonly details = h("div", {});
  private abort = new AbortController();
  private rangeAbort = new AbortController();
  private rereadTimer = 0;
  private whole = true;
  private over = false; // asking again will not help

  constructor(client: string, url: URL, private readonly live: Live) {
    this.client = client;
    this.title = `${client} · Ping`;
    this.chooser = new RangeChooser(url, (range) => this.choose(range));
    this.range = this.chooser.range();
    setText(this.heading, client);
    this.details.append(this.makeFacts(), this.makeDay(), this.makeRange(), h("div", { class: "columns" }, this.makeWindows(), h("div", {}, this.makeGaps(), this.makeDays())));
    this.element = h("div", { class: "view" },
      h("p", { class: "crumb" }, h("a", { href: "/clients" }, "← All clients")),
      h("div", { class: "bar" }, this.heading, this.badge, copyButton(() => location.href, this.heading, "Copy link")),
      this.failure, this.details);
    this.gapChoice.addEventListener("change", () => this.showGaps());
    void this.readActivity();
    void this.readRange();
  }

  destroy(): void {
    this.abort.abort();
    this.rangeAbort.abort();
    clearTimeout(this.rereadTimer);
    this.dayBars.destroy();
    this.rangeBars.destroy();
    this.virtual.destroy();
  }

  watched(): readonly string[] | null {
    return this.activity === null ? null : [this.client];
  }

  onStatus(_status: Status): void {}

  onWindows(windows: Window[]): void {
    for (const window of windows) {
      if (this.activity === null || window.client !== this.client) continue;
      roll(this.activity, now());
      if (!apply(this.activity, window)) void this.readActivity();
      const { start, end } = this.range;
      if (window.start >= start && (end === 0 || window.start < end)) merge(this.windows, window);
    }
    this.showActivity();
    this.showRange();
    // The days, and what a window that left had of its own, are the server's to say.
    clearTimeout(this.rereadTimer);
    this.rereadTimer = window.setTimeout(() => void this.readDays(), REREAD_MS);
  }

  resync(): void {
    if (this.over) return;
    void this.readActivity();
    void this.readRange();
  }

  tick(): void {
    if (this.activity === null) return;
    const { start } = this.activity;
    if (roll(this.activity, now())) void this.readActivity();
    if (this.activity.start !== start) this.showRange();
    this.showActivity();
    this.virtual.updateAll();
  }

  // --- reading ---

  private async readActivity(): Promise<void> {
    try {
      const json = await call("GetActivity", { clientIp: this.client }, this.abort.signal);
      this.activity = toActivity((json["activity"] ?? {}) as Json);
      this.canonical(this.activity.client);
      this.fail(null);
      this.showActivity();
      this.live.rewatch();
    } catch (error) {
      if (!isAbort(error)) this.fail(error);
    }
  }

  private async readRange(): Promise<void> {
    this.rangeAbort.abort();
    const { signal } = (this.rangeAbort = new AbortController());
    void this.readDays();
    try {
      this.whole = await readWindows(this.client, this.range, signal, (windows) => {
        this.windows = windows;
        this.showRange();
      });
      this.showRange();
    } catch (error) {
      if (!isAbort(error)) this.fail(error);
    }
  }

  private async readDays(): Promise<void> {
    // Days by their start: the one that the range begins in counts.
    const start = this.range.start - (this.range.start % DAY_MS);
    try {
      this.days = toDays(await call("ListDailyStats", { clientIp: this.client, timeRange: { start: String(start), end: String(this.range.end) }, pageSize: 1000 }, this.rangeAbort.signal));
      this.showDays();
    } catch (error) {
      if (!isAbort(error)) this.fail(error);
    }
  }

  private fail(error: unknown): void {
    const text = error instanceof ApiError ? error.message : error === null ? "" : String(error);
    show(this.failure, error !== null);
    if (error instanceof ApiError && (error.code === "invalid_argument" || error.permanent)) {
      this.over = true;
      show(this.details, false);
    }
    setText(this.failure, this.over ? `“${this.client}” can't be shown: ${text}.` : `Not up to date: ${text}.`);
  }

  // 2001:DB8:0::1 and 2001:db8::1 are one client: the address bar gets the one that can be compared.
  private canonical(client: string): void {
    if (client === "" || client === this.client) return;
    this.client = client;
    setText(this.heading, client);
    const url = new URL(location.href);
    url.pathname = `/clients/${client}`;
    history.replaceState(history.state, "", url);
  }

  private choose(range: Range): void {
    this.range = range;
    this.windows = [];
    void this.readRange();
  }

  // --- showing ---

  private makeFacts(): HTMLElement {
    return h("dl", { class: "facts" }, ...Object.values(this.facts).map((fact) => fact.element));
  }

  private makeDay(): HTMLElement {
    return h("section", { class: "panel", "aria-labelledby": "client-day" },
      h("div", { class: "panel-head" }, h("h2", { id: "client-day" }, "Last 24 hours"), h("span", { class: "muted" }, "288 windows of 5 minutes")), this.dayBars.element);
  }

  private makeRange(): HTMLElement {
    const save = (kind: "csv" | "json") => (): void => {
      const name = `ping-${this.client.replaceAll(":", "-")}-${dateText(this.range.start)}.${kind}`;
      if (kind === "csv") download(name, "text/csv", windowsCsv(this.windows));
      else download(name, "application/json", windowsJson(this.windows));
    };
    return h("section", { class: "panel", "aria-labelledby": "client-range" },
      h("div", { class: "panel-head" }, h("h2", { id: "client-range" }, "History"), this.chooser.element,
        h("div", { class: "exports" }, h("button", { type: "button", class: "button", onclick: save("csv") }, "Save CSV"), h("button", { type: "button", class: "button", onclick: save("json") }, "Save JSON"))),
      this.rangeNote, this.rangeBars.element);
  }

  private makeWindows(): HTMLElement {
    const head = h("div", { class: "wrow head", role: "row" }, ...["Window", "Pings", "Interval", "First", "Last"].map((text) => h("span", { role: "columnheader" }, text)));
    this.windowScroll.append(h("div", { role: "table", "aria-label": "Windows", class: "wtable" }, h("div", { role: "rowgroup", class: "whead" }, head), this.windowBody));
    return h("section", { class: "panel", "aria-labelledby": "client-windows" }, h("h2", { id: "client-windows" }, "Windows"), this.windowScroll);
  }

  private makeGaps(): HTMLElement {
    return h("section", { class: "panel", "aria-labelledby": "client-gaps" },
      h("div", { class: "panel-head" }, h("h2", { id: "client-gaps" }, "Gaps"), h("label", { for: "gap", class: "muted" }, "longer than ", this.gapChoice)), this.gapNote, this.gapList);
  }

  private makeDays(): HTMLElement {
    const head = h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Day (UTC)"), h("th", { scope: "col" }, "Pings"), h("td", {})));
    return h("section", { class: "panel", "aria-labelledby": "client-days" }, h("h2", { id: "client-days" }, "Daily totals"),
      h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Daily totals, to scroll" }, h("table", { class: "days" }, head, this.dayTable)));
  }

  private showActivity(): void {
    const activity = this.activity;
    if (activity === null) return;
    const seen = activity.last > 0;
    const alive = activity.count > 0;
    setAttribute(this.badge, "data-state", alive ? "ok" : "silent");
    setText(this.badge, !seen ? "Never seen" : alive ? "Active" : `Silent for ${durationText(now() - activity.last)}`);
    const { count, interval, windows, busiest, first, last } = this.facts;
    count.set(group(activity.count));
    interval.set(intervalText(activity.average), activity.average === null ? "needs two pings" : `${activity.average} ms`);
    windows.set(`${activity.activeWindows} of ${WINDOWS}`);
    busiest.set(activity.busiest === null ? "–" : `${minuteText(activity.busiest.start)} · ${plural(activity.busiest.count, "ping")}`, activity.busiest === null ? "" : exactText(activity.busiest.start));
    first.set(seen ? fullText(activity.first) : "–", seen ? exactText(activity.first) : "");
    last.set(seen ? agoText(activity.last, now()) : "–", seen ? exactText(activity.last) : "");
    if (activity.counts !== null) this.dayBars.set({ start: activity.start, step: WINDOW_MS, values: activity.counts, open: true });
  }

  private endMs(): number {
    return this.range.end === 0 ? windowStart(now()) + WINDOW_MS : this.range.end;
  }

  private showRange(): void {
    const start = this.range.start > 0 ? this.range.start : (this.windows[this.windows.length - 1]?.start ?? now() - DAY_MS);
    const bars = toBars(this.windows, start, this.endMs(), 720);
    this.rangeBars.set({ ...bars, open: this.range.end === 0 });
    const total = this.windows.reduce((sum, one) => sum + one.count, 0);
    setText(this.rangeNote, `${plural(total, "ping")} in ${plural(this.windows.length, "window")}${this.whole ? "" : ` – only the newest ${group(MAX_WINDOWS)} windows are read`}`);
    this.shownWindows.splice(0, this.shownWindows.length);
    for (const one of this.windows) this.shownWindows.push(one);
    this.virtual.set(this.windows.length, ROW_PX);
    this.virtual.updateAll();
    this.showGaps();
  }

  private showGaps(): void {
    const chosen = Number(this.gapChoice.value);
    const min = chosen > 0 ? chosen : fittingGap(this.windows);
    const gaps = findGaps(this.windows, min, this.range.end === 0 || this.range.end > now() ? now() : null);
    const more = gaps.length > GAPS_SHOWN ? `, the newest ${GAPS_SHOWN} of them here` : "";
    setText(this.gapNote, gaps.length === 0 ? `No silence of ${durationText(min)} or more in this range` : `${plural(gaps.length, "time")} silent for ${durationText(min)} or more${more}`);
    this.gapList.replaceChildren(...gaps.slice(0, GAPS_SHOWN).map((gap) => {
      const sameDay = gap.to !== null && dateText(gap.from) === dateText(gap.to);
      return h("li", {}, h("span", {}, "Silent from ", h("time", { title: exactText(gap.from) }, fullText(gap.from)), " to ",
        gap.to === null ? "now" : h("time", { title: exactText(gap.to) }, sameDay ? secondText(gap.to) : fullText(gap.to))),
        h("span", { class: "gap-length" }, durationText((gap.to ?? now()) - gap.from)));
    }));
  }

  private showDays(): void {
    const most = this.days.reduce((max, day) => Math.max(max, day.count), 1);
    this.dayTable.replaceChildren(...this.days.map((day) => {
      const bar = h("i", { class: "day-bar", "aria-hidden": "true" });
      bar.style.width = `${(day.count / most) * 100}%`;
      return h("tr", {}, h("th", { scope: "row" }, day.day), h("td", {}, group(day.count)), h("td", {}, bar));
    }));
  }
}

function readWindow(start: number, end: number, value: number, open: boolean): string {
  return `${minuteText(start)}–${minuteText(end)}: ${value === 0 ? "no ping" : plural(value, "ping")}${open ? ", not over yet" : ""}`;
}

function readRange(start: number, end: number, value: number, open: boolean): string {
  const to = dateText(start) === dateText(end) ? minuteText(end) : `${dateText(end)} ${minuteText(end)}`;
  return `${dateText(start)} ${minuteText(start)}–${to}: ${value === 0 ? "no ping" : plural(value, "ping")}${open ? ", not over yet" : ""}`;
}

class WindowRow implements Row {
  readonly element: HTMLElement;
  private readonly cells = [0, 1, 2, 3, 4].map(() => h("span", { role: "cell" }));

  constructor(private readonly windows: readonly Window[]) {
    this.element = h("div", { class: "wrow", role: "row" }, ...this.cells);
  }

  update(index: number): void {
    const one = this.windows[index];
    if (one === undefined) return;
    const open = one.end > now();
    const texts = [`${dateText(one.start)} ${minuteText(one.start)}${open ? " · open" : ""}`, group(one.count), intervalText(one.average), secondText(one.first), secondText(one.last)];
    texts.forEach((text, i) => setText(this.cells[i]!, text));
    setAttribute(this.cells[3]!, "title", exactText(one.first));
    setAttribute(this.cells[4]!, "title", exactText(one.last));
    setAttribute(this.element, "data-open", String(open));
    setAttribute(this.element, "aria-rowindex", String(index + 2));
  }
}
