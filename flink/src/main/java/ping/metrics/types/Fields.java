package ping.metrics.types;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;
import ping.metrics.core.ActivityRow;
import ping.metrics.core.Address;
import ping.metrics.core.ClientRow;
import ping.metrics.core.DayRow;
import ping.metrics.core.WindowRow;
import ping.metrics.store.Found;
import ping.metrics.store.Wanted;

/** The parts of which values are made. */
final class Fields {
  /**
   * Of what lies in state. Another one would be written by a later build, which still reads this.
   */
  static final int FORMAT = 1;

  private Fields() {}

  static void checkFormat(DataInputView from) throws IOException {
    int format = from.readByte();
    if (format != FORMAT) {
      throw new IOException(
          "state of format " + format + ": a newer build wrote it, this one knows " + FORMAT);
    }
  }

  static void writeAddress(Address address, DataOutputView to) throws IOException {
    to.writeLong(address.high());
    to.writeLong(address.low());
  }

  static Address readAddress(DataInputView from) throws IOException {
    return Address.of(from.readLong(), from.readLong());
  }

  static void writeBytes(byte[] bytes, DataOutputView to) throws IOException {
    to.writeInt(bytes == null ? -1 : bytes.length);
    if (bytes != null) {
      to.write(bytes);
    }
  }

  static byte[] readBytes(DataInputView from) throws IOException {
    int size = from.readInt();
    if (size < 0) {
      return null;
    }
    byte[] bytes = new byte[size];
    from.readFully(bytes);
    return bytes;
  }

  static void writeWindow(WindowRow row, DataOutputView to) throws IOException {
    to.writeLong(row.startMs());
    to.writeLong(row.count());
    to.writeLong(row.firstMs());
    to.writeLong(row.lastMs());
    to.writeLong(row.position());
  }

  static WindowRow readWindow(DataInputView from) throws IOException {
    return new WindowRow(
        from.readLong(), from.readLong(), from.readLong(), from.readLong(), from.readLong());
  }

  static void writeDay(DayRow row, DataOutputView to) throws IOException {
    to.writeLong(row.startMs());
    to.writeLong(row.total());
    to.writeLong(row.position());
  }

  static DayRow readDay(DataInputView from) throws IOException {
    return new DayRow(from.readLong(), from.readLong(), from.readLong());
  }

  static void writeClient(ClientRow row, DataOutputView to) throws IOException {
    to.writeBoolean(row != null);
    if (row != null) {
      to.writeLong(row.firstMs());
      to.writeLong(row.lastMs());
    }
  }

  static ClientRow readClient(DataInputView from) throws IOException {
    return from.readBoolean() ? new ClientRow(from.readLong(), from.readLong()) : null;
  }

  static void writeActivity(ActivityRow row, DataOutputView to) throws IOException {
    to.writeBoolean(row != null);
    if (row == null) {
      return;
    }
    to.writeLong(row.startMs());
    to.writeLong(row.count());
    to.writeInt(row.activeWindows());
    to.writeLong(row.firstMs());
    to.writeLong(row.lastMs());
    to.writeLong(row.busiestStartMs());
    to.writeLong(row.busiestCount());
    to.writeLong(row.busiestFirstMs());
    to.writeLong(row.busiestLastMs());
    to.writeLong(row.dueMs());
  }

  static ActivityRow readActivity(DataInputView from) throws IOException {
    if (!from.readBoolean()) {
      return null;
    }
    return new ActivityRow(
        from.readLong(),
        from.readLong(),
        from.readInt(),
        from.readLong(),
        from.readLong(),
        from.readLong(),
        from.readLong(),
        from.readLong(),
        from.readLong(),
        from.readLong());
  }

  static void writeFound(Found found, DataOutputView to) throws IOException {
    Wanted wanted = found.wanted();
    to.writeLong(wanted.windowMs());
    to.writeLong(wanted.dayMs());
    to.writeBoolean(wanted.activity());
    to.writeLong(found.askedMs());
    to.writeBoolean(found.window() != null);
    if (found.window() != null) {
      writeWindow(found.window(), to);
    }
    to.writeBoolean(found.day() != null);
    if (found.day() != null) {
      writeDay(found.day(), to);
    }
    writeClient(found.client(), to);
    to.writeInt(found.recent().size());
    for (WindowRow row : found.recent()) {
      writeWindow(row, to);
    }
    to.writeLong(found.writtenUs());
  }

  static Found readFound(Address client, DataInputView from) throws IOException {
    Wanted wanted = new Wanted(client, from.readLong(), from.readLong(), from.readBoolean());
    long askedMs = from.readLong();
    WindowRow window = from.readBoolean() ? readWindow(from) : null;
    DayRow day = from.readBoolean() ? readDay(from) : null;
    ClientRow row = readClient(from);
    int count = from.readInt();
    List<WindowRow> recent = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      recent.add(readWindow(from));
    }
    return new Found(wanted, askedMs, window, day, row, recent, from.readLong());
  }
}
