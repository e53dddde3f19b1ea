// The pipeline as a picture of its parts. Each is told by its shape and in words; colour only repeats it.
//
//   ledger ──► log ──► engine ──► store
import { now } from "./api";
import { h, setAttribute, setText, svg } from "./dom";
import type { State, Status } from "./model";
import { agoText, fullText, group, plural } from "./time";

const shapes: Record<State, string> = {
  ok: "M4 10.5l4 4 8-9", // a check mark
  degraded: "M10 2.5L18.5 17h-17zM10 8v4M10 14.4v.2", // a triangle
  down: "M5 5l10 10M15 5L5 15", // a cross
  unknown: "M6 10h8", // a dash
};
const words: Record<State, string> = { ok: "Healthy", degraded: "Degraded", down: "Down", unknown: "Not here" };

class Part {
  readonly element: HTMLElement;
  private readonly path = svg("path", {});
  private readonly state = h("span", { class: "part-state" });
  private readonly kind = h("span", { class: "part-kind muted" });
  private readonly more = h("span", { class: "part-more" });

  constructor(title: string, what: string) {
    const shape = svg("svg", { viewBox: "0 0 20 20", width: 20, height: 20, "aria-hidden": "true" }, this.path);
    this.element = h("li", { class: "part", title: what }, h("div", { class: "part-head" }, shape, h("span", { class: "part-name" }, title), this.kind), this.state, this.more);
  }

  set(state: State, kind: string, more: string): void {
    setAttribute(this.element, "data-state", state);
    setAttribute(this.path, "d", shapes[state]);
    setText(this.state, words[state]);
    setText(this.kind, kind);
    setText(this.more, more);
  }
}

export class Picture {
  readonly element: HTMLElement;
  private readonly ledger = new Part("Ledger", "Keeps every ping");
  private readonly log = new Part("Log", "Every ping, in order");
  private readonly engine = new Part("Engine", "Makes windows and days of the log");
  private readonly store = new Part("Store", "Holds what the engine made");

  constructor() {
    this.element = h("section", { class: "panel", "aria-labelledby": "pipeline-title" }, h("h2", { id: "pipeline-title" }, "Pipeline"),
      h("ol", { class: "pipeline" }, this.ledger.element, this.log.element, this.engine.element, this.store.element));
  }

  set(status: Status): void {
    const at = (name: string, kind: string): State => status.dependencies.find((one) => one.name === name)?.state ?? (kind === "" ? "unknown" : "ok");
    const since = (name: string): string => {
      const one = status.dependencies.find((dependency) => dependency.name === name);
      return one && one.state !== "ok" && one.since > 0 ? `since ${fullText(one.since)}` : "";
    };
    this.ledger.set(at("ledger", status.ledger), status.ledger, since("ledger") || "keeps every ping");
    this.log.set(at("log", status.log), status.log, since("log") || (status.deadLetters > 0 ? plural(status.deadLetters, "dead letter") : "no dead letters"));
    this.engine.set(at("engine", status.engine), status.engine, since("engine") || heardOf(status) || (status.lag > 0 ? `${group(status.lag)} behind` : "nothing waits"));
    this.store.set(at("store", status.store), status.store, since("store") || freshness(status));
  }
}

function heardOf(status: Status): string {
  const one = status.elsewhere;
  return !one ? "" : one.heartbeat === 0 ? `${one.kind} was stopped` : `${status.engine === "" ? `${one.kind}, ` : ""}heard of ${agoText(one.heartbeat, now())}`;
}

function freshness(status: Status): string {
  if (status.store === "") return "";
  // Since pingd was started it has applied none; what there is may be old.
  if (status.newestApplied === 0) return status.clients === 0 ? "empty" : status.lag > 0 ? "catching up" : "up to date";
  return status.lag > 0 ? `fresh as of ${agoText(status.newestApplied, now())}` : `newest ping ${agoText(status.newestApplied, now())}`;
}
