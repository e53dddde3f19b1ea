package ping.metrics.job;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.BooleanSupplier;
import org.apache.flink.api.common.serialization.SerializerConfigImpl;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;
import org.junit.jupiter.api.Test;
import ping.metrics.core.Address;
import ping.metrics.core.ClientRow;
import ping.metrics.core.DayRow;
import ping.metrics.core.Ping;
import ping.metrics.core.WindowRow;
import ping.metrics.core.Windows;
import ping.metrics.store.Due;
import ping.metrics.types.DeadLetter;
import ping.metrics.types.LogEntries;
import ping.metrics.types.LogEntry;
import ping.metrics.types.Sighting;
import ping.metrics.types.Sightings;

class LookupOperatorTest {
  private static final Address CLIENT = Address.parse("203.0.113.7");
  private static final long START_MS = 1_728_926_100_000L;
  private static final int PARTITIONS = 6;
  private static final long TTL_MS = 1_200_000;
  private static final long DEADLINE_MS = 60_000;

  private final MemoryStore store = new MemoryStore("look up");
  private final MemoryStore.Tables tables = store.tables();

  /** Nothing but events. */
  private static LogTail tail() {
    return () ->
        new LogTail.Look() {
          @Override
          public long beforeNext(int partition, long position) {
            return position;
          }

          @Override
          public void close() {}
        };
  }

  /** The second of two subtasks: it stands for partitions 1, 3 and 5. */
  private OneInputStreamOperatorTestHarness<LogEntries, Sightings> harness(
      int parallelism, int subtask) throws Exception {
    OneInputStreamOperatorTestHarness<LogEntries, Sightings> harness =
        new OneInputStreamOperatorTestHarness<>(
            new LookupOperatorFactory(store, tail(), PARTITIONS, TTL_MS), 32, parallelism, subtask);
    harness.setup(Sightings.TYPE.createSerializer(new SerializerConfigImpl()));
    harness.setProcessingTime(START_MS);
    harness.open();
    return harness;
  }

  private static List<Sighting> sent(
      OneInputStreamOperatorTestHarness<LogEntries, Sightings> harness) {
    return harness.extractOutputValues().stream().flatMap(pack -> pack.all().stream()).toList();
  }

  private static StreamRecord<LogEntries> ping(Address client, int partition, long position) {
    Ping ping = new Ping(client, START_MS + position, position);
    LogEntry entry = new LogEntry(partition, position, START_MS, ping, null);
    return new StreamRecord<>(new LogEntries(List.of(entry)));
  }

  private static StreamRecord<LogEntries> deadLetter(int partition, long position) {
    DeadLetter letter =
        new DeadLetter(null, new byte[0], List.of(), "not a JSON object", partition, position);
    LogEntry entry = new LogEntry(partition, position, START_MS, null, letter);
    return new StreamRecord<>(new LogEntries(List.of(entry)));
  }

  private static void await(BooleanSupplier condition) throws InterruptedException {
    long endMs = System.currentTimeMillis() + DEADLINE_MS;
    while (!condition.getAsBoolean()) {
      assertThat(System.currentTimeMillis()).as("within the deadline").isLessThan(endMs);
      Thread.sleep(1);
    }
  }

  @Test
  void pingsStayInOrderAndEachRowIsLookedUpOnce() throws Exception {
    try (var harness = harness(1, 0)) {
      List<Long> positions = new ArrayList<>();
      for (long position = 0; position < 300; position++) {
        harness.processElement(ping(CLIENT, 0, position));
        harness.processElement(ping(Address.of(1, position % 39), 1, position));
        positions.add(position);
      }
      harness.prepareSnapshotPreBarrier(1);
      assertThat(sent(harness)).hasSize(600);
      assertThat(sent(harness).stream().filter(sighting -> sighting.client().equals(CLIENT)))
          .extracting(sighting -> sighting.ping().position())
          .isEqualTo(positions);
      assertThat(tables.reads).hasValue(40);
    }
  }

  @Test
  void theFirstPingOfARowBringsWhatIsStored() throws Exception {
    WindowRow window = new WindowRow(START_MS, 5, START_MS, START_MS + 9, 9);
    long dayMs = Windows.dayStartOf(START_MS);
    tables.windows.put(MemoryStore.place(CLIENT, START_MS), window);
    tables.days.put(MemoryStore.place(CLIENT, dayMs), new DayRow(dayMs, 5, 9));
    tables.clients.put(CLIENT, new ClientRow(START_MS, START_MS + 9));
    try (var harness = harness(1, 0)) {
      harness.processElement(ping(CLIENT, 0, 10));
      harness.processElement(ping(CLIENT, 0, 11));
      harness.prepareSnapshotPreBarrier(1);
      List<Sighting> out = sent(harness);
      assertThat(out.get(0).found().window()).isEqualTo(window);
      assertThat(out.get(0).found().day()).isEqualTo(new DayRow(dayMs, 5, 9));
      assertThat(out.get(0).found().client()).isEqualTo(new ClientRow(START_MS, START_MS + 9));
      assertThat(out.get(1).found()).isNull();
    }
  }

  @Test
  void nothingWaitsLongForOthers() throws Exception {
    try (var harness = harness(1, 0)) {
      harness.processElement(ping(CLIENT, 0, 0));
      harness.prepareSnapshotPreBarrier(1);
      for (long position = 1; position < 3; position++) {
        harness.processElement(ping(CLIENT, 0, position));
        assertThat(sent(harness)).hasSize((int) position);
        harness.setProcessingTime(START_MS + position * LookupOperator.MAX_PACK_MS);
        assertThat(sent(harness)).hasSize((int) position + 1);
      }
    }
  }

  @Test
  void deadLettersGoTheirOwnWay() throws Exception {
    try (var harness = harness(1, 0)) {
      StreamRecord<LogEntries> record = deadLetter(4, 9);
      harness.processElement(record);
      assertThat(harness.getSideOutput(LookupOperator.DEAD))
          .extracting(StreamRecord::getValue)
          .containsExactlyElementsOf(record.getValue().all());
      harness.prepareSnapshotPreBarrier(1);
      assertThat(sent(harness)).isEmpty();
    }
  }

  @Test
  void aRowIsLookedUpAgainBeforeItsStateCanBePurged() throws Exception {
    try (var harness = harness(1, 0)) {
      harness.processElement(ping(CLIENT, 0, 0));
      harness.prepareSnapshotPreBarrier(1);
      harness.setProcessingTime(START_MS + TTL_MS);
      harness.processElement(ping(CLIENT, 0, 1));
      harness.prepareSnapshotPreBarrier(2);
      assertThat(tables.reads).hasValue(2);
    }
  }

  @Test
  void positionsAreWrittenOnceTheCheckpointIsComplete() throws Exception {
    try (var harness = harness(1, 0)) {
      harness.processElement(ping(CLIENT, 2, 7));
      harness.processElement(deadLetter(4, 9));
      harness.prepareSnapshotPreBarrier(1);
      harness.snapshot(1, START_MS);
      assertThat(tables.positions).isEmpty();
      harness.processElement(ping(CLIENT, 2, 8));
      harness.notifyOfCompletedCheckpoint(1);
      await(() -> tables.positions.size() == 2);
      assertThat(tables.positions).containsEntry(2, 7L).containsEntry(4, 9L);
      assertThat(sent(harness)).hasSize(1);
    }
  }

  @Test
  void anActivityThatIsDueIsLookedUpAndGoesOn() throws Exception {
    tables.dues.put(CLIENT, new Due(CLIENT, START_MS - 1));
    try (var harness = harness(1, 0)) {
      long[] nowMs = {START_MS};
      await(
          () -> {
            try {
              harness.setProcessingTime(nowMs[0] += 1000);
              while (harness.getTaskMailbox().hasMail()) {
                harness.getTaskMailbox().take(0).run();
              }
            } catch (Exception e) {
              throw new IllegalStateException(e);
            }
            return !harness.getOutput().isEmpty();
          });
      Sighting sighting = sent(harness).get(0);
      assertThat(sighting.client()).isEqualTo(CLIENT);
      assertThat(sighting.ping()).isNull();
      assertThat(sighting.dueMs()).isEqualTo(START_MS - 1);
      assertThat(sighting.found().wanted().activity()).isTrue();
    }
  }

  @Test
  void oneThatEndsInOrderNeedNotBeWaitedFor() throws Exception {
    try (var harness = harness(2, 1)) {
      harness.processElement(ping(CLIENT, 2, 7));
      harness.prepareSnapshotPreBarrier(1);
      harness.snapshot(1, START_MS);
      harness.setProcessingTime(START_MS + 1000);
      await(() -> tables.heardOf.equals(Set.of(1, 3, 5)));
      harness.notifyOfCompletedCheckpoint(1);
      // A stop with a savepoint finishes no operator: it closes them.
    }
    assertThat(tables.positions).containsEntry(2, 7L);
    assertThat(tables.heardOf).isEmpty();
  }
}
