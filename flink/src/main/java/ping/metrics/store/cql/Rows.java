package ping.metrics.store.cql;

import com.datastax.oss.driver.api.core.cql.Row;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.time.LocalDate;
import ping.metrics.core.Address;
import ping.metrics.core.DayRow;
import ping.metrics.core.Positions;
import ping.metrics.core.Timestamps;
import ping.metrics.core.WindowRow;

/** Rows as the tables have them. */
final class Rows {
  private static final int SHARDS = 64;

  private Rows() {}

  /** Of the clients' table (FNV-1a: part of what is stored, so it stays). */
  static short shardOf(Address client) {
    int hash = 0x811c9dc5;
    for (byte one : client.bytes()) {
      hash = (hash ^ (one & 255)) * 0x01000193;
    }
    return (short) Integer.remainderUnsigned(hash ^ (hash >>> 16), SHARDS);
  }

  static Instant time(long ms) {
    return Instant.ofEpochMilli(ms);
  }

  static LocalDate date(long ms) {
    return LocalDate.ofEpochDay(ms / Timestamps.DAY_MS);
  }

  static ByteBuffer bytes(Address client) {
    return ByteBuffer.wrap(client.bytes());
  }

  static Address address(ByteBuffer bytes) {
    return bytes == null || bytes.remaining() != Address.SIZE
        ? null
        : Address.of(bytes.getLong(bytes.position()), bytes.getLong(bytes.position() + 8));
  }

  static long ms(Row row, int column) {
    Instant time = row.getInstant(column);
    return time == null ? 0 : time.toEpochMilli();
  }

  /** Null where it has no position: somebody else's, whom the log's events make anew. */
  static WindowRow window(Row row) {
    if (row == null || row.isNull(4)) {
      return null;
    }
    return new WindowRow(ms(row, 0), row.getInt(1), ms(row, 2), ms(row, 3), row.getLong(4));
  }

  static DayRow day(Row row) {
    if (row == null || row.isNull(1) || row.getLong(1) == 0) {
      return null;
    }
    LocalDate date = row.getLocalDate(0);
    long startMs = date == null ? 0 : date.toEpochDay() * Timestamps.DAY_MS;
    return new DayRow(startMs, row.getLong(1), row.isNull(2) ? Positions.NONE : row.getLong(2));
  }

  /** 0 where there is no row, or nothing in it. */
  static long written(Row row, int column) {
    return row == null || row.isNull(column) ? 0 : row.getLong(column);
  }
}
