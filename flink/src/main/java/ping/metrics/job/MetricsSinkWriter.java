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
  private static final int MAX_ROWS = 65_536;
  private static final long KEEP_INTERVAL_MS = 1000;

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
  private long flushMs;

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
              start(rows::keep);
            }
            schedule();
          }
        });
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
        older.receivedMs());
  }

  private void begin() {
    if (writing || gathered.isEmpty()) {
      return;
    }
    List<ClientChanges> batch = new ArrayList<>(gathered.values());
    int count = gatheredRows;
    gathered = new LinkedHashMap<>();
    gatheredRows = 0;
    start(
        () -> {
          long beganNs = System.nanoTime();
          rows.write(batch);
          flushMs = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - beganNs);
          metrics.getNumRecordsSendCounter().inc(count);
        });
  }

  private interface Work {
    void run() throws IOException, InterruptedException;
  }

  private void start(Work work) {
    writing = true;
    executor.execute(
        () -> {
          try {
            work.run();
            mailbox.execute(this::done, "rows are written");
          } catch (IOException | InterruptedException | RuntimeException e) {
            fail(e);
          }
        });
  }

  private void done() {
    writing = false;
    begin();
  }

  private void fail(Exception failure) {
    mailbox.execute(
        () -> {
          throw failure;
        },
        "rows could not be written");
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
