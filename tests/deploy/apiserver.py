"""A real kube-apiserver with its etcd on loopback, the operators' CRDs installed: what it takes, a cluster takes."""
import contextlib
import json
import pathlib
import ssl
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import programs  # it knows the way to tests/tools
import processes
from ports import reserve as reserve_ports

TOKEN = "admin-token"
DEADLINE_S = 180


def wait_for(what, condition):
    end = time.monotonic() + DEADLINE_S
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"waited {DEADLINE_S} s in vain for: {what}")
        time.sleep(0.1)
    return value


class ApiServer:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.processes = []
        self.resources = {}  # (apiVersion, kind): (plural, is namespaced)

    def spawn(self, name, *arguments):
        with open(self.folder / f"{name}.log", "wb") as log:
            self.processes.append(subprocess.Popen(processes.tied([programs.get(name), *arguments]), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder))

    def start(self):
        client, peer, self.port = reserve_ports(3)
        subprocess.run(["openssl", "genrsa", "-out", self.folder / "sa.key", "2048"], check=True, capture_output=True)
        (self.folder / "tokens.csv").write_text(f"{TOKEN},admin,admin,system:masters\n")
        self.spawn("etcd", "--data-dir", "etcd", f"--listen-client-urls=http://127.0.0.1:{client}", f"--advertise-client-urls=http://127.0.0.1:{client}",
                   f"--listen-peer-urls=http://127.0.0.1:{peer}", f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
                   f"--initial-cluster=default=http://127.0.0.1:{peer}", "--unsafe-no-fsync")
        self.spawn("kube-apiserver", f"--etcd-servers=http://127.0.0.1:{client}", "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
                   f"--secure-port={self.port}", "--cert-dir=certs", "--service-account-key-file=sa.key", "--service-account-signing-key-file=sa.key",
                   f"--service-account-issuer=https://127.0.0.1:{self.port}", "--token-auth-file=tokens.csv", "--authorization-mode=AlwaysAllow",
                   "--service-cluster-ip-range=10.0.0.0/24", "--endpoint-reconciler-type=none", "--disable-admission-plugins=ServiceAccount")
        wait_for("kube-apiserver to be ready", self.is_ready)
        self.write_kubeconfig()
        return self

    def write_kubeconfig(self):
        self.kubeconfig = self.folder / "kubeconfig"
        self.kubeconfig.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": f"https://127.0.0.1:{self.port}", "insecure-skip-tls-verify": True}}],
            "users": [{"name": "admin", "user": {"token": TOKEN}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "admin"}}]}))

    def is_ready(self):
        for process in self.processes:
            if process.poll() is not None:
                raise RuntimeError(f"{process.args[0]} ended with {process.returncode}: {self.log()}")
        with contextlib.suppress(OSError):
            return self.call("GET", "/readyz")[0] == 200
        return False

    def log(self):
        return "".join((self.folder / f"{name}.log").read_text(errors="replace")[-2000:] for name in ("etcd", "kube-apiserver")
                       if (self.folder / f"{name}.log").exists())

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def call(self, method, path, body=None, kind="application/json"):
        """(status, answer as text)"""
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}", method=method, data=body,
                                         headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": kind, "Accept": "application/json"})
        context = ssl._create_unverified_context()  # its certificate is made at the start
        try:
            with urllib.request.urlopen(request, timeout=30, context=context) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def resource(self, version, kind):
        if (version, kind) not in self.resources:
            status, text = self.call("GET", f"/apis/{version}" if "/" in version else f"/api/{version}")
            for found in json.loads(text)["resources"] if status == 200 else []:
                if "/" not in found["name"]:
                    self.resources[version, found["kind"]] = found["name"], found["namespaced"]
        return self.resources.get((version, kind))

    def apply(self, manifest, namespace="ping", dry=True):
        """Server-side apply with strict fields; what is wrong, or None."""
        found = self.resource(manifest["apiVersion"], manifest["kind"])
        if not found:
            return f"the server has no {manifest['apiVersion']} {manifest['kind']}"
        plural, namespaced = found
        version = manifest["apiVersion"]
        space = f"namespaces/{manifest['metadata'].get('namespace', namespace)}/" if namespaced else ""
        query = urllib.parse.urlencode({"fieldManager": "test", "force": "true", "fieldValidation": "Strict", **({"dryRun": "All"} if dry else {})})
        status, text = self.call("PATCH", f"/{'apis' if '/' in version else 'api'}/{version}/{space}{plural}/{manifest['metadata']['name']}?{query}",
                                 json.dumps(manifest).encode(), "application/apply-patch+yaml")
        if status in (200, 201):
            return None
        with contextlib.suppress(ValueError):
            text = json.loads(text)["message"]
        return f"{manifest['kind']} {manifest['metadata']['name']}: {status} {text[:600]}"

    def install(self, crds):
        """CRDs, until all are served."""
        for crd in crds:
            problem = self.apply(crd, dry=False)
            if problem:
                raise RuntimeError(problem)
        waiting = {crd["metadata"]["name"] for crd in crds}

        def all_served():
            status, text = self.call("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
            return status == 200 and waiting <= {
                item["metadata"]["name"] for item in json.loads(text)["items"]
                if any(c["type"] == "Established" and c["status"] == "True" for c in (item["status"].get("conditions") or []))}

        wait_for("the CRDs to be established", all_served)
        # Established comes a moment before a version's resources can be asked for.
        for crd in crds:
            for served in crd["spec"]["versions"]:
                if served["served"]:
                    wait_for(crd["metadata"]["name"], lambda: self.resource(f"{crd['spec']['group']}/{served['name']}", crd["spec"]["names"]["kind"]))
