"""A board as a picture without Grafana: each panel's queries drawn from what a Prometheus answers, as one page of SVG."""
import html
import math
import re

COLOURS = ("#3a7bd5", "#e0752d", "#4f9f4f", "#b04fb0", "#c0392b", "#7f8c8d", "#16a085", "#8e6f3e")
CELL_W, CELL_H, GAP = 50, 32, 6


def written(value, unit):
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit in ("s", "ms"):
        seconds = value / 1000 if unit == "ms" else value
        return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
    byte = "B" if unit == "bytes" else ""
    for factor, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g} {name}{byte}"
    return f"{value:.3g} {byte}".strip()


def ticks(most, unit):
    """Round numbers from 0 until above the greatest value; whole ones of what is counted."""
    rough = most / 4
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    if unit == "short":
        step = max(1, step)
    return [step * i for i in range(math.floor(most / step + 0.001) + 2)]


def placed(names, width):
    """[(x, row)] of the legend's texts, as many in a row as have room; names too long for one are cut."""
    found, x, row = [], 0, 0
    for name in names:
        wide = 7 * len(name) + 16
        if x and x + wide > width:
            x, row = 0, row + 1
        found.append((x, row))
        x += wide
    return found


def legend(template, labels):
    return re.sub(r"\{\{(\w+)\}\}", lambda match: labels.get(match[1], ""), template) or "value"


def panel_svg(panel, lines):
    """lines: [(legend, [(time, value)])]"""
    place, unit = panel["gridPos"], panel["fieldConfig"]["defaults"]["unit"]
    width, height = place["w"] * CELL_W - GAP, place["h"] * CELL_H - GAP
    left, top, right = 70, 34, 10
    places = placed([name for name, _ in lines[:8]], width - left - right)
    bottom = 38 + 14 * (places[-1][1] if places else 0)
    parts = [f'<g transform="translate({place["x"] * CELL_W},{place["y"] * CELL_H})"><rect width="{width}" height="{height}" fill="#fff" stroke="#ccd"/>',
             f'<text x="10" y="20" font-weight="600">{html.escape(panel["title"])}</text>']
    points = [point for _, line in lines for point in line if math.isfinite(point[1])]
    if not points:
        return "".join([*parts, f'<text x="{width // 2}" y="{height // 2}" text-anchor="middle" fill="#999">no data</text></g>'])
    begin, end = min(at for at, _ in points), max(at for at, _ in points)
    marks = ticks(max(max(value for _, value in points), 0) or 1, unit)
    most = marks[-1]
    w, h = width - left - right, height - top - bottom

    def x(at):
        return left + (at - begin) / ((end - begin) or 1) * w

    def y(value):
        return top + h - max(0, value) / most * h

    for value in marks:
        parts.append(f'<line x1="{left}" x2="{left + w}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#eee"/>'
                     f'<text x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end" fill="#555">{written(value, unit)}</text>')
    for i, (name, line) in enumerate(lines[:8]):
        path = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in line if math.isfinite(value))
        colour, (place_x, row) = COLOURS[i % len(COLOURS)], places[i]
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
                     f'<text x="{left + place_x}" y="{height - bottom + 24 + 14 * row}" fill="{colour}">{html.escape(name if 7 * len(name) < w else name[:w // 7 - 1] + "…")}</text>')
    return "".join([*parts, "</g>"])


def board_svg(board, prometheus, seconds):
    """(SVG, {title of a panel: how many lines it has})"""
    parts, found, bottom = [], {}, 0
    for panel in board["panels"]:
        place = panel["gridPos"]
        bottom = max(bottom, place["y"] + place["h"])
        if panel["type"] == "row":
            parts.append(f'<text x="4" y="{place["y"] * CELL_H + 22}" font-size="15" font-weight="700">{html.escape(panel["title"])}</text>')
            continue
        # A line of nothing but NaN, as a quantile without calls is, shows nothing.
        lines = [(legend(target["legendFormat"], labels), line) for target in panel["targets"]
                 for labels, line in prometheus.series(target["expr"].replace("$__rate_interval", "10s"), seconds)
                 if any(math.isfinite(value) for _, value in line)]
        found[panel["title"]] = len(lines)
        parts.append(panel_svg(panel, lines))
    width, height = 24 * CELL_W, bottom * CELL_H + 44
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#f4f5f7"/>'
            f'<text x="6" y="28" font-size="20" font-weight="700">{html.escape(board["title"])}</text><g transform="translate(0,40)">{"".join(parts)}</g></svg>'), found
