#!/usr/bin/env python3
"""A Cassandra of one's own: in a temporary folder, on loopback, stopped by PID whatever happens.

usage: cassandra_node.py COMMAND [ARGUMENT…]   runs it with PING_TEST_CQL set to the server's URL; 77 where there is no server

PING_TEST_CQL in the environment: that server is used instead.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
SKIPPED = 77


def main():
    if os.environ.get("PING_TEST_CQL"):
        return subprocess.run(sys.argv[1:], check=False).returncode
    try:
        import cassandra_ring
        import pytest
    except ImportError:
        print("1..0 # SKIP no pytest for this Python: run by scripts/test")
        return SKIPPED
    try:
        cassandra_ring.jars()
    except pytest.skip.Exception as why:
        print(f"1..0 # SKIP {why}")
        return SKIPPED
    with tempfile.TemporaryDirectory(prefix="ping-cql-") as folder, cassandra_ring.running(pathlib.Path(folder) / "ring") as ring:
        return subprocess.run(sys.argv[1:], env={**os.environ, "PING_TEST_CQL": ring.url()}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
