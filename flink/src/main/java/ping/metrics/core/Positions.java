package ping.metrics.core;

/** A place in the log as one number: log_epoch &lt;&lt; 48 | offset in its partition. */
public final class Positions {
  /** Older than every event. */
  public static final long NONE = -1;

  private static final int OFFSET_BITS = 48;

  private Positions() {}

  /** Of an offset. */
  public static long of(long logEpoch, long offset) {
    return (logEpoch << OFFSET_BITS) | offset;
  }

  /**
   * Where a partition stands when every life of the log before this one is done, and nothing of it.
   */
  public static long startOf(long logEpoch) {
    return of(logEpoch, 0) - 1;
  }

  /** The offset in its partition. */
  public static long offset(long position) {
    return position & ((1L << OFFSET_BITS) - 1);
  }

  /** Which life of the log it is of. */
  public static long epoch(long position) {
    return position >> OFFSET_BITS;
  }
}
