package ping.metrics.core;

import java.nio.charset.StandardCharsets;

/**
 * Reads the value of a record: any JSON that Go's encoding/json would read into the RFC's struct.
 * Fields in any order, by their names in any case, the last of equals counts, null changes nothing,
 * unknown ones are skipped; any RFC 3339 offset, up to nanoseconds, cut to milliseconds; any
 * textual form of the address. Text must be valid Unicode, and both fields must be there and in
 * range.
 */
public final class EventDecoder {
  private static final byte[] BEFORE_CLIENT = ascii("{\"ClientIP\":\"");
  private static final byte[] BEFORE_TIME = ascii("\",\"Timestamp\":\"");
  private static final int BEHIND_TIME = 2; // a quote and a brace
  private static final byte[] CLIENT_NAME = ascii("clientip");
  private static final byte[] TIME_NAME = ascii("timestamp");
  private static final byte[] NOTHING = {};
  private static final int STRING_MAX = 512; // bytes of a string with escapes that may be of use

  private byte[] client;
  private long pingedAtMs;
  private boolean hasTime;

  private EventDecoder() {}

  /**
   * The event of a record.
   *
   * @param value the record's; null as an empty one
   * @param position where it stands in the log
   */
  public static Ping decode(byte[] value, long position) throws MalformedEventException {
    byte[] text = value == null ? NOTHING : value;
    Ping ping = decodeFixedLayout(text, position);
    return ping != null ? ping : decodeStrictly(text, position);
  }

  /** The same, without the fast path for the layout that pingd writes: the two must agree. */
  static Ping decodeStrictly(byte[] text, long position) throws MalformedEventException {
    EventDecoder decoder = new EventDecoder();
    decoder.readObject(new JsonScanner(text));
    return decoder.judge(position);
  }

  private static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }

  private static boolean inRange(long ms) {
    return ms >= 1 && ms <= Timestamps.MAX_MS;
  }

  /**
   * What is written by pingd, with any time and any address that parse as they stand: neither then
   * holds what JSON would escape, but for an address's zone, which may hold anything. Null where it
   * isn't that.
   */
  private static Ping decodeFixedLayout(byte[] text, long position) {
    int clientFrom = BEFORE_CLIENT.length;
    int timeTo = text.length - BEHIND_TIME;
    if (timeTo < clientFrom + BEFORE_TIME.length
        || !isAt(text, 0, BEFORE_CLIENT)
        || text[timeTo] != '"'
        || text[timeTo + 1] != '}') {
      return null;
    }
    int clientTo = clientFrom;
    while (clientTo < timeTo && text[clientTo] != '"' && text[clientTo] != '%') {
      clientTo++;
    }
    int timeFrom = clientTo + BEFORE_TIME.length;
    if (timeFrom > timeTo || !isAt(text, clientTo, BEFORE_TIME)) {
      return null;
    }
    long ms = Timestamps.parse(text, timeFrom, timeTo);
    Address address = inRange(ms) ? Address.parse(text, clientFrom, clientTo) : null;
    return address == null ? null : new Ping(address, ms, position);
  }

  /** Of eight to sixteen bytes, eight at a time. */
  private static boolean isAt(byte[] text, int at, byte[] wanted) {
    int last = wanted.length - 8;
    return Eights.at(text, at) == Eights.at(wanted, 0)
        && Eights.at(text, at + last) == Eights.at(wanted, last);
  }

  private void readObject(JsonScanner json) throws MalformedEventException {
    if (json.peek() != JsonScanner.Kind.OBJECT) {
      throw new MalformedEventException("not a JSON object");
    }
    json.enter();
    for (byte[] name = json.nextMember(); name != null; name = json.nextMember()) {
      readMember(json, ofUse(json, name));
    }
    json.finish();
  }

  /** A string with escapes that is longer than anything of use is as an empty one. */
  private static byte[] ofUse(JsonScanner json, byte[] string) {
    return json.wasEscaped() && json.rawSize() > STRING_MAX ? NOTHING : string;
  }

  private void readMember(JsonScanner json, byte[] name) throws MalformedEventException {
    boolean isClient = nameIs(name, CLIENT_NAME);
    boolean isTime = nameIs(name, TIME_NAME);
    JsonScanner.Kind kind = json.peek();
    if (!isClient && !isTime) {
      json.skip();
      return;
    }
    if (kind != JsonScanner.Kind.STRING) {
      json.skip();
      if (kind != JsonScanner.Kind.NULL) {
        throw new MalformedEventException(
            isClient ? "ClientIP is not a string" : "Timestamp is not a string");
      }
      return;
    }
    byte[] string = json.readString();
    byte[] value = ofUse(json, string);
    if (isClient) {
      client = value;
      return;
    }
    hasTime = true;
    pingedAtMs = Timestamps.parse(value, 0, value.length);
    if (pingedAtMs == Timestamps.NONE) {
      throw new MalformedEventException("Timestamp is not a time as in RFC 3339");
    }
  }

  /** As Go folds: ASCII case, and U+017F, the long s, is an s. */
  private static boolean nameIs(byte[] name, byte[] wanted) {
    int at = 0;
    int matched = 0;
    for (; at < name.length && matched < wanted.length; at++, matched++) {
      int character = name[at];
      if (character == (byte) 0xc5 && at + 1 < name.length && name[at + 1] == (byte) 0xbf) {
        character = 's';
        at++;
      }
      if ((character >= 'A' && character <= 'Z' ? character | 0x20 : character)
          != wanted[matched]) {
        return false;
      }
    }
    return at == name.length && matched == wanted.length;
  }

  private Ping judge(long position) throws MalformedEventException {
    if (client == null) {
      throw new MalformedEventException("no ClientIP");
    }
    if (!hasTime) {
      throw new MalformedEventException("no Timestamp");
    }
    if (!inRange(pingedAtMs)) {
      throw new MalformedEventException("Timestamp is not within 1970 and 9999");
    }
    Address address = Address.parse(client, 0, client.length);
    if (address == null) {
      throw new MalformedEventException("ClientIP is not an address");
    }
    return new Ping(address, pingedAtMs, position);
  }
}
