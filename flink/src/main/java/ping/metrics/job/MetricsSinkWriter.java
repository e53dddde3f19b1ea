package ping.metrics.job;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.operators.MailboxExecutor;
import org.apache.flink.api.common.operators.ProcessingTimeService;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.metrics.groups.SinkWriterMetricGroup;
import ping.metrics.core.Address;
import ping.metrics.core.ClientChanges;
import ping.metrics.core.DayRow;
import ping.metrics.core.WindowRow;
import ping.metrics.store.RowWriter;

/**
 * One batch is on its way to the store, one gathers behind it, in which a client's newer rows take
 * the place of older ones; when that one is full the task waits. A flush waits for both.
 */
final class MetricsSinkWriter implements SinkWriter<ClientChanges> {
  /** Of the batch that gathers, but for the last client's. */
  static final int MAX_ROWS = 65_536;

  private static final long KEEP_INTERVAL_MS = 1000;
  private static final long NOTHING = Long.MAX_VALUE;

  private final RowWriter rows;
  private final MailboxExecutor mailbox;
  private final ProcessingTimeService time;
  private final SinkWriterMetricGroup metrics;
  private final ExecutorService executor;

  private Map<Address, ClientChanges> gathered = new LinkedHashMap<>();
  private int gatheredRows;
  private boolean writing;
  private boolean called;
  private boolean closed;
  private boolean wroteLately;

  // Of the newest batch, for the metrics alone: read on other threads.
  private volatile long flushMs;
  private volatile long writtenAgeMs;
  private volatile long onTheWayMs = NOTHING;
  private volatile long gatheredMs = NOTHING;

  MetricsSinkWriter(
      RowWriter rows,
      MailboxExecutor mailbox,
      ProcessingTimeService time,
      SinkWriterMetricGroup metrics) {
    this.rows = rows;
    this.mailbox = mailbox;
    this.time = time;
    this.metrics = metrics;
    metrics.gauge("flushMs", () -> flushMs);
    metrics.gauge("freshnessMs", this::freshnessMs);
    metrics.gauge("rowsWaiting", () -> gatheredRows);
    executor =
        Executors.newSingleThreadExecutor(
            task -> {
              Thread thread = new Thread(task, "ping-rows");
              thread.setDaemon(true);
              return thread;
            });
    schedule();
  }

  private void schedule() {
    time.registerTimer(
        time.getCurrentProcessingTime() + KEEP_INTERVAL_MS,
        at -> {
          if (!closed) {
            if (!writing) {
              keep();
            }
            schedule();
          }
        });
  }

  private void keep() {
    if (!wroteLately) {
      writtenAgeMs = 0;
    }
    wroteLately = false;
    start(rows::keep, () -> {});
  }

  @Override
  public void write(ClientChanges changes, Context context)
      throws IOException, InterruptedException {
    while (gatheredRows >= MAX_ROWS) {
      begin();
      mailbox.yield();
    }
    ClientChanges before = gathered.get(changes.client());
    ClientChanges after = before == null ? changes : merge(before, changes);
    gathered.put(changes.client(), after);
    gatheredRows += after.size() - (before == null ? 0 : before.size());
    if (changes.receivedMs() != 0) {
      gatheredMs = Math.min(gatheredMs, changes.receivedMs());
    }
    if (!called && !writing) {
      called = true;
      mailbox.execute(
          () -> {
            called = false;
            begin();
          },
          "write the rows that came together");
    }
  }

  /** The newer rows of each; what only the older one has stays. */
  private static ClientChanges merge(ClientChanges older, ClientChanges newer) {
    Map<Long, WindowRow> windows = new LinkedHashMap<>();
    older.windows().forEach(row -> windows.put(row.startMs(), row));
    newer.windows().forEach(row -> windows.put(row.startMs(), row));
    Map<Long, DayRow> days = new LinkedHashMap<>();
    older.days().forEach(row -> days.put(row.startMs(), row));
    newer.days().forEach(row -> days.put(row.startMs(), row));
    return new ClientChanges(
        newer.client(),
        new ArrayList<>(windows.values()),
        new ArrayList<>(days.values()),
        newer.row() != null ? newer.row() : older.row(),
        newer.activity() != null ? newer.activity() : older.activity(),
        newer.listedDueMs() != 0 ? newer.listedDueMs() : older.listedDueMs(),
        Math.max(older.writtenUs(), newer.writtenUs()),
        earlier(older.receivedMs(), newer.receivedMs()));
  }

  private static long earlier(long receivedMs, long otherMs) {
    return receivedMs == 0 || otherMs == 0
        ? Math.max(receivedMs, otherMs)
        : Math.min(receivedMs, otherMs);
  }

  private void begin() {
    if (writing || gathered.isEmpty()) {
      return;
    }
    List<ClientChanges> batch = new ArrayList<>(gathered.values());
    int count = gatheredRows;
    onTheWayMs = gatheredMs;
    gathered = new LinkedHashMap<>();
    gatheredRows = 0;
    gatheredMs = NOTHING;
    start(
        () -> {
          long beganNs = System.nanoTime();
          rows.write(batch);
          flushMs = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - beganNs);
          metrics.getNumRecordsSendCounter().inc(count);
        },
        () -> {
          wroteLately = true;
          writtenAgeMs = ageMs(onTheWayMs);
          onTheWayMs = NOTHING;
        });
  }

  private interface Work {
    void run() throws IOException, InterruptedException;
  }

  /** Whatever happens there is told to the task, which would wait for ever else. */
  private void start(Work work, Runnable after) {
    writing = true;
    executor.execute(
        () -> {
          try {
            work.run();
            mailbox.execute(() -> done(after), "rows are written");
          } catch (Throwable e) {
            fail(e);
          }
        });
  }

  private void done(Runnable after) {
    writing = false;
    after.run();
    begin();
  }

  private void fail(Throwable failure) {
    mailbox.execute(
        () -> {
          throw new IOException("rows could not be written: " + failure.getMessage(), failure);
        },
        "rows could not be written");
  }

  private static long ageMs(long receivedMs) {
    return receivedMs == NOTHING ? 0 : Math.max(0, System.currentTimeMillis() - receivedMs);
  }

  private long freshnessMs() {
    return Math.max(writtenAgeMs, ageMs(Math.min(onTheWayMs, gatheredMs)));
  }

  @Override
  public void flush(boolean endOfInput) throws IOException, InterruptedException {
    begin();
    while (writing || !gathered.isEmpty()) {
      mailbox.yield();
    }
  }

  @Override
  public void close() throws Exception {
    closed = true;
    executor.shutdownNow();
    executor.awaitTermination(30, TimeUnit.SECONDS);
    rows.close();
  }
}
