// A bar chart with a cursor that reads out one bar: by mouse, by touch, by arrow keys. To a screen reader it is a slider, whose value
// is what the cursor says.
import { getColors, level, onColors } from "./colors";
import { h, perFrame, setAttribute, setText } from "./dom";
import { dayStart, group, hourOf, dateText, minuteText } from "./time";
import { DAY_MS } from "./model";

export interface Series {
  start: number;
  step: number; // ms a bar
  values: readonly number[];
  open: boolean; // the last bar is not over
}

export interface BarsOptions {
  label: string;
  heat: boolean; // coloured by count, as the strips; else all in one colour
  readout: (start: number, end: number, value: number, open: boolean) => string;
}

const TICK_MIN_PX = 72;
const HOUR_MS = 3_600_000;
const TICK_STEPS = [HOUR_MS, 3 * HOUR_MS, 6 * HOUR_MS, 12 * HOUR_MS, DAY_MS, 2 * DAY_MS, 7 * DAY_MS, 14 * DAY_MS, 30 * DAY_MS, 90 * DAY_MS, 365 * DAY_MS];

// The next round number above.
function niceMax(value: number): number {
  if (value <= 5) return Math.max(1, value);
  const power = 10 ** Math.floor(Math.log10(value));
  for (const factor of [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10]) if (factor * power >= value) return factor * power;
  return value;
}

export class Bars {
  readonly element: HTMLElement;
  private readonly canvas = h("canvas", { "aria-hidden": "true" });
  private readonly line = h("div", { class: "bars-cursor", hidden: true });
  private readonly plot: HTMLElement;
  private readonly top = h("span", { class: "bars-max" });
  private readonly ticks = h("div", { class: "bars-ticks", "aria-hidden": "true" });
  private readonly out = h("output", { class: "bars-out", "aria-hidden": "true" });
  private readonly draw = perFrame(() => this.paint());
  private readonly observer = new ResizeObserver(() => this.draw());
  private readonly forget = onColors(() => this.draw());
  private series: Series = { start: 0, step: 1, values: [], open: false };
  private cursor: number | null = null;
  private width = 0;

  constructor(private readonly options: BarsOptions) {
    this.plot = h(
      "div",
      { class: "bars-plot", tabindex: 0, role: "slider", "aria-label": options.label, "aria-valuemin": 0, "aria-valuemax": 0, "aria-valuenow": 0 },
      this.canvas,
      this.top,
      this.line,
    );
    this.element = h("div", { class: "bars" }, h("div", { class: "bars-head" }, this.out), this.plot, this.ticks);
    this.plot.addEventListener("pointermove", (event) => this.point(event.clientX));
    this.plot.addEventListener("pointerdown", (event) => this.point(event.clientX));
    // A finger that is lifted leaves its cursor there, to be read.
    this.plot.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && document.activeElement !== this.plot && this.move(null));
    this.plot.addEventListener("focus", () => this.cursor ?? this.move(this.series.values.length - 1));
    this.plot.addEventListener("blur", () => this.move(null));
    this.plot.addEventListener("keydown", (event) => this.press(event));
    this.observer.observe(this.plot);
  }

  destroy(): void {
    this.observer.disconnect();
    this.forget();
  }

  set(series: Series): void {
    this.series = series;
    if (this.cursor !== null) this.cursor = Math.min(this.cursor, series.values.length - 1);
    setAttribute(this.plot, "aria-valuemax", String(Math.max(0, series.values.length - 1)));
    this.tell();
    this.draw();
  }

  private point(clientX: number): void {
    const box = this.plot.getBoundingClientRect();
    const count = this.series.values.length;
    this.move(Math.max(0, Math.min(count - 1, Math.floor(((clientX - box.left) / box.width) * count))));
  }

  private press(event: KeyboardEvent): void {
    const last = this.series.values.length - 1;
    const at = this.cursor ?? last;
    const page = Math.max(1, Math.round(last / 24));
    const moves: Record<string, number> = {
      ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, PageDown: at - page, PageUp: at + page, Home: 0, End: last,
    };
    const to = moves[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.move(Math.max(0, Math.min(last, to)));
  }

  private move(cursor: number | null): void {
    if (cursor !== null && this.series.values.length === 0) return;
    this.cursor = cursor;
    this.tell();
    this.place();
  }

  private tell(): void {
    const { start, step, values, open } = this.series;
    const last = values.length - 1;
    const at = this.cursor ?? last;
    const words = last < 0 ? "nothing to show" : this.options.readout(start + at * step, start + (at + 1) * step, values[at]!, open && at === last);
    setText(this.out, this.cursor === null ? "" : words);
    setAttribute(this.plot, "aria-valuenow", String(Math.max(0, at)));
    setAttribute(this.plot, "aria-valuetext", words);
  }

  private place(): void {
    this.line.hidden = this.cursor === null;
    if (this.cursor === null) return;
    const bar = this.width / this.series.values.length;
    this.line.style.transform = `translateX(${this.cursor * bar}px)`;
    this.line.style.width = `${Math.max(1, bar)}px`;
  }

  private paint(): void {
    const width = this.plot.clientWidth;
    const height = this.plot.clientHeight;
    if (width === 0) return;
    const scale = Math.max(1, Math.min(3, devicePixelRatio));
    this.width = width;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    const context = this.canvas.getContext("2d");
    if (context === null) return;
    const { values } = this.series;
    const max = niceMax(values.reduce((most, value) => Math.max(most, value), 0));
    setText(this.top, values.length > 0 ? group(max) : "");
    this.paintBars(context, max);
    this.placeTicks(width);
    this.place();
  }

  // More bars than pixels: of those in a pixel the highest shows.
  private paintBars(context: CanvasRenderingContext2D, max: number): void {
    const { values, open } = this.series;
    const { heat, line } = getColors();
    const { width, height } = context.canvas;
    const gap = width / values.length > 4 ? Math.max(1, Math.round(width / values.length / 6)) : 0;
    context.fillStyle = line;
    context.fillRect(0, height - 1, width, 1);
    values.forEach((value, i) => {
      if (value === 0) return;
      const from = Math.round((i * width) / values.length);
      const size = Math.max(1, Math.round(((i + 1) * width) / values.length) - from - gap);
      const tall = Math.max(2, Math.round((value / max) * (height - 2)));
      context.fillStyle = this.options.heat ? heat[level(value)]! : heat[open && i === values.length - 1 ? 2 : 3]!;
      context.fillRect(from, height - tall, size, tall);
    });
  }

  private placeTicks(width: number): void {
    const { start, step, values } = this.series;
    const end = start + values.length * step;
    const every = TICK_STEPS.find((candidate) => ((candidate / (end - start)) * width) >= TICK_MIN_PX) ?? TICK_STEPS[TICK_STEPS.length - 1]!;
    const ticks: HTMLElement[] = [];
    for (const ms of tickTimes(start, end, every)) {
      const left = ((ms - start) / (end - start)) * width;
      if (left < 20 || left > width - 20) continue;
      const tick = h("span", {}, every < DAY_MS && hourOf(ms) !== 0 ? minuteText(ms) : dateText(ms).slice(5));
      tick.style.left = `${left}px`;
      ticks.push(tick);
    }
    this.ticks.replaceChildren(...ticks);
  }
}

// Round times of the chosen zone; days may have 23 or 25 hours.
function tickTimes(start: number, end: number, every: number): number[] {
  const times: number[] = [];
  if (end <= start) return times;
  if (every < DAY_MS) {
    for (let day = dayStart(start); day < end; day = dayStart(day + DAY_MS + 2 * HOUR_MS))
      for (let ms = day; ms < Math.min(end, dayStart(day + DAY_MS + 2 * HOUR_MS)); ms += every) if (ms >= start) times.push(ms);
    return times;
  }
  for (let day = dayStart(start); day < end; day = dayStart(day + every + 2 * HOUR_MS)) if (day >= start) times.push(day);
  return times;
}
