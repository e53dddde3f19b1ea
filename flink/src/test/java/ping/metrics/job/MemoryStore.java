package ping.metrics.job;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import ping.metrics.core.ActivityRow;
import ping.metrics.core.Address;
import ping.metrics.core.ClientChanges;
import ping.metrics.core.ClientRow;
import ping.metrics.core.DayRow;
import ping.metrics.core.WindowRow;
import ping.metrics.core.Windows;
import ping.metrics.store.Due;
import ping.metrics.store.Found;
import ping.metrics.store.Lanes;
import ping.metrics.store.MetricsStore;
import ping.metrics.store.PartitionRows;
import ping.metrics.store.RowReader;
import ping.metrics.store.RowWriter;
import ping.metrics.store.Wanted;

/** A store in this process: answers late and out of order, and notes every row that goes back. */
final class MemoryStore implements MetricsStore {
  private static final long serialVersionUID = 1;
  private static final Map<String, Tables> all = new ConcurrentHashMap<>();

  /** A log of which no more is known. */
  static final LogTail NO_TAIL =
      () ->
          new LogTail.Look() {
            @Override
            public long beforeNext(int partition, long position) {
              return position;
            }

            @Override
            public void close() {}
          };

  /** Its rows, by client and start. */
  static final class Tables {
    final Map<String, WindowRow> windows = new ConcurrentSkipListMap<>();
    final Map<String, DayRow> days = new ConcurrentSkipListMap<>();
    final Map<Address, ClientRow> clients = new ConcurrentSkipListMap<>();
    final Map<Address, ActivityRow> activities = new ConcurrentSkipListMap<>();
    final Map<Integer, Long> positions = new ConcurrentSkipListMap<>();
    final Set<Integer> heardOf = new ConcurrentSkipListSet<>();
    final Map<Address, Due> dues = new ConcurrentSkipListMap<>();
    final List<String> wentBack = new ArrayList<>();
    final AtomicInteger reads = new AtomicInteger();
    final AtomicInteger writes = new AtomicInteger();
  }

  private final String name;

  MemoryStore(String name) {
    this.name = name;
    all.put(name, new Tables());
  }

  Tables tables() {
    return all.get(name);
  }

  static String place(Address client, long startMs) {
    return client + " " + startMs;
  }

  @Override
  public RowReader openReader() {
    Tables tables = tables();
    return new RowReader() {
      @Override
      public CompletionStage<Found> read(Wanted wanted, long nowMs) {
        int number = tables.reads.incrementAndGet();
        CompletableFuture<Found> answer = new CompletableFuture<>();
        Found found = find(tables, wanted, nowMs);
        CompletableFuture.delayedExecutor(number % 3, TimeUnit.MILLISECONDS)
            .execute(() -> answer.complete(found));
        return answer;
      }

      @Override
      public void close() {}
    };
  }

  private static Found find(Tables tables, Wanted wanted, long nowMs) {
    Address client = wanted.client();
    List<WindowRow> recent = new ArrayList<>();
    if (wanted.activity()) {
      tables.windows.forEach(
          (place, row) -> {
            if (place.startsWith(client + " ") && row.startMs() >= Windows.activityStartOf(nowMs)) {
              recent.add(row);
            }
          });
    }
    return new Found(
        wanted,
        nowMs,
        tables.windows.get(place(client, wanted.windowMs())),
        tables.days.get(place(client, wanted.dayMs())),
        wanted.activity() ? tables.clients.get(client) : null,
        recent,
        0);
  }

  @Override
  public RowWriter openWriter(Lanes lanes) {
    Tables tables = tables();
    return new RowWriter() {
      @Override
      public void write(List<ClientChanges> changes) throws IOException {
        tables.writes.incrementAndGet();
        for (ClientChanges one : changes) {
          if (!lanes.has(lanes.of(one.client()))) {
            throw new IOException("a client of another task: " + one.client());
          }
          put(tables, one);
        }
      }

      @Override
      public void keep() {}

      @Override
      public void close() {}
    };
  }

  private static synchronized void put(Tables tables, ClientChanges changes) {
    for (WindowRow row : changes.windows()) {
      WindowRow before = tables.windows.put(place(changes.client(), row.startMs()), row);
      if (before != null && (before.position() > row.position() || before.count() > row.count())) {
        tables.wentBack.add(changes.client() + ": " + before + " became " + row);
      }
    }
    for (DayRow row : changes.days()) {
      DayRow before = tables.days.put(place(changes.client(), row.startMs()), row);
      if (before != null && (before.position() > row.position() || before.total() > row.total())) {
        tables.wentBack.add(changes.client() + ": " + before + " became " + row);
      }
    }
    if (changes.row() != null) {
      tables.clients.put(changes.client(), changes.row());
    }
    if (changes.activity() != null) {
      tables.activities.put(changes.client(), changes.activity());
    }
  }

  @Override
  public PartitionRows openPartitions() {
    Tables tables = tables();
    return new PartitionRows() {
      @Override
      public void takeAll() {}

      @Override
      public Map<Integer, Long> positions() {
        return new TreeMap<>(tables.positions);
      }

      @Override
      public boolean isEmpty() {
        return tables.days.isEmpty();
      }

      @Override
      public void commit(int partition, long position) {
        tables.heardOf.add(partition);
        tables.positions.merge(partition, position, Math::max);
      }

      @Override
      public void release(int partition) {
        tables.heardOf.remove(partition);
      }

      @Override
      public List<Due> due(int partition, long bucketMs, long nowMs, int max) {
        return partition == 0 && bucketMs == Windows.startOf(nowMs)
            ? List.copyOf(tables.dues.values())
            : List.of();
      }

      @Override
      public void close() {}
    };
  }
}
