package ping.metrics.core;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.Random;
import org.apache.kafka.common.utils.Utils;
import org.junit.jupiter.api.Test;

class PartitionsTest {
  @Test
  void areThoseOfKafkasDefaultPartitioner() {
    Random chance = new Random(20241014);
    for (int i = 0; i < 10_000; i++) {
      int quad = i < 256 ? i * 0x01010101 : chance.nextInt();
      String text =
          (quad >>> 24) + "." + (quad >>> 16 & 255) + "." + (quad >>> 8 & 255) + "." + (quad & 255);
      Address client = Address.ofIpv4(quad);
      assertThat(client).hasToString(text).isEqualTo(Address.parse(text));
      assertThat(Partitions.of(client, 6)).as(text).isEqualTo(kafkas(text));
    }
    assertThat(Partitions.of(Address.parse("2001:db8::7"), 6)).isEqualTo(kafkas("2001:db8::7"));
  }

  private static int kafkas(String key) {
    return Utils.toPositive(Utils.murmur2(key.getBytes(StandardCharsets.US_ASCII))) % 6;
  }
}
