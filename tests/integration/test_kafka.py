"""The Kafka adapter against real brokers that are killed and frozen: what a reader of committed records sees is what was promised."""
import itertools
import os
import shutil
import subprocess
import time

import pytest

from conftest import BUILD, DEADLINE_S, wait_for
from kafka import TOPICS, kafka, kafka3, processes  # noqa: F401  (fixtures, and one that is none)

TOOL = BUILD / "tests" / "kafka" / "kafka-tool"
BOUND_S = 25  # no call may take longer, whatever the broker does
NUMBERS = itertools.count(0, 100_000)
SLOTS = itertools.count()

pytestmark = pytest.mark.skipif(not TOOL.exists(), reason="pingd was built without Kafka: `make drivers` (drivers/README.md)")


class Tool:
    """tests/kafka/kafka_tool.c: the adapter in a process of its own, asked by words."""

    def __init__(self, brokers, *arguments):
        self.process = subprocess.Popen(processes.tied([TOOL, brokers, *arguments]), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE if os.environ.get("PING_QUIET", "1") == "1" else None, text=True)
        os.set_blocking(self.process.stderr.fileno(), False) if self.process.stderr else None
        self.opened = self.answer()

    def send(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        self.sent = time.monotonic()

    def answer(self):
        """(lines, last line)"""
        lines = []
        while line := self.process.stdout.readline():
            if line.startswith(("OK", "ERROR")):
                return lines, line.strip()
            lines.append(line.rstrip("\n"))
        return lines, f"ended with {self.process.wait()}"

    def ask(self, *words):
        self.send(*words)
        return self.answer()

    def ok(self, *words):
        lines, last = self.ask(*words)
        assert last == "OK", f"{words}: {last}"
        return lines

    def open(self, slot):
        """Becomes the slot's producer: tried again while Kafka still ends what the one before had begun."""
        def done():
            last = self.ask("open", slot)[1]
            assert last == "OK" or last.startswith("ERROR UNAVAILABLE"), last
            return last == "OK"
        wait_for("the slot to open", done)

    def refused(self, *words):
        """The error's name; the call took no longer than it may."""
        self.send(*words)
        return self.refusal()

    def refusal(self):
        last = self.answer()[1]
        assert last.startswith("ERROR "), last
        assert time.monotonic() - self.sent < BOUND_S
        return last.split()[1]

    def newest(self):
        lines, last = self.ask("newest")
        return int(lines[0].split()[0]) if last == "OK" else last.split()[1]

    def find(self, rows):
        """Those of the rows of the last produce that are where it put them."""
        return dict(row for row, there in zip(rows.items(), self.ok("find"), strict=True) if there == "1")

    def produce(self, batch, first, count):
        """The rows' places: {number: (partition, position)}."""
        lines = self.ok("produce", batch, first, count)
        return {first + i: (int(line.split()[0]), int(line.split()[1])) for i, line in enumerate(lines)}

    def publish(self, batch, first, count):
        rows = self.produce(batch, first, count)
        self.ok("commit")
        return rows

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        if self.process.poll() is None:
            self.kill()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()


@pytest.fixture
def tools():
    made = []

    def make(cluster, *arguments):
        made.append(Tool(getattr(cluster, "addresses", cluster), *arguments))
        return made[-1]

    yield make
    for tool in made:
        tool.end()


@pytest.fixture
def tool(kafka, tools):  # noqa: F811
    made = tools(kafka)
    made.ok("topics")
    return made


def records(tool, topic="raw-pings"):
    """What a reader of committed records sees, in order of its reading: (partition, partition of its key, offset, key, value, id)."""
    found = []
    for line in tool.ok("read", topic, 6):
        partition, expected, offset, key, value, identity = line.split(" ")
        identity = bytes.fromhex(identity).decode(errors="replace")
        found.append((int(partition), int(expected), int(offset), key, value, identity))
    return found


def seen(tool, first, count=100_000):
    """{number: (partition, offset)} of the rows from `first` on; none may be there twice."""
    found = [(int(r[5][2:]), (r[0], r[2])) for r in records(tool) if r[5].startswith("id")]
    mine = [(number, place) for number, place in found if first <= number < first + count]
    assert len(mine) == len(dict(mine)), "a ping is there twice"
    return dict(mine)


def settled(tool, first, expected):
    """A commit is answered before its markers are written everywhere: readers see it moments later."""
    return wait_for(f"{len(expected)} records to show", lambda: seen(tool, first) == expected or None)


# ─── Topics ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_missing_topics_are_created_as_they_are_meant(kafka, tools):  # noqa: F811
    assert tools(kafka).ok("topics") == []
    said = kafka.topics("--describe")
    for wanted in ("Topic: raw-pings\t", "Topic: raw-pings-dead\t", "Topic: ping-publishers\t"):
        assert wanted in said
    events = next(line for line in said.splitlines() if line.startswith("Topic: raw-pings\t"))
    for wanted in ("PartitionCount: 6", "ReplicationFactor: 1", "retention.ms=604800000", "cleanup.policy=delete",
                   "message.timestamp.type=LogAppendTime", "min.insync.replicas=1"):
        assert wanted in events
    slots = next(line for line in said.splitlines() if line.startswith("Topic: ping-publishers\t"))
    assert "PartitionCount: 32" in slots and "cleanup.policy=compact" in slots
    assert tools(kafka).ok("topics") == []


def test_a_setting_that_differs_is_named(kafka, tool):  # noqa: F811
    kafka.alter_topic("raw-pings", retention_ms=1000000000)
    try:
        assert tool.ok("topics") == ["topic raw-pings: retention.ms is 1000000000, meant is 604800000"]
    finally:
        kafka.alter_topic("raw-pings", retention_ms=604800000)
    assert tool.ok("topics") == []


def test_another_number_of_partitions_is_an_error(kafka, tool, tools):  # noqa: F811
    assert tools(kafka, "partitions=12").refused("topics") == "FAILED_PRECONDITION"
    assert tools(kafka, "slots=64").refused("topics") == "FAILED_PRECONDITION"


# ─── Settings ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("setting", ["acks=0", "transactional.id=mine", "no.such.thing=1", "security.protocol=carrier_pigeon", "word"])
def test_a_setting_that_is_unknown_wrong_or_not_the_operators_is_refused(tools, setting):
    assert tools("127.0.0.1:9", setting).opened[1].startswith("ERROR INVALID_ARGUMENT kafka: ")


def test_a_cluster_that_asks_for_a_password_gets_it(kafka, tools):  # noqa: F811
    """SASL by the operator's settings: the right password publishes, a wrong one says what is wrong."""
    known = ("security.protocol=sasl_plaintext", "sasl.mechanisms=PLAIN", "sasl.username=ping")
    wrong = tools(kafka.brokers[0].sasl_address, *known, "sasl.password=guess")
    wrong.send("topics")
    for mechanism in ("PLAIN", "SCRAM-SHA-512"):
        right = tools(kafka.brokers[0].sasl_address, *known, "sasl.password=secret", f"sasl.mechanisms={mechanism}")
        right.ok("topics")
        right.open(next(SLOTS))
        right.publish(1, next(NUMBERS), 10)
    said = wrong.answer()[1]
    assert said.startswith("ERROR FAILED_PRECONDITION") and "uthentication" in said, said


def test_tls_is_spoken_and_both_sides_show_certificates(kafka, tools):  # noqa: F811
    mine = ("security.protocol=ssl", f"ssl.key.location={kafka.tls / 'client.key'}",
            f"ssl.certificate.location={kafka.tls / 'client.crt'}")
    wary = tools(kafka.brokers[0].ssl_address, *mine, f"ssl.ca.location={kafka.tls / 'client.crt'}")
    wary.send("topics")
    known = tools(kafka.brokers[0].ssl_address, *mine, f"ssl.ca.location={kafka.tls / 'authority.crt'}")
    known.ok("topics")
    known.open(next(SLOTS))
    known.publish(1, next(NUMBERS), 10)
    said = wary.answer()[1]
    assert said.startswith("ERROR FAILED_PRECONDITION") and "certificate" in said, said


# ─── Transactions ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_readers_see_what_is_committed_at_the_positions_told_and_nothing_else(kafka, tool, tools):  # noqa: F811
    first, slot = next(NUMBERS), next(SLOTS)
    tool.open(slot)
    assert tool.newest() == "NOT_FOUND"
    kept = tool.publish(1, first, 100)
    settled(tool, first, kept)
    tool.produce(2, first + 100, 50)
    assert seen(tool, first) == kept  # open
    tool.ok("abort")
    assert seen(tool, first) == kept  # aborted
    kept |= tool.publish(2, first + 200, 3000)
    settled(tool, first, kept)
    tool.open(slot)
    assert tool.newest() == 2


def test_the_log_epoch_stands_above_the_offset(kafka, tool, tools):  # noqa: F811
    first, slot = next(NUMBERS), next(SLOTS)
    later = tools(kafka, "epoch=5")
    later.open(slot)
    told = later.publish(1, first, 20)
    assert {position >> 48 for _, position in told.values()} == {5}
    settled(tool, first, {number: (partition, position & (1 << 48) - 1) for number, (partition, position) in told.items()})
    for refused in (slot, next(SLOTS)):  # also behind a slot that was never used, for what the others say
        tool.open(refused)
        assert tool.newest() == "FAILED_PRECONDITION"
    kafka.delete_topics(*TOPICS)
    tool.ok("topics")


def test_a_topic_made_anew_is_refused_by_all_slots_until_the_epoch_says_so(kafka, tool, tools):  # noqa: F811
    used, unused = next(SLOTS), next(SLOTS)
    tool.open(used)
    tool.publish(7, next(NUMBERS), 5)
    greater = tools(kafka, "epoch=1")
    for slot in (used, unused):
        tool.open(slot)
        assert tool.newest() == (7 if slot == used else "NOT_FOUND")
        greater.open(slot)  # of the same topic
        assert greater.newest() == "FAILED_PRECONDITION"
    kafka.delete_topics("raw-pings")
    tool.ok("topics")
    for slot in (used, unused):
        tool.open(slot)
        assert tool.newest() == "FAILED_PRECONDITION"
        greater.open(slot)
        assert greater.newest() == (7 if slot == used else "NOT_FOUND")
    kafka.delete_topics(*TOPICS)
    tool.ok("topics")


def test_a_batch_without_events_moves_the_slots_record_alone(tool):
    slot = next(SLOTS)
    tool.open(slot)
    tool.publish(7, 0, 0)
    tool.open(slot)
    assert tool.newest() == 7


def test_the_newest_record_is_found_behind_many_batches_that_were_aborted(tool):
    slot = next(SLOTS)
    tool.open(slot)
    tool.publish(3, next(NUMBERS), 1)
    for _ in range(150):
        tool.produce(4, 0, 0)
        tool.ok("abort")
    tool.open(slot)
    assert tool.newest() == 3


def test_a_publisher_killed_in_mid_batch_leaves_nothing_and_holds_nobody_back(kafka, tool, tools):  # noqa: F811
    first, slot = next(NUMBERS), next(SLOTS)
    victim = tools(kafka)
    victim.open(slot)
    kept = victim.publish(1, first, 10)
    victim.produce(2, first + 10, 10)
    victim.kill()
    tool.open(slot)
    assert tool.newest() == 1
    kept |= tool.publish(2, first + 20, 10)
    settled(tool, first, kept)


def test_a_commit_that_was_asked_for_is_seen_by_the_next_owner_one_way_or_the_other(kafka, tool, tools):  # noqa: F811
    for pause_s in (0, 0.001, 0.003, 0.01):
        first, slot = next(NUMBERS), next(SLOTS)
        victim = tools(kafka)
        victim.open(slot)
        batch = victim.produce(1, first, 10)
        victim.send("commit")
        time.sleep(pause_s)
        victim.kill()
        tool.open(slot)
        newest = tool.newest()
        assert newest in ("NOT_FOUND", 1)
        assert seen(tool, first) == (batch if newest == 1 else {})


def test_a_second_owner_of_the_slot_shuts_the_first_one_out(kafka, tool, tools):  # noqa: F811
    first, slot = next(NUMBERS), next(SLOTS)
    zombie, idle = tools(kafka), tools(kafka)
    idle.open(slot)
    zombie.open(slot)
    zombie.produce(1, first, 10)
    tool.open(slot)
    assert zombie.refused("commit") == "IN_DOUBT"
    assert zombie.refused("produce", 2, first, 10) == "UNAVAILABLE"
    assert idle.refused("produce", 1, first, 10) == "FENCED"
    assert tool.newest() == "NOT_FOUND"
    kept = tool.publish(1, first + 10, 10)
    settled(tool, first, kept)


# ─── Brokers that fail ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_frozen_broker_delays_no_call_for_long_and_what_was_asked_stays_all_or_nothing(kafka, tool, tools):  # noqa: F811
    producing, committing, opening, ordered = (tools(kafka) for _ in range(4))
    slots = {t: next(SLOTS) for t in (producing, committing, opening)}
    firsts = {t: next(NUMBERS) for t in (producing, committing, ordered)}
    for t in (producing, committing):
        t.open(slots[t])
    ordered.ok("produce", 0, firsts[ordered], 10)
    batch = committing.produce(1, firsts[committing], 10)
    with kafka.brokers[0].frozen():
        producing.send("produce", 1, firsts[producing], 10)
        committing.send("commit")
        opening.send("open", slots[opening])
        ordered.send("produce", 0, firsts[ordered] + 10, 10)
        assert producing.refusal() == "UNAVAILABLE"
        assert committing.refusal() == "IN_DOUBT"
        assert opening.refusal() == "UNAVAILABLE"
        assert ordered.refusal() == "IN_DOUBT"  # it may lie in the broker's socket
        producing.ask("abort")
    for t in (producing, committing):
        t.open(slots[t])
    assert producing.newest() == "NOT_FOUND"
    assert seen(tool, firsts[producing]) == {}
    newest = committing.newest()
    assert seen(tool, firsts[committing]) == (batch if newest == 1 else {})
    settled(tool, firsts[producing], producing.publish(1, firsts[producing] + 50, 10))
    ordered.ok("produce", 0, firsts[ordered] + 20, 10)
    there = wait_for("the events to show", lambda: (s := seen(tool, firsts[ordered])).keys() >= {firsts[ordered] + 20} and s)
    assert {firsts[ordered] + n for n in (*range(10), *range(20, 30))} <= there.keys()


def test_a_broker_that_is_killed_and_comes_back_is_found_again(kafka, tool, tools):  # noqa: F811
    first, slot = next(NUMBERS), next(SLOTS)
    tool.open(slot)
    kept = tool.publish(1, first, 10)
    batch = tool.produce(2, first + 10, 10)
    kafka.brokers[0].kill()
    tool.send("commit")
    kafka.brokers[0].start()
    assert tool.answer()[1].startswith(("OK", "ERROR IN_DOUBT"))
    tool.open(slot)
    newest = tool.newest()
    assert newest in (1, 2)
    kept |= batch if newest == 2 else {}
    kept |= tool.publish(newest + 1, first + 20, 10)
    settled(tool, first, kept)


def test_what_is_there_is_told_from_what_was_aborted(tool):
    first, slot = next(NUMBERS), next(SLOTS)
    tool.open(slot)
    aborted = tool.produce(1, first, 100)
    tool.ok("abort")
    assert tool.find(aborted) == {}
    kept = tool.publish(1, first + 100, 100)
    assert wait_for("the events to be there", lambda: tool.find(kept)) == kept


def test_events_behind_a_transaction_that_is_open_are_waited_for(kafka, tool, tools):  # noqa: F811
    """They are not missing, though no reader sees them yet."""
    other = tools(kafka)
    other.open(next(SLOTS))
    tool.open(next(SLOTS))
    other.produce(1, next(NUMBERS), 100)
    rows = tool.publish(1, next(NUMBERS), 100)
    tool.send("find")
    time.sleep(1)  # gives a wrong answer the time to come
    other.ok("abort")
    lines, last = tool.answer()
    assert last == "OK" and set(lines) == {"1"} and len(lines) == len(rows)


def test_a_broker_killed_while_it_ends_a_transaction_leaves_no_more_and_no_less_than_find_tells(kafka, tool, tools):  # noqa: F811
    """It may come back and take the end for complete where some partitions never got it."""
    for pause_s in (0, 0.002, 0.005):
        first, slot = next(NUMBERS), next(SLOTS)
        writer = tools(kafka)
        writer.open(slot)
        rows = writer.produce(1, first, 60)
        writer.send("commit")
        time.sleep(pause_s)
        kafka.brokers[0].kill()
        kafka.brokers[0].start()
        said = writer.answer()[1]
        assert said == "OK" or said.startswith("ERROR IN_DOUBT"), said
        assert wait_for("the outage to be heard of", lambda: writer.ask("alive")[1] != "OK")
        writer.open(slot)
        there = writer.find(rows)
        assert seen(tool, first) == there
        settled(tool, first, there | writer.publish(2, first + 100, 60))


def test_three_brokers_go_on_when_one_is_killed(kafka3, tools):  # noqa: F811
    tool = tools(kafka3)
    assert tool.ok("topics") == []
    assert "min.insync.replicas=2" in kafka3.topics("--describe", "--topic", "raw-pings")
    first, slot = next(NUMBERS), next(SLOTS)
    tool.open(slot)
    kept, batch = {}, 0
    end = time.monotonic() + 4 * DEADLINE_S
    while batch < 60 and time.monotonic() < end:
        number = first + batch * 100
        lines, last = tool.ask("produce", batch + 1, number, 100)
        committed = last == "OK" and tool.ask("commit")[1] == "OK"
        if not committed:
            tool.ask("abort")
            tool.open(slot)
            committed = tool.newest() == batch + 1
        if committed:
            batch += 1
            kept |= {number + i: (int(line.split()[0]), int(line.split()[1])) for i, line in enumerate(lines)}
        if batch == 20 and kafka3.brokers[0].process.poll() is None:
            kafka3.brokers[0].kill()
    assert batch == 60
    settled(tool, first, kept)


# ─── Kafka's own tools ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_javas_consumer_reads_key_value_and_header_as_they_are_meant(kafka, tool):  # noqa: F811
    tool.open(next(SLOTS))
    first = next(NUMBERS)
    settled(tool, first, tool.publish(1, first, 5))
    ours = {(partition, offset): (f"id:{identity}", key, value) for partition, _, offset, key, value, identity in records(tool)}
    theirs = {(partition, offset): (headers.decode(), key.decode(), value.decode())
              for partition, offset, headers, key, value in kafka.console_consume("raw-pings", len(ours))}
    assert theirs == ours
    assert (f"id:id{first:014d}", f"10.1.{first % 1000 // 256}.{first % 1000 % 256}") in {(h, k) for h, k, _ in theirs.values()}


def test_javas_producer_puts_ten_thousand_clients_into_the_same_partitions(kafka, tool):  # noqa: F811
    kafka.topics("--create", "--topic", "by-java", "--partitions", "6", "--replication-factor", "1")
    clients = [f"10.{n % 200}.{n // 200}.7" for n in range(5000)] + [f"2001:db8::{n:x}:1" for n in range(1, 5001)]
    kafka.console_produce("by-java", [(client, '{"n":1}') for client in clients])
    lines = [line.split(" ") for line in tool.ok("read", "by-java", 6)]
    assert {line[3] for line in lines} == set(clients)
    assert [line for line in lines if line[0] != line[1]] == []
    assert {int(line[0]) for line in lines} == set(range(6))


def kcat(cluster, *arguments, **more):
    return subprocess.run(["kcat", "-b", cluster.addresses, "-q", *arguments], capture_output=True, text=True, check=True, timeout=2 * DEADLINE_S, **more).stdout


@pytest.mark.skipif(not shutil.which("kcat"), reason="no kcat: apt-get install kcat")
def test_kcat_reads_what_is_meant_and_puts_clients_into_the_same_partitions(kafka, tool):  # noqa: F811
    tool.open(next(SLOTS))
    first = next(NUMBERS)
    settled(tool, first, tool.publish(1, first, 500))
    said = kcat(kafka, "-C", "-t", "raw-pings", "-o", "beginning", "-e", "-X", "isolation.level=read_committed", "-f", "%p %o %k %s\n")
    ours = {f"{partition} {offset} {key} {value}" for partition, _, offset, key, value, _ in records(tool)}
    assert set(said.splitlines()) == ours
    kafka.topics("--create", "--topic", "by-kcat", "--partitions", "6", "--replication-factor", "1")
    clients = [f"10.{n % 200}.{n // 200}.7" for n in range(2000)] + [f"2001:db8::{n:x}:1" for n in range(1, 2001)]
    kcat(kafka, "-P", "-t", "by-kcat", "-K", " ", "-X", "partitioner=murmur2_random", input="".join(f"{client} 1\n" for client in clients))
    lines = [line.split(" ") for line in tool.ok("read", "by-kcat", 6)]
    assert {line[3] for line in lines} == set(clients)
    assert [line for line in lines if line[0] != line[1]] == []
