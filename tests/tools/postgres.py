#!/usr/bin/env python3
"""A PostgreSQL of one's own: in a temporary folder, on a free port of loopback, stopped by PID whatever happens.

usage: postgres.py COMMAND [ARGUMENT…]     runs it with PING_TEST_POSTGRES set to the server's URL; 77 where there is no server

PING_POSTGRES_NATIVE names a folder with another version's bin, lib and share, as @embedded-postgres has them; it is copied.
"""
import contextlib
import glob
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import ports
import processes

SKIPPED = 77
DEADLINE_S = 180


def binaries():
    """The folder of the newest server that is installed; None: none is."""
    found = glob.glob("/usr/lib/postgresql/*/bin/initdb")
    newest = max(found, key=lambda path: int(path.split("/")[4]), default=None) or shutil.which("initdb")
    return pathlib.Path(newest).parent if newest else None


def unprivileged(*more):
    """PostgreSQL refuses to run as root. More: options of setpriv, where that is there."""
    if os.getuid() == 0:
        return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *more, "--"]
    return ["setpriv", *more, "--"] if more and shutil.which("setpriv") else []


class Postgres:
    def __init__(self, native=None, settings=(), standby_of=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ping-pg-"))
        self.bin = binaries()
        if native:  # where the unprivileged user can read it
            shutil.copytree(native, self.folder / "native", symlinks=True)
            self.bin = self.folder / "native" / "bin"
        self.port, self.settings, self.process = ports.reserve_one(), list(settings), None
        if os.getuid() == 0:
            shutil.chown(self.folder, "nobody", "nogroup")
        if standby_of:
            self.run("pg_basebackup", "-D", self.data, "-d", standby_of.url(), "-R", "--checkpoint=fast", "--no-sync")
            return
        self.run("initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8")
        (self.data / "pg_hba.conf").write_text("local all all trust\n"
                                               "host all ping 127.0.0.1/32 scram-sha-256\n"
                                               "host all all 127.0.0.1/32 trust\n")

    @property
    def data(self):
        return self.folder / "data"

    def url(self, database="postgres", user="postgres", password=None, port=None, host="127.0.0.1", **options):
        secret = f":{password}" if password else ""
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"postgres://{user}{secret}@{host}:{port or self.port}/{database}" + (f"?{query}" if query else "")

    def run(self, program, *arguments):
        done = subprocess.run([*unprivileged(), self.bin / program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, cwd="/", timeout=300)
        assert done.returncode == 0, f"{program}: {done.stdout}"

    def start(self):
        settings = [f"port={self.port}", f"unix_socket_directories={self.folder}", "listen_addresses=127.0.0.1",
                    "logging_collector=off", "shared_buffers=64MB", "max_connections=60", *self.settings]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [*unprivileged("--pdeathsig=QUIT"), self.bin / "postgres", "-D", self.data, *(part for s in settings for part in ("-c", s))],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True)
        end = time.monotonic() + DEADLINE_S
        while not self.answers():
            assert self.process.poll() is None and time.monotonic() < end, self.log()
            time.sleep(0.05)
        return self

    def answers(self):
        done = subprocess.run([binaries() / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False)
        return done.returncode == 0

    def make_standby(self):
        return Postgres(standby_of=self)

    def log(self):
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def kill(self):
        """As a machine that loses its power, but for the disk's caches: the postmaster and every process of it. Returns when all are
        gone: the next one does not start while any holds the memory that they share. Frozen first, it makes no more of them."""
        processes.freeze(self.process.pid)
        children = processes.children(self.process.pid)
        for pid in [self.process.pid, *children]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        for pid in children:
            processes.wait_gone(pid)

    def stop(self, number=signal.SIGINT):
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def remove(self):
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def sql(self, text, database="postgres", check=True):
        """Rows as text, columns separated by |."""
        done = subprocess.run([binaries() / "psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.url(database), "-c", text],
                              capture_output=True, text=True, timeout=300, check=False)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip() if done.returncode == 0 else done.stderr

    def number(self, text, database="postgres"):
        return int(self.sql(text, database))


def main():
    if binaries() is None:
        print("1..0 # SKIP no PostgreSQL server: apt-get install postgresql")
        return SKIPPED
    server = Postgres(os.environ.get("PING_POSTGRES_NATIVE"))
    try:
        server.start()
        return subprocess.run(sys.argv[1:], env={**os.environ, "PING_TEST_POSTGRES": server.url()}, check=False).returncode
    finally:
        server.remove()


if __name__ == "__main__":
    sys.exit(main())
