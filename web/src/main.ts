// The frame around the views: which one an address shows, the state of the connection, zone and theme.
import { now } from "./api";
import { ClientView } from "./client";
import { ClientsView } from "./clients";
import { colorsChanged } from "./colors";
import { byId, h, setAttribute, setText } from "./dom";
import { Live, type Mode, type View } from "./live";
import { OverviewView } from "./overview";
import { readTheme, writeTheme, type Theme } from "./settings";
import { fullText, getZone, secondText, setZone, dateText } from "./time";
import type { Status } from "./model";

const live = new Live(() => showState());
let view: View | null = null;

// --- addresses ---

function makeView(url: URL): View {
  if (url.pathname.startsWith("/clients/")) return new ClientView(decodeURIComponent(url.pathname.slice("/clients/".length)), url, live);
  if (url.pathname === "/clients") return new ClientsView(url, live);
  return new OverviewView(live);
}

function open(url: URL, focus: boolean): void {
  view?.destroy();
  view = makeView(url);
  document.title = view.title;
  const main = byId("main");
  main.replaceChildren(view.element);
  for (const [id, here] of [["nav-overview", url.pathname === "/"], ["nav-clients", url.pathname.startsWith("/clients")]] as const) {
    if (here) setAttribute(byId(id), "aria-current", url.pathname === "/" || url.pathname === "/clients" ? "page" : "true");
    else byId(id).removeAttribute("aria-current");
  }
  if (focus) {
    scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }
  live.show(view);
}

function isView(url: URL): boolean {
  return url.origin === location.origin && (url.pathname === "/" || url.pathname === "/clients" || url.pathname.startsWith("/clients/"));
}

document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (link === null || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.target !== "" || link.hasAttribute("download") || (link.getAttribute("href") ?? "#").startsWith("#")) return;
  const url = new URL(link.href);
  if (!isView(url)) return;
  event.preventDefault();
  history.replaceState({ y: scrollY }, "");
  history.pushState(null, "", url);
  open(url, true);
});

addEventListener("popstate", (event) => {
  open(new URL(location.href), false);
  const y = (event.state as { y?: number } | null)?.y;
  if (y) requestAnimationFrame(() => scrollTo(0, y));
});

// --- the state of things ---

const modeWords: Record<Mode, string> = { starting: "Connecting", live: "Live", polling: "Every 3 s", stale: "Not connected" };

function troubles(status: Status): HTMLElement[] {
  return status.dependencies
    .filter((one) => one.state === "down" || one.state === "degraded")
    .map((one) => {
      const name = h("strong", {}, `${one.name[0]?.toUpperCase() ?? ""}${one.name.slice(1)} ${one.state}`);
      const stays = one.state === "down" && (one.name === "store" || one.name === "engine");
      return h("p", {}, name, one.since > 0 ? ` since ${when(one.since)}` : "", one.detail ? `: ${one.detail}.` : ".", stays ? " Numbers of clients are as of then." : "");
    });
}

// Today's times need no date.
function when(ms: number): string {
  return dateText(ms) === dateText(now()) ? secondText(ms) : fullText(ms);
}

function disconnected(): HTMLElement {
  const retry = h("button", { type: "button", class: "button", onclick: () => live.tryNow() }, "Try now");
  const shown = live.lastOk > 0 ? ` What is shown is as of ${when(live.lastOk)}.` : "";
  return h("p", {}, h("strong", {}, "No connection to pingd"), `: ${live.failure ?? ""}.${shown} It is tried again by itself. `, retry);
}

// Written only when it says something else, so that a screen reader says each thing once.
let said = "";
function showState(): void {
  const mode = byId("mode");
  setAttribute(mode, "data-mode", live.mode);
  setText(mode.lastElementChild!, modeWords[live.mode]);
  setAttribute(document.body, "data-stale", String(live.mode === "stale"));
  const lines = live.failure !== null ? [disconnected()] : live.status !== null ? troubles(live.status) : [];
  const words = lines.map((line) => line.textContent).join();
  if (words !== said) {
    said = words;
    byId("alert").replaceChildren(...(lines.length > 0 ? [h("div", { class: live.failure !== null ? "alert bad" : "alert" }, ...lines)] : []));
  }
  if (live.status !== null) setText(byId("foot"), `pingd ${live.status.version} · windows of 5 minutes, days in UTC`);
}

// --- zone and theme ---

function showZone(): void {
  const button = byId("zone");
  setText(button, getZone() === "utc" ? "UTC" : "Local time");
  setAttribute(button, "aria-label", getZone() === "utc" ? "Times in UTC; switch to local time" : "Times in local time; switch to UTC");
}

byId("zone").addEventListener("click", () => {
  setZone(getZone() === "utc" ? "local" : "utc");
  showZone();
  said = "";
  showState();
  view?.tick();
  colorsChanged(); // the axes
});

const nextTheme: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };

function showTheme(theme: Theme): void {
  if (theme === "auto") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
  setText(byId("theme"), `Theme: ${theme}`);
  colorsChanged();
}

byId("theme").addEventListener("click", () => {
  const theme = nextTheme[readTheme()];
  writeTheme(theme);
  showTheme(theme);
});

showZone();
showTheme(readTheme());
open(new URL(location.href), false);
setInterval(() => document.hidden || view?.tick(), 1000);
