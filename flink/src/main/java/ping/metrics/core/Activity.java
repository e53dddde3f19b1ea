package ping.metrics.core;

/**
 * The rolling 24 hours of one client, derived from its windows: all at once, or kept as windows
 * grow. Counts only grow, so the order in which windows are added makes no difference.
 */
public final class Activity {
  private long startMs;
  private long count;
  private int activeWindows;
  private long firstMs;
  private long lastMs;
  private long busiestStartMs;
  private long busiestCount;
  private long busiestFirstMs;
  private long busiestLastMs;
  private long dueMs;

  /** Of no window, as seen from {@code startMs} ({@link Windows#activityStartOf}). */
  public Activity(long startMs) {
    this.startMs = startMs;
  }

  /** As it was kept. */
  public Activity(ActivityRow row) {
    startMs = row.startMs();
    count = row.count();
    activeWindows = row.activeWindows();
    firstMs = row.firstMs();
    lastMs = row.lastMs();
    busiestStartMs = row.busiestStartMs();
    busiestCount = row.busiestCount();
    busiestFirstMs = row.busiestFirstMs();
    busiestLastMs = row.busiestLastMs();
    dueMs = row.dueMs();
  }

  /**
   * The window as it is now, after {@code added} pings came into it: all of them when it was not in
   * the activity yet.
   */
  public void add(WindowRow window, long added) {
    if (added == 0 || window.startMs() < startMs) {
      return;
    }
    if (window.startMs() >= startMs + Windows.IN_A_DAY * Windows.SIZE_MS) {
      dueBy(window.startMs());
      return;
    }
    if (count == 0 || window.firstMs() < firstMs) {
      firstMs = window.firstMs();
    }
    lastMs = Math.max(lastMs, window.lastMs());
    count += added;
    if (window.count() == added) {
      activeWindows++;
      dueBy(window.startMs() + Windows.IN_A_DAY * Windows.SIZE_MS);
    }
    if (window.count() > busiestCount
        || (window.count() == busiestCount && window.startMs() > busiestStartMs)) {
      busiestStartMs = window.startMs();
      busiestCount = window.count();
      busiestFirstMs = window.firstMs();
      busiestLastMs = window.lastMs();
    }
  }

  private void dueBy(long ms) {
    if (dueMs == 0 || ms < dueMs) {
      dueMs = ms;
    }
  }

  /**
   * Whether, as seen from {@code nowMs}, it must be derived again: a window left or opened, or the
   * clock was set back.
   */
  public boolean isStale(long nowMs) {
    return (dueMs != 0 && nowMs >= dueMs) || Windows.activityStartOf(nowMs) < startMs;
  }

  /** Sees it from now, which changes nothing while it isn't stale. */
  public void moveTo(long nowMs) {
    startMs = Windows.activityStartOf(nowMs);
  }

  /** As a row. */
  public ActivityRow toRow() {
    return new ActivityRow(
        startMs,
        count,
        activeWindows,
        firstMs,
        lastMs,
        busiestStartMs,
        busiestCount,
        busiestFirstMs,
        busiestLastMs,
        dueMs);
  }
}
