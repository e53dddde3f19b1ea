package ping.metrics.job;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import ping.metrics.core.Address;
import ping.metrics.core.Ping;
import ping.metrics.store.Lanes;
import ping.metrics.types.Sighting;

class PacksTest {
  private static final int LANES = 8;

  private final List<List<Sighting>> sent = new ArrayList<>();
  private final Packs packs = new Packs(LANES, pack -> sent.add(List.copyOf(pack.all())));
  private long position;

  private Sighting add(int client) {
    Address address = Address.ofIpv4(0x0a000000 + client);
    Sighting sighting = new Sighting(address, new Ping(address, 1, position++), 1, 0, null);
    packs.add(sighting);
    return sighting;
  }

  private static List<Sighting> inLane(int lane, List<Sighting> all) {
    Lanes lanes = Lanes.of(LANES, 1, 0);
    return all.stream().filter(one -> lanes.of(one.client()) == lane).toList();
  }

  @Test
  void sendsAFullPackAtOnce() {
    List<Sighting> added = new ArrayList<>();
    for (int i = 0; i < Packs.MAX_SIGHTINGS; i++) {
      assertThat(sent).isEmpty();
      added.add(add(1));
    }
    assertThat(sent).containsExactly(added);
  }

  @Test
  void sendsEachOnceWhenAskedFor() {
    Sighting first = add(1);
    packs.sendAll();
    packs.sendAll();
    Sighting second = add(1);
    packs.sendAll();
    assertThat(sent).containsExactly(List.of(first), List.of(second));
  }

  @Test
  void keepsClientsOfALaneTogetherAndInOrder() {
    List<Sighting> added = new ArrayList<>();
    for (int i = 0; i < 1000; i++) {
      added.add(add(i * i % 37));
    }
    packs.sendAll();
    List<Sighting> all = sent.stream().flatMap(List::stream).toList();
    assertThat(all).hasSameSizeAs(added);
    for (int lane = 0; lane < LANES; lane++) {
      int number = lane;
      assertThat(inLane(lane, all)).containsExactlyElementsOf(inLane(lane, added));
      assertThat(sent).allMatch(pack -> inLane(number, pack).size() % pack.size() == 0);
    }
  }
}
