package ping.metrics.types;

import org.apache.flink.api.common.typeinfo.TypeInformation;
import ping.metrics.core.Address;
import ping.metrics.core.Ping;
import ping.metrics.store.Found;

/**
 * What comes to the task of a client: a ping with those of its rows that were read for it, or that
 * the client's activity is due.
 *
 * @param client whose
 * @param ping null: the activity is due
 * @param receivedMs when the log took the ping; 0: no ping
 * @param dueMs the entry of activity_due; 0: none
 * @param found what was read; null: nothing, its rows were read before
 */
public record Sighting(Address client, Ping ping, long receivedMs, long dueMs, Found found) {
  /** Its type. */
  public static final TypeInformation<Sighting> TYPE =
      new ImmutableType<>(Sighting.class, SightingSerializer.INSTANCE);

  /** The type of its client. */
  public static final TypeInformation<Address> CLIENT_TYPE =
      new ImmutableType<>(Address.class, AddressSerializer.INSTANCE);
}
