"""Stopping a process for a while, so that it does nothing at all from then on."""
import contextlib
import os
import pathlib
import signal
import time

DEADLINE_S = 60


def threads(pid):
    """The state of each of its threads, as /proc tells it: T is stopped, Z and X are gone."""
    states = []
    for stat in pathlib.Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):  # ended meanwhile
            states.append(stat.read_text().rpartition(") ")[2][0])
    return states


def freeze(pid):
    """Returns when every thread stands still: SIGSTOP itself returns while they run on, long enough for a commit."""
    os.kill(pid, signal.SIGSTOP)
    end = time.monotonic() + DEADLINE_S
    while not (states := threads(pid)) or set(states) - set("TZX"):
        assert states and time.monotonic() < end, f"process {pid} did not stop: its threads are {''.join(states) or 'gone'}"
        time.sleep(0.001)
    assert "T" in states, f"process {pid} has ended"


def thaw(pid):
    os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def frozen(pid):
    freeze(pid)
    try:
        yield
    finally:
        thaw(pid)
