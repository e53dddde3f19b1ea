"""The Flink job's image by its steps, at work in a pipeline: pingd on PostgreSQL and Kafka before it, checkpoints on S3-compatible storage behind it, and the boards of
Kafka and Flink filled by what the real programs show."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest

import containerfile
import exporters
import prometheus as prometheus_module
import render
from apiserver import reserve_ports, wait_for
from conftest import CHART, DEPLOY, ROOT, integration
from flink_image import InImage, ObjectStore
from postgres import Postgres, binaries  # programs.py knows the way to tests/tools
from prometheus import Prometheus
from test_metrics import EXPORTERS, board_queries, metrics_in, rules

BUILD = pathlib.Path(os.environ.get("PING_BUILD", ROOT / "build"))
BUILT = os.environ.get("PING_IMAGES")  # a folder to build it in: make soak sets it
pytestmark = [pytest.mark.timeout(3600),
              pytest.mark.skipif(not BUILT or os.geteuid() != 0 or not shutil.which("debootstrap"),
                                 reason="the steps of Flink's image, which take minutes: left to make soak (root, debootstrap)"),
              pytest.mark.skipif(not prometheus_module.program(), reason="no Prometheus beside promtool"),
              pytest.mark.skipif(binaries() is None, reason="no PostgreSQL server: apt-get install postgresql")]


class World:
    def __init__(self, folder, deployment):
        self.folder, self.deployment, self.load, self.pingd, self.exporter = folder, deployment, None, None, None
        self.kafka_module = integration("kafka")
        jmx, listen, s3, *ports = reserve_ports(8)
        self.kafka_module.BROKER_FLAGS = (*self.kafka_module.QUICK_START, exporters.jmx_agent(folder, jmx))
        self.kafka, self.postgres = self.kafka_module.Cluster(folder / "kafka"), Postgres()
        self.listen, self.jmx = f"127.0.0.1:{listen}", f"127.0.0.1:{jmx}"
        self.store = ObjectStore(folder, s3, "ping-flink")
        self.stage = containerfile.Build(DEPLOY / "images/flink.Containerfile", pathlib.Path(BUILT) / "flink").until()
        self.flink = InImage(self.stage, deployment, self.kafka.url, self.store, ports)
        self.prometheus = Prometheus(folder, (CHART / "files/rules.yaml").read_text(), {}, seconds=3)

    def start(self):
        self.kafka.start()
        self.postgres.start()
        with open(self.folder / "pingd.log", "ab") as log:
            self.pingd = subprocess.Popen([BUILD / "pingd", f"--listen={self.listen}", f"--data-dir={self.folder / 'data'}", "--trusted-proxies=127.0.0.0/8",
                                           f"--ledger={self.postgres.url()}", f"--log={self.kafka.url}"], stdout=log, stderr=log)
        wait_for("pingd", lambda: subprocess.run([BUILD / "pingctl", f"--address=http://{self.listen}", "status"], capture_output=True).returncode != 3)
        self.load = subprocess.Popen([BUILD / "pingctl", "load", f"--address=http://{self.listen}", "--clients=50", "--rate=50", "--connections=2", "--duration=20m"],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.flink.start()
        self.exporter = exporters.kafka_offsets(self.kafka.addresses, "ping-metrics")
        labels = {"kubernetes_pod_name": "ping-broker-0", "strimzi_io_cluster": "ping"}
        self.prometheus.configure({"pingd": [self.listen], "kafka": ([self.jmx], labels), "kafka-exporter": [self.exporter.address],
                                   "ping-flink": [f"127.0.0.1:{port}" for port in self.flink.metrics]})
        self.prometheus.start()
        return self

    def stop(self):
        self.prometheus.stop()
        for process in (self.load, self.pingd):
            if process:
                process.kill()
                process.wait()
        if self.exporter:
            self.exporter.end()
        self.flink.end()
        self.store.end()
        self.kafka.end()
        self.postgres.remove()
        self.kafka_module.BROKER_FLAGS = self.kafka_module.QUICK_START


@pytest.fixture(scope="module")
def world(tmp_path_factory, charts):
    made = World(tmp_path_factory.mktemp("world"), next(one for one in charts["dev"] if one["kind"] == "FlinkDeployment"))
    try:
        yield made.start()
    finally:
        made.stop()


def test_the_image_has_the_job_where_the_operator_looks(world):
    jar = world.stage.root / "opt/flink/usrlib/ping-metrics.jar"
    assert jar.exists() and world.stage.user == "9999:9999" and not (world.stage.root / "source").exists()
    assert world.deployment["spec"]["job"]["jarURI"] == f"local:///{jar.relative_to(world.stage.root)}"


def test_the_job_runs_in_it_and_its_checkpoints_lie_on_the_object_store(world):
    world.flink.wait_until_running(world.flink.job)
    world.flink.wait_for_checkpoint(world.flink.job)
    world.flink.wait_until(lambda: "_metadata" in world.store.listing("checkpoints/"), "the checkpoint in the bucket")


def test_its_reporter_shows_what_rules_and_boards_use(world):
    wanted = {name for query in [query for _, query in board_queries()] + [rule["expr"] for rule in rules()] for name in metrics_in(query) if name.startswith("flink_")}
    assert len(wanted) > 15
    world.flink.wait_until(lambda: wanted <= world.flink.exposed(), "all metrics")


def test_kafka_shows_what_rules_and_boards_use(world):
    """By its MBeans; what the JVM is called is the exporter's to say."""
    wanted = set(EXPORTERS["strimzi-metrics-reporter"]["metrics"])
    wait_for("all metrics of Kafka", lambda: wanted <= set(world.prometheus.ask("label/__name__/values") or ()))


@pytest.mark.parametrize("name, others", [("kafka", {"Disk that is left"}), ("flink", set()), ("pipeline", None)])
def test_boards_show_it(world, tmp_path, name, others):
    """Every panel has lines but those that only a cluster fills; where PING_PICTURES says, the pages are left there."""
    board = json.loads((CHART / f"files/dashboards/{name}.json").read_text())

    def is_filled():
        svg, found = render.board_svg(board, world.prometheus, 300)
        (pathlib.Path(os.environ.get("PING_PICTURES") or tmp_path) / f"{name}.svg").write_text(svg)
        return others is None or {title for title, lines in found.items() if not lines} <= others

    wait_for(f"the board {name} to be filled", is_filled)
