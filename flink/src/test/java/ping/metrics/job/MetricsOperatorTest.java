package ping.metrics.job;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.junit.jupiter.api.Test;
import ping.metrics.core.Address;
import ping.metrics.core.ClientChanges;
import ping.metrics.core.Ping;
import ping.metrics.core.WindowRow;
import ping.metrics.core.Windows;
import ping.metrics.store.Found;
import ping.metrics.store.Wanted;
import ping.metrics.types.Sighting;
import ping.metrics.types.Sightings;

class MetricsOperatorTest {
  private static final Address CLIENT = Address.parse("203.0.113.7");
  private static final long START_MS = 1_728_926_100_000L;
  private static final long HOUR_MS = 3_600_000;
  private static final long FLUSH_MS = 500;

  private final MemoryStore store = new MemoryStore("operator");

  private KeyedOneInputStreamOperatorTestHarness<Address, Sightings, ClientChanges> harness()
      throws Exception {
    KeyedOneInputStreamOperatorTestHarness<Address, Sightings, ClientChanges> harness =
        new KeyedOneInputStreamOperatorTestHarness<>(
            new MetricsOperatorFactory(store, new MetricsOptions(FLUSH_MS, HOUR_MS, 0, 100)),
            Sightings::client,
            Sighting.CLIENT_TYPE);
    harness.setProcessingTime(START_MS);
    return harness;
  }

  private static StreamRecord<Sightings> record(Sighting sighting) {
    return new StreamRecord<>(new Sightings(List.of(sighting)));
  }

  private static Sighting ping(long offset, Found found) {
    return new Sighting(
        CLIENT, new Ping(CLIENT, START_MS + offset, offset), START_MS + offset, 0, found);
  }

  /** An answer of {@code askedMs}: the window as it is given, no day. */
  private static Found found(long askedMs, WindowRow window) {
    Wanted wanted = new Wanted(CLIENT, START_MS, Windows.dayStartOf(START_MS), true);
    return new Found(
        wanted, askedMs, window, null, null, window == null ? List.of() : List.of(window), 0);
  }

  private static List<WindowRow> windows(
      KeyedOneInputStreamOperatorTestHarness<Address, Sightings, ClientChanges> harness) {
    List<WindowRow> rows = new ArrayList<>();
    harness.extractOutputValues().forEach(changes -> rows.addAll(changes.windows()));
    return rows;
  }

  @Test
  void handsRowsOnEveryFlushIntervalAndBeforeABarrier() throws Exception {
    try (var harness = harness()) {
      harness.open();
      harness.processElement(record(ping(0, found(START_MS, null))));
      harness.processElement(record(ping(1, null)));
      assertThat(windows(harness)).isEmpty();
      harness.setProcessingTime(START_MS + FLUSH_MS);
      assertThat(windows(harness))
          .containsExactly(new WindowRow(START_MS, 2, START_MS, START_MS + 1, 1));
      harness.processElement(record(ping(2, null)));
      harness.prepareSnapshotPreBarrier(1);
      assertThat(windows(harness))
          .last()
          .isEqualTo(new WindowRow(START_MS, 3, START_MS, START_MS + 2, 2));
    }
  }

  @Test
  void aStoredRowThatIsNewerThanRestoredStateReplacesIt() throws Exception {
    OperatorSubtaskState snapshot;
    try (var harness = harness()) {
      harness.open();
      harness.processElement(record(ping(0, found(START_MS, null))));
      harness.prepareSnapshotPreBarrier(1);
      snapshot = harness.snapshot(1, START_MS);
    }
    try (var harness = harness()) {
      harness.initializeState(snapshot);
      harness.open();
      WindowRow stored = new WindowRow(START_MS, 5, START_MS, START_MS + 9, 9);
      harness.processElement(record(ping(3, found(START_MS, stored))));
      harness.processElement(record(ping(10, null)));
      harness.prepareSnapshotPreBarrier(2);
      assertThat(windows(harness))
          .containsExactly(new WindowRow(START_MS, 6, START_MS, START_MS + 10, 10));
    }
  }

  @Test
  void aPingWhoseStateWasPurgedReadsItsRowAgain() throws Exception {
    try (var harness = harness()) {
      harness.open();
      harness.processElement(record(ping(0, found(START_MS, null))));
      harness.prepareSnapshotPreBarrier(1);
      harness.snapshot(1, START_MS);
      store.tables().windows.put(MemoryStore.place(CLIENT, START_MS), windows(harness).get(0));
      harness.setProcessingTime(START_MS + 1000);
      harness.setProcessingTime(START_MS + 3 * HOUR_MS);
      assertThat(harness.numKeyedStateEntries())
          .as("not before a checkpoint is complete")
          .isPositive();
      harness.prepareSnapshotPreBarrier(2);
      harness.snapshot(2, START_MS + 3 * HOUR_MS);
      harness.notifyOfCompletedCheckpoint(2);
      harness.setProcessingTime(START_MS + 5 * HOUR_MS);
      assertThat(harness.numKeyedStateEntries()).isZero();
      // Its answer waited since before the purge, and would begin anew.
      harness.processElement(record(ping(7, found(START_MS, null))));
      harness.prepareSnapshotPreBarrier(3);
      assertThat(windows(harness))
          .last()
          .isEqualTo(new WindowRow(START_MS, 2, START_MS, START_MS + 7, 7));
    }
  }

  private static Sighting ping(Address client, long pingedMs, long position) {
    Wanted wanted =
        new Wanted(client, Windows.startOf(pingedMs), Windows.dayStartOf(pingedMs), true);
    Found nothing = new Found(wanted, pingedMs, null, null, null, List.of(), 0);
    return new Sighting(client, new Ping(client, pingedMs, position), pingedMs, 0, nothing);
  }

  @Test
  void stateIsWrittenForACheckpointNotWithEveryRow() throws Exception {
    try (var harness = harness()) {
      harness.open();
      harness.processElement(record(ping(0, found(START_MS, null))));
      harness.setProcessingTime(START_MS + FLUSH_MS);
      assertThat(windows(harness)).hasSize(1);
      assertThat(harness.numKeyedStateEntries()).isZero();
      harness.prepareSnapshotPreBarrier(1);
      assertThat(harness.numKeyedStateEntries()).isPositive();
    }
  }

  @Test
  void clientsThatAreLetGoOfAreFoundInState() throws Exception {
    int clients = 300; // 100 are at hand
    try (var harness = harness()) {
      harness.open();
      for (int round = 0; round < 2; round++) {
        for (int i = 0; i < clients; i++) {
          Address client = Address.of(1, i);
          long position = (long) round * clients + i;
          harness.processElement(
              record(
                  round == 0
                      ? ping(client, START_MS, position)
                      : new Sighting(
                          client, new Ping(client, START_MS + 1, position), START_MS, 0, null)));
        }
        harness.prepareSnapshotPreBarrier(round);
      }
      List<WindowRow> rows = windows(harness);
      assertThat(rows.subList(rows.size() - clients, rows.size()))
          .allSatisfy(row -> assertThat(row.count()).isEqualTo(2));
      assertThat(store.tables().reads).hasValue(0);
    }
  }

  @Test
  void aClientThatPingsAllTheTimeLosesItsOldWindows() throws Exception {
    try (var harness = harness()) {
      harness.open();
      for (int minute = 0; minute < 600; minute++) {
        long nowMs = START_MS + minute * 60_000L;
        harness.setProcessingTime(nowMs);
        harness.processElement(record(ping(CLIENT, nowMs, minute)));
        harness.prepareSnapshotPreBarrier(minute);
        harness.snapshot(minute, nowMs);
        harness.notifyOfCompletedCheckpoint(minute);
        harness.processElement(record(ping(CLIENT, nowMs + 1, minute)));
      }
      assertThat(store.tables().reads).hasValue(0);
      harness.processElement(
          record(new Sighting(CLIENT, new Ping(CLIENT, START_MS, 600), START_MS, 0, null)));
      assertThat(store.tables().reads).as("the first window was let go of").hasValue(1);
    }
  }
}
