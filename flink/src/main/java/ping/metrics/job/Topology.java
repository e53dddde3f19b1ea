package ping.metrics.job;

import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.streaming.api.datastream.DataStream;
import ping.metrics.core.ClientChanges;
import ping.metrics.store.MetricsStore;
import ping.metrics.types.LogEntry;
import ping.metrics.types.Sighting;
import ping.metrics.types.Sightings;

/**
 * The job behind its source:
 *
 * <pre>
 *   log ──► rows looked up ──► packed ──► by client ──► metrics ──► store
 * </pre>
 */
public final class Topology {
  private Topology() {}

  /** Adds it; every operator has a uid, so that a savepoint finds its state in the next build. */
  public static void add(
      DataStream<LogEntry> log,
      LogTail tail,
      MetricsStore store,
      int partitions,
      MetricsOptions options) {
    log.transform(
            "look up",
            Sighting.TYPE,
            new LookupOperatorFactory(store, tail, partitions, options.allowedLatenessMs() / 3))
        .uid("look-up")
        .transform("pack", Sightings.TYPE, new PackOperatorFactory())
        .uid("pack")
        .keyBy(Sightings::client, Sighting.CLIENT_TYPE)
        .transform(
            "metrics",
            TypeInformation.of(ClientChanges.class),
            new MetricsOperatorFactory(store, options))
        .uid("metrics")
        .sinkTo(new MetricsSink(store))
        .name("store")
        .uid("store");
  }
}
