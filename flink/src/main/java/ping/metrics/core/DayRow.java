package ping.metrics.core;

/**
 * A row of daily_totals, beside its client.
 *
 * @param startMs start of the UTC day
 * @param total pings of that day, 1 or more
 * @param position of the newest event in it
 */
public record DayRow(long startMs, long total, long position) {}
