package ping.metrics.types;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;
import ping.metrics.core.Address;
import ping.metrics.core.Ping;

/** Of {@link LogEntry}. */
public final class LogEntrySerializer extends ImmutableSerializer<LogEntry> {
  static final LogEntrySerializer INSTANCE = new LogEntrySerializer();
  private static final long serialVersionUID = 1;

  @Override
  public void serialize(LogEntry value, DataOutputView to) throws IOException {
    to.writeInt(value.partition());
    to.writeLong(value.position());
    to.writeLong(value.receivedMs());
    to.writeBoolean(value.ping() != null);
    if (value.ping() != null) {
      Fields.writeAddress(value.ping().client(), to);
      to.writeLong(value.ping().pingedAtMs());
    } else {
      writeDead(value.dead(), to);
    }
  }

  @Override
  public LogEntry deserialize(DataInputView from) throws IOException {
    int partition = from.readInt();
    long position = from.readLong();
    long receivedMs = from.readLong();
    if (from.readBoolean()) {
      Address client = Fields.readAddress(from);
      return new LogEntry(
          partition, position, receivedMs, new Ping(client, from.readLong(), position), null);
    }
    return new LogEntry(partition, position, receivedMs, null, readDead(partition, from));
  }

  @Override
  public TypeSerializerSnapshot<LogEntry> snapshotConfiguration() {
    return new Snapshot();
  }

  /** How it lies in savepoints: each value says its format in its first byte. */
  public static final class Snapshot extends SimpleTypeSerializerSnapshot<LogEntry> {
    /** Made by Flink. */
    public Snapshot() {
      super(() -> INSTANCE);
    }
  }

  private static void writeDead(DeadLetter dead, DataOutputView to) throws IOException {
    Fields.writeBytes(dead.key(), to);
    Fields.writeBytes(dead.value(), to);
    to.writeInt(dead.headers().size());
    for (DeadLetter.Header header : dead.headers()) {
      to.writeUTF(header.name());
      Fields.writeBytes(header.value(), to);
    }
    to.writeUTF(dead.reason());
    to.writeLong(dead.offset());
  }

  private static DeadLetter readDead(int partition, DataInputView from) throws IOException {
    byte[] key = Fields.readBytes(from);
    byte[] value = Fields.readBytes(from);
    List<DeadLetter.Header> headers = new ArrayList<>();
    for (int left = from.readInt(); left > 0; left--) {
      headers.add(new DeadLetter.Header(from.readUTF(), Fields.readBytes(from)));
    }
    return new DeadLetter(key, value, headers, from.readUTF(), partition, from.readLong());
  }
}
