"""pingd on PostgreSQL: real servers that the tests start, kill and cut off."""
import concurrent.futures
import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest
from conftest import BUILD, DEADLINE_S, ROOT, free_port, processes, scaled, wait_for

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from postgres import Postgres, binaries, unprivileged  # noqa: E402
from proxy import Proxy  # noqa: E402

pytestmark = pytest.mark.skipif(binaries() is None, reason="no PostgreSQL server: apt-get install postgresql")
NOW_MS = 1_700_000_000_123
ROLLUP_IS_EXACT = "SELECT bool_and(total = (SELECT count(*) FROM pings)) FROM" \
                  " (SELECT sum(count) AS total FROM ping_counts GROUP BY level) t"


def make_certificates(folder):
    """A throw-away CA and a server's certificate for localhost; another CA that signed nothing."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
    for name in ("ca", "other"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                "-keyout", f"{name}.key", "-out", f"{name}.crt")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost",
            "-keyout", "server.key", "-out", "server.csr")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-out", "server.crt")
    (folder / "server.key").chmod(0o600)
    if os.getuid() == 0:
        shutil.chown(folder / "server.key", "nobody", "nogroup")


@pytest.fixture(scope="module")
def server():
    server = Postgres()
    try:
        make_certificates(server.folder)
        server.settings += ["ssl=on", f"ssl_cert_file={server.folder}/server.crt", f"ssl_key_file={server.folder}/server.key"]
        yield server.start()
    finally:
        server.remove()


class Database:
    count = 0

    def __init__(self, server):
        Database.count += 1
        self.server, self.name = server, f"ping{Database.count}"
        server.sql(f"CREATE DATABASE {self.name}")

    def url(self, **more):
        return self.server.url(self.name, **more)

    def sql(self, text, check=True):
        return self.server.sql(text, self.name, check)

    def number(self, text):
        return int(self.sql(text))

    def bench(self, clients, *scripts, timeout_s=30):
        """pgbench, by which others write until end_bench: scripts of SQL, in turns. No statement of theirs may take longer than timeout_s."""
        files = []
        for number, script in enumerate(scripts):
            files.append(self.server.folder / f"{self.name}-{number}.sql")
            files[-1].write_text(script)
        return subprocess.Popen(
            processes.tied([self.server.bin / "pgbench", "-n", "-T", "3600", "-c", str(clients), *(part for f in files for part in ("-f", f)),
                            self.url()]), env={**os.environ, "PGOPTIONS": f"-c statement_timeout={timeout_s}s"}, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)


def end_bench(process):
    """As when its time is over, which an alarm tells it: each client ends what it has begun, and none has failed."""
    assert process.poll() is None, process.stdout.read()  # they were at it all the time
    process.send_signal(signal.SIGALRM)
    output, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0 and "number of failed transactions: 0 " in output, output


@pytest.fixture
def database(server):
    return Database(server)


def count(pingd, **time_range):
    return int(pingd.ask("PingCount", {"timeRange": time_range} if time_range else {}).get("pingCount", 0))


def load(pingd, *arguments):
    return subprocess.Popen(processes.tied([BUILD / "pingctl", "load", *arguments]), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            env={**os.environ, "PINGCTL_ADDRESS": pingd.address})


def migrate(url, *arguments):
    return subprocess.run([BUILD / "pingctl", "migrate", "--ledger", url, *arguments], capture_output=True, text=True, timeout=300,
                          check=False)


# ── Pings and counts ──

def test_a_ping_is_one_row_and_counted_with_those_of_others(make_pingd, database):
    pingd = make_pingd("--ledger", database.url()).start()
    assert pingd.ping(NOW_MS, "203.0.113.7")[0] == 200
    assert pingd.ping(NOW_MS + 1, "2001:db8::1")[0] == 200
    database.sql("INSERT INTO pings (pinged_at) VALUES ('2024-10-14T15:45:31.5Z')")
    rows = database.sql("SELECT client_ip, extract(epoch FROM pinged_at) * 1000, received_at > now() - interval '1 minute', position"
                        " FROM pings WHERE client_ip IS NOT NULL ORDER BY id").splitlines()
    assert rows == [f"203.0.113.7|{NOW_MS}.000000|t|", f"2001:db8::1|{NOW_MS + 1}.000000|t|"]
    assert count(pingd) == 3
    assert count(pingd, start=NOW_MS, end=NOW_MS + 1) == 1
    assert count(pingd, start=1728920731500, end=1728920731501) == 1
    assert not pingd.data.exists()


def test_without_a_store_the_metrics_say_so_and_all_else_is_well(make_pingd, database):
    pingd = make_pingd("--ledger", database.url()).start()
    status, body = pingd.call("ListWindowStats", {"clientIp": "203.0.113.7"})
    assert (status, body["code"]) == (400, "failed_precondition")
    pipeline = pingd.ask("GetPipelineStatus", {})
    assert [pipeline.get(part, "") for part in ("ledger", "log", "store", "engine")] == ["postgres", "", "", ""]
    assert [part["name"] for part in pipeline["dependencies"]] == ["ledger"]
    audit = pingd.ctl("audit", "--ledger", database.url(), check=False)
    assert audit.returncode == 3 and "no metrics" in audit.stderr


def test_a_key_is_one_ping_on_whichever_replica_it_comes(make_pingd, database):
    replicas = [make_pingd("--ledger", database.url(), name=f"pingd{i}").start() for i in range(2)]
    keys = [f"key-{i}" for i in range(150)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda work: work[0].ping(NOW_MS, "203.0.113.7", work[1])[0],
                                [(replica, key) for key in keys for replica in replicas for _ in range(2)]))
    # A key that another transaction held for too long is a ping that was not kept, and may be sent again.
    assert set(answers) <= {200, 503}
    assert all(replica.ping(NOW_MS, "203.0.113.7", key)[0] == 200 for key in keys for replica in replicas)
    assert database.number("SELECT count(*) FROM pings") == len(keys) == count(replicas[0])
    status, body = replicas[1].ping(NOW_MS + 1, "203.0.113.7", keys[0])
    assert (status, body["code"]) == (409, "already_exists")
    assert replicas[1].ping(NOW_MS + 1, "203.0.113.8", keys[0])[0] == 200


def test_the_rollup_is_exact_whoever_writes_deletes_and_empties(make_pingd, database):
    pingd = make_pingd("--ledger", database.url()).start()
    others = database.bench(
        16, "INSERT INTO pings (pinged_at) SELECT now() - n * interval '7 ms' FROM generate_series(1, 3) n;",
        "DELETE FROM pings WHERE id IN (SELECT id FROM pings TABLESAMPLE SYSTEM (1) LIMIT 2);",
        "\\set day random(0, 3)\nBEGIN; INSERT INTO pings (pinged_at, received_at) VALUES (now() - :day * interval '400 days', now() - :day *"
        " interval '1 day'); INSERT INTO pings_default (pinged_at, received_at) VALUES ('1960-01-01', '2000-01-01'); COMMIT;")
    own = load(pingd, "--pings", str(scaled(20_000)), "--clients", "50", "--timestamps", "spread:90d")
    assert own.wait(400) == 0, own.stdout.read()
    end_bench(others)
    assert database.sql(ROLLUP_IS_EXACT) == "t"
    assert count(pingd) == database.number("SELECT count(*) FROM pings") > scaled(20_000)
    middle = int(time.time() * 1000) - 40 * 86_400_000
    assert count(pingd, start=middle) == database.number(f"SELECT count(*) FROM pings WHERE pinged_at >= to_timestamp({middle / 1000})")
    database.sql("TRUNCATE pings_default")
    assert database.sql(ROLLUP_IS_EXACT) == "t"
    assert "never change" in database.sql("UPDATE pings SET pinged_at = now()", check=False)
    database.sql("TRUNCATE pings")
    assert count(pingd) == 0


def test_days_are_made_ahead_once_and_rows_lie_in_theirs(make_pingd, database):
    pingd = make_pingd("--ledger", database.url()).start()
    assert pingd.ping(NOW_MS)[0] == 200
    assert database.number("SELECT pings_make_days(7)") == 0
    assert database.number("SELECT pings_make_days(9)") == 2
    assert database.sql("SELECT tableoid::regclass::text = to_char(now() AT TIME ZONE 'UTC', '\"pings_\"YYYYMMDD') FROM pings") == "t"


# ── When it breaks ──

@pytest.mark.sanitized
def test_every_acknowledged_ping_is_there_once_over_kills_of_the_server(make_pingd, tmp_path):
    server = Postgres()
    try:
        server.start()
        pingd = make_pingd("--ledger", server.url()).start()
        total = scaled(60_000)
        running = load(pingd, "--pings", str(total), "--clients", "500", "--keys", "--retry", "--duration", "400s", "--record",
                       tmp_path / "acknowledged")
        for kill in range(1, 3):
            wait_for(f"pings before kill {kill}", lambda: running.poll() is not None or server.number(
                "SELECT coalesce(sum(count), 0) FROM ping_counts WHERE level = 4") > total * kill // 4)
            assert running.poll() is None, running.stdout.read()
            server.kill()
            wait_for("readiness to go", lambda: pingd.get("/readyz")[0] == 503)
            begun = time.monotonic()
            status, body = pingd.ping(NOW_MS)
            assert (status, body["code"]) == (503, "unavailable") and time.monotonic() - begun < 30
            server.start()
        output, _ = running.communicate(timeout=400)
        assert running.returncode == 0, output
        wait_for("readiness to come back", lambda: pingd.get("/readyz")[0] == 200)
        assert len((tmp_path / "acknowledged").read_text().splitlines()) == total
        assert server.number("SELECT count(*) FROM pings") == total == count(pingd)
        assert server.number("SELECT count(DISTINCT id) FROM pings") == total
        assert server.sql(ROLLUP_IS_EXACT) == "t"
    finally:
        server.remove()


@pytest.fixture
def proxy(server):
    proxy = Proxy(server.port)
    yield proxy
    proxy.close()


@pytest.mark.parametrize("key", [None, "k"])
@pytest.mark.parametrize("committed", [False, True], ids=["before", "after"])
def test_a_commit_whose_reply_is_lost_is_not_known_and_its_key_resolves_it(make_pingd, database, proxy, committed, key):
    pingd = make_pingd("--ledger", database.url(port=proxy.port, sslmode="disable")).start()
    assert pingd.ping(NOW_MS)[0] == 200
    proxy.cut(b"INSERT INTO pings", forward=committed)
    status, body = pingd.ping(NOW_MS + 1, key=key)
    assert (status, body["code"]) == (504, "deadline_exceeded")
    assert proxy.cuts == 1
    assert database.number("SELECT count(*) FROM pings") == (2 if committed else 1)
    assert pingd.ping(NOW_MS + 1, key=key)[0] == 200
    assert database.number("SELECT count(*) FROM pings") == (3 if committed and not key else 2) == count(pingd)


def test_a_connection_lost_before_the_commit_was_sent_is_a_failure_that_is_known(make_pingd, database, proxy):
    pingd = make_pingd("--ledger", database.url(port=proxy.port, sslmode="disable")).start()
    for forward in (False, True):
        proxy.cut(b"INSERT INTO idempotency_keys", forward=forward)
        status, body = pingd.ping(NOW_MS, key="k")
        assert (status, body["code"]) == (503, "unavailable")
    assert database.number("SELECT count(*) FROM pings") == 0
    assert pingd.ping(NOW_MS, key="k")[0] == 200


def test_a_connection_that_was_closed_while_idle_costs_no_ping(make_pingd, database):
    pingd = make_pingd("--ledger", database.url()).start()
    for _ in range(3):
        assert pingd.ping(NOW_MS)[0] == 200
        database.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pingd'")
        wait_for("the sessions to end", lambda: database.number("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pingd'") == 0)
        assert pingd.ping(NOW_MS)[0] == 200
        assert count(pingd) > 0


def test_a_key_that_another_transaction_holds_fails_keyed_pings_alone(make_pingd, database):
    pingd = make_pingd("--ledger", database.url()).start()
    holder = subprocess.Popen([database.server.bin / "psql", "-X", "-q", "-d", database.url()], stdin=subprocess.PIPE, text=True)
    holder.stdin.write("BEGIN; INSERT INTO idempotency_keys VALUES ('203.0.113.7', 'held', now(), now());\n")
    holder.stdin.flush()
    wait_for("the key to be held", lambda: database.number("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                                                          " AND state = 'idle in transaction' AND application_name = 'psql'") == 1)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        held = pool.submit(pingd.ping, NOW_MS, "203.0.113.7", "held")
        plain = [pool.submit(pingd.ping, NOW_MS + i, "203.0.113.7") for i in range(20)]
        assert held.result()[0] == 503
        assert {ping.result()[0] for ping in plain} == {200}
    holder.communicate("ROLLBACK;\n")
    assert pingd.ping(NOW_MS, "203.0.113.7", "held")[0] == 200
    assert count(pingd) == 21


def test_the_first_host_that_takes_writes_is_used(make_pingd, database):
    dead = free_port()
    url = f"postgres://postgres@127.0.0.1:{dead},127.0.0.1:{database.server.port}/{database.name}"
    pingd = make_pingd("--ledger", url).start()
    assert pingd.ping(NOW_MS)[0] == 200
    database.sql(f"ALTER DATABASE {database.name} SET default_transaction_read_only = on")
    database.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pingd'")
    wait_for("a read-only server to be noticed", lambda: pingd.ping(NOW_MS)[0] == 503)
    subprocess.run([database.server.bin / "psql", "-X", "-q", "-d", database.url(options="-cdefault_transaction_read_only%3Doff"), "-c",
                    f"ALTER DATABASE {database.name} RESET default_transaction_read_only"], check=True)
    wait_for("pings to be taken again", lambda: pingd.ping(NOW_MS)[0] == 200)


def test_pings_go_on_at_the_standby_that_was_made_primary(make_pingd):
    first = Postgres(settings=["synchronous_standby_names=*", "wal_keep_size=64MB"])
    second = None
    try:
        with open(first.data / "pg_hba.conf", "a") as rules:
            rules.write("host replication all 127.0.0.1/32 trust\n")
        first.start()
        second = first.make_standby()
        second.start()
        url = f"postgres://postgres@127.0.0.1:{first.port},127.0.0.1:{second.port}/postgres"
        pingd = make_pingd("--ledger", url).start()
        assert [pingd.ping(NOW_MS + i, key=f"k{i}")[0] for i in range(20)] == [200] * 20
        first.kill()
        second.sql("SELECT pg_promote()")
        wait_for("pings to be taken again", lambda: pingd.ping(NOW_MS + 20, key="k20")[0] == 200)
        assert all(pingd.ping(NOW_MS + i, key=f"k{i}")[0] == 200 for i in range(21))
        assert second.number("SELECT count(*) FROM pings") == 21 == count(pingd)
        assert second.sql(ROLLUP_IS_EXACT) == "t"
    finally:
        for server in (first, second):
            if server:
                server.remove()


# ── The schema ──

ORIGINAL = "CREATE TABLE pings (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), pinged_at timestamptz)"


def test_the_original_table_is_upgraded_in_place_while_others_write(make_pingd, database):
    rows = scaled(200_000)
    database.sql(f"{ORIGINAL}; INSERT INTO pings (pinged_at) SELECT '2024-10-14'::timestamptz + n * interval '17 ms' FROM"
                 f" generate_series(1, {rows}) n; INSERT INTO pings (pinged_at) VALUES (NULL), ('infinity')")
    others = database.bench(4, "INSERT INTO pings (pinged_at) VALUES (now());", "INSERT INTO pings (pinged_at) VALUES (now());",
                            "DELETE FROM pings WHERE id = (SELECT id FROM pings TABLESAMPLE SYSTEM (0.1) LIMIT 1);")
    wait_for("others to write", lambda: database.number("SELECT count(*) FROM pings") > rows + 50)
    pingd = make_pingd("--ledger", database.url()).start()
    assert pingd.ping(NOW_MS, "203.0.113.7", "k")[0] == 200
    end_bench(others)
    assert database.sql(ROLLUP_IS_EXACT) == "t"
    assert count(pingd) == database.number("SELECT count(*) FROM pings")
    edge = 1728864000000 + 17 * (rows // 2)
    assert count(pingd, start=1728864000000, end=edge) == \
        database.number(f"SELECT count(*) FROM pings WHERE pinged_at >= '2024-10-14' AND pinged_at < to_timestamp({edge / 1000})")
    assert database.sql("SELECT indisvalid FROM pg_index WHERE indexrelid = 'pings_batch'::regclass") == "t"
    database.sql("DELETE FROM pings WHERE received_at IS NULL")
    assert database.sql(ROLLUP_IS_EXACT) == "t"


class Session:
    """psql that is told one statement at a time."""

    def __init__(self, database):
        self.process = subprocess.Popen([binaries() / "psql", "-X", "-A", "-t", "-q", "-d", database.url()], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def send(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def run(self, text):
        self.send(text + ";\n\\echo done")
        while line := self.process.stdout.readline():
            if line == "done\n":
                return
        pytest.fail(f"psql ended at: {text}")

    def end(self, text):
        self.process.communicate(text, timeout=DEADLINE_S)
        assert self.process.returncode == 0


@pytest.mark.parametrize("end", ["COMMIT;", "ROLLBACK;"])
def test_old_rows_that_are_deleted_around_their_count_are_never_counted_wrongly(database, end):
    ledger, counting = ((ROOT / "src/adapter/postgres/migrations" / name).read_text() for name in ("0001_ledger.sql", "0002_count.sql"))
    database.sql(f"{ORIGINAL}; INSERT INTO pings (id, pinged_at) SELECT lpad(n::text, 32, '0')::uuid, now() FROM generate_series(1, 100) n")
    def delete(first, last):
        return f"DELETE FROM pings WHERE id BETWEEN lpad('{first}', 32, '0')::uuid AND lpad('{last}', 32, '0')::uuid"
    def wait_for_a_lock():
        wait_for("one to wait for the other", lambda: database.number("SELECT count(*) FROM pg_stat_activity WHERE datname ="
                                                                      " current_database() AND wait_event_type = 'Lock'") == 1)
    database.sql(f"BEGIN; {ledger}; COMMIT")
    database.sql(delete(1, 10))
    before, counter, after = (Session(database) for _ in range(3))
    before.run(f"BEGIN; {delete(11, 20)}")  # not committed when the count begins
    counter.send(f"BEGIN; {counting}")
    wait_for_a_lock()
    before.end(end)
    counter.run("SELECT")
    after.send(f"{delete(21, 30)};")  # begins when the count is not committed
    wait_for_a_lock()
    database.sql("INSERT INTO pings (pinged_at) VALUES (now())")  # waits for nobody
    counter.end(end)
    after.end("")
    if end == "ROLLBACK;":
        database.sql(f"BEGIN; {counting}; COMMIT")
    database.sql(delete(31, 40))
    assert database.sql(ROLLUP_IS_EXACT) == "t"


def test_a_table_pings_of_somebody_else_is_left_alone(make_pingd, database):
    database.sql("CREATE TABLE pings (host text)")
    pingd = make_pingd("--ledger", database.url()).spawn()
    assert pingd.wait() == 1
    assert "there is a table pings already" in pingd.log()
    assert database.sql("SELECT string_agg(attname, ' ') FROM pg_attribute WHERE attrelid = 'pings'::regclass AND attnum > 0") == "host"


@pytest.mark.parametrize("original", [False, True], ids=["new", "original"])
def test_migrations_by_many_at_once_are_done_once(database, original):
    if original:
        database.sql(f"{ORIGINAL}; INSERT INTO pings (pinged_at) SELECT now() FROM generate_series(1, 1000)")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: migrate(database.url()), range(4)))
    assert [each.returncode for each in done] == [0] * 4, [each.stderr for each in done]
    assert database.sql("SELECT string_agg(version::text, ' ' ORDER BY version) FROM schema_migrations") == "1 2 3 4"
    assert database.sql("SELECT coalesce(sum(count), 0) FROM ping_counts WHERE level = 0") == ("1000" if original else "0")


def test_a_schema_that_is_newer_or_older_is_refused_by_name(make_pingd, database):
    older = make_pingd("--ledger", database.url(), "--migrate=check", name="older").spawn()
    assert older.wait() == 1 and "pingctl migrate" in older.log()
    assert migrate(database.url(), "--check").returncode == 1
    assert migrate(database.url()).returncode == 0
    assert migrate(database.url(), "--check").returncode == 0
    assert make_pingd("--ledger", database.url(), "--migrate=check", name="fits").start().ping(NOW_MS)[0] == 200
    database.sql("INSERT INTO schema_migrations VALUES (99, 'of the future')")
    newer = make_pingd("--ledger", database.url(), name="newer").spawn()
    assert newer.wait() == 1 and "error=SCHEMA_NEWER" in newer.log() and "version 99" in newer.log()
    assert migrate(database.url()).returncode == 3


def test_pingd_needs_no_more_rights_than_the_docs_say(make_pingd, database):
    page = (ROOT / "docs" / "POSTGRESQL.md").read_text()
    grants = re.search(r"That role needs (.*?)\. A schema", page, re.S)[1]
    assert migrate(database.url()).returncode == 0
    role = f"app_{database.name}"
    database.sql(f"CREATE ROLE {role} LOGIN")
    for rights, tables in re.findall(r"`([A-Z, ]+)`\s+on\s+(`\w+`(?:\s+and\s+`\w+`)?)", grants):
        for table in re.findall(r"\w+", tables.replace(" and ", " ").replace("\n", " ")):
            if table != "and":
                database.sql(f"GRANT {rights} ON {table} TO {role}")
    pingd = make_pingd("--ledger", database.url(user=role), "--migrate=check").start()
    for key in ("a", "a", None):
        assert pingd.ping(NOW_MS, key=key)[0] == 200
    assert count(pingd) == 2
    database.sql(f"SET ROLE {role}; SELECT pings_make_days(8); SELECT publisher_slot_move(0, 0, 1, NULL, '1 s');"
                 " UPDATE pings SET position = 1; DELETE FROM idempotency_keys WHERE ctid IN (SELECT ctid FROM idempotency_keys FOR UPDATE)")
    drop_day = f"SET ROLE {role}; SELECT * FROM pings_drop_day('2024-01-01'); RESET ROLE;"
    assert "permission denied" in database.sql(drop_day, check=False)
    assert "`EXECUTE` on the function `pings_drop_day`" in grants
    database.sql(f"GRANT EXECUTE ON FUNCTION pings_drop_day TO {role}; {drop_day}")
    assert "permission denied" in database.sql(f"SET ROLE {role}; UPDATE ping_counts SET count = 0", check=False)


# ── Retention ──

def make_old_day(database, name, day):
    database.sql(f"CREATE TABLE {name} (LIKE pings INCLUDING ALL); ALTER TABLE pings ATTACH PARTITION {name}"
                 f" FOR VALUES FROM ('{day} 00:00:00+00') TO (date '{day}' + 1); SELECT pings_add_triggers('{name}');"
                 f" INSERT INTO pings (pinged_at, received_at) SELECT t, t FROM generate_series(timestamptz '{day} 06:00+00', '{day} 12:00+00', '1 min') t")


def test_days_past_their_retention_are_dropped_and_stay_counted(make_pingd, database):
    assert migrate(database.url()).returncode == 0
    make_old_day(database, "pings_20240301", "2024-03-01")
    make_old_day(database, "pings_20240302", "2024-03-02")
    pingd = make_pingd("--ledger", database.url(), "--ledger-retention", "30d").start()
    wait_for("the days to be dropped", lambda: database.number("SELECT count(*) FROM ledger_days_dropped") == 2)
    assert database.number("SELECT count(*) FROM pings") == 0
    assert pingd.ping(NOW_MS)[0] == 200
    assert count(pingd) == 2 * 361 + 1
    assert count(pingd, start=1709337600000, end=1709337600000 + 7 * 3_600_000) == 60  # of the second day 6:00 to 7:00
    for day in ("2024-03-01", "2024-03-02"):
        wait_for("the log to say so", lambda day=day: f"day={day} pings=361" in pingd.log())


def test_who_reads_for_long_holds_up_the_dropping_and_nobody_who_pings(make_pingd, database):
    assert migrate(database.url()).returncode == 0
    make_old_day(database, "pings_20240301", "2024-03-01")
    reader = Session(database)
    reader.run("BEGIN; SELECT count(*) FROM pings")
    pingd = make_pingd("--ledger", database.url(), "--ledger-retention", "30d").start()
    wait_for("the sums to be made", lambda: database.number(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pings_drop_day%' AND wait_event = 'PgSleep'") == 1)
    for number in range(50):
        assert pingd.ping(NOW_MS + number)[0] == 200
    assert database.number("SELECT count(*) FROM pings") == 361 + 50
    assert database.number("SELECT count(*) FROM ledger_sums") == 0, "neither is seen without the other"
    reader.end("COMMIT;")
    wait_for("the day to be dropped", lambda: database.number("SELECT count(*) FROM ledger_days_dropped") == 1)
    assert count(pingd) == 361 + 50


def test_a_retention_that_cannot_be_kept_is_said(make_pingd, database):
    embedded = make_pingd("--ledger-retention", "30d", name="embedded").spawn()
    assert embedded.wait() == 2 and "only PostgreSQL's pings are in days" in embedded.log()
    short = make_pingd("--ledger", database.url(), "--ledger-retention", "7d", name="short").spawn()
    assert short.wait() == 2 and "ledger-retention" in short.log()
    database.sql(ORIGINAL)
    original = make_pingd("--ledger", database.url(), "--ledger-retention", "30d", name="original").start()
    wait_for("the log to say so", lambda: "has no days that could be dropped" in original.log())
    assert original.ping(NOW_MS)[0] == 200


# ── How it is reached ──

def test_the_original_servers_variables_lead_there_and_the_password_shows_nowhere(make_pingd, database):
    password = "s3/cr@t:%"
    database.sql(f"CREATE ROLE ping LOGIN PASSWORD '{password}'; GRANT ALL ON SCHEMA public TO ping")
    pingd = make_pingd(env={"DB_HOST": "127.0.0.1", "DB_PORT": str(database.server.port), "DB_USER": "ping", "DB_PASSWORD": password,
                            "DB_NAME": database.name}).start()
    assert pingd.ping(NOW_MS)[0] == 200
    assert database.number("SELECT count(*) FROM pings") == 1
    escaped = "s3%2Fcr%40t%3A%25"
    by_flag = make_pingd("--ledger", database.url(user="ping", password=escaped), name="flag").start()
    assert by_flag.ping(NOW_MS)[0] == 200
    wrong = make_pingd("--ledger", database.url(user="ping", password="wr0ng"), name="wrong").spawn()
    assert wrong.wait() == 1
    unreadable = make_pingd("--ledger", f"postgres://ping:{escaped}@[::1", name="unreadable").spawn()
    assert unreadable.wait() == 1
    checked = subprocess.run([*by_flag.command(), "--check-config"], capture_output=True, text=True, check=True).stdout
    assert "postgres://ping:********@127.0.0.1" in checked
    shown = [checked, pathlib.Path(f"/proc/{by_flag.process.pid}/cmdline").read_text(),
             *(one.log() for one in (pingd, by_flag, wrong, unreadable)), pingd.get("/readyz")[1].decode()]
    for text in shown:
        assert not re.search("s3/cr|s3%2Fcr|wr0ng", text), text


def test_tls_is_verified_in_full(make_pingd, server, database):
    def url(host, ca):
        return database.url(host=host, sslmode="verify-full", sslrootcert=server.folder / ca)
    pingd = make_pingd("--ledger", url("localhost", "ca.crt")).start()
    assert pingd.ping(NOW_MS)[0] == 200
    assert database.sql("SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'pingd'") == "t"
    for number, wrong in enumerate([url("localhost", "other.crt"), url("127.0.0.1", "ca.crt")]):
        refused = make_pingd("--ledger", wrong, name=f"refused{number}").spawn()
        assert refused.wait() == 1
        assert "certificate" in refused.log()


class Pgbouncer:
    def __init__(self, server):
        self.folder, self.port, self.process = server.folder / "pgbouncer", free_port(), None
        self.folder.mkdir()
        (self.folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\n"
            f"unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 4\nserver_reset_query_always = 1\n"
            f"server_reset_query = DISCARD ALL\n")
        (self.folder / "pgbouncer.ini").write_text((self.folder / "pgbouncer.ini").read_text().replace(
            "* = host=", "* = user=postgres host="))

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([*unprivileged("--pdeathsig=KILL"), "/usr/sbin/pgbouncer", self.folder / "pgbouncer.ini"], stdout=log, stderr=log,
                                            cwd="/", stdin=subprocess.DEVNULL)
        def answers():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            with contextlib.suppress(OSError):
                return socket.create_connection(("127.0.0.1", self.port)).close() is None
        wait_for("pgbouncer", answers)
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.mark.skipif(not os.path.exists("/usr/sbin/pgbouncer"), reason="no pgbouncer: apt-get install pgbouncer")
def test_pgbouncer_in_transaction_mode_may_stand_between(make_pingd, server, database):
    bouncer = Pgbouncer(server)
    try:
        bouncer.start()
        replicas = [make_pingd("--ledger", database.url(port=bouncer.port), name=f"pingd{i}").start() for i in range(2)]
        total = scaled(20_000)
        running = [load(pingd, "--pings", str(total), "--clients", "100", "--keys", "--retry", "--duration", "400s") for pingd in replicas]
        wait_for("half of the pings", lambda: count(replicas[0]) > total // 2)
        bouncer.kill()
        wait_for("readiness to go", lambda: replicas[0].get("/readyz")[0] == 503)
        bouncer.start()
        for each in running:
            output, _ = each.communicate(timeout=400)
            assert each.returncode == 0, output
        assert database.number("SELECT count(*) FROM pings") == 2 * total == count(replicas[1])
        assert database.number("SELECT count(*) FROM pg_prepared_statements") == 0
    finally:
        bouncer.kill()
