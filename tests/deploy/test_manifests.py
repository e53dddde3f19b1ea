"""Every rendered manifest against the schemas, without a server."""
import copy
import re
import subprocess
import sys

import pytest

import programs
import schemas
from conftest import CHART, CHARTS, ROOT, run

pytestmark = pytest.mark.skipif(not schemas.CRDS.is_dir(), reason=f"the operators' CRDs are not in {schemas.CRDS}: PING_CRDS says where they are")


def test_what_is_generated_is_current():
    done = subprocess.run([sys.executable, ROOT / "scripts/generate-deploy", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, f"run scripts/generate-deploy: {done.stdout}{done.stderr}"


def test_every_manifest_is_valid(everything):
    found = [f"{source}: {problem}" for source, manifest in everything for problem in schemas.problems(manifest)]
    assert not found, "\n".join(found)
    assert len(everything) > 150


def test_every_field_in_values_is_used_and_none_else_taken():
    done = subprocess.run([programs.get("helm"), "template", "ping", CHART, "--set", "replicsa=2"], capture_output=True, text=True)
    assert done.returncode != 0 and "replicsa" in done.stderr


def test_every_value_is_explained():
    """In the chart's README, which is made of values.yaml's comments."""
    rows = re.findall(r"^\| `([\w.]+)` \| (.*?) \| (.*?) \|$", (CHART / "README.md").read_text(), re.M)
    assert len(rows) > 70
    assert not [name for name, _, said in rows if not said.strip()]


@pytest.mark.parametrize("variant", CHARTS)
def test_helm_lint(variant):
    text = run(programs.get("helm"), "lint", "--strict", "--kube-version", programs.KUBERNETES, CHART, *CHARTS[variant])
    assert "0 chart(s) failed" in text


@pytest.mark.parametrize("setting, word", [
    ("autoscaling.max=16", "slots"), ("publishers=4", "slots"), ("gateway.enabled=true", "trustedProxies"), ("scylla.enabled=false", "store"),
    ("engine.kind=spark", "kind")])
def test_the_chart_refuses_what_cannot_work(setting, word):
    done = subprocess.run([programs.get("helm"), "template", "ping", CHART, "--set", setting], capture_output=True, text=True)
    assert done.returncode != 0 and word in done.stderr


def places(value, path=()):
    """Paths of the objects in a manifest that are not empty, deepest last."""
    if isinstance(value, dict) and value:
        yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


def misspelt(manifest, path):
    made = copy.deepcopy(manifest)
    value = made
    for key in path:
        value = value[key]
    value["misspelt"] = "x"
    return made


def of_each_kind(manifests):
    """{kind: its manifest with the most in it}"""
    kinds = {}
    for manifest in manifests:
        key = manifest["apiVersion"], manifest["kind"]
        if key not in kinds or len(str(manifest)) > len(str(kinds[key])):
            kinds[key] = manifest
    return kinds


# Objects whose names are free: maps of strings, and what a schema leaves open.
FREE = {"labels", "annotations", "matchLabels", "data", "config", "flinkConfiguration", "parameters", "requests", "limits", "nodeSelector", "metadata",
        "jvmOptions", "-XX"}
FREE_PATHS = {("Service", ("spec", "selector"))}


def test_a_misspelt_field_is_caught_in_each_kind(everything):
    kinds = of_each_kind(manifest for _, manifest in everything)
    assert len(kinds) >= 25
    for key, manifest in kinds.items():
        top = "spec" if "spec" in manifest else next((name for name in ("subsets", "rules") if name in manifest), None)
        tried = [path for path in places(manifest) if (not path or path[0] == top) and not FREE & set(path) and (key[1], path) not in FREE_PATHS]
        missed = [path for path in tried if not schemas.problems(misspelt(manifest, path))]
        assert tried and not missed, f"{key}: a misspelt field at {missed} was not caught"
