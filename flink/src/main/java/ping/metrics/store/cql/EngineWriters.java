package ping.metrics.store.cql;

import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.DriverException;
import com.datastax.oss.driver.api.core.cql.Row;
import com.datastax.oss.driver.api.core.cql.Statement;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.security.SecureRandom;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import ping.metrics.core.Positions;
import ping.metrics.store.FencedException;
import ping.metrics.store.Lanes;

/**
 * The rows of engine_writers, which say whose the rows of the metrics are (docs/SEMANTICS.md,
 * "Exactly once, by position"). Changed by lightweight transaction alone: each change is IF version
 * = v and makes it v + 1; what became of one is read from the row.
 *
 * <pre>
 *   0, 1, 2 …     one a partition of the log: which kind of engine, and how far it has come
 *   −1, −2, …     one a lane of clients of the Flink job: its owner, and how far its timestamps are reserved
 * </pre>
 */
final class EngineWriters {
  static final String KIND = "flink";
  private static final long RESERVED_US = 30_000_000;
  private static final long FRESH_MS = 60_000;
  private static final int ATTEMPTS = 16;
  private static final int OWNER_SIZE = 16;

  /** A row. */
  @SuppressWarnings("ArrayRecordComponent") // compared with nothing
  record Writer(
      int number,
      String kind,
      ByteBuffer owner,
      long version,
      long reservedUs,
      byte[] topicId,
      int partitionCount,
      long position,
      long heartbeatMs) {
    static Writer of(Row row) {
      ByteBuffer topic = row.getByteBuffer("topic_id");
      byte[] topicId = new byte[topic == null ? 0 : topic.remaining()];
      if (topic != null) {
        topic.duplicate().get(topicId);
      }
      return new Writer(
          row.getInt("writer"),
          String.valueOf(row.getString("kind")),
          row.getByteBuffer("owner"),
          row.getLong("version"),
          row.getLong("reserved_us"),
          topicId,
          row.getInt("partition_count"),
          row.isNull("position") ? Positions.NONE : row.getLong("position"),
          row.isNull("heartbeat") ? 0 : row.getInstant("heartbeat").toEpochMilli());
    }

    boolean isOurKind() {
      return kind.equals(KIND);
    }
  }

  /** Rows that this process owns: a lane's. */
  static final class Lane {
    private final int number;
    private long version;
    private long reservedUs;
    private long timestampUs;
    private long committedNs;

    private Lane(Writer taken, long timestampUs) {
      number = taken.number();
      version = taken.version();
      reservedUs = taken.reservedUs();
      this.timestampUs = timestampUs;
      committedNs = System.nanoTime();
    }
  }

  private final CqlSession session;
  private final Statements statements;
  private final byte[] topicId;
  private final long logEpoch;
  private final int partitionCount;
  private final ByteBuffer owner;

  EngineWriters(
      CqlSession session,
      Statements statements,
      byte[] topicId,
      long logEpoch,
      int partitionCount) {
    this.session = session;
    this.statements = statements;
    this.topicId = topicId.clone();
    this.logEpoch = logEpoch;
    this.partitionCount = partitionCount;
    byte[] bytes = new byte[OWNER_SIZE];
    new SecureRandom().nextBytes(bytes);
    owner = ByteBuffer.wrap(bytes).asReadOnlyBuffer();
  }

  private static long nowUs() {
    return System.currentTimeMillis() * 1000;
  }

  /** As it is, a lightweight transaction under way included; null: there is none. */
  private Writer find(int number) throws IOException {
    try {
      Row row = session.execute(statements.bind(Statements.Name.FIND_WRITER, number)).one();
      return row == null || row.isNull("version") ? null : Writer.of(row);
    } catch (DriverException e) {
      throw new IOException("store: " + e.getMessage(), e);
    }
  }

  List<Writer> all() throws IOException {
    try {
      List<Writer> writers = new ArrayList<>();
      for (Row row : session.execute(statements.bind(Statements.Name.LIST_WRITERS))) {
        if (!row.isNull("version")) {
          writers.add(Writer.of(row));
        }
      }
      return writers;
    } catch (DriverException e) {
      throw new IOException("store: " + e.getMessage(), e);
    }
  }

  boolean anyDay() throws IOException {
    try {
      return session.execute(statements.bind(Statements.Name.ANY_DAY)).one() != null;
    } catch (DriverException e) {
      throw new IOException("store: " + e.getMessage(), e);
    }
  }

  /** What became of it is read from the row, so neither its answer nor an error of it counts. */
  private void transact(Statement<?> statement) {
    try {
      session.execute(statement);
    } catch (DriverException e) {
      // The row will tell.
    }
  }

  // Taking

  /**
   * Whether these metrics may be filled by this kind of engine, from this log. A lane's row says
   * nothing of a log: its clients may be any partition's.
   */
  void check(List<Writer> writers) throws IOException {
    List<Writer> partitions = writers.stream().filter(writer -> writer.number() >= 0).toList();
    long epoch =
        partitions.stream().mapToLong(one -> Positions.epoch(one.position())).max().orElse(0);
    for (Writer writer : partitions) {
      check(writer, epoch);
    }
  }

  /** One of a partition, where the furthest of all is in that life of their log. */
  private void check(Writer writer, long epoch) throws IOException {
    if (!Arrays.equals(writer.topicId(), topicId)) {
      throw anotherLog(epoch);
    }
    checkSameLog(writer);
    long ageMs = System.currentTimeMillis() - writer.heartbeatMs();
    if (!writer.isOurKind() && ageMs < FRESH_MS) {
      throw new IOException(
          "another kind of engine ("
              + writer.kind()
              + ") fills these metrics and was heard of "
              + ageMs / 1000
              + " s ago: stop it, and start this one a minute later");
    }
  }

  /** Moving metrics to a log that was made anew is pingd's to do: it fences all owners first. */
  private IOException anotherLog(long epoch) {
    if (epoch > logEpoch) {
      return new IOException(
          "the metrics are at log epoch "
              + epoch
              + " of another log, configured is "
              + logEpoch
              + ": set --log-epoch to the publishers'");
    }
    return new IOException(
        logEpoch == 0 || epoch == logEpoch
            ? "the metrics were made from another log than this one: the topic was made anew, which is a procedure"
                + " (drain, count, log-epoch + 1); or use another keyspace"
            : "the metrics are of the log before this one, and pingd moves them: start pingd --roles stream with"
                + " --log-epoch "
                + logEpoch
                + ", wait for its lag to be 0, stop it, and start this job, without a savepoint of the log before");
  }

  private void checkSameLog(Writer writer) throws IOException {
    if (writer.partitionCount() != partitionCount) {
      throw new IOException(
          "the metrics were made from a log of "
              + writer.partitionCount()
              + " partitions, it has "
              + partitionCount
              + " now: growing is a procedure (drain, count, log-epoch + 1)");
    }
    long position = writer.position();
    if (position >= 0
        && position != Positions.startOf(logEpoch)
        && Positions.epoch(position) < logEpoch) {
      throw new IOException(
          "log-epoch is "
              + logEpoch
              + ", but the topic is the one that the metrics were made from at "
              + Positions.epoch(position)
              + ": its events would count twice; set --log-epoch back, or make the topic anew as the procedure says");
    }
  }

  /** No engine has a row: then there can be no metrics. */
  void refuseOrphans() throws IOException {
    if (anyDay()) {
      throw new IOException(
          "there are metrics, but table engine_writers is empty, and nothing tells how far they go: bring it back"
              + " from a backup, or use another keyspace");
    }
  }

  /** All partitions become this kind's; what they reserved can't be extended any more. */
  void takePartitions() throws IOException {
    List<Writer> writers = all();
    if (writers.isEmpty()) {
      refuseOrphans();
    }
    check(writers);
    for (int number = 0; number < partitionCount; number++) {
      takePartition(number);
    }
  }

  private void takePartition(int number) throws IOException {
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      Writer now = find(number);
      if (now != null && now.isOurKind()) {
        return;
      }
      if (now != null) {
        check(List.of(now));
      }
      send(number, now, now == null ? 0 : now.reservedUs());
    }
    throw new IOException("partition " + number + ": others take it all the time");
  }

  /** Whether all are still this kind's. */
  void confirmPartitions() throws IOException {
    for (int number = 0; number < partitionCount; number++) {
      Writer now = find(number);
      if (now == null || !now.isOurKind()) {
        throw taken(number);
      }
    }
  }

  private static FencedException taken(int number) {
    return new FencedException(
        "another kind of engine has taken partition " + number + ": this job ends");
  }

  private void send(int number, Writer old, long reservedUs) {
    Instant now =
        number < 0 ? null : Instant.now(); // of the partitions alone is asked who was heard of
    if (old == null) {
      transact(
          statements.bind(
              Statements.Name.TAKE_FIRST,
              number,
              owner,
              reservedUs,
              ByteBuffer.wrap(topicId),
              partitionCount,
              now));
    } else {
      transact(
          statements.bind(
              Statements.Name.TAKE,
              owner,
              old.version() + 1,
              reservedUs,
              now,
              number,
              old.version()));
    }
  }

  /**
   * Takes a lane's row: whoever had it is fenced. The first timestamp lies above {@code floorUs}
   * and above what an owner before may have used.
   */
  Lane takeLane(int lane, long floorUs) throws IOException {
    int number = Lanes.writerOf(lane);
    Writer old = find(number);
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      long oldUs = Math.max(floorUs, old == null ? 0 : old.reservedUs());
      send(number, old, Math.max(nowUs(), oldUs) + RESERVED_US);
      Writer now = find(number);
      boolean ours = now != null && owner.equals(now.owner());
      if (ours && now.version() == (old == null ? 1 : old.version() + 1)) {
        return new Lane(now, oldUs);
      }
      old = now;
    }
    throw new IOException("lane " + lane + ": others take it all the time");
  }

  // Keeping

  private FencedException lost(Lane lane) {
    return new FencedException(
        "another engine has taken the rows of lane " + (-1 - lane.number) + ": this task ends");
  }

  /** Whether it is still ours: nothing fences a counter. */
  void confirm(Lane lane) throws IOException {
    Writer writer = find(lane.number);
    if (writer == null || !owner.equals(writer.owner())) {
      throw lost(lane);
    }
  }

  /** Extends what is reserved. */
  private void commit(Lane lane) throws IOException {
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      long reservedUs =
          Math.max(lane.reservedUs, Math.max(nowUs(), lane.timestampUs) + RESERVED_US);
      transact(
          statements.bind(
              Statements.Name.COMMIT,
              lane.version + 1,
              Positions.NONE,
              reservedUs,
              null,
              lane.number,
              lane.version));
      Writer writer = find(lane.number);
      if (writer == null || !owner.equals(writer.owner())) {
        throw lost(lane);
      }
      boolean done = writer.version() > lane.version && writer.reservedUs() >= reservedUs;
      lane.version = writer.version();
      lane.reservedUs = writer.reservedUs();
      if (done) {
        lane.committedNs = System.nanoTime();
        return;
      }
    }
    throw new IOException(
        "what is reserved for lane " + (-1 - lane.number) + " could not be extended");
  }

  /** Extends what is reserved where that was last done so long ago. */
  void renew(Lane lane, long afterMs) throws IOException {
    if (System.nanoTime() - lane.committedNs >= TimeUnit.MILLISECONDS.toNanos(afterMs)) {
      commit(lane);
    }
  }

  /**
   * A timestamp for the next rows, later than every one before, within what is reserved.
   *
   * @param seenUs above this, too
   */
  long nextTimestamp(Lane lane, long seenUs) throws IOException {
    long now = nowUs();
    lane.timestampUs = Math.max(lane.timestampUs, seenUs);
    if (now > lane.timestampUs && now < lane.reservedUs) {
      lane.timestampUs = now; // so that WRITETIME means something to people
    }
    if (lane.timestampUs >= lane.reservedUs) {
      commit(lane);
    }
    return ++lane.timestampUs;
  }

  /** A partition's position grows; and this kind was heard of. */
  void commitPartition(int number, long position) throws IOException {
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      Writer now = find(number);
      if (now == null || !now.isOurKind()) {
        throw taken(number);
      }
      long wanted = Math.max(now.position(), position);
      transact(
          statements.bind(
              Statements.Name.COMMIT,
              now.version() + 1,
              wanted,
              now.reservedUs(),
              Instant.now(),
              number,
              now.version()));
      Writer after = find(number);
      if (after != null && after.version() > now.version() && after.position() >= wanted) {
        return;
      }
    }
    throw new IOException("the position of partition " + number + " could not be written");
  }

  /** Nobody need wait for this kind any more. */
  void releasePartition(int number) throws IOException {
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      Writer now = find(number);
      if (now == null || !now.isOurKind() || now.heartbeatMs() == 0) {
        return;
      }
      transact(statements.bind(Statements.Name.RELEASE, now.version() + 1, number, now.version()));
    }
    throw new IOException("partition " + number + " could not be released");
  }
}
