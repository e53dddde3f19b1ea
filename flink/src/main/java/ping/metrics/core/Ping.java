package ping.metrics.core;

/**
 * One event of the log.
 *
 * @param client whose it is
 * @param pingedAtMs the client's own time: 1 to {@link Timestamps#MAX_MS}; chooses window and day
 * @param position its place in the log ({@link Positions}); grows within a partition
 */
public record Ping(Address client, long pingedAtMs, long position) {}
