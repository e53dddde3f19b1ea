"""The original server, in Go, on the same table and topic: INSERT, publish, COMMIT, with neither client nor position in its rows."""
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import urllib.request

import pytest

from conftest import DEADLINE_S, ROOT, free_port, wait_for
from kafka import kafka, processes  # noqa: F401  (one is a fixture)
from test_audit_kafka import apart, audit, checked, differences
from test_kafka import Tool
from test_postgres_kafka import NOW_MS, database, make_pair, postgres, pytestmark  # noqa: F401

sys.path.insert(0, str(ROOT / "tests" / "clients"))
SOURCE = ROOT.parent / "shared" / "reference" / "rfc-peer"
PLUGINS = ("google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12", "connectrpc.com/connect/cmd/protoc-gen-connect-go@v1.21.1")
COUNT = 60


def make_peer(folder):
    import build
    program = build.toolchains.go(build.CACHE / "toolchains")
    source = folder / "source"
    shutil.copytree(SOURCE, source)
    env = {**os.environ, "GOBIN": str(folder / "plugins"), "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local",
           "PATH": f"{folder / 'plugins'}:{pathlib.Path(program).parent}:{os.environ['PATH']}"}
    for plugin in PLUGINS:
        subprocess.run([program, "install", plugin], check=True, env=env)
    subprocess.run(["bash", "build.sh"], cwd=source, check=True, env=env)


@pytest.fixture(scope="module")
def program():
    """PING_PEER, else built from its source beside the repository."""
    if os.environ.get("PING_PEER"):
        return os.environ["PING_PEER"]
    if not SOURCE.is_dir() or not shutil.which("protoc"):
        pytest.skip(f"the original server did not run beside pingd: neither PING_PEER nor {SOURCE} (with protoc) is there")
    import build
    key = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(SOURCE.rglob("*.*")))).hexdigest()[:16]
    return build.cached(f"original-server-{key}", make_peer) / "source" / "bin" / "pingpeer"


@pytest.fixture
def original(program, make_pair, postgres, kafka, database):  # noqa: F811
    """Its address, once pingd has made table and topics."""
    pingd = make_pair().start()
    port = free_port()
    process = subprocess.Popen(processes.tied([program, "-addr", f"127.0.0.1:{port}", "-dsn", postgres.url(database), "-kafka", kafka.addresses,
                                "-batch-timeout", "5ms"]), stdin=subprocess.DEVNULL)
    try:
        def answers():
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
                return answer.status == 200
        wait_for("the original server", answers)
        yield pingd, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def call(address, method, message):
    request = urllib.request.Request(f"{address}/ping.v1.PingService/{method}", json.dumps(message).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
        return json.loads(answer.read())


def test_both_count_each_others_pings_and_the_audit_tells_them_apart(original, kafka):  # noqa: F811
    pingd, address = original
    for n in range(COUNT):
        assert pingd.ping(NOW_MS + n)[0] == 200
        assert call(address, "Ping", {"timestampMs": NOW_MS + n}) == {}
    assert int(pingd.ask("PingCount", {})["pingCount"]) == 2 * COUNT == int(call(address, "PingCount", {})["pingCount"])
    some = {"timeRange": {"start": NOW_MS + 10, "end": NOW_MS + 20}}
    assert int(pingd.ask("PingCount", some)["pingCount"]) == 20 == int(call(address, "PingCount", some)["pingCount"])

    reader = Tool(kafka.addresses)
    try:
        # Readers see what was committed a moment after it was answered.
        lines = wait_for("all events to show", lambda: len(found := [line.split(" ") for line in reader.ok("read", "raw-pings", 6)]) >= 2 * COUNT and found)
    finally:
        reader.end()
    assert all(partition == expected for partition, expected, *_ in lines)
    ours = sorted(value for *_, value, identity in lines if identity)
    theirs = sorted(value for *_, value, identity in lines if not identity)
    assert len(ours) == COUNT and ours == theirs, "the same ping is another event"

    report = audit(pingd)
    assert differences(report) == (0, 0) and checked(report)[0] == COUNT
    assert apart(report) == {"others_rows": COUNT, "others_events": COUNT}
