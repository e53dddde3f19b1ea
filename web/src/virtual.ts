// Rows of one height, of which only those in sight are in the page. It scrolls with the window, or with the element that is given.
import { perFrame } from "./dom";

const OVERSCAN = 6;

export interface Row {
  readonly element: HTMLElement;
  update(index: number): void;
}

export class VirtualRows {
  readonly refresh = perFrame(() => this.render());
  first = 0;
  end = 0;
  private readonly rows = new Map<number, Row>();
  private spare: Row[] = [];
  private height = 0;
  private count = 0;
  private all = false;

  constructor(
    private readonly container: HTMLElement,
    private readonly scroller: HTMLElement | null,
    private readonly make: () => Row,
    private readonly moved: (first: number, end: number) => void = () => {},
  ) {
    (scroller ?? window).addEventListener("scroll", this.refresh, { passive: true });
    addEventListener("resize", this.refresh);
  }

  destroy(): void {
    (this.scroller ?? window).removeEventListener("scroll", this.refresh);
    removeEventListener("resize", this.refresh);
  }

  set(count: number, rowHeight: number): void {
    if (count === this.count && rowHeight === this.height) return;
    if (rowHeight !== this.height) this.clear();
    this.count = count;
    this.height = rowHeight;
    this.container.style.height = `${count * rowHeight}px`;
    this.render();
  }

  // What a row shows has changed.
  update(index: number): void {
    this.rows.get(index)?.update(index);
  }

  updateAll(): void {
    for (const [index, row] of this.rows) row.update(index);
  }

  row(index: number): Row | undefined {
    return this.rows.get(index);
  }

  scrollTo(index: number): void {
    const top = index * this.height;
    if (this.scroller !== null) {
      if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
      else if (top + this.height > this.scroller.scrollTop + this.scroller.clientHeight) this.scroller.scrollTop = top + this.height - this.scroller.clientHeight;
    } else {
      const head = parseFloat(getComputedStyle(document.documentElement).scrollPaddingTop) || 0;
      const y = this.container.getBoundingClientRect().top + top;
      if (y < head) scrollBy(0, y - head);
      else if (y + this.height > innerHeight) scrollBy(0, y + this.height - innerHeight);
    }
    this.render();
  }

  // For paper: every row, up to a limit, until the next call.
  printAll(all: boolean): void {
    this.all = all;
    this.render();
  }

  private clear(): void {
    for (const row of this.rows.values()) row.element.remove();
    this.rows.clear();
    this.spare = [];
  }

  private range(): [number, number] {
    if (this.all) return [0, Math.min(this.count, 500)];
    if (this.height === 0) return [0, 0];
    const top = this.scroller !== null ? this.scroller.scrollTop : -this.container.getBoundingClientRect().top;
    const height = this.scroller !== null ? this.scroller.clientHeight : innerHeight;
    const first = Math.max(0, Math.floor(top / this.height) - OVERSCAN);
    return [Math.min(first, this.count), Math.max(0, Math.min(this.count, Math.ceil((top + height) / this.height) + OVERSCAN))];
  }

  private render(): void {
    const [first, end] = this.range();
    for (const [index, row] of this.rows) {
      if (index >= first && index < end) continue;
      // Whoever holds the focus stays: it must not fall back to the page because a list was scrolled.
      if (row.element.contains(document.activeElement)) continue;
      this.rows.delete(index);
      row.element.remove();
      this.spare.push(row);
    }
    for (let index = first; index < end; index++) {
      if (this.rows.has(index)) continue;
      const row = this.spare.pop() ?? this.make();
      row.element.style.transform = `translateY(${index * this.height}px)`;
      row.update(index);
      this.rows.set(index, row);
      this.insert(row.element, index);
    }
    if (this.spare.length > 32) this.spare.length = 32;
    if (first === this.first && end === this.end) return;
    this.first = first;
    this.end = end;
    this.moved(first, end);
  }

  // In their order, which is that of the Tab key and of a screen reader.
  private insert(element: HTMLElement, index: number): void {
    let next: HTMLElement | null = null;
    let nearest = Infinity;
    for (const [other, row] of this.rows)
      if (other > index && other < nearest) {
        nearest = other;
        next = row.element;
      }
    this.container.insertBefore(element, next);
  }
}
