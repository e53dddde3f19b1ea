"""A real Apache Cassandra, from its own jars, on loopback ports of its own: one node, or a ring of three.

Started in a temporary folder, stopped by PID whatever happens. What the Python driver reads is the second opinion of the tests.
"""
import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import time

import pytest

from kafka import java, maven_jars, processes, reserve_ports

HERE = pathlib.Path(__file__).resolve().parent
SOURCES = HERE / "cassandra_ring"
START_S = 240
HEAP_MB = 256


def jars():
    return maven_jars(SOURCES, "Cassandra", "cassandra-all")


def without_mlock():
    """As root, Cassandra pins its heap in memory, unless it may not."""
    return ["setpriv", "--bounding-set", "-ipc_lock", "--inh-caps", "-ipc_lock"] if os.geteuid() == 0 and shutil.which("setpriv") else []


class Node:
    """Its address stays when it is killed and started again."""

    def __init__(self, ring, number, more):
        self.ring, self.number = ring, number
        self.address = f"127.0.0.{number}"
        self.folder = ring.folder / f"node-{number}"
        self.process = None
        self.folder.mkdir(parents=True)
        token = -2**63 + 2**64 * (number - 1) // ring.count
        text = (SOURCES / "cassandra.yaml").read_text()
        for name, value in {"TOKEN": token, "ADDRESS": self.address, "SEED": "127.0.0.1", "FOLDER": self.folder,
                            "STORAGE_PORT": ring.storage_port, "PORT": ring.port}.items():
            text = text.replace(f"@{name}@", str(value))
        changed = [line.partition(":")[0] + ":" for line in more.splitlines() if line[:1].isalpha()]
        lines = [line for line in text.splitlines(keepends=True) if not line.startswith(tuple(changed))]
        (self.folder / "cassandra.yaml").write_text("".join(lines) + more)

    def spawn(self):
        command = [*without_mlock(), java(), f"@{SOURCES / 'jvm.options'}", f"-Xms{HEAP_MB}m", f"-Xmx{self.ring.heap_mb}m",
                   f"-XX:TieredStopAtLevel={self.ring.compiler}", *self.ring.flags, f"-javaagent:{next(jars().glob('jamm-*.jar'))}", "-cp", f"{jars()}/*",
                   f"-Dcassandra.config=file://{self.folder / 'cassandra.yaml'}", f"-Dcassandra.storagedir={self.folder}",
                   f"-Dcassandra.logdir={self.folder}", f"-Dlogback.configurationFile={SOURCES / 'logback.xml'}",
                   "org.apache.cassandra.service.CassandraDaemon"]
        with open(self.folder / "out.log", "ab") as log:
            self.process = subprocess.Popen(processes.tied(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        return self

    def wait_until_up(self):
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.create_connection((self.address, self.ring.port), 1):
                return self
            time.sleep(0.1)
        return pytest.fail(f"Cassandra {self.number} did not come up:\n{self.log()[-4000:]}")

    def start(self):
        return self.spawn().wait_until_up()

    def log(self):
        return "".join(path.read_text(errors="replace") for path in (self.folder / "out.log", self.folder / "system.log") if path.exists())

    def kill(self):
        """As by a power cut."""
        self.process.kill()
        self.process.wait()

    def frozen(self):
        return processes.frozen(self.process.pid)

    def end(self):
        if self.process and self.process.poll() is None:
            self.kill()


class Ring:
    """`count` nodes in one datacenter, datacenter1."""

    def __init__(self, folder, count=1, more="", lasting=False, flags=()):
        """more: lines of cassandra.yaml, instead of ours where we have them too. lasting: it is to work for long enough that it is worth to
        compile its code well, and in more memory. flags: of its Java machine, behind ours."""
        self.folder, self.count, self.flags = folder, count, flags
        self.heap_mb, self.compiler = (2 * HEAP_MB, 4) if lasting else (HEAP_MB, 1)
        addresses = [f"127.0.0.{n + 1}" for n in range(count)]
        self.port, self.storage_port = reserve_ports(2, addresses)
        self.nodes = [Node(self, n + 1, more) for n in range(count)]

    def url(self, keyspace="metrics", user="", **options):
        """As pingd takes it; user: "NAME:PASSWORD@"."""
        options = {"timeout": 30000, **options}
        hosts = ",".join(f"{node.address}:{self.port}" for node in self.nodes)
        return f"scylla://{user}{hosts}/{keyspace}?" + "&".join(f"{name}={value}" for name, value in options.items())

    def start(self):
        self.nodes[0].start()  # the seed first
        for node in self.nodes[1:]:
            node.spawn()
        for node in self.nodes[1:]:
            node.wait_until_up()
        return self

    def end(self):
        for node in self.nodes:
            node.end()

    @contextlib.contextmanager
    def session(self, keyspace=None, **more):
        """The Python driver's, for what the tests read and damage on their own: with LOCAL_QUORUM, also over a node's death."""
        cluster = pytest.importorskip("cassandra.cluster", reason="no cassandra-driver (tests/requirements.txt)")
        policies = pytest.importorskip("cassandra.policies")
        quorum = cluster.ConsistencyLevel.LOCAL_QUORUM
        profile = cluster.ExecutionProfile(load_balancing_policy=policies.DCAwareRoundRobinPolicy("datacenter1"), request_timeout=60,
                                           consistency_level=quorum)
        connection = cluster.Cluster([node.address for node in self.nodes], port=self.port, protocol_version=4,
                                     connect_timeout=60, control_connection_timeout=60,
                                     reconnection_policy=policies.ConstantReconnectionPolicy(1, max_attempts=None),
                                     execution_profiles={cluster.EXEC_PROFILE_DEFAULT: profile}, **more)
        try:
            yield connection.connect(keyspace)
        finally:
            connection.shutdown()


@contextlib.contextmanager
def running(folder, count=1, more="", lasting=False, flags=()):
    ring = Ring(folder, count, more, lasting, flags)
    try:
        yield ring.start()
    finally:
        ring.end()


@pytest.fixture(scope="module")
def cassandra(tmp_path_factory):
    """One node for all tests of a file."""
    with running(tmp_path_factory.mktemp("cassandra")) as ring:
        yield ring
