package ping.metrics.job;

import java.util.HashMap;
import java.util.Map;
import ping.metrics.core.Address;
import ping.metrics.core.Ping;
import ping.metrics.core.Windows;
import ping.metrics.store.Wanted;

/**
 * Which rows were looked up since the task started, so that each is looked up once. An entry is old
 * after {@code ttlMs}, well before the state that it seeded can be purged; then the row is looked
 * up again. Bounded: clients that were not seen lately are forgotten, which costs a look-up, no
 * more.
 *
 * <p>It is asked with each ping, and what that takes is waiting for memory. So what most pings need
 * of a client lies in one place: the client, since when its rows are known, and its last window.
 */
final class SeenRows {
  private static final int MIN_SLOTS = 1024;
  private static final int MAX_ROWS_OF_A_CLIENT = 1024;

  // A slot: the client's halves; since when its activity, its last window and that one's day are
  // known, 0 where the slot is free; that window, doubled, and 1 more where the client was seen
  // again since it came, or since others were forgotten.
  private static final int SLOT = 4;
  private static final int LOW = 1;
  private static final int SINCE = 2;
  private static final int WINDOW = 3;

  private final int maxClients;
  private final long ttlMs;

  /** A power of two of slots, half of them free. */
  private long[] slots = new long[MIN_SLOTS * SLOT];

  private int size;

  /** Rows that are not the last ones; a window's key is its start, a day's is −1 − its start. */
  private Map<Address, Map<Long, Long>> others = new HashMap<>();

  SeenRows(int maxClients, long ttlMs) {
    this.maxClients = maxClients;
    this.ttlMs = ttlMs;
  }

  /** What is to be read for the ping; it counts as seen from now on. Null: nothing. */
  Wanted wantedFor(Ping ping, long nowMs) {
    Address client = ping.client();
    int slot = slotOf(client.high(), client.low());
    long sinceMs = slots[slot + SINCE];
    long last = slots[slot + WINDOW];
    long window = Windows.startOf(ping.pingedAtMs());
    if (last == seen(window) && nowMs - sinceMs < ttlMs) {
      return null;
    }
    if (sinceMs == 0) {
      add(client, window, nowMs);
    } else if (nowMs - sinceMs < ttlMs) {
      return switchWindow(client, slot, window, nowMs);
    } else {
      set(slot, client, nowMs, window);
    }
    return new Wanted(client, window, Windows.dayStartOf(window), true);
  }

  private static long seen(long window) {
    return (window << 1) | 1;
  }

  /** Its slot, or the free one where it would be. */
  private int slotOf(long high, long low) {
    int mask = slots.length - 1;
    int slot = (Address.slotHash(high, low) * SLOT) & mask;
    while (slots[slot + SINCE] != 0 && (slots[slot + LOW] != low || slots[slot] != high)) {
      slot = (slot + SLOT) & mask;
    }
    return slot;
  }

  private void set(int slot, Address client, long sinceMs, long window) {
    slots[slot] = client.high();
    slots[slot + LOW] = client.low();
    slots[slot + SINCE] = sinceMs;
    slots[slot + WINDOW] = seen(window);
  }

  private void add(Address client, long window, long nowMs) {
    if (size >= maxClients) {
      forget();
    } else if (2 * (size + 1) * SLOT > slots.length) {
      rebuild(2 * slots.length, false);
    }
    int slot = slotOf(client.high(), client.low());
    set(slot, client, nowMs, window);
    slots[slot + WINDOW] &= ~1L; // those who come but once are the first to be forgotten
    size++;
  }

  /** Those that were not seen again since the last time; where those are few, all. */
  private void forget() {
    rebuild(slots.length, true);
    if (size > maxClients / 4 * 3) {
      slots = new long[slots.length];
      size = 0;
    }
    others = new HashMap<>();
  }

  private void rebuild(int length, boolean forgetting) {
    long[] old = slots;
    slots = new long[length];
    size = 0;
    for (int from = 0; from < old.length; from += SLOT) {
      boolean stays = !forgetting || (old[from + WINDOW] & 1) != 0;
      if (old[from + SINCE] != 0 && stays) {
        int slot = slotOf(old[from], old[from + LOW]);
        System.arraycopy(old, from, slots, slot, SLOT);
        slots[slot + WINDOW] = forgetting ? old[from + WINDOW] & ~1L : old[from + WINDOW];
        size++;
      }
    }
  }

  /** Another window than the last one, or the first since others were forgotten. */
  private Wanted switchWindow(Address client, int slot, long window, long nowMs) {
    long sinceMs = slots[slot + SINCE];
    long last = slots[slot + WINDOW] >> 1;
    if (last == window) {
      slots[slot + WINDOW] = seen(window);
      return null;
    }
    Map<Long, Long> rows = others.computeIfAbsent(client, one -> new HashMap<>(4));
    if (rows.size() >= MAX_ROWS_OF_A_CLIENT) {
      rows.clear();
    }
    long day = Windows.dayStartOf(window);
    long lastDay = Windows.dayStartOf(last);
    rows.put(last, sinceMs);
    Long windowMs = rows.get(window);
    Long dayMs = sinceMs;
    if (day != lastDay) {
      rows.put(-1 - lastDay, sinceMs);
      dayMs = rows.get(-1 - day);
    }
    boolean windowKnown = windowMs != null && nowMs - windowMs < ttlMs;
    boolean dayKnown = dayMs != null && nowMs - dayMs < ttlMs;
    long oldestMs = Math.min(windowKnown ? windowMs : sinceMs, dayKnown ? dayMs : sinceMs);
    set(slot, client, Math.min(sinceMs, oldestMs), window);
    if (windowKnown && dayKnown) {
      return null;
    }
    return new Wanted(
        client, windowKnown ? Wanted.NOTHING : window, dayKnown ? Wanted.NOTHING : day, false);
  }
}
