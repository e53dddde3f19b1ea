"""What an operator sees of pingd on PostgreSQL and Kafka: readiness and its reasons, numbers, log lines."""
import json
import re
import subprocess

from conftest import wait_for
from kafka import kafka  # noqa: F401  (a fixture)
from test_operations import promtool
from test_postgres_kafka import NOW_MS, database, make_pair, postgres, pytestmark  # noqa: F401  (fixtures)


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


def test_the_numbers_of_publishers(make_pair):  # noqa: F811
    pingd = make_pair().start()
    for n in range(8):
        assert pingd.ping(NOW_MS + n, client=f"203.0.113.{n}", key="once" if n == 0 else None)[0] == 200
    wait_until_ready(pingd)
    numbers = metrics(pingd)
    assert numbers["ping_ingest_accepted_total"] == 8
    assert numbers["ping_ingest_queue_pings"] == 0
    batches = numbers["ping_publisher_batches_total"]
    assert 1 <= batches <= 8
    assert numbers["ping_ingest_batch_pings_sum"] == 8 and numbers["ping_ingest_batch_pings_count"] == batches
    assert numbers["ping_ingest_commit_seconds_count"] == batches
    assert numbers['ping_ingest_batches_total{outcome="kept"}'] == batches
    assert numbers['ping_ledger_call_seconds_count{call="commit"}'] == batches
    assert numbers['ping_ledger_call_seconds_count{call="claim"}'] == 1
    assert numbers['ping_log_call_seconds_count{call="commit"}'] >= batches
    assert numbers['ping_log_call_seconds_count{call="produce"}'] >= batches
    assert numbers['ping_log_failed_calls_total{call="commit"}'] == 0
    held = {numbers[f'ping_publisher_slot{{publisher="{n}",role="publisher"}}'] for n in (0, 1)}
    assert len(held) == 2 and -1 not in held, held
    assert numbers['ping_publisher_slot{publisher="2",role="rescuer"}'] == -1
    states = {name: value for name, value in numbers.items() if name.startswith("ping_publisher_state{")}
    assert len(states) == 3 * 17 and sum(states.values()) == 3, "each is in one state"
    wait_for("both to be idle", lambda: all(metrics(pingd)[f'ping_publisher_state{{publisher="{n}",role="publisher",state="ready"}}'] == 1
                                            for n in (0, 1)))
    assert len(lines(pingd, "a publisher took a slot")) == 2
    if promtool():
        done = subprocess.run([promtool(), "check", "metrics"], input=pingd.get("/metrics")[1], capture_output=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_without_a_free_slot_it_is_not_ready_and_says_what_to_do(make_pair, postgres, database):  # noqa: F811
    first = make_pair().start()
    wait_until_ready(first)
    postgres.sql("UPDATE publisher_slots SET held = true, lease_until = 'infinity' WHERE NOT held", database)
    second = make_pair(name="second").spawn()
    wait_for("the second to answer", lambda: "listening" in second.log())
    _, found = wait_until_down(second, "publisher-slots", "raise publisher-slots")
    assert "32" in found["publisher-slots"]["detail"] and found["ledger"]["state"] == "ok" and found["log"]["state"] == "ok", found
    assert second.get("/livez")[0] == 200
    status, body = second.ping(NOW_MS, client="203.0.113.1")
    assert (status, body["code"]) == (503, "unavailable")
    assert metrics(second)["ping_publisher_retries_total"] > 0
    assert first.stop() == 0
    wait_until_ready(second)
    assert lines(second, "a publisher is well again"), second.log()


def test_while_kafka_is_down_it_is_not_ready(make_pair, kafka):  # noqa: F811
    pingd = make_pair("--default-timeout", "2s").start()
    wait_until_ready(pingd)
    with kafka.brokers[0].frozen():
        assert pingd.ping(NOW_MS, client="203.0.113.1")[0] in (503, 504)
        assert pingd.ping(NOW_MS, client="203.0.113.2")[0] in (503, 504)
        _, found = wait_until_down(pingd, "log", "Kafka")
        assert found["ledger"]["state"] == "ok", found
    wait_until_ready(pingd)
    assert metrics(pingd)["ping_publisher_retries_total"] > 0
    wait_for("a line that says so", lambda: re.search(r"a publisher is well again.* after_s=\d+", pingd.log()))


def test_while_kafka_is_down_an_outbox_stays_ready(make_pair, kafka):  # noqa: F811
    pingd = make_pair("--publish", "outbox").start()
    assert pingd.ping(NOW_MS, client="203.0.113.1")[0] == 200
    wait_until_ready(pingd)
    kafka.brokers[0].kill()
    try:
        assert pingd.ping(NOW_MS, client="203.0.113.1")[0] == 200
        wait_until_down(pingd, "log", "Kafka", 200)
        assert pingd.ping(NOW_MS, client="203.0.113.1")[0] == 200
        assert any(value == 1 for name, value in metrics(pingd).items() if name.startswith("ping_publisher_behind{"))
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
    finally:
        postgres.start()
    wait_until_ready(pingd)
    assert pingd.ping(NOW_MS, client="203.0.113.1")[0] == 200
    assert metrics(pingd)['ping_ledger_failed_calls_total{call="renew"}'] > 0
    assert lines(pingd, "a publisher is in trouble and tries again") and lines(pingd, "a publisher is well again")


def test_a_topic_that_differs_is_told(make_pair, kafka):  # noqa: F811
    pingd = make_pair().start()
    assert pingd.stop() == 0
    kafka.configs("--alter", "--entity-type", "topics", "--entity-name", "raw-pings", "--add-config", "retention.ms=3600000")
    pingd.start()
    told = lines(pingd, "a topic is not as it should be")
    assert len(told) == 1 and "raw-pings" in told[0] and "retention.ms is 3600000, meant is 604800000" in told[0], told
