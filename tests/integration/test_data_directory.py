"""A full disk, a read-only directory, a second process, a clock set back: clear words, and nothing acknowledged is lost."""
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import time

import pytest
from conftest import DEADLINE_S, scaled, wait_for


def in_namespace(script):
    """Runs `script` as the parent of pingd in a mount namespace of its own, so that its mounts end with it."""
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script + '; exec "$@"', "pingd"]


needs_mounts = pytest.mark.skipif(
    subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0, reason="mount namespaces need root")


@needs_mounts
def test_a_full_disk_fails_pings_clearly_and_loses_none_acknowledged(make_pingd, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    pingd = make_pingd(prefix=in_namespace(f"mount -t tmpfs -o size=24m tmpfs {disk}"))
    pingd.data = disk / "data"
    pingd.start()
    acknowledged, answer = 0, None
    inside = f"/proc/{pingd.process.pid}/root{disk}"
    deadline = time.monotonic() + 4 * DEADLINE_S
    # Fill what is left but a little, then ping until it is full.
    assert pingd.ping(1_728_926_331_000, "203.0.113.1")[0] == 200
    acknowledged += 1
    free = os.statvfs(inside).f_bavail * os.statvfs(inside).f_frsize
    with open(f"{inside}/ballast", "wb") as ballast:
        ballast.write(bytes(max(0, free - 1024 * 1024)))
    while time.monotonic() < deadline:
        status, answer = pingd.ping(1_728_926_331_000 + acknowledged, f"203.0.113.{acknowledged % 200}")
        if status != 200:
            break
        acknowledged += 1
    assert status == 503 and answer["code"] == "unavailable", answer
    assert "disk is full" in answer["message"], answer
    assert int(pingd.ask("PingCount", {})["pingCount"]) == acknowledged
    wait_for("the log to say it", lambda: "full" in pingd.log())
    os.unlink(f"{inside}/ballast")
    wait_for("pings to be taken again", lambda: pingd.ping(1_728_926_331_000, "203.0.113.9")[0] == 200)
    kept = int(pingd.ask("PingCount", {})["pingCount"])
    assert kept == acknowledged + 1
    pingd.caught_up()
    shutil.copytree(f"{inside}/data", tmp_path / "copy")
    pingd.data = tmp_path / "copy"
    assert pingd.audit()["differences"] == 0


@needs_mounts
def test_a_read_only_data_directory_is_named(make_pingd, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    pingd = make_pingd(prefix=in_namespace(f"mount -t tmpfs -o ro tmpfs {disk}"))
    pingd.data = disk / "data"
    pingd.spawn()
    assert pingd.wait() != 0
    assert str(pingd.data) in pingd.log() and "read-only" in pingd.log().lower().replace("read only", "read-only"), pingd.log()


def test_a_second_pingd_on_the_same_directory_refuses(make_pingd):
    first = make_pingd().start()
    second = make_pingd(name="second")
    second.data = first.data
    second.spawn()
    assert second.wait() != 0
    assert str(first.data) in second.log() and str(first.process.pid) in second.log(), second.log()
    assert first.ping(1_728_926_331_000)[0] == 200


def test_a_clock_set_back_keeps_ids_and_positions_increasing(make_pingd, tmp_path):
    offset = tmp_path / "offset_ms"
    offset.write_text("0")
    pingd = make_pingd(env={"PING_TEST_CLOCK_OFFSET_FILE": str(offset)}).start()
    count = scaled(200)
    for i in range(count):
        if i == count // 2:
            replacement = tmp_path / "offset_new"
            replacement.write_text(str(-3_600_000))
            os.replace(replacement, offset)
        assert pingd.ping(1_728_926_331_000 + i, "203.0.113.7")[0] == 200
    pingd.kill()
    pingd.start()
    assert pingd.ping(1_728_926_331_000, "203.0.113.7")[0] == 200
    pingd.caught_up()
    assert pingd.audit()["differences"] == 0
    with sqlite3.connect(pingd.data / "ledger.db") as ledger:
        ids = [row[0] for row in ledger.execute("SELECT id FROM pings ORDER BY position")]
        received = [row[0] for row in ledger.execute("SELECT received_at FROM pings ORDER BY position")]
    assert len(ids) == count + 1 and all(a < b for a, b in zip(ids, ids[1:]))
    assert min(received) < received[0] - 3_000_000, "the clock was not set back"


def test_an_older_ledger_put_back_under_newer_metrics_is_told_however_far_it_got(make_pingd, tmp_path):
    def ping_some(count, first_ms):
        for i in range(count):
            assert pingd.ping(first_ms + i * 1000, "203.0.113.7")[0] == 200

    def engine():
        return next(d for d in json.loads(pingd.get("/readyz")[1])["dependencies"] if d["name"] == "engine")

    pingd = make_pingd().start()
    ping_some(20, 1_728_926_331_000)
    assert pingd.stop() == 0
    copy = tmp_path / "ledger.db"
    shutil.copy(pingd.data / "ledger.db", copy)
    pingd.start()
    ping_some(20, 1_728_936_331_000)
    assert pingd.stop() == 0
    shutil.copy(copy, pingd.data / "ledger.db")
    # At first it is behind the metrics; a start later it is past them, with other pings at the same positions.
    for _ in range(2):
        pingd.start()
        wait_for("the engine to stop", lambda: engine()["state"] == "down")
        assert int(pingd.ask("GetPipelineStatus", {})["lagEvents"]) > 0
        assert "older copy" in engine()["detail"] and "move metrics.db away" in engine()["detail"]
        ping_some(30, 1_728_946_331_000)
        assert pingd.stop() == 0
    for path in pingd.data.glob("metrics.db*"):
        path.unlink()
    pingd.start()
    pingd.caught_up()
    report = pingd.audit()
    assert report["position"] == 80 and report["differences"] == 0


def test_after_the_clock_was_set_back_clients_are_in_order_again(make_pingd, tmp_path):
    """Also those who stay silent: the clock went on by two days, so that nobody was active any more, and came back."""
    offset = tmp_path / "offset_ms"

    def set_clock(hours):
        replacement = tmp_path / "offset_new"
        replacement.write_text(str(hours * 3_600_000))
        os.replace(replacement, offset)

    def ranking():
        page = pingd.ask("ListClients", {})
        return [(client["clientIp"], int(client.get("pingCount", 0))) for client in page.get("clients", [])]

    set_clock(0)
    pingd = make_pingd(env={"PING_TEST_CLOCK_OFFSET_FILE": str(offset)}).start()
    now_ms = int(time.time() * 1000)
    for client in range(5):
        for i in range(client + 1):
            assert pingd.ping(now_ms - i, f"203.0.113.{client}")[0] == 200
    expected = [(f"203.0.113.{client}", client + 1) for client in reversed(range(5))]
    wait_for("the clients to be listed by their pings", lambda: ranking() == expected)
    set_clock(48)
    wait_for("all to be silent", lambda: all(count == 0 for _, count in ranking()))

    def materialised():
        with contextlib.closing(sqlite3.connect(f"file:{pingd.data}/metrics.db?mode=ro", uri=True)) as metrics:
            return metrics.execute("SELECT count(*) FROM activity_24h").fetchone()[0]

    wait_for("their activities to go", lambda: materialised() == 0)
    set_clock(0)
    wait_for("their activities to come back", lambda: materialised() == 5)
    wait_for("the order to come back", lambda: ranking() == expected)
