"""What an operator sees of pingd on PostgreSQL and Kafka: readiness and its reasons, numbers, log lines."""
import contextlib
import http.client
import json
import re
import subprocess

import pytest
from conftest import BUILD, wait_for
from kafka import kafka  # noqa: F401  (a fixture)
from test_operations import promtool
from test_postgres_kafka import NOW_MS, agree, database, make_pair, postgres, pytestmark  # noqa: F401  (fixtures)


def alive(pingd):
    assert pingd.process.poll() is None, pingd.log()
    with contextlib.suppress(OSError, http.client.HTTPException):
        return pingd.get("/livez")[0] == 200
    return False


def readiness(pingd):
    """(status, {dependency: its line})"""
    status, body = pingd.get("/readyz")
    return status, {line["name"]: line for line in json.loads(body)["dependencies"]}


def wait_until_down(pingd, name, words, status=503):
    """Waits until the dependency is down for that reason, and the process ready (200) or not (503)."""
    return wait_for(f"{name} to be down: {words}", lambda: (r := readiness(pingd))[0] == status and r[1][name]["state"] == "down" and
                    words in r[1][name]["detail"] and r)


def wait_until_ready(pingd):
    wait_for("everything to be well", lambda: (r := readiness(pingd))[0] == 200 and all(d["state"] == "ok" for d in r[1].values()))


def metrics(pingd):
    """{'name{labels}': value}"""
    text = pingd.get("/metrics")[1].decode()
    return {name: float(value) for name, value in re.findall(r"^([a-z_]+(?:\{.*\})?) (\S+)$", text, re.M)}


def lines(pingd, message):
    return [line for line in pingd.log().splitlines() if f'msg="{message}"' in line]


TOLD_OF_A_BATCH = ("ping_publisher_batches_total", "ping_ingest_batch_pings_count", "ping_ingest_commit_seconds_count",
                   'ping_ingest_batches_total{outcome="kept"}', 'ping_ledger_call_seconds_count{call="commit"}')


def test_the_numbers_of_publishers(make_pair):  # noqa: F811
    pingd = make_pair().start()
    for n in range(8):
        assert pingd.ping(NOW_MS + n, client=f"203.0.113.{n}", key="once" if n == 0 else None)[0] == 200
    wait_until_ready(pingd)
    wait_for("both to be idle", lambda: all(metrics(pingd)[f'ping_publisher_state{{publisher="{n}",role="publisher",state="ready"}}'] == 1
                                            for n in (0, 1)))
    # A ping is answered a moment before all is told of its batch.
    wait_for("the last batch to be told", lambda: len({numbers[name] for numbers in [metrics(pingd)] for name in TOLD_OF_A_BATCH}) == 1)
    numbers = metrics(pingd)
    assert numbers["ping_ingest_accepted_total"] == 8
    assert numbers["ping_ingest_queue_pings"] == 0
    batches = numbers["ping_publisher_batches_total"]
    assert 1 <= batches <= 8
    assert numbers["ping_ingest_batch_pings_sum"] == 8 and numbers["ping_ingest_batch_pings_count"] == batches
    assert numbers["ping_ingest_commit_seconds_count"] == batches
    assert numbers['ping_ingest_batches_total{outcome="kept"}'] == batches
    assert numbers['ping_ledger_call_seconds_count{call="commit"}'] == batches
    assert numbers['ping_ledger_call_seconds_count{call="claim"}'] >= 1
    assert numbers['ping_log_call_seconds_count{call="commit"}'] >= batches
    assert numbers['ping_log_call_seconds_count{call="produce"}'] >= batches
    assert numbers["ping_ledger_connections_total"] >= 3 and numbers["ping_ledger_failed_connections_total"] == 0, "one each, and those that prepare"
    held = {numbers[f'ping_publisher_slot{{publisher="{n}",role="publisher"}}'] for n in (0, 1)}
    assert len(held) == 2 and -1 not in held, held
    assert numbers['ping_publisher_slot{publisher="2",role="rescuer"}'] == -1
    states = {name: value for name, value in numbers.items() if name.startswith("ping_publisher_state{")}
    for n in range(3):
        assert sum(value for name, value in states.items() if f'publisher="{n}"' in name) == 1, "each is in one state"
    taken = dict(re.search(r"publisher=(\d+) .*slot=(\d+)", line).groups() for line in lines(pingd, "a publisher took a slot"))
    assert {float(slot) for slot in taken.values()} == held
    if numbers["ping_publisher_retries_total"] == 0:  # where Kafka was too slow for one it begins anew
        assert len(lines(pingd, "a publisher took a slot")) == 2
        assert numbers['ping_ledger_call_seconds_count{call="claim"}'] == 1
        assert numbers['ping_log_failed_calls_total{call="commit"}'] == 0
        assert numbers["ping_log_client_errors_total"] == 0
        wait_for("the rescuer to look for a dead slot", lambda: metrics(pingd)['ping_ledger_call_seconds_count{call="take"}'] >= 3)
        assert metrics(pingd)['ping_ledger_failed_calls_total{call="take"}'] == 0, "that there is none is no failure"
    if promtool():
        done = subprocess.run([promtool(), "check", "metrics"], input=pingd.get("/metrics")[1], capture_output=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_without_a_free_slot_it_is_not_ready_and_says_what_to_do(make_pair, postgres, database):  # noqa: F811
    first = make_pair().start()
    wait_until_ready(first)
    postgres.sql("UPDATE publisher_slots SET held = true, lease_until = 'infinity' WHERE NOT held", database)
    second = make_pair(name="second").spawn()
    wait_for("it to be alive", lambda: alive(second))
    _, found = wait_until_down(second, "publisher-slots", "raise publisher-slots")
    assert "32" in found["publisher-slots"]["detail"] and found["ledger"]["state"] == "ok" and found["log"]["state"] == "ok", found
    assert second.get("/livez")[0] == 200
    status, body = second.ping(NOW_MS, client="203.0.113.1")
    assert (status, body["code"]) == (503, "unavailable")
    wait_for("tries to be counted", lambda: metrics(second)["ping_publisher_retries_total"] > 0)
    assert first.stop() == 0
    wait_until_ready(second)
    wait_for("a line that says so", lambda: lines(second, "a publisher is well again"))


def test_while_kafka_is_down_it_is_not_ready(make_pair, kafka):  # noqa: F811
    pingd = make_pair("--default-timeout", "2s").start()
    wait_until_ready(pingd)
    with kafka.brokers[0].frozen():
        assert pingd.ping(NOW_MS, client="203.0.113.1")[0] in (503, 504)
        assert pingd.ping(NOW_MS, client="203.0.113.2")[0] in (503, 504)
        _, found = wait_until_down(pingd, "log", "Kafka")
        assert found["ledger"]["state"] == "ok", found
    wait_until_ready(pingd)
    wait_for("tries to be counted", lambda: metrics(pingd)["ping_publisher_retries_total"] > 0)
    wait_for("a line that says so", lambda: re.search(r"a publisher is well again.* after_s=\d+", pingd.log()))


def test_while_kafka_is_down_an_outbox_stays_ready(make_pair, kafka):  # noqa: F811
    pingd = make_pair("--publish", "outbox").start()
    assert pingd.ping(NOW_MS, client="203.0.113.1")[0] == 200
    wait_until_ready(pingd)
    kafka.brokers[0].kill()
    try:
        assert pingd.ping(NOW_MS, client="203.0.113.1")[0] == 200
        wait_until_down(pingd, "log", "Kafka", 200)
        wait_for("errors to be counted", lambda: metrics(pingd)["ping_log_client_errors_total"] > 0)
        assert pingd.ping(NOW_MS, client="203.0.113.1")[0] == 200
        wait_for("a publisher to be behind", lambda: any(value == 1 for name, value in metrics(pingd).items() if name.startswith("ping_publisher_behind{")))
    finally:
        kafka.brokers[0].start()
    wait_until_ready(pingd)
    wait_for("Kafka to have it all", lambda: metrics(pingd)["ping_publisher_recovered_batches_total"] >= 3)


def test_while_postgresql_is_down_it_is_not_ready(make_pair, postgres):  # noqa: F811
    pingd = make_pair().start()
    wait_until_ready(pingd)
    postgres.kill()
    try:
        _, found = wait_until_down(pingd, "ledger", "PostgreSQL")
        assert found["log"]["state"] == "ok", found
        assert pingd.ping(NOW_MS, client="203.0.113.1")[0] == 503
        wait_for("failures to be counted", lambda: (numbers := metrics(pingd))["ping_ledger_failed_connections_total"] > 0
                 and numbers['ping_ledger_failed_calls_total{call="renew"}'] > 0)
    finally:
        postgres.start()
    wait_until_ready(pingd)
    assert pingd.ping(NOW_MS, client="203.0.113.1")[0] == 200
    wait_for("lines that say so", lambda: lines(pingd, "a publisher is in trouble and tries again") and lines(pingd, "a publisher is well again"))


def test_a_topic_that_differs_is_told(make_pair, kafka):  # noqa: F811
    pingd = make_pair().start()
    assert pingd.stop() == 0
    kafka.alter_topic("raw-pings", retention_ms=3600000)
    pingd.start()
    told = lines(pingd, "a topic is not as it should be")
    assert len(told) == 1 and "raw-pings" in told[0] and "retention.ms is 3600000, meant is 604800000" in told[0], told


# ── Started before its servers, or with other settings than they have ──

def test_started_while_postgresql_is_away_it_becomes_ready_when_it_comes(make_pair, postgres):  # noqa: F811
    postgres.kill()
    pingd = make_pair()
    try:
        pingd.spawn()
        wait_for("it to be alive", lambda: alive(pingd))
        wait_until_down(pingd, "ledger", "cannot connect to PostgreSQL")
        status, body = pingd.ping(NOW_MS, client="203.0.113.1")
        assert (status, body["code"]) == (503, "unavailable")
        assert pingd.get("/metrics")[0] == 200
    finally:
        postgres.start()
    wait_until_ready(pingd)  # and the schema is made: --migrate=auto
    assert pingd.ping(NOW_MS, client="203.0.113.1")[0] == 200
    assert lines(pingd, "what was waited for is there"), pingd.log()
    assert pingd.stop() == 0


@pytest.mark.parametrize("mode", ["transactional", "outbox"])
def test_started_while_kafka_is_away_it_becomes_ready_when_it_comes(mode, make_pair, kafka, postgres, database):  # noqa: F811
    pingd, used = make_pair("--publish", mode), mode == "outbox"
    if used:  # slots that were used before need no Kafka
        assert pingd.start().ping(NOW_MS, client="203.0.113.1")[0] == 200
        wait_until_ready(pingd)
        assert pingd.stop() == 0
    kafka.brokers[0].kill()
    try:
        pingd.spawn()
        wait_for("it to be alive", lambda: alive(pingd))
        wait_until_down(pingd, "log", "Kafka", 200 if used else 503)
        if used:
            wait_for("it to be ready", lambda: pingd.get("/readyz")[0] == 200)
        assert pingd.ping(NOW_MS, client="203.0.113.1")[0] == (200 if used else 503)
    finally:
        kafka.brokers[0].start()
    wait_until_ready(pingd)
    assert pingd.ping(NOW_MS, client="203.0.113.1")[0] == 200
    agree(postgres, kafka, database)


def test_told_to_stop_while_it_waits_it_ends_in_order(make_pair, postgres, kafka):  # noqa: F811
    postgres.kill()
    kafka.brokers[0].kill()
    pingd = make_pair()
    try:
        pingd.spawn()
        wait_for("it to be alive", lambda: alive(pingd))
        assert pingd.stop() == 0
    finally:
        postgres.start()
        kafka.brokers[0].start()


def test_what_is_configured_wrongly_still_ends_it_also_when_the_servers_come_later(make_pair, postgres, kafka):  # noqa: F811
    first = make_pair().start()
    assert first.stop() == 0
    at_once = make_pair("--log-partitions", "7", name="at-once").spawn()
    assert at_once.wait() == 1
    assert "configured are 7" in at_once.log() and lines(at_once, "cannot start"), at_once.log()
    kafka.brokers[0].kill()
    late = make_pair("--log-partitions", "7", name="late").spawn()
    try:
        wait_for("it to be alive", lambda: alive(late))
        wait_until_down(late, "log", "Kafka")
    finally:
        kafka.brokers[0].start()
    assert late.wait() == 1
    assert "configured are 7" in late.log() and lines(late, "cannot go on"), late.log()


def test_publisher_slots_are_as_many_as_configured_and_can_be_added(make_pair, postgres, kafka, database):  # noqa: F811
    def partitions():
        return kafka.partitions("ping-publishers")
    small = make_pair("--publisher-slots", "2").start()
    wait_until_ready(small)
    assert partitions() == 2
    crowded = make_pair("--publisher-slots", "2", name="crowded").spawn()
    wait_for("it to be alive", lambda: alive(crowded))
    wait_until_down(crowded, "publisher-slots", "each of the 2 publisher slots")
    grown = make_pair("--publisher-slots", "40", "--publishers", "16", name="grown").spawn()
    assert grown.wait() == 1
    assert "pingctl migrate --publisher-slots 40" in grown.log(), grown.log()
    subprocess.run([BUILD / "pingctl", "migrate", "--ledger", postgres.url(database), "--log", kafka.url, "--publisher-slots", "40"], check=True)
    grown.start()
    wait_until_ready(grown)
    wait_for("all brokers to know of the partitions", lambda: partitions() == 40)
    assert postgres.number("SELECT count(*) FROM publisher_slots", database) == 40
    more = make_pair("--publisher-slots", "40", "--publishers", "16", name="more").start()
    wait_until_ready(more)
    wait_for("all publishers to have slots", lambda: postgres.number("SELECT max(slot) FROM publisher_slots WHERE held", database) > 31)
    for pingd in (small, grown, more):
        assert pingd.ping(NOW_MS, client="203.0.113.1")[0] == 200
    assert [pingd.stop() for pingd in (more, grown, crowded, small)] == [0] * 4
    shrunk = make_pair("--publisher-slots", "8", name="shrunk").spawn()
    assert shrunk.wait() == 1
    assert "set it to" in shrunk.log() and "slots can be added, not taken away" in shrunk.log(), shrunk.log()
    agree(postgres, kafka, database)
