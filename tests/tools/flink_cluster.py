"""A Flink cluster of one's own on loopback, from the distribution that PyPI's apache-flink-libraries carries: a JobManager with its
dashboard, TaskManagers; killed and started again as a test likes, stopped by PID whatever happens.
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

import processes

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = ROOT / "flink" / "cluster"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "ping"
VERSION = re.search(r"<flink.version>([^<]+)", (ROOT / "flink" / "pom.xml").read_text())[1]
START_S = 180
QUICK_START = ["-XX:TieredStopAtLevel=1", "-Xshare:auto"]
PACKAGES = ("lang", "util", "net", "io", "nio", "lang.reflect", "text", "time", "util.concurrent", "util.concurrent.atomic",
            "util.concurrent.locks")
OPENS = [*(f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in PACKAGES), "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED"]


def distribution():
    """The folder with lib and plugins; fetched once a version."""
    folder = CACHE / f"flink-{VERSION}"
    if not (folder / "pyflink").exists():
        print(f"fetching Apache Flink {VERSION} (once)", flush=True)
        scratch = CACHE / f"flink-fetching-{os.getpid()}"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        subprocess.run(["python3", "-m", "pip", "download", "-q", "--no-deps", "--disable-pip-version-check", "-d", scratch,
                        f"apache-flink-libraries=={VERSION}"], check=True)
        subprocess.run(["python3", "-m", "zipfile", "-e", next(scratch.glob("*.whl")), scratch / "all"], check=True)
        with contextlib.suppress(OSError):
            (scratch / "all").rename(folder)
        shutil.rmtree(scratch, ignore_errors=True)
    return folder / "pyflink"


def class_path():
    unused = ("scala", "planner", "table", "cep", "csv")
    jars = [jar for jar in sorted((distribution() / "lib").glob("*.jar")) if not any(word in jar.name for word in unused)]
    return ":".join(map(str, jars))


def reason(answer):
    """Why a job was refused: what its program says, in the answer of the REST API."""
    with contextlib.suppress(ValueError):
        answer = "\n".join(json.loads(answer)["errors"])
    found = re.search(r"The main method caused an error: (.*)", answer) or re.search(r".*^Caused by: (?:[\w.$]+: )?(.*?)$", answer, re.M | re.S)
    return found[1] if found else answer


def known_metrics():
    """Names that a cluster's reporters are known to expose, with the job on it."""
    text = (ROOT / "tests" / "deploy" / "flink-metrics.txt").read_text()
    return {line for line in text.split("\n") if line and not line.startswith("#")}


class Cluster:
    """Its processes write their PIDs into the folder, so that another run can stop it."""

    def __init__(self, folder, ports, slots=2, checkpoint_interval="1s", task_memory="1gb", quick=False, outlives=False):
        """ports: REST, RPC, blobs, and one of metrics for each process. Quick: it starts sooner, and works more slowly. Outlives: its
        processes stay when the run that starts them is gone."""
        self.folder = pathlib.Path(folder)
        self.rest, rpc, blob, *metrics = ports
        self.metrics = metrics
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("checkpoints", "savepoints", "high-availability"):
            (self.folder / name).mkdir(exist_ok=True)
        text = (SOURCES / "config.yaml").read_text()
        values = {"REST_PORT": self.rest, "RPC_PORT": rpc, "BLOB_PORT": blob, "SLOTS": slots, "TASK_MEMORY": task_memory,
                  "CHECKPOINT_INTERVAL": checkpoint_interval, "FOLDER": self.folder, "METRICS_PORT": ",".join(map(str, metrics)),
                  "HIGH_AVAILABILITY": "NONE"}
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        (self.folder / "config.yaml").write_text(text)
        self.processes, self.task_manager = {}, None
        self.flags = QUICK_START if quick else []
        self.tied = list if outlives else processes.tied

    def environment(self):
        return {**os.environ, "FLINK_CONF_DIR": str(self.folder), "FLINK_PLUGINS_DIR": str(distribution() / "plugins"),
                "FLINK_LIB_DIR": str(distribution() / "lib")}

    def spawn(self, name, flags, main, arguments=()):
        command = [shutil.which("java"), *flags, *self.flags, *OPENS, "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile=file:{SOURCES / 'log4j.properties'}", "-cp", class_path(), main,
                   "--configDir", str(self.folder), *arguments]
        with open(self.folder / f"{name}.log", "ab") as log:
            process = subprocess.Popen(self.tied(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment(),
                                       start_new_session=True)
        self.processes[name] = process
        (self.folder / f"{name}.pid").write_text(str(process.pid))
        return process

    def start_job_manager(self):
        return self.spawn("jobmanager", ["-Xmx384m"], "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint")

    def start_task_manager(self, name="taskmanager"):
        """BashJavaUtils makes flags and settings of the size that config.yaml gives a TaskManager."""
        if self.task_manager is None:
            self.task_manager = self.find_task_manager()
        return self.spawn(name, self.task_manager[0], "org.apache.flink.runtime.taskexecutor.TaskManagerRunner", self.task_manager[1])

    def find_task_manager(self):
        said = subprocess.run([shutil.which("java"), *QUICK_START, "-cp", f"{distribution() / 'bin' / 'bash-java-utils.jar'}:{class_path()}",
                               "org.apache.flink.runtime.util.bash.BashJavaUtils", "GET_TM_RESOURCE_PARAMS", "--configDir", str(self.folder)],
                              capture_output=True, text=True, check=True, env=self.environment()).stdout
        return [line.split(":", 1)[1].split() for line in said.splitlines() if line.startswith("BASH_JAVA_UTILS_EXEC_RESULT:")]

    def start(self, task_managers=1):
        self.start_job_manager()
        for number in range(task_managers):
            self.start_task_manager(f"taskmanager-{number + 1}")
        self.wait_until(lambda: self.get("/overview").get("taskmanagers", 0) >= task_managers, "the cluster to be up")
        return self

    def repair(self):
        """One JobManager, one TaskManager, as `start` leaves them."""
        for name in set(self.processes) - {"jobmanager", "taskmanager-1"}:
            self.kill(name)
        if "jobmanager" not in self.processes:
            self.start_job_manager()
        if "taskmanager-1" not in self.processes:
            self.start_task_manager("taskmanager-1")
        self.wait_until(lambda: self.get("/overview").get("taskmanagers", 0) == 1, "one TaskManager to be there")

    def log(self, name):
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_until(self, condition, what, seconds=START_S):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(OSError, urllib.error.URLError, ValueError):
                if condition():
                    return
            time.sleep(0.2)
        raise AssertionError(f"waited {seconds} s for {what}\n" + "\n".join(f"{n}:\n{self.log(n)[-3000:]}" for n in self.processes))

    def exposed(self):
        """Names that the processes' Prometheus reporters expose, without those of Kafka's clients and of this or that garbage collector."""
        found = set()
        for port in self.metrics:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
                found |= set(re.findall(r"^# TYPE (\S+)", answer.read().decode(), re.M))
        return {name for name in found if not re.search("_Kafka(SourceReader_Kafka)?(Consumer|Producer)_|GarbageCollector_(?!All_)", name)}

    # The REST API

    def ask(self, method, path, body=None, headers=None, timeout=300):
        request = urllib.request.Request(f"http://127.0.0.1:{self.rest}{path}", data=body, method=method, headers=headers or {})
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.loads(answer.read() or b"{}")

    def get(self, path):
        return self.ask("GET", path, timeout=60)

    def post(self, path, message):
        return self.ask("POST", path, json.dumps(message).encode(), {"Content-Type": "application/json"})

    def upload(self, jar):
        boundary = uuid.uuid4().hex
        body = (f"--{boundary}\r\nContent-Disposition: form-data; name=\"jarfile\"; filename=\"{pathlib.Path(jar).name}\"\r\n"
                "Content-Type: application/x-java-archive\r\n\r\n").encode() + pathlib.Path(jar).read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        answer = self.ask("POST", "/jars/upload", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})
        return answer["filename"].rsplit("/", 1)[1]

    def run(self, jar_id, arguments, parallelism=1, savepoint=None):
        """The job's id; an AssertionError with what its program said where it does not start."""
        message = {"programArgsList": [str(a) for a in arguments], "parallelism": parallelism}
        if savepoint:
            message["savepointPath"] = savepoint
        try:
            return self.post(f"/jars/{jar_id}/run", message)["jobid"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None

    def state(self, job):
        return self.get(f"/jobs/{job}")["state"]

    def is_running(self, job):
        """All of its tasks are."""
        answer = self.get(f"/jobs/{job}")
        return answer["state"] == "RUNNING" and all(vertex["status"] == "RUNNING" for vertex in answer["vertices"])

    def restarts(self):
        """How often a job lost a task, or the TaskManager under it, while this cluster was there."""
        return self.log("jobmanager").count("switched from state RUNNING to RESTARTING")

    def wait_until_running(self, job):
        self.wait_until(lambda: self.is_running(job), "the job to run")

    def completed_checkpoints(self, job):
        return self.get(f"/jobs/{job}/checkpoints")["counts"]["completed"]

    def wait_for_checkpoint(self, job):
        before = self.completed_checkpoints(job)
        self.wait_until(lambda: self.completed_checkpoints(job) > before, "a checkpoint")

    def newest_checkpoint(self, job):
        """The folder of the newest that is complete."""
        folders = [path.parent for path in (self.folder / "checkpoints" / job).glob("chk-*/_metadata")]
        return max(folders, key=lambda folder: int(folder.name.split("-")[1])).as_uri()

    def stop(self, job):
        """With a savepoint, whose place it returns."""
        trigger = self.post(f"/jobs/{job}/stop", {"drain": False})["request-id"]
        place = []

        def done():
            answer = self.get(f"/jobs/{job}/savepoints/{trigger}")
            if answer["status"]["id"] != "COMPLETED":
                return False
            assert "location" in answer.get("operation", {}), answer
            place.append(answer["operation"]["location"])
            return True
        self.wait_until(done, "the savepoint")
        self.wait_until(lambda: self.state(job) == "FINISHED", "the job to end")
        return place[0]

    def cancel(self, job):
        self.ask("PATCH", f"/jobs/{job}?mode=cancel")
        self.wait_until(lambda: self.state(job) == "CANCELED", "the job to be cancelled")

    def cancel_all(self):
        """Where the JobManager is still there."""
        if "jobmanager" in self.processes:
            for job in self.get("/jobs")["jobs"]:
                if job["status"] in ("CREATED", "RUNNING", "RESTARTING", "FAILING"):
                    self.cancel(job["id"])

    def kill(self, name):
        """As by a power cut."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()
        (self.folder / f"{name}.pid").unlink(missing_ok=True)

    def freeze(self, name):
        """It stands still until it is thawed."""
        processes.freeze(self.processes[name].pid)

    def thaw(self, name):
        processes.thaw(self.processes[name].pid)

    def end(self):
        for name in list(self.processes):
            self.kill(name)
