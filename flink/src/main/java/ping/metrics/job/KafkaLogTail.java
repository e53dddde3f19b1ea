package ping.metrics.job;

import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ping.metrics.core.Positions;

/** Kafka's: what a consumer passes over without a record holds no event. */
public final class KafkaLogTail implements LogTail {
  private static final long serialVersionUID = 1;
  private static final Logger log = LoggerFactory.getLogger(KafkaLogTail.class);
  private static final int FETCHED_BYTES = 4096;
  private static final Duration PATIENCE = Duration.ofMillis(500);

  private final String topic;
  private final long logEpoch;
  private final Properties properties;

  /**
   * Of a topic, in its life {@code logEpoch}.
   *
   * @param given how to reach Kafka, in the words of its Java clients
   */
  public KafkaLogTail(String brokers, String topic, long logEpoch, Properties given) {
    this.topic = topic;
    this.logEpoch = logEpoch;
    properties = new Properties();
    properties.putAll(given);
    properties.setProperty(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
    properties.setProperty(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
    properties.setProperty(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, "false");
    properties.setProperty(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "none");
    properties.setProperty(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, "1");
    String bytes = Integer.toString(FETCHED_BYTES);
    properties.setProperty(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG, bytes);
    properties.setProperty(ConsumerConfig.FETCH_MAX_BYTES_CONFIG, bytes);
  }

  @Override
  public Look open() {
    return new Consumer();
  }

  private final class Consumer implements Look {
    private KafkaConsumer<byte[], byte[]> consumer;

    @Override
    public long beforeNext(int number, long position) {
      if (Positions.epoch(position) != logEpoch) {
        return position;
      }
      TopicPartition partition = new TopicPartition(topic, number);
      try {
        long next = Positions.offset(position) + 1;
        return Positions.of(logEpoch, next(partition, next) - 1);
      } catch (KafkaException e) {
        log.warn("the end of {} is not known: {}", partition, e.getMessage());
        close();
        return position;
      }
    }

    private long next(TopicPartition partition, long offset) {
      if (consumer == null) {
        consumer =
            new KafkaConsumer<>(
                properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
      }
      consumer.assign(List.of(partition));
      Long end = consumer.endOffsets(List.of(partition)).get(partition);
      if (end == null || end <= offset) {
        return offset;
      }
      consumer.seek(partition, offset);
      return consumer.poll(PATIENCE).isEmpty() ? consumer.position(partition) : offset;
    }

    @Override
    public void close() {
      if (consumer != null) {
        consumer.close();
        consumer = null;
      }
    }
  }
}
