package ping.metrics.types;

import java.io.IOException;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** Of {@link Kept.Day}. */
public final class KeptDaySerializer extends ImmutableSerializer<Kept.Day> {
  static final KeptDaySerializer INSTANCE = new KeptDaySerializer();
  private static final long serialVersionUID = 1;

  @Override
  public void serialize(Kept.Day value, DataOutputView to) throws IOException {
    to.writeByte(Fields.FORMAT);
    Fields.writeDay(value.row(), to);
    to.writeLong(value.changedMs());
  }

  @Override
  public Kept.Day deserialize(DataInputView from) throws IOException {
    Fields.checkFormat(from);
    return new Kept.Day(Fields.readDay(from), from.readLong());
  }

  @Override
  public TypeSerializerSnapshot<Kept.Day> snapshotConfiguration() {
    return new Snapshot();
  }

  /** How it lies in savepoints: each value says its format in its first byte. */
  public static final class Snapshot extends SimpleTypeSerializerSnapshot<Kept.Day> {
    /** Made by Flink. */
    public Snapshot() {
      super(() -> INSTANCE);
    }
  }
}
