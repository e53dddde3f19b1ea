package ping.metrics.job;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import ping.metrics.core.ClientChanges;
import ping.metrics.store.Lanes;
import ping.metrics.store.MetricsStore;
import ping.metrics.store.PartitionRows;
import ping.metrics.store.RowReader;
import ping.metrics.store.RowWriter;

/** A store whose writes wait at a gate, and fail as they are told. */
final class GatedStore implements MetricsStore {
  private static final long serialVersionUID = 1;
  private static final Map<String, Gate> all = new ConcurrentHashMap<>();

  /** Lets one write through for each of its permits, and keeps what went through. */
  static final class Gate {
    final Semaphore writes = new Semaphore(0);
    final List<List<ClientChanges>> written = Collections.synchronizedList(new ArrayList<>());
    final AtomicInteger waiting = new AtomicInteger();
    final AtomicInteger kept = new AtomicInteger();
    final AtomicInteger closed = new AtomicInteger();
    final AtomicReference<Throwable> onWrite = new AtomicReference<>();
    final AtomicReference<IOException> onKeep = new AtomicReference<>();
    volatile Lanes lanes;
  }

  private final String name;

  GatedStore(String name) {
    this.name = name;
    all.put(name, new Gate());
  }

  Gate gate() {
    return all.get(name);
  }

  @Override
  public RowReader openReader() {
    throw new UnsupportedOperationException();
  }

  @Override
  public PartitionRows openPartitions() {
    throw new UnsupportedOperationException();
  }

  @Override
  public RowWriter openWriter(Lanes lanes) {
    Gate gate = gate();
    gate.lanes = lanes;
    return new RowWriter() {
      @Override
      public void write(List<ClientChanges> changes) throws IOException, InterruptedException {
        gate.waiting.incrementAndGet();
        gate.writes.acquire();
        gate.waiting.decrementAndGet();
        Throwable failure = gate.onWrite.get();
        if (failure instanceof IOException e) {
          throw e;
        }
        if (failure instanceof Error e) {
          throw e;
        }
        gate.written.add(List.copyOf(changes));
      }

      @Override
      public void keep() throws IOException {
        gate.kept.incrementAndGet();
        if (gate.onKeep.get() != null) {
          throw gate.onKeep.get();
        }
      }

      @Override
      public void close() {
        gate.closed.incrementAndGet();
      }
    };
  }
}
