"""Processes that tests start: stopped for a while, so that one does nothing at all from then on; gone for good; and not without those who started them."""
import contextlib
import os
import pathlib
import shutil
import signal
import time

DEADLINE_S = 60


def tied(command, number="KILL"):
    """The command, to be told by that signal when the thread that starts it is gone: a run that is broken off leaves nothing behind."""
    return ["setpriv", "--pdeathsig", number, "--", *command] if shutil.which("setpriv") else list(command)


def threads(pid):
    """The state of each of its threads, as /proc tells it: T is stopped, Z and X are gone."""
    states = []
    for stat in pathlib.Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):  # ended meanwhile
            states.append(stat.read_text().rpartition(") ")[2][0])
    return states


def children(pid):
    """Those whose parent it is now."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(") ")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def wait_gone(pid):
    """Returns when it has ended, be it that nobody has asked yet how: it holds nothing any more."""
    end = time.monotonic() + DEADLINE_S
    while set(threads(pid)) - set("ZX"):
        assert time.monotonic() < end, f"process {pid} did not end"
        time.sleep(0.001)


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
