package ping.metrics;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.core.execution.CheckpointingMode;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.Uuid;
import ping.metrics.job.DeadLetterSerializer;
import ping.metrics.job.DiscardingStore;
import ping.metrics.job.MetricsOptions;
import ping.metrics.job.PingDeserializer;
import ping.metrics.job.StoredPositions;
import ping.metrics.job.Topology;
import ping.metrics.store.MetricsStore;
import ping.metrics.store.PartitionRows;
import ping.metrics.store.cql.CqlMetricsStore;
import ping.metrics.types.LogEntry;

/** The job "Ping Metrics": from Kafka's raw-pings to the tables of the metrics. */
public final class PingMetricsJob {
  static final String EVENTS = "raw-pings";
  static final String DEAD = "raw-pings-dead";
  private static final int ADMIN_TIMEOUT_MS = 15_000;

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
    MetricsStore store = settings.discards() ? new DiscardingStore() : store(settings);
    StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment();
    build(environment, settings, store);
    environment.execute("Ping Metrics");
  }

  /**
   * The store, after a look at it and at the log: whatever is wrong is told before anything starts.
   */
  private static MetricsStore store(JobSettings settings) throws Exception {
    byte[] topicId = checkLog(settings);
    MetricsStore store =
        new CqlMetricsStore(
            settings.storeUrl(),
            topicId,
            settings.logPartitions(),
            settings.milliseconds("window-retention"));
    try (PartitionRows rows = store.openPartitions()) {
      rows.positions();
    }
    return store;
  }

  private static byte[] checkLog(JobSettings settings) throws InterruptedException {
    Properties properties = settings.kafkaProperties();
    properties.setProperty(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, settings.kafkaBrokers());
    properties.setProperty(
        AdminClientConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, Integer.toString(ADMIN_TIMEOUT_MS));
    properties.setProperty(
        AdminClientConfig.REQUEST_TIMEOUT_MS_CONFIG, Integer.toString(ADMIN_TIMEOUT_MS));
    try (Admin admin = Admin.create(properties)) {
      TopicDescription topic =
          admin.describeTopics(List.of(EVENTS)).allTopicNames().get().get(EVENTS);
      if (topic.partitions().size() != settings.logPartitions()) {
        throw new IllegalStateException(
            EVENTS
                + " has "
                + topic.partitions().size()
                + " partitions, configured are "
                + settings.logPartitions()
                + ": set --log-partitions; growing is a procedure");
      }
      Uuid id = topic.topicId();
      return ByteBuffer.allocate(16)
          .putLong(id.getMostSignificantBits())
          .putLong(id.getLeastSignificantBits())
          .array();
    } catch (ExecutionException e) {
      throw new IllegalStateException(
          "log: " + EVENTS + " at " + settings.kafkaBrokers() + ": " + e.getCause().getMessage(),
          e);
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
    KafkaSource<LogEntry> source =
        KafkaSource.<LogEntry>builder()
            .setBootstrapServers(settings.kafkaBrokers())
            .setTopics(EVENTS)
            .setGroupId(settings.group())
            .setProperties(settings.kafkaProperties())
            .setProperty("isolation.level", "read_committed")
            .setProperty("commit.offsets.on.checkpoint", "true")
            .setProperty("partition.discovery.interval.ms", "-1")
            .setStartingOffsets(new StoredPositions(store, settings.logEpoch()))
            .setDeserializer(new PingDeserializer(settings.logPartitions(), settings.logEpoch()))
            .build();
    // No watermark: the client's time chooses the window, and nothing waits for a time to pass.
    DataStream<LogEntry> log =
        environment.fromSource(source, WatermarkStrategy.noWatermarks(), EVENTS).uid("raw-pings");
    log.filter(entry -> entry.dead() != null)
        .name("dead letters")
        .uid("dead-letters")
        .sinkTo(deadLetters(settings))
        .name(DEAD)
        .uid("raw-pings-dead");
    Topology.add(
        log,
        store,
        settings.logPartitions(),
        new MetricsOptions(
            settings.milliseconds("flush-interval"),
            settings.milliseconds("allowed-lateness"),
            settings.milliseconds("window-retention"),
            MetricsOptions.DEFAULT_MAX_CLIENTS));
  }

  private static KafkaSink<LogEntry> deadLetters(JobSettings settings) {
    return KafkaSink.<LogEntry>builder()
        .setBootstrapServers(settings.kafkaBrokers())
        .setKafkaProducerConfig(settings.kafkaProperties())
        .setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
        .setRecordSerializer(new DeadLetterSerializer(DEAD))
        .build();
  }
}
