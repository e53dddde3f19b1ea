package ping.metrics.store.cql;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import ping.metrics.core.ActivityRow;
import ping.metrics.core.Address;
import ping.metrics.core.ClientChanges;
import ping.metrics.core.ClientRow;
import ping.metrics.core.DayRow;
import ping.metrics.core.Positions;
import ping.metrics.core.Timestamps;
import ping.metrics.core.WindowRow;
import ping.metrics.core.Windows;
import ping.metrics.store.FencedException;
import ping.metrics.store.Lanes;

class CqlRowWriterTest {
  private static final Address CLIENT = Address.parse("203.0.113.7");
  private static final String NAME = "203.0.113.7";
  private static final byte[] TOPIC = new byte[16];
  private static final int PARTITIONS = 2;
  private static final Lanes LANES = new Lanes(4, 0, 3);
  private static final long RETENTION_MS = 90 * Timestamps.DAY_MS;
  private static final long HOUR_MS = 3_600_000;
  private static final long RESERVED_US = 30_000_000;

  private final ExecutorService answers = Executors.newSingleThreadExecutor();
  private final FakeCql cql = new FakeCql(answers);
  private final FakeTables tables = cql.tables;
  private final long nowMs = System.currentTimeMillis();
  private final long startMs = Windows.startOf(nowMs - HOUR_MS);
  private final long dayMs = Windows.dayStartOf(startMs);

  @AfterEach
  void end() {
    answers.shutdownNow();
  }

  private CqlRowWriter open() throws IOException {
    return open(TOPIC, 0);
  }

  private CqlRowWriter open(byte[] topic, long logEpoch) throws IOException {
    CqlUrl url = CqlUrl.parse("scylla://127.0.0.1/metrics");
    Statements statements = new Statements(cql.session());
    EngineWriters writers =
        new EngineWriters(cql.session(), statements, topic, logEpoch, PARTITIONS);
    return new CqlRowWriter(
        url, cql.session(), statements, writers, LANES, PARTITIONS, RETENTION_MS);
  }

  /** So many pings of a client in the window, the newest at that position. */
  private ClientChanges changes(Address client, int count, long writtenUs) {
    ActivityRow activity =
        new ActivityRow(
            Windows.activityStartOf(nowMs),
            count,
            1,
            startMs,
            startMs + count,
            startMs,
            count,
            startMs,
            startMs + count,
            startMs + Timestamps.DAY_MS);
    return new ClientChanges(
        client,
        List.of(new WindowRow(startMs, count, startMs, startMs + count, count)),
        List.of(new DayRow(dayMs, count, count)),
        new ClientRow(startMs, startMs + count),
        activity,
        0,
        writtenUs,
        nowMs);
  }

  private ClientChanges changes(int count) {
    return changes(CLIENT, count, 0);
  }

  private Map<String, FakeTables.Cell> window() {
    return tables.row("window_stats", NAME, Instant.ofEpochMilli(startMs));
  }

  private Object count() {
    return window().get("ping_count").value();
  }

  private Object counter() {
    return tables.get("daily_stats", "total_pings", NAME, Rows.date(dayMs));
  }

  private long reservedUs(int lane) {
    return (Long) tables.get("engine_writers", "reserved_us", Lanes.writerOf(lane));
  }

  private void putWriter(int number, String kind, long reservedUs, Instant heartbeat) {
    tables.run(
        "INSERT INTO engine_writers (writer, kind, owner, version, reserved_us, topic_id, partition_count, position,"
            + " heartbeat) VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?)",
        new Object[] {
          number,
          kind,
          ByteBuffer.allocate(16),
          reservedUs,
          ByteBuffer.wrap(TOPIC),
          PARTITIONS,
          7L,
          heartbeat
        });
  }

  @Test
  void aWindowLivesUntilItsRetentionWheneverItIsWritten() throws Exception {
    open().write(List.of(changes(1)));
    long left = (startMs + Windows.SIZE_MS + RETENTION_MS - System.currentTimeMillis()) / 1000;
    assertThat(window().get("ping_count").ttlS()).isBetween((int) left, (int) left + 60);
    assertThat(window().get("avg_interval_ms").value()).isNull();
    assertThat(tables.row("daily_totals", NAME, Rows.date(dayMs)).get("total").ttlS()).isZero();
    long lives = (startMs + Windows.SIZE_MS + Timestamps.DAY_MS - nowMs) / 1000;
    assertThat(tables.row("activity_24h", NAME).get("ping_count").ttlS())
        .isBetween((int) lives - 60, (int) lives);
  }

  @Test
  void aWindowPastItsRetentionIsNotWritten() throws Exception {
    long oldMs = Windows.startOf(nowMs - RETENTION_MS - HOUR_MS);
    open()
        .write(
            List.of(
                new ClientChanges(
                    CLIENT,
                    List.of(new WindowRow(oldMs, 1, oldMs, oldMs, 1)),
                    List.of(new DayRow(Windows.dayStartOf(oldMs), 1, 1)),
                    null,
                    null,
                    0,
                    0,
                    nowMs)));
    assertThat(tables.rows("window_stats")).isEmpty();
    assertThat(tables.rows("daily_totals")).hasSize(1);
  }

  @Test
  void allOfAClientIsThereAndItsOldPlacesAreGone() throws Exception {
    CqlRowWriter writer = open();
    writer.write(List.of(changes(1)));
    writer.write(List.of(changes(3)));
    assertThat(count()).isEqualTo(3);
    assertThat(window().get("avg_interval_ms").value()).isEqualTo(1.5);
    assertThat(counter()).isEqualTo(3L);
    short shard = Rows.shardOf(CLIENT);
    assertThat(tables.get("clients", "ping_count", shard, 0, 0, Rows.bytes(CLIENT))).isEqualTo(3L);
    List<Object> listed = new ArrayList<>();
    tables
        .rows("clients")
        .forEach(
            (key, row) -> {
              if (row.containsKey("(row)") && !key.get(1).equals(0L)) {
                listed.add(List.of(key.get(1), key.get(2)));
              }
            });
    assertThat(listed).containsExactlyInAnyOrder(List.of(1L, -(startMs + 3)), List.of(2L, -3L));
  }

  @Test
  void timestampsLieAboveWhatOwnersBeforeReservedAndBelowTheOwnReservation() throws Exception {
    long farUs = (nowMs + 2 * HOUR_MS) * 1000;
    putWriter(0, "native", farUs, Instant.ofEpochMilli(nowMs - HOUR_MS));
    CqlRowWriter writer = open();
    long lastUs = farUs;
    for (int count = 1; count <= 3; count++) {
      writer.write(List.of(changes(count)));
      long writtenUs = window().get("ping_count").writtenUs();
      assertThat(writtenUs).isGreaterThan(lastUs).isLessThan(reservedUs(LANES.of(CLIENT)));
      lastUs = writtenUs;
    }
    assertThat(tables.get("engine_writers", "kind", 0)).isEqualTo("flink");
    assertThat(tables.get("engine_writers", "position", 0)).isEqualTo(7L);
  }

  @Test
  void timestampsLieAboveThoseOfTheRowsThatWereRead() throws Exception {
    CqlRowWriter writer = open();
    long seenUs = reservedUs(LANES.of(CLIENT)) + HOUR_MS * 1000;
    writer.write(List.of(changes(CLIENT, 1, seenUs)));
    assertThat(window().get("ping_count").writtenUs()).isGreaterThan(seenUs);
    assertThat(reservedUs(LANES.of(CLIENT))).isGreaterThanOrEqualTo(seenUs + RESERVED_US);
  }

  @Test
  void whatAZombieWritesLiesBelowItsSuccessorsRows() throws Exception {
    CqlRowWriter zombie = open();
    zombie.write(List.of(changes(1)));
    CqlRowWriter successor = open();
    successor.write(List.of(changes(2)));
    assertThatThrownBy(() -> zombie.write(List.of(changes(1)))).isInstanceOf(FencedException.class);
    assertThat(count()).isEqualTo(2);
    assertThat(tables.get("daily_totals", "total", NAME, Rows.date(dayMs))).isEqualTo(2L);
    assertThat(counter()).isEqualTo(2L);
    successor.write(List.of(changes(3)));
    assertThat(count()).isEqualTo(3);
  }

  @Test
  void aRenewalThatIsRefusedEndsIt() throws Exception {
    CqlRowWriter zombie = open();
    open();
    long beyondUs = reservedUs(LANES.of(CLIENT));
    assertThatThrownBy(() -> zombie.write(List.of(changes(CLIENT, 1, beyondUs))))
        .isInstanceOf(FencedException.class)
        .hasMessageContaining("another engine has taken the rows of lane");
    assertThat(tables.rows("window_stats")).isEmpty();
  }

  @Test
  void aLostReplyOfATransactionIsSettledByReadingTheRow() throws Exception {
    cql.failNext("INSERT INTO engine_writers", true);
    cql.failNext("INSERT INTO engine_writers", false);
    open().write(List.of(changes(1)));
    assertThat(cql.hasFailed()).isTrue();
    assertThat(count()).isEqualTo(1);
  }

  @Test
  void anotherKindThatWasHeardOfAMomentAgoIsLeftAlone() {
    putWriter(1, "native", 1, Instant.ofEpochMilli(nowMs - 1000));
    assertThatThrownBy(this::open)
        .isInstanceOf(IOException.class)
        .hasMessageContaining("another kind of engine (native)")
        .hasMessageContaining("start this one a minute later");
    assertThat(tables.get("engine_writers", "kind", 1)).isEqualTo("native");
  }

  /** As pingd leaves a partition's row when it moves the metrics to the next log. */
  private void moveTo(byte[] topic, long logEpoch) {
    for (int number = 0; number < PARTITIONS; number++) {
      tables.run(
          "UPDATE engine_writers SET topic_id = ?, position = ? WHERE writer = ?",
          new Object[] {ByteBuffer.wrap(topic), Positions.startOf(logEpoch), number});
    }
  }

  @Test
  void metricsOfTheLogBeforeAreMovedByPingdAndThenGoOn() throws Exception {
    byte[] next = new byte[16];
    next[0] = 1;
    open().write(List.of(changes(1)));
    putPosition(Positions.of(0, 41));
    assertThatThrownBy(() -> open(next, 1))
        .hasMessageContaining("pingd moves them: start pingd --roles stream with --log-epoch 1");
    assertThatThrownBy(() -> open(next, 0)).hasMessageContaining("or use another keyspace");
    assertThatThrownBy(() -> open(TOPIC, 1)).hasMessageContaining("would count twice");
    moveTo(next, 1);
    CqlRowWriter writer = open(next, 1);
    writer.write(List.of(changes(2)));
    assertThat(count()).isEqualTo(2);
    putPosition(Positions.of(1, 3));
    assertThatThrownBy(() -> open(TOPIC, 0)).hasMessageContaining("set --log-epoch to the");
  }

  private void putPosition(long position) {
    for (int number = 0; number < PARTITIONS; number++) {
      tables.run(
          "UPDATE engine_writers SET position = ? WHERE writer = ?",
          new Object[] {position, number});
    }
  }

  @Test
  void writesAgainWhatFailed() throws Exception {
    CqlRowWriter writer = open();
    cql.failNext("INSERT INTO window_stats", false);
    writer.write(List.of(changes(2)));
    assertThat(cql.hasFailed()).isTrue();
    assertThat(count()).isEqualTo(2);
    assertThat(counter()).isEqualTo(2L);
  }

  @Test
  void aCounterWhoseReplyWasLostIsReadBeforeItIsAddedToAgain() throws Exception {
    CqlRowWriter writer = open();
    writer.write(List.of(changes(1)));
    cql.failNext("UPDATE daily_stats", true);
    writer.write(List.of(changes(4)));
    assertThat(counter()).isEqualTo(4L);
    cql.failNext("UPDATE daily_stats", false);
    writer.write(List.of(changes(6)));
    assertThat(cql.hasFailed()).isTrue();
    assertThat(counter()).isEqualTo(6L);
  }

  @Test
  void aCounterThatSomebodyElseAddedToIsPutRight() throws Exception {
    CqlRowWriter writer = open();
    writer.write(List.of(changes(2)));
    tables.run(
        "UPDATE daily_stats SET total_pings = total_pings + ? WHERE client_ip = ? AND day = ?",
        new Object[] {5L, NAME, Rows.date(dayMs)});
    writer.keep();
    assertThat(counter()).isEqualTo(2L);
  }

  @Test
  void noMoreIsOnItsWayThanItsBound() throws Exception {
    List<ClientChanges> many = new ArrayList<>();
    for (int i = 0; i < 2000; i++) {
      many.add(changes(Address.of(1, i), 1, 0));
    }
    open().write(many);
    assertThat(tables.rows("window_stats")).hasSize(2000);
    assertThat(cql.mostUnanswered.get()).isBetween(2, 256);
  }
}
