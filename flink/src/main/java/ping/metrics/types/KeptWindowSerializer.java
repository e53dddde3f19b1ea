package ping.metrics.types;

import java.io.IOException;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** Of {@link Kept.Window}. */
public final class KeptWindowSerializer extends ImmutableSerializer<Kept.Window> {
  static final KeptWindowSerializer INSTANCE = new KeptWindowSerializer();
  private static final long serialVersionUID = 1;

  @Override
  public void serialize(Kept.Window value, DataOutputView to) throws IOException {
    to.writeByte(Fields.FORMAT);
    Fields.writeWindow(value.row(), to);
    to.writeLong(value.changedMs());
  }

  @Override
  public Kept.Window deserialize(DataInputView from) throws IOException {
    Fields.checkFormat(from);
    return new Kept.Window(Fields.readWindow(from), from.readLong());
  }

  @Override
  public TypeSerializerSnapshot<Kept.Window> snapshotConfiguration() {
    return new Snapshot();
  }

  /** How it lies in savepoints: each value says its format in its first byte. */
  public static final class Snapshot extends SimpleTypeSerializerSnapshot<Kept.Window> {
    /** Made by Flink. */
    public Snapshot() {
      super(() -> INSTANCE);
    }
  }
}
