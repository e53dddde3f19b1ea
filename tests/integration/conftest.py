"""Fixtures: the real pingd on loopback, in a folder of its own, stopped by PID whatever happens."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "tools"))
import processes  # noqa: E402
from ports import reserve_one as free_port  # noqa: E402

BUILD = pathlib.Path(os.environ.get("PING_BUILD", ROOT / "build"))
SCALE = float(os.environ.get("PING_SCALE", "1"))  # of the loads: smaller under sanitizers, larger in the soak
DEADLINE_S = 120  # of a machine that is busy with other things


# Lanes take whole files, in this order: with the longest first they end together.
LONGEST_FIRST = ["test_faults", "test_flink", "test_engine_kafka", "test_postgres_kafka", "test_publishers_operations", "test_kafka", "test_publish", "test_publish_faults",
                 "test_kafka_reader", "test_audit_kafka", "test_operations_guide", "test_servers", "test_deploy_rights", "test_dashboard",
                 "test_clients", "test_scylla", "test_postgres", "test_postgres_versions"]


def pytest_configure(config):
    config.addinivalue_line("markers", "sanitized: also run with pingd built with sanitizers")


def pytest_collection_modifyitems(items):
    rank = {name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


def scaled(count):
    return max(1, int(count * SCALE))


def wait_for(what, condition, seconds=DEADLINE_S):
    """The condition's first true value; fails by name when the deadline passes."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            pytest.fail(f"waited {seconds} s in vain for: {what}")
        time.sleep(0.02)


class Pingd:
    """One pingd and its data directory; may be started and killed many times."""

    def __init__(self, folder, *arguments, env=None, prefix=(), trusted="127.0.0.0/8"):
        self.folder, self.data = folder, folder / "data"
        self.log_path = folder / "pingd.log"
        self.port = free_port()
        self.arguments, self.env, self.prefix, self.trusted = arguments, env or {}, prefix, trusted
        self.process = None

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}"

    def command(self):
        return [*self.prefix, str(BUILD / "pingd"), "--listen", f"127.0.0.1:{self.port}", "--data-dir", str(self.data),
                "--trusted-proxies", self.trusted, *self.arguments]

    def spawn(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(processes.tied(self.command()), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **self.env}, start_new_session=True)
        return self

    def start(self):
        self.spawn()
        wait_for("pingd to be ready", self.ready_or_gone)
        return self

    def ready_or_gone(self):
        if self.process.poll() is not None:
            pytest.fail(f"pingd ended with {self.process.returncode}:\n{self.log()[-4000:]}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.get("/readyz")[0] == 200
        return False

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def signal(self, number):
        os.kill(self.process.pid, number)

    def frozen(self):
        return processes.frozen(self.process.pid)

    def wait(self, seconds=DEADLINE_S):
        return self.process.wait(seconds)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def end(self):
        """In order, so that a sanitizer's report on leaks comes; by force where the test left something open."""
        self.signal(signal.SIGTERM)
        try:
            self.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)

    def get(self, path, headers=None):
        with contextlib.closing(self.connect()) as connection:
            connection.request("GET", path, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def call(self, method, message, headers=None):
        """One Connect JSON call: (status, decoded body)."""
        service = "PingService" if method in ("Ping", "PingCount") else "MetricsService"
        with contextlib.closing(self.connect()) as connection:
            connection.request("POST", f"/ping.v1.{service}/{method}", json.dumps(message),
                               {"Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def ask(self, method, message, headers=None):
        status, body = self.call(method, message, headers)
        assert status == 200, body
        return body

    def ping(self, timestamp_ms, client=None, key=None):
        message = {"timestampMs": timestamp_ms, **({"idempotencyKey": key} if key else {})}
        return self.call("Ping", message, {"X-Forwarded-For": client} if client else None)

    def ctl(self, *arguments, check=True, data=False):
        """pingctl against this pingd (data: against its data directory)."""
        command = [BUILD / "pingctl", *arguments, *(["--data-dir", self.data] if data else [])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600,
                              env={**os.environ, "PINGCTL_ADDRESS": self.address, "LC_ALL": "C.UTF-8"})
        if check:
            assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def caught_up(self):
        """Waits until the engine has nothing left to do."""
        def lag_is_zero():
            status, body = self.call("GetPipelineStatus", {})
            return status == 200 and int(body.get("lagEvents", 0)) == 0
        wait_for("the engine to catch up", lag_is_zero)

    def audit(self):
        """No difference between ledger and metrics, else the test fails with the audit's words."""
        done = self.ctl("audit", "--json", data=True, check=False)
        assert done.returncode == 0, f"audit ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)


@pytest.fixture
def make_pingd(tmp_path):
    made = []

    def make(*arguments, name="pingd", **more):
        made.append(Pingd(tmp_path / name, *arguments, **more))
        return made[-1]

    yield make
    for pingd in made:
        if pingd.process and pingd.process.poll() is None:
            pingd.end()
        # A sanitizer's report must never go unseen.
        found = re.search(r"(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:).*", pingd.log())
        assert not found, pingd.log()[-6000:]


@pytest.fixture
def pingd(make_pingd):
    return make_pingd().start()
