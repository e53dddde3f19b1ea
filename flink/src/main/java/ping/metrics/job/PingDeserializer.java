package ping.metrics.job;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;
import ping.metrics.core.EventDecoder;
import ping.metrics.core.MalformedEventException;
import ping.metrics.core.Partitions;
import ping.metrics.core.Ping;
import ping.metrics.core.Positions;
import ping.metrics.types.DeadLetter;
import ping.metrics.types.LogEntry;

/** A record of raw-pings: an event in its client's partition, or a dead letter. */
public final class PingDeserializer implements KafkaRecordDeserializationSchema<LogEntry> {
  private static final long serialVersionUID = 1;

  private final int partitions;
  private final long logEpoch;

  /** Of a log of so many partitions, in its life {@code logEpoch}. */
  public PingDeserializer(int partitions, long logEpoch) {
    this.partitions = partitions;
    this.logEpoch = logEpoch;
  }

  @Override
  public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<LogEntry> out)
      throws IOException {
    out.collect(entryOf(record));
  }

  private LogEntry entryOf(ConsumerRecord<byte[], byte[]> record) {
    long position = Positions.of(logEpoch, record.offset());
    try {
      Ping ping = EventDecoder.decode(record.value(), position);
      if (Partitions.of(ping.client(), partitions) != record.partition()) {
        throw new MalformedEventException("misplaced");
      }
      return new LogEntry(record.partition(), position, record.timestamp(), ping, null);
    } catch (MalformedEventException e) {
      return new LogEntry(
          record.partition(), position, record.timestamp(), null, letterOf(record, e.getMessage()));
    }
  }

  private static DeadLetter letterOf(ConsumerRecord<byte[], byte[]> record, String reason) {
    List<DeadLetter.Header> headers = new ArrayList<>();
    for (Header header : record.headers()) {
      headers.add(new DeadLetter.Header(header.key(), header.value()));
    }
    return new DeadLetter(
        record.key(), record.value(), headers, reason, record.partition(), record.offset());
  }

  @Override
  public TypeInformation<LogEntry> getProducedType() {
    return LogEntry.TYPE;
  }
}
