package ping.metrics;

import java.util.List;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.configuration.StateRecoveryOptions;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.core.execution.CheckpointingMode;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import ping.metrics.job.BatchingSource;
import ping.metrics.job.DeadLetterSerializer;
import ping.metrics.job.DiscardingStore;
import ping.metrics.job.KafkaLogTail;
import ping.metrics.job.MetricsOptions;
import ping.metrics.job.PingDeserializer;
import ping.metrics.job.StoredPositions;
import ping.metrics.job.Topology;
import ping.metrics.store.MetricsStore;
import ping.metrics.store.cql.CqlMetricsStore;
import ping.metrics.types.LogEntries;
import ping.metrics.types.LogEntry;

/** The job "Ping Metrics": from Kafka's raw-pings to the tables of the metrics. */
public final class PingMetricsJob {
  /**
   * From the fetching thread to the task's: fewer would have them wait for each other more often;
   * of more, of which a few thousand are always on the way, each young collection copies more.
   */
  private static final String RECORDS_AT_ONCE = "1000";

  /**
   * The system lets it grow. With Kafka's 64 KiB the broker waits for the fetching thread, which
   * reads from the network only in between.
   */
  private static final String SYSTEMS_BUFFER = "-1";

  /**
   * Four times Kafka's: fewer requests, and more at hand while one is on its way. All partitions
   * together stay within {@code fetch.max.bytes}, 50 MiB.
   */
  private static final String PARTITION_FETCH_BYTES = "4194304";

  private PingMetricsJob() {}

  /**
   * Runs it; exits with 2 where a setting is wrong, with 1 where what it works on is not as it
   * should be.
   */
  @SuppressWarnings("SystemOut")
  public static void main(String[] arguments) throws Exception {
    if (JobSettings.asksForHelp(arguments)) {
      System.out.print(JobSettings.help());
      return;
    }
    JobSettings settings;
    try {
      settings = JobSettings.read(arguments, System.getenv());
    } catch (JobSettings.WrongException e) {
      throw new IllegalArgumentException("ping-metrics: " + e.getMessage());
    }
    StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment();
    boolean fromState =
        environment.getConfiguration().getOptional(StateRecoveryOptions.SAVEPOINT_PATH).isPresent();
    MetricsStore store = settings.discards() ? new DiscardingStore() : store(settings, fromState);
    build(environment, settings, store);
    environment.execute("Ping Metrics");
  }

  /**
   * The store, after a look at it and at the log: whatever is wrong is told before anything starts.
   *
   * @param fromState the job goes on from a savepoint, which knows where
   */
  private static MetricsStore store(JobSettings settings, boolean fromState) throws Exception {
    try (KafkaLog log = new KafkaLog(settings)) {
      MetricsStore store =
          new CqlMetricsStore(
              settings.storeUrl(),
              log.check(),
              settings.logEpoch(),
              settings.logPartitions(),
              settings.milliseconds("window-retention"));
      StoredPositions positions = new StoredPositions(store, settings.logEpoch());
      positions.check(fromState ? List.of() : log.partitions(), log);
      return store;
    }
  }

  /** The whole job. */
  static void build(
      StreamExecutionEnvironment environment, JobSettings settings, MetricsStore store) {
    environment.getConfig().enableObjectReuse();
    environment.getConfig().setAutoWatermarkInterval(0);
    environment.setMaxParallelism(settings.lanes());
    environment.enableCheckpointing(
        settings.milliseconds("checkpoint-interval"), CheckpointingMode.EXACTLY_ONCE);
    // A barrier must not overtake: what lies before it is in the store when the checkpoint is done.
    environment.getCheckpointConfig().enableUnalignedCheckpoints(false);
    KafkaSource<LogEntry> source =
        KafkaSource.<LogEntry>builder()
            .setBootstrapServers(settings.kafkaBrokers())
            .setTopics(KafkaLog.EVENTS)
            .setGroupId(settings.group())
            .setProperty("max.poll.records", RECORDS_AT_ONCE)
            .setProperty("receive.buffer.bytes", SYSTEMS_BUFFER)
            .setProperty("max.partition.fetch.bytes", PARTITION_FETCH_BYTES)
            .setProperties(settings.kafkaProperties())
            .setProperty("isolation.level", "read_committed")
            .setProperty("commit.offsets.on.checkpoint", "true")
            .setProperty("partition.discovery.interval.ms", "-1")
            .setStartingOffsets(new StoredPositions(store, settings.logEpoch()))
            .setDeserializer(new PingDeserializer(settings.logPartitions(), settings.logEpoch()))
            .build();
    // No watermark: the client's time chooses the window, and nothing waits for a time to pass.
    DataStream<LogEntries> log =
        environment
            .fromSource(
                new BatchingSource<>(source),
                WatermarkStrategy.noWatermarks(),
                KafkaLog.EVENTS,
                LogEntries.TYPE)
            .uid(sourceUid(settings.logEpoch()));
    Topology.add(
            log,
            new KafkaLogTail(
                settings.kafkaBrokers(),
                KafkaLog.EVENTS,
                settings.logEpoch(),
                settings.kafkaProperties()),
            store,
            settings.logPartitions(),
            new MetricsOptions(
                settings.milliseconds("flush-interval"),
                settings.milliseconds("allowed-lateness"),
                settings.milliseconds("window-retention"),
                MetricsOptions.DEFAULT_MAX_CLIENTS))
        .sinkTo(deadLetters(settings))
        .name(KafkaLog.DEAD)
        .uid("raw-pings-dead");
  }

  /**
   * Offsets in a savepoint are of one life of the topic. In the next they would skip its first
   * events, so there they are no state of this source, and Flink says so.
   */
  private static String sourceUid(long logEpoch) {
    return logEpoch == 0 ? KafkaLog.EVENTS : KafkaLog.EVENTS + "-" + logEpoch;
  }

  private static KafkaSink<LogEntry> deadLetters(JobSettings settings) {
    return KafkaSink.<LogEntry>builder()
        .setBootstrapServers(settings.kafkaBrokers())
        .setKafkaProducerConfig(settings.kafkaProperties())
        .setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
        .setRecordSerializer(new DeadLetterSerializer(KafkaLog.DEAD))
        .build();
  }
}
