"""Ports of loopback that are one's own: no other test, lane or run on this machine is given them while this process lives.

They lie below those that the kernel gives to outgoing connections: a server that is killed finds its port free when it comes back, and
nobody who tries to reach it meanwhile is connected to himself.
"""
import contextlib
import fcntl
import os
import pathlib
import random
import socket
import tempfile

FIRST, LAST = 10000, 32767
LOCKS = pathlib.Path(tempfile.gettempdir()) / f"ping-ports-{os.getuid()}"  # byte N is locked: port N is somebody's

_mine = set()
_locks = None


def _lock(port):
    """True: it is ours until this process ends."""
    global _locks
    if _locks is None:
        _locks = open(LOCKS, "ab")  # never closed: that would end every lock
    if port in _mine:
        return False
    with contextlib.suppress(OSError):
        fcntl.lockf(_locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        _mine.add(port)
        return True
    return False


def _is_free(port, addresses):
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        for address in addresses:
            stack.enter_context(socket.socket()).bind((address, port))
        return True
    return False


def reserve(count=1, addresses=("127.0.0.1",)):
    """As many, all different, each free on all of the addresses."""
    start, size, found = random.randrange(LAST), LAST - FIRST + 1, []
    for port in (FIRST + (start + n) % size for n in range(size)):
        if len(found) == count:
            break
        if _lock(port) and _is_free(port, addresses):
            found.append(port)
    assert len(found) == count, f"no {count} ports of {FIRST} to {LAST} are free"
    return found


def reserve_one():
    return reserve()[0]
