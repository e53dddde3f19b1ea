#!/usr/bin/env python3
"""A Cassandra of one's own: in a temporary folder, on loopback, stopped by PID whatever happens.

usage: cassandra_node.py COMMAND [ARGUMENT…]           runs it with PING_TEST_CQL set to the server's URL; 77 where there is no server
       cassandra_node.py --many COMMAND [ARGUMENT…]    the same for a command that runs many; where there is no server, it runs without

PING_TEST_CQL in the environment: that server is used instead, with a keyspace of the command's own.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
SKIPPED = 77


def run(command, url=None):
    return subprocess.run(command, check=False, env={**os.environ, **({"PING_TEST_CQL": url} if url else {})}).returncode


def why_not():
    """Why there is no server to be had here; None: there is."""
    try:
        import cassandra_ring
        import pytest
    except ImportError:
        return "no pytest for this Python: run by scripts/test"
    try:
        cassandra_ring.jars()
    except pytest.skip.Exception as why:
        return str(why)
    return None


def main():
    many = sys.argv[1] == "--many"
    command = sys.argv[1 + many:]
    given = os.environ.get("PING_TEST_CQL")
    if given:
        return run(command, given if many else re.sub(r"(://[^/]+/)\w+", rf"\1own{os.getpid()}", given))
    why = why_not()
    if why and many:
        return run(command)
    if why:
        print(f"1..0 # SKIP {why}")
        return SKIPPED
    import cassandra_ring
    with tempfile.TemporaryDirectory(prefix="ping-cql-") as folder, cassandra_ring.running(pathlib.Path(folder) / "ring") as ring:
        return run(command, ring.url())


if __name__ == "__main__":
    sys.exit(main())
