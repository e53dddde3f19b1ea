package ping.metrics.store.cql;

import com.datastax.oss.driver.api.core.ConsistencyLevel;
import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.cql.BoundStatement;
import com.datastax.oss.driver.api.core.cql.PreparedStatement;
import com.datastax.oss.driver.api.core.cql.SimpleStatement;
import java.io.IOException;
import java.util.EnumMap;
import java.util.Map;

/** What is asked of the tables: the native engine's statements. */
final class Statements {
  private static final String WINDOW =
      "window_start, ping_count, first_ping, last_ping, position, writetime(ping_count)";
  private static final String WRITER =
      "writer, kind, owner, version, reserved_us, topic_id, partition_count, position, heartbeat";

  /** Each one. */
  enum Name {
    FIND_WRITER("SELECT " + WRITER + " FROM engine_writers WHERE writer = ?", Trait.SERIAL),
    LIST_WRITERS("SELECT " + WRITER + " FROM engine_writers", Trait.IDEMPOTENT),
    ANY_DAY("SELECT client_ip FROM daily_totals LIMIT 1", Trait.IDEMPOTENT),
    TAKE_FIRST(
        "INSERT INTO engine_writers ("
            + WRITER
            + ") VALUES (?, 'flink', ?, 1, ?, ?, ?, -1, ?) IF NOT EXISTS",
        Trait.NONE),
    TAKE(
        "UPDATE engine_writers SET kind = 'flink', owner = ?, version = ?, reserved_us = ?, heartbeat = ?"
            + " WHERE writer = ? IF version = ?",
        Trait.NONE),
    COMMIT(
        "UPDATE engine_writers SET version = ?, position = ?, reserved_us = ?, heartbeat = ?"
            + " WHERE writer = ? IF version = ?",
        Trait.NONE),
    RELEASE(
        "UPDATE engine_writers SET version = ?, owner = null, heartbeat = null WHERE writer = ? IF version = ?",
        Trait.NONE),
    FIND_WINDOW(
        "SELECT " + WINDOW + " FROM window_stats WHERE client_ip = ? AND window_start = ?",
        Trait.IDEMPOTENT),
    WINDOWS_FROM(
        "SELECT " + WINDOW + " FROM window_stats WHERE client_ip = ? AND window_start >= ?",
        Trait.IDEMPOTENT),
    FIND_DAY(
        "SELECT day, total, position, writetime(total) FROM daily_totals WHERE client_ip = ? AND day = ?",
        Trait.IDEMPOTENT),
    ALL_DAYS("SELECT client_ip, day, total FROM daily_totals", Trait.IDEMPOTENT),
    FIND_CLIENT(
        "SELECT first_ping, last_ping, ping_count, due, writetime(last_ping) FROM clients"
            + " WHERE shard = ? AND list = 0 AND rank = 0 AND address = ?",
        Trait.IDEMPOTENT),
    LIST_DUE(
        "SELECT due, address FROM activity_due WHERE partition = ? AND bucket = ? AND due <= ? LIMIT ?",
        Trait.IDEMPOTENT),
    PUT_WINDOW(
        "INSERT INTO window_stats (client_ip, window_start, window_end, ping_count, avg_interval_ms,"
            + " first_ping, last_ping, position) VALUES (?, ?, ?, ?, ?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?",
        Trait.IDEMPOTENT),
    PUT_DAY(
        "INSERT INTO daily_totals (client_ip, day, total, position) VALUES (?, ?, ?, ?) USING TIMESTAMP ?",
        Trait.IDEMPOTENT),
    FIND_COUNTER(
        "SELECT total_pings FROM daily_stats WHERE client_ip = ? AND day = ?", Trait.IDEMPOTENT),
    /** Never sent twice: after a timeout it is read again. */
    ADD_COUNTER(
        "UPDATE daily_stats SET total_pings = total_pings + ? WHERE client_ip = ? AND day = ?",
        Trait.NONE),
    PUT_CLIENT(
        "INSERT INTO clients (shard, list, rank, address, client_ip, first_ping, last_ping)"
            + " VALUES (?, 0, 0, ?, ?, ?, ?) USING TIMESTAMP ?",
        Trait.IDEMPOTENT),
    PUT_LISTED(
        "INSERT INTO clients (shard, list, rank, address) VALUES (?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?",
        Trait.IDEMPOTENT),
    DROP_LISTED(
        "DELETE FROM clients USING TIMESTAMP ? WHERE shard = ? AND list = ? AND rank = ? AND address = ?",
        Trait.IDEMPOTENT),
    SET_ACTIVE(
        "UPDATE clients USING TTL ? AND TIMESTAMP ? SET ping_count = ?, due = ? WHERE shard = ? AND list = 0"
            + " AND rank = 0 AND address = ?",
        Trait.IDEMPOTENT),
    PUT_ACTIVITY(
        "INSERT INTO activity_24h (client_ip, since, ping_count, active_windows, first_ping, last_ping,"
            + " busiest_window_start, busiest_ping_count, busiest_first_ping, busiest_last_ping, due,"
            + " avg_interval_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?",
        Trait.IDEMPOTENT),
    DROP_ACTIVITY(
        "DELETE FROM activity_24h USING TIMESTAMP ? WHERE client_ip = ?", Trait.IDEMPOTENT),
    PUT_DUE(
        "INSERT INTO activity_due (partition, bucket, due, address) VALUES (?, ?, ?, ?)"
            + " USING TTL ? AND TIMESTAMP ?",
        Trait.IDEMPOTENT),
    DROP_DUE(
        "DELETE FROM activity_due USING TIMESTAMP ? WHERE partition = ? AND bucket = ? AND due = ?"
            + " AND address = ?",
        Trait.IDEMPOTENT);

    private final String text;
    private final Trait trait;

    Name(String text, Trait trait) {
      this.text = text;
      this.trait = trait;
    }
  }

  private enum Trait {
    NONE,
    IDEMPOTENT,
    SERIAL
  }

  private final Map<Name, PreparedStatement> prepared = new EnumMap<>(Name.class);

  /** Prepares all; a table that isn't there is told. */
  Statements(CqlSession session) throws IOException {
    try {
      for (Name name : Name.values()) {
        SimpleStatement statement =
            SimpleStatement.newInstance(name.text).setIdempotent(name.trait != Trait.NONE);
        if (name.trait == Trait.SERIAL) {
          statement = statement.setConsistencyLevel(ConsistencyLevel.LOCAL_SERIAL);
        }
        prepared.put(name, session.prepare(statement));
      }
    } catch (RuntimeException e) {
      throw new IOException(
          "store: the tables of keyspace "
              + session.getKeyspace().map(Object::toString).orElse("")
              + " are not as they should be (run pingctl migrate): "
              + e.getMessage(),
          e);
    }
  }

  BoundStatement bind(Name name, Object... values) {
    return prepared.get(name).bind(values);
  }
}
