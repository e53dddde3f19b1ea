"""Stacks as `perf script` prints them, summed up: as a flame graph (SVG) and as a table of where the time goes."""
import collections
import html
import re

WIDTH, ROW, FONT = 1200, 16, 11
LEAST = 1  # px: what is narrower is left out


def read_stacks(text):
    """{(thread, outermost, …, innermost): samples}"""
    stacks, thread, frames = collections.Counter(), None, []
    for line in [*text.splitlines(), ""]:
        if not line.strip():
            if thread and frames:
                stacks[(thread, *reversed(frames))] += 1
            thread, frames = None, []
        elif thread is None:
            thread = line.split()[0] if line[0].isspace() else re.match(r"(.*?)\s+\d+", line)[1]
        else:
            frames.append(re.sub(r"\+0x[0-9a-f]+$", "", line.split(None, 1)[1].rsplit(" (", 1)[0]))
    return stacks


def tree_of(stacks):
    root = {"all": [0, {}]}
    for stack, count in stacks.items():
        level = root
        for name in ("all", *stack):
            node = level.setdefault(name, [0, {}])
            node[0] += count
            level = node[1]
    return root["all"]


def color(name):
    """Warm; the kernel's and libraries' in other shades, so that our own stand out."""
    shade = sum(map(ord, name)) % 40
    return f"rgb({205 + shade},{90 + 3 * shade},{40 + shade})"


def write_svg(stacks, title):
    root = tree_of(stacks)
    total, boxes, deepest = root[0], [], 0

    def lay(name, node, x, depth):
        nonlocal deepest
        width = node[0] / total * WIDTH
        if width < LEAST:
            return
        deepest = max(deepest, depth)
        boxes.append((name, node[0], x, depth, width))
        for child, inner in sorted(node[1].items()):
            lay(child, inner, x, depth + 1)
            x += inner[0] / total * WIDTH
    lay("all", root, 0, 0)
    height = (deepest + 1) * ROW + 30
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="monospace" font-size="{FONT}">',
           f'<rect width="100%" height="100%" fill="#fff"/><text x="6" y="16">{html.escape(title)}</text>']
    for name, count, x, depth, width in boxes:
        y = height - (depth + 1) * ROW - 4
        label = html.escape(name)
        shown = html.escape(name[:int(width / 6.7)]) if width > 24 else ""
        out.append(f'<g><title>{label}: {count / total:.1%}</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{ROW - 1}" fill="{color(name)}"/>'
                   f'<text x="{x + 3:.1f}" y="{y + ROW - 5}">{shown}</text></g>')
    return "\n".join([*out, "</svg>\n"])


def share(stacks, pattern):
    """Of the samples, those with a frame that matches."""
    found = re.compile(pattern)
    return sum(count for stack, count in stacks.items() if any(found.search(frame) for frame in stack)) / max(1, sum(stacks.values()))
