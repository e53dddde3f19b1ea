package ping.metrics.types;

import java.io.IOException;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;
import ping.metrics.core.Address;
import ping.metrics.core.Ping;
import ping.metrics.store.Found;

/**
 * Of {@link Sighting}, which goes from task to task and never lies in state: most are a ping of an
 * IPv4 address and nothing else.
 */
public final class SightingSerializer extends ImmutableSerializer<Sighting> {
  static final SightingSerializer INSTANCE = new SightingSerializer();
  private static final long serialVersionUID = 1;
  private static final int IPV4 = 1;
  private static final int PING = 2;
  private static final int DUE = 4;
  private static final int FOUND = 8;

  @Override
  public void serialize(Sighting value, DataOutputView to) throws IOException {
    Address client = value.client();
    Ping ping = value.ping();
    int parts =
        (client.isIpv4() ? IPV4 : 0)
            | (ping != null ? PING : 0)
            | (value.dueMs() != 0 ? DUE : 0)
            | (value.found() != null ? FOUND : 0);
    to.writeByte(parts);
    if (client.isIpv4()) {
      to.writeInt((int) client.low());
    } else {
      Fields.writeAddress(client, to);
    }
    if (ping != null) {
      to.writeLong(ping.pingedAtMs());
      to.writeLong(ping.position());
      to.writeLong(value.receivedMs());
    }
    if (value.dueMs() != 0) {
      to.writeLong(value.dueMs());
    }
    if (value.found() != null) {
      Fields.writeFound(value.found(), to);
    }
  }

  @Override
  public Sighting deserialize(DataInputView from) throws IOException {
    int parts = from.readByte();
    Address client =
        (parts & IPV4) != 0 ? Address.ofIpv4(from.readInt()) : Fields.readAddress(from);
    Ping ping = null;
    long receivedMs = 0;
    if ((parts & PING) != 0) {
      ping = new Ping(client, from.readLong(), from.readLong());
      receivedMs = from.readLong();
    }
    long dueMs = (parts & DUE) != 0 ? from.readLong() : 0;
    Found found = (parts & FOUND) != 0 ? Fields.readFound(client, from) : null;
    return new Sighting(client, ping, receivedMs, dueMs, found);
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
