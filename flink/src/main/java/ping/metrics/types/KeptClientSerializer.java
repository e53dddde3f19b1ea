package ping.metrics.types;

import java.io.IOException;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** Of {@link Kept.Client}. */
public final class KeptClientSerializer extends ImmutableSerializer<Kept.Client> {
  static final KeptClientSerializer INSTANCE = new KeptClientSerializer();
  private static final long serialVersionUID = 1;

  @Override
  public void serialize(Kept.Client value, DataOutputView to) throws IOException {
    to.writeByte(Fields.FORMAT);
    Fields.writeClient(value.row(), to);
    Fields.writeActivity(value.activity(), to);
  }

  @Override
  public Kept.Client deserialize(DataInputView from) throws IOException {
    Fields.checkFormat(from);
    return new Kept.Client(Fields.readClient(from), Fields.readActivity(from));
  }

  @Override
  public TypeSerializerSnapshot<Kept.Client> snapshotConfiguration() {
    return new Snapshot();
  }

  /** How it lies in savepoints: each value says its format in its first byte. */
  public static final class Snapshot extends SimpleTypeSerializerSnapshot<Kept.Client> {
    /** Made by Flink. */
    public Snapshot() {
      super(() -> INSTANCE);
    }
  }
}
