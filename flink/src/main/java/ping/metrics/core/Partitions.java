package ping.metrics.core;

/**
 * Which partition of the log a client's events belong in: where Kafka's default partitioner puts
 * its canonical text.
 */
public final class Partitions {
  private static final int MULTIPLIER = 0x5bd1e995;
  private static final int SEED = 0x9747b28c;

  private Partitions() {}

  /** The client's partition of {@code count}. */
  public static int of(Address client, int count) {
    return (murmur2(client.ascii()) & Integer.MAX_VALUE) % count;
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
      word *= MULTIPLIER;
      word ^= word >>> 24;
      hash = (hash * MULTIPLIER) ^ (word * MULTIPLIER);
    }
    for (int i = key.length - 1; i >= at; i--) {
      hash ^= (key[i] & 255) << (8 * (i - at));
    }
    if (at < key.length) {
      hash *= MULTIPLIER;
    }
    hash ^= hash >>> 13;
    hash *= MULTIPLIER;
    return hash ^ (hash >>> 15);
  }
}
