"""compose.yaml, and the Containerfiles: what can be known without Docker, and their steps run without it."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import time
import urllib.request

import jsonschema
import pytest
import yaml

import containerfile
import programs
from apiserver import reserve_ports
from conftest import DEPLOY, ROOT
from test_rules import promtool

COMPOSE = DEPLOY / "compose.yaml"
IMAGES = sorted((DEPLOY / "images").glob("*.Containerfile"))
BUILT = os.environ.get("PING_IMAGES")  # a folder to build them in: make soak sets it


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


@pytest.mark.parametrize("file", IMAGES, ids=lambda file: file.stem)
def test_containerfiles_keep_to_what_we_promise(file):
    steps = list(containerfile.instructions(file.read_text()))
    words = [word for word, _ in steps]
    assert words.count("FROM") == 2, "built in one stage, run in another"
    for word, rest in steps:
        if word == "FROM":
            assert re.fullmatch(r"\$\{\w+\}( AS \w+)?", rest), "bases are arguments, so that a digest can be given"
        if word == "ARG":
            assert re.search(r"=[\w./-]+:[\w.-]+$", rest) and "latest" not in rest, rest
    user = [rest for word, rest in steps if word == "USER"][-1]
    assert int(user.split(":")[0]) > 0, "nobody's image runs as root"
    assert pathlib.Path(f"{file}.dockerignore").exists()
    sources = [source for word, rest in steps if word == "COPY" and not rest.startswith("--from") for source in rest.split()[:-1]]
    assert all((ROOT / source).exists() for source in sources), sources


@pytest.mark.timeout(3600)
@pytest.mark.skipif(not BUILT or os.geteuid() != 0 or not shutil.which("debootstrap"), reason="the images' steps, which take minutes: left to make soak (root, debootstrap)")
def test_pingd_s_image_by_its_steps(tmp_path):
    """Built stage by stage in a Debian of its own, then run as the image would be: as its user, with its entrypoint."""
    stage = containerfile.Build(DEPLOY / "images/pingd.Containerfile", BUILT).until()
    port = reserve_ports(1)[0]
    user, group = stage.user.split(":")
    inside = ["chroot", f"--userspec={user}:{group}", stage.root]
    said = subprocess.run([*inside, *stage.entrypoint, "--version"], capture_output=True, text=True, check=True).stdout
    assert "librdkafka" in said and "scylla driver" in said
    assert subprocess.run([*inside, "/usr/bin/pingctl", "--version"], capture_output=True).returncode == 0
    assert not (stage.root / "usr/bin/gcc").exists() and not (stage.root / "source").exists()
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen([*inside, *stage.entrypoint, f"--listen=127.0.0.1:{port}"], stdout=log, stderr=log, env=stage.env)
    try:
        end = time.monotonic() + 60
        while True:
            try:
                request = urllib.request.Request(f"http://127.0.0.1:{port}/ping.v1.PingService/Ping", json.dumps({"timestamp_ms": 1728926331000}).encode(),
                                                 {"Content-Type": "application/json"})
                with urllib.request.urlopen(request, timeout=30) as answer:
                    assert answer.status == 200
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < end, (tmp_path / "log").read_text()
                time.sleep(0.1)
    finally:
        process.terminate()
        process.wait(60)
