"""What the manifests tell pingd and pingctl, told to the real programs: every flag and variable is one, and they go together."""
import os
import pathlib
import re
import subprocess

import pytest
import yaml

import flink_options
from conftest import ROOT
from test_policy import pods

BUILD = pathlib.Path(os.environ.get("PING_BUILD", ROOT / "build"))
pytestmark = pytest.mark.skipif(not (BUILD / "pingd").exists(), reason=f"no pingd in {BUILD}")
SECRETS = {"username": "ping", "password": "aGVsbG8", "audit-username": "ping_audit", "audit-password": "aGVsbG8"}


def environment(container, folder):
    """As the kubelet makes it: secrets by reference, $(NAME) of what stands before. Nobody is at the addresses; files are those of the folder."""
    found = {}
    for entry in container["env"]:
        value = entry.get("value") or SECRETS[entry["valueFrom"]["secretKeyRef"]["key"]]
        value = re.sub(r"\$\((\w+)\)", lambda match: found[match[1]], value)
        found[entry["name"]] = re.sub(r"ping-[a-z-]+:\d+", "127.0.0.1:1", value.replace("/etc/ping", str(folder)))
    return {**{name: value for name, value in os.environ.items() if not name.startswith(("PING", "DB_"))}, **found}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Where the mounts would be."""
    folder = tmp_path_factory.mktemp("etc")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=ping",
                    "-keyout", folder / "key", "-out", folder / "crt"], check=True, capture_output=True)
    for name in ("kafka/ca.crt", "postgres/ca.crt", "scylla/ca-bundle.crt", "scylla-client/tls.crt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text((folder / "crt").read_text())
    (folder / "scylla-client/tls.key").write_text((folder / "key").read_text())
    return folder


def ours(everything, program):
    return [(name, pod["containers"][0]) for name, _, pod in pods(everything) if "/pingd" in pod["containers"][0]["image"]
            and (pod["containers"][0].get("command") or ["/usr/bin/pingd"])[0].endswith(program)]


def test_pingd_takes_its_settings(everything, files):
    found = ours(everything, "pingd")
    assert len(found) >= 10
    for name, container in found:
        done = subprocess.run([BUILD / "pingd", *container["args"], "--check-config"], env=environment(container, files), capture_output=True, text=True)
        assert done.returncode == 0, f"{name}: {done.stderr}"
        assert "aGVsbG8" not in done.stdout, f"{name}: a password is shown"
        for entry in container["env"]:
            if entry["name"].startswith("PING_"):
                assert re.search(rf"; environment {entry['name']}\b", done.stdout), f"{name}: {entry['name']} is no setting, or has no effect\n{done.stdout}"


def test_pingctl_takes_its_settings(everything, files):
    """Nobody is there: that is exit code 3. What it cannot read would be 2."""
    found = {(name.split(": ", 1)[1], str(container["env"])): (name, container) for name, container in ours(everything, "pingctl")}
    assert len(found) >= 4
    for name, container in found.values():
        done = subprocess.run([BUILD / "pingctl", *container["command"][1:]], env=environment(container, files), capture_output=True, text=True, timeout=120)
        assert done.returncode == 3, f"{name}: {done.returncode} {done.stdout}{done.stderr}"


def test_flink_knows_its_settings(everything):
    found = [(name, manifest["spec"]) for name, manifest in everything if manifest["kind"] == "FlinkDeployment"]
    assert len(found) >= 4
    for name, spec in found:
        assert not flink_options.unknown(spec["flinkConfiguration"]), name
    assert flink_options.unknown(["execution.checkpointing.intervall"]), "a misspelt one is found"


def test_flink_s_image_is_told_of_no_plugin_of_its_own_that_there_is_not(everything):
    """Its entrypoint ends at the first jar in ENABLE_BUILT_IN_PLUGINS that /opt/flink/opt lacks; ours are put in place by the Containerfile."""
    for name, manifest in everything:
        if manifest["kind"] == "FlinkDeployment":
            assert "ENABLE_BUILT_IN_PLUGINS" not in {entry["name"] for entry in manifest["spec"]["podTemplate"]["spec"]["containers"][0]["env"]}, name


def test_the_autoscaler_asks_for_what_pingd_counts(everything):
    """One name in pingd's metrics, the adapter's rule and the HorizontalPodAutoscaler."""
    rule = yaml.safe_load((ROOT / "deploy/operators/prometheus-adapter-values.yaml").read_text())["rules"]["custom"][0]
    metric = re.match(r"\w+", rule["seriesQuery"])[0]
    assert metric in (ROOT / "docs/man/pingd.1").read_text() or f'"{metric}"' in "".join(file.read_text() for file in (ROOT / "src").rglob("*.c"))
    scalers = [manifest["spec"] for _, manifest in everything if manifest["kind"] == "HorizontalPodAutoscaler"]
    assert scalers
    for spec in scalers:
        kinds = {one["type"]: one for one in spec["metrics"]}
        assert kinds["Resource"]["resource"]["name"] == "cpu" and kinds["Pods"]["pods"]["metric"]["name"] == metric
