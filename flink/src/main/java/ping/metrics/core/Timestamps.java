package ping.metrics.core;

import java.nio.charset.StandardCharsets;

/** Times as Unix milliseconds, UTC. */
public final class Timestamps {
  /** 9999-12-31T23:59:59.999Z. */
  public static final long MAX_MS = 253_402_300_799_999L;

  /** Milliseconds of a day. */
  public static final long DAY_MS = 86_400_000L;

  /** No time: what {@link #parse} gives for a text that is none. */
  public static final long NONE = Long.MIN_VALUE;

  private static final long MIN_MS = -62_167_219_200_000L; // 0000-01-01T00:00:00Z
  private static final long DAYS_TO_1970 = 719_469 + 146_097; // from 0000-03-00, and of 400 years
  private static final int DATE_SIZE = 10;
  private static final int FRACTION_AT = 19;
  private static final int NOT_DIGITS =
      100_000; // greater than any limit, alone and as half of a year
  private static final int[] MONTH_LENGTH = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

  // "YYYY-MM-DDThh:mm:ss.mmmZ" in eights, the first character lowest: a digit is one without its
  // '0', and stays below 128 when its room is added; any other character must be the one wanted.
  private static final int PINGDS_SIZE = 24;
  private static final long[] PINGDS = {eight("0000-00-"), eight("00T00:00"), eight(":00.000Z")};
  private static final long[] ROOM = {room("0000-00-"), room("00T00:00"), room(":00.000Z")};

  private Timestamps() {}

  private static long eight(String text) {
    return Eights.at(text.getBytes(StandardCharsets.US_ASCII), 0);
  }

  private static long room(String text) {
    long value = 0;
    for (int i = 0; i < 8; i++) {
      value |= (text.charAt(i) == '0' ? 127L - 9 : 127L) << (8 * i);
    }
    return value;
  }

  /**
   * RFC 3339 with any offset and up to nine fraction digits (cut, toward the past, to ms). Second
   * 60 is refused, as Go refuses it.
   *
   * @return {@link #NONE} where it is malformed, also where the offset leads out of the years 0 to
   *     9999
   */
  public static long parse(byte[] text, int from, int to) {
    long ms = to - from == PINGDS_SIZE ? parsePingds(text, from) : NONE;
    return ms != NONE ? ms : parseAny(text, from, to);
  }

  /** As pingd writes it, eight characters at a time. {@link #NONE} also where it isn't that. */
  private static long parsePingds(byte[] text, int from) {
    long first = Eights.at(text, from) ^ PINGDS[0];
    long second = Eights.at(text, from + 8) ^ PINGDS[1];
    long third = Eights.at(text, from + 16) ^ PINGDS[2];
    long wrong =
        (first | (first + ROOM[0])) | (second | (second + ROOM[1])) | (third | (third + ROOM[2]));
    if ((wrong & Eights.HIGH_BITS) != 0) {
      return NONE;
    }
    // In each byte ten times itself and the next one: at most 99.
    long firstPairs = first * 10 + (first >>> 8);
    long secondPairs = second * 10 + (second >>> 8);
    long thirdPairs = third * 10 + (third >>> 8);
    int year = at(firstPairs, 0) * 100 + at(firstPairs, 2);
    int month = at(firstPairs, 5);
    int day = at(secondPairs, 0);
    int hour = at(secondPairs, 3);
    int minute = at(secondPairs, 6);
    int seconds = at(thirdPairs, 1);
    if (!isDate(year, month, day) || hour > 23 || minute > 59 || seconds > 59) {
      return NONE;
    }
    return daysTo(year, month, day) * DAY_MS
        + ((hour * 60 + minute) * 60 + seconds) * 1000L
        + at(thirdPairs, 4) * 10L
        + at(third, 6);
  }

  private static int at(long bytes, int index) {
    return (int) (bytes >>> (8 * index)) & 255;
  }

  private static long parseAny(byte[] text, int from, int to) {
    if (to - from <= FRACTION_AT) {
      return NONE;
    }
    long dateMs = parseDate(text, from);
    long timeMs = parseTime(text, from + DATE_SIZE);
    if (dateMs == NONE || timeMs == NONE) {
      return NONE;
    }
    int at = from + FRACTION_AT;
    int value = 0;
    int digits = 0;
    if (text[at] == '.') {
      for (at++; at < to && isDigit(text[at]); at++) {
        if (++digits <= 3) {
          value = value * 10 + text[at] - '0';
        }
      }
      if (digits < 1 || digits > 9) {
        return NONE;
      }
    }
    for (int i = digits; i < 3; i++) {
      value *= 10;
    }
    long offsetMs = parseOffset(text, at, to);
    if (offsetMs == NONE) {
      return NONE;
    }
    long ms = dateMs + timeMs + value - offsetMs;
    return ms < MIN_MS || ms > MAX_MS ? NONE : ms;
  }

  /** "2024-10-14". */
  private static long parseDate(byte[] text, int at) {
    int year = twoDigits(text, at) * 100 + twoDigits(text, at + 2);
    int month = twoDigits(text, at + 5);
    int day = twoDigits(text, at + 8);
    boolean fine = text[at + 4] == '-' && text[at + 7] == '-' && isDate(year, month, day);
    return fine ? daysTo(year, month, day) * DAY_MS : NONE;
  }

  private static boolean isDate(int year, int month, int day) {
    if (year > 9999 || month < 1 || month > 12 || day < 1) {
      return false;
    }
    boolean leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return day <= MONTH_LENGTH[month - 1] + (month == 2 && leap ? 1 : 0);
  }

  /**
   * Days from 1970-01-01 on. Years that begin in March have their leap day at their end: months
   * before it lie the same in all of them.
   */
  private static long daysTo(int year, int month, int day) {
    int fromMarch = month > 2 ? month - 3 : month + 9;
    int marchYear = (month > 2 ? year : year - 1) + 400; // not before 0: divisions cut
    return marchYear * 365L
        + marchYear / 4
        - marchYear / 100
        + marchYear / 400
        + (153 * fromMarch + 2) / 5
        + day
        - DAYS_TO_1970;
  }

  /** "T15:45:31". */
  private static long parseTime(byte[] text, int at) {
    int hour = twoDigits(text, at + 1);
    int minute = twoDigits(text, at + 4);
    int second = twoDigits(text, at + 7);
    boolean fine =
        text[at] == 'T'
            && hour <= 23
            && text[at + 3] == ':'
            && minute <= 59
            && text[at + 6] == ':'
            && second <= 59;
    return fine ? ((hour * 60 + minute) * 60 + second) * 1000L : NONE;
  }

  /** "Z" or "+02:00", and nothing behind. */
  private static long parseOffset(byte[] text, int at, int to) {
    if (to - at == 1) {
      return text[at] == 'Z' ? 0 : NONE;
    }
    if (to - at != 6 || (text[at] != '+' && text[at] != '-') || text[at + 3] != ':') {
      return NONE;
    }
    int hours = twoDigits(text, at + 1);
    int minutes = twoDigits(text, at + 4);
    if (hours > 23 || minutes > 59) {
      return NONE;
    }
    return (hours * 60 + minutes) * (text[at] == '-' ? -60_000L : 60_000L);
  }

  private static boolean isDigit(byte character) {
    return character >= '0' && character <= '9';
  }

  private static int twoDigits(byte[] text, int at) {
    return isDigit(text[at]) && isDigit(text[at + 1])
        ? (text[at] - '0') * 10 + text[at + 1] - '0'
        : NOT_DIGITS;
  }
}
