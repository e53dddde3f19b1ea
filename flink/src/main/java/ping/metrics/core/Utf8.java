package ping.metrics.core;

/** Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. */
final class Utf8 {
  private Utf8() {}

  /** Bytes of the character that begins at {@code at}; 0 where it is malformed. */
  static int characterSize(byte[] text, int at) {
    int lead = text[at] & 0xff;
    if (lead < 0x80) {
      return 1;
    }
    if (lead < 0xc2 || lead > 0xf4) {
      return 0;
    }
    int size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (text.length - at < size) {
      return 0;
    }
    // Only the second byte's range depends on the first (table 3-7 of the Unicode standard).
    int low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    int high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    int second = text[at + 1] & 0xff;
    if (second < low || second > high) {
      return 0;
    }
    for (int i = at + 2; i < at + size; i++) {
      if ((text[i] & 0xc0) != 0x80) {
        return 0;
      }
    }
    return size;
  }
}
