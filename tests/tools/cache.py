"""Where the tests keep what they download and build, by version: $XDG_CACHE_HOME/ping, of all runs on this machine."""
import contextlib
import fcntl
import os
import pathlib

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "ping"


@contextlib.contextmanager
def making(name):
    """One process at a time makes CACHE/name; whoever waited looks again whether it is there by now."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
