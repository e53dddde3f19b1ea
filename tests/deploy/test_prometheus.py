"""A real Prometheus scrapes a real pingd under load; a fault is made, the alert fires, the fault is mended, it ends. The boards' queries show it."""
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

import exporters
import prometheus as prometheus_module
import render
from apiserver import reserve_ports
from conftest import CHART, ROOT
from prometheus import Prometheus

sys.path.insert(0, str(ROOT / "tests/tools"))
import processes  # noqa: E402
from postgres import Postgres, binaries  # noqa: E402

BUILD = pathlib.Path(os.environ.get("PING_BUILD", ROOT / "build"))
DEADLINE_S = 180
pytestmark = [pytest.mark.skipif(not prometheus_module.program(), reason="no Prometheus beside promtool"),
              pytest.mark.skipif(not (BUILD / "pingd").exists(), reason=f"no pingd in {BUILD}"),
              pytest.mark.skipif(binaries() is None, reason="no PostgreSQL server: apt-get install postgresql")]


def wait_for(what, condition):
    end = time.monotonic() + DEADLINE_S
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {DEADLINE_S} s in vain for: {what}"
        time.sleep(0.2)
    return value


class World:
    """Two pingd under load, one embedded and one on a PostgreSQL, and a Prometheus that scrapes both."""

    def __init__(self, folder):
        self.folder, self.processes = folder, []
        self.postgres = Postgres()

    def spawn(self, name, *command):
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes.append(subprocess.Popen(processes.tied(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder))
        return self.processes[-1]

    def start(self):
        self.postgres.start()
        self.postgres.sql("CREATE DATABASE ping")
        ports = self.ports = reserve_ports(2)
        self.pingds = [self.spawn(f"pingd{i}", BUILD / "pingd", f"--listen=127.0.0.1:{port}", f"--data-dir={self.folder}/data{i}",
                                  "--trusted-proxies=127.0.0.0/8", *more)
                       for i, (port, more) in enumerate(zip(ports, ([], [f"--ledger={self.postgres.url('ping')}"])))]
        self.exporter = exporters.cloudnative_pg(self.postgres)
        self.prometheus = Prometheus(self.folder, (CHART / "files/rules.yaml").read_text(), {
            "pingd": [f"127.0.0.1:{port}" for port in ports], "ping-db": ([self.exporter.address], {"pod": "ping-db-1", "cluster": "ping-db"})}).start()
        wait_for("both to be up", lambda: self.prometheus.value('sum(up{job="pingd"})') == 2)
        for port in ports:
            self.spawn(f"load{port}", BUILD / "pingctl", "load", f"--address=http://127.0.0.1:{port}", "--clients=50", "--rate=100", "--connections=2",
                       "--duration=10m")
        return self

    def stop(self):
        with contextlib.suppress(AttributeError):
            self.prometheus.stop()
            self.exporter.end()
        for process in reversed(self.processes):
            process.kill()
            process.wait()
        self.postgres.remove()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("prometheus"))
    try:
        yield world.start()
    finally:
        world.stop()


def test_under_load_all_is_quiet(world):
    wait_for("pings on both", lambda: (world.prometheus.value("min(rate(ping_ingest_accepted_total[10s]))") or 0) > 10)
    wait_for("what was so before the first scrape to be over", lambda: not world.prometheus.firing())
    # Its first value comes with a pingd's second scrape, and what the start cost falls out of it with time.
    wait_for("no errors", lambda: world.prometheus.value("ping:errors:ratio5m") == 0)


def test_an_outage_fires_the_alert_and_its_end_ends_it(world):
    world.postgres.stop()
    wait_for("PingErrorsBurnFast to fire", lambda: "PingErrorsBurnFast" in world.prometheus.firing())
    wait_for("the errors to be many", lambda: (world.prometheus.value("ping:errors:ratio5m") or 0) > 0.1)
    assert "PingNoPublisher" not in world.prometheus.firing(), "the other pingd is well"
    world.postgres.start()
    wait_for("the alerts to end", lambda: not world.prometheus.firing())


def draw(board, prometheus, file):
    """The panels that have nothing to show."""
    svg, found = render.board_svg(board, prometheus, 120)
    file.write_text(svg)
    return {title for title, lines in found.items() if not lines}


def test_boards_show_it(world, tmp_path):
    """Every panel of ours that these two programs can fill has lines; where PING_PICTURES says, the pages are left there."""
    for port in world.ports:
        subprocess.run([BUILD / "pingctl", f"--address=http://127.0.0.1:{port}", "count"], check=True, capture_output=True)
    wait_for("the query to be scraped", lambda: (world.prometheus.value('sum(rate(rpc_requests_total{method=~".*PingCount"}[10s]))') or 0) > 0)
    others = {
        "service": {"Replicas"},
        "pipeline": {"PostgreSQL's calls, p99", "Kafka's calls, p99", "Events that wait, by group", "Dead letters", "Audits that found something", "Batches that Kafka lacks (outbox)"},
        # Kubernetes', the instance manager's own and the pooler's
        "postgresql": {"Instances that are up", "Age of the newest backup", "WAL", "Disk that is left", "Clients", "Longest wait for a connection"}}
    folder = pathlib.Path(os.environ.get("PING_PICTURES") or tmp_path)
    for name, elsewhere in others.items():
        board = json.loads((CHART / f"files/dashboards/{name}.json").read_text())
        wait_for(f"the board {name} to be filled", lambda: draw(board, world.prometheus, folder / f"{name}.svg") <= elsewhere)


def test_nobody_there_fires_too(world):
    for process in world.pingds:
        process.kill()
    wait_for("PingDown to fire", lambda: "PingDown" in world.prometheus.firing())
