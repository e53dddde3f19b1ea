package ping.metrics.job;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.LongStream;
import org.apache.flink.api.common.eventtime.Watermark;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.SourceOutput;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceSplit;
import org.apache.flink.core.io.InputStatus;
import org.junit.jupiter.api.Test;
import ping.metrics.types.LogEntries;
import ping.metrics.types.LogEntry;

class BatchingReaderTest {
  /** Which says how far it is read. */
  private record Split(int read) implements SourceSplit {
    @Override
    public String splitId() {
      return "split";
    }
  }

  /** Has some entries, of two splits in turn, and says where it is. */
  private static final class Reader implements SourceReader<LogEntry, Split> {
    private final ArrayDeque<LogEntry> left = new ArrayDeque<>();
    private InputStatus atEnd = InputStatus.NOTHING_AVAILABLE;
    private int emitted;

    @Override
    public InputStatus pollNext(ReaderOutput<LogEntry> output) {
      LogEntry next = left.poll();
      if (next != null) {
        SourceOutput<LogEntry> split = output.createOutputForSplit("split-" + emitted++ % 2);
        split.collect(next, next.receivedMs());
      }
      return left.isEmpty() ? atEnd : InputStatus.MORE_AVAILABLE;
    }

    @Override
    public List<Split> snapshotState(long checkpointId) {
      return List.of(new Split(emitted));
    }

    @Override
    public void start() {}

    @Override
    public CompletableFuture<Void> isAvailable() {
      return CompletableFuture.completedFuture(null);
    }

    @Override
    public void addSplits(List<Split> splits) {}

    @Override
    public void notifyNoMoreSplits() {}

    @Override
    public void close() {}
  }

  /** Keeps what comes, and the time that it came with. */
  private static final class Output implements ReaderOutput<LogEntries> {
    private final List<List<LogEntry>> batches = new ArrayList<>();
    private final List<Long> times = new ArrayList<>();

    @Override
    public void collect(LogEntries batch) {
      throw new UnsupportedOperationException("without a time");
    }

    @Override
    public void collect(LogEntries batch, long timestamp) {
      batches.add(List.copyOf(batch.all()));
      times.add(timestamp);
    }

    @Override
    public void emitWatermark(Watermark watermark) {}

    @Override
    public void markIdle() {}

    @Override
    public void markActive() {}

    @Override
    public SourceOutput<LogEntries> createOutputForSplit(String split) {
      return this;
    }

    @Override
    public void releaseOutputForSplit(String split) {}
  }

  private final Reader reader = new Reader();
  private final BatchingReader<Split> batching = new BatchingReader<>(reader);
  private final Output output = new Output();

  private List<LogEntry> fill(int count) {
    List<LogEntry> entries =
        LongStream.range(0, count)
            .mapToObj(at -> new LogEntry(0, at, 100 + at, null, null))
            .toList();
    reader.left.addAll(entries);
    return entries;
  }

  @Test
  void handsOnWhatIsThereInOrderAndNoMoreThanItMay() throws Exception {
    int count = 2 * BatchingReader.MAX_ENTRIES + 3;
    List<LogEntry> entries = fill(count);
    assertThat(batching.pollNext(output)).isEqualTo(InputStatus.MORE_AVAILABLE);
    assertThat(batching.pollNext(output)).isEqualTo(InputStatus.MORE_AVAILABLE);
    assertThat(batching.pollNext(output)).isEqualTo(InputStatus.NOTHING_AVAILABLE);
    assertThat(output.batches)
        .extracting(List::size)
        .containsExactly(BatchingReader.MAX_ENTRIES, BatchingReader.MAX_ENTRIES, 3);
    assertThat(output.batches.stream().flatMap(List::stream)).containsExactlyElementsOf(entries);
    assertThat(output.times).last().isEqualTo(100L + count - 1);
  }

  @Test
  void holdsNothingBetweenTwoCalls() throws Exception {
    fill(BatchingReader.MAX_ENTRIES + 1);
    int handedOn = 0;
    while (!reader.left.isEmpty()) {
      batching.pollNext(output);
      handedOn += output.batches.get(output.batches.size() - 1).size();
      assertThat(batching.snapshotState(1)).containsExactly(new Split(handedOn));
    }
  }

  @Test
  void saysWhenNothingIsThereAndWhenAllIsRead() throws Exception {
    assertThat(batching.pollNext(output)).isEqualTo(InputStatus.NOTHING_AVAILABLE);
    assertThat(output.batches).isEmpty();
    reader.atEnd = InputStatus.END_OF_INPUT;
    fill(1);
    assertThat(batching.pollNext(output)).isEqualTo(InputStatus.END_OF_INPUT);
    assertThat(output.batches).hasSize(1);
  }
}
