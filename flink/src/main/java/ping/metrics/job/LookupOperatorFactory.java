package ping.metrics.job;

import org.apache.flink.streaming.api.operators.AbstractStreamOperatorFactory;
import org.apache.flink.streaming.api.operators.OneInputStreamOperatorFactory;
import org.apache.flink.streaming.api.operators.StreamOperator;
import org.apache.flink.streaming.api.operators.StreamOperatorParameters;
import ping.metrics.store.MetricsStore;
import ping.metrics.types.LogEntries;
import ping.metrics.types.Sightings;

/** Makes the operator that looks rows up, and packs. */
public final class LookupOperatorFactory extends AbstractStreamOperatorFactory<Sightings>
    implements OneInputStreamOperatorFactory<LogEntries, Sightings> {
  private static final long serialVersionUID = 1;

  private final MetricsStore store;
  private final LogTail tail;
  private final int partitions;
  private final long seenTtlMs;

  /**
   * Over a store.
   *
   * @param tail where the log's events end
   * @param partitions of the log
   * @param seenTtlMs after which a row is looked up again; less than half of how long state is kept
   */
  public LookupOperatorFactory(MetricsStore store, LogTail tail, int partitions, long seenTtlMs) {
    this.store = store;
    this.tail = tail;
    this.partitions = partitions;
    this.seenTtlMs = seenTtlMs;
  }

  @Override
  @SuppressWarnings("TypeParameterUnusedInFormals") // as Flink declares it
  public <T extends StreamOperator<Sightings>> T createStreamOperator(
      StreamOperatorParameters<Sightings> parameters) {
    @SuppressWarnings("unchecked")
    T operator = (T) new LookupOperator(parameters, store, tail, partitions, seenTtlMs);
    return operator;
  }

  @Override
  @SuppressWarnings("rawtypes")
  public Class<? extends StreamOperator> getStreamOperatorClass(ClassLoader classLoader) {
    return LookupOperator.class;
  }
}
