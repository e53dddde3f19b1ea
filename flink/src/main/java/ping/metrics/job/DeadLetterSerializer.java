package ping.metrics.job;

import java.nio.charset.StandardCharsets;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import ping.metrics.types.DeadLetter;
import ping.metrics.types.LogEntry;

/**
 * A dead letter's record: the original's key, value and headers in the same partition, with reason,
 * partition and offset.
 */
public final class DeadLetterSerializer implements KafkaRecordSerializationSchema<LogEntry> {
  private static final long serialVersionUID = 1;

  private final String topic;

  /** For a topic of as many partitions as the log. */
  public DeadLetterSerializer(String topic) {
    this.topic = topic;
  }

  @Override
  public ProducerRecord<byte[], byte[]> serialize(
      LogEntry entry, KafkaSinkContext context, Long timestamp) {
    DeadLetter letter = entry.dead();
    Headers headers = new RecordHeaders();
    for (DeadLetter.Header header : letter.headers()) {
      headers.add(header.name(), header.value());
    }
    headers.add("reason", text(letter.reason()));
    headers.add("partition", text(Integer.toString(letter.partition())));
    headers.add("offset", text(Long.toString(letter.offset())));
    return new ProducerRecord<>(
        topic, letter.partition(), null, letter.key(), letter.value(), headers);
  }

  private static byte[] text(String value) {
    return value.getBytes(StandardCharsets.UTF_8);
  }
}
