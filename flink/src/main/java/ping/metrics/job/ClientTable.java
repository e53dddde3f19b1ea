package ping.metrics.job;

import java.util.Arrays;
import java.util.function.Consumer;
import ping.metrics.core.Address;

/**
 * Values by client, of which those not asked for lately can be let go of.
 *
 * <p>It is asked with each ping, and most of what that takes is waiting for memory. So a client's
 * key lies in an array, beside those that it may be confused with, and of what was asked for it
 * notes that alone, not in which order.
 */
final class ClientTable<V> {
  private static final int MIN_SLOTS = 1024;

  /**
   * The high and the low half of each slot's client. A power of two of slots, half of them free.
   */
  private long[] keys;

  /** Null: the slot is free. */
  private Object[] values;

  private boolean[] asked;
  private int mask;
  private int size;

  /** The slot that is looked at next when somebody must go. */
  private int hand;

  ClientTable() {
    allocate(MIN_SLOTS);
  }

  private void allocate(int slots) {
    keys = new long[2 * slots];
    values = new Object[slots];
    asked = new boolean[slots];
    mask = slots - 1;
    size = 0;
    hand = 0;
  }

  private int home(long high, long low) {
    return Address.slotHash(high, low) & mask;
  }

  /** Its slot, or the free one where it would be. */
  private int slotOf(long high, long low) {
    int slot = home(high, low);
    while (values[slot] != null && (keys[2 * slot + 1] != low || keys[2 * slot] != high)) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  /** Null: there is none. */
  @SuppressWarnings("unchecked")
  V get(Address client) {
    int slot = slotOf(client.high(), client.low());
    Object value = values[slot];
    if (value != null && !asked[slot]) {
      asked[slot] = true;
    }
    return (V) value;
  }

  /** Takes the place of the one that is there. */
  void put(Address client, V value) {
    put(client.high(), client.low(), value, true);
  }

  private void put(long high, long low, Object value, boolean isAsked) {
    int slot = slotOf(high, low);
    if (values[slot] == null && 2 * ++size > values.length) {
      grow();
      slot = slotOf(high, low);
      size++;
    }
    keys[2 * slot] = high;
    keys[2 * slot + 1] = low;
    values[slot] = value;
    asked[slot] = isAsked;
  }

  /** Into twice as many slots. */
  private void grow() {
    long[] oldKeys = keys;
    Object[] oldValues = values;
    boolean[] oldAsked = asked;
    allocate(2 * oldValues.length);
    for (int slot = 0; slot < oldValues.length; slot++) {
      if (oldValues[slot] != null) {
        put(oldKeys[2 * slot], oldKeys[2 * slot + 1], oldValues[slot], oldAsked[slot]);
      }
    }
  }

  void remove(Address client) {
    int slot = slotOf(client.high(), client.low());
    if (values[slot] != null) {
      free(slot);
    }
  }

  /** Those behind it move up, so that none is behind a free slot that it would be looked for in. */
  private void free(int slot) {
    int hole = slot;
    for (int next = (hole + 1) & mask; values[next] != null; next = (next + 1) & mask) {
      int home = home(keys[2 * next], keys[2 * next + 1]);
      if (((next - home) & mask) >= ((next - hole) & mask)) {
        keys[2 * hole] = keys[2 * next];
        keys[2 * hole + 1] = keys[2 * next + 1];
        values[hole] = values[next];
        asked[hole] = asked[next];
        hole = next;
      }
    }
    values[hole] = null;
    size--;
  }

  int size() {
    return size;
  }

  @SuppressWarnings("unchecked")
  void forEach(Consumer<V> action) {
    Arrays.stream(values).filter(value -> value != null).forEach(value -> action.accept((V) value));
  }

  /**
   * Lets go of clients until {@code max} are left: of those first that nobody has asked for since
   * the last time that it came by them.
   *
   * @param gone takes each that goes; must leave the table alone
   */
  @SuppressWarnings("unchecked")
  void shrinkTo(int max, Consumer<V> gone) {
    while (size > max) {
      Object value = values[hand];
      if (value != null && !asked[hand]) {
        free(hand); // and another may have come into its place
        gone.accept((V) value);
      } else {
        asked[hand] = false;
        hand = (hand + 1) & mask;
      }
    }
  }
}
