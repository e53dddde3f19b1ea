package ping.metrics.types;

import java.util.List;

/**
 * A record that is no event, as it goes to raw-pings-dead.
 *
 * @param key the record's; null: none
 * @param value the record's; null: none
 * @param headers the record's own
 * @param reason why
 * @param partition where it was
 * @param offset where it was
 */
@SuppressWarnings("ArrayRecordComponent") // compared with nothing
public record DeadLetter(
    byte[] key, byte[] value, List<Header> headers, String reason, int partition, long offset) {
  /** A header of a record. */
  @SuppressWarnings("ArrayRecordComponent")
  public record Header(String name, byte[] value) {}
}
