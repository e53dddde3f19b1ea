package ping.metrics;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer.PartitionOffsetsRetriever;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;

/** A look at the log before the job starts: its topics, and what the partitions hold. */
final class KafkaLog implements AutoCloseable, PartitionOffsetsRetriever {
  static final String EVENTS = "raw-pings";
  static final String DEAD = "raw-pings-dead";
  private static final int TIMEOUT_MS = 15_000;

  private final JobSettings settings;
  private final Admin admin;

  KafkaLog(JobSettings settings) {
    this.settings = settings;
    Properties properties = settings.kafkaProperties();
    properties.setProperty(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, settings.kafkaBrokers());
    String timeout = Integer.toString(TIMEOUT_MS);
    properties.setProperty(AdminClientConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, timeout);
    properties.setProperty(AdminClientConfig.REQUEST_TIMEOUT_MS_CONFIG, timeout);
    admin = Admin.create(properties);
  }

  private <T> T get(KafkaFuture<T> future, String what) throws InterruptedException {
    try {
      return future.get();
    } catch (ExecutionException e) {
      throw new IllegalStateException(
          "log: " + what + " at " + settings.kafkaBrokers() + ": " + e.getCause().getMessage(), e);
    }
  }

  /** Kafka's id of the topic of the events. Both topics have the partitions that are configured. */
  byte[] check() throws InterruptedException {
    checkPartitions(DEAD);
    Uuid id = checkPartitions(EVENTS).topicId();
    return ByteBuffer.allocate(16)
        .putLong(id.getMostSignificantBits())
        .putLong(id.getLeastSignificantBits())
        .array();
  }

  private TopicDescription checkPartitions(String name) throws InterruptedException {
    TopicDescription topic =
        get(admin.describeTopics(List.of(name)).topicNameValues().get(name), name);
    if (topic.partitions().size() != settings.logPartitions()) {
      throw new IllegalStateException(
          name
              + " has "
              + topic.partitions().size()
              + " partitions, configured are "
              + settings.logPartitions()
              + ": set --log-partitions; growing is a procedure");
    }
    return topic;
  }

  /** All there are of the events. */
  List<TopicPartition> partitions() {
    List<TopicPartition> partitions = new ArrayList<>();
    for (int number = 0; number < settings.logPartitions(); number++) {
      partitions.add(new TopicPartition(EVENTS, number));
    }
    return partitions;
  }

  private Map<TopicPartition, Long> offsets(
      Collection<TopicPartition> partitions, OffsetSpec which) {
    Map<TopicPartition, OffsetSpec> wanted = new HashMap<>();
    partitions.forEach(partition -> wanted.put(partition, which));
    Map<TopicPartition, Long> offsets = new HashMap<>();
    try {
      get(admin.listOffsets(wanted).all(), "offsets of " + EVENTS)
          .forEach((partition, found) -> offsets.put(partition, found.offset()));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while looking at the log", e);
    }
    return offsets;
  }

  @Override
  public Map<TopicPartition, Long> beginningOffsets(Collection<TopicPartition> partitions) {
    return offsets(partitions, OffsetSpec.earliest());
  }

  @Override
  public Map<TopicPartition, Long> endOffsets(Collection<TopicPartition> partitions) {
    return offsets(partitions, OffsetSpec.latest());
  }

  @Override
  public Map<TopicPartition, Long> committedOffsets(Collection<TopicPartition> partitions) {
    throw new UnsupportedOperationException("the store knows how far the metrics go");
  }

  @Override
  public Map<TopicPartition, OffsetAndTimestamp> offsetsForTimes(
      Map<TopicPartition, Long> timestamps) {
    throw new UnsupportedOperationException("no time decides where the metrics go on");
  }

  @Override
  public void close() {
    admin.close();
  }
}
