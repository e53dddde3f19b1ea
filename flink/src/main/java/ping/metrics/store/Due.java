package ping.metrics.store;

import ping.metrics.core.Address;

/**
 * An entry of activity_due.
 *
 * @param client whose activity must be derived again
 * @param dueMs since when
 */
public record Due(Address client, long dueMs) {}
