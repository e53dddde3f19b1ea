// The 288 windows of 24 hours, oldest first, in one line: a client's day at a glance.
import { getColors, level } from "./colors";
import { WINDOW_MS, WINDOWS } from "./model";
import { minuteText, plural } from "./time";

const MARK_HEIGHT = 3;
const MARK_WIDTH = 7;

// Draws over what was there. Width and height are CSS pixels. The last window is the open one: it has a mark below.
export function drawStrip(canvas: HTMLCanvasElement, counts: readonly number[], width: number, height: number): void {
  const scale = Math.max(1, Math.min(3, devicePixelRatio));
  const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const context = canvas.getContext("2d");
  if (context === null) return;
  const { heat, mark } = getColors();
  const bar = h - Math.round(MARK_HEIGHT * scale);
  context.clearRect(0, 0, w, h);
  context.fillStyle = heat[0]!;
  context.fillRect(0, 0, w, bar);
  for (let i = 0; i < counts.length; ) {
    // Neighbours of one colour in one go.
    const one = level(counts[i]!);
    let end = i + 1;
    while (end < counts.length && level(counts[end]!) === one) end++;
    if (one > 0) {
      context.fillStyle = heat[one]!;
      const from = Math.round((i * w) / WINDOWS);
      context.fillRect(from, 0, Math.max(1, Math.round((end * w) / WINDOWS) - from), bar);
    }
    i = end;
  }
  context.fillStyle = mark;
  const open = Math.max(Math.ceil(w / WINDOWS), Math.round(MARK_WIDTH * scale));
  context.fillRect(w - open, bar + Math.round(scale), open, h - bar - Math.round(scale));
}

// The same in words, for who does not see it.
export function describeStrip(counts: readonly number[], startMs: number): string {
  let active = 0;
  let busiest = 0;
  counts.forEach((count, i) => {
    if (count > 0) active++;
    if (count > counts[busiest]!) busiest = i;
  });
  if (active === 0) return "no ping in 24 hours";
  const current = counts[counts.length - 1]! > 0 ? "active now" : "silent now";
  return `active in ${active} of ${counts.length} windows, most at ${minuteText(startMs + busiest * WINDOW_MS)} (${plural(counts[busiest]!, "ping")}), ${current}`;
}
