"""What every test of deploy/ needs: the programs, and each overlay and chart rendered once."""
import importlib
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm/ping"
sys.path.insert(0, str(HERE))
import programs  # noqa: E402
import schemas  # noqa: E402

OVERLAYS = ("dev", "production")
# What the chart can be asked for, beside what the overlays ask for.
CHARTS = {
    "defaults": [],
    "dev": ["--values", DEPLOY / "helm/values-dev.yaml"],
    "production": ["--values", DEPLOY / "helm/values-production.yaml"],
    "native": ["--set", "engine.kind=native"],
    "no-metrics": ["--set", "engine.kind=none", "--set", "scylla.enabled=false"],
    "ingress": ["--set", "ingress.enabled=true,ingress.className=nginx,ingress.hostname=ping.example.com,ingress.tlsSecret=tls,trustedProxies={10.0.0.0/8}"],
    "digest": ["--set", "image.digest=sha256:" + "0" * 64 + ",engine.flink.image.digest=sha256:" + "0" * 64 + ",scylla.replication=dc1:3"],
    "bare": ["--set", "networkPolicy.enabled=false,monitoring.enabled=false,monitoring.dashboards=false,migrate.enabled=false,audit.enabled=false"],
}


def integration(name):
    """A module of tests/integration: real servers."""
    sys.path.insert(0, str(ROOT / "tests/integration"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(ROOT / "tests/integration"))


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def helm_template(*more):
    return run(programs.get("helm"), "template", "ping", CHART, "--namespace", "ping", "--kube-version", programs.KUBERNETES, *more)


@pytest.fixture(scope="session")
def overlays():
    """{overlay: its manifests}"""
    return {name: schemas.load(run(programs.get("kustomize"), "build", DEPLOY / "kustomize/overlays" / name)) for name in OVERLAYS}


@pytest.fixture(scope="session")
def apart():
    """{what is applied by itself: its manifests}"""
    return {name: schemas.load(run(programs.get("kustomize"), "build", DEPLOY / "kustomize" / name)) for name in ("scylla-nodes", "tools")}


@pytest.fixture(scope="session")
def charts():
    """{variant: its manifests}"""
    return {name: schemas.load(helm_template(*more)) for name, more in CHARTS.items()}


@pytest.fixture(scope="session")
def everything(overlays, apart, charts):
    """[(where from, manifest)]"""
    return [(f"overlay {name}", manifest) for name, found in overlays.items() for manifest in found] \
        + [(name, manifest) for name, found in apart.items() for manifest in found] \
        + [(f"chart {name}", manifest) for name, found in charts.items() for manifest in found]
