package ping.metrics.core;

/**
 * When a client was seen, ever.
 *
 * @param firstMs its earliest pinged_at
 * @param lastMs its latest pinged_at
 */
public record ClientRow(long firstMs, long lastMs) {}
