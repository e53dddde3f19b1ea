package ping.metrics.core;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

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
  private final Map<Long, OpenWindow> windows = new HashMap<>(4);
  private final Map<Long, OpenDay> days = new HashMap<>(4);
  private final List<OpenWindow> dirtyWindows = new ArrayList<>(2);
  private final List<OpenDay> dirtyDays = new ArrayList<>(2);
  private final List<OpenWindow> unkeptWindows = new ArrayList<>(2);
  private final List<OpenDay> unkeptDays = new ArrayList<>(2);

  /** Those of the newest ping: most need no other. */
  private OpenWindow lastWindow;

  private OpenDay lastDay;
  private boolean unkept;
  private long firstMs; // 0: not known
  private long lastMs;
  private Activity activity;

  /** In which window the clock was when the pings came that the activity doesn't know of yet. */
  private long appliedMs;

  private boolean pinged;
  private long listedDueMs;
  private long writtenUs;
  private long receivedMs;
  private boolean dirty;

  /** Of a client, with what is kept of it. */
  public ClientMetrics(Address client, Kept kept) {
    this.client = client;
    this.kept = kept;
    noteSeen(kept.client());
    ActivityRow keptActivity = kept.activity();
    activity = keptActivity == null ? null : new Activity(keptActivity);
  }

  private void noteSeen(ClientRow row) {
    if (row != null) {
      noteSeen(row.firstMs(), row.lastMs());
    }
  }

  private void noteSeen(long earliestMs, long latestMs) {
    firstMs = firstMs == 0 ? earliestMs : Math.min(firstMs, earliestMs);
    lastMs = Math.max(lastMs, latestMs);
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

  private OpenWindow window(long startMs) {
    OpenWindow known = lastWindow;
    if (known != null && known.startMs == startMs) {
      return known;
    }
    known = windows.get(startMs);
    if (known == null) {
      WindowRow row = kept.window(startMs);
      if (row != null) {
        known = new OpenWindow(row);
        windows.put(startMs, known);
      }
    }
    return known;
  }

  private OpenDay day(long startMs) {
    OpenDay known = lastDay;
    if (known != null && known.startMs == startMs) {
      return known;
    }
    known = days.get(startMs);
    if (known == null) {
      DayRow row = kept.day(startMs);
      if (row != null) {
        known = new OpenDay(row);
        days.put(startMs, known);
      }
    }
    return known;
  }

  /** A window as the store has it. */
  public void seedWindow(WindowRow stored) {
    settle();
    OpenWindow known = window(stored.startMs());
    if (known == null) {
      windows.put(stored.startMs(), new OpenWindow(stored));
    } else {
      PingMetricsAggregator.renew(known, stored);
    }
  }

  /** A day as the store has it. */
  public void seedDay(DayRow stored) {
    OpenDay known = day(stored.startMs());
    if (known == null) {
      days.put(stored.startMs(), new OpenDay(stored));
    } else {
      PingMetricsAggregator.renew(known, stored);
    }
  }

  /**
   * The client as the store has it: its activity is derived anew, and will be written.
   *
   * @param stored null: it was never seen
   * @param storedWindows all of its windows from {@link Windows#activityStartOf} of {@code nowMs}
   *     on
   */
  public void seedClient(ClientRow stored, List<WindowRow> storedWindows, long nowMs) {
    settle();
    noteSeen(stored);
    long startMs = Windows.activityStartOf(nowMs);
    Map<Long, WindowRow> all = new HashMap<>();
    for (WindowRow window : storedWindows) {
      all.merge(window.startMs(), window, PingMetricsAggregator::newer);
    }
    for (WindowRow window : kept.windows()) {
      all.merge(window.startMs(), window, PingMetricsAggregator::newer);
    }
    for (OpenWindow window : windows.values()) {
      all.merge(window.startMs, window.toRow(), PingMetricsAggregator::newer);
    }
    activity = new Activity(startMs);
    for (WindowRow window : all.values()) {
      activity.add(window, window.count());
    }
    for (WindowRow window : storedWindows) {
      windows.computeIfAbsent(window.startMs(), OpenWindow::new).set(all.get(window.startMs()));
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
    noteSeen(ms, ms);
    if (appliedMs != Windows.startOf(nowMs)) {
      settle();
      appliedMs = Windows.startOf(nowMs);
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
    OpenDay day = day(startMs);
    if (day == null) {
      day = new OpenDay(startMs);
      days.put(startMs, day);
    }
    lastDay = day;
    if (!day.dirty) {
      day.dirty = true;
      dirtyDays.add(day);
    }
    if (!day.unkept) {
      day.unkept = true;
      unkeptDays.add(day);
    }
    return PingMetricsAggregator.add(day, ping);
  }

  private boolean applyToWindow(Ping ping) {
    long startMs = Windows.startOf(ping.pingedAtMs());
    OpenWindow window = window(startMs);
    if (window == null) {
      window = new OpenWindow(startMs);
      windows.put(startMs, window);
    }
    lastWindow = window;
    if (!window.dirty) {
      window.dirty = true;
      dirtyWindows.add(window);
    }
    if (!window.unkept) {
      window.unkept = true;
      unkeptWindows.add(window);
    }
    boolean merged = PingMetricsAggregator.add(window, ping);
    window.added += merged ? 1 : 0;
    return merged;
  }

  /**
   * Tells the activity of the pings that came since the last time: while the clock stays in its
   * window, all at once is as one by one.
   */
  private void settle() {
    if (appliedMs == 0) {
      return;
    }
    if (!activity.isStale(appliedMs)) {
      activity.moveTo(appliedMs);
    }
    appliedMs = 0;
    for (OpenWindow window : dirtyWindows) {
      if (window.added != 0) {
        activity.add(window.toRow(), window.added);
        window.added = 0;
      }
    }
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

  /**
   * Reads the rows of its newest ping, so that they are in the processor's caches when the next one
   * comes; nothing changes.
   *
   * @return some sum of them, which is never below 0
   */
  public long fetch() {
    OpenWindow window = lastWindow;
    OpenDay day = lastDay;
    long sum = lastMs < 0 || dirty ? 1 : 0;
    if (window != null) {
      sum += window.count + (window.dirty ? 1 : 0);
    }
    if (day != null) {
      sum += day.total + (day.dirty ? 1 : 0);
    }
    return sum;
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
    return windowRows(unkeptWindows);
  }

  /** The days that changed since the last {@link #noteKept}. */
  public List<DayRow> unkeptDays() {
    return dayRows(unkeptDays);
  }

  /** All is kept elsewhere as it is now. */
  public void noteKept() {
    unkeptWindows.forEach(window -> window.unkept = false);
    unkeptDays.forEach(day -> day.unkept = false);
    unkeptWindows.clear();
    unkeptDays.clear();
    unkept = false;
  }

  private static List<WindowRow> windowRows(List<OpenWindow> windows) {
    List<WindowRow> rows = new ArrayList<>(windows.size());
    windows.forEach(window -> rows.add(window.toRow()));
    return rows;
  }

  private static List<DayRow> dayRows(List<OpenDay> days) {
    List<DayRow> rows = new ArrayList<>(days.size());
    days.forEach(day -> rows.add(day.toRow()));
    return rows;
  }

  /** Lets go of the windows and days at hand, which are kept elsewhere; nothing may be dirty. */
  public void trim() {
    windows.clear();
    days.clear();
    lastWindow = null;
    lastDay = null;
  }

  /** When it was seen, ever; null: not known. */
  public ClientRow row() {
    return firstMs == 0 ? null : new ClientRow(firstMs, lastMs);
  }

  /** Its rolling 24 hours; null: not known. */
  public ActivityRow activity() {
    settle();
    return activity == null ? null : activity.toRow();
  }

  /** All that changed since the last time. */
  public ClientChanges collect() {
    settle();
    ClientChanges changes =
        new ClientChanges(
            client,
            windowRows(dirtyWindows),
            dayRows(dirtyDays),
            pinged ? row() : null,
            dirty ? activity.toRow() : null,
            listedDueMs,
            writtenUs,
            receivedMs);
    dirtyWindows.forEach(window -> window.dirty = false);
    dirtyDays.forEach(day -> day.dirty = false);
    dirtyWindows.clear();
    dirtyDays.clear();
    pinged = false;
    dirty = false;
    listedDueMs = 0;
    receivedMs = 0;
    return changes;
  }
}
