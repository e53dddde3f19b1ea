package ping.metrics.job;

import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SourceSplit;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import ping.metrics.types.LogEntries;
import ping.metrics.types.LogEntry;

/**
 * A source that hands on many records at once: what Flink does for each record that a source emits
 * costs a third of what decoding it does. Everything else is the source's own, its state too.
 */
public final class BatchingSource<SplitT extends SourceSplit, EnumT>
    implements Source<LogEntries, SplitT, EnumT> {
  private static final long serialVersionUID = 1;

  private final Source<LogEntry, SplitT, EnumT> source;

  /** Over a source that needs neither watermarks nor event time. */
  public BatchingSource(Source<LogEntry, SplitT, EnumT> source) {
    this.source = source;
  }

  @Override
  public Boundedness getBoundedness() {
    return source.getBoundedness();
  }

  @Override
  public SourceReader<LogEntries, SplitT> createReader(SourceReaderContext context)
      throws Exception {
    return new BatchingReader<>(source.createReader(context));
  }

  @Override
  public SplitEnumerator<SplitT, EnumT> createEnumerator(SplitEnumeratorContext<SplitT> context)
      throws Exception {
    return source.createEnumerator(context);
  }

  @Override
  public SplitEnumerator<SplitT, EnumT> restoreEnumerator(
      SplitEnumeratorContext<SplitT> context, EnumT checkpoint) throws Exception {
    return source.restoreEnumerator(context, checkpoint);
  }

  @Override
  public SimpleVersionedSerializer<SplitT> getSplitSerializer() {
    return source.getSplitSerializer();
  }

  @Override
  public SimpleVersionedSerializer<EnumT> getEnumeratorCheckpointSerializer() {
    return source.getEnumeratorCheckpointSerializer();
  }
}
