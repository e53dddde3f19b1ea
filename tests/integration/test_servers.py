"""`make up` and `make down`: what the README shows on real PostgreSQL, Kafka and Cassandra, with what was built already."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

from conftest import BUILD, ROOT, free_port
from test_postgres_kafka import pytestmark  # noqa: F401  (skips without servers)
from test_readme import blocks, commands


@pytest.fixture
def servers():
    """scripts/servers with a folder and ports of the test's own (where PostgreSQL's user, too, may look), stopped at the end."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ping-servers-"))
    folder.chmod(0o755)
    env = {**os.environ, "PING_SERVERS": str(folder), "PING_BUILD": str(BUILD), "LC_ALL": "C.UTF-8"}
    listen = f"127.0.0.1:{free_port()}"

    def run(*arguments):
        done = subprocess.run([ROOT / "scripts" / "servers", *arguments], env=env, capture_output=True, text=True, timeout=900, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
    # Stops them as well when this process is gone: then its end of the pipe is closed.
    guard = subprocess.Popen(["sh", "-c", 'cat >/dev/null; exec "$0" down', ROOT / "scripts" / "servers"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                             env=env, start_new_session=True)
    try:
        yield run, env, listen
    finally:
        run("down")
        guard.stdin.close()
        guard.wait()
        shutil.rmtree(folder, ignore_errors=True)


def tour():
    """The README's block behind `make up`."""
    shown = blocks()
    return commands(next(after for before, after in zip(shown, shown[1:]) if before.startswith("make up")))


@pytest.mark.skipif(not (BUILD / "tests" / "unit" / "cql" / "test-cassandra-rules").exists(), reason="pingd was built without ScyllaDB: `make drivers`")
def test_the_servers_come_up_show_the_tour_and_go(servers):
    run, env, listen = servers
    said = run("up", "--listen", listen)
    assert all(f"starting {title}" in said for title in ("PostgreSQL", "Kafka", "Cassandra", "pingd")), said
    again = run("up", "--listen", listen)
    assert again.count("already") == 4, again
    for command in tour():
        command = re.sub(r"\bbuild/pingctl", str(BUILD / "pingctl"), command).replace("make up", f"scripts/servers up --listen {listen}")
        done = subprocess.run(["bash", "-c", "set -o pipefail; " + command], cwd=ROOT, env={**env, "PINGCTL_ADDRESS": f"http://{listen}"},
                              capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        assert done.stdout.strip(), command
    assert "2,000" in done.stdout, done.stdout  # the last word is the count
    run("down")
    assert "runs, PID" not in run("status")
