package ping.metrics.types;

import java.io.IOException;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;
import ping.metrics.core.Address;
import ping.metrics.core.Ping;

/** Of {@link Sighting}. */
public final class SightingSerializer extends ImmutableSerializer<Sighting> {
  static final SightingSerializer INSTANCE = new SightingSerializer();
  private static final long serialVersionUID = 1;

  @Override
  public void serialize(Sighting value, DataOutputView to) throws IOException {
    Fields.writeAddress(value.client(), to);
    to.writeBoolean(value.ping() != null);
    if (value.ping() != null) {
      to.writeLong(value.ping().pingedAtMs());
      to.writeLong(value.ping().position());
    }
    to.writeLong(value.receivedMs());
    to.writeLong(value.dueMs());
    to.writeBoolean(value.found() != null);
    if (value.found() != null) {
      Fields.writeFound(value.found(), to);
    }
  }

  @Override
  public Sighting deserialize(DataInputView from) throws IOException {
    Address client = Fields.readAddress(from);
    Ping ping = from.readBoolean() ? new Ping(client, from.readLong(), from.readLong()) : null;
    long receivedMs = from.readLong();
    long dueMs = from.readLong();
    return new Sighting(
        client,
        ping,
        receivedMs,
        dueMs,
        from.readBoolean() ? Fields.readFound(client, from) : null);
  }

  @Override
  public TypeSerializerSnapshot<Sighting> snapshotConfiguration() {
    return new Snapshot();
  }

  /** How it lies in savepoints: each value says its format in its first byte. */
  public static final class Snapshot extends SimpleTypeSerializerSnapshot<Sighting> {
    /** Made by Flink. */
    public Snapshot() {
      super(() -> INSTANCE);
    }
  }
}
