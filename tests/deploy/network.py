"""Who may talk to whom by a set of NetworkPolicies, as Kubernetes' documentation of them has it: a pod that no policy of a direction selects is open in it,
one that is selected takes what any of them allows. Pods are told by labels and namespace; addresses (ipBlock) are none of ours.
"""


def selects(selector, labels):
    """A LabelSelector; empty selects all."""
    for expression in selector.get("matchExpressions", []):
        value, values = labels.get(expression["key"]), expression.get("values", [])
        fine = {"In": value in values, "NotIn": value not in values, "Exists": value is not None, "DoesNotExist": value is None}[expression["operator"]]
        if not fine:
            return False
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


class Pod:
    def __init__(self, name, labels, ports=(), namespace="ping"):
        """ports: {name or number as text: number} or numbers that it listens on"""
        self.name, self.labels, self.namespace = name, labels, namespace
        self.ports = ports if isinstance(ports, dict) else {str(port): port for port in ports}


def is_peer(peer, pod, namespace):
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": pod.namespace}):
            return False
    elif pod.namespace != namespace:
        return False
    return selects(peer.get("podSelector", {}), pod.labels)


def has_port(rule, pod, number):
    """Of the pod that is talked to, whose names of ports count."""
    wanted = [port["port"] for port in rule.get("ports", [])]
    return not wanted or number in [pod.ports.get(port) if isinstance(port, str) else port for port in wanted]


def is_open(policies, direction, pod, other, target, number):
    """Whether the pod's own policies of a direction let it talk with the other; target: the one of them that listens."""
    field, peers = {"Ingress": ("ingress", "from"), "Egress": ("egress", "to")}[direction]
    own = [policy for policy in policies if direction in policy["spec"]["policyTypes"] and pod.namespace == policy["metadata"].get("namespace", "ping")
           and selects(policy["spec"]["podSelector"], pod.labels)]
    return not own or any(
        has_port(rule, target, number) and (not rule.get(peers) or any(is_peer(peer, other, pod.namespace) for peer in rule[peers]))
        for policy in own for rule in policy["spec"].get(field, []))


def is_allowed(policies, source, target, number):
    return is_open(policies, "Egress", source, target, target, number) and is_open(policies, "Ingress", target, source, target, number)
