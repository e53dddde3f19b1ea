"""The store on a CQL server that asks who is there: TLS, certificates, user and password; and what is said when they are wrong."""
import os
import subprocess
import sys
import pathlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))

import cassandra_ring
from conftest import BUILD, wait_for
from kafka import make_certificates
from postgres import Postgres, binaries

RULES = BUILD / "tests" / "unit" / "cql" / "test-cassandra-rules"
pytestmark = [pytest.mark.skipif(not RULES.exists(), reason="pingd was built without ScyllaDB: `make drivers` (drivers/README.md)"),
              pytest.mark.skipif(binaries() is None, reason="no PostgreSQL server: apt-get install postgresql")]

SECURE = """
authenticator: PasswordAuthenticator
authorizer: CassandraAuthorizer
client_encryption_options:
  enabled: true
  optional: false
  require_client_auth: true
  ssl_context_factory:
    class_name: org.apache.cassandra.security.PEMBasedSslContextFactory
  keystore: {tls}/broker.pem
  truststore: {tls}/authority.crt
"""
USER = "cassandra:cassandra@"


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates") / "tls"
    make_certificates(folder)
    return folder


@pytest.fixture(scope="module")
def secure(tmp_path_factory, tls):
    with cassandra_ring.running(tmp_path_factory.mktemp("secure"), more=SECURE.format(tls=tls)) as ring:
        yield ring


@pytest.fixture(scope="module")
def postgres():
    server = Postgres()
    try:
        yield server.start()
    finally:
        server.remove()


def files(tls):
    return {"tls_ca": tls / "authority.crt", "tls_cert": tls / "client.crt", "tls_key": tls / "client.key"}


def look(postgres, store):
    """What `pingctl migrate --check` says of the store: (exit code, text)."""
    done = subprocess.run([BUILD / "pingctl", "migrate", "--check", "--ledger", postgres.url(), "--log", "kafka://127.0.0.1:1", "--store", store],
                          capture_output=True, text=True, timeout=300, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"})
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def ready(secure, tls, postgres):
    """The ring, once it knows its first user."""
    wait_for("the server to know its user", lambda: look(postgres, secure.url(user=USER, **files(tls)))[0] == 1)
    return secure


def test_rows_are_written_and_read_over_tls_by_a_user(ready, tls):
    done = subprocess.run([RULES], capture_output=True, text=True, timeout=600, check=False,
                          env={**os.environ, "PING_TEST_CQL": ready.url(user=USER, **files(tls))})
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("user, words", [("cassandra:wrong@", "refuses user"), ("nobody:cassandra@", "nobody"), ("", "user")])
def test_a_wrong_user_or_password_is_told_as_such(ready, tls, postgres, user, words):
    code, text = look(postgres, ready.url(user=user, **files(tls)))
    assert code == 3 and words in text, text
    assert "wrong" not in text.replace("wrong password", ""), text  # the password is shown nowhere


def test_a_certificate_by_another_authority_is_refused(ready, tls, postgres, tmp_path):
    make_certificates(tmp_path / "other")
    code, text = look(postgres, ready.url(user=USER, **{**files(tls), "tls_ca": tmp_path / "other" / "authority.crt"}))
    assert code == 3, text
    assert ready.nodes[0].address in text


def test_a_file_that_is_not_there_is_named(ready, tls, postgres):
    code, text = look(postgres, ready.url(user=USER, **{**files(tls), "tls_ca": "/nowhere.pem"}))
    assert code == 3 and "/nowhere.pem" in text, text


def test_a_server_that_is_not_there_is_named(postgres):
    code, text = look(postgres, "scylla://127.0.0.1:1/metrics")
    assert code == 3 and "127.0.0.1:1" in text, text
