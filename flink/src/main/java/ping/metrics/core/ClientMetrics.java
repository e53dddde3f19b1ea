package ping.metrics.core;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * One client's rows while events come in: what was read before is seeded, events are applied, what
 * changed is collected.
 *
 * <pre>
 *   seedWindow, seedDay, seedClient ──► apply(ping) … ──► collect ──► the sink
 *             └── from the store, or from kept state: of two states of a row the newer one stays
 * </pre>
 *
 * Before a ping is applied its window and day must be known ({@link #knowsWindow}, {@link
 * #knowsDay}) or known to be absent, and so must the client ({@link #knowsActivity}).
 */
public final class ClientMetrics {
  /** What became of a ping. */
  public enum Outcome {
    /** It is in its window and its day now. */
    MERGED,
    /** It was in already. */
    SKIPPED,
    /** Merged into its day alone: its window is past its retention. */
    EXPIRED
  }

  /** Rows of the client that are kept elsewhere, each asked for once. */
  public interface Kept {
    /** Null: not kept. */
    WindowRow window(long startMs);

    /** Null: not kept. */
    DayRow day(long startMs);

    /** Null: not kept. */
    ClientRow client();

    /** Null: not kept. */
    ActivityRow activity();

    /** Every window that is kept. */
    Iterable<WindowRow> windows();
  }

  private final Address client;
  private final Kept kept;
  private final Map<Long, WindowRow> windows = new HashMap<>(4);
  private final Map<Long, DayRow> days = new HashMap<>(4);
  private final Set<Long> dirtyWindows = new HashSet<>(4);
  private final Set<Long> dirtyDays = new HashSet<>(4);
  private final Set<Long> unkeptWindows = new HashSet<>(4);
  private final Set<Long> unkeptDays = new HashSet<>(4);
  private boolean unkept;
  private ClientRow row;
  private Activity activity;
  private boolean pinged;
  private long listedDueMs;
  private long writtenUs;
  private long receivedMs;
  private boolean dirty;

  /** Of a client, with what is kept of it. */
  public ClientMetrics(Address client, Kept kept) {
    this.client = client;
    this.kept = kept;
    row = kept.client();
    ActivityRow keptActivity = kept.activity();
    activity = keptActivity == null ? null : new Activity(keptActivity);
  }

  /** Whose it is. */
  public Address client() {
    return client;
  }

  /** Whether the window's row is at hand. */
  public boolean knowsWindow(long startMs) {
    return window(startMs) != null;
  }

  /** Whether the day's row is at hand. */
  public boolean knowsDay(long startMs) {
    return day(startMs) != null;
  }

  /** Whether the client was seeded. */
  public boolean knowsActivity() {
    return activity != null;
  }

  private WindowRow window(long startMs) {
    WindowRow known = windows.get(startMs);
    if (known == null) {
      known = kept.window(startMs);
      if (known != null) {
        windows.put(startMs, known);
      }
    }
    return known;
  }

  private DayRow day(long startMs) {
    DayRow known = days.get(startMs);
    if (known == null) {
      known = kept.day(startMs);
      if (known != null) {
        days.put(startMs, known);
      }
    }
    return known;
  }

  /** A window as the store has it. */
  public void seedWindow(WindowRow stored) {
    windows.put(stored.startMs(), PingMetricsAggregator.newer(window(stored.startMs()), stored));
  }

  /** A day as the store has it. */
  public void seedDay(DayRow stored) {
    days.put(stored.startMs(), PingMetricsAggregator.newer(day(stored.startMs()), stored));
  }

  /**
   * The client as the store has it: its activity is derived anew, and will be written.
   *
   * @param stored null: it was never seen
   * @param storedWindows all of its windows from {@link Windows#activityStartOf} of {@code nowMs}
   *     on
   */
  public void seedClient(ClientRow stored, List<WindowRow> storedWindows, long nowMs) {
    if (stored != null) {
      row = ClientRow.with(row, stored.firstMs(), stored.lastMs());
    }
    long startMs = Windows.activityStartOf(nowMs);
    Map<Long, WindowRow> all = new HashMap<>();
    for (WindowRow window : storedWindows) {
      all.merge(window.startMs(), window, PingMetricsAggregator::newer);
    }
    for (WindowRow window : kept.windows()) {
      all.merge(window.startMs(), window, PingMetricsAggregator::newer);
    }
    for (WindowRow window : windows.values()) {
      all.merge(window.startMs(), window, PingMetricsAggregator::newer);
    }
    activity = new Activity(startMs);
    for (WindowRow window : all.values()) {
      activity.add(window, window.count());
    }
    for (WindowRow window : storedWindows) {
      windows.put(window.startMs(), all.get(window.startMs()));
    }
    dirty = true;
    unkept = true;
  }

  /**
   * Applies a ping. Its rows will be written, also where it was in them already: so the owner
   * writes them again under its own timestamp.
   *
   * @param retentionMs of windows; 0: for ever
   */
  public Outcome apply(Ping ping, long retentionMs, long nowMs) {
    long ms = ping.pingedAtMs();
    dirty = true;
    unkept = true;
    pinged = true;
    row = ClientRow.with(row, ms, ms);
    if (!activity.isStale(nowMs)) {
      activity.moveTo(nowMs);
    }
    boolean merged = applyToDay(ping);
    boolean expired = Windows.isExpired(Windows.startOf(ms), retentionMs, nowMs);
    if (!expired) {
      merged |= applyToWindow(ping);
    }
    return !merged ? Outcome.SKIPPED : expired ? Outcome.EXPIRED : Outcome.MERGED;
  }

  private boolean applyToDay(Ping ping) {
    long startMs = Windows.dayStartOf(ping.pingedAtMs());
    DayRow before = day(startMs);
    dirtyDays.add(startMs);
    unkeptDays.add(startMs);
    days.put(startMs, PingMetricsAggregator.add(before, ping));
    return !PingMetricsAggregator.isIn(before, ping);
  }

  private boolean applyToWindow(Ping ping) {
    long startMs = Windows.startOf(ping.pingedAtMs());
    WindowRow before = window(startMs);
    WindowRow after = PingMetricsAggregator.add(before, ping);
    dirtyWindows.add(startMs);
    unkeptWindows.add(startMs);
    windows.put(startMs, after);
    boolean merged = !PingMetricsAggregator.isIn(before, ping);
    activity.add(after, merged ? 1 : 0);
    return merged;
  }

  /** The activity was asked for by an entry of activity_due, which goes once it is written. */
  public void listedAs(long dueMs) {
    listedDueMs = dueMs;
  }

  /** The WRITETIME of a row that was read: what is written must be above it. */
  public void noteWritten(long us) {
    writtenUs = Math.max(writtenUs, us);
  }

  /** When the log took an event. */
  public void noteReceived(long ms) {
    receivedMs = receivedMs == 0 ? ms : Math.min(receivedMs, ms);
  }

  /** Whether something is to be written. */
  public boolean isDirty() {
    return dirty;
  }

  /** Rows of windows and days at hand. */
  public int size() {
    return windows.size() + days.size();
  }

  /** Whether something changed that isn't kept elsewhere ({@link #noteKept}). */
  public boolean isUnkept() {
    return unkept;
  }

  /** The windows that changed since the last {@link #noteKept}. */
  public List<WindowRow> unkeptWindows() {
    return rows(unkeptWindows, windows);
  }

  /** The days that changed since the last {@link #noteKept}. */
  public List<DayRow> unkeptDays() {
    return rows(unkeptDays, days);
  }

  /** All is kept elsewhere as it is now. */
  public void noteKept() {
    unkeptWindows.clear();
    unkeptDays.clear();
    unkept = false;
  }

  private static <T> List<T> rows(Set<Long> starts, Map<Long, T> all) {
    List<T> rows = new ArrayList<>(starts.size());
    for (long startMs : starts) {
      rows.add(all.get(startMs));
    }
    return rows;
  }

  /** Lets go of the windows and days at hand, which are kept elsewhere; nothing may be dirty. */
  public void trim() {
    windows.clear();
    days.clear();
  }

  /** When it was seen, ever; null: not known. */
  public ClientRow row() {
    return row;
  }

  /** Its rolling 24 hours; null: not known. */
  public ActivityRow activity() {
    return activity == null ? null : activity.toRow();
  }

  /** All that changed since the last time. */
  public ClientChanges collect() {
    ClientChanges changes =
        new ClientChanges(
            client,
            rows(dirtyWindows, windows),
            rows(dirtyDays, days),
            pinged ? row : null,
            dirty ? activity.toRow() : null,
            listedDueMs,
            writtenUs,
            receivedMs);
    dirtyWindows.clear();
    dirtyDays.clear();
    pinged = false;
    dirty = false;
    listedDueMs = 0;
    receivedMs = 0;
    return changes;
  }
}
