"""pingctl audit on PostgreSQL and Kafka: it finds what is in one alone, says apart what is not ours, and nothing else, under load too."""
import json
import signal

import pytest

from conftest import DEADLINE_S, wait_for
from kafka import kafka  # noqa: F401  (fixtures, here and below)
from test_kafka import Tool
from test_postgres_kafka import NOW_MS, agree, database, loading, make_pair, postgres, progress, pytestmark  # noqa: F401

FREE_SLOT = 31


@pytest.fixture
def pingd(make_pair):  # noqa: F811
    return make_pair().start()


@pytest.fixture
def tool(kafka):  # noqa: F811
    made = Tool(kafka.addresses)
    yield made
    made.end()


def urls(pingd):
    """--ledger and --log."""
    return pingd.arguments[:4]


def audit(pingd, *arguments, exit_code=0):
    done = pingd.ctl("audit", "--json", *(urls(pingd) if "--ledger" not in arguments else []), *arguments, check=False)
    assert done.returncode == exit_code, f"audit ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout) if done.stdout else done.stderr


def audit_any(pingd):
    """Whatever it finds."""
    return json.loads(pingd.ctl("audit", "--json", *urls(pingd), check=False).stdout)


def differences(report):
    """(rows without events, events without rows)"""
    kinds = report["kinds"]
    assert report["differences"] == sum(kind["differences"] for kind in kinds.values())
    return tuple(kinds[name]["differences"] for name in ("rows without events", "events without rows"))


def checked(report):
    return tuple(report["kinds"][name]["checked"] for name in ("rows without events", "events without rows"))


def apart(report):
    return {name: report[name] for name in ("pending_rows", "others_rows", "others_events", "rows_no_longer_in_the_log",
                                          "events_no_longer_in_the_ledger") if report[name]}


def ping(pingd, count, first=0):
    for n in range(first, first + count):
        assert pingd.ping(NOW_MS + n, client=f"203.0.113.{n % 50}")[0] == 200


def test_what_pingd_keeps_and_publishes_is_the_same(pingd, postgres, kafka, database):  # noqa: F811
    assert checked(audit(pingd)) == (0, 0)
    ping(pingd, 60)
    agree(postgres, kafka, database)
    report = audit(pingd)
    assert (differences(report), checked(report), apart(report)) == ((0, 0), (60, 60), {})
    said = pingd.ctl("audit", *urls(pingd)).stdout
    assert "no difference between PostgreSQL and Kafka" in said and "0 rows pending" in said


@pytest.mark.parametrize("mode", ["transactional", "outbox", "ordered"])
def test_nothing_differs_while_pings_pour_in(mode, make_pair, postgres, database, tmp_path):  # noqa: F811
    record = tmp_path / "acknowledged"
    pingd = make_pair("--publish", mode).start()
    with loading(pingd, record):
        seen = 0
        for _ in range(6):
            progress(record)
            report = audit(pingd)
            assert differences(report) == (0, 0)
            assert report["others_rows"] == report["others_events"] == report["rows_no_longer_in_the_log"] == 0
            known = checked(report)[0] + report["pending_rows"]  # of an outbox much may be pending
            assert known > seen
            seen = known
        wait_for("the last of them to be in the log", lambda: min(checked(audit(pingd))) >= seen)


def test_a_batch_that_was_left_unpublished_is_pending_until_it_is_there(make_pair, postgres, kafka, database, tmp_path):  # noqa: F811
    pingd = make_pair("--publishers", "1").start()
    ping(pingd, 5)
    agree(postgres, kafka, database)
    pingd.kill()
    pingd.env = {"PING_CRASH_AT": "publishing:1"}
    pingd.start()
    with pytest.raises(OSError):
        pingd.ping(NOW_MS, client="203.0.113.9")
    assert pingd.wait() == -signal.SIGKILL
    report = audit(pingd)
    assert (differences(report), checked(report), apart(report)) == ((0, 0), (5, 5), {"pending_rows": 1})
    pingd.env = {}
    pingd.start()
    agree(postgres, kafka, database)
    report = audit(pingd)
    assert (differences(report), checked(report), apart(report)) == ((0, 0), (6, 6), {})


def test_rows_of_a_day_that_was_dropped_are_apart(pingd, postgres, kafka, database):  # noqa: F811
    ping(pingd, 20)
    agree(postgres, kafka, database)
    today = "(now() AT TIME ZONE 'UTC')::date"
    assert postgres.number(f"SELECT sum(pings) FROM pings_drop_day({today} + 1)", database) == 20
    report = audit(pingd)
    assert (differences(report), checked(report), apart(report)) == ((0, 0), (0, 0), {"events_no_longer_in_the_ledger": 20})
    ping(pingd, 10, first=20)
    wait_for("the audit to see them", lambda: checked(audit(pingd)) == (10, 10))
    assert "20 events no longer in the ledger" in pingd.ctl("audit", *urls(pingd)).stdout


def test_a_deleted_row_leaves_an_event_without_row(pingd, postgres, kafka, database):  # noqa: F811
    ping(pingd, 20)
    agree(postgres, kafka, database)
    gone = postgres.sql("DELETE FROM pings WHERE id = (SELECT id FROM pings ORDER BY id OFFSET 7 LIMIT 1) RETURNING id", database)
    report = audit(pingd, exit_code=1)
    assert (differences(report), checked(report)) == ((0, 1), (19, 20))
    assert len(report["examples"]) == 1 and f"event {gone} at position" in report["examples"][0] and "no row has this id" in report["examples"][0]
    said = pingd.ctl("audit", *urls(pingd), check=False)
    assert said.returncode == 1 and "1 difference between PostgreSQL and Kafka" in said.stdout and gone in said.stdout


def test_an_event_that_no_row_knows_is_a_leak(pingd, tool, postgres, kafka, database):  # noqa: F811
    ping(pingd, 10)
    agree(postgres, kafka, database)
    tool.open(FREE_SLOT)
    tool.publish(1, 100, 3)
    wait_for("the leak to be found", lambda: differences(audit_any(pingd)) == (0, 3))


def test_a_row_that_says_another_position_differs_on_both_sides(pingd, postgres, kafka, database):  # noqa: F811
    ping(pingd, 30)
    agree(postgres, kafka, database)
    moved = postgres.sql("UPDATE pings SET position = position + 1000000 WHERE id = (SELECT min(id::text)::uuid FROM pings) RETURNING id", database)
    report = audit(pingd, exit_code=1)
    assert (differences(report), checked(report)) == ((1, 1), (30, 30))
    row, event = sorted(report["examples"], reverse=True)
    assert row.startswith(f"row {moved}, client 203.0.113.") and "no such event there" in row
    assert event.startswith(f"event {moved} at position") and ", has position 100" in event
    postgres.sql(f"UPDATE pings SET position = NULL WHERE id = '{moved}'", database)
    report = audit(pingd, exit_code=1)
    assert (differences(report), checked(report)) == ((1, 1), (30, 30))


def test_an_event_that_is_there_twice_is_one_too_many(pingd, tool, postgres, kafka, database):  # noqa: F811
    tool.open(FREE_SLOT)
    [(number, (_, position))] = tool.publish(1, 0, 1).items()
    identity = f"id{number:014d}".encode().hex()
    postgres.sql(f"INSERT INTO pings (id, pinged_at, client_ip, position) VALUES ('{identity}', now(), '10.1.0.0', {position})", database)
    wait_for("the event to show", lambda: checked(audit_any(pingd)) == (1, 1))
    assert differences(audit(pingd)) == (0, 0)
    tool.publish(2, 0, 1)
    wait_for("the second to be found", lambda: differences(audit_any(pingd)) == (0, 1))


def test_what_others_write_is_listed_apart_and_no_difference(pingd, postgres, kafka, database):  # noqa: F811
    ping(pingd, 10)
    agree(postgres, kafka, database)
    postgres.sql("INSERT INTO pings (pinged_at) VALUES (now()), (now()), (now())", database)
    kafka.console_produce("raw-pings", [(f"203.0.113.{n}", f'{{"ClientIP":"203.0.113.{n}","Timestamp":"2024-10-14T15:45:31Z"}}')
                                        for n in range(7)])
    report = audit(pingd)
    assert (differences(report), checked(report), apart(report)) == ((0, 0), (10, 10), {"others_rows": 3, "others_events": 7})


def test_what_the_log_no_longer_holds_is_no_leak(pingd, postgres, kafka, database, tmp_path):  # noqa: F811
    ping(pingd, 40)
    agree(postgres, kafka, database)
    everything = {"version": 1, "partitions": [{"topic": "raw-pings", "partition": n, "offset": -1} for n in range(6)]}
    (tmp_path / "offsets").write_text(json.dumps(everything))
    kafka.tool("org.apache.kafka.tools.DeleteRecordsCommand", "--bootstrap-server", kafka.addresses, "--offset-json-file", tmp_path / "offsets")
    report = audit(pingd)
    assert (differences(report), checked(report), apart(report)) == ((0, 0), (0, 0), {"rows_no_longer_in_the_log": 40})
    ping(pingd, 10, first=40)
    wait_for("the new ones to show", lambda: checked(audit(pingd)) == (10, 10))
    assert apart(audit(pingd)) == {"rows_no_longer_in_the_log": 40}


def test_a_transaction_that_is_left_open_hides_rows_and_is_no_difference(pingd, postgres, kafka, database):  # noqa: F811
    """Somebody else's, which may be open for longer than a test takes."""
    confluent_kafka = pytest.importorskip("confluent_kafka")
    other = confluent_kafka.Producer({"bootstrap.servers": kafka.addresses, "transactional.id": "left-open", "transaction.timeout.ms": 600_000})
    other.init_transactions(DEADLINE_S)
    other.begin_transaction()
    for partition in range(6):  # readers see nothing behind these
        other.produce("raw-pings", b"{}", partition=partition)
    assert other.flush(DEADLINE_S) == 0
    ping(pingd, 20)
    report = audit(pingd)
    assert (differences(report), checked(report), apart(report)) == ((0, 0), (0, 0), {"pending_rows": 20})
    other.abort_transaction(DEADLINE_S)
    wait_for("the rows to show", lambda: checked(audit(pingd)) == (20, 20))


def test_systems_that_are_away_or_not_the_right_ones_are_named(pingd, postgres, kafka, database):  # noqa: F811
    ledger, log = ["--ledger", postgres.url(database)], ["--log", kafka.url]
    assert "configured are 12" in audit(pingd, "--log-partitions", "12", exit_code=3)
    assert "cannot connect to PostgreSQL" in audit(pingd, "--ledger", "postgres://nobody@127.0.0.1:1/ping", *log, exit_code=3)
    assert "Kafka: " in audit(pingd, *ledger, "--log", "kafka://127.0.0.1:1", exit_code=3)
