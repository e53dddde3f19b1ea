"""A real Apache Kafka (KRaft, from its own jars) on loopback ports of its own: one broker, or three with everything threefold.

Started in a temporary folder, stopped by PID whatever happens. What Kafka's own tools say is the second opinion of the tests.
"""
import base64
import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
import uuid

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tools"))
import maven  # noqa: E402
import processes  # noqa: E402
from maven import java  # noqa: E402
from ports import reserve as reserve_ports  # noqa: E402

SOURCES = HERE / "kafka"
START_S = 240
TOPICS = ("raw-pings", "raw-pings-dead", "ping-publishers")  # pingd's own


def maven_jars(sources, product, artifact):
    """The jars that sources/pom.xml names; skips the test, saying why, where they are not to be had."""
    try:
        return maven.jars(sources / "pom.xml", product, artifact)
    except maven.Missing as why:
        return pytest.skip(f"{why}: the tests on a real {product} did not run (scripts/bootstrap test)")


def jars():
    return maven_jars(SOURCES, "Kafka", "kafka_2.13")


QUICK_START = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
BROKER_FLAGS = QUICK_START  # a bench sets others


def java_command(heap_mb, *arguments, flags=QUICK_START):
    return [java(), f"-Xmx{heap_mb}m", *flags, "-Xshare:auto",
            f"-Dlog4j2.configurationFile={SOURCES / 'log4j2.properties'}", "-cp", f"{jars()}/*", *arguments]


def make_certificates(folder):
    """An authority, and a key with a certificate by it for the brokers (broker.pem) and for a client (client.key, client.crt)."""
    folder.mkdir()

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    openssl(*new, "-subj", "/CN=authority", "-keyout", "authority.key", "-out", "authority.crt")
    for name in ("broker", "client"):
        openssl(*new, "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE",
                "-CA", "authority.crt", "-CAkey", "authority.key", "-keyout", f"{name}.key", "-out", f"{name}.crt")
    (folder / "broker.pem").write_text((folder / "broker.key").read_text() + (folder / "broker.crt").read_text())


class Broker:
    """One node. Its address stays when it is killed and started again."""

    def __init__(self, cluster, number, port, sasl_port, ssl_port, controller_port):
        self.cluster, self.number = cluster, number
        self.port, self.sasl_port, self.ssl_port, self.controller_port = port, sasl_port, ssl_port, controller_port
        self.folder = cluster.folder / f"broker-{number}"
        self.process = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def sasl_address(self):
        """Where SASL is asked for, PLAIN or SCRAM-SHA-512: user ping, password secret."""
        return f"127.0.0.1:{self.sasl_port}"

    @property
    def ssl_address(self):
        """Where TLS is spoken, and asked of the client too: the cluster's `tls` folder has what it takes."""
        return f"127.0.0.1:{self.ssl_port}"

    def format(self, formatted):
        """A formatted data folder: a copy of the cluster's one, with an identity of its own."""
        data = self.folder / "data"
        shutil.copytree(formatted, data)
        properties = data / "meta.properties"
        text = re.sub(r"node\.id=\d+", f"node.id={self.number}", properties.read_text())
        identity = kafka_uuid()
        properties.write_text(re.sub(r"directory\.id=.*", f"directory.id={identity}", text))

    def configure(self, voters, more):
        text = (SOURCES / "server.properties").read_text()
        count = len(self.cluster.brokers)
        for name, value in {"NODE": self.number, "VOTERS": voters, "PORT": self.port, "SASL_PORT": self.sasl_port,
                            "SSL_PORT": self.ssl_port, "TLS": self.cluster.tls, "CONTROLLER_PORT": self.controller_port, "DATA": self.folder / "data", "REPLICAS": count,
                            "MIN_ISR": min(count, 2)}.items():
            text = text.replace(f"@{name}@", str(value))
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "server.properties").write_text(text + "".join(f"{name}={value}\n" for name, value in more.items()))

    def spawn(self):
        with open(self.folder / "broker.log", "ab") as log:
            self.process = subprocess.Popen(processes.tied(java_command(512, "kafka.Kafka", self.folder / "server.properties", flags=BROKER_FLAGS)),
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        return self

    def wait_until_up(self):
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self
            time.sleep(0.1)
        return pytest.fail(f"broker {self.number} did not come up:\n{self.log()[-4000:]}")

    def start(self):
        return self.spawn().wait_until_up()

    def log(self):
        path = self.folder / "broker.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def kill(self):
        """As by a power cut."""
        self.process.kill()
        self.process.wait()

    def frozen(self):
        return processes.frozen(self.process.pid)

    def end(self):
        if self.process and self.process.poll() is None:
            self.kill()


def kafka_uuid():
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")


class Cluster:
    """`count` brokers, and Kafka's own tools."""

    def __init__(self, folder, count=1, more=None):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.tls = folder / "tls"
        make_certificates(self.tls)
        ports = reserve_ports(4 * count)
        self.brokers = [Broker(self, n + 1, *ports[4 * n:4 * n + 4]) for n in range(count)]
        voters = ",".join(f"{b.number}@127.0.0.1:{b.controller_port}" for b in self.brokers)
        for broker in self.brokers:
            broker.configure(voters, more or {})

    @property
    def addresses(self):
        return ",".join(broker.address for broker in self.brokers)

    @property
    def url(self):
        return f"kafka://{self.addresses}"

    def start(self):
        first = self.brokers[0]
        self.tool("kafka.tools.StorageTool", "format", "-t", kafka_uuid(), "-c", first.folder / "server.properties",
                  "--add-scram", "SCRAM-SHA-512=[name=ping,password=secret]")
        formatted = self.folder / "formatted"
        (first.folder / "data").rename(formatted)
        for broker in self.brokers:
            broker.format(formatted)
            broker.spawn()
        for broker in self.brokers:
            broker.wait_until_up()
        return self

    def end(self):
        for broker in self.brokers:
            broker.end()

    def tool(self, main, *arguments, text=True, **more):
        """One of Kafka's own tools; what it printed."""
        done = subprocess.run(java_command(256, main, *map(str, arguments)), capture_output=True, check=False, timeout=300, **more)
        assert done.returncode == 0, f"{main} ended with {done.returncode}: {done.stdout[-2000:]} {done.stderr[-2000:]}"
        return done.stdout.decode() if text else done.stdout

    def topics(self, *arguments):
        return self.tool("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", self.addresses, *arguments)

    def in_step(self):
        """Every replica of every partition keeps up: a broker may go and nothing stops."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient
        try:
            topics = AdminClient({"bootstrap.servers": self.addresses}).list_topics(timeout=60).topics
        except KafkaException:
            return False
        return all(len(partition.isrs) == len(partition.replicas) for topic in topics.values() for partition in topic.partitions.values())

    def delete_topics(self, *names):
        """Those of them that there are. Not by Kafka's tool, whose start takes seconds."""
        from confluent_kafka import KafkaError, KafkaException
        from confluent_kafka.admin import AdminClient
        admin = AdminClient({"bootstrap.servers": self.addresses})
        for name, deleted in admin.delete_topics(list(names), operation_timeout=30, request_timeout=60).items():
            try:
                deleted.result()
            except KafkaException as error:
                assert error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART, error
        end = time.monotonic() + START_S
        while there := set(names) & set(admin.list_topics(timeout=60).topics):
            assert time.monotonic() < end, f"topics are still there: {there}"
            time.sleep(0.02)

    def alter_topic(self, topic, **settings):
        """Returns when the brokers themselves tell the new values: they hear of a change that was accepted a moment later."""
        from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
        admin, wanted = AdminClient({"bootstrap.servers": self.addresses}), {name.replace("_", "."): str(value) for name, value in settings.items()}
        entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in wanted.items()]
        for altered in admin.incremental_alter_configs([ConfigResource("TOPIC", topic, incremental_configs=entries)], request_timeout=60).values():
            altered.result()
        end = time.monotonic() + START_S
        while True:
            [described] = admin.describe_configs([ConfigResource("TOPIC", topic)], request_timeout=60).values()
            if {name: described.result()[name].value for name in wanted} == wanted:
                return
            assert time.monotonic() < end, f"{topic} is not as it was set: {wanted}"
            time.sleep(0.02)

    def partitions(self, topic):
        from confluent_kafka.admin import AdminClient
        return len(AdminClient({"bootstrap.servers": self.addresses}).list_topics(topic, timeout=60).topics[topic].partitions)

    def console_consume(self, topic, count):
        """What Java's console consumer sees, reading committed: `count` records as (partition, offset, headers, key, value)."""
        output = self.tool("org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", self.addresses, "--topic", topic,
                           "--from-beginning", "--isolation-level", "read_committed", "--max-messages", count, "--timeout-ms", 120000,
                           *(option for name in ("partition", "offset", "headers", "key")
                             for option in ("--formatter-property", f"print.{name}=true")),
                           text=False)
        records = []
        for line in output.splitlines():
            partition, offset, headers, key, value = line.split(b"\t")
            records.append((int(partition.split(b":")[1]), int(offset.split(b":")[1]), headers, key, value))
        return records

    def console_produce(self, topic, pairs):
        """Java's producer with its default partitioner: (key, value) pairs."""
        self.tool("org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server", self.addresses, "--topic", topic,
                  "--reader-property", "parse.key=true", "--batch-size", 1000,
                  input="".join(f"{key}\t{value}\n" for key, value in pairs).encode())


@contextlib.contextmanager
def running(folder, count=1, more=None):
    cluster = Cluster(folder, count, more)
    try:
        yield cluster.start()
    finally:
        cluster.end()


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    """One broker for all tests of a file."""
    with running(tmp_path_factory.mktemp("kafka")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def kafka3(tmp_path_factory):
    """Three brokers, everything threefold."""
    with running(tmp_path_factory.mktemp("kafka3"), 3) as cluster:
        yield cluster
