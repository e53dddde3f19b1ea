"""What the benches share: a table of figures, processes that are stopped by PID, what they took of the machine."""
import collections
import contextlib
import importlib.machinery
import importlib.util
import os
import pathlib
import re
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "tools"))
from ports import reserve_one as free_port  # noqa: E402, F401

BUILD = pathlib.Path(os.environ.get("PING_BUILD", ROOT / "build-test" / "bench"))
TICK = os.sysconf("SC_CLK_TCK")
ROWS = []


def build():
    """pingd, pingctl and the benches, as they are released; PING_BUILD names another build, which is taken as it is."""
    if "PING_BUILD" in os.environ:
        return
    if not (BUILD / "build.ninja").exists():
        subprocess.run(["meson", "setup", BUILD, "--buildtype=release", "-Dbench=true"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", BUILD], check=True, stdout=subprocess.DEVNULL)


def print_rows():
    width = max(len(what) for what, _, _ in ROWS)
    print("\n| figure" + " " * (width - 6) + " | here | wanted |\n|" + "-" * (width + 2) + "|---|---|")
    for what, figure, wanted in ROWS:
        print(f"| {what:{width}} | {figure} | {wanted} |")


def load_script(name, path):
    loader = importlib.machinery.SourceFileLoader(name, str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


def use_test_python():
    """Again, under the Python of the tests: what starts Kafka there is used here."""
    python = load_script("ping_test", ROOT / "scripts" / "test").venv()
    if pathlib.Path(sys.prefix) != python.parent.parent:
        os.execv(python, [python, *sys.argv])


def row(what, figure, wanted=""):
    ROWS.append((what, figure, wanted))
    print(f"  {what}: {figure}" + (f"   (wanted: {wanted})" if wanted else ""), flush=True)


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def tree_cpu_seconds(pid):
    """Of a process, its children that live, and those that have ended. (/proc/PID/task/PID/children may leave some out.)"""
    stats = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            stats[int(path.parent.name)] = path.read_text().rpartition(")")[2].split()
    children = [one for one, fields in stats.items() if int(fields[1]) == pid]
    ticks = sum(int(stats[pid][i]) for i in (11, 12, 13, 14)) + sum(int(stats[one][i]) for one in children for i in (11, 12))
    return ticks / TICK


def thread_seconds(pids):
    """{name without its number: CPU seconds} of the processes' threads."""
    found = collections.Counter()
    for pid in pids:
        for task in pathlib.Path(f"/proc/{pid}/task").glob("*"):
            with contextlib.suppress(OSError):
                head, _, rest = (task / "stat").read_text().rpartition(")")
                fields = rest.split()
                found[re.sub(r"[-#]?\d+$", "", head.split("(", 1)[1]).strip()] += (int(fields[11]) + int(fields[12])) / TICK
    return found


def rss_mb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) / 1024


@contextlib.contextmanager
def process(command, port, **more):
    """A server, up to the point where it takes connections; how long that took is `started_ms`."""
    begin = time.monotonic()
    child = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)
    try:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if child.poll() is not None or time.monotonic() - begin > 30:
                raise SystemExit(f"{command[0]} did not start")
            time.sleep(0.001)
        child.started_ms = (time.monotonic() - begin) * 1000
        yield child
    finally:
        child.terminate()
        child.wait()
