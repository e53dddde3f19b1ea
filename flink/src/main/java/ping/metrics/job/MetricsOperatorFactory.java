package ping.metrics.job;

import org.apache.flink.streaming.api.operators.AbstractStreamOperatorFactory;
import org.apache.flink.streaming.api.operators.OneInputStreamOperatorFactory;
import org.apache.flink.streaming.api.operators.StreamOperator;
import org.apache.flink.streaming.api.operators.StreamOperatorParameters;
import ping.metrics.core.ClientChanges;
import ping.metrics.store.MetricsStore;
import ping.metrics.types.Sightings;

/** Makes the operator that keeps the metrics of clients. */
public final class MetricsOperatorFactory extends AbstractStreamOperatorFactory<ClientChanges>
    implements OneInputStreamOperatorFactory<Sightings, ClientChanges> {
  private static final long serialVersionUID = 1;

  private final MetricsStore store;
  private final MetricsOptions options;

  /** Over a store, for rows that were not looked up in time. */
  public MetricsOperatorFactory(MetricsStore store, MetricsOptions options) {
    this.store = store;
    this.options = options;
  }

  @Override
  @SuppressWarnings("TypeParameterUnusedInFormals") // as Flink declares it
  public <T extends StreamOperator<ClientChanges>> T createStreamOperator(
      StreamOperatorParameters<ClientChanges> parameters) {
    @SuppressWarnings("unchecked")
    T operator = (T) new MetricsOperator(parameters, store, options);
    return operator;
  }

  @Override
  @SuppressWarnings("rawtypes")
  public Class<? extends StreamOperator> getStreamOperatorClass(ClassLoader classLoader) {
    return MetricsOperator.class;
  }
}
