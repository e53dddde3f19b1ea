package ping.metrics.core;

/**
 * When a client was seen, ever.
 *
 * @param firstMs its earliest pinged_at
 * @param lastMs its latest pinged_at
 */
public record ClientRow(long firstMs, long lastMs) {
  /** With another time; {@code row} may be null. */
  public static ClientRow with(ClientRow row, long firstMs, long lastMs) {
    return row == null
        ? new ClientRow(firstMs, lastMs)
        : new ClientRow(Math.min(row.firstMs, firstMs), Math.max(row.lastMs, lastMs));
  }
}
