// Every client ever seen, a line each: its last 24 hours, when it was last seen, how much, how often.
import { now } from "./api";
import { LEVELS, getColors, onColors } from "./colors";
import { h, perFrame, setAttribute, setText, show } from "./dom";
import { firstSteps } from "./empty";
import type { Live, View } from "./live";
import type { Status, Window } from "./model";
import { describeStrip, drawStrip } from "./strip";
import { ClientList, type Order } from "./table_model";
import { agoText, exactText, getZone, group, intervalText, plural } from "./time";
import { VirtualRows, type Row } from "./virtual";

const WATCH_ALL = 1000; // so many clients are watched all at once; of more those in sight
const WATCH_SOME = 120;
const SETTLE_MS = 300;
const REORDER_MS: Record<Order, number> = { seen: 2500, pings: 10_000, client: 10_000 }; // at most so often
const narrow = matchMedia("(max-width: 719px)");

export class ClientsView implements View {
  readonly title = "Clients · Ping";
  readonly element: HTMLElement;
  private readonly search = h("input", { type: "search", id: "search", placeholder: "Address begins with…", autocomplete: "off", spellcheck: "false", "aria-describedby": "found" });
  private readonly said = h("p", { class: "sr", role: "status" }); // what a search found; not each client that comes
  private readonly found = h("p", { id: "found", class: "found muted" });
  private readonly reorder = h("button", { type: "button", class: "button pill", hidden: true }, "The order has changed – sort again");
  private readonly body = h("div", { class: "rows", role: "rowgroup" });
  private readonly table: HTMLElement;
  private readonly headers = new Map<Order, HTMLElement>();
  private readonly none = h("p", { class: "note", hidden: true });
  private readonly empty = firstSteps();
  private readonly virtual = new VirtualRows(this.body, null, () => new ClientRow(this), (first, end) => this.inSight(first, end));
  private readonly forget = onColors(() => this.virtual.updateAll());
  private readonly onPrint = (): void => this.virtual.printAll(true);
  private readonly afterPrint = (): void => this.virtual.printAll(false);
  private readonly onNarrow = (): void => this.changed();
  private readonly onResize = perFrame(() => this.changed());
  // A row that changed many times within a frame is drawn once.
  private readonly dirty = new Set<number>();
  private readonly drawDirty = perFrame(() => {
    for (const index of this.dirty) this.virtual.update(index);
    this.dirty.clear();
  });
  stripWidth = 0;
  list: ClientList;
  current = 0;
  private status: Status | null = null;
  private outOfOrder = false;
  private orderedAt = 0;
  private searchTimer = 0;
  private settleTimer = 0;
  private busy = false; // somebody points at the table

  constructor(
    url: URL,
    private readonly live: Live,
  ) {
    const sort = url.searchParams.get("sort");
    this.search.value = url.searchParams.get("prefix") ?? "";
    this.list = this.makeList(sort === "pings" || sort === "client" ? sort : "seen", this.search.value);
    this.table = h("div", { class: "table", role: "table", "aria-label": "Clients" }, this.makeHead(), this.body);
    this.element = h("div", { class: "view" },
      h("div", { class: "bar" }, h("h1", {}, "Clients"), h("label", { class: "search" }, h("span", { class: "sr" }, "Search by the beginning of an address"), this.search), this.found, this.said, legend()),
      this.empty, this.table, this.none, this.reorder);
    this.empty.hidden = true;
    this.search.addEventListener("input", () => {
      clearTimeout(this.searchTimer);
      this.searchTimer = window.setTimeout(() => this.choose(this.list.order, this.search.value.trim()), 200);
    });
    this.reorder.addEventListener("click", () => this.sortAgain());
    this.body.addEventListener("keydown", (event) => this.press(event));
    this.table.addEventListener("pointerenter", () => (this.busy = true));
    this.table.addEventListener("pointerleave", () => (this.busy = false));
    addEventListener("beforeprint", this.onPrint);
    addEventListener("afterprint", this.afterPrint);
    narrow.addEventListener("change", this.onNarrow);
    addEventListener("resize", this.onResize);
    this.markOrder();
    this.list.ensure(100);
  }

  destroy(): void {
    this.list.destroy();
    this.virtual.destroy();
    this.forget();
    removeEventListener("beforeprint", this.onPrint);
    removeEventListener("afterprint", this.afterPrint);
    narrow.removeEventListener("change", this.onNarrow);
    removeEventListener("resize", this.onResize);
    clearTimeout(this.searchTimer);
    clearTimeout(this.settleTimer);
  }

  watched(): readonly string[] | null {
    if (this.status === null || this.status.store === "") return null;
    if (!this.isLarge()) return [];
    const from = Math.max(0, this.virtual.first - 20);
    const clients = this.list.rows.slice(from, from + WATCH_SOME).map((row) => row.activity.client);
    return clients.length > 0 ? clients : null;
  }

  onStatus(status: Status): void {
    const before = this.status;
    this.status = status;
    // Of clients that are not watched it is known only that one of them may have pinged.
    const unseen = this.isLarge() && this.list.order === "seen" && status.newestApplied !== before?.newestApplied;
    if (before !== null && (status.clients > before.clients || unseen)) this.outOfOrder = true;
    if (before === null || (before.clients <= WATCH_ALL) !== (status.clients <= WATCH_ALL)) this.live.rewatch();
    if (before === null || before.clients !== status.clients) this.changed();
    this.maybeReorder();
  }

  onWindows(windows: Window[]): void {
    if (!this.list.apply(windows)) this.outOfOrder = true;
    this.maybeReorder();
  }

  // Those in sight are asked for again: by one call where they are the first page. Of many clients the first page is soon another,
  // which would then be watched, and so on: there it is one by one, and the order has its own time.
  resync(): void {
    if (this.virtual.end <= 60 && !this.isLarge()) {
      void this.list.restart();
      return;
    }
    // What was listed a moment ago is listed again in a moment, where the order is by time.
    if (this.list.order === "seen" && Date.now() - this.orderedAt < REORDER_MS.seen) return;
    this.list.distrust();
    this.list.freshen(this.virtual.first, this.virtual.end);
  }

  tick(): void {
    if (this.list.roll()) this.list.freshen(this.virtual.first, this.virtual.end);
    this.virtual.updateAll();
    if (this.list.failure !== null) this.list.ensure(this.virtual.end + 50);
    this.maybeReorder();
  }

  private makeList(order: Order, prefix: string): ClientList {
    const touched = (index: number): void => {
      this.dirty.add(index);
      this.drawDirty();
    };
    return new ClientList(order, prefix, () => this.changed(), touched);
  }

  // All strips are as wide as the first: to ask each would be a layout a row.
  private measure(): void {
    this.stripWidth = this.body.querySelector("canvas")?.clientWidth ?? 0;
  }

  private makeHead(): HTMLElement {
    const sortable = (order: Order, text: string, hint: string): HTMLElement => {
      const cell = h("div", { role: "columnheader", class: `c-${order}` }, h("button", { type: "button", title: hint, onclick: () => this.choose(order, this.list.prefix) }, text));
      this.headers.set(order, cell);
      return cell;
    };
    return h("div", { class: "thead", role: "rowgroup" }, h("div", { class: "row head", role: "row" },
      sortable("client", "Client", "Sort by address"),
      h("div", { role: "columnheader", class: "c-strip" }, "Last 24 hours"),
      sortable("seen", "Last seen", "Sort by last ping, newest first"),
      sortable("pings", "Pings", "Sort by pings in the last 24 hours, most first"),
      h("div", { role: "columnheader", class: "c-interval" }, "Average interval")));
  }

  private markOrder(): void {
    for (const [order, cell] of this.headers) setAttribute(cell, "aria-sort", order !== this.list.order ? "none" : order === "client" ? "ascending" : "descending");
  }

  private choose(order: Order, prefix: string): void {
    this.list.destroy();
    this.list = this.makeList(order, prefix);
    this.current = 0;
    this.outOfOrder = false;
    this.orderedAt = Date.now();
    this.markOrder();
    const url = new URL(location.href);
    for (const [name, value] of [["sort", order === "seen" ? "" : order], ["prefix", prefix]] as const) {
      if (value === "") url.searchParams.delete(name);
      else url.searchParams.set(name, value);
    }
    history.replaceState(history.state, "", url);
    if (this.virtual.first > 0) scrollTo(0, 0);
    this.list.ensure(100);
    this.changed();
  }

  // --- order ---

  private isLarge(): boolean {
    return this.status !== null && this.status.clients > WATCH_ALL;
  }

  private atRest(): boolean {
    return !this.busy && scrollY < 200 && !this.table.contains(document.activeElement);
  }

  // It is sorted again by itself where nobody looks for a place in it; else a button says so.
  private maybeReorder(): void {
    const due = this.outOfOrder && !this.list.reading && Date.now() - this.orderedAt > REORDER_MS[this.list.order];
    if (due && this.atRest()) this.sortAgain();
    else if (due || this.reorder.hidden === false) show(this.reorder, this.outOfOrder);
  }

  private sortAgain(): void {
    this.outOfOrder = false;
    this.orderedAt = Date.now();
    show(this.reorder, false);
    if (scrollY >= 200) scrollTo(0, 0);
    void this.list.restart();
  }

  // --- what is in sight ---

  private inSight(first: number, end: number): void {
    this.list.ensure(end + (first > 0 ? 50 : 0));
    this.settle();
  }

  private settle(): void {
    clearTimeout(this.settleTimer);
    this.settleTimer = window.setTimeout(() => {
      this.list.freshen(this.virtual.first, this.virtual.end);
      this.live.rewatch();
    }, SETTLE_MS);
  }

  // Rows that are known to be there have their room before they are read, so that one can jump to them.
  private expected(): number {
    const { rows, done, prefix } = this.list;
    if (done) return rows.length;
    return prefix === "" ? Math.max(rows.length, this.status?.clients ?? 0) : rows.length + 1;
  }

  private changed(): void {
    const { rows, done, prefix, failure } = this.list;
    const count = this.expected();
    this.virtual.set(count, narrow.matches ? 92 : 44);
    this.measure();
    this.virtual.updateAll();
    setAttribute(this.table, "aria-rowcount", String(done || prefix === "" ? count + 1 : -1));
    show(this.empty, done && rows.length === 0 && prefix === "" && failure === null);
    show(this.table, rows.length > 0 || (!done && failure === null));
    show(this.none, (done && rows.length === 0 && prefix !== "") || (failure !== null && rows.length === 0));
    setText(this.none, failure !== null ? `The clients can't be listed: ${failure}` : `No client's address begins with ${prefix}`);
    setText(this.found, prefix === "" ? (this.status !== null ? plural(this.status.clients, "client") : "") : done ? `${plural(rows.length, "client")} found` : `more than ${group(Math.max(0, rows.length - 1))} found`);
    setText(this.said, prefix !== "" && rows.length > 0 ? (this.found.textContent ?? "") : "");
    this.settle();
  }

  // --- keys: one stop for Tab, arrows within ---

  private press(event: KeyboardEvent): void {
    const page = Math.max(1, this.virtual.end - this.virtual.first - 14);
    const last = this.expected() - 1;
    const moves: Record<string, number> = {
      ArrowDown: this.current + 1, ArrowUp: this.current - 1, PageDown: this.current + page, PageUp: this.current - page, Home: 0, End: last,
    };
    const to = moves[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const before = this.current;
    this.current = Math.max(0, Math.min(last, to));
    this.virtual.scrollTo(this.current);
    this.virtual.update(before);
    this.virtual.update(this.current);
    (this.virtual.row(this.current) as ClientRow | undefined)?.link.focus({ preventScroll: true });
  }
}

class ClientRow implements Row {
  readonly link = h("a", { class: "address" });
  readonly element: HTMLElement;
  private readonly canvas = h("canvas", { class: "strip", role: "img" });
  private readonly ago = h("time", {});
  private readonly count = h("span", {});
  private readonly interval = h("span", {});
  private drawn = "";

  constructor(private readonly view: ClientsView) {
    this.element = h("div", { class: "row", role: "row" },
      h("div", { role: "cell", class: "c-client" }, this.link),
      h("div", { role: "cell", class: "c-strip" }, this.canvas),
      h("div", { role: "cell", class: "c-seen" }, this.ago),
      h("div", { role: "cell", class: "c-pings" }, this.count, h("span", { class: "unit" }, " pings")),
      h("div", { role: "cell", class: "c-interval" }, h("span", { class: "unit" }, "every "), this.interval));
  }

  update(index: number): void {
    const row = this.view.list.rows[index];
    setAttribute(this.element, "aria-rowindex", String(index + 2));
    setAttribute(this.element, "data-waiting", String(row === undefined));
    setAttribute(this.link, "tabindex", index === this.view.current ? "0" : "-1");
    if (row === undefined) {
      setText(this.link, "…");
      this.link.removeAttribute("href");
      setText(this.ago, "");
      setText(this.count, "");
      setText(this.interval, "");
      this.draw([], 0, 0);
      return;
    }
    const { activity } = row;
    setText(this.link, activity.client);
    setAttribute(this.link, "href", `/clients/${activity.client}`);
    setText(this.ago, agoText(activity.last, now()));
    setAttribute(this.ago, "title", exactText(activity.last));
    setAttribute(this.ago, "datetime", new Date(activity.last).toISOString());
    setText(this.count, group(activity.count));
    setText(this.interval, intervalText(activity.average));
    setAttribute(this.element, "data-silent", String(activity.count === 0));
    this.draw(activity.counts ?? [], activity.start, activity.version);
  }

  // Only what differs from what is drawn: a second's tick is no reason.
  private draw(counts: readonly number[], start: number, version: number): void {
    const width = this.view.stripWidth || this.canvas.clientWidth;
    const key = `${width} ${version} ${getColors().mark} ${getZone()} ${counts.length}`;
    if (key === this.drawn) return;
    this.drawn = key;
    drawStrip(this.canvas, counts, width, 22);
    setAttribute(this.canvas, "aria-label", counts.length > 0 ? describeStrip(counts, start) : "not read yet");
  }
}

function legend(): HTMLElement {
  const swatches = ["0", ...LEVELS.map(String)].map((_, i) => h("i", { class: `swatch swatch-${i}` }));
  return h("p", { class: "legend muted" }, "Pings in 5 min: ", h("span", {}, swatches[0], " 0"), h("span", {}, swatches[1], " 1"),
    h("span", {}, ...swatches.slice(2), ` ${LEVELS[LEVELS.length - 1]}+`));
}
