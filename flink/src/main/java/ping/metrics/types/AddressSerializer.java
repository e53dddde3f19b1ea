package ping.metrics.types;

import java.io.IOException;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;
import ping.metrics.core.Address;

/** Of {@link Address}. */
public final class AddressSerializer extends ImmutableSerializer<Address> {
  static final AddressSerializer INSTANCE = new AddressSerializer();
  private static final long serialVersionUID = 1;

  @Override
  public void serialize(Address value, DataOutputView to) throws IOException {
    Fields.writeAddress(value, to);
  }

  @Override
  public Address deserialize(DataInputView from) throws IOException {
    return Fields.readAddress(from);
  }

  @Override
  public TypeSerializerSnapshot<Address> snapshotConfiguration() {
    return new Snapshot();
  }

  /** How it lies in savepoints: each value says its format in its first byte. */
  public static final class Snapshot extends SimpleTypeSerializerSnapshot<Address> {
    /** Made by Flink. */
    public Snapshot() {
      super(() -> INSTANCE);
    }
  }
}
