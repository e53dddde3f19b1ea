package ping.metrics.types;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** Of {@link LogEntries}, for a job whose operators are not chained. */
public final class LogEntriesSerializer extends ImmutableSerializer<LogEntries> {
  static final LogEntriesSerializer INSTANCE = new LogEntriesSerializer();
  private static final long serialVersionUID = 1;

  @Override
  public LogEntries copy(LogEntries from) {
    return new LogEntries(List.copyOf(from.all()));
  }

  @Override
  public void serialize(LogEntries value, DataOutputView to) throws IOException {
    to.writeInt(value.all().size());
    for (LogEntry one : value.all()) {
      LogEntrySerializer.INSTANCE.serialize(one, to);
    }
  }

  @Override
  public LogEntries deserialize(DataInputView from) throws IOException {
    int count = from.readInt();
    List<LogEntry> all = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      all.add(LogEntrySerializer.INSTANCE.deserialize(from));
    }
    return new LogEntries(all);
  }

  @Override
  public TypeSerializerSnapshot<LogEntries> snapshotConfiguration() {
    return new Snapshot();
  }

  /** Nothing of it lies in savepoints. */
  public static final class Snapshot extends SimpleTypeSerializerSnapshot<LogEntries> {
    /** Made by Flink. */
    public Snapshot() {
      super(() -> INSTANCE);
    }
  }
}
