package ping.metrics.core;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/** Text, eight bytes at a time. */
final class Eights {
  /** The highest bit of each byte: no character of ASCII has it. */
  static final long HIGH_BITS = 0x8080_8080_8080_8080L;

  private static final VarHandle EIGHT =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  private Eights() {}

  /** The first one is the lowest. */
  static long at(byte[] text, int at) {
    return (long) EIGHT.get(text, at);
  }
}
