"""What an operator meets: probes, metrics, logs, settings, programs."""
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess

import pytest
from conftest import BUILD, DEADLINE_S, ROOT, wait_for

NOW_MS = 1_728_926_331_000


def test_probes(pingd):
    for path in ("/livez", "/healthz", "/readyz"):
        assert pingd.get(path)[0] == 200, path
    status, body = pingd.get("/readyz")
    ready = json.loads(body)
    names = {line["name"] for line in ready["dependencies"]}
    assert {"ledger", "store", "engine"} <= names, ready
    # One line per dependency, for people.
    assert all(any(f'"{name}"' in line for line in body.decode().splitlines()) for name in names)


def promtool():
    """From PATH, or where the test runner put it."""
    found = shutil.which("promtool") or os.environ.get("PROMTOOL")
    return found if found and os.path.exists(found) else None


def test_metrics_pass_promtool(pingd):
    for i in range(20):
        assert pingd.ping(NOW_MS + i, f"203.0.113.{i}", f"key-{i}")[0] == 200
    assert pingd.ping(0)[0] == 400
    pingd.caught_up()
    status, text = pingd.get("/metrics")
    assert status == 200
    accepted = re.search(rb"^ping_ingest_accepted_total (\d+)", text, re.M)
    assert accepted and int(accepted[1]) == 20, text.decode()
    if not promtool():
        pytest.skip("promtool is not here")
    done = subprocess.run([promtool(), "check", "metrics"], input=text, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_log_lines_are_logfmt_or_json(make_pingd):
    pingd = make_pingd("--log-format", "json").start()
    assert pingd.stop() == 0
    lines = [json.loads(line) for line in pingd.log().splitlines()]
    assert lines and all({"level", "time"} <= set(line) for line in lines), lines[:1]


def test_the_config_file_and_its_errors(make_pingd, tmp_path):
    config = tmp_path / "pingd.ini"
    config.write_text("data-dir = /nowhere\nthreads = 1\n")
    done = subprocess.run([BUILD / "pingd", "--check-config", "--config", config], capture_output=True, text=True)
    assert done.returncode == 0 and "/nowhere" in done.stdout, done
    config.write_text("treads = 1\n")
    done = subprocess.run([BUILD / "pingd", "--check-config", "--config", config], capture_output=True, text=True)
    assert done.returncode == 2 and "treads" in done.stderr and "threads" in done.stderr and ":1" in done.stderr, done


@pytest.mark.parametrize("arguments, words", [
    (["--store", "scylla://127.0.0.1"], "--log"), (["--log", "kafka://127.0.0.1"], "--ledger"), (["--roles", "dance"], "roles"),
    (["--listen", "nowhere"], "listen"), (["--listen", ""], "listen"), (["--roles", ""], "roles"), (["--ledger", "mysql://x"], "ledger")])
def test_what_does_not_go_together_is_refused_naming_the_way_out(tmp_path, arguments, words):
    done = subprocess.run([BUILD / "pingd", "--data-dir", tmp_path / "data", *arguments], capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == 2 and words in done.stderr, done


def test_a_port_in_use_is_named(make_pingd, pingd):
    second = make_pingd(name="second")
    second.port = pingd.port
    second.spawn()
    assert second.wait() != 0
    assert str(pingd.port) in second.log() and "in use" in second.log().lower(), second.log()


def test_logs_that_nobody_reads_stop_nothing(make_pingd):
    """The reader of stderr hangs, then SIGTERM: served all along, and an end in order."""
    pingd = make_pingd()
    pingd.folder.mkdir(parents=True)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 100)
    os.set_blocking(writer, True)
    pingd.process = subprocess.Popen(pingd.command(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=writer)
    wait_for("pingd to be ready", pingd.ready_or_gone)
    assert pingd.ping(NOW_MS)[0] == 200
    assert pingd.stop() == 0
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_without_standard_files_the_log_goes_into_no_file(make_pingd, closed):
    pingd = make_pingd(prefix=["bash", "-c", f'exec "$0" "$@" {closed}'])
    pingd.start()
    for number in (0, 1, 2):
        assert not os.readlink(f"/proc/{pingd.process.pid}/fd/{number}").startswith(str(pingd.data))
    assert pingd.ping(NOW_MS)[0] == 200
    assert pingd.stop() == 0
    assert all(b"level=" not in path.read_bytes() for path in pingd.data.iterdir())


def test_connections_leave_files_for_queries(make_pingd):
    pingd = make_pingd("--header-timeout", "1h", prefix=["bash", "-c", 'ulimit -n 100; exec "$0" "$@"']).start()
    with contextlib.ExitStack() as stack:
        first = pingd.connect()
        first.connect()
        stack.callback(first.close)
        for _ in range(150):
            stack.enter_context(socket.create_connection(("127.0.0.1", pingd.port)))
        wait_for("the limit", lambda: "max_connections is reached" in pingd.log())
        first.request("POST", "/ping.v1.PingService/PingCount", "{}", {"Content-Type": "application/json"})
        assert first.getresponse().status == 200
    assert "Too many open files" not in pingd.log()
    assert pingd.ping(NOW_MS)[0] == 200


def test_pingctl_commands_on_a_living_pingd(pingd):
    pingd.ctl("ping", "--as", "203.0.113.7")
    pingd.caught_up()
    assert "1" in pingd.ctl("count").stdout
    for command in ("windows", "days", "activity"):
        assert len(pingd.ctl(command, "203.0.113.7").stdout.splitlines()) >= 2, command
        assert "203.0.113.7" in json.dumps(json.loads(pingd.ctl(command, "203.0.113.7", "--json").stdout)), command
    assert "203.0.113.7" in pingd.ctl("top").stdout
    assert "sqlite" in pingd.ctl("status").stdout
    assert "\x1b" not in pingd.ctl("status").stdout
    assert pingd.audit()["differences"] == 0


def test_pingctl_without_standard_output_prints_into_no_file(pingd, tmp_path):
    subprocess.run(["bash", "-c", 'exec "$0" "$@" >&-', BUILD / "pingctl", "load", "--pings", "10", "--clients", "2", "--record",
                    tmp_path / "record", "--address", pingd.address], check=True, timeout=DEADLINE_S)
    lines = (tmp_path / "record").read_text().splitlines()
    assert len(lines) == 10 and all(re.fullmatch(r"[0-9.]+ \d+", line) for line in lines), lines


def test_pingctl_exit_codes(pingd):
    assert pingd.ctl("windows", check=False).returncode == 2
    assert pingd.ctl("nonsense", check=False).returncode == 2
    answered = pingd.ctl("ping", "--timestamp-ms", "0", check=False)
    assert answered.returncode == 4 and "timestamp_ms" in answered.stderr, answered
    assert pingd.stop() == 0
    gone = pingd.ctl("count", check=False)
    assert gone.returncode == 3 and str(pingd.port) in gone.stderr, gone


def test_the_audit_finds_a_damaged_row(pingd):
    import sqlite3
    for i in range(10):
        assert pingd.ping(NOW_MS + i, "203.0.113.7")[0] == 200
    pingd.caught_up()
    assert pingd.stop() == 0
    with sqlite3.connect(pingd.data / "metrics.db") as metrics:
        assert metrics.execute("UPDATE window_stats SET ping_count = ping_count + 1").rowcount == 1
    done = pingd.ctl("audit", data=True, check=False)
    assert done.returncode == 1 and "203.0.113.7" in done.stdout, done


def test_load_says_when_the_server_does_not_trust_its_header(make_pingd):
    pingd = make_pingd(trusted="203.0.113.0/24").start()
    done = pingd.ctl("load", "--pings", "100", "--clients", "10", check=False)
    assert "trusted" in done.stdout + done.stderr, done


def test_load_over_http2_from_many_clients(pingd):
    done = pingd.ctl("load", "--pings", "2000", "--clients", "50")
    assert int(pingd.ask("PingCount", {})["pingCount"]) >= 2000, done.stdout
    pingd.caught_up()
    assert int(pingd.ask("GetPipelineStatus", {})["clients"]) >= 50


def test_version_and_help():
    for program in ("pingd", "pingctl"):
        assert re.search(r"\d+\.\d+\.\d+", subprocess.run([BUILD / program, "--version"], capture_output=True, text=True).stdout)
        assert "--" in subprocess.run([BUILD / program, "--help"], capture_output=True, text=True).stdout


def test_the_makefile_lists_its_targets():
    text = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    for target in ("run", "test", "check", "soak", "bench", "fuzz", "format"):
        assert f"make {target}" in text
