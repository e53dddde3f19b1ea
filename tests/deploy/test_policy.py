"""What our own part promises, and the numbers that must agree across manifests and docs/SEMANTICS.md."""
import json
import re

import pytest

from conftest import ROOT


def own(manifests):
    """Manifests of the chart: ours, down to the last field."""
    return [manifest for manifest in manifests if manifest["kind"] in ("Deployment", "Job", "CronJob")]


def pod_template(manifest):
    spec = manifest["spec"]
    return (spec["jobTemplate"]["spec"] if manifest["kind"] == "CronJob" else spec)["template"]


def pods(everything):
    return [(f"{source}: {manifest['kind']} {manifest['metadata']['name']}", manifest, pod_template(manifest)["spec"])
            for source, manifest in everything for manifest in own([manifest])]


def test_no_container_is_root_or_may_become_it(everything):
    for name, _, pod in pods(everything):
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True and security["runAsUser"] > 0, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            assert not pod.get(key), name
        for container in pod["containers"] + pod.get("initContainers", []):
            own_security = container["securityContext"]
            assert own_security["allowPrivilegeEscalation"] is False and not own_security.get("privileged"), name
            assert own_security["readOnlyRootFilesystem"] is True, name
            assert own_security["capabilities"] == {"drop": ["ALL"]}, name
        assert not any("hostPath" in volume for volume in pod["volumes"]), name


def test_every_container_has_requests_and_limits(everything):
    for name, _, pod in pods(everything):
        for container in pod["containers"]:
            for kind in ("requests", "limits"):
                assert {"cpu", "memory"} <= set(container["resources"][kind]), name


def test_flink_s_pods_are_held_to_the_same(everything):
    """But for the root file system, which its entrypoint writes settings to; limits are the resources of the FlinkDeployment."""
    found = [(source, manifest["spec"]) for source, manifest in everything if manifest["kind"] == "FlinkDeployment"]
    assert len(found) >= 4
    for source, spec in found:
        pod = spec["podTemplate"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["runAsUser"] > 0, source
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, source
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False and container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, source
        assert all(spec[part]["resource"].keys() == {"cpu", "memory"} for part in ("jobManager", "taskManager")), source
        assert spec["job"]["upgradeMode"] == "savepoint" and spec["job"]["allowNonRestoredState"] is False, source


def test_what_serves_may_be_drained_one_by_one(charts):
    """Each of our Deployments has a budget that selects its pods, and lets one go."""
    for name, manifests in charts.items():
        budgets = [one["spec"] for one in manifests if one["kind"] == "PodDisruptionBudget"]
        for deployment in (one for one in manifests if one["kind"] == "Deployment"):
            labels = pod_template(deployment)["metadata"]["labels"]
            selecting = [budget for budget in budgets if budget["selector"]["matchLabels"].items() <= labels.items()]
            assert [budget["maxUnavailable"] for budget in selecting] == [1], f"{name}: {deployment['metadata']['name']}"


def test_a_proxy_s_word_is_taken_where_there_is_one(charts):
    """Behind a gateway or an ingress pingd is told whose; the way in leads to the API and the dashboard, not to what is for operators."""
    for name, manifests in charts.items():
        ways = [one for one in manifests if one["kind"] in ("HTTPRoute", "Ingress")]
        env = {entry["name"]: entry.get("value") for one in manifests if one["kind"] == "Deployment" and one["metadata"]["name"] == "pingd"
               for entry in pod_template(one)["spec"]["containers"][0]["env"]}
        assert bool(ways) == bool(env.get("PING_TRUSTED_PROXIES")), name
        for way in ways:
            paths = set(re.findall(r'"(?:path|value)": "(/[^"]*)"', json.dumps(way)))
            assert {"/ping.v1.PingService", "/ping.v1.MetricsService", "/grpc.health.v1.Health"} <= paths, name
            assert not [path for path in paths if path.startswith(("/metrics", "/readyz", "/livez", "/healthz"))], name
            if way["kind"] == "Ingress":
                assert all(one["pathType"] == "Exact" for one in way["spec"]["rules"][0]["http"]["paths"] if one["path"] == "/"), name


def images(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("image", "imageName") and isinstance(inner, str):
                yield inner
            else:
                yield from images(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from images(inner)


def test_no_image_is_latest(everything):
    found = {image for _, manifest in everything if manifest["kind"] not in ("ConfigMap", "PrometheusRule") for image in images(manifest)}
    assert len(found) >= 5
    for image in found:
        assert re.search(r"(:[\w][\w.-]*|@sha256:[0-9a-f]{64})$", image) and not image.endswith(":latest"), image


def test_what_serves_has_probes(everything):
    for name, manifest, pod in pods(everything):
        if manifest["kind"] != "Deployment":
            continue
        for container in pod["containers"]:
            assert {"livenessProbe", "readinessProbe"} <= set(container), name
    pingd = next(pod["containers"][0] for name, _, pod in pods(everything) if name == "overlay production: Deployment pingd")
    assert pingd["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert pingd["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_the_drain_fits_into_the_grace_period(everything):
    for name, _, pod in pods(everything):
        if not name.endswith("Deployment pingd"):
            continue
        container = pod["containers"][0]
        env = {entry["name"]: entry.get("value") for entry in container["env"]}
        seconds = container["lifecycle"]["preStop"]["sleep"]["seconds"] + sum(int(env[key].rstrip("s")) for key in ("PING_DRAIN_DELAY", "PING_DRAIN_TIMEOUT"))
        assert seconds < pod["terminationGracePeriodSeconds"], name



def test_secrets_come_by_reference_alone(everything):
    for source, manifest in everything:
        assert manifest["kind"] != "Secret", f"{source}: a Secret in the repository"
        text = json.dumps(manifest)
        for word in re.findall(r'"name": "([A-Z_]*(?:PASSWORD|SECRET|JAAS)[A-Z_]*)", "value": "', text):
            pytest.fail(f"{source}: {manifest['metadata']['name']} has {word} as a value")
        assert not re.search(r"://[^\"$]*:[^\"$]*@", text), f"{source}: {manifest['metadata']['name']} has a password in a URL"


def test_everything_of_ours_is_denied_by_default(charts):
    for name in ("defaults", "production", "native"):
        policies = {m["metadata"]["name"]: m["spec"] for m in charts[name] if m["kind"] == "NetworkPolicy"}
        deny = policies["ping-default-deny"]
        assert set(deny["policyTypes"]) == {"Ingress", "Egress"} and "ingress" not in deny
        wanted = deny["podSelector"]["matchLabels"]
        for manifest in own(charts[name]):
            assert wanted.items() <= pod_template(manifest)["metadata"]["labels"].items(), manifest["metadata"]["name"]


def test_publishers_never_outnumber_slots(overlays):
    for name, manifests in overlays.items():
        deployment = next(m for m in manifests if m["kind"] == "Deployment" and m["metadata"]["name"] == "pingd")
        env = {entry["name"]: entry.get("value") for entry in deployment["spec"]["template"]["spec"]["containers"][0]["env"]}
        scaler = next((m for m in manifests if m["kind"] == "HorizontalPodAutoscaler"), None)
        most = scaler["spec"]["maxReplicas"] if scaler else deployment["spec"]["replicas"]
        assert (most + deployment["spec"]["strategy"]["rollingUpdate"]["maxSurge"]) * int(env["PING_PUBLISHERS"]) <= int(env["PING_PUBLISHER_SLOTS"]), name
        slots = next(m for m in manifests if m["kind"] == "KafkaTopic" and m["metadata"]["name"] == "ping-publishers")
        assert slots["spec"]["partitions"] == int(env["PING_PUBLISHER_SLOTS"]), name
        pings = next(m for m in manifests if m["kind"] == "KafkaTopic" and m["metadata"]["name"] == "raw-pings")
        assert pings["spec"]["partitions"] == int(env["PING_LOG_PARTITIONS"]), name


def test_topics_are_those_of_the_semantics(overlays):
    text = (ROOT / "docs/SEMANTICS.md").read_text()
    rows = {match[1]: match for match in re.finditer(r"^\| `([a-z-]+)` \| (.*?) \| (.*?) \|$", text, re.M)}
    topics = {m["metadata"]["name"]: m["spec"] for m in overlays["production"] if m["kind"] == "KafkaTopic"}
    assert set(topics) == {"raw-pings", "raw-pings-dead", "ping-publishers"}
    assert int(rows["raw-pings"][2]) == topics["raw-pings"]["partitions"] and int(rows["raw-pings-dead"][2]) == topics["raw-pings-dead"]["partitions"]
    assert int(re.search(r"\((\d+)\)", rows["ping-publishers"][2])[1]) == topics["ping-publishers"]["partitions"]
    for name, topic in topics.items():
        rest = rows["raw-pings" if name == "raw-pings-dead" else name][3]
        assert topic["replicas"] == int(re.search(r"replication factor (\d+)", rest)[1])
        assert topic["config"]["min.insync.replicas"] == int(re.search(r"`min.insync.replicas` (\d+)", rest)[1])
        assert topic["config"]["cleanup.policy"] == re.search(r"`cleanup.policy` (\w+)", rest)[1]
        retention = re.search(r"`retention.ms` (\d+)", rest)
        assert topic["config"].get("retention.ms") == (int(retention[1]) if retention else None)
        assert topic["config"].get("message.timestamp.type") == ("LogAppendTime" if "LogAppendTime" in rest else None)


def test_production_is_three_of_each_over_zones(overlays):
    found = {(m["kind"], m["metadata"]["name"]): m["spec"] for m in overlays["production"] if "spec" in m}
    assert found["KafkaNodePool", "controller"]["replicas"] == found["KafkaNodePool", "broker"]["replicas"] == 3
    assert len(found["ScyllaCluster", "ping-scylla"]["datacenter"]["racks"]) == 3
    assert found["Cluster", "ping-db"]["instances"] == 3 and found["Pooler", "ping-db-pooler"]["instances"] == 3
    assert found["HorizontalPodAutoscaler", "pingd"]["minReplicas"] == 3
    for name in ("controller", "broker"):
        spread = found["KafkaNodePool", name]["template"]["pod"]["topologySpreadConstraints"]
        assert spread[0]["topologyKey"] == "topology.kubernetes.io/zone"
    assert found["Kafka", "ping"]["kafka"]["rack"]["topologyKey"] == "topology.kubernetes.io/zone"
    keys = [c["topologyKey"] for c in found["Deployment", "pingd"]["template"]["spec"]["topologySpreadConstraints"]]
    assert "topology.kubernetes.io/zone" in keys


def test_dev_is_one_of_each(overlays):
    found = {(m["kind"], m["metadata"]["name"]): m["spec"] for m in overlays["dev"] if "spec" in m}
    assert found["KafkaNodePool", "controller"]["replicas"] == found["KafkaNodePool", "broker"]["replicas"] == 1
    assert [rack["members"] for rack in found["ScyllaCluster", "ping-scylla"]["datacenter"]["racks"]] == [1]
    assert found["Cluster", "ping-db"]["instances"] == found["Pooler", "ping-db-pooler"]["instances"] == found["Deployment", "pingd"]["replicas"] == 1
    assert all(m["replicas"] == 1 for (kind, _), m in found.items() if kind == "KafkaTopic")


def test_every_secret_that_is_used_is_made_by_somebody(overlays):
    """By an operator, for a resource that is there, or by hand, as deploy/README.md says."""
    readme = (ROOT / "deploy/README.md").read_text()
    for name, manifests in overlays.items():
        text = json.dumps([m for m in manifests])
        used = set(re.findall(r'"(?:secretKeyRef|secret)": \{[^{}]*?"(?:name|secretName)": "([^"]+)"', text)) | set(re.findall(r'"secretName": "([^"]+)"', text))
        made = {m["metadata"]["name"] for m in manifests if m["kind"] == "KafkaUser"}
        made |= {f"{m['metadata']['name']}-cluster-ca-cert" for m in manifests if m["kind"] == "Kafka"}
        made |= {f"{m['metadata']['name']}-{end}" for m in manifests if m["kind"] == "Cluster" for end in ("app", "ca")}
        made |= {f"{m['metadata']['name']}-local-user-admin" for m in manifests if m["kind"] == "ScyllaCluster"}
        by_hand = set(re.findall(r"create secret \w+ ([\w-]+)", readme))
        assert used and used <= made | by_hand, f"{name}: nobody makes {used - made - by_hand}"
