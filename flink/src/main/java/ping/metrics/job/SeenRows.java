package ping.metrics.job;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import ping.metrics.core.Address;
import ping.metrics.core.Ping;
import ping.metrics.core.Windows;
import ping.metrics.store.Wanted;

/**
 * Which rows were looked up since the task started, so that each is looked up once. An entry is old
 * after {@code ttlMs}, well before the state that it seeded can be purged; then the row is looked
 * up again. Bounded: the clients seen longest ago are forgotten, which costs a look-up, no more.
 */
final class SeenRows {
  private static final int MAX_ROWS_OF_A_CLIENT = 1024;

  /** What is known of a client; a window's key is its start, a day's is −1 − its start. */
  private static final class Seen {
    private long activityMs;
    private long lastWindow = Wanted.NOTHING;
    private long lastWindowMs;
    private long lastDay = Wanted.NOTHING;
    private long lastDayMs;
    private final Map<Long, Long> others = new HashMap<>(2);

    Seen(long nowMs) {
      activityMs = nowMs;
    }
  }

  private final long ttlMs;
  private final LinkedHashMap<Address, Seen> clients;

  SeenRows(int maxClients, long ttlMs) {
    this.ttlMs = ttlMs;
    clients =
        new LinkedHashMap<>(1024, 0.75f, true) {
          private static final long serialVersionUID = 1;

          @Override
          protected boolean removeEldestEntry(Map.Entry<Address, Seen> eldest) {
            return size() > maxClients;
          }
        };
  }

  /** What is to be read for the ping; it counts as seen from now on. Null: nothing. */
  Wanted wantedFor(Ping ping, long nowMs) {
    Seen seen = clients.get(ping.client());
    boolean activity = seen == null || nowMs - seen.activityMs >= ttlMs;
    if (seen == null) {
      seen = new Seen(nowMs);
      clients.put(ping.client(), seen);
    } else if (activity) {
      seen.activityMs = nowMs;
    }
    long window = Windows.startOf(ping.pingedAtMs());
    long day = Windows.dayStartOf(ping.pingedAtMs());
    boolean windowKnown = seen.lastWindow == window && nowMs - seen.lastWindowMs < ttlMs;
    boolean dayKnown = seen.lastDay == day && nowMs - seen.lastDayMs < ttlMs;
    if (!windowKnown) {
      windowKnown = switchWindow(seen, window, nowMs);
    }
    if (!dayKnown) {
      dayKnown = switchDay(seen, day, nowMs);
    }
    if (windowKnown && dayKnown && !activity) {
      return null;
    }
    return new Wanted(
        ping.client(),
        windowKnown ? Wanted.NOTHING : window,
        dayKnown ? Wanted.NOTHING : day,
        activity);
  }

  private boolean switchWindow(Seen seen, long window, long nowMs) {
    if (seen.lastWindow != Wanted.NOTHING) {
      remember(seen, seen.lastWindow, seen.lastWindowMs);
    }
    Long asked = seen.others.get(window);
    boolean known = asked != null && nowMs - asked < ttlMs;
    seen.lastWindow = window;
    seen.lastWindowMs = known ? asked : nowMs;
    return known;
  }

  private boolean switchDay(Seen seen, long day, long nowMs) {
    if (seen.lastDay != Wanted.NOTHING) {
      remember(seen, -1 - seen.lastDay, seen.lastDayMs);
    }
    Long asked = seen.others.get(-1 - day);
    boolean known = asked != null && nowMs - asked < ttlMs;
    seen.lastDay = day;
    seen.lastDayMs = known ? asked : nowMs;
    return known;
  }

  private static void remember(Seen seen, long key, long askedMs) {
    if (seen.others.size() >= MAX_ROWS_OF_A_CLIENT) {
      seen.others.clear();
    }
    seen.others.put(key, askedMs);
  }
}
