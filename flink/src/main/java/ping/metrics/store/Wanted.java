package ping.metrics.store;

import ping.metrics.core.Address;

/**
 * Which rows of a client are to be read.
 *
 * @param client whose
 * @param windowMs start of a window; {@link #NOTHING}: none
 * @param dayMs start of a day; {@link #NOTHING}: none
 * @param activity whether its row, and its windows of the last 24 hours, are wanted too
 */
public record Wanted(Address client, long windowMs, long dayMs, boolean activity) {
  /** No window, no day. */
  public static final long NOTHING = -1;

  /** Whether nothing is. */
  public boolean isEmpty() {
    return windowMs == NOTHING && dayMs == NOTHING && !activity;
  }
}
