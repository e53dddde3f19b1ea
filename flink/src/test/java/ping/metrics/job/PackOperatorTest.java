package ping.metrics.job;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import ping.metrics.core.Address;
import ping.metrics.core.Ping;
import ping.metrics.store.Lanes;
import ping.metrics.types.Sighting;
import ping.metrics.types.Sightings;
import ping.metrics.types.SightingsCopies;

class PackOperatorTest {
  private static final int LANES = 8;
  private static final long START_MS = 1_728_926_100_000L;

  private OneInputStreamOperatorTestHarness<Sighting, Sightings> harness;
  private long position;

  @BeforeEach
  void open() throws Exception {
    harness = new OneInputStreamOperatorTestHarness<>(new PackOperatorFactory(), LANES, 1, 0);
    harness.setup(SightingsCopies.SERIALIZER);
    harness.setProcessingTime(START_MS);
    harness.open();
  }

  @AfterEach
  void close() throws Exception {
    harness.close();
  }

  private Sighting take(Address client) throws Exception {
    Sighting sighting =
        new Sighting(client, new Ping(client, START_MS, position++), START_MS, 0, null);
    harness.processElement(new StreamRecord<>(sighting));
    return sighting;
  }

  private List<Sighting> sent() {
    List<Sighting> all = new ArrayList<>();
    harness.extractOutputValues().forEach(pack -> all.addAll(pack.all()));
    return all;
  }

  private static Address client(int number) {
    return Address.ofIpv4(0x0a000000 + number);
  }

  @Test
  void sendsAFullPackAtOnce() throws Exception {
    List<Sighting> taken = new ArrayList<>();
    for (int i = 0; i < PackOperator.MAX_SIGHTINGS; i++) {
      assertThat(sent()).isEmpty();
      taken.add(take(client(1)));
    }
    assertThat(harness.extractOutputValues()).containsExactly(new Sightings(taken));
  }

  @Test
  void sendsWhatWaitsAfterAMoment() throws Exception {
    Sighting first = take(client(1));
    harness.setProcessingTime(START_MS + PackOperator.MAX_WAIT_MS - 1);
    assertThat(sent()).isEmpty();
    harness.setProcessingTime(START_MS + PackOperator.MAX_WAIT_MS);
    assertThat(sent()).containsExactly(first);
    Sighting second = take(client(1));
    harness.setProcessingTime(START_MS + 2 * PackOperator.MAX_WAIT_MS);
    assertThat(sent()).containsExactly(first, second);
  }

  @Test
  void sendsWhatWaitsBeforeABarrierAndAtTheEnd() throws Exception {
    Sighting first = take(client(1));
    harness.prepareSnapshotPreBarrier(1);
    assertThat(sent()).containsExactly(first);
    Sighting second = take(client(1));
    harness.getOneInputOperator().finish();
    assertThat(sent()).containsExactly(first, second);
  }

  @Test
  void keepsClientsOfALaneTogetherAndInOrder() throws Exception {
    Lanes lanes = Lanes.of(LANES, 1, 0);
    List<Sighting> taken = new ArrayList<>();
    for (int i = 0; i < 1000; i++) {
      taken.add(take(client(i * i % 37)));
    }
    harness.prepareSnapshotPreBarrier(1);
    assertThat(sent()).containsExactlyInAnyOrderElementsOf(taken);
    for (Sightings pack : harness.extractOutputValues()) {
      assertThat(pack.all()).allMatch(one -> lanes.of(one.client()) == lanes.of(pack.client()));
    }
    for (int lane = 0; lane < LANES; lane++) {
      int number = lane;
      assertThat(sent().stream().filter(one -> lanes.of(one.client()) == number))
          .containsExactlyElementsOf(
              taken.stream().filter(one -> lanes.of(one.client()) == number).toList());
    }
  }
}
