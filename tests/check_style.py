#!/usr/bin/env python3
"""What the compiler does not check: banned functions, long functions, headers without guard or contract.

usage: check_style.py [ROOT]
"""
import pathlib
import re
import sys

BANNED = {
    "strcpy": "memcpy with a size", "strcat": "struct buffer", "sprintf": "snprintf", "vsprintf": "vsnprintf", "gets": "read",
    "strtok": "a parser", "atoi": "a parser that reports errors", "atol": "a parser that reports errors", "alloca": "an arena",
}
MAX_FUNCTION_LINES = 80
LONG_SHARE = 0.08  # of the functions may be longer than 70 lines


def functions(text):
    """(name, first line, length) of each function: a line that begins at column 0, and its braces at column 0."""
    start = name = None
    for number, line in enumerate(text.splitlines(), 1):
        if line == "{" and start is None:
            start = number
        elif line == "}" and start is not None:
            yield name, start, number - start
            start = None
        elif start is None and (match := re.match(r"[a-z].*?(\w+)\(", line)):
            name = match[1]


def check_file(name, text):
    for number, line in enumerate(text.splitlines(), 1):
        code = re.sub(r'"(\\.|[^"\\])*"|//.*|/\*.*?\*/', "", line)
        if code.lstrip().startswith("*"):
            continue
        for word, instead in BANNED.items():
            if re.search(rf"\b{word}\s*\(", code):
                yield f"{name}:{number}: {word} is banned: use {instead}"
        if len(line.expandtabs(8)) > 140:
            yield f"{name}:{number}: longer than 140 columns"
        if line != line.rstrip():
            yield f"{name}:{number}: blank at the end of the line"
    if name.endswith(".h"):
        if not re.search(r"^#ifndef PING_\w+_H$", text, re.M):
            yield f"{name}: no include guard PING_…_H"
        if not text.startswith("/*"):
            yield f"{name}: a header opens with what the module is for"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    problems, count, long = [], 0, 0
    for file in sorted([*(root / "src").rglob("*.[ch]")]):
        name, text = file.relative_to(root).as_posix(), file.read_text()
        problems += check_file(name, text)
        for function, line, length in functions(text):
            count += 1
            long += length > 70
            if length > MAX_FUNCTION_LINES:
                problems.append(f"{name}:{line}: {function} has {length} lines, more than {MAX_FUNCTION_LINES}")
    if count and long / count > LONG_SHARE:
        problems.append(f"{long} of {count} functions are longer than 70 lines")
    print("\n".join(problems))
    print(f"{count} functions, {len(problems)} problems")
    return 1 if problems or not count else 0


if __name__ == "__main__":
    sys.exit(main())
