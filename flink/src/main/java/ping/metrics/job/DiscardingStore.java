package ping.metrics.job;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import ping.metrics.core.ClientChanges;
import ping.metrics.store.Due;
import ping.metrics.store.Found;
import ping.metrics.store.Lanes;
import ping.metrics.store.MetricsStore;
import ping.metrics.store.PartitionRows;
import ping.metrics.store.RowReader;
import ping.metrics.store.RowWriter;
import ping.metrics.store.Wanted;

/** Keeps nothing and finds nothing: to measure everything else. */
public final class DiscardingStore implements MetricsStore {
  private static final long serialVersionUID = 1;

  @Override
  public RowReader openReader() {
    return new RowReader() {
      @Override
      public CompletionStage<Found> read(Wanted wanted, long nowMs) {
        return CompletableFuture.completedFuture(
            new Found(wanted, nowMs, null, null, null, List.of(), 0));
      }

      @Override
      public void close() {}
    };
  }

  @Override
  public RowWriter openWriter(Lanes lanes) {
    return new RowWriter() {
      @Override
      public void write(List<ClientChanges> changes) {}

      @Override
      public void keep() {}

      @Override
      public void close() {}
    };
  }

  @Override
  public PartitionRows openPartitions() {
    return new PartitionRows() {
      @Override
      public void takeAll() {}

      @Override
      public Map<Integer, Long> positions() {
        return new HashMap<>();
      }

      @Override
      public boolean isEmpty() {
        return true;
      }

      @Override
      public void commit(int partition, long position) {}

      @Override
      public void release(int partition) {}

      @Override
      public List<Due> due(int partition, long bucketMs, long nowMs, int max) {
        return List.of();
      }

      @Override
      public void close() {}
    };
  }
}
