package ping.metrics.core;

/**
 * Which window and which day a time lies in. All times are Unix milliseconds, UTC, and not before
 * 1970.
 */
public final class Windows {
  /** Milliseconds of a window. */
  public static final long SIZE_MS = 300_000;

  /** Windows of the rolling 24 hours, the open one included. */
  public static final int IN_A_DAY = 288;

  /** A window counts as past its retention this long before its row expires: clocks differ. */
  private static final long EXPIRY_MARGIN_MS = 3_600_000;

  private Windows() {}

  /** Start of the window that a time lies in. */
  public static long startOf(long ms) {
    return ms - ms % SIZE_MS;
  }

  /** Start of the UTC day that a time lies in. */
  public static long dayStartOf(long ms) {
    return ms - ms % Timestamps.DAY_MS;
  }

  /** Start of the oldest of the 288 newest windows. */
  public static long activityStartOf(long nowMs) {
    return startOf(nowMs) - (IN_A_DAY - 1) * SIZE_MS;
  }

  /**
   * Whether a window is past its retention: then its row is neither read nor written.
   *
   * @param retentionMs 0: kept for ever
   */
  public static boolean isExpired(long startMs, long retentionMs, long nowMs) {
    return retentionMs > 0 && startMs + SIZE_MS + retentionMs <= nowMs + EXPIRY_MARGIN_MS;
  }
}
