package ping.metrics.job;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import org.apache.flink.streaming.api.connector.sink2.CommittableMessage;
import org.apache.flink.streaming.runtime.operators.sink.SinkWriterOperatorFactory;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;
import org.junit.jupiter.api.Test;
import ping.metrics.core.Address;
import ping.metrics.core.ClientChanges;
import ping.metrics.core.ClientRow;
import ping.metrics.core.DayRow;
import ping.metrics.core.WindowRow;
import ping.metrics.core.Windows;
import ping.metrics.store.FencedException;
import ping.metrics.store.Lanes;

class MetricsSinkWriterTest {
  private static final Address CLIENT = Address.parse("203.0.113.7");
  private static final long START_MS = 1_728_926_100_000L;
  private static final long DAY_MS = Windows.dayStartOf(START_MS);
  private static final int MAX_PARALLELISM = 32;
  private static final long DEADLINE_MS = 60_000;
  private static final Set<Thread.State> WAITING =
      EnumSet.of(Thread.State.WAITING, Thread.State.TIMED_WAITING);

  private final GatedStore store = new GatedStore("gated");
  private final GatedStore.Gate gate = store.gate();

  private OneInputStreamOperatorTestHarness<ClientChanges, CommittableMessage<Void>> harness()
      throws Exception {
    OneInputStreamOperatorTestHarness<ClientChanges, CommittableMessage<Void>> harness =
        new OneInputStreamOperatorTestHarness<>(
            new SinkWriterOperatorFactory<ClientChanges, Void>(new MetricsSink(store)),
            MAX_PARALLELISM,
            2,
            1);
    harness.open();
    return harness;
  }

  /** The client's window, day and row after so many pings. */
  private static StreamRecord<ClientChanges> changes(Address client, int count) {
    return new StreamRecord<>(
        new ClientChanges(
            client,
            List.of(new WindowRow(START_MS, count, START_MS, START_MS + count, count)),
            List.of(new DayRow(DAY_MS, count, count)),
            new ClientRow(START_MS, START_MS + count),
            null,
            0,
            0,
            START_MS));
  }

  private static void await(BooleanSupplier condition) throws InterruptedException {
    long endMs = System.currentTimeMillis() + DEADLINE_MS;
    while (!condition.getAsBoolean()) {
      assertThat(System.currentTimeMillis()).as("within the deadline").isLessThan(endMs);
      Thread.sleep(1);
    }
  }

  /** Runs what the writer has handed to its task. */
  private static void runMails(OneInputStreamOperatorTestHarness<?, ?> harness) throws Exception {
    while (harness.getTaskMailbox().hasMail()) {
      harness.getTaskMailbox().take(0).run();
    }
  }

  @Test
  void takesTheLanesOfItsSubtask() throws Exception {
    harness().close();
    assertThat(gate.lanes).isEqualTo(Lanes.of(MAX_PARALLELISM, 2, 1));
    assertThat(gate.closed).hasValue(1);
  }

  @Test
  void writesWithoutACheckpoint() throws Exception {
    try (var harness = harness()) {
      harness.processElement(changes(CLIENT, 1));
      runMails(harness);
      gate.writes.release();
      await(() -> gate.written.size() == 1);
    }
  }

  @Test
  void aClientsNewerRowsTakeThePlaceOfOlderOnesWhileABatchIsOnItsWay() throws Exception {
    try (var harness = harness()) {
      harness.processElement(changes(CLIENT, 1));
      runMails(harness);
      await(() -> gate.waiting.get() == 1);
      Address other = Address.parse("2001:db8::7");
      harness.processElement(changes(CLIENT, 2));
      harness.processElement(changes(other, 1));
      harness.processElement(changes(CLIENT, 3));
      gate.writes.release(2);
      harness.prepareSnapshotPreBarrier(1);
      assertThat(gate.written)
          .containsExactly(
              List.of(changes(CLIENT, 1).getValue()),
              List.of(changes(CLIENT, 3).getValue(), changes(other, 1).getValue()));
    }
  }

  @Test
  void whatOnlyTheOlderOneHasStays() throws Exception {
    try (var harness = harness()) {
      harness.processElement(changes(CLIENT, 1));
      WindowRow next = new WindowRow(START_MS + Windows.SIZE_MS, 1, START_MS, START_MS, 9);
      harness.processElement(
          new StreamRecord<>(
              new ClientChanges(CLIENT, List.of(next), List.of(), null, null, 0, 7, START_MS + 5)));
      gate.writes.release();
      harness.prepareSnapshotPreBarrier(1);
      ClientChanges first = changes(CLIENT, 1).getValue();
      assertThat(gate.written)
          .containsExactly(
              List.of(
                  new ClientChanges(
                      CLIENT,
                      List.of(first.windows().get(0), next),
                      first.days(),
                      first.row(),
                      null,
                      0,
                      7,
                      START_MS)));
    }
  }

  @Test
  void aBarrierWaitsUntilEverythingIsWritten() throws Exception {
    try (var harness = harness()) {
      harness.processElement(changes(CLIENT, 1));
      runMails(harness);
      await(() -> gate.waiting.get() == 1);
      harness.processElement(changes(CLIENT, 2));
      CompletableFuture<Integer> opened =
          CompletableFuture.supplyAsync(
              () -> {
                int before = gate.written.size();
                gate.writes.release(2);
                return before;
              });
      harness.prepareSnapshotPreBarrier(1);
      assertThat(opened.join()).isZero();
      assertThat(gate.written).hasSize(2);
    }
  }

  @Test
  void theTaskWaitsOnceABatchIsOnItsWayAndAnotherOneIsFull() throws Exception {
    try (var harness = harness()) {
      harness.processElement(changes(CLIENT, 1));
      runMails(harness);
      await(() -> gate.waiting.get() == 1);
      int rows = changes(CLIENT, 1).getValue().size();
      int most = (MetricsSinkWriter.MAX_ROWS + rows - 1) / rows;
      AtomicInteger taken = new AtomicInteger();
      Thread task = Thread.currentThread();
      CompletableFuture<Integer> atTheGate =
          CompletableFuture.supplyAsync(
              () -> {
                try {
                  await(() -> taken.get() == most && WAITING.contains(task.getState()));
                  return taken.get();
                } catch (InterruptedException e) {
                  throw new IllegalStateException(e);
                } finally {
                  gate.writes.release(1000);
                }
              });
      for (int i = 0; i < most + 1; i++) {
        harness.processElement(changes(Address.of(0x20010db8_00000000L, i), 1));
        taken.incrementAndGet();
      }
      assertThat(atTheGate.join()).isEqualTo(most);
      harness.prepareSnapshotPreBarrier(1);
      assertThat(gate.written).extracting(List::size).containsExactly(1, most, 1);
    }
  }

  @Test
  void rowsThatAreAnothersEndTheTask() throws Exception {
    try (var harness = harness()) {
      gate.onWrite.set(new FencedException("another engine has taken the rows of lane 3"));
      gate.writes.release();
      harness.processElement(changes(CLIENT, 1));
      assertThatThrownBy(() -> harness.prepareSnapshotPreBarrier(1))
          .hasRootCauseInstanceOf(FencedException.class);
    }
  }

  @Test
  void aRefusedRenewalEndsTheTaskAlsoWhileThereIsNothingToWrite() throws Exception {
    try (var harness = harness()) {
      gate.onKeep.set(new FencedException("another engine has taken the rows of lane 3"));
      harness.setProcessingTime(harness.getProcessingTime() + 1000);
      await(() -> harness.getTaskMailbox().hasMail());
      assertThatThrownBy(() -> runMails(harness)).hasRootCauseInstanceOf(FencedException.class);
    }
  }

  @Test
  void keepsTheOwnersRowsEverySecond() throws Exception {
    try (var harness = harness()) {
      for (int second = 1; second <= 3; second++) {
        int wanted = second;
        harness.setProcessingTime(harness.getProcessingTime() + 1000);
        await(() -> gate.kept.get() == wanted);
        await(() -> harness.getTaskMailbox().hasMail());
        runMails(harness);
      }
    }
  }

  @Test
  void anErrorWhileRowsAreWrittenEndsTheTaskInsteadOfWaitingForEver() throws Exception {
    try (var harness = harness()) {
      gate.onWrite.set(new LinkageError("no such class"));
      gate.writes.release();
      harness.processElement(changes(CLIENT, 1));
      assertThatThrownBy(() -> harness.prepareSnapshotPreBarrier(1))
          .hasRootCauseInstanceOf(LinkageError.class);
    }
  }
}
