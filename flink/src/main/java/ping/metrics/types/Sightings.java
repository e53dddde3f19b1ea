package ping.metrics.types;

import java.util.List;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import ping.metrics.core.Address;

/**
 * Sightings that go to one task together, in their order: all of one lane.
 *
 * @param all at least one; it may be filled anew once whoever was given it returns
 */
public record Sightings(List<Sighting> all) {
  /** Its type. */
  public static final TypeInformation<Sightings> TYPE =
      new ImmutableType<>(Sightings.class, SightingsSerializer.INSTANCE);

  /** A client of their lane. */
  public Address client() {
    return all.get(0).client();
  }
}
