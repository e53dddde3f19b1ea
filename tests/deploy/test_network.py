"""Every connection that the pipeline needs is allowed by the NetworkPolicies of an overlay, and no other between these pods."""
import pytest
import yaml

from conftest import DEPLOY
from network import Pod, is_allowed
from test_policy import own, pod_template

# Pods that operators make, with the labels that those give them: cloudnative-pg 1.30.0 pkg/specs, scylla-operator 1.21.1 pkg/naming, Strimzi 1.2.0
# cluster-operator's model (Labels), Flink's native Kubernetes integration.
KAFKA = {"strimzi.io/cluster": "ping", "strimzi.io/kind": "Kafka", "app.kubernetes.io/part-of": "strimzi-ping", "app.kubernetes.io/instance": "ping"}
POSTGRES = {"cnpg.io/cluster": "ping-db", "app.kubernetes.io/name": "postgresql", "app.kubernetes.io/instance": "ping-db"}
SCYLLA = {"app": "scylla", "app.kubernetes.io/name": "scylla", "scylla/cluster": "ping-scylla", "scylla-operator.scylladb.com/pod-type": "scylladb-node"}
BACKENDS = [
    Pod("broker", {**KAFKA, "strimzi.io/name": "ping-kafka", "strimzi.io/broker-role": "true", "strimzi.io/controller-role": "false"}, (9090, 9091, 9093, 9404)),
    Pod("controller", {**KAFKA, "strimzi.io/name": "ping-kafka", "strimzi.io/broker-role": "false", "strimzi.io/controller-role": "true"}, (9090, 9404)),
    Pod("entity-operator", {**KAFKA, "strimzi.io/name": "ping-entity-operator"}),
    Pod("kafka-exporter", {**KAFKA, "strimzi.io/name": "ping-kafka-exporter"}, (9404,)),
    Pod("postgres", {**POSTGRES, "cnpg.io/podRole": "instance", "cnpg.io/instanceRole": "primary"}, (5432, 8000, 9187)),
    Pod("postgres-pooler", {**POSTGRES, "cnpg.io/podRole": "pooler", "cnpg.io/poolerName": "ping-db-pooler"}, (5432, 9127)),
    Pod("postgres-join", {**POSTGRES, "cnpg.io/jobRole": "join"}),
    Pod("scylla", SCYLLA, (7000, 7001, 9042, 9142, 19042, 19142, 9180, 9100, 10001, 5090)),
    Pod("scylla-cleanup", {"scylla/cluster": "ping-scylla", "scylla-operator.scylladb.com/pod-type": "cleanup-job"}),
]
OTHERS = [
    Pod("dns", {"k8s-app": "kube-dns"}, (53,), "kube-system"),
    Pod("gateway", {"app": "gateway"}, (), "gateway"),
    Pod("prometheus", {"app.kubernetes.io/name": "prometheus"}, (), "monitoring"),
    Pod("postgres-operator", {"app.kubernetes.io/name": "cloudnative-pg"}, (), "cnpg-system"),
    Pod("scylla-operator", {"app.kubernetes.io/name": "scylla-operator"}, (), "scylla-operator"),
    Pod("scylla-manager", {"app.kubernetes.io/name": "scylla-manager"}, (), "scylla-manager"),
    Pod("flink-operator", {"app.kubernetes.io/name": "flink-kubernetes-operator"}, (), "flink-operator"),
    Pod("stranger", {"app": "stranger"}, (8080,)),  # in our namespace
    Pod("outsider", {"app": "outsider"}, (8080,), "default"),
]
# By the JobManager: Kubernetes' API and the object store, wherever they are.
OUTSIDE = [Pod("kubernetes-api", {}, (443, 6443), "default"), Pod("object-store", {"app": "minio"}, (9000,))]

SCYLLA_CQL = (9042, 9142, 19042, 19142)  # plain and TLS, and the ports that lead to a shard
NEEDED = {
    "gateway": {"pingd": [8080]},
    "prometheus": {"pingd": [8080], "ping-engine": [8080], "ping-flink": [9249], "broker": [9404], "controller": [9404], "kafka-exporter": [9404],
                   "postgres": [9187], "postgres-pooler": [9127], "scylla": [9180, 9100, 5090]},
    "pingd": {"broker": [9093], "postgres": [5432], "postgres-pooler": [5432], "scylla": SCYLLA_CQL},
    "ping-engine": {"broker": [9093], "postgres": [5432], "postgres-pooler": [5432], "scylla": SCYLLA_CQL},
    "ping-migrate": {"broker": [9093], "postgres": [5432], "postgres-pooler": [5432], "scylla": SCYLLA_CQL},
    "ping-audit": {"broker": [9093], "postgres": [5432], "postgres-pooler": [5432], "scylla": SCYLLA_CQL},
    "ping-flink": {"broker": [9093], "scylla": SCYLLA_CQL, "ping-flink": [8081, 9249, 6123], "kubernetes-api": [443, 6443], "object-store": [9000]},
    "flink-operator": {"ping-flink": [8081]},
    "ping-scylla-roles": {"scylla": [9142]},
    "kafka-ui": {"broker": [9093]},
    "kafka-tools": {"broker": [9093]},
    "postgres-pooler": {"postgres": [5432], "postgres-pooler": [5432]},
    "postgres": {"postgres": [5432, 8000], "postgres-pooler": [5432]},
    "postgres-join": {"postgres": [5432], "postgres-pooler": [5432]},
    "postgres-operator": {"postgres": [8000, 5432], "postgres-pooler": [5432]},
    "scylla": {"scylla": "all"}, "scylla-cleanup": {"scylla": "all"}, "scylla-operator": {"scylla": "all"}, "scylla-manager": {"scylla": "all"},
    "broker": {"broker": [9090, 9091], "controller": [9090]},
    "controller": {"broker": [9090, 9091], "controller": [9090]},
    "entity-operator": {"broker": [9091]}, "kafka-exporter": {"broker": [9091]},
}
OURS = ("pingd", "ping-engine", "ping-migrate", "ping-audit", "ping-flink", "ping-scylla-roles", "kafka-ui", "kafka-tools")


def strimzi(kafka):
    """What Strimzi makes of the Kafka resource; its documentation: metrics are open to all, 9090 and 9091 to its own alone."""
    peers = {name: {"podSelector": {"matchLabels": {"strimzi.io/name": f"ping-{name}"}}} for name in ("kafka", "entity-operator", "kafka-exporter")}
    listener = kafka["spec"]["kafka"]["listeners"][0]
    rules = [{"ports": [{"port": 9090}], "from": [peers["kafka"]]}, {"ports": [{"port": 9091}], "from": list(peers.values())},
             {"ports": [{"port": listener["port"]}], "from": listener["networkPolicyPeers"]}, {"ports": [{"port": 9404}]}]
    return [{"metadata": {}, "spec": {"podSelector": peers["kafka"]["podSelector"], "policyTypes": ["Ingress"], "ingress": rules}}]


def our_pods(manifests):
    """As the manifests have them, the FlinkDeployment's too."""
    for manifest in manifests:
        if manifest["kind"] == "FlinkDeployment":
            yield Pod("ping-flink", {**manifest["spec"]["podTemplate"]["metadata"]["labels"], "app": "ping-metrics", "type": "flink-native-kubernetes"}, (6123, 8081, 9249))
        for one in own([manifest]):
            template = pod_template(one)
            ports = {port["name"]: port["containerPort"] for container in template["spec"]["containers"] for port in container.get("ports", [])}
            yield Pod(template["metadata"]["labels"]["app.kubernetes.io/name"], template["metadata"]["labels"], ports)


@pytest.fixture(scope="module", params=["production", "dev", "native"])
def world(request, overlays, apart, charts):
    """(policies, pods) of a whole namespace"""
    manifests = overlays.get(request.param)
    if manifests is None:  # the chart with the bases beside it
        bases = [one for one in overlays["production"] if one["metadata"].get("labels", {}).get("app.kubernetes.io/version") is None]
        manifests = charts[request.param] + bases
    manifests = manifests + apart["tools"]
    policies = [one for one in manifests if one["kind"] == "NetworkPolicy"] + strimzi(next(one for one in manifests if one["kind"] == "Kafka"))
    return policies, [*our_pods(manifests), *BACKENDS, *OTHERS, *OUTSIDE]


def needed(source, target):
    found = NEEDED.get(source.name, {}).get(target.name, ())
    if target.name == "dns" and source.name in OURS:
        return {53}
    return set(target.ports.values()) if found == "all" else set(found)


def test_what_is_needed_is_allowed_and_nothing_else(world):
    policies, pods = world
    names = {pod.name for pod in pods}
    assert {"pingd", "ping-migrate", "ping-audit", "kafka-ui", "kafka-tools", "ping-scylla-roles"} <= names and names & {"ping-flink", "ping-engine"}
    guarded = [pod for pod in pods if pod.name in OURS or pod in BACKENDS]
    lacking, more = [], []
    for source in pods:
        for target in pods:
            if source not in guarded and target not in guarded:
                continue
            for number in sorted(set(target.ports.values())):
                allowed, wanted = is_allowed(policies, source, target, number), number in needed(source, target)
                # Whom operators' own pods talk to elsewhere is theirs to say, and Strimzi opens the port of its metrics to all.
                if source.name not in OURS and (target not in guarded or number == 9404):
                    wanted = wanted or allowed
                # The JobManager's way to Kubernetes' API and the object store is by port alone.
                if source.name == "ping-flink" and number in (443, 6443, 9000):
                    wanted = wanted or target.name in ("kubernetes-api", "object-store")
                if allowed != wanted:
                    (lacking if wanted else more).append(f"{source.name} -> {target.name}:{number}")
    assert not lacking, f"needed, not allowed: {lacking}"
    assert not more, f"allowed, not needed: {more}"


def test_a_policy_that_is_taken_away_is_missed(world):
    """The walk sees each of them: without any one policy something that must not be is open."""
    policies, pods = world
    for left_out in policies:
        if not left_out["metadata"].get("name"):  # Strimzi's
            continue
        with pytest.raises(AssertionError):
            test_what_is_needed_is_allowed_and_nothing_else(([policy for policy in policies if policy is not left_out], pods))
