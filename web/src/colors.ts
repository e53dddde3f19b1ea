// The canvases' colours are the style sheet's, read once a theme.
export interface Colors {
  heat: string[];
  mark: string;
  line: string;
  text: string;
}

let colors: Colors | null = null;
const listeners = new Set<() => void>();

export function getColors(): Colors {
  if (colors !== null) return colors;
  const style = getComputedStyle(document.documentElement);
  const of = (name: string): string => style.getPropertyValue(name).trim();
  colors = { heat: [0, 1, 2, 3, 4, 5].map((level) => of(`--heat-${level}`)), mark: of("--accent"), line: of("--line"), text: of("--text") };
  return colors;
}

// The theme is another: everything that is drawn is drawn anew.
export function colorsChanged(): void {
  colors = null;
  for (const listener of listeners) listener();
}

export function onColors(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", colorsChanged);
// Paper is light: no canvas may stay as it was on a dark screen.
matchMedia("print").addEventListener("change", colorsChanged);

// The same count has the same colour in every strip: 1, up to 5 (one a minute), 30 (one in ten seconds), 300 (one a second), more.
export const LEVELS = [0, 1, 5, 30, 300];
export function level(count: number): number {
  let found = 0;
  while (found < LEVELS.length && count > LEVELS[found]!) found++;
  return found;
}
