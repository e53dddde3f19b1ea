"""docs/OPERATIONS.md: every command in a block that is marked to be tried is run, as it stands there, against real servers."""
import os
import pathlib
import re
import stat
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))

import cassandra_ring
from conftest import BUILD, ROOT, SCALE
from kafka import java_command, kafka, reserve_ports  # noqa: F401  (one is a fixture)
from postgres import Postgres, binaries
from test_kafka import TOOL

pytestmark = [pytest.mark.skipif(not TOOL.exists(), reason="pingd was built without Kafka: `make drivers` (drivers/README.md)"),
              pytest.mark.skipif(binaries() is None, reason="no PostgreSQL server: apt-get install postgresql")]

CQL = ("nodetool", "cql")
# Each of Kafka's tools is a JVM of its own: what tells least is left to make soak.
LEFT = tuple(f"tool kafka-{name}" for name in ("broker-api-versions", "metadata-quorum", "configs", "get-offsets", "log-dirs", "consumer-groups --list",
                                               "topics --describe --under", "transactions find-hanging"))
MAIN = {  # Kafka's scripts, and what they start
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-transactions": "org.apache.kafka.tools.TransactionsCommand",
}


def commands():
    """Lines of the blocks to be tried, in their order."""
    blocks = re.findall(r"<!-- try -->\n```sh\n(.*?)```", (ROOT / "docs/OPERATIONS.md").read_text(), re.S)
    return [line for block in blocks for line in block.splitlines() if line and not line.startswith("#")]


def quoted(words):
    return " ".join(f"'{word}'" for word in words)


class Shell:
    """Where the guide's functions are programs on PATH."""

    def __init__(self, folder):
        self.folder, self.bin = folder, folder / "bin"
        self.bin.mkdir()
        self.env = {**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}"}

    def define(self, name, text):
        path = self.bin / name
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def run(self, line):
        done = subprocess.run(["bash", "-c", line], cwd=self.folder, env=self.env, capture_output=True, text=True, errors="replace", timeout=240)
        assert done.returncode == 0, f"{line}\nended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout


@pytest.fixture(scope="module")
def postgres():
    server = Postgres()
    try:
        yield server.start()
    finally:
        server.remove()


def test_every_command_is_somebody_s():
    assert len(commands()) >= 25
    for line in commands():
        assert line.split()[0] in ("pingctl", "tool", "sql", "pg_dump", "pg_restore", *CQL), line
        if line.startswith("tool "):
            assert line.split()[1] in MAIN, line


def test_the_request_s_own_tools_are_all_there():
    """Each of Kafka's tools that the request for this pipeline names, and nodetool."""
    text = "\n".join(commands())
    for name in ("kafka-topics --list", "kafka-topics --describe --topic raw-pings", "kafka-consumer-groups --describe", "kafka-console-consumer",
                 "kafka-broker-api-versions", "nodetool status"):
        assert name in text


def test_the_guide_on_postgresql_and_kafka(tmp_path, make_pingd, kafka, postgres):  # noqa: F811
    pingd = make_pingd("--ledger", postgres.url(), "--log", kafka.url).start()
    shell = Shell(tmp_path)
    (tmp_path / "client.properties").write_text("")
    java = quoted(java_command(256))
    cases = "\n".join(f"{name}) main={main};;" for name, main in MAIN.items())
    shell.define("tool", f'name=$1; shift\ncase $name in\n{cases}\nesac\n'
                         f'exec {java} "$main" --bootstrap-server {kafka.addresses} --command-config {tmp_path}/client.properties "$@"')
    shell.define("sql", f"exec psql -X -v ON_ERROR_STOP=1 -d '{postgres.url()}' -c \"$1\"")
    shell.define("pingctl", f'exec {BUILD}/pingctl "$@"')
    shell.env |= {"PINGCTL_ADDRESS": pingd.address, "PING_LEDGER": postgres.url(), "PING_LOG": kafka.url}
    shell.run("pingctl load --pings 300 --clients 30")
    printed = {line: shell.run(line) for line in commands() if line.split()[0] not in CQL and (SCALE >= 2 or not line.startswith(LEFT))}
    assert "raw-pings" in printed["tool kafka-topics --list"]
    consumed = next(text for line, text in printed.items() if "console-consumer" in line)
    assert consumed.count("ClientIP") == 3 and "LogAppendTime" in consumed
    assert re.search(r"\b300\b", printed["sql 'SELECT count(*) FROM pings'"])
    assert "ping-publisher-" in printed["tool kafka-transactions list"]


@pytest.mark.skipif(SCALE < 2, reason="the guide's commands for ScyllaDB: left to make soak")
def test_the_guide_on_cql(tmp_path, tmp_path_factory, monkeypatch, postgres):
    jmx = reserve_ports(1)[0]
    monkeypatch.setenv("JDK_JAVA_OPTIONS", f"-Dcassandra.jmx.local.port={jmx}")
    with cassandra_ring.running(tmp_path_factory.mktemp("guide")) as ring:
        monkeypatch.delenv("JDK_JAVA_OPTIONS")
        shell = Shell(tmp_path)
        java = quoted([java_command(128)[0], f"@{cassandra_ring.SOURCES / 'jvm.options'}", "-Xmx128m", "-cp", f"{cassandra_ring.jars()}/*", f"-Dcassandra.storagedir={tmp_path}",
                       f"-Dcassandra.config=file://{ring.nodes[0].folder}/cassandra.yaml"])
        shell.define("nodetool", f'exec {java} org.apache.cassandra.tools.NodeTool -h 127.0.0.1 -p {jmx} "$@"')
        # Kafka is not there; the keyspace is made all the same.
        subprocess.run([BUILD / "pingctl", "migrate", "--ledger", postgres.url(), "--log", "kafka://127.0.0.1:1", "--store", ring.url()], capture_output=True)
        for line in commands():
            if line.startswith("nodetool "):
                shell.run(line)
            elif line.startswith("cql "):
                with ring.session() as session:
                    session.execute(re.search(r"'(.*)'$", line)[1])
