package ping.metrics.core;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.time.LocalDate;
import java.util.Random;
import org.junit.jupiter.api.Test;

class TimestampsTest {
  private static long parse(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
    return Timestamps.parse(bytes, 0, bytes.length);
  }

  @Test
  void knowsTheDaysOfEveryYear() {
    for (int year = 0; year <= 9999; year++) {
      for (int month = 1; month <= 12; month++) {
        LocalDate first = LocalDate.of(year, month, 1);
        for (LocalDate day : new LocalDate[] {first, first.plusDays(first.lengthOfMonth() - 1)}) {
          long ms = day.toEpochDay() * Timestamps.DAY_MS;
          assertThat(parse(day + "T00:00:00Z")).as("%s", day).isEqualTo(ms);
          assertThat(parse(day + "T00:00:00.007Z")).as("%s", day).isEqualTo(ms + 7);
        }
      }
    }
  }

  /** The form that pingd writes has a way of its own; with a digit more it goes the other. */
  @Test
  void readsWhatPingdWritesAsAnyOtherForm() {
    Random chance = new Random(20241014);
    String characters = "0123456789012345678901234567890-:.TZ/;\u0000\u007fz";
    for (int i = 0; i < 200_000; i++) {
      StringBuilder text = new StringBuilder("2024-12-31T23:59:59.999Z");
      for (int k = chance.nextInt(3); k >= 0; k--) {
        char character = characters.charAt(chance.nextInt(characters.length()));
        text.setCharAt(chance.nextInt(text.length()), character);
      }
      String longer = text.substring(0, 23) + "0" + text.charAt(23);
      assertThat(parse(text.toString())).as(text.toString()).isEqualTo(parse(longer));
    }
  }
}
