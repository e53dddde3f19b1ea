// Times as people read them, in the zone that they chose: 2026-11-28 20:17:57, the same in every language.
import { readZone, writeZone, type Zone } from "./settings";

let zone: Zone = readZone();

export function getZone(): Zone {
  return zone;
}

export function setZone(chosen: Zone): void {
  zone = chosen;
  writeZone(chosen);
}

function two(value: number): string {
  return value < 10 ? "0" + value : String(value);
}

export function dateText(ms: number): string {
  const d = new Date(ms);
  return zone === "utc"
    ? d.toISOString().slice(0, 10)
    : `${String(d.getFullYear()).padStart(4, "0")}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
}

export function minuteText(ms: number): string {
  const d = new Date(ms);
  return zone === "utc" ? d.toISOString().slice(11, 16) : `${two(d.getHours())}:${two(d.getMinutes())}`;
}

export function secondText(ms: number): string {
  return `${minuteText(ms)}:${two(new Date(ms).getUTCSeconds())}`;
}

export function fullText(ms: number): string {
  return `${dateText(ms)} ${secondText(ms)}`;
}

// A tooltip's: with milliseconds and the zone, so that nothing is left open.
export function exactText(ms: number): string {
  const d = new Date(ms);
  const minutes = -d.getTimezoneOffset();
  const offset = zone === "utc" ? "UTC" : `UTC${minutes < 0 ? "−" : "+"}${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`;
  return `${fullText(ms)}.${String(d.getUTCMilliseconds()).padStart(3, "0")} ${offset}`;
}

export function zoneName(): string {
  return zone === "utc" ? "UTC" : "local time";
}

// Of a <input type="datetime-local">, in the chosen zone.
export function inputText(ms: number): string {
  return `${dateText(ms)}T${minuteText(ms)}`;
}

export function parseInput(text: string): number | null {
  const ms = Date.parse(zone === "utc" ? text + "Z" : text);
  return Number.isNaN(ms) ? null : ms;
}

// Midnight of the day that holds it.
export function dayStart(ms: number): number {
  const d = new Date(ms);
  return zone === "utc" ? Date.UTC(d.getUTCFullYear(), d.getUTCMonth(), d.getUTCDate()) : new Date(d.getFullYear(), d.getMonth(), d.getDate()).getTime();
}

export function hourOf(ms: number): number {
  const d = new Date(ms);
  return zone === "utc" ? d.getUTCHours() : d.getHours();
}

export function agoText(ms: number, nowMs: number): string {
  const s = Math.floor((nowMs - ms) / 1000);
  if (s < 1) return s < -1 ? `in ${durationText(ms - nowMs)}` : "now";
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ago`;
  return `${group(Math.floor(s / 86_400))} d ago`;
}

// Two units at most: "1 h 20 min".
export function durationText(ms: number): string {
  const s = Math.round(ms / 1000);
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (s < 60) return `${s} s`;
  if (s < 3600) return pair(Math.floor(s / 60), "min", s % 60, "s");
  if (s < 86_400) return pair(Math.floor(s / 3600), "h", Math.floor((s % 3600) / 60), "min");
  return pair(Math.floor(s / 86_400), "d", Math.floor((s % 86_400) / 3600), "h");
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${group(large)} ${largeUnit}` : `${group(large)} ${largeUnit} ${small} ${smallUnit}`;
}

// An average interval: three digits say enough.
export function intervalText(ms: number | null): string {
  if (ms === null) return "–";
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
  // Around a minute, which many clients keep, still in seconds.
  if (ms < 120_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  return durationText(ms);
}

const grouping = new Intl.NumberFormat("en-US");
// 1234567 → "1,234,567".
export function group(value: number): string {
  return grouping.format(value);
}

export function rateText(value: number): string {
  return value === 0 ? "0" : value < 10 ? value.toFixed(1) : group(Math.round(value));
}

export function plural(count: number, one: string, many = one + "s"): string {
  return `${group(count)} ${count === 1 ? one : many}`;
}
