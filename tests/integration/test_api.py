"""The API as curl, a browser and a generated client meet it."""
import json
import subprocess
import time

import pytest
from conftest import wait_for

pytestmark = pytest.mark.sanitized

NOW_MS = 1_728_926_331_000  # 2024-10-14T17:18:51Z
WINDOW_MS = 300_000


def curl(pingd, path, *arguments):
    """(status, content type, body), by the real curl."""
    done = subprocess.run(["curl", "-sS", "-m", "120", "-w", "\n%{http_code}\t%{content_type}\t%{http_version}", *arguments, pingd.address + path],
                          capture_output=True, timeout=150)
    assert done.returncode == 0, done.stderr
    body, _, last = done.stdout.rpartition(b"\n")
    status, content_type, version = last.decode().split("\t")
    return int(status), content_type, version, body


JSON = ("-H", "Content-Type: application/json")


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
@pytest.mark.parametrize("body", ['{"timestamp_ms": 1728926331000}', '{"timestampMs": 1728926331000}', '{"timestampMs": "1728926331000"}',
                                  '{"timestamp_ms": "1728926331000", "unknown": [1, {"x": null}]}'])
def test_curl_pings_with_every_spelling(pingd, version, body):
    status, content_type, http, answer = curl(pingd, "/ping.v1.PingService/Ping", version, *JSON, "-d", body)
    assert (status, content_type, answer) == (200, "application/json", b"{}")
    assert http == ("1.1" if version == "--http1.1" else "2")
    assert pingd.ask("PingCount", {}) == {"pingCount": "1"}


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_binary_protobuf(pingd, tmp_path, version):
    (tmp_path / "request").write_bytes(bytes.fromhex("08b8feecb8a832"))  # timestamp_ms: 1728926400312
    status, content_type, _, answer = curl(pingd, "/ping.v1.PingService/Ping", version, "-H", "Content-Type: application/proto",
                                           "--data-binary", f"@{tmp_path}/request")
    assert (status, content_type, answer) == (200, "application/proto", b"")
    status, _, _, answer = curl(pingd, "/ping.v1.PingService/PingCount", version, "-H", "Content-Type: application/proto", "--data-binary", "")
    assert (status, answer) == (200, b"\x08\x01")


@pytest.mark.parametrize("message, field", [
    ('{"timestamp_ms": "soon"}', "timestamp_ms"), ('{"timestampMs": 1.5}', "timestamp_ms"), ('{"timestampMs": true}', "timestamp_ms"),
    ('{"timestampMs": [1]}', "timestamp_ms"), ('{"timestampMs": 99999999999999999999}', "timestamp_ms"), ("{}", "timestamp_ms"),
    ('{"timestampMs": 0}', "timestamp_ms"), ('{"timestampMs": -1}', "timestamp_ms"), ('{"timestampMs": 253402300800000}', "timestamp_ms"),
    ('{"timestampMs": 1728926331000, "idempotencyKey": 7}', "idempotency_key"),
    ('{"timestampMs": 1728926331000, "idempotencyKey": "%s"}' % ("k" * 129), "idempotency_key")])
def test_a_wrong_argument_is_named(pingd, message, field):
    status, content_type, _, answer = curl(pingd, "/ping.v1.PingService/Ping", *JSON, "-d", message)
    error = json.loads(answer)
    assert (status, content_type, error["code"]) == (400, "application/json", "invalid_argument")
    assert field in error["message"] or field.title().replace("_", "")[1:] in error["message"], error
    assert pingd.ask("PingCount", {}) == {}


@pytest.mark.parametrize("body", ["", "{", '{"timestampMs": 1728926331000} x', "[]", "null", '{"timestampMs": 1, "timestampMs": 2}'])
def test_what_is_no_message_is_refused(pingd, body):
    status, _, _, answer = curl(pingd, "/ping.v1.PingService/Ping", *JSON, "-d", body)
    assert (status, json.loads(answer)["code"]) == (400, "invalid_argument")


def test_a_timestamp_in_the_future_is_refused_past_the_allowed_skew(pingd):
    now = int(time.time() * 1000)
    assert pingd.ping(now + 240_000)[0] == 200
    status, error = pingd.ping(now + 360_000)
    assert status == 400 and "timestamp_ms" in error["message"]


def test_status_codes_of_the_protocol(pingd):
    ping = "/ping.v1.PingService/Ping"
    assert curl(pingd, "/ping.v1.PingService/Nothing", *JSON, "-d", "{}")[0] == 404
    assert curl(pingd, ping, "-H", "Content-Type: text/plain", "-d", "{}")[0] == 415
    assert curl(pingd, ping)[0] == 405
    assert curl(pingd, ping, "-X", "DELETE")[0] == 405
    status, _, _, answer = curl(pingd, ping, *JSON, "-H", "Connect-Timeout-Ms: soon", "-d", "{}")
    assert (status, json.loads(answer)["code"]) == (400, "invalid_argument")
    status, _, _, answer = curl(pingd, ping, *JSON, "-H", "Connect-Timeout-Ms: 0", "-d", '{"timestampMs": 1728926331000}')
    assert (status, json.loads(answer)["code"]) == (504, "deadline_exceeded")
    status, _, _, answer = curl(pingd, "/ping.v1.MetricsService/WatchWindowStats", *JSON, "-d", "{}")
    assert status in (415, 501)


@pytest.mark.parametrize("query", ["connect=v1&encoding=json&message=%7B%7D", "encoding=json&message=e30&base64=1&connect=v1",
                                   "encoding=proto&message=&connect=v1"])
def test_get_for_methods_without_side_effects(pingd, query):
    assert pingd.ping(NOW_MS)[0] == 200
    status, _, _, answer = curl(pingd, "/ping.v1.PingService/PingCount?" + query)
    assert status == 200 and answer in (b'{"pingCount":"1"}', b"\x08\x01")


def test_pipelined_requests_are_answered_in_order(pingd):
    pings = 50
    connection = pingd.connect()
    connection.connect()
    body = b'{"timestampMs":1728926331000}'
    one = (b"POST /ping.v1.PingService/Ping HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)) + body
    count = b"GET /ping.v1.PingService/PingCount?connect=v1&encoding=json&message=%7B%7D HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    connection.sock.sendall(one * pings + count)
    answer = b""
    while chunk := connection.sock.recv(65536):
        answer += chunk
    assert answer.count(b"HTTP/1.1 200 ") == pings + 1
    assert answer.endswith(b'{"pingCount":"%d"}' % pings)


@pytest.mark.parametrize("head", [
    b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    b"GET /livez HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n", b"GET /livez HTTP/1.1\nHost: x\n\n", b"GET /livez HTTP/1.1\r\n\r\n",
    b"POST /ping.v1.PingService/Ping HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"GET /livez HTTP/1.1\r\nHost : x\r\n\r\n"])
def test_ambiguous_requests_are_refused_and_the_connection_closed(pingd, head):
    connection = pingd.connect()
    connection.connect()
    connection.sock.sendall(head)
    answer = b""
    while chunk := connection.sock.recv(65536):
        answer += chunk
    assert answer.startswith(b"HTTP/1.1 400 "), answer


def test_who_sends_a_body_that_is_too_large_gets_to_read_why(pingd):
    status, error = pingd.call("Ping", {"timestampMs": NOW_MS, "idempotencyKey": "k" * (8 << 20)})  # sent whole before it reads
    assert (status, error["code"]) == (429, "resource_exhausted")
    connection = pingd.connect()
    connection.putrequest("POST", "/ping.v1.PingService/Ping")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", "9" * 30)
    connection.endheaders()
    assert connection.getresponse().status == 429


def test_headers_past_the_limit_are_refused(pingd):
    status = curl(pingd, "/livez", "-H", "X-Large: " + "a" * 20_000)[0]
    assert status == 431


# --- keys


def test_the_same_key_is_one_ping(pingd):
    for _ in range(3):
        assert pingd.ping(NOW_MS, "203.0.113.7", "key-1") == (200, {})
    assert pingd.ping(NOW_MS, "203.0.113.8", "key-1") == (200, {})  # another client's
    assert pingd.ask("PingCount", {}) == {"pingCount": "2"}
    status, error = pingd.ping(NOW_MS + 1, "203.0.113.7", "key-1")
    assert (status, error["code"]) == (409, "already_exists")
    pingd.kill()
    pingd.start()
    assert pingd.ping(NOW_MS, "203.0.113.7", "key-1") == (200, {})
    assert pingd.ask("PingCount", {}) == {"pingCount": "2"}


# --- counting


def test_ping_count_by_range(pingd):
    for offset in (0, 1, 1000, 59_999, 60_000, 86_400_000):
        assert pingd.ping(NOW_MS + offset)[0] == 200

    def count(start, end):
        return int(pingd.ask("PingCount", {"timeRange": {"start": start, "end": end}}).get("pingCount", 0))

    assert count(NOW_MS, NOW_MS + 1) == 1
    assert count(NOW_MS, NOW_MS + 60_000) == 4
    assert count(NOW_MS + 1, 0) == 5
    assert count(0, NOW_MS) == 0
    status, error = pingd.call("PingCount", {"timeRange": {"start": 2, "end": 1}})
    assert (status, error["code"]) == (400, "invalid_argument")


# --- metrics


def test_pings_become_windows_days_and_activity(pingd):
    now = int(time.time() * 1000)
    stamps = sorted({now - offset for offset in (0, 1000, 4000, 400_000, 7_200_000, 90_000_000)})
    for ms in stamps:
        assert pingd.ping(ms, "203.0.113.7")[0] == 200
    pingd.caught_up()

    before_ms = time.time() * 1000
    rows = pingd.ask("ListWindowStats", {"clientIp": "203.0.113.7"})["windowStats"]
    after_ms = time.time() * 1000
    starts = [int(row["windowStartMs"]) for row in rows]
    assert starts == sorted({ms - ms % WINDOW_MS for ms in stamps}, reverse=True)
    for row in rows:
        mine = [ms for ms in stamps if ms - ms % WINDOW_MS == int(row["windowStartMs"])]
        assert int(row["pingCount"]) == len(mine)
        assert (int(row["firstPingMs"]), int(row["lastPingMs"])) == (mine[0], mine[-1])
        assert int(row["windowEndMs"]) == int(row["windowStartMs"]) + WINDOW_MS
        assert row.get("avgIntervalMs") == ((mine[-1] - mine[0]) / (len(mine) - 1) if len(mine) > 1 else None)
        assert row.get("open", False) in {int(row["windowEndMs"]) > moment for moment in (before_ms, after_ms)}

    days = pingd.ask("ListDailyStats", {"clientIp": "203.0.113.7"})["dailyStats"]
    assert {row["day"]: int(row["totalPings"]) for row in days} == {
        day: sum(time.strftime("%Y-%m-%d", time.gmtime(ms / 1000)) == day for ms in stamps)
        for day in {time.strftime("%Y-%m-%d", time.gmtime(ms / 1000)) for ms in stamps}}

    activity = pingd.ask("GetActivity", {"clientIp": "203.0.113.7"})["activity"]
    recent = stamps[1:]  # the oldest left the 24 hours
    assert int(activity["pingCount"]) == len(recent)
    assert len(activity["windowCounts"]) == 288 and sum(map(int, activity["windowCounts"])) == len(recent)
    assert activity["avgIntervalMs"] == (recent[-1] - recent[0]) / (len(recent) - 1)
    listed = pingd.ask("ListClients", {})["clients"]
    assert [row["clientIp"] for row in listed] == ["203.0.113.7"]
    assert int(listed[0]["pingCount"]) == len(recent)


def test_late_pings_correct_their_window(pingd):
    for ms in (NOW_MS, NOW_MS + 10_000, NOW_MS - 5_000):
        assert pingd.ping(ms, "203.0.113.7")[0] == 200
        pingd.caught_up()
    row, = pingd.ask("ListWindowStats", {"clientIp": "203.0.113.7"})["windowStats"]
    assert (row["pingCount"], row["firstPingMs"], row["avgIntervalMs"]) == ("3", str(NOW_MS - 5_000), 7500)


def test_pages_join_to_the_whole(pingd):
    for i in range(25):
        assert pingd.ping(NOW_MS + i * WINDOW_MS, "2001:db8::1")[0] == 200
    pingd.caught_up()
    seen, token = [], ""
    while True:
        page = pingd.ask("ListWindowStats", {"clientIp": "2001:DB8:0::0001", "pageSize": 7, "pageToken": token})
        seen += [int(row["windowStartMs"]) for row in page["windowStats"]]
        token = page.get("nextPageToken", "")
        if not token:
            break
    assert len(seen) == 25 and seen == sorted(seen, reverse=True)
    status, error = pingd.call("ListWindowStats", {"clientIp": "2001:db8::1", "pageToken": "nonsense"})
    assert status == 400 and "page_token" in error["message"]


def test_unknown_clients_are_empty_and_wrong_ones_refused(pingd):
    assert pingd.ask("ListWindowStats", {"clientIp": "198.51.100.1"}) == {}
    assert int(pingd.ask("GetActivity", {"clientIp": "198.51.100.1"})["activity"].get("pingCount", 0)) == 0
    status, error = pingd.call("ListWindowStats", {"clientIp": "example"})
    assert (status, error["code"]) == (400, "invalid_argument") and "client_ip" in error["message"]


def test_clients_in_every_order(pingd):
    now = int(time.time() * 1000)
    pings = {"10.0.0.1": [now - 3_600_000] * 3, "10.0.0.2": [now - 1000], "10.0.0.10": [now - 200_000_000], "192.0.2.1": [now - 60_000] * 2}
    for client, stamps in pings.items():
        for ms in stamps:
            assert pingd.ping(ms, client)[0] == 200
    pingd.caught_up()

    def clients(**request):
        return [row["clientIp"] for row in pingd.ask("ListClients", request).get("clients", [])]

    assert clients(orderBy="CLIENT_ORDER_PING_COUNT") == ["10.0.0.1", "192.0.2.1", "10.0.0.2", "10.0.0.10"]
    assert clients(orderBy="CLIENT_ORDER_LAST_PING") == ["10.0.0.2", "192.0.2.1", "10.0.0.1", "10.0.0.10"]
    assert clients(orderBy="CLIENT_ORDER_CLIENT_IP", prefix="10.") == ["10.0.0.1", "10.0.0.2", "10.0.0.10"]
    silent = [row for row in pingd.ask("ListClients", {"prefix": "10.0.0.10"})["clients"]]
    assert int(silent[0].get("pingCount", 0)) == 0 and int(silent[0]["lastPingMs"]) == now - 200_000_000


# --- addresses


def test_the_client_is_the_peer_unless_a_trusted_proxy_says_otherwise(make_pingd):
    pingd = make_pingd(trusted="203.0.113.0/24").start()
    assert pingd.ping(NOW_MS, "198.51.100.9")[0] == 200
    pingd.caught_up()
    assert pingd.ask("ListWindowStats", {"clientIp": "198.51.100.9"}) == {}
    assert len(pingd.ask("ListWindowStats", {"clientIp": "127.0.0.1"})["windowStats"]) == 1


def test_a_proxy_that_passes_the_other_header_on_lends_its_voice_to_nobody(pingd):
    status, _ = pingd.call("Ping", {"timestampMs": NOW_MS}, {"Forwarded": "for=6.6.6.6", "X-Forwarded-For": "198.51.100.9"})
    assert status == 200
    pingd.caught_up()
    assert [row["clientIp"] for row in pingd.ask("ListClients", {})["clients"]] == ["127.0.0.1"]


@pytest.mark.parametrize("header, value, client", [
    ("X-Forwarded-For", "198.51.100.9", "198.51.100.9"), ("X-Forwarded-For", "6.6.6.6, 198.51.100.9, 127.0.0.9", "198.51.100.9"),
    ("X-Forwarded-For", "::ffff:198.51.100.9", "198.51.100.9"), ("X-Forwarded-For", "2001:DB8::0:1", "2001:db8::1"),
    ("Forwarded", 'for="[2001:db8::7]:4711";proto=http', "2001:db8::7"), ("Forwarded", "for=6.6.6.6, for=198.51.100.10", "198.51.100.10")])
def test_the_rightmost_untrusted_address_counts(pingd, header, value, client):
    status, _ = pingd.call("Ping", {"timestampMs": NOW_MS}, {header: value})
    assert status == 200
    pingd.caught_up()
    row, = pingd.ask("ListWindowStats", {"clientIp": client})["windowStats"]
    assert row["clientIp"] == client


def test_proxy_protocol_from_a_trusted_peer(pingd):
    connection = pingd.connect()
    connection.connect()
    header = b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x21, 0x11, 0, 12]) + bytes([198, 51, 100, 77, 127, 0, 0, 1]) + b"\x12\x34\x1f\x90"
    connection.sock.sendall(header)
    connection.request("POST", "/ping.v1.PingService/Ping", json.dumps({"timestampMs": NOW_MS}), {"Content-Type": "application/json"})
    assert connection.getresponse().status == 200
    pingd.caught_up()
    assert len(pingd.ask("ListWindowStats", {"clientIp": "198.51.100.77"})["windowStats"]) == 1


# --- a ping is seen soon


def test_a_ping_is_seen_without_asking_twice_for_long(pingd):
    assert pingd.ping(NOW_MS, "203.0.113.7")[0] == 200
    wait_for("the ping in its window", lambda: pingd.ask("ListWindowStats", {"clientIp": "203.0.113.7"}).get("windowStats"))
