package ping.metrics.job;

import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import ping.metrics.core.ClientChanges;
import ping.metrics.store.MetricsStore;
import ping.metrics.types.LogEntries;
import ping.metrics.types.LogEntry;
import ping.metrics.types.Sighting;
import ping.metrics.types.Sightings;

/**
 * The job behind its source:
 *
 * <pre>
 *   log ──► rows looked up ──► by client ──► metrics ──► store
 *                  └──► dead letters
 * </pre>
 */
public final class Topology {
  private Topology() {}

  /**
   * Adds it; every operator has a uid, so that a savepoint finds its state in the next build.
   *
   * @return the dead letters
   */
  public static DataStream<LogEntry> add(
      DataStream<LogEntries> log,
      LogTail tail,
      MetricsStore store,
      int partitions,
      MetricsOptions options) {
    SingleOutputStreamOperator<Sightings> sightings =
        log.transform(
                "look up",
                Sightings.TYPE,
                new LookupOperatorFactory(store, tail, partitions, options.allowedLatenessMs() / 3))
            .uid("look-up");
    sightings
        .keyBy(Sightings::client, Sighting.CLIENT_TYPE)
        .transform(
            "metrics",
            TypeInformation.of(ClientChanges.class),
            new MetricsOperatorFactory(store, options))
        .uid("metrics")
        .sinkTo(new MetricsSink(store))
        .name("store")
        .uid("store");
    return sightings.getSideOutput(LookupOperator.DEAD);
  }
}
