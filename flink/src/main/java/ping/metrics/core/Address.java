package ping.metrics.core;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * An IP address as the key of a client: sixteen bytes, IPv4 as IPv4-mapped IPv6 (RFC 4291,
 * 2.5.5.2), so that one address has one value whatever form it came in. No zone, no port. Its order
 * is that of its bytes.
 */
public final class Address implements Comparable<Address> {
  /** Bytes of an address. */
  public static final int SIZE = 16;

  private static final int MAX_TEXT = 45;
  private static final int MAX_QUAD = 15;
  private static final int GROUPS = 8;
  private static final int MIN_QUAD = 7;

  private static final long DOTS = 0x2e2e_2e2e_2e2e_2e2eL;
  private static final long ZEROS = 0x3030_3030_3030_3030L;
  private static final long NOT_DIGIT_ROOM = 0x7676_7676_7676_7676L; // 9 and it stay below 128
  private static final long GATHER = 0x0102_0408_1020_4080L; // the lowest bit of each byte

  /** The least number of so many digits: none begins with a 0. No digit, or many, is never fine. */
  private static final int[] LEAST = new int[16];

  static {
    Arrays.fill(LEAST, Integer.MAX_VALUE);
    LEAST[1] = 0;
    LEAST[2] = 10;
    LEAST[3] = 100;
  }

  private static final long HIGH_FACTOR = 0x9e3779b97f4a7c15L;
  private static final long LOW_FACTOR = 0xc2b2ae3d27d4eb4fL;
  private static final long MAPPED = 0xffff_0000_0000L;

  private final long high;
  private final long low;

  private Address(long high, long low) {
    this.high = high;
    this.low = low;
  }

  /** The address of its two halves, the first eight bytes in {@code high}. */
  public static Address of(long high, long low) {
    return new Address(high, low);
  }

  /** The address of an IPv4 address, its first byte the highest. */
  public static Address ofIpv4(int quad) {
    return new Address(0, MAPPED | (quad & 0xffff_ffffL));
  }

  /**
   * Any textual form of RFC 4291 (2.2) or dotted quad, with an optional %zone, which is dropped. No
   * brackets, no port, no blanks, no leading zeros in a quad.
   *
   * @return null where the text is no address
   */
  public static Address parse(byte[] text, int from, int to) {
    long quad = parseQuadAtOnce(text, from, to);
    if (quad < 0) {
      quad = parseQuad(text, from, to);
    }
    if (quad >= 0) {
      return new Address(0, MAPPED | quad);
    }
    int zone = from;
    while (zone < to && text[zone] != '%') {
      zone++;
    }
    boolean emptyZone = zone < to && zone + 1 == to;
    if (zone == from || zone - from > MAX_TEXT || emptyZone) {
      return null;
    }
    return parseGroups(text, from, zone);
  }

  /** As {@link #parse(byte[], int, int)}. */
  public static Address parse(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    return parse(bytes, 0, bytes.length);
  }

  /**
   * As {@link #parseQuad}, but with no branch that depends on how long each number is, which the
   * processor would guess wrongly as often as not; -1 also where the text lies too near the bounds
   * of the array to be read in eights.
   */
  private static long parseQuadAtOnce(byte[] text, int from, int to) {
    int size = to - from;
    if (size < MIN_QUAD || size > MAX_QUAD || from < 8 || text.length - from < 16) {
      return -1;
    }
    int dots = dots(Eights.at(text, from)) | (dots(Eights.at(text, from + 8)) << 8);
    dots &= (1 << size) - 1;
    if (Integer.bitCount(dots) != 3) {
      return -1;
    }
    long quad = 0;
    long wrong = 0;
    long beyond = 0;
    int start = 0;
    for (int i = 0; i < 4; i++) {
      int end = Integer.numberOfTrailingZeros(dots | (1 << size));
      int digits = end - start;
      // The last digit is the highest byte; what stands before the first becomes 0.
      long number = Eights.at(text, from + end - 8) ^ ZEROS;
      number = digits == 0 ? 0 : (number >>> (64 - 8 * digits)) << (64 - 8 * digits);
      long value = (number >>> 56) + ((number >>> 48) & 255) * 10 + ((number >>> 40) & 255) * 100;
      wrong |= number | (number + NOT_DIGIT_ROOM);
      beyond |= (value - LEAST[digits & 15]) | (255 - value); // negative: too small, too great
      quad = (quad << 8) | value;
      start = end + 1;
      dots &= dots - 1;
    }
    return (wrong & Eights.HIGH_BITS) == 0 && beyond >= 0 ? quad : -1;
  }

  /** A bit for each byte that is a dot, the lowest for the first. */
  private static int dots(long eight) {
    long other = eight ^ DOTS; // 0 where it is one
    long found = ~(((other & ~Eights.HIGH_BITS) + ~Eights.HIGH_BITS) | other) & Eights.HIGH_BITS;
    return (int) (((found >>> 7) * GATHER) >>> 56);
  }

  /** Four numbers of 0 to 255 without leading zeros; -1 where it is none. */
  private static long parseQuad(byte[] text, int from, int to) {
    long quad = 0;
    int next = from;
    for (int i = 0; i < 4; i++) {
      int value = 0;
      int start = next;
      for (; next < to && isDigit(text[next]) && next - start < 3; next++) {
        value = value * 10 + text[next] - '0';
      }
      if (next == start || value > 255 || (text[start] == '0' && next - start > 1)) {
        return -1;
      }
      quad = (quad << 8) | value;
      if (i < 3 && (next == to || text[next++] != '.')) {
        return -1;
      }
    }
    return next == to ? quad : -1;
  }

  private static boolean isDigit(byte character) {
    return character >= '0' && character <= '9';
  }

  private static Address parseGroups(byte[] text, int from, int to) {
    int[] groups = new int[GROUPS];
    int count = 0;
    int gap = -1;
    int next = from;
    if (text[next] == ':' && (next + 1 == to || text[next + 1] != ':')) {
      return null;
    }
    while (next < to) {
      if (text[next] == ':' && next + 1 < to && text[next + 1] == ':') {
        if (gap >= 0) {
          return null;
        }
        gap = count;
        next += 2;
        if (next < to && text[next] == ':') {
          return null;
        }
        continue;
      }
      if (text[next] == ':' && (++next == to || text[next] == ':')) {
        return null; // at the end
      }
      int end = next;
      int value = 0;
      for (; end < to && hexDigit(text[end]) >= 0; end++) {
        value = (value << 4) | hexDigit(text[end]);
        if (end - next >= 4) {
          return null;
        }
      }
      if (end < to && text[end] == '.') {
        long quad = count + 2 <= GROUPS ? parseQuad(text, next, to) : -1;
        if (quad < 0) {
          return null;
        }
        groups[count++] = (int) (quad >> 16);
        groups[count++] = (int) (quad & 0xffff);
        break;
      }
      if (end == next || count == GROUPS || (end < to && text[end] != ':')) {
        return null;
      }
      groups[count++] = value;
      next = end;
    }
    return assemble(groups, count, gap);
  }

  private static Address assemble(int[] groups, int count, int gap) {
    if (gap < 0 ? count != GROUPS : count == GROUPS) {
      return null;
    }
    int[] all = new int[GROUPS];
    int head = gap < 0 ? count : gap;
    System.arraycopy(groups, 0, all, 0, head);
    System.arraycopy(groups, head, all, GROUPS - (count - head), count - head);
    long high = 0;
    long low = 0;
    for (int i = 0; i < 4; i++) {
      high = (high << 16) | all[i];
      low = (low << 16) | all[i + 4];
    }
    return new Address(high, low);
  }

  private static int hexDigit(byte character) {
    return Character.digit((char) character, 16);
  }

  /** The first eight bytes. */
  public long high() {
    return high;
  }

  /** The last eight bytes. */
  public long low() {
    return low;
  }

  /** Whether it is IPv4-mapped. */
  public boolean isIpv4() {
    return high == 0 && low >>> 32 == 0xffffL;
  }

  /** The sixteen bytes. */
  public byte[] bytes() {
    return ByteBuffer.allocate(SIZE).putLong(high).putLong(low).array();
  }

  /** Canonical text (RFC 5952), IPv4-mapped as a dotted quad. */
  @Override
  public String toString() {
    return new String(ascii(), StandardCharsets.US_ASCII);
  }

  /** The bytes of {@link #toString}. */
  byte[] ascii() {
    return isIpv4() ? quad() : groups().getBytes(StandardCharsets.US_ASCII);
  }

  private byte[] quad() {
    byte[] text = new byte[MAX_QUAD];
    int size = 0;
    for (int shift = 24; shift >= 0; shift -= 8) {
      int value = (int) (low >>> shift) & 255;
      if (value >= 100) {
        text[size++] = (byte) ('0' + value / 100);
      }
      if (value >= 10) {
        text[size++] = (byte) ('0' + value / 10 % 10);
      }
      text[size++] = (byte) ('0' + value % 10);
      if (shift > 0) {
        text[size++] = '.';
      }
    }
    return Arrays.copyOf(text, size);
  }

  private String groups() {
    int[] groups = new int[GROUPS];
    for (int i = 0; i < 4; i++) {
      groups[i] = (int) ((high >>> (48 - 16 * i)) & 0xffff);
      groups[i + 4] = (int) ((low >>> (48 - 16 * i)) & 0xffff);
    }
    return format(groups);
  }

  /**
   * The longest run of two or more zero groups is left out, the first of equals (RFC 5952, 4.2).
   */
  private static String format(int[] groups) {
    int run = -1;
    int runLength = 1;
    for (int i = 0; i < GROUPS; i++) {
      int length = 0;
      while (i + length < GROUPS && groups[i + length] == 0) {
        length++;
      }
      if (length > runLength) {
        run = i;
        runLength = length;
      }
      i += length;
    }
    StringBuilder text = new StringBuilder(MAX_TEXT);
    for (int i = 0; i < GROUPS; i++) {
      if (i == run) {
        text.append(i == 0 ? "::" : ":");
        i += runLength - 1;
        continue;
      }
      text.append(Integer.toHexString(groups[i])).append(i == GROUPS - 1 ? "" : ":");
    }
    return text.toString();
  }

  @Override
  public int compareTo(Address other) {
    int order = Long.compareUnsigned(high, other.high);
    return order != 0 ? order : Long.compareUnsigned(low, other.low);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Address address && high == address.high && low == address.low;
  }

  /**
   * For the slots of a table: a multiplication mixes well. What {@link #hashCode} is good for, the
   * clients of a task have in common.
   *
   * @param high of an address, as low
   */
  public static int slotHash(long high, long low) {
    return (int) ((high * HIGH_FACTOR + low * LOW_FACTOR) >>> 32);
  }

  /** The same in every process: it decides to which task a client goes. */
  @Override
  public int hashCode() {
    return 31 * (31 + Long.hashCode(high)) + Long.hashCode(low);
  }
}
