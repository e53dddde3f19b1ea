"""Flink's image, made by its Containerfile's steps, at work: JobManager (application mode) and TaskManager inside of it as its user, with the settings and
the environment that the FlinkDeployment has, checkpoints on an S3-compatible store."""
import contextlib
import os
import shutil
import subprocess
import urllib.request

import yaml

import flink_cluster  # programs.py knows the way to tests/tools
import programs

KEYS = {"access-key": "access", "secret-key": "not-secret"}
INSIDE = "/tmp/cluster"
JOB_MANAGER = "org.apache.flink.container.entrypoint.StandaloneApplicationClusterEntryPoint"


class ObjectStore:
    """S3's protocol on loopback, in memory."""

    def __init__(self, folder, port, bucket):
        self.address, self.bucket = f"http://127.0.0.1:{port}", bucket
        with open(folder / "s3.log", "ab") as log:
            self.process = subprocess.Popen([programs.get("gofakes3"), "-backend", "memory", "-host", f"127.0.0.1:{port}", "-initialbucket", bucket],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)

    def listing(self, prefix):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.address}/{self.bucket}?list-type=2&prefix={prefix}", timeout=30) as answer:
            return answer.read().decode()
        return ""

    def end(self):
        self.process.kill()
        self.process.wait()


class InImage(flink_cluster.Cluster):
    def __init__(self, stage, deployment, log, store, ports):
        """deployment: the FlinkDeployment; log: kafka:// URL; store: an ObjectStore; ports: REST, RPC, blobs, and one of metrics for each process."""
        self.rest, rpc, blob, *self.metrics = ports
        self.stage, self.folder, self.processes, self.task_manager = stage, stage.root / INSIDE.lstrip("/"), {}, None
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        shutil.copy(flink_cluster.SOURCES / "log4j.properties", self.folder)
        settings = dict(deployment["spec"]["flinkConfiguration"])
        # What Kubernetes and its operator add, and what there can be of them on one machine.
        settings.update({"jobmanager.rpc.address": "127.0.0.1", "jobmanager.rpc.port": rpc, "blob.server.port": blob, "rest.port": self.rest, "rest.bind-address": "127.0.0.1",
                         "jobmanager.bind-host": "127.0.0.1", "taskmanager.host": "127.0.0.1", "taskmanager.bind-host": "127.0.0.1", "rest.address": "127.0.0.1",
                         "jobmanager.memory.process.size": "1g", "taskmanager.memory.process.size": "1200m", "parallelism.default": 2,
                         "high-availability.type": "NONE", "s3.endpoint": store.address,
                         "metrics.reporter.prom.port": f"{min(self.metrics)}-{max(self.metrics)}"})
        (self.folder / "config.yaml").write_text(yaml.safe_dump(settings))
        container = deployment["spec"]["podTemplate"]["spec"]["containers"][0]
        secrets = {entry["name"]: KEYS[entry["valueFrom"]["secretKeyRef"]["key"]] for entry in container["env"] if entry["name"].startswith("AWS_")}
        plain = {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry and entry["name"] not in ("PING_KAFKA", "PING_STORE")}
        self.inside = {**stage.env, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **plain, **secrets, "PING_LOG": log, "PING_STORE": "none://",
                       "FLINK_CONF_DIR": INSIDE, "FLINK_LIB_DIR": "/opt/flink/lib", "FLINK_PLUGINS_DIR": "/opt/flink/plugins"}
        user = int(stage.user.partition(":")[0])
        for path in (self.folder, *self.folder.iterdir()):
            os.chown(path, user, user)

    def spawn(self, name, flags, main, arguments=()):
        command = self.stage.command("/usr/bin/java", *flags, *flink_cluster.OPENS, "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile=file:{INSIDE}/log4j.properties",
                                     "-cp", "/opt/flink/lib/*", main, "--configDir", INSIDE, *arguments)
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.inside)
        return self.processes[name]

    def start(self, task_managers=1):
        self.spawn("jobmanager", ["-Xmx384m"], JOB_MANAGER)
        for number in range(task_managers):
            self.start_task_manager(f"taskmanager-{number + 1}")
        self.wait_until(lambda: self.get("/jobs")["jobs"], "the job to be there")
        self.job = self.get("/jobs")["jobs"][0]["id"]
        return self
