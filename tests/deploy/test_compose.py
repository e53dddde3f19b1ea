"""compose.yaml: valid by its own schema, and each program that can be had here told what its container would be told."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import jsonschema
import pytest
import yaml

import flink_options
import programs
from postgres import Postgres, binaries
from conftest import DEPLOY, ROOT, integration
from test_rules import promtool

COMPOSE = DEPLOY / "compose.yaml"
BUILD = pathlib.Path(os.environ.get("PING_BUILD", ROOT / "build"))


def services():
    return yaml.safe_load(COMPOSE.read_text())["services"]


def test_compose_has_the_whole_pipeline_on_loopback_alone():
    found = services()
    assert {"postgres", "kafka", "scylla", "pingd", "engine", "flink-jobmanager", "flink-taskmanager", "kafka-ui", "prometheus", "grafana"} == set(found)
    for name, service in found.items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name}: {port} is open to others"
        if "image" in service:
            assert re.fullmatch(r"\$\{[A-Z_]+:-[\w./-]+:[\w.-]+\}", service["image"]) and "latest" not in service["image"], name
        else:
            assert (ROOT / service["build"]["dockerfile"]).exists() and service["build"]["context"] == "..", name
        for volume in service.get("volumes", []):
            if volume.startswith("./"):
                assert (DEPLOY / volume.split(":")[0]).exists(), f"{name}: {volume}"


def test_compose_is_valid():
    """By the schema that docker compose itself checks with; a misspelt field is caught."""
    validator = jsonschema.Draft202012Validator(json.loads((programs.get("schemas") / "compose-spec.json").read_text()))
    found = yaml.safe_load(COMPOSE.read_text())
    assert not [error.message for error in validator.iter_errors(found)]
    found["services"]["kafka"]["misspelt"] = True
    assert [error.message for error in validator.iter_errors(found)]


def test_docker_compose_takes_it():
    if not shutil.which("docker") or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        pytest.skip("no docker compose here")
    done = subprocess.run(["docker", "compose", "-f", COMPOSE, "--profile", "flink", "config", "--quiet"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_prometheus_takes_its_configuration(tmp_path):
    shutil.copy(DEPLOY / "compose/prometheus.yaml", tmp_path)
    shutil.copy(DEPLOY / "helm/ping/files/rules.yaml", tmp_path)
    promtool("check", "config", tmp_path / "prometheus.yaml")


def test_everything_that_is_scraped_is_there():
    """Each target is a service; the port that it listens on by what it is told, or by its documentation."""
    found, ports = services(), {"scylla": 9180}
    for name in ("pingd", "engine"):
        ports[name] = int(re.search(r"--listen=[\d.]+:(\d+)", " ".join(found[name]["command"]))[1])
    for name in ("flink-jobmanager", "flink-taskmanager"):
        ports[name] = int(re.search(r"metrics.reporter.prom.port: (\d+)", found[name]["environment"]["FLINK_PROPERTIES"])[1])
    targets = {target for job in yaml.safe_load((DEPLOY / "compose/prometheus.yaml").read_text())["scrape_configs"] for one in job["static_configs"] for target in one["targets"]}
    assert targets == {f"{name}:{port}" for name, port in ports.items()}
    assert yaml.safe_load((DEPLOY / "compose/datasource.yaml").read_text())["datasources"][0]["url"] == "http://prometheus:9090"


@pytest.mark.skipif(not (BUILD / "pingd").exists(), reason=f"no pingd in {BUILD}")
@pytest.mark.parametrize("name", ["pingd", "engine"])
def test_pingd_takes_what_it_is_told(name, tmp_path):
    service = services()[name]
    env = {**{key: value for key, value in os.environ.items() if not key.startswith(("PING", "DB_"))}, **service["environment"]}
    done = subprocess.run([BUILD / "pingd", *service["command"], f"--data-dir={tmp_path}", "--check-config"], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for key in service["environment"]:
        assert re.search(rf"; environment {key}\b", done.stdout), key


def test_flink_knows_what_it_is_told():
    """Each line of FLINK_PROPERTIES is KEY: VALUE, as the image's entrypoint reads it, and each key one of Flink's."""
    for name in ("flink-jobmanager", "flink-taskmanager"):
        lines = services()[name]["environment"]["FLINK_PROPERTIES"].splitlines()
        keys = [line.split(":")[0] for line in lines]
        assert all(re.fullmatch(r"[\w.-]+: \S.*", line) for line in lines)
        assert not flink_options.unknown(keys)


class Broker:
    """Kafka as its image starts it: the same program makes settings of the environment and formats the folder; then the broker itself. The image's other files
    are defaults that this environment replaces, and where its loggers go."""

    def __init__(self, kafka, folder, environment, ports):
        self.kafka, self.folder = kafka, folder
        self.port, controller = ports
        here = {":9092": f":{self.port}", ":9093": f":{controller}", "//:": "//127.0.0.1:", "kafka:": "127.0.0.1:", "/var/lib/kafka/data": str(folder / "data")}
        self.environment = {}
        for key, value in environment.items():
            for old, new in here.items():
                value = str(value).replace(old, new)
            self.environment[key] = value

    def setup(self):
        for name in ("default", "mounted", "final"):
            (self.folder / name).mkdir()
        for name in ("server.properties", "log4j2.yaml", "tools-log4j2.yaml"):
            (self.folder / "default" / name).write_text("{}\n" if name.endswith("yaml") else "")
        done = subprocess.run(self.kafka.java_command(256, "kafka.docker.KafkaDockerWrapper", "setup", *(option for name in ("default", "mounted", "final")
                                                                                                            for option in (f"--{name}-configs-dir", self.folder / name))),
                              env={**os.environ, **self.environment, "CLUSTER_ID": "5L6g3nShT-eMCtK--X86sw"}, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self):
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(self.kafka.java_command(512, "kafka.Kafka", self.folder / "final/server.properties"), stdin=subprocess.DEVNULL, stdout=log, stderr=log)


@pytest.mark.skipif(binaries() is None, reason="no PostgreSQL server: apt-get install postgresql")
@pytest.mark.skipif(not os.environ.get("PING_IMAGES"), reason="Kafka by compose's environment: left to make soak")
def test_kafka_takes_what_it_is_told_and_pingd_its_topics(tmp_path):
    kafka = integration("kafka")
    broker = Broker(kafka, tmp_path, services()["kafka"]["environment"], kafka.reserve_ports(2))
    broker.setup()
    postgres = Postgres()
    text = (tmp_path / "final/server.properties").read_text()
    assert "auto.create.topics.enable=false" in text and f"listeners=PLAINTEXT://127.0.0.1:{broker.port}" in text
    try:
        broker.start()
        postgres.start()
        # The health check, then the first thing that pingd wants of it.
        end = time.monotonic() + 240
        while subprocess.run(kafka.java_command(256, "org.apache.kafka.tools.BrokerApiVersionsCommand", "--bootstrap-server", f"127.0.0.1:{broker.port}"),
                             capture_output=True, timeout=120).returncode:
            assert broker.process.poll() is None and time.monotonic() < end, (tmp_path / "log").read_text()[-3000:]
        done = subprocess.run([BUILD / "pingctl", "migrate", f"--ledger={postgres.url()}", f"--log=kafka://127.0.0.1:{broker.port}"], capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
        listed = subprocess.run(kafka.java_command(256, "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", f"127.0.0.1:{broker.port}", "--list"),
                                capture_output=True, text=True, timeout=120).stdout.split()
        assert {"raw-pings", "raw-pings-dead", "ping-publishers"} <= set(listed), listed
    finally:
        broker.process.kill()
        broker.process.wait()
        postgres.remove()
