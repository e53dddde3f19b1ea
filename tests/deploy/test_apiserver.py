"""The same manifests, taken by a real kube-apiserver: server-side apply with strict fields, defaults, CEL rules."""
import copy
import os
import subprocess

import pytest

import programs
import schemas
from apiserver import ApiServer
from conftest import DEPLOY
from test_manifests import misspelt, of_each_kind

NEEDED = ("etcd", "kube-apiserver", "kubectl")
pytestmark = [
    pytest.mark.skipif(not schemas.CRDS.is_dir(), reason=f"the operators' CRDs are not in {schemas.CRDS}: PING_CRDS says where they are"),
    pytest.mark.skipif(not all(programs.find(name) for name in NEEDED),
                       reason="no kube-apiserver and kubectl in the cache yet: scripts/test deploy-whole or make soak builds it, once, in minutes")]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ApiServer(tmp_path_factory.mktemp("apiserver"))
    try:
        server.start()
        server.install(list(schemas.crds().values()))
        server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ping"}}, dry=False)
        yield server
    finally:
        server.stop()


def kubectl(server, *arguments):
    done = subprocess.run([programs.get("kubectl"), "--kubeconfig", server.kubeconfig, *arguments], capture_output=True, text=True,
                          env={**os.environ, "HOME": str(server.folder)})
    return done.returncode, done.stdout + done.stderr


def test_every_manifest_is_taken(server, everything):
    problems = [f"{source}: {problem}" for source, manifest in everything if (problem := server.apply(manifest))]
    assert not problems, "\n".join(problems)


def test_a_misspelt_field_is_refused_in_each_kind(server, everything):
    for key, manifest in of_each_kind(manifest for _, manifest in everything).items():
        path = ("spec",) if "spec" in manifest else ()
        problem = server.apply(misspelt(manifest, path))
        assert problem and "misspelt" in problem, f"{key}: {problem}"


@pytest.mark.parametrize("overlay", ["production", "dev"])
def test_kubectl_applies_an_overlay_and_finds_nothing_to_do_after(server, overlay):
    """As deploy/README.md has it, in a namespace of its own for the second: what is immutable differs."""
    arguments = ("apply", "--server-side", "--force-conflicts", "--validate=strict", "-k", DEPLOY / "kustomize/overlays" / overlay)
    if overlay == "dev":
        code, text = kubectl(server, *arguments, "--dry-run=server")
        assert code == 0, text[-3000:]
        return
    code, text = kubectl(server, *arguments)
    assert code == 0, text[-3000:]
    code, text = kubectl(server, "diff", "--server-side", "--force-conflicts", "-k", DEPLOY / "kustomize/overlays" / overlay)
    assert code == 0, text[-3000:]


# By enums, required fields, and CEL rules, which only the server knows (the first two, and the Cluster's).
@pytest.mark.parametrize("kind, change, word", [
    ("KafkaUser", lambda spec: spec["authentication"].update(validityDays=3), "validityDays"),
    ("Kafka", lambda spec: spec["kafka"]["metricsConfig"].update(type="jmxPrometheusExporter"), "valueFrom"),
    ("KafkaNodePool", lambda spec: spec.update(roles=["neither"]), "roles"),
    ("FlinkDeployment", lambda spec: spec.update(flinkVersion="v9_9"), "flinkVersion"),
    ("ScyllaCluster", lambda spec: spec["datacenter"]["racks"][0].update(members="three"), "members"),
    ("Pooler", lambda spec: spec.update(type="neither"), "type"),
    ("Cluster", lambda spec: spec["postgresql"]["synchronous"].update(number=0), "number"),
    ("HorizontalPodAutoscaler", lambda spec: spec.update(maxReplicas=1), "maxReplicas"),
    ("NetworkPolicy", lambda spec: spec.update(policyTypes=["Neither"]), "policyTypes"),
    ("HTTPRoute", lambda spec: spec["rules"][0]["matches"][0]["path"].update(value="no-slash"), "path"),
    ("PrometheusRule", lambda spec: spec["groups"][0]["rules"][0].pop("expr"), "expr"),
])
def test_a_value_that_makes_no_sense_is_refused(server, overlays, kind, change, word):
    found = next(manifest for manifest in overlays["production"] if manifest["kind"] == kind and (kind != "Cluster" or "instances" in manifest["spec"]))
    broken = copy.deepcopy(found)
    change(broken["spec"])
    problem = server.apply(broken)
    assert problem and word in problem, f"{kind}: {problem}"
