// Which range of a client's past is shown. It is in the address, so that a link shows the same.
import { now } from "./api";
import { h, setAttribute } from "./dom";
import type { Range } from "./history";
import { DAY_MS, WINDOW_MS, windowStart } from "./model";
import { inputText, parseInput } from "./time";

const presets: [string, string, number][] = [
  ["24h", "24 hours", DAY_MS],
  ["7d", "7 days", 7 * DAY_MS],
  ["30d", "30 days", 30 * DAY_MS],
  ["all", "All", 0],
];

const DEFAULT = "7d";

function parseIso(text: string | null): number | null {
  const ms = text === null ? NaN : Date.parse(text);
  return Number.isNaN(ms) ? null : ms;
}

export class RangeChooser {
  readonly element: HTMLElement;
  private readonly buttons = new Map<string, HTMLElement>();
  private readonly from = h("input", { type: "datetime-local", "aria-label": "From", step: 300 });
  private readonly to = h("input", { type: "datetime-local", "aria-label": "To, not in it", step: 300 });
  private chosen: string;
  private custom: Range | null = null;

  constructor(
    url: URL,
    private readonly changed: (range: Range) => void,
  ) {
    const start = parseIso(url.searchParams.get("from"));
    const end = parseIso(url.searchParams.get("to"));
    const wanted = url.searchParams.get("range");
    this.chosen = presets.some(([name]) => name === wanted) ? wanted! : DEFAULT;
    if (start !== null && end !== null && start < end) {
      this.custom = { start, end };
      this.chosen = "";
    }
    const group = h("div", { class: "presets", role: "group", "aria-label": "Range" });
    for (const [name, label] of presets) {
      const button = h("button", { type: "button", class: "button", onclick: () => this.preset(name) }, label);
      this.buttons.set(name, button);
      group.append(button);
    }
    this.element = h("div", { class: "range" }, group, h("div", { class: "range-custom" }, this.from, h("span", { "aria-hidden": "true" }, "–"), this.to));
    for (const input of [this.from, this.to]) input.addEventListener("change", () => this.type());
    this.mark();
  }

  range(): Range {
    if (this.custom !== null) return this.custom;
    const ms = presets.find(([name]) => name === this.chosen)![2];
    return { start: ms === 0 ? 0 : windowStart(now()) + WINDOW_MS - ms, end: 0 };
  }

  private preset(name: string): void {
    this.chosen = name;
    this.custom = null;
    this.tell();
  }

  private type(): void {
    const [start, end] = [parseInput(this.from.value), parseInput(this.to.value)];
    const wrong = start === null || end === null || start >= end;
    for (const input of [this.from, this.to]) setAttribute(input, "aria-invalid", String(wrong));
    if (wrong) return;
    this.custom = { start, end };
    this.chosen = "";
    this.tell();
  }

  private tell(): void {
    this.mark();
    const url = new URL(location.href);
    for (const name of ["range", "from", "to"]) url.searchParams.delete(name);
    if (this.custom !== null) {
      url.searchParams.set("from", new Date(this.custom.start).toISOString());
      url.searchParams.set("to", new Date(this.custom.end).toISOString());
    } else if (this.chosen !== DEFAULT) url.searchParams.set("range", this.chosen);
    history.replaceState(history.state, "", url);
    this.changed(this.range());
  }

  private mark(): void {
    for (const [name, button] of this.buttons) setAttribute(button, "aria-pressed", String(name === this.chosen));
    const { start, end } = this.range();
    this.from.value = start > 0 ? inputText(start) : "";
    this.to.value = inputText(end > 0 ? end : windowStart(now()) + WINDOW_MS);
  }
}
