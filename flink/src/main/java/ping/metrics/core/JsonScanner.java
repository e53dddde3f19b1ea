package ping.metrics.core;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * JSON text (RFC 8259), strictly, without building anything: the native engine's scanner in Java.
 * Its problems are that one's, byte for byte, since they stand in dead letters.
 *
 * <p>Every reader throws {@link MalformedEventException}; after that the scanner is of no use.
 */
final class JsonScanner {
  static final int MAX_DEPTH = 100;

  /** What begins next. */
  enum Kind {
    INVALID,
    OBJECT,
    ARRAY,
    STRING,
    NUMBER,
    TRUE,
    FALSE,
    NULL
  }

  private final byte[] text;
  private int next;
  private int depth;
  private boolean first;

  /** Of the last string: what stands between its quotes. */
  private int stringFrom;

  private int stringTo;
  private boolean stringEscaped;

  JsonScanner(byte[] text) {
    this.text = text;
  }

  private MalformedEventException fail(int at, String problem) {
    return new MalformedEventException("JSON, byte " + at + ": " + problem);
  }

  /** The next byte that is no blank; 0 at the end (a NUL in the text begins nothing either). */
  private byte nextByte() {
    while (next < text.length && isBlank(text[next])) {
      next++;
    }
    return next < text.length ? text[next] : 0;
  }

  private static boolean isBlank(byte character) {
    return character == ' ' || character == '\n' || character == '\r' || character == '\t';
  }

  Kind peek() {
    return switch (nextByte()) {
      case '{' -> Kind.OBJECT;
      case '[' -> Kind.ARRAY;
      case '"' -> Kind.STRING;
      case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9' -> Kind.NUMBER;
      case 't' -> Kind.TRUE;
      case 'f' -> Kind.FALSE;
      case 'n' -> Kind.NULL;
      default -> Kind.INVALID;
    };
  }

  // Strings

  /** Reads a string and returns it without its escapes, as UTF-8. */
  byte[] readString() throws MalformedEventException {
    skipString();
    return stringEscaped ? unescaped() : Arrays.copyOfRange(text, stringFrom, stringTo);
  }

  private void skipString() throws MalformedEventException {
    if (nextByte() != '"') {
      throw fail(next, "expected a string");
    }
    int at = next + 1;
    stringFrom = at;
    stringEscaped = false;
    while (true) {
      while (at < text.length && text[at] >= 0x20 && text[at] != '"' && text[at] != '\\') {
        at++;
      }
      if (at == text.length) {
        throw fail(at, "a string without its end");
      }
      if (text[at] == '"') {
        break;
      }
      if (text[at] >= 0 && text[at] < 0x20) {
        throw fail(at, "a control character in a string");
      }
      boolean escape = text[at] == '\\';
      int size = escape ? escapeSize(at) : Utf8.characterSize(text, at);
      if (size == 0) {
        throw fail(at, escape ? "a malformed escape" : "text that is not UTF-8");
      }
      stringEscaped |= escape;
      at += size;
    }
    stringTo = at;
    next = at + 1;
  }

  /** 0 where it is none. */
  private int escapeSize(int at) {
    if (at + 2 > text.length) {
      return 0;
    }
    if (text[at + 1] != 'u') {
      return "\"\\/bfnrt".indexOf(text[at + 1]) < 0 ? 0 : 2;
    }
    int unit = hex4(at + 2);
    if (unit < 0 || Character.isLowSurrogate((char) unit)) {
      return 0;
    }
    if (!Character.isHighSurrogate((char) unit)) {
      return 6;
    }
    boolean follows = at + 12 <= text.length && text[at + 6] == '\\' && text[at + 7] == 'u';
    int low = follows ? hex4(at + 8) : -1;
    return low >= 0 && Character.isLowSurrogate((char) low) ? 12 : 0;
  }

  private int hex4(int at) {
    if (at + 4 > text.length) {
      return -1;
    }
    int value = 0;
    for (int i = at; i < at + 4; i++) {
      int digit = text[i] < 0 ? -1 : Character.digit((char) text[i], 16);
      if (digit < 0) {
        return -1;
      }
      value = (value << 4) | digit;
    }
    return value;
  }

  private byte[] unescaped() {
    StringBuilder plain = new StringBuilder(stringTo - stringFrom);
    int at = stringFrom;
    while (at < stringTo) {
      int from = at;
      while (at < stringTo && text[at] != '\\') {
        at++;
      }
      plain.append(new String(text, from, at - from, StandardCharsets.UTF_8));
      if (at == stringTo) {
        break;
      }
      if (text[at + 1] == 'u') {
        plain.append((char) hex4(at + 2));
        at += 6;
      } else {
        plain.append("\"\\/\b\f\n\r\t".charAt("\"\\/bfnrt".indexOf(text[at + 1])));
        at += 2;
      }
    }
    return plain.toString().getBytes(StandardCharsets.UTF_8);
  }

  /** Bytes between the quotes of the string that was read last. */
  int rawSize() {
    return stringTo - stringFrom;
  }

  boolean wasEscaped() {
    return stringEscaped;
  }

  // Numbers, literals

  private int skipDigits(int at) {
    int end = at;
    while (end < text.length && text[end] >= '0' && text[end] <= '9') {
      end++;
    }
    return end;
  }

  private void skipNumber() throws MalformedEventException {
    int start = next;
    int digits = text[start] == '-' ? start + 1 : start;
    int at = skipDigits(digits);
    boolean fine = at > digits && !(text[digits] == '0' && at - digits > 1);
    if (fine && at < text.length && text[at] == '.') {
      digits = at + 1;
      at = skipDigits(digits);
      fine = at > digits;
    }
    if (fine && at < text.length && (text[at] == 'e' || text[at] == 'E')) {
      boolean signed = at + 1 < text.length && (text[at + 1] == '+' || text[at + 1] == '-');
      digits = at + (signed ? 2 : 1);
      at = skipDigits(digits);
      fine = at > digits;
    }
    if (!fine) {
      throw fail(start, "a malformed number");
    }
    next = at;
  }

  private void skipLiteral(String literal) throws MalformedEventException {
    for (int i = 0; i < literal.length(); i++) {
      if (next + i >= text.length || text[next + i] != literal.charAt(i)) {
        throw fail(next, "expected a value");
      }
    }
    next += literal.length();
  }

  // Objects, arrays

  void enter() throws MalformedEventException {
    byte opening = nextByte();
    if (opening != '{' && opening != '[') {
      throw fail(next, "expected an object or an array");
    }
    if (depth == MAX_DEPTH) {
      throw fail(next, "more than 100 levels of nesting");
    }
    next++;
    depth++;
    first = true;
  }

  private boolean advance(char closing, String problem) throws MalformedEventException {
    byte byteThere = nextByte();
    if (byteThere == closing) {
      next++;
      depth--;
      first = false;
      return false;
    }
    if (!first) {
      if (byteThere != ',') {
        throw fail(next, problem);
      }
      next++;
    }
    first = false;
    return true;
  }

  /** The next member's name, its value being next; null where the object has ended. */
  byte[] nextMember() throws MalformedEventException {
    if (!advance('}', "expected ',' or '}'")) {
      return null;
    }
    byte[] name = readString();
    if (nextByte() != ':') {
      throw fail(next, "expected ':'");
    }
    next++;
    return name;
  }

  /** Any value, with what is in it. */
  void skip() throws MalformedEventException {
    switch (peek()) {
      case OBJECT -> {
        enter();
        while (nextMember() != null) {
          skip();
        }
      }
      case ARRAY -> {
        enter();
        while (advance(']', "expected ',' or ']'")) {
          skip();
        }
      }
      case STRING -> skipString();
      case NUMBER -> skipNumber();
      case TRUE -> skipLiteral("true");
      case FALSE -> skipLiteral("false");
      case NULL -> skipLiteral("null");
      case INVALID -> throw fail(next, "expected a value");
    }
  }

  /** Nothing but blanks may follow. */
  void finish() throws MalformedEventException {
    nextByte();
    if (next != text.length) {
      throw fail(next, "something follows the value");
    }
  }
}
