package ping.metrics.store;

import java.util.concurrent.CompletionStage;

/** Reads rows. Any thread may ask; answers come on threads of the store's. */
public interface RowReader extends AutoCloseable {
  /**
   * Reads what is wanted.
   *
   * @param nowMs the clock of who asks
   */
  CompletionStage<Found> read(Wanted wanted, long nowMs);

  @Override
  void close();
}
