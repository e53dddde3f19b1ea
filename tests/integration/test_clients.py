"""Clients that others wrote, generated from our .proto, against a real pingd: each takes the same tour (tests/clients)."""
import base64
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from conftest import DEADLINE_S, ROOT, Pingd, free_port, wait_for
from kafka import make_certificates
from test_tls import SERVER, TlsPingd

START_MS = 1_700_000_000_000
ORIGIN_PORT = free_port()


def find():
    done = subprocess.run([sys.executable, ROOT / "tests/clients/build.py", "find"], capture_output=True, text=True)
    return pathlib.Path(done.stdout.strip()) if done.returncode == 0 else None


CLIENTS = find()
pytestmark = pytest.mark.skipif(CLIENTS is None, reason="the clients are not built: tests/clients/build.py builds them")
GO = ["connect", "connect-json", "connect-get", "grpc", "grpc-web", "grpc-go"]
NODE = PYTHON = ["connect", "connect-json", "connect-get", "grpc", "grpc-web"]
BROWSER = ["connect", "connect-json", "connect-get", "grpc-web"]


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    pingd = Pingd(tmp_path_factory.mktemp("clients"), "--cors-origins", f"https://a.example,http://127.0.0.1:{ORIGIN_PORT}").start()
    pingd.next_ms = START_MS
    yield pingd
    assert pingd.process.poll() is None
    pingd.end()


def times(pingd, count=1):
    """Milliseconds that no other tour has used: as many pings are counted in them as the tour made."""
    first = pingd.next_ms
    pingd.next_ms += 10 * count
    return str(first)


def run(command, **env):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=2 * DEADLINE_S, env={**os.environ, **env})
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def check(report):
    """A retry by the same key counted once, errors with code and text, the windows of the ping that was made meanwhile, a deadline."""
    assert "failed" not in report, report
    assert report["count"] == 2, report
    assert report["code"] == "invalid_argument" and "timestamp_ms" in report["message"], report
    assert "127.0.0.1" in report["watched"], report
    assert report["deadline"] == "deadline_exceeded", report


@pytest.mark.parametrize("kind", GO)
def test_connect_go_and_grpc_go(target, kind):
    check(json.loads(run([CLIENTS / "bin/client", kind, target.address, times(target)])))


@pytest.mark.parametrize("kind", NODE)
def test_connect_node(target, kind):
    check(json.loads(run([CLIENTS / "node.bin", CLIENTS / "node/client.mjs", kind, target.address, times(target)])))


@pytest.mark.parametrize("kind", PYTHON)
def test_connectrpc_for_python(target, kind):
    check(json.loads(run([sys.executable, CLIENTS / "python/connectrpc_client.py", kind, target.address, times(target)])))


def test_grpcio_for_python(target):
    check(json.loads(run([sys.executable, CLIENTS / "python/grpcio_client.py", "grpc", target.address, times(target)])))


# ── Chromium ──

def browse(target, port):
    browser = CLIENTS / "chromium"
    if not browser.exists():
        pytest.skip("no chromium is here: scripts/bootstrap test brings Debian's")
    command = [CLIENTS / "node.bin", CLIENTS / "node/browser.mjs", os.path.realpath(browser), port, target.address, times(target, len(BROWSER)), *BROWSER]
    return dict(zip(BROWSER, map(json.loads, run(command).splitlines())))


def test_connect_web_in_chromium_on_a_page_that_may(target):
    reports = browse(target, ORIGIN_PORT)
    assert set(reports) == set(BROWSER)
    for report in reports.values():
        check(report)


def test_a_page_that_may_not_gets_nothing(target):
    for kind, report in browse(target, free_port()).items():
        assert report["count"] == 0 and "fetch" in report["failed"].lower(), (kind, report)


def test_a_browser_that_asks_first_is_told(target):
    answers = {}
    for origin in ("https://a.example", "https://b.example"):
        with contextlib.closing(target.connect()) as connection:
            connection.request("OPTIONS", "/ping.v1.PingService/Ping", headers={
                "Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-own"})
            answer = connection.getresponse()
            answer.read()
            answers[origin] = answer
    allowed, refused = answers["https://a.example"], answers["https://b.example"]
    assert allowed.status == 200 and allowed.getheader("Access-Control-Allow-Origin") == "https://a.example"
    assert "POST" in allowed.getheader("Access-Control-Allow-Methods") and "x-grpc-web" in allowed.getheader("Access-Control-Allow-Headers")
    assert refused.status != 200 and refused.getheader("Access-Control-Allow-Origin") is None
    assert refused.getheader("Vary") == allowed.getheader("Vary") == "origin"


def test_pages_for_operators_are_for_no_other_origin(target):
    for path in ("/metrics", "/readyz"):
        with contextlib.closing(target.connect()) as connection:
            connection.request("GET", path, headers={"Origin": "https://a.example"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200 and answer.getheader("Access-Control-Allow-Origin") is None


# ── TLS: HTTP/2 is agreed on ──

@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    """By an authority: not every client takes a certificate that is its own."""
    folder = tmp_path_factory.mktemp("secure")
    make_certificates(folder / "pems")
    for kind in ("crt", "key"):
        (folder / "pems" / f"broker.{kind}").rename(folder / "pems" / f"{SERVER}.{kind}")
    pingd = TlsPingd(folder / "pingd", folder / "pems", "--cors-origins", "*")
    pingd.trusted_name, pingd.ca, pingd.next_ms = "authority", folder / "pems/authority.crt", START_MS
    pingd.start()
    yield pingd
    assert pingd.process.poll() is None
    pingd.end()


@pytest.mark.parametrize("kind", GO)
def test_connect_go_and_grpc_go_by_tls(secure, kind):
    check(json.loads(run([CLIENTS / "bin/client", kind, secure.address, times(secure), secure.ca])))


@pytest.mark.parametrize("kind", ["connect", "grpc", "grpc-web"])
def test_connect_node_by_tls(secure, kind):
    check(json.loads(run([CLIENTS / "node.bin", CLIENTS / "node/client.mjs", kind, secure.address, times(secure)], NODE_EXTRA_CA_CERTS=str(secure.ca))))


@pytest.mark.parametrize("client, kind", [("connectrpc", "connect"), ("connectrpc", "grpc"), ("grpcio", "grpc")])
def test_python_clients_by_tls(secure, client, kind):
    check(json.loads(run([sys.executable, CLIENTS / f"python/{client}_client.py", kind, secure.address, times(secure), secure.ca])))


def test_connect_web_in_chromium_by_tls(secure):
    for report in browse(secure, free_port()).values():
        check(report)
    assert b'http_requests_total{version="2"} 0\n' not in secure.get("/metrics")[1]


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_curl_by_tls(secure, version):
    asked = ["curl", "-sS", "--cacert", secure.ca, f"--http{version}", "-H", "Content-Type: application/json", "-d", "{}", "-w", "\n%{http_version}"]
    assert run([*asked, f"{secure.address}/ping.v1.PingService/PingCount"]).endswith(f"\n{version}")


# ── Programs ──

def grpcurl(target, *arguments):
    return run([CLIENTS / "bin/grpcurl", "-plaintext", *arguments[:-1], f"127.0.0.1:{target.port}", arguments[-1]])


def test_grpcurl_without_a_proto_file(target):
    assert "ping.v1.PingService" in run([CLIENTS / "bin/grpcurl", "-plaintext", f"127.0.0.1:{target.port}", "list"])
    when = times(target)
    message = json.dumps({"timestampMs": when, "idempotencyKey": when})
    for _ in range(2):
        assert json.loads(grpcurl(target, "-d", message, "ping.v1.PingService/Ping")) == {}
    count = grpcurl(target, "-d", json.dumps({"timeRange": {"start": when, "end": str(int(when) + 1)}}), "ping.v1.PingService/PingCount")
    assert json.loads(count) == {"pingCount": "1"}


def test_grpcurl_with_our_proto(target):
    when = times(target)
    flags = ["-import-path", ROOT / "proto", "-proto", "ping/v1/ping.proto"]
    assert json.loads(grpcurl(target, *flags, "-d", json.dumps({"timestampMs": when}), "ping.v1.PingService/Ping")) == {}
    wrong = subprocess.run([CLIENTS / "bin/grpcurl", "-plaintext", *map(str, flags), "-d", "{}", f"127.0.0.1:{target.port}", "ping.v1.PingService/Ping"],
                           capture_output=True, text=True, timeout=DEADLINE_S)
    assert wrong.returncode != 0 and "InvalidArgument" in wrong.stderr and "timestamp_ms" in wrong.stderr, wrong


def buf():
    found = os.environ.get("BUF") or shutil.which("buf")
    if not found:
        pytest.skip("buf is not here: scripts/test brings it and names it in BUF")
    return found


@pytest.mark.parametrize("protocol", ["connect", "grpc", "grpcweb"])
@pytest.mark.parametrize("schema", ["reflection", "proto"])
def test_buf_curl(target, protocol, schema):
    when = times(target)
    flags = ["--protocol", protocol, "--http2-prior-knowledge", *(["--schema", ROOT / "proto"] if schema == "proto" else ["--reflect-protocol", "grpc-v1"])]
    call = [buf(), "curl", *flags]
    assert json.loads(run([*call, "-d", json.dumps({"timestampMs": when}), f"{target.address}/ping.v1.PingService/Ping"])) == {}
    count = run([*call, "-d", json.dumps({"timeRange": {"start": when, "end": str(int(when) + 1)}}), f"{target.address}/ping.v1.PingService/PingCount"])
    assert json.loads(count) == {"pingCount": "1"}


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_curl(target, version):
    when = times(target)
    url, flags = f"{target.address}/ping.v1.PingService", ["curl", "-sS", version]
    as_json = ["-H", "Content-Type: application/json"]
    assert json.loads(run([*flags, *as_json, "-d", json.dumps({"timestamp_ms": when}), f"{url}/Ping"])) == {}
    asked = json.dumps({"timeRange": {"start": when, "end": str(int(when) + 1)}})
    assert json.loads(run([*flags, "--compressed", *as_json, "-d", asked, f"{url}/PingCount"])) == {"pingCount": "1"}
    got = run([*flags, "-G", "-d", "connect=v1", "-d", "encoding=json", "--data-urlencode", f"message={asked}", f"{url}/PingCount"])
    assert json.loads(got) == {"pingCount": "1"}
    refused = run([*flags, *as_json, "-d", "{}", "-w", "\n%{http_code}", f"{url}/Ping"])
    assert refused.endswith("\n400") and "invalid_argument" in refused


def test_curl_speaks_grpc_web_text(target):
    """As a shell would: five bytes and the message in base64, the answer's trailers behind it."""
    when = int(times(target))
    varint = b""
    rest = when
    while rest >= 128:
        varint, rest = varint + bytes([rest & 127 | 128]), rest >> 7
    message = b"\x08" + varint + bytes([rest])
    body = base64.b64encode(b"\0" + len(message).to_bytes(4, "big") + message).decode()
    text = run(["curl", "-sS", "-H", "Content-Type: application/grpc-web-text", "-d", body, f"{target.address}/ping.v1.PingService/Ping"])
    assert b"grpc-status: 0" in base64.b64decode(text)


def test_many_clients_at_once(target):
    """Each kind at the same time as the others: nobody gets another's answer."""
    kinds = [kind for kind in GO for _ in range(4)]
    children = [subprocess.Popen([CLIENTS / "bin/client", kind, target.address, times(target)], stdout=subprocess.PIPE, text=True) for kind in kinds]
    for child in children:
        text, _ = child.communicate(timeout=2 * DEADLINE_S)
        check(json.loads(text))
    wait_for("all to be gone", lambda: b"http_connections 1\n" in target.get("/metrics")[1])
