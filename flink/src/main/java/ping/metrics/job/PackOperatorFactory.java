package ping.metrics.job;

import org.apache.flink.streaming.api.operators.AbstractStreamOperatorFactory;
import org.apache.flink.streaming.api.operators.OneInputStreamOperatorFactory;
import org.apache.flink.streaming.api.operators.StreamOperator;
import org.apache.flink.streaming.api.operators.StreamOperatorParameters;
import ping.metrics.types.Sighting;
import ping.metrics.types.Sightings;

/** Makes the operator that packs sightings. */
public final class PackOperatorFactory extends AbstractStreamOperatorFactory<Sightings>
    implements OneInputStreamOperatorFactory<Sighting, Sightings> {
  private static final long serialVersionUID = 1;

  @Override
  @SuppressWarnings("TypeParameterUnusedInFormals") // as Flink declares it
  public <T extends StreamOperator<Sightings>> T createStreamOperator(
      StreamOperatorParameters<Sightings> parameters) {
    @SuppressWarnings("unchecked")
    T operator = (T) new PackOperator(parameters);
    return operator;
  }

  @Override
  @SuppressWarnings("rawtypes")
  public Class<? extends StreamOperator> getStreamOperatorClass(ClassLoader classLoader) {
    return PackOperator.class;
  }
}
