"""pingd --roles stream on Kafka and a store that keeps, for benches: how fast rows come, what that takes of whom, and how soon it is live again.

    with running(folder, cluster, ["--store", url]) as engine:
        engine.wait_until_live(events)     # all of them are in the store; seconds since the process began
"""
import contextlib
import pathlib
import re
import signal
import subprocess
import time
import urllib.request

from common import BUILD, cpu_seconds, free_port

POLL_S, WAIT_S = 0.1, 1800


class Engine:
    def __init__(self, folder, cluster, arguments):
        self.folder, self.port, self.process = pathlib.Path(folder), free_port(), None
        self.folder.mkdir(parents=True, exist_ok=True)
        self.command = [BUILD / "pingd", "--roles", "stream", "--listen", f"127.0.0.1:{self.port}", "--data-dir", self.folder / "data",
                        "--log", f"kafka://{cluster.addresses}", *arguments]

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.began = time.monotonic()
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        return self

    def exposed(self):
        """Its /metrics; "" while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=60) as answer:
                return answer.read().decode()
        except OSError:
            return ""

    def metrics(self, name):
        """The sum over all labels; 0 while it does not answer."""
        text = self.exposed()
        return sum(float(value) for value in re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", text, re.M))

    def wait_until_live(self, events):
        """So many were applied since the start, and the store has all: the seconds since it was started, and since its first event."""
        first, end = None, self.began + WAIT_S
        while True:
            applied = self.metrics("ping_engine_partition_applied_events_total")
            first = first or (applied > 0 and time.monotonic()) or None
            if applied >= events and self.metrics("ping_engine_partition_lag_events") == 0:
                return time.monotonic() - self.began, time.monotonic() - first
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"the engine has {applied:.0f} of {events} events: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(POLL_S)

    def store_seconds(self):
        """What its thread waited for the store."""
        return self.metrics("ping_store_call_seconds_sum")

    def store_calls(self):
        """For what it waited longest: "write 12 in 20.1 s, …"."""
        text = self.exposed()
        seconds, counts = ({call: float(value) for call, value in re.findall(rf'^ping_store_call_seconds_{part}{{call="(\w+)"}} (\S+)$', text, re.M)}
                           for part in ("sum", "count"))
        longest = sorted(seconds, key=seconds.get, reverse=True)[:4]
        return ", ".join(f"{call} {counts[call]:.0f} in {seconds[call]:.1f} s" for call in longest)

    def peak_mb(self):
        return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{self.process.pid}/status").read_text())[1]) / 1024

    def cpu_s(self):
        return cpu_seconds(self.process.pid)

    def kill(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()


@contextlib.contextmanager
def running(folder, cluster, arguments):
    engine = Engine(folder, cluster, arguments)
    try:
        yield engine.start()
    finally:
        engine.kill()
