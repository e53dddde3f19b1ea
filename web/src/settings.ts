// What a person has chosen, remembered by the browser. Where it remembers nothing (private windows, full storage) all works the same.
export type Theme = "auto" | "light" | "dark";
export type Zone = "local" | "utc";

function read(name: string): string | null {
  try {
    return localStorage.getItem("ping." + name);
  } catch {
    return null;
  }
}

function write(name: string, value: string): void {
  try {
    localStorage.setItem("ping." + name, value);
  } catch {
    // It holds until the page is closed.
  }
}

export function readTheme(): Theme {
  const theme = read("theme");
  return theme === "light" || theme === "dark" ? theme : "auto";
}

export function writeTheme(theme: Theme): void {
  write("theme", theme);
}

export function readZone(): Zone {
  return read("zone") === "utc" ? "utc" : "local";
}

export function writeZone(zone: Zone): void {
  write("zone", zone);
}
