// What to do where no ping has come yet: ready to copy, and right for this very server.
import { h, setText } from "./dom";

// Without a secure context there is no clipboard: the text is selected instead, one key away from it.
async function copy(text: string, source: HTMLElement, button: HTMLElement): Promise<void> {
  const before = button.textContent ?? "";
  try {
    await navigator.clipboard.writeText(text);
    setText(button, "Copied");
  } catch {
    getSelection()?.selectAllChildren(source);
    setText(button, "Selected");
  }
  setTimeout(() => setText(button, before), 2000);
}

export function copyButton(text: () => string, source: HTMLElement, label = "Copy"): HTMLButtonElement {
  const button = h("button", { type: "button", class: "button" }, label);
  button.addEventListener("click", () => void copy(text(), source, button));
  return button;
}

function command(title: string, text: string): HTMLElement {
  const code = h("code", {}, text);
  return h("div", { class: "command" }, h("h3", {}, title), h("div", { class: "command-in" }, h("pre", { tabindex: 0, role: "region", "aria-label": title }, code), copyButton(() => text, code)));
}

export function firstSteps(): HTMLElement {
  const url = location.origin;
  return h(
    "section",
    { class: "panel empty", "aria-labelledby": "empty-title" },
    h("h2", { id: "empty-title" }, "No ping has come yet"),
    h("p", {}, "Send the first one, from any machine that reaches this address. It shows here within two seconds; this page needs no reload."),
    command("With curl", `curl -H 'Content-Type: application/json' -d '{"timestamp_ms": '$(date +%s)000'}' ${url}/ping.v1.PingService/Ping`),
    command("With pingctl", `build/pingctl --address ${url} ping`),
    command("A fleet to look at: 100 clients, 24 hours", `build/pingctl --address ${url} load --pings 20000 --clients 100 --timestamps spread:24h`),
  );
}
