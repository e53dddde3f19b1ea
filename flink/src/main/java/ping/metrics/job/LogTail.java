package ping.metrics.job;

import java.io.Serializable;

/**
 * How far the log goes without an event. Markers of transactions take offsets too, so that a
 * partition ends behind its last event: a position that is to be the end's needs a look.
 */
public interface LogTail extends Serializable {
  /** To look from one thread. */
  Look open();

  /** A look at the log. */
  interface Look extends AutoCloseable {
    /** The last position before the next event there is or will be; {@code position}: not known. */
    long beforeNext(int partition, long position);

    @Override
    void close();
  }
}
