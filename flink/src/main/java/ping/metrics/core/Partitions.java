package ping.metrics.core;

/**
 * Which partition of the log a client's events belong in: where Kafka's default partitioner puts
 * its canonical text.
 */
public final class Partitions {
  private static final int MULTIPLIER = 0x5bd1e995;
  private static final int SEED = 0x9747b28c;

  /** The decimal text of each byte and a dot, the first character lowest; characters of it. */
  private static final int[] BYTE_TEXT = new int[256];

  private static final int[] BYTE_TEXT_BITS = new int[256];

  static {
    for (int value = 0; value < 256; value++) {
      String text = value + ".";
      for (int i = 0; i < text.length(); i++) {
        BYTE_TEXT[value] |= text.charAt(i) << (8 * i);
      }
      BYTE_TEXT_BITS[value] = 8 * text.length();
    }
  }

  private Partitions() {}

  /** The client's partition of {@code count}. */
  public static int of(Address client, int count) {
    int hash = client.isIpv4() ? ofQuad((int) client.low()) : murmur2(client.ascii());
    return (hash & Integer.MAX_VALUE) % count;
  }

  /**
   * {@link #murmur2} of a dotted quad, which is never written down: its at most fifteen characters
   * are put together in two numbers.
   */
  private static int ofQuad(int quad) {
    int front = quad >>> 16;
    int back = quad & 0xffff;
    int bits = pairBits(front);
    long text = pair(front) | ((pair(back) << (bits - 8)) << 8); // it may be all 64 that go
    long rest = pair(back) >>> (64 - bits);
    int length = (bits + pairBits(back)) / 8 - 1; // no dot at the end
    int hash = mix(SEED ^ length, (int) text);
    int left = length - 4;
    long behind = (text >>> 32) | (rest << 32);
    if (left >= 4) {
      hash = mix(hash, (int) behind);
      left -= 4;
      behind = rest;
    }
    if (left >= 4) {
      hash = mix(hash, (int) behind);
      left -= 4;
      behind >>>= 32;
    }
    if (left > 0) {
      hash = (hash ^ ((int) behind & ((1 << (8 * left)) - 1))) * MULTIPLIER;
    }
    return finish(hash);
  }

  private static long pair(int bytes) {
    int first = bytes >>> 8;
    return BYTE_TEXT[first] | ((long) BYTE_TEXT[bytes & 255] << BYTE_TEXT_BITS[first]);
  }

  private static int pairBits(int bytes) {
    return BYTE_TEXT_BITS[bytes >>> 8] + BYTE_TEXT_BITS[bytes & 255];
  }

  /** MurmurHash2 (Austin Appleby) with the seed of Kafka's Java client. */
  static int murmur2(byte[] key) {
    int hash = SEED ^ key.length;
    int at = 0;
    for (; key.length - at >= 4; at += 4) {
      int word =
          (key[at] & 255)
              | ((key[at + 1] & 255) << 8)
              | ((key[at + 2] & 255) << 16)
              | ((key[at + 3] & 255) << 24);
      hash = mix(hash, word);
    }
    for (int i = key.length - 1; i >= at; i--) {
      hash ^= (key[i] & 255) << (8 * (i - at));
    }
    if (at < key.length) {
      hash *= MULTIPLIER;
    }
    return finish(hash);
  }

  private static int mix(int hash, int word) {
    int mixed = word * MULTIPLIER;
    mixed ^= mixed >>> 24;
    return (hash * MULTIPLIER) ^ (mixed * MULTIPLIER);
  }

  private static int finish(int hash) {
    int last = (hash ^ (hash >>> 13)) * MULTIPLIER;
    return last ^ (last >>> 15);
  }
}
