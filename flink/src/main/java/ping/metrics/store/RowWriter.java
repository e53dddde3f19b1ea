package ping.metrics.store;

import java.io.IOException;
import java.util.List;
import ping.metrics.core.ClientChanges;

/**
 * Writes rows as their fenced owner (docs/SEMANTICS.md, "Exactly once, by position"). One thread at
 * a time.
 *
 * <p>{@link FencedException}: another has taken them; nothing more may be written.
 */
public interface RowWriter extends AutoCloseable {
  /**
   * Writes all, and returns when it is in the store, the counters too. At most one entry a client.
   */
  void write(List<ClientChanges> changes) throws IOException, InterruptedException;

  /**
   * Whatever is due now and then: to say that the owner lives, to compare counters. To be called
   * every second or so.
   */
  void keep() throws IOException, InterruptedException;

  @Override
  void close();
}
