#!/usr/bin/env python3
"""Builds the clients of the tests from our .proto: Go (connect-go, grpc-go, grpcurl), node and browser (connect-node, connect-web), Python
(grpcio, connectrpc). To be run by the tests' Python (tests/requirements.txt).

usage: build.py          build what is not in the cache yet, print the folder
       build.py find     print the folder; nothing, exit 1: not built yet

The folder is $XDG_CACHE_HOME/ping/clients-KEY with
  bin/       client, peer, grpcurl
  node/      client.mjs, browser.mjs, page.js
  python/    tour.py, grpcio_client.py, connectrpc_client.py and what they import
  chromium, node.bin (links; the first only where there is one)
KEY is of everything that it is made from; what is downloaded has keys of its own.
"""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PROTO = ROOT / "proto"
sys.path.insert(0, str(HERE.parent / "tools"))
import toolchains  # noqa: E402
from cache import CACHE, making  # noqa: E402


def key_of(*paths):
    files = sorted(file for path in paths for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file() and "__pycache__" not in str(file))
    return hashlib.sha256(b"".join(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes() for file in files)).hexdigest()[:16]


def cached(name, make):
    """The folder CACHE/name, made whole or not at all; make(scratch) fills scratch."""
    folder = CACHE / name
    with making(name):
        if not folder.exists():
            print(f"   making {name} (once)", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
                filled = pathlib.Path(scratch) / "filled"
                filled.mkdir()
                make(filled)
                filled.rename(folder)
    return folder


def run(command, **more):
    subprocess.run([str(word) for word in command], check=True, stdout=sys.stderr, **more)


def protoc(plugins, *outputs):
    run([sys.executable, "-m", "grpc_tools.protoc", "-I", PROTO, *[f"--plugin={plugin}" for plugin in plugins], *outputs, "ping/v1/ping.proto"])


def go(*arguments, folder, **more):
    program = toolchains.go(CACHE / "toolchains")
    # The versions are go.mod's, and no other toolchain is fetched.
    run([program, *arguments], cwd=folder, env={**os.environ, "GOFLAGS": "-modcacherw -mod=readonly", "GOTOOLCHAIN": "local", **more})


def make_go_tools(folder):
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("go.mod", "go.sum"):
            shutil.copy(HERE / "go" / name, scratch)
        go("install", "tool", folder=scratch, GOBIN=str(folder))


def make_go(folder, tools):
    with tempfile.TemporaryDirectory() as name:
        source = pathlib.Path(name) / "go"
        shutil.copytree(HERE / "go", source)
        (source / "gen").mkdir()
        kinds = ("go", "go-grpc", "connect-go")
        protoc([tools / f"protoc-gen-{kind}" for kind in kinds], *[f"--{kind}_out={source}/gen" for kind in kinds],
               *[f"--{kind}_opt=paths=source_relative,Mping/v1/ping.proto=ping.test/clients/gen/ping/v1" for kind in kinds])
        (folder / "bin").mkdir()
        go("build", "-o", folder / "bin", "./client", "./peer", folder=source)
    (folder / "bin/grpcurl").symlink_to(tools / "grpcurl")


def make_node_modules(folder):
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / "node" / name, folder)
    command, env = toolchains.npm(CACHE / "toolchains")
    # No scripts of others run: esbuild's program comes as a package of its own.
    run([*command, "ci", "--no-audit", "--no-fund", "--silent", "--ignore-scripts"], cwd=folder, env={**os.environ, **env})


def make_node(folder, modules):
    programs = toolchains.node(CACHE / "toolchains")
    env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    shutil.copytree(HERE / "node", folder / "node")
    (folder / "node.bin").symlink_to(programs / "node")
    (folder / "node/node_modules").symlink_to(modules / "node_modules")
    (folder / "node/gen").mkdir()
    run([sys.executable, "-m", "grpc_tools.protoc", "-I", PROTO, f"--plugin={modules}/node_modules/.bin/protoc-gen-es", f"--es_out={folder}/node/gen",
         "--es_opt=target=js", "ping/v1/ping.proto"], env=env)
    esbuild = next(modules.glob("node_modules/@esbuild/linux-*/bin/esbuild"))
    run([esbuild, "page.mjs", "--bundle", "--format=iife", "--outfile=page.js", "--log-level=warning"], cwd=folder / "node")
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser:
        (folder / "chromium").symlink_to(browser)


def make_python(folder):
    shutil.copytree(HERE / "python", folder / "python", ignore=shutil.ignore_patterns("__pycache__"))
    programs = pathlib.Path(sys.executable).parent
    protoc([programs / "protoc-gen-py", programs / "protoc-gen-connectrpc"], f"--py_out={folder}/python", f"--connectrpc_out={folder}/python",
           f"--python_out={folder}/python", f"--grpc_python_out={folder}/python")


def name():
    browser = "" if shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") else "-without-browser"
    return f"clients-{key_of(HERE, PROTO, ROOT / 'tests/requirements.txt')}{browser}"


def build():
    tools = cached(f"go-tools-{key_of(HERE / 'go/go.sum', HERE / 'go/go.mod')}", make_go_tools)
    modules = cached(f"node-modules-{key_of(HERE / 'node/package-lock.json')}", make_node_modules)

    def make(folder):
        make_go(folder, tools)
        make_node(folder, modules)
        make_python(folder)

    return cached(name(), make)


def main():
    if sys.argv[1:] == ["find"]:
        if not (CACHE / name()).exists():
            return 1
        print(CACHE / name())
    elif sys.argv[1:]:
        print(__doc__, file=sys.stderr)
        return 2
    else:
        print(build())
    return 0


if __name__ == "__main__":
    sys.exit(main())
