"""The rights that deploy/ gives: each user works with what its KafkaUser says on a real broker that asks, and not with less; the roles in ScyllaDB
and PostgreSQL carry the pipeline and its audit."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import pytest
import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))

import cassandra_ring
import kafka as kafka_module
from conftest import BUILD, DEADLINE_S, ROOT, SCALE, wait_for
from postgres import Postgres, binaries
from test_kafka import TOOL
from test_scylla import SECURE

pytestmark = [pytest.mark.skipif(not TOOL.exists(), reason="pingd was built without Kafka: `make drivers` (drivers/README.md)"),
              pytest.mark.skipif(binaries() is None, reason="no PostgreSQL server: apt-get install postgresql")]

BASE = ROOT / "deploy/kustomize/bases/kafka"
PASSWORD = "secret"
NAMES = {"transactionalId": "TRANSACTIONAL_ID", "cluster": "BROKER"}


def manifests(name, kind):
    return {one["metadata"]["name"]: one["spec"] for one in yaml.safe_load_all((BASE / name).read_text()) if one["kind"] == kind}


class Rights:
    """A broker that refuses what no ACL allows, topics as the KafkaTopics have them, a user for each KafkaUser."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.admin_module = pytest.importorskip("confluent_kafka.admin")
        self.admin = self.admin_module.AdminClient({"bootstrap.servers": cluster.addresses})
        self.address = cluster.brokers[0].sasl_address

    def prepare(self):
        m = self.admin_module
        topics = [m.NewTopic(name, topic["partitions"], 1, config={key: str(1 if key == "min.insync.replicas" else value) for key, value in topic["config"].items()})
                  for name, topic in manifests("topics.yaml", "KafkaTopic").items()]
        for future in self.admin.create_topics(topics).values():
            future.result(60)
        info = m.ScramCredentialInfo(m.ScramMechanism.SCRAM_SHA_512, 4096)
        users = manifests("users.yaml", "KafkaUser")
        for future in self.admin.alter_user_scram_credentials([m.UserScramCredentialUpsertion(name, info, PASSWORD.encode()) for name in users]).values():
            future.result(60)
        for name, user in users.items():
            self.allow(name, user["authorization"]["acls"])
        return self

    def bindings(self, user, acls):
        m = self.admin_module
        for acl in acls:
            resource = acl["resource"]
            kind = getattr(m.ResourceType, NAMES.get(resource["type"], resource["type"].upper()))
            pattern = m.ResourcePatternType.PREFIXED if resource.get("patternType") == "prefix" else m.ResourcePatternType.LITERAL
            for operation in acl["operations"]:
                word = "".join(f"_{letter}" if letter.isupper() and i else letter for i, letter in enumerate(operation)).upper()
                yield m.AclBinding(kind, resource.get("name", "kafka-cluster"), pattern, f"User:{user}", "*", getattr(m.AclOperation, word), m.AclPermissionType.ALLOW)

    def allow(self, user, acls):
        for future in self.admin.create_acls(list(self.bindings(user, acls))).values():
            future.result(60)

    def settings(self, user):
        return [f"--kafka={line}" for line in ("security.protocol=sasl_plaintext", "sasl.mechanisms=SCRAM-SHA-512", f"sasl.username={user}", f"sasl.password={PASSWORD}")]


@pytest.fixture(scope="module")
def rights(tmp_path_factory):
    more = {"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users": "User:ANONYMOUS"}
    with kafka_module.running(tmp_path_factory.mktemp("rights"), more=more) as cluster:
        yield Rights(cluster).prepare()


@pytest.fixture(scope="module")
def postgres():
    server = Postgres()
    try:
        yield server.start()
    finally:
        server.remove()


def pingctl(*arguments):
    return subprocess.run([BUILD / "pingctl", *map(str, arguments)], capture_output=True, text=True, timeout=240, env=dict(os.environ))


def test_each_user_does_its_work_with_its_rights(rights, postgres, make_pingd):
    where = ["--ledger", postgres.url(), "--log", f"kafka://{rights.address}"]
    migrated = pingctl("migrate", *where, *rights.settings("pingd"))
    assert migrated.returncode == 0, migrated.stdout + migrated.stderr
    pingd = make_pingd(*where, *rights.settings("pingd")).start()
    loaded = pingctl("load", f"--address={pingd.address}", "--pings", 200, "--clients", 20)
    assert loaded.returncode == 0, loaded.stdout + loaded.stderr
    # Another process takes over what a killed one left, with the same rights.
    pingd.process.kill()
    pingd.process.wait()
    again = make_pingd(*where, *rights.settings("pingd"), name="again").start()
    assert pingctl("load", f"--address={again.address}", "--pings", 100, "--clients", 20).returncode == 0
    audited = pingctl("audit", *where, *rights.settings("ping-audit"))
    assert audited.returncode == 0, audited.stdout + audited.stderr


def test_the_engine_s_user_reads_and_no_more(rights):
    """What the Flink job does, by the same client library: reads committed in its group, writes dead letters, and cannot write to raw-pings."""
    confluent = pytest.importorskip("confluent_kafka")
    login = {"bootstrap.servers": rights.address, "security.protocol": "sasl_plaintext", "sasl.mechanisms": "SCRAM-SHA-512", "sasl.username": "ping-flink",
             "sasl.password": PASSWORD}
    consumer = confluent.Consumer({**login, "group.id": "ping-metrics", "auto.offset.reset": "earliest", "isolation.level": "read_committed", "enable.auto.commit": False})
    try:
        consumer.subscribe(["raw-pings"])
        end, first = time.monotonic() + DEADLINE_S, None
        while first is None and time.monotonic() < end:
            message = consumer.poll(1)
            if message is not None:
                assert message.error() is None, message.error()
                first = message
        assert first is not None
        consumer.commit(first, asynchronous=False)
    finally:
        consumer.close()
    producer, outcome = confluent.Producer({**login, "message.timeout.ms": DEADLINE_S * 1000}), {}
    for topic in ("raw-pings-dead", "raw-pings"):
        producer.produce(topic, b"x", on_delivery=lambda error, message: outcome.update({message.topic(): error}))
    producer.flush(DEADLINE_S)
    assert outcome["raw-pings-dead"] is None
    assert outcome["raw-pings"].code() == confluent.KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_a_publisher_without_its_transactional_ids_says_so(rights, postgres, make_pingd):
    """Every right is needed: without this one pingd does not become ready, and names Kafka's answer."""
    m = rights.admin_module
    info = m.ScramCredentialInfo(m.ScramMechanism.SCRAM_SHA_512, 4096)
    for future in rights.admin.alter_user_scram_credentials([m.UserScramCredentialUpsertion("less", info, PASSWORD.encode())]).values():
        future.result(60)
    acls = manifests("users.yaml", "KafkaUser")["pingd"]["authorization"]["acls"]
    rights.allow("less", [acl for acl in acls if acl["resource"]["type"] != "transactionalId"])
    postgres.sql("CREATE DATABASE less")
    pingd = make_pingd("--ledger", postgres.url("less"), "--log", f"kafka://{rights.address}", *rights.settings("less"), name="less").spawn()

    def refused():
        return pingd.process.poll() is not None or "authorization" in pingd.log().lower()

    wait_for("pingd to name the right that is missing", refused, 120)
    assert "authorization" in pingd.log().lower(), pingd.log()[-3000:]


CQLSH = shutil.which("cqlsh") or shutil.which("cqlsh", path=str(pathlib.Path(sys.executable).parent))


class Roles:
    """A server that asks for passwords and certificates, and the Job's script as it stands in the manifest."""

    def __init__(self, folder, tls, ring):
        job, cqlshrc = yaml.safe_load_all((ROOT / "deploy/kustomize/bases/scylla/roles.yaml").read_text())
        for path, file in {"scylla/ca-bundle.crt": "authority.crt", "scylla-client/tls.crt": "client.crt", "scylla-client/tls.key": "client.key"}.items():
            (folder / path).parent.mkdir(exist_ok=True)
            shutil.copy(tls / file, folder / path)
        (folder / "cqlshrc").write_text(cqlshrc["data"]["cqlshrc"].replace("/etc/ping", str(folder)))
        self.folder, self.ring = folder, ring
        self.tls = {"tls": "true", "tls_ca": tls / "authority.crt", "tls_cert": tls / "client.crt", "tls_key": tls / "client.key"}
        # Where the mounts are, and the node's own port.
        container = job["spec"]["template"]["spec"]["containers"][0]
        self.script = container["args"][0].replace("/etc/ping/cqlshrc", str(folder)).replace("9142", str(ring.port))
        secret = {"username": "ping", "password": "pingSecret1", "audit-username": "ping_audit", "audit-password": "auditSecret1", "admin-password": "adminSecret1"}
        self.env = {**os.environ, "PATH": f"{pathlib.Path(CQLSH).parent}:{os.environ['PATH']}"}
        self.env |= {entry["name"]: entry.get("value") or secret[entry["valueFrom"]["secretKeyRef"]["key"]] for entry in container["env"]}
        self.env |= {"HOST": "127.0.0.1", "HOME": str(folder)}

    def run(self):
        done = subprocess.run(["/bin/bash", "-euc", self.script], env=self.env, capture_output=True, text=True, timeout=240)
        return done.returncode == 0, done.stdout + done.stderr

    def cql(self, user, password, text):
        return subprocess.run([CQLSH, f"--cqlshrc={self.folder}/cqlshrc", "127.0.0.1", str(self.ring.port), "-u", user, "-p", password, "-e", text],
                              env=self.env, capture_output=True, text=True, timeout=120)


@pytest.mark.skipif(SCALE < 2, reason="ScyllaDB's roles: left to make soak")
@pytest.mark.skipif(not CQLSH, reason="no cqlsh (tests/requirements.txt)")
def test_the_roles_in_all_three_carry_the_pipeline_and_its_audit(rights, postgres, tmp_path, tmp_path_factory, make_pingd):
    """The Job's script fails before the keyspace is there and ends well after; pingd fills the store as its role; the audit, as users who may only
    read in Kafka, PostgreSQL and the store, compares it all."""
    tls = tmp_path_factory.mktemp("roles") / "tls"
    kafka_module.make_certificates(tls)
    with cassandra_ring.running(tmp_path_factory.mktemp("roles-node"), more=SECURE.format(tls=tls)) as ring:
        roles = Roles(tmp_path, tls, ring)
        # Authorisation's superuser comes seconds after the first start.
        wait_for("the roles to be made, and the keyspace to be waited for", lambda: "keyspace metrics" in roles.run()[1], 240)
        ours = ["--ledger", postgres.url(), "--log", f"kafka://{rights.address}", "--store", ring.url(user="ping:pingSecret1@", **roles.tls), *rights.settings("pingd")]
        migrated = pingctl("migrate", *ours)
        assert migrated.returncode == 0, migrated.stdout + migrated.stderr
        for time_of in ("the first", "another"):
            wait_for(f"the roles to be whole, {time_of} time", lambda: roles.run()[0], 240)
        pingd = make_pingd(*ours, name="whole").start()
        assert pingctl("load", f"--address={pingd.address}", "--pings", 200, "--clients", 20).returncode == 0
        pingd.caught_up()
        # As CloudNativePG makes it, by spec.managed.roles of the Cluster.
        cluster = next(one for one in yaml.safe_load_all((ROOT / "deploy/kustomize/bases/postgres/postgres.yaml").read_text()) if one["kind"] == "Cluster")
        role = cluster["spec"]["managed"]["roles"][0]
        postgres.sql(f"CREATE ROLE {role['name']} LOGIN IN ROLE {', '.join(role['inRoles'])}")
        readers = ["--ledger", postgres.url(user=role["name"]), "--log", f"kafka://{rights.address}", *rights.settings("ping-audit")]
        audited = pingctl("audit", "--json", *readers, "--store", ring.url(user="ping_audit:auditSecret1@", **roles.tls))
        assert audited.returncode == 0, audited.stdout + audited.stderr
        report = json.loads(audited.stdout)
        assert report["differences"] == 0 and report["kinds"]["windows"]["checked"] >= 20, report
        for table in ("window_stats", "engine_writers"):
            refused = roles.cql("ping_audit", "auditSecret1", f"TRUNCATE metrics.{table}")
            assert refused.returncode != 0 and "Unauthorized" in refused.stderr, refused.stderr
        hashes = roles.cql("ping_audit", "auditSecret1", "SELECT * FROM system_auth.roles")
        assert hashes.returncode != 0 and "Unauthorized" in hashes.stderr, hashes.stderr
        known = roles.cql("cassandra", "cassandra", "SELECT key FROM system.local")
        assert known.returncode != 0 and "password" in (known.stdout + known.stderr).lower(), "the well-known password still opens it"
