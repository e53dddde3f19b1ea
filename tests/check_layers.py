#!/usr/bin/env python3
"""Includes point downward only: each module under src/ may include itself and the modules named for it here.

usage: check_layers.py [ROOT]
"""
import pathlib
import re
import sys

ALLOWED = {
    "base": "",
    "codec": "base",
    "event": "base",
    "engine": "base",
    "port": "base engine",
    "ingest": "base port",
    "stream": "base engine port",
    "query": "base engine port",
    "audit": "base engine port",
    "adapter/sqlite": "base engine port",
    "adapter/cql": "base engine port",
    "adapter/kafka": "base engine event port",
    "adapter/postgres": "base port",
    "rpc": "base codec",
    "net": "base codec rpc",
    "web": "base codec rpc net",
    "service": "base codec rpc engine port ingest stream query",
    "app": "base codec event engine port ingest stream query audit adapter/sqlite adapter/cql adapter/kafka adapter/postgres rpc net web service",
}
# Generated from the .proto: who knows what a ping is; and gRPC's own services.
GENERATED = {"ping/v1": "service app", "grpc/health/v1": "service", "grpc/reflection/v1": "rpc"}


def module_of(path, modules):
    return next((m for m in sorted(modules, key=len, reverse=True) if path.startswith(m + "/")), None)


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent) / "src"
    wrong = seen = 0
    for file in sorted([*root.rglob("*.c"), *root.rglob("*.h")]):
        name = file.relative_to(root).as_posix()
        module = module_of(name, ALLOWED)
        seen += 1
        if module is None:
            print(f"{name}: in no module that tests/check_layers.py knows")
            wrong += 1
            continue
        for number, line in enumerate(file.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not match:
                continue
            target = module_of(match[1], [*ALLOWED, *GENERATED])
            allowed = [module, *ALLOWED[module].split()]
            if target in GENERATED:
                fine = module in GENERATED[target].split()
            else:
                fine = target in allowed
            if not fine:
                print(f"{name}:{number}: {module} may not include {match[1]}")
                wrong += 1
    print(f"{seen} files, {wrong} includes that point upward")
    return 1 if wrong or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
