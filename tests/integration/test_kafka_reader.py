"""The log as engines read it, against a real Kafka: partitions that come and go, events in order, and the errors that name a way out."""
import itertools
import json
import signal
import struct
import subprocess
import time

import pytest

from conftest import BUILD, DEADLINE_S, SCALE, wait_for
from kafka import TOPICS, kafka, processes  # noqa: F401  (a fixture)
from test_kafka import TOOL, Tool

pytestmark = pytest.mark.skipif(not TOOL.exists(), reason="pingd was built without Kafka: `make drivers` (drivers/README.md)")

CONTRACT = BUILD / "tests" / "kafka" / "kafka-log-contract"
FIRST_MS = 1728926331000
PARTITIONS = range(6)


class Reader(Tool):
    """A member of the group, and a driver that begins at `positions` and remembers what it was given."""

    def __init__(self, cluster, *arguments):
        super().__init__(cluster.addresses, *arguments)
        self.positions, self.ends, self.events, self.partitions, self.told = {}, {}, [], set(), []

    def poll(self, timeout_ms=0):
        """One poll: what it said first."""
        (head, *lines) = self.ok("poll", timeout_ms)
        kind, partition, applied, end = head.split()
        partition, applied = int(partition), int(applied)
        if kind == "IDLE":
            return kind
        self.told.append((kind, partition))
        if kind == "ASSIGNED":
            self.partitions.add(partition)
            self.seek(partition, self.positions.get(partition, -1))
        elif kind == "BATCH":
            assert partition in self.partitions
            for position, client, pinged_at_ms in (line.split() for line in lines):
                assert self.positions.get(partition, -1) < int(position) <= applied
                self.positions[partition] = int(position)
                self.events.append((partition, int(position), client, int(pinged_at_ms) - FIRST_MS))
            assert self.positions.get(partition, -1) <= applied <= int(end)
            self.positions[partition], self.ends[partition] = applied, int(end)
        else:
            self.partitions.remove(partition)
        return kind

    def seek(self, partition, position):
        """Until it works: right after a topic was made its leaders may not know it yet."""
        def done():
            last = self.ask("seek", partition, position)[1]
            assert last == "OK" or "UNAVAILABLE" in last, last
            return last == "OK"
        wait_for("the partition's leader", done)

    def refused_seek(self, partition, position):
        """Why, once the leader was there to ask."""
        def answer():
            last = self.ask("seek", partition, position)[1]
            return "UNAVAILABLE" not in last and last
        return wait_for("the partition's leader", answer)

    def poll_until(self, what, condition, *others):
        """Polls, and has the others polled too: a rebalance needs all."""
        def look():
            for reader in (self, *others):
                reader.poll(50)
            return condition()
        return wait_for(what, look)

    def own(self, partitions, *others):
        return self.poll_until(f"partitions {partitions}", lambda: self.partitions == set(partitions), *others)

    def leave(self):
        """In order: the others need not wait for it."""
        self.process.stdin.close()
        self.process.wait(DEADLINE_S)


@pytest.fixture
def topics(kafka, tools):  # noqa: F811
    """New ones; a publisher, with a slot of its own open."""
    kafka.delete_topics(*TOPICS)
    publisher = tools(kafka)
    wait_for("new topics", lambda: publisher.ask("topics")[1] == "OK")
    publisher.open(0)
    return publisher


@pytest.fixture
def tools(kafka):  # noqa: F811
    made = []

    def make(cluster, *arguments, kind=Tool):
        made.append(kind(cluster.addresses if kind is Tool else cluster, *arguments))
        return made[-1]

    yield make
    for tool in made:
        if isinstance(tool, Reader) and tool.process.poll() is None and not tool.process.stdin.closed:
            tool.leave()
        tool.end()


@pytest.fixture
def make_reader(kafka, topics, tools):  # noqa: F811
    return lambda *arguments: tools(kafka, *arguments, kind=Reader)


BATCHES = itertools.count(1)


def publish(publisher, first, count):
    """{(partition, position): number}"""
    return {place: number for number, place in publisher.publish(next(BATCHES), first, count).items()}


def places(reader):
    return {(partition, position): number for partition, position, _, number in reader.events}


def read_all(reader, expected, *others):
    reader.poll_until(f"{len(expected)} events", lambda: sum(len(r.events) for r in (reader, *others)) >= len(expected), *others)
    found = {place: number for r in (reader, *others) for place, number in places(r).items()}
    assert found == expected
    assert sum(len(r.events) for r in (reader, *others)) == len(expected)


def at_the_end(reader):
    return reader.ends.keys() == reader.positions.keys() and all(reader.positions[p] == reader.ends[p] for p in reader.ends)


def test_events_come_at_the_positions_that_the_publisher_was_told(topics, make_reader):
    expected = publish(topics, 0, 20000) | publish(topics, 20000, 10)
    reader = make_reader()
    reader.own(PARTITIONS)
    read_all(reader, expected)
    assert all(client == f"10.1.{n % 1000 // 256}.{n % 1000 % 256}" for _, _, client, n in reader.events)
    expected |= publish(topics, 30000, 100)
    read_all(reader, expected)


def test_at_the_end_nothing_lags_though_markers_take_offsets(topics, make_reader):
    reader = make_reader()
    reader.own(PARTITIONS)
    expected = publish(topics, 0, 5000)
    topics.produce(next(BATCHES), 5000, 5000)
    topics.ok("abort")
    read_all(reader, expected)
    reader.poll_until("the end of all partitions", lambda: at_the_end(reader) and
                      all(reader.positions[p] > max(place[1] for place in expected if place[0] == p) + 1 for p in PARTITIONS))


def test_the_log_epoch_stands_above_the_offset_and_a_new_one_begins_anew(topics, tools, kafka, make_reader):  # noqa: F811
    later = tools(kafka, "epoch=3")
    later.open(1)
    expected = publish(later, 0, 100)
    reader = make_reader("epoch=3")
    reader.positions = {p: 2 << 48 | 5_000_000 for p in PARTITIONS}  # where the log before it ended
    reader.own(PARTITIONS)
    read_all(reader, expected)
    assert {position >> 48 for _, position, _, _ in reader.events} == {3}
    reader.leave()
    earlier = make_reader("epoch=2")
    wait_for("partitions", lambda: earlier.ok("poll", 100)[0].startswith("ASSIGNED"))
    assert "set --log-epoch" in earlier.refused_seek(0, 3 << 48)


def test_a_second_reader_takes_some_partitions_over_and_each_event_comes_once(topics, make_reader):
    first = make_reader()
    first.own(PARTITIONS)
    expected = publish(topics, 0, 3000)
    read_all(first, expected)
    second = make_reader()
    second.positions = dict(first.positions)
    second.poll_until("three partitions each", lambda: len(first.partitions) == len(second.partitions) == 3, first)
    assert ("REVOKED" in {kind for kind, _ in first.told}) and first.partitions.isdisjoint(second.partitions)
    kept = [told for told in first.told if told[0] == "ASSIGNED"]
    assert len(kept) == 6, "what it keeps is not taken away meanwhile"
    expected |= publish(topics, 3000, 3000)
    read_all(first, expected, second)
    assert places(second)
    first.positions |= second.positions
    second.leave()
    first.own(PARTITIONS)
    expected |= publish(topics, 6000, 3000)
    first.poll_until("the rest", lambda: places(first) | places(second) == expected)


def test_a_reader_that_is_killed_loses_its_partitions_to_the_others(topics, make_reader):
    victim = make_reader()
    victim.own(PARTITIONS)
    expected = publish(topics, 0, 1000)
    read_all(victim, expected)
    victim.kill()
    other = make_reader()
    other.positions = dict(victim.positions)
    other.own(PARTITIONS)
    more = publish(topics, 1000, 1000)
    read_all(other, more)


def test_reading_goes_on_where_the_driver_says_not_where_the_group_stood(topics, make_reader):
    expected = publish(topics, 0, 1000)
    reader = make_reader()
    reader.own(PARTITIONS)
    read_all(reader, expected)
    for partition, position in reader.positions.items():
        reader.ok("store", partition, position)
    reader.leave()
    again = make_reader()
    again.own(PARTITIONS)
    read_all(again, expected)
    middle = {p: sorted(place[1] for place in expected if place[0] == p)[20] for p in PARTITIONS}
    again.events, again.positions = [], dict(middle)
    for partition, position in middle.items():
        again.seek(partition, position)
    read_all(again, {place: number for place, number in expected.items() if place[1] > middle[place[0]]})


def test_kafkas_own_tools_see_how_far_the_store_is(topics, make_reader, kafka):  # noqa: F811
    reader = make_reader()
    reader.own(PARTITIONS)
    read_all(reader, publish(topics, 0, 1000))
    reader.poll_until("the end", lambda: at_the_end(reader) and len(reader.ends) == 6)
    for partition, position in reader.positions.items():
        reader.ok("store", partition, position)

    def lag():
        said = kafka.tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server", kafka.addresses,
                          "--describe", "--group", "ping-metrics")
        return [line.split()[5] for line in said.splitlines() if line.startswith("ping-metrics")]
    wait_for("no lag", lambda: lag() == ["0"] * 6)


def assigned(reader):
    """The first partition, not sought yet."""
    return wait_for("a partition", lambda: (said := reader.ok("poll", 100)[0].split())[0] == "ASSIGNED" and said[1])


def remove_events(kafka, tmp_path):  # noqa: F811
    everything = {"version": 1, "partitions": [{"topic": "raw-pings", "partition": n, "offset": -1} for n in PARTITIONS]}
    (tmp_path / "offsets").write_text(json.dumps(everything))
    kafka.tool("org.apache.kafka.tools.DeleteRecordsCommand", "--bootstrap-server", kafka.addresses, "--offset-json-file", tmp_path / "offsets")


def test_a_position_that_the_log_no_longer_holds_or_never_had_is_refused(topics, make_reader, kafka, tmp_path):  # noqa: F811
    publish(topics, 0, 1000)
    reader = make_reader()
    first = assigned(reader)
    reader.seek(first, -1)
    said = reader.refused_seek(first, 1_000_000)
    assert said.startswith("ERROR FAILED_PRECONDITION") and "--log-epoch" in said
    remove_events(kafka, tmp_path)
    said = reader.refused_seek(first, 5)
    assert said.startswith("ERROR DATA_LOSS") and "pingctl rebuild" in said
    assert reader.refused_seek(77, 0).startswith("ERROR INVALID_ARGUMENT")


def test_an_idle_partition_whose_events_were_all_removed_is_no_error(topics, make_reader, kafka, tmp_path):  # noqa: F811
    reader = make_reader()
    reader.own(PARTITIONS)
    expected = publish(topics, 0, 1000)
    read_all(reader, expected)
    reader.poll_until("the end", lambda: at_the_end(reader) and len(reader.ends) == 6)
    reader.leave()
    remove_events(kafka, tmp_path)
    again = make_reader()
    again.positions = dict(reader.positions)
    again.own(PARTITIONS)
    read_all(again, publish(topics, 1000, 100))


def test_events_removed_under_a_reader_are_an_error_until_it_is_told_where_to_go_on(topics, make_reader, kafka, tmp_path):  # noqa: F811
    publish(topics, 0, 1000)
    reader = make_reader()
    for _ in PARTITIONS:
        reader.seek(assigned(reader), -1)
    remove_events(kafka, tmp_path)
    for _ in range(2):
        wait_for("the error", lambda: (said := reader.ask("poll", 100)[1]) != "OK" and "DATA_LOSS" in said and "retention" in said)


def test_a_topic_that_is_made_anew_is_another_one(topics, make_reader, kafka):  # noqa: F811
    publish(topics, 0, 1000)
    reader = make_reader()
    before = reader.ok("identity")
    assert reader.ok("identity") == before and len(before[0]) == 32
    reader.leave()
    kafka.delete_topics("raw-pings")
    wait_for("a new topic", lambda: topics.ask("topics")[1] == "OK")
    other = make_reader()
    assert other.ok("identity") != before
    first = assigned(other)
    other.seek(first, -1)
    assert "ends at offset 0" in other.refused_seek(first, 500)


def test_another_number_of_partitions_than_configured_is_an_error(topics, make_reader):
    reader = make_reader("partitions=12")
    assert "configured are 12: set --log-partitions" in reader.ask("identity")[1]


POISON = [("203.0.113.7", "no JSON"), ("203.0.113.7", "{}"), ("203.0.113.7", '{"ClientIP":"here","Timestamp":"2024-10-14T15:45:31Z"}'),
          ("elsewhere", '{"ClientIP":"203.0.113.7","Timestamp":"2024-10-14T15:45:31Z"}')]


def test_what_is_no_event_or_misplaced_goes_to_the_dead_letters_and_the_rest_goes_on(topics, make_reader, kafka):  # noqa: F811
    reader = make_reader()
    reader.own(PARTITIONS)
    kafka.console_produce("raw-pings", POISON)
    expected = publish(topics, 0, 1000)
    read_all(reader, expected)
    dead = kafka.console_consume("raw-pings-dead", len(POISON))
    assert sorted((key.decode(), value.decode()) for _, _, _, key, value in dead) == sorted(POISON)
    reasons = [dict(pair.split(b":", 1) for pair in headers.split(b",") if b":" in pair) for _, _, headers, _, _ in dead]
    assert sum(b"misplaced" in reason[b"reason"] for reason in reasons) == 1
    assert all(int(reason[b"partition"]) == place[0] for reason, place in zip(reasons, dead, strict=True))
    assert len({(reason[b"partition"], reason[b"offset"]) for reason in reasons}) == len(POISON)


def dead_letters(kafka, *arguments):  # noqa: F811
    """What `pingctl dead-letters` says: one object a line."""
    done = subprocess.run([BUILD / "pingctl", "dead-letters", "--json", "--ledger", "postgres://127.0.0.1:1/none", "--log", kafka.url, *arguments],
                          capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_dead_letters_are_listed_and_what_is_an_event_is_put_back_once(topics, make_reader, kafka):  # noqa: F811
    reader = make_reader()
    reader.own(PARTITIONS)
    assert dead_letters(kafka) == []
    kafka.console_produce("raw-pings", POISON)
    read_all(reader, publish(topics, 0, 100))
    letters = dead_letters(kafka)
    assert sorted((letter["key"], letter["value"]) for letter in letters) == sorted(POISON)
    assert all(letter["partition"] in PARTITIONS and letter["offset"] >= 0 and letter["reason"] for letter in letters)
    states = {letter["value"]: letter["state"] for letter in letters}
    assert states == {value: "can be replayed" if key == "elsewhere" else "no event" for key, value in POISON}
    assert dead_letters(kafka, "--replay") == [{"replayed": 1, "already": 0, "no_events": 3}]
    misplaced = ("203.0.113.7", 1728920731000 - FIRST_MS)
    reader.poll_until("the event", lambda: misplaced in [event[2:] for event in reader.events])
    assert dead_letters(kafka, "--replay") == [{"replayed": 0, "already": 1, "no_events": 3}]
    assert [letter["state"] for letter in dead_letters(kafka) if letter["key"] == "elsewhere"] == ["replayed"]
    (placed,) = [record for record in kafka.console_consume("raw-pings", 100 + len(POISON) + 1) if record[3:] == (b"203.0.113.7", POISON[3][1].encode())]
    assert b"reason" not in placed[2]


def test_while_dead_letters_cannot_be_written_the_reader_says_so_and_passes_nothing_by(topics, make_reader, kafka):  # noqa: F811
    reader = make_reader()
    reader.own(PARTITIONS)
    kafka.console_produce("raw-pings", POISON)
    expected = publish(topics, 0, 600)
    kafka.delete_topics("raw-pings-dead")

    def trouble():
        try:
            reader.poll(50)
        except AssertionError as error:
            return "raw-pings-dead" in str(error)
        return False

    wait_for("the error", trouble)
    assert places(reader).keys() < expected.keys()
    wait_for("a new topic", lambda: topics.ask("topics")[1] == "OK")
    wait_for("the events", lambda: not trouble() and places(reader) == expected)
    dead = kafka.console_consume("raw-pings-dead", len(POISON))
    assert {(key.decode(), value.decode()) for _, _, _, key, value in dead} == set(POISON)


def test_a_broker_that_is_killed_and_comes_back_is_read_on(topics, make_reader, kafka):  # noqa: F811
    reader = make_reader()
    reader.own(PARTITIONS)
    expected = publish(topics, 0, 1000)
    read_all(reader, expected)
    kafka.brokers[0].kill()
    end = time.monotonic() + 2
    while time.monotonic() < end:
        reader.poll(100)
    kafka.brokers[0].start()
    topics.open(0)
    expected |= publish(topics, 1000, 1000)
    reader.poll_until("the rest", lambda: places(reader).keys() == expected.keys())


class Follower(Tool):
    """Reads without a group, up to the positions that it is told."""

    def __init__(self, cluster, *arguments):
        super().__init__(cluster.addresses, *arguments)
        self.events, self.missed, self.behind = {}, False, True

    def follow(self, until):
        (head, *lines), last = self.ask("follow", *until)
        assert last == "OK" or "UNAVAILABLE" in last, last
        if last != "OK":
            return
        missed, self.behind = (word == "1" for word in head.split())
        self.missed |= missed
        for position, client, pinged_at_ms in (line.split() for line in lines):
            number = int(pinged_at_ms) - FIRST_MS
            assert number not in self.events, "an event came twice"
            assert int(position) <= max(until) and client == f"10.1.{number % 1000 // 256}.{number % 1000 % 256}"
            self.events[number] = int(position)

    def follow_until(self, until, expected):
        """All of the events at positions up to there, and no other; then nothing is left."""
        wanted = {number: position for (partition, position), number in expected.items() if position <= until[partition]}

        def look():
            self.follow(until)
            return self.events == wanted and not self.behind
        wait_for(f"{len(wanted)} events", look)


def ends(expected, more=0):
    """Of each partition the last position, or some behind that."""
    return [max(position for partition, position in expected if partition == p) + more for p in PARTITIONS]


@pytest.fixture
def follower(kafka, topics, tools):  # noqa: F811
    made = tools(kafka, kind=Follower)
    made.ok("skip", -1)
    return made


def test_a_follower_is_given_what_lies_up_to_a_position_and_no_more(topics, follower):
    expected = publish(topics, 0, 20000)
    follower.follow_until([500] * 6, expected)
    follower.follow_until([500, 600, 700, 800, 900, 1000], expected)
    follower.ok("skip", 2000)
    follower.events.clear()
    follower.follow_until([2500] * 6, {place: number for place, number in expected.items() if place[1] > 2000})
    assert not follower.missed


def test_a_follower_sees_nothing_of_open_and_aborted_transactions_and_comes_to_the_end(topics, follower):
    expected = publish(topics, 0, 1000)
    topics.produce(next(BATCHES), 5000, 1000)
    topics.ok("abort")
    follower.follow_until(ends(expected, more=100), expected)
    open_ones = {place: number for number, place in topics.produce(next(BATCHES), 1000, 1000).items()}
    for _ in range(20):
        follower.follow(ends(open_ones))
    assert len(follower.events) == 1000 and follower.behind
    topics.ok("commit")
    follower.follow_until(ends(open_ones, more=1), expected | open_ones)  # and a marker


def test_a_follower_is_in_no_group(topics, follower, kafka):  # noqa: F811
    follower.follow_until([100] * 6, publish(topics, 0, 1000))
    groups = kafka.tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server", kafka.addresses, "--list",
                        "--state")
    assert not [line for line in groups.splitlines() if "Stable" in line or "Balanc" in line], groups


def test_a_follower_passes_by_what_is_no_event(topics, follower, kafka):  # noqa: F811
    kafka.console_produce("raw-pings", POISON)
    expected = publish(topics, 0, 1000)
    follower.follow_until(ends(expected), expected)


def test_a_follower_is_told_of_events_that_were_removed_and_goes_on(topics, follower, kafka, tmp_path):  # noqa: F811
    before = publish(topics, 0, 1000)
    remove_events(kafka, tmp_path)
    wait_for("the loss to be told", lambda: follower.follow(ends(before, more=1)) or follower.missed)
    follower.events.clear()
    expected = publish(topics, 1000, 3000)
    follower.follow_until(ends(expected), expected)


def test_a_follower_goes_on_when_the_broker_is_back(topics, follower, kafka):  # noqa: F811
    expected = publish(topics, 0, 1000)
    follower.follow_until([50] * 6, expected)
    kafka.brokers[0].kill()
    end = time.monotonic() + 2
    while time.monotonic() < end:
        follower.follow(ends(expected))
    kafka.brokers[0].start()
    follower.follow_until(ends(expected), expected)
    assert not follower.missed


def test_the_contract_of_logs_holds(kafka):  # noqa: F811
    kafka.delete_topics(*TOPICS)
    done = subprocess.run([CONTRACT, kafka.addresses], capture_output=True, text=True, timeout=400, check=False)
    kafka.delete_topics(*TOPICS)
    assert done.returncode == 0, done.stdout + done.stderr


STORM = BUILD / "tests" / "kafka" / "kafka-log-storm"
STORM_READERS, STORM_CHANGES, STORM_KILLS, STORM_MOST = 3, int(30 * min(SCALE, 10)), 1, 1_000_000
STORM_ROW = struct.Struct("=6q")  # position and number twice, generation, owner


def test_no_event_is_passed_over_however_often_partitions_move(kafka, topics, tmp_path):  # noqa: F811
    """Readers come, go and are killed while others read on: each ends when the number of an event is not the one behind that of the last."""
    state, said = tmp_path / "state", tmp_path / "said"

    def numbers():
        """Of the last event that somebody read, by partition."""
        rows = [row[1 + 2 * (row[4] % 2)] for row in STORM_ROW.iter_unpack(state.read_bytes())] if state.exists() else []
        return rows or [-1] * len(PARTITIONS)

    def start(*arguments, **streams):
        return subprocess.Popen(processes.tied([STORM, *arguments]), text=True, **streams)

    def spawn():
        with said.open("a") as output:
            return start("read", kafka.addresses, state, "20", stdout=output, stderr=output)

    def further(events):
        before = numbers()

        def look():
            assert all(reader.poll() is None for reader in readers), said.read_text()[-2000:]
            assert writer.poll() is None, writer.stderr.read()
            return all(now >= then + events for now, then in zip(numbers(), before))
        wait_for("every partition to be read on", look)
    writer = start("write", kafka.addresses, str(STORM_MOST), "4", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    readers = [spawn() for _ in range(STORM_READERS)]
    try:
        for change in range(STORM_CHANGES):
            further(200)
            reader = readers.pop(change % STORM_READERS)
            reader.send_signal(signal.SIGKILL if change % (STORM_CHANGES // STORM_KILLS) == 0 else signal.SIGTERM)
            assert reader.wait(DEADLINE_S) in (0, -signal.SIGTERM, -signal.SIGKILL), said.read_text()[-2000:]
            readers.append(spawn())
        further(200)
        writer.terminate()
        written = int(writer.communicate(timeout=DEADLINE_S)[0])
        wait_for("the last events", lambda: set(numbers()) == {written - 1} or any(reader.poll() is not None for reader in readers))
        assert all(reader.poll() is None for reader in readers), said.read_text()[-2000:]
    finally:
        for process in (writer, *readers):
            process.kill()
            process.wait()
    assert "AGAIN" not in said.read_text()
