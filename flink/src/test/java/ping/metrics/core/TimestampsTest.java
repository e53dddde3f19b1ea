package ping.metrics.core;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.time.LocalDate;
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
          assertThat(parse(day + "T00:00:00Z"))
              .as("%s", day)
              .isEqualTo(day.toEpochDay() * Timestamps.DAY_MS);
        }
      }
    }
  }
}
