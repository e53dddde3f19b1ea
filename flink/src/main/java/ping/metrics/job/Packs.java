package ping.metrics.job;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import ping.metrics.store.Lanes;
import ping.metrics.types.Sighting;
import ping.metrics.types.Sightings;

/**
 * Packs what goes to the same lane: a record that goes from task to task costs much more than what
 * is in it. All of a lane stays in order.
 */
final class Packs {
  /** Sightings of a pack: at most 65,535, as they are written. */
  static final int MAX_SIGHTINGS = 32;

  private final Lanes lanes;
  private final List<List<Sighting>> packs;
  private final Consumer<Sightings> out;

  /**
   * Of a number of lanes.
   *
   * @param out takes a pack that is full or sent; what it was given is gone when it returns
   */
  Packs(int lanes, Consumer<Sightings> out) {
    this.lanes = Lanes.of(lanes, 1, 0);
    this.out = out;
    packs = new ArrayList<>(lanes);
    for (int lane = 0; lane < lanes; lane++) {
      packs.add(new ArrayList<>(MAX_SIGHTINGS));
    }
  }

  void add(Sighting sighting) {
    List<Sighting> pack = packs.get(lanes.of(sighting.client()));
    pack.add(sighting);
    if (pack.size() == MAX_SIGHTINGS) {
      send(pack);
    }
  }

  private void send(List<Sighting> pack) {
    out.accept(new Sightings(pack));
    pack.clear();
  }

  /** Whatever is there. */
  void sendAll() {
    for (List<Sighting> pack : packs) {
      if (!pack.isEmpty()) {
        send(pack);
      }
    }
  }
}
