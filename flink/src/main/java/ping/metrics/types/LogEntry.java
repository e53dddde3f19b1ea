package ping.metrics.types;

import org.apache.flink.api.common.typeinfo.TypeInformation;
import ping.metrics.core.Ping;

/**
 * A record of the log: an event or a dead letter.
 *
 * @param partition of the log
 * @param position its place
 * @param receivedMs when the log took it (LogAppendTime)
 * @param ping the event; null: it is none
 * @param dead what it is then
 */
public record LogEntry(int partition, long position, long receivedMs, Ping ping, DeadLetter dead) {
  /** Its type. */
  public static final TypeInformation<LogEntry> TYPE =
      new ImmutableType<>(LogEntry.class, LogEntrySerializer.INSTANCE);
}
