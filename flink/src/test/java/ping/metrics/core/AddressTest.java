package ping.metrics.core;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.Random;
import org.junit.jupiter.api.Test;

class AddressTest {
  private static final int BEFORE = 13;

  /** With room around it, it is read eight characters at a time; at the bounds it is not. */
  @Test
  void aQuadIsReadTheSameWhereverItStands() {
    Random chance = new Random(20241014);
    byte[] characters = "0123456789.:%\u0000\u007f\u00ae/".getBytes(StandardCharsets.ISO_8859_1);
    for (int i = 0; i < 300_000; i++) {
      byte[] quad =
          Address.ofIpv4(i < 256 ? i * 0x01010101 : chance.nextInt())
              .toString()
              .getBytes(StandardCharsets.US_ASCII);
      for (int k = i < 1000 ? 0 : chance.nextInt(4); k > 0; k--) {
        quad[chance.nextInt(quad.length)] = characters[chance.nextInt(characters.length)];
      }
      byte[] amid = new byte[64];
      chance.nextBytes(amid);
      System.arraycopy(quad, 0, amid, BEFORE, quad.length);
      assertThat(Address.parse(amid, BEFORE, BEFORE + quad.length))
          .as(new String(quad, StandardCharsets.ISO_8859_1))
          .isEqualTo(Address.parse(quad, 0, quad.length));
    }
  }
}
