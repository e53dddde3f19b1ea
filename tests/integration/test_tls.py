"""TLS: both versions, ALPN, client certificates, certificates that change, and clients that do it wrong."""
import concurrent.futures
import contextlib
import http.client
import json
import pathlib
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess

import h2.connection
import h2.events
import pytest
from conftest import BUILD, DEADLINE_S, Pingd, free_port, wait_for

SERVER, OTHER, CLIENT = "server", "other", "client"


@pytest.fixture(scope="session")
def pems(tmp_path_factory):
    """server, other and client: each its own authority, as NAME.crt and NAME.key."""
    folder = tmp_path_factory.mktemp("pems")
    for name in SERVER, OTHER, CLIENT:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
                        "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt"], check=True, capture_output=True)
    return folder


class TlsPingd(Pingd):
    """Its files are copies, to be changed."""

    def __init__(self, folder, pems, *arguments, client_ca=None, **more):
        folder.mkdir(parents=True)
        self.pems, self.certificate, self.key = pems, folder / "live.crt", folder / "live.key"
        self.client = CLIENT if client_ca else None
        authorities = ["--tls-client-ca", str(pems / f"{client_ca}.crt")] if client_ca else []
        super().__init__(folder, "--tls-certificate", str(self.certificate), "--tls-key", str(self.key), *authorities, *arguments, **more)
        self.put(SERVER)
        self.trusted_name = SERVER

    @property
    def address(self):
        return f"https://127.0.0.1:{self.port}"

    def put(self, name):
        """Another pair, of which pingd sees no half."""
        with self.frozen() if self.process else contextlib.nullcontext():
            shutil.copy(self.pems / f"{name}.crt", self.certificate)
            shutil.copy(self.pems / f"{name}.key", self.key)

    def context(self, *protocols):
        context = ssl.create_default_context(cafile=self.pems / f"{self.trusted_name}.crt")
        if protocols:
            context.set_alpn_protocols(list(protocols))
        if self.client:
            context.load_cert_chain(self.pems / f"{self.client}.crt", self.pems / f"{self.client}.key")
        return context

    def dial(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_S)

    def open(self, *protocols, before=b"", context=None):
        plain = self.dial()
        plain.sendall(before)
        return (context or self.context(*protocols)).wrap_socket(plain, server_hostname="127.0.0.1")

    def connect(self):
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=DEADLINE_S, context=self.context())

    def ctl(self, *arguments, **more):
        return super().ctl("--ca", str(self.pems / f"{SERVER}.crt"), *arguments, **more)

    def metric(self, name):
        return float(re.search(rf"^{name} (\S+)$", self.get("/metrics")[1].decode(), re.M)[1])


@pytest.fixture
def make_tls(tmp_path, pems):
    made = []

    def make(*arguments, **more):
        made.append(TlsPingd(tmp_path / f"pingd{len(made)}", pems, *arguments, **more))
        return made[-1]

    yield make
    for pingd in made:
        if pingd.process and pingd.process.poll() is None:
            pingd.end()
        assert not re.search(r"Sanitizer|runtime error:", pingd.log()), pingd.log()[-6000:]


def h2_get(sock, path):
    """The body of a GET over HTTP/2."""
    connection = h2.connection.H2Connection()
    connection.initiate_connection()
    connection.send_headers(1, [(":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", path)], end_stream=True)
    sock.sendall(connection.data_to_send())
    body = b""
    while True:
        data = sock.recv(65536)
        assert data, "the server ended the connection"
        for event in connection.receive_data(data):
            if isinstance(event, h2.events.DataReceived):
                body += event.data
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if isinstance(event, h2.events.StreamEnded):
                return body
        sock.sendall(connection.data_to_send())


@pytest.mark.sanitized
def test_both_http_versions_and_both_tls_versions_are_served(make_tls):
    pingd = make_tls().start()
    for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
        context = pingd.context("h2", "http/1.1")
        context.maximum_version = version
        with pingd.open(context=context) as sock:
            assert (sock.version(), sock.selected_alpn_protocol()) == (version.name.replace("_", "."), "h2")
            assert h2_get(sock, "/livez") == b"ok\n"
    with pingd.open("http/1.1") as sock:
        assert sock.selected_alpn_protocol() == "http/1.1"
        sock.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 200 OK")
    with pingd.open() as sock:  # without ALPN the first bytes say it
        assert sock.selected_alpn_protocol() is None
        assert h2_get(sock, "/livez") == b"ok\n"
    assert pingd.ping(1728926331000, "203.0.113.7")[0] == 200
    assert pingd.metric("ping_tls_certificate_expiry_timestamp_seconds") > 0
    assert pingd.stop() == 0


@pytest.mark.sanitized
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_what_is_too_old_or_unknown_is_refused(make_tls):
    pingd = make_tls().start()
    context = pingd.context()
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        pingd.open(context=context)
    with pytest.raises(ssl.SSLError, match="(?i)no_application_protocol|no application protocol"):
        pingd.open("smtp")
    with pingd.open("http/1.1") as sock:  # what was agreed on holds
        sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 ")
    assert pingd.metric("http_tls_failures_total") == 2


def test_no_session_is_resumed(make_tls):
    pingd = make_tls().start()
    for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
        context = pingd.context("http/1.1")
        context.maximum_version = version
        with pingd.open(context=context) as sock:
            sock.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b"200 OK" in sock.recv(1000)
            assert sock.session is None or not sock.session.has_ticket
            first = sock.session
        again = context.wrap_socket(pingd.dial(), server_hostname="127.0.0.1", session=first)
        with again:
            assert not again.session_reused


@pytest.mark.sanitized
def test_plain_http_is_told_to_use_tls(make_tls):
    pingd = make_tls().start()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", pingd.port, timeout=DEADLINE_S)) as connection:
        connection.request("GET", "/livez")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (400, b"this port speaks TLS: use https://\n")
    with pingd.dial() as sock:
        sock.sendall(b"\x00" * 100)
        with contextlib.suppress(ConnectionResetError):
            while sock.recv(1000):
                pass
    assert pingd.get("/livez")[0] == 200


@pytest.mark.sanitized
def test_a_handshake_has_its_time(make_tls):
    pingd = make_tls("--header-timeout", "3s").start()
    before = pingd.metric("http_timeouts_total")  # of questions whether it is there, on a slow machine
    silent, halting = pingd.dial(), pingd.dial()
    outgoing = ssl.MemoryBIO()
    client = pingd.context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="127.0.0.1")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    halting.sendall(outgoing.read()[:100])
    with pingd.open() as mute:  # the handshake done, and then no request
        assert pingd.get("/livez")[0] == 200
        for sock in silent, halting, mute:
            with contextlib.suppress(ConnectionResetError, ssl.SSLError):
                assert sock.recv(1000) == b""
    silent.close()
    halting.close()
    assert pingd.metric("http_timeouts_total") == before + 3


@pytest.mark.sanitized
def test_client_certificates(make_tls):
    pingd = make_tls(client_ca=CLIENT).start()
    assert pingd.get("/livez")[0] == 200
    for wrong in None, OTHER:
        pingd.client = wrong
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            pingd.get("/livez")
    wait_for("the log to say why", lambda: "peer did not return a certificate" in pingd.log())
    pingd.client = CLIENT
    assert pingd.ctl("count", check=False).returncode == 3
    name = str(pingd.pems / CLIENT)
    assert pingd.ctl("count", "--certificate", f"{name}.crt", "--key", f"{name}.key").stdout == "0 pings\n"


@pytest.mark.sanitized
def test_a_plain_address_beside_it_is_for_probes(make_tls):
    port = free_port()
    pingd = make_tls("--listen-plain", f"127.0.0.1:{port}", client_ca=CLIENT).start()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)) as connection:
        connection.request("GET", "/readyz")
        assert connection.getresponse().status == 200
    pingd.client = None
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        pingd.get("/readyz")


@pytest.mark.sanitized
def test_certificates_follow_their_files(make_tls):
    pingd = make_tls().start()
    with pingd.open("http/1.1") as kept:
        with pingd.frozen():
            pingd.key.write_text("no key\n")
        wait_for("the bad key to be said", lambda: "new certificates are not used" in pingd.log())
        assert f"{pingd.key} has no private key" in pingd.log()
        assert pingd.get("/livez")[0] == 200
        assert pingd.metric("ping_tls_reload_failures_total") == 1
        pingd.put(OTHER)
        pingd.trusted_name = OTHER

        def is_new():
            with contextlib.suppress(ssl.SSLCertVerificationError):
                return pingd.get("/livez")[0] == 200
        wait_for("the new certificate", is_new)
        kept.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"200 OK" in kept.recv(1000)
    assert pingd.metric("ping_tls_reload_failures_total") == 1


def test_sighup_reads_certificates_again(make_tls):
    pingd = make_tls().start()
    pingd.signal(signal.SIGHUP)
    wait_for("the reload to be said", lambda: "certificates read again" in pingd.log())
    assert pingd.get("/livez")[0] == 200
    assert pingd.stop() == 0


@pytest.mark.sanitized
def test_a_proxy_speaks_for_its_client_before_tls(make_tls):
    pingd = make_tls().start()
    header = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11" + struct.pack(">H4s4sHH", 12, bytes([203, 0, 113, 9]), bytes([10, 0, 0, 1]), 5000, 443)
    body = json.dumps({"timestampMs": 1728926331000}).encode()
    request = (b"POST /ping.v1.PingService/Ping HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)) + body
    for pieces in (header,), (header[:5], header[5:]):
        plain = pingd.dial()
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            plain.sendall(piece)
        with pingd.context("http/1.1").wrap_socket(plain, server_hostname="127.0.0.1") as sock:
            sock.sendall(request)
            assert sock.recv(1000).startswith(b"HTTP/1.1 200 OK")
    pingd.caught_up()
    assert [client["clientIp"] for client in pingd.ask("ListClients", {})["clients"]] == ["203.0.113.9"]


@pytest.mark.sanitized
def test_a_slow_reader_gets_everything(make_tls):
    """Many pipelined answers are more than the socket takes at once: what is sealed and what is not waits in its order."""
    pingd = make_tls().start()
    count = 200
    plain = pingd.dial()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    with pingd.context("http/1.1").wrap_socket(plain, server_hostname="127.0.0.1") as sock:
        sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * count)
        reader = sock.makefile("rb")
        for _ in range(count):
            assert reader.readline() == b"HTTP/1.1 200 OK\r\n"
            headers = http.client.parse_headers(reader)
            body = reader.read(int(headers["Content-Length"]))
            assert body.startswith(b"# HELP") and body.endswith(b"\n")


def test_idle_connections_are_small(make_tls):
    """HTTP/2 over TLS, each after a request: half of it is OpenSSL's."""
    count = 1000
    pingd = make_tls("--max-connections", str(count + 100), "--max-connections-per-address", str(count + 100)).start()
    context = pingd.context("h2")

    def resident_kib():
        return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pingd.process.pid}/status").read_text())[1])

    def connect(_):
        sock = pingd.open(context=context)
        assert h2_get(sock, "/livez") == b"ok\n"
        return sock

    with concurrent.futures.ThreadPoolExecutor(32) as threads, contextlib.ExitStack() as stack:
        socks = [stack.enter_context(sock) for sock in threads.map(connect, range(50))]
        before = resident_kib()
        socks += [stack.enter_context(sock) for sock in threads.map(connect, range(count - len(socks)))]
        used = (resident_kib() - before) / (count - 50)
        print(f"{used:.1f} KiB each")
        assert used < 30
        assert h2_get(pingd.open(context=context), "/livez") == b"ok\n"


def test_pingctl_speaks_tls(make_tls):
    pingd = make_tls().start()
    assert pingd.ctl("load", "--pings", "2000", "--clients", "10", "--connections", "3").returncode == 0
    assert pingd.ctl("count").stdout == "2,000 pings\n"
    environment = {"PINGCTL_ADDRESS": pingd.address}
    done = subprocess.run([BUILD / "pingctl", "count"], capture_output=True, text=True, env=environment)
    assert done.returncode == 3 and "--ca FILE" in done.stderr
    environment["PINGCTL_CA"] = "/nowhere"
    done = subprocess.run([BUILD / "pingctl", "load", "--pings", "1"], capture_output=True, text=True, env=environment)
    assert done.returncode == 2 and "/nowhere" in done.stderr


def test_settings_that_can_not_work_are_said(make_tls, make_pingd):
    pingd = make_tls()
    pingd.put(OTHER)
    shutil.copy(pingd.pems / f"{SERVER}.key", pingd.key)
    assert pingd.spawn().wait() == 1
    assert "does not belong to" in pingd.log()
    lonely = make_pingd("--tls-key", "/nowhere", name="lonely")
    assert lonely.spawn().wait() == 2
    assert "add --tls-certificate FILE" in lonely.log()
    plain = make_pingd("--listen-plain", "127.0.0.1:0", name="plain")
    assert plain.spawn().wait() == 2
    assert "all addresses are plain" in plain.log()
