"""An OK survives whatever happens to the process, and is counted once."""
import collections
import os
import signal
import subprocess

import pytest
from conftest import BUILD, processes, scaled, wait_for

WINDOW_MS = 300_000


def recorded(path):
    """The acknowledged pings that `pingctl load --record` wrote: (client, timestamp_ms), one a line."""
    with open(path) as lines:
        return [(client, int(ms)) for client, ms in (line.split() for line in lines)]


def start_load(pingd, record, *arguments):
    return subprocess.Popen(
        processes.tied([BUILD / "pingctl", "load", "--record", record, *arguments]), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PINGCTL_ADDRESS": pingd.address})


def windows_of(pingd, client):
    """Every window of the client by its start, over all pages."""
    found, token = {}, ""
    while True:
        page = pingd.ask("ListWindowStats", {"clientIp": client, "pageSize": 1000, "pageToken": token})
        for row in page.get("windowStats", []):
            found[int(row["windowStartMs"])] = int(row["pingCount"])
        token = page.get("nextPageToken", "")
        if not token:
            return found


@pytest.mark.sanitized
def test_every_acknowledged_ping_is_counted_once_over_five_kills(make_pingd, tmp_path):
    pingd = make_pingd().start()
    record, total = tmp_path / "acknowledged", scaled(200_000)
    load = start_load(pingd, record, "--pings", str(total), "--clients", "1000", "--keys", "--retry", "--duration", "500s",
                      "--timestamps", "spread:24h")
    for kill in range(1, 6):
        goal = total * kill // 10  # half of the load is left when this process hears late of the last one
        wait_for(f"{goal} pings before kill {kill}",
                 lambda: load.poll() is not None or int(pingd.ask("PingCount", {}).get("pingCount", 0)) >= goal, 240)
        assert load.poll() is None, f"the load ended before kill {kill}: {load.stdout.read()}"
        pingd.kill()
        pingd.start()
    output, _ = load.communicate(timeout=500)
    assert load.returncode == 0, output

    acknowledged = recorded(record)
    assert len(acknowledged) == total
    assert int(pingd.ask("PingCount", {})["pingCount"]) == total  # keys: each once, whatever was tried again
    pingd.caught_up()
    expected = collections.defaultdict(collections.Counter)
    for client, ms in acknowledged:
        expected[client][ms - ms % WINDOW_MS] += 1
    for client in sorted(expected)[:: max(1, len(expected) // 100)]:
        assert windows_of(pingd, client) == dict(expected[client]), client
    report = pingd.audit()
    assert report["differences"] == 0, report


@pytest.mark.sanitized
def test_sigterm_under_load_loses_no_answered_ping(make_pingd, tmp_path):
    pingd = make_pingd().start()
    record = tmp_path / "acknowledged"
    load = start_load(pingd, record, "--pings", str(scaled(1_000_000)), "--clients", "100", "--duration", "60s")
    wait_for("pings to flow", lambda: int(pingd.ask("PingCount", {}).get("pingCount", 0)) > scaled(5000))
    assert pingd.stop() == 0, pingd.log()[-2000:]
    load.communicate(timeout=120)
    acknowledged = len(recorded(record))
    assert acknowledged > 0
    pingd.start()
    kept = int(pingd.ask("PingCount", {})["pingCount"])
    assert kept >= acknowledged
    pingd.caught_up()
    assert pingd.audit()["differences"] == 0


def test_a_second_sigterm_ends_at_once(make_pingd):
    pingd = make_pingd("--drain-timeout", "1h", "--body-timeout", "1h", "--default-timeout", "1h", "--max-timeout", "1h").start()
    # A request that is never finished keeps the drain waiting. Its head has been read when its body is asked for.
    connection = pingd.connect()
    connection.connect()
    connection.sock.sendall(b"POST /ping.v1.PingService/Ping HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n"
                            b"Expect: 100-continue\r\n\r\n")
    assert connection.sock.recv(1000).startswith(b"HTTP/1.1 100 ")
    pingd.signal(signal.SIGTERM)
    wait_for("the drain to begin", lambda: "msg=draining" in pingd.log())
    pingd.signal(signal.SIGTERM)
    assert pingd.wait() != 0
    assert "told to stop twice" in pingd.log()
    connection.close()


def test_metrics_are_derived_anew_when_their_file_is_gone(make_pingd):
    pingd = make_pingd().start()
    for i in range(50):
        assert pingd.ping(1_728_926_331_000 + i * 1000, "203.0.113.7")[0] == 200
    pingd.caught_up()
    before = pingd.ask("ListWindowStats", {"clientIp": "203.0.113.7"})
    assert pingd.stop() == 0
    for path in pingd.data.glob("metrics.db*"):
        path.unlink()
    pingd.start()
    pingd.caught_up()
    assert pingd.ask("ListWindowStats", {"clientIp": "203.0.113.7"}) == before
    assert pingd.audit()["differences"] == 0


def test_a_long_way_to_catch_up_is_told(make_pingd):
    pingd = make_pingd("--roles", "api").start()
    pingd.ctl("load", "--pings", "120000", "--clients", "50", "--duration", "500s")
    assert pingd.stop() == 0
    pingd = make_pingd().start()
    wait_for("a line in the log", lambda: 'msg="the engine catches up" events_left=' in pingd.log())
    pingd.caught_up()
    assert pingd.audit()["position"] == 120_000


@pytest.mark.sanitized
def test_the_audit_finds_no_difference_while_pings_pour_in(make_pingd, tmp_path):
    pingd = make_pingd().start()
    load = start_load(pingd, tmp_path / "acknowledged", "--pings", "100000000", "--rate", str(scaled(15_000)), "--clients", "200", "--duration", "500s")
    seen = []
    try:
        while len(seen) < 4:
            report = pingd.audit()
            assert report["differences"] == 0, report
            if report["position"] > (seen[-1] if seen else 0):
                seen.append(report["position"])  # it goes on meanwhile
            assert load.poll() is None, load.stdout.read()
    finally:
        load.kill()
        load.communicate()
    pingd.caught_up()
    assert pingd.audit()["position"] >= seen[-1]
