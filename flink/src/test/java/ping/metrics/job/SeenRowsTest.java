package ping.metrics.job;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import ping.metrics.core.Address;
import ping.metrics.core.Ping;
import ping.metrics.core.Windows;
import ping.metrics.store.Wanted;

class SeenRowsTest {
  private static final Address CLIENT = Address.parse("203.0.113.7");
  private static final long START_MS = 1_728_926_100_000L;
  private static final long DAY_MS = Windows.dayStartOf(START_MS);
  private static final long TTL_MS = 1_200_000;

  private final SeenRows seen = new SeenRows(1000, TTL_MS);

  private Wanted wanted(Address client, long pingedAtMs, long nowMs) {
    return seen.wantedFor(new Ping(client, pingedAtMs, 1), nowMs);
  }

  private Wanted wanted(long pingedAtMs, long nowMs) {
    return wanted(CLIENT, pingedAtMs, nowMs);
  }

  @Test
  void eachRowIsWantedOnceInWhateverOrderItsPingsCome() {
    long next = START_MS + Windows.SIZE_MS;
    assertThat(wanted(START_MS, START_MS)).isEqualTo(new Wanted(CLIENT, START_MS, DAY_MS, true));
    assertThat(wanted(START_MS + 1, START_MS)).isNull();
    assertThat(wanted(next, START_MS)).isEqualTo(new Wanted(CLIENT, next, Wanted.NOTHING, false));
    for (int i = 0; i < 5; i++) {
      assertThat(wanted(START_MS, START_MS + i)).isNull();
      assertThat(wanted(next, START_MS + i)).isNull();
    }
    long yesterday = START_MS - Windows.IN_A_DAY * Windows.SIZE_MS;
    assertThat(wanted(yesterday, START_MS + 9))
        .isEqualTo(new Wanted(CLIENT, yesterday, Windows.dayStartOf(yesterday), false));
    assertThat(wanted(next, START_MS + 9)).isNull();
    assertThat(wanted(yesterday, START_MS + 9)).isNull();
    long beyond = next + Windows.SIZE_MS;
    assertThat(wanted(beyond, START_MS + 9))
        .isEqualTo(new Wanted(CLIENT, beyond, Wanted.NOTHING, false));
  }

  @Test
  void noRowCountsAsKnownForLongerThanItMay() {
    long next = START_MS + Windows.SIZE_MS;
    wanted(START_MS, START_MS);
    wanted(next, START_MS + TTL_MS - 1);
    assertThat(wanted(START_MS, START_MS + TTL_MS - 1)).isNull();
    assertThat(wanted(START_MS, START_MS + TTL_MS))
        .isEqualTo(new Wanted(CLIENT, START_MS, DAY_MS, true));
    // Since when the other one is known was not noted: as long as the client.
    assertThat(wanted(next, START_MS + TTL_MS))
        .isEqualTo(new Wanted(CLIENT, next, Wanted.NOTHING, false));
    assertThat(wanted(START_MS, START_MS + 2 * TTL_MS - 1)).isNull();
    assertThat(wanted(next, START_MS + 2 * TTL_MS - 1)).isNull();
    assertThat(wanted(next, START_MS + 2 * TTL_MS)).isNotNull();
  }

  @Test
  void clientsThatAreSeenAreKnownAlsoWhenOthersMustGo() {
    for (int i = 0; i < 900; i++) {
      assertThat(wanted(Address.of(i, 1), START_MS, START_MS)).isNotNull();
    }
    for (int i = 0; i < 900; i++) {
      assertThat(wanted(Address.of(i, 1), START_MS, START_MS)).isNull();
    }
    int again = 0;
    for (int i = 0; i < 20_000; i++) {
      wanted(Address.of(7, 1000 + i), START_MS, START_MS);
      for (int k = 0; k < 100; k++) {
        again += wanted(Address.of(k, 1), START_MS, START_MS) == null ? 0 : 1;
      }
    }
    assertThat(again).as("of 2 M that were asked for all the time").isLessThan(300);
  }
}
