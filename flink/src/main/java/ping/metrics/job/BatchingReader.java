package ping.metrics.job;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.apache.flink.api.common.eventtime.Watermark;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SourceOutput;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceSplit;
import org.apache.flink.core.io.InputStatus;
import ping.metrics.types.LogEntries;
import ping.metrics.types.LogEntry;

/**
 * Of {@link BatchingSource}. Between two calls it holds nothing, so the reader's own splits say how
 * far it is.
 */
final class BatchingReader<SplitT extends SourceSplit> implements SourceReader<LogEntries, SplitT> {
  /** Records at once: in between, the task looks for its timers, barriers and answers. */
  static final int MAX_ENTRIES = 128;

  private final SourceReader<LogEntry, SplitT> reader;
  private final Batch batch = new Batch();

  BatchingReader(SourceReader<LogEntry, SplitT> reader) {
    this.reader = reader;
  }

  /** What the reader emits, of whatever split. */
  private static final class Batch implements ReaderOutput<LogEntry> {
    private final List<LogEntry> all = new ArrayList<>(MAX_ENTRIES);
    private final LogEntries entries = new LogEntries(all);

    @Override
    public void collect(LogEntry entry) {
      all.add(entry);
    }

    @Override
    public void collect(LogEntry entry, long timestamp) {
      all.add(entry);
    }

    @Override
    public SourceOutput<LogEntry> createOutputForSplit(String split) {
      return this;
    }

    @Override
    public void releaseOutputForSplit(String split) {}

    @Override
    public void emitWatermark(Watermark watermark) {}

    @Override
    public void markIdle() {}

    @Override
    public void markActive() {}
  }

  @Override
  public InputStatus pollNext(ReaderOutput<LogEntries> output) throws Exception {
    InputStatus status;
    do {
      status = reader.pollNext(batch);
    } while (status == InputStatus.MORE_AVAILABLE && batch.all.size() < MAX_ENTRIES);
    if (!batch.all.isEmpty()) {
      output.collect(batch.entries, batch.all.get(batch.all.size() - 1).receivedMs());
      batch.all.clear();
    }
    return status;
  }

  @Override
  public void start() {
    reader.start();
  }

  @Override
  public List<SplitT> snapshotState(long checkpointId) {
    return reader.snapshotState(checkpointId);
  }

  @Override
  public CompletableFuture<Void> isAvailable() {
    return reader.isAvailable();
  }

  @Override
  public void addSplits(List<SplitT> splits) {
    reader.addSplits(splits);
  }

  @Override
  public void notifyNoMoreSplits() {
    reader.notifyNoMoreSplits();
  }

  @Override
  public void handleSourceEvents(SourceEvent event) {
    reader.handleSourceEvents(event);
  }

  @Override
  public void notifyCheckpointComplete(long checkpointId) throws Exception {
    reader.notifyCheckpointComplete(checkpointId);
  }

  @Override
  public void notifyCheckpointAborted(long checkpointId) throws Exception {
    reader.notifyCheckpointAborted(checkpointId);
  }

  @Override
  public void pauseOrResumeSplits(Collection<String> pause, Collection<String> resume) {
    reader.pauseOrResumeSplits(pause, resume);
  }

  @Override
  public void close() throws Exception {
    reader.close();
  }
}
