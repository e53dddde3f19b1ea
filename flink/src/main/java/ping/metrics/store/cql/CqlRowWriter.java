package ping.metrics.store.cql;

import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.cql.AsyncResultSet;
import com.datastax.oss.driver.api.core.cql.BatchStatement;
import com.datastax.oss.driver.api.core.cql.BatchStatementBuilder;
import com.datastax.oss.driver.api.core.cql.BatchType;
import com.datastax.oss.driver.api.core.cql.BoundStatement;
import com.datastax.oss.driver.api.core.cql.DefaultBatchType;
import com.datastax.oss.driver.api.core.cql.Row;
import com.datastax.oss.driver.api.core.cql.Statement;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Semaphore;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ping.metrics.core.ActivityRow;
import ping.metrics.core.Address;
import ping.metrics.core.ClientChanges;
import ping.metrics.core.DayRow;
import ping.metrics.core.Partitions;
import ping.metrics.core.Timestamps;
import ping.metrics.core.WindowRow;
import ping.metrics.core.Windows;
import ping.metrics.store.FencedException;
import ping.metrics.store.Lanes;
import ping.metrics.store.RowWriter;

/**
 * Writes changes, the rows of each lane under one timestamp, later than all before. Round after
 * round, each only when the one before is done:
 *
 * <pre>
 *   windows, days; unknown clients are read ─► activities, dues ─► clients and their lists ─► dues that are past ─► counters
 * </pre>
 *
 * So whatever a crash leaves, a client's lists are as its row says, and the due that it names is
 * there. What is left too much is harmless: a due whose activity is derived again, a list's entry
 * that its client's row belies.
 */
final class CqlRowWriter implements RowWriter {
  private static final Logger log = LoggerFactory.getLogger(CqlRowWriter.class);
  private static final int MAX_TTL_S = 630_000_000; // Cassandra's most is 20 years
  private static final int ATTEMPTS = 5;
  private static final long PAUSE_MS = 500;
  private static final long RENEW_MS = 10_000;
  private static final int COUNTER_ROUNDS = 6;
  private static final int MAX_KNOWN = 100_000;
  private static final byte BY_LAST = 1;
  private static final byte BY_COUNT = 2;

  /** A client as its shard has it. */
  private record Listed(long firstMs, long lastMs, long pingCount, long dueMs) {
    static final Listed NONE = new Listed(0, 0, 0, 0);

    static Listed of(Row row) {
      return row == null
          ? NONE
          : new Listed(
              Rows.ms(row, 0),
              Rows.ms(row, 1),
              row.isNull(2) ? 0 : row.getLong(2),
              Rows.ms(row, 3));
    }
  }

  private record CounterPlace(Address client, long startMs) {}

  /** Changes of a client on their way. */
  private static final class Job {
    private final ClientChanges changes;
    private final int lane;
    private final int ttlS; // of the activity; 0: it is removed
    private long timestampUs;
    private Listed before;

    Job(ClientChanges changes, int lane, long nowMs) {
      this.changes = changes;
      this.lane = lane;
      ttlS = changes.activity() == null ? 0 : activityTtl(changes.activity(), nowMs);
    }

    Address client() {
      return changes.client();
    }
  }

  private final CqlUrl url;
  private final Rounds rounds;
  private final Statements statements;
  private final EngineWriters writers;
  private final Lanes lanes;
  private final int partitions;
  private final long windowRetentionMs;
  private final Map<Integer, EngineWriters.Lane> owned = new HashMap<>();
  private final Map<Address, Listed> clients = bounded();
  private final Map<CounterPlace, Long> counters = bounded();
  private final CounterSweep sweep;

  CqlRowWriter(
      CqlUrl url,
      CqlSession session,
      Statements statements,
      EngineWriters writers,
      Lanes lanes,
      int partitions,
      long windowRetentionMs)
      throws IOException {
    this.url = url;
    this.statements = statements;
    this.writers = writers;
    this.lanes = lanes;
    this.partitions = partitions;
    this.windowRetentionMs = windowRetentionMs;
    rounds = new Rounds(session);
    sweep = new CounterSweep(session, statements, lanes);
    take();
  }

  private static <K, V> Map<K, V> bounded() {
    return new LinkedHashMap<>(1024, 0.75f, true) {
      private static final long serialVersionUID = 1;

      @Override
      protected boolean removeEldestEntry(Map.Entry<K, V> eldest) {
        return size() > MAX_KNOWN;
      }
    };
  }

  /**
   * The partitions' rows first, so that what another kind of engine reserved there can't grow any
   * more; then this subtask's lanes, each above that; then a look whether the partitions are still
   * this kind's. Another kind takes a partition first and the lanes that it finds then: so either
   * it finds these, or it is found here, however long this task slept in between.
   */
  private void take() throws IOException {
    writers.takePartitions();
    long floorUs = 0;
    for (EngineWriters.Writer writer : writers.all()) {
      if (writer.number() >= 0) {
        floorUs = Math.max(floorUs, writer.reservedUs());
      }
    }
    for (int lane = lanes.first(); lane <= lanes.last(); lane++) {
      owned.put(lane, writers.takeLane(lane, floorUs));
    }
    writers.confirmPartitions();
  }

  @Override
  public void write(List<ClientChanges> changes) throws IOException, InterruptedException {
    for (int attempt = 1; ; attempt++) {
      try {
        writeOnce(changes);
        return;
      } catch (FencedException e) {
        throw e;
      } catch (IOException e) {
        clients.clear();
        counters.clear();
        if (attempt == ATTEMPTS) {
          throw e;
        }
        log.warn("rows could not be written, trying again: {}", e.getMessage());
        Thread.sleep(PAUSE_MS << attempt);
      }
    }
  }

  private void writeOnce(List<ClientChanges> changes) throws IOException, InterruptedException {
    long nowMs = System.currentTimeMillis();
    List<Job> jobs = new ArrayList<>(changes.size());
    Map<Integer, Long> seenUs = new HashMap<>();
    for (ClientChanges one : changes) {
      Job job = new Job(one, lanes.of(one.client()), nowMs);
      jobs.add(job);
      seenUs.merge(job.lane, one.writtenUs(), Math::max);
    }
    Map<Integer, Long> timestamps = new HashMap<>();
    for (Map.Entry<Integer, Long> lane : seenUs.entrySet()) {
      EngineWriters.Lane owner = owned.get(lane.getKey());
      if (owner == null) {
        throw new IllegalStateException("lane " + lane.getKey() + " is not of this task");
      }
      timestamps.put(lane.getKey(), writers.nextTimestamp(owner, lane.getValue()));
    }
    for (Job job : jobs) {
      job.timestampUs = timestamps.get(job.lane);
    }
    writeRows(jobs, nowMs);
    followCounters(jobs);
    for (Job job : jobs) {
      know(job);
    }
  }

  private void writeRows(List<Job> jobs, long nowMs) throws IOException, InterruptedException {
    for (Job job : jobs) {
      for (WindowRow row : job.changes.windows()) {
        putWindow(job, row, nowMs);
      }
      for (DayRow row : job.changes.days()) {
        putDay(job, row);
      }
      findClient(job);
    }
    rounds.finish();
    for (Job job : jobs) {
      if (job.changes.activity() != null) {
        putActivity(job);
        putDue(job, nowMs);
      }
    }
    rounds.finish();
    for (Job job : jobs) {
      putClient(job);
    }
    rounds.finish();
    for (Job job : jobs) {
      dropDues(job);
    }
    rounds.finish();
  }

  // Windows, days

  private static int clampTtl(long leftMs) {
    long ttlS = leftMs / 1000;
    return ttlS < 1 ? 0 : (int) Math.min(ttlS, MAX_TTL_S);
  }

  /** 24 hours after its newest window, whenever and however often it is written. */
  private static int activityTtl(ActivityRow row, long nowMs) {
    if (row.dueMs() == 0) {
      return 0;
    }
    long endMs = row.count() > 0 ? Windows.startOf(row.lastMs()) + Windows.SIZE_MS : row.dueMs();
    return clampTtl(endMs + Timestamps.DAY_MS - nowMs);
  }

  private void putWindow(Job job, WindowRow row, long nowMs)
      throws IOException, InterruptedException {
    int ttlS = windowRetentionMs == 0 ? 0 : clampTtl(row.endMs() + windowRetentionMs - nowMs);
    if (windowRetentionMs != 0 && ttlS == 0) {
      return; // its time is over, and a TTL of 0 would mean for ever
    }
    send(
        statements.bind(
            Statements.Name.PUT_WINDOW,
            job.client().toString(),
            Rows.time(row.startMs()),
            Rows.time(row.endMs()),
            (int) Math.min(row.count(), Integer.MAX_VALUE),
            row.averageIntervalMs(),
            Rows.time(row.firstMs()),
            Rows.time(row.lastMs()),
            row.position(),
            ttlS,
            job.timestampUs));
  }

  private void putDay(Job job, DayRow row) throws IOException, InterruptedException {
    send(
        statements.bind(
            Statements.Name.PUT_DAY,
            job.client().toString(),
            Rows.date(row.startMs()),
            row.total(),
            row.position(),
            job.timestampUs));
  }

  private void send(Statement<?> statement) throws IOException, InterruptedException {
    rounds.send(statement, answer -> {});
  }

  private void findClient(Job job) throws IOException, InterruptedException {
    job.before = clients.get(job.client());
    if (job.before != null) {
      return;
    }
    rounds.send(
        statements.bind(
            Statements.Name.FIND_CLIENT, Rows.shardOf(job.client()), Rows.bytes(job.client())),
        answer -> job.before = Listed.of(answer.one()));
  }

  // Activities, clients

  private void putActivity(Job job) throws IOException, InterruptedException {
    ActivityRow row = job.changes.activity();
    String client = job.client().toString();
    if (job.ttlS == 0) {
      send(statements.bind(Statements.Name.DROP_ACTIVITY, job.timestampUs, client));
      return;
    }
    send(
        statements.bind(
            Statements.Name.PUT_ACTIVITY,
            client,
            Rows.time(row.startMs()),
            row.count(),
            row.activeWindows(),
            Rows.time(row.firstMs()),
            Rows.time(row.lastMs()),
            Rows.time(row.busiestStartMs()),
            row.busiestCount(),
            Rows.time(row.busiestFirstMs()),
            Rows.time(row.busiestLastMs()),
            Rows.time(row.dueMs()),
            row.averageIntervalMs(),
            job.ttlS,
            job.timestampUs));
  }

  /**
   * Where the client's row names the same due, it is there. It lives on behind it, for an engine
   * that was away.
   */
  private void putDue(Job job, long nowMs) throws IOException, InterruptedException {
    long dueMs = job.changes.activity().dueMs();
    if (job.ttlS == 0 || job.before.dueMs() == dueMs) {
      return;
    }
    int ttlS = clampTtl(dueMs + 2 * Timestamps.DAY_MS - nowMs);
    send(
        statements.bind(
            Statements.Name.PUT_DUE,
            Partitions.of(job.client(), partitions),
            Rows.time(Windows.startOf(dueMs)),
            Rows.time(dueMs),
            Rows.bytes(job.client()),
            ttlS > 0 ? ttlS : job.ttlS,
            job.timestampUs));
  }

  /** The client's row and its places in the lists: one partition, so one batch. */
  private void putClient(Job job) throws IOException, InterruptedException {
    short shard = Rows.shardOf(job.client());
    BatchStatementBuilder batch = BatchStatement.builder(batchType());
    if (job.changes.row() != null) {
      batch.addStatement(
          statements.bind(
              Statements.Name.PUT_CLIENT,
              shard,
              Rows.bytes(job.client()),
              job.client().toString(),
              Rows.time(job.changes.row().firstMs()),
              Rows.time(job.changes.row().lastMs()),
              job.timestampUs));
      move(batch, job, BY_LAST, job.before.lastMs(), job.changes.row().lastMs(), 0);
    }
    if (job.changes.activity() != null) {
      boolean kept = job.ttlS > 0;
      batch.addStatement(
          statements.bind(
              Statements.Name.SET_ACTIVE,
              job.ttlS,
              job.timestampUs,
              kept ? (Long) job.changes.activity().count() : null,
              kept ? Rows.time(job.changes.activity().dueMs()) : null,
              shard,
              Rows.bytes(job.client())));
      move(
          batch,
          job,
          BY_COUNT,
          job.before.pingCount(),
          kept ? job.changes.activity().count() : 0,
          job.ttlS);
    }
    if (batch.getStatementsCount() > 0) {
      send(batch.build().setIdempotent(true));
    }
  }

  private static BatchType batchType() {
    return DefaultBatchType.UNLOGGED;
  }

  /** A client's place in a list, and its old one, where it has another now. */
  private void move(
      BatchStatementBuilder batch, Job job, byte list, long oldValue, long value, int ttlS) {
    short shard = Rows.shardOf(job.client());
    if (value != 0) {
      batch.addStatement(
          statements.bind(
              Statements.Name.PUT_LISTED,
              shard,
              list,
              -value,
              Rows.bytes(job.client()),
              ttlS,
              job.timestampUs));
    }
    if (oldValue != 0 && oldValue != value) {
      batch.addStatement(
          statements.bind(
              Statements.Name.DROP_LISTED,
              job.timestampUs,
              shard,
              list,
              -oldValue,
              Rows.bytes(job.client())));
    }
  }

  /** The due that the client's row knew; and the one that asked for this, should it be another. */
  private void dropDues(Job job) throws IOException, InterruptedException {
    if (job.changes.activity() == null) {
      return;
    }
    dropDue(job, job.before.dueMs());
    if (job.changes.listedDueMs() != job.before.dueMs()) {
      dropDue(job, job.changes.listedDueMs());
    }
  }

  private void dropDue(Job job, long dueMs) throws IOException, InterruptedException {
    if (dueMs == 0 || (job.ttlS > 0 && dueMs == job.changes.activity().dueMs())) {
      return;
    }
    send(
        statements.bind(
            Statements.Name.DROP_DUE,
            job.timestampUs,
            Partitions.of(job.client(), partitions),
            Rows.time(Windows.startOf(dueMs)),
            Rows.time(dueMs),
            Rows.bytes(job.client())));
  }

  private void know(Job job) {
    ClientChanges changes = job.changes;
    Listed before = job.before;
    boolean kept = job.ttlS > 0;
    clients.put(
        job.client(),
        new Listed(
            changes.row() != null ? changes.row().firstMs() : before.firstMs(),
            changes.row() != null ? changes.row().lastMs() : before.lastMs(),
            changes.activity() == null ? before.pingCount() : kept ? changes.activity().count() : 0,
            changes.activity() == null ? before.dueMs() : kept ? changes.activity().dueMs() : 0));
    for (DayRow row : changes.days()) {
      counters.put(new CounterPlace(job.client(), row.startMs()), row.total());
    }
  }

  // Counters

  /**
   * A counter takes no value, only a difference, and nothing fences it: it is read, what it lacks
   * is added, and it is read again. Only while the lane is ours.
   */
  private void followCounters(List<Job> jobs) throws IOException, InterruptedException {
    Map<CounterPlace, Long> wanted = new LinkedHashMap<>();
    Set<Integer> touched = new LinkedHashSet<>();
    for (Job job : jobs) {
      for (DayRow row : job.changes.days()) {
        wanted.put(new CounterPlace(job.client(), row.startMs()), row.total());
        touched.add(job.lane);
      }
    }
    for (int lane : touched) {
      writers.confirm(owned.get(lane));
    }
    follow(wanted);
  }

  private void follow(Map<CounterPlace, Long> wanted) throws IOException, InterruptedException {
    Map<CounterPlace, Long> missing = new LinkedHashMap<>();
    wanted.forEach(
        (place, total) -> {
          Long known = counters.get(place);
          if (known != null && !known.equals(total)) {
            missing.put(place, total - known);
          }
        });
    Map<CounterPlace, Long> left = new LinkedHashMap<>(wanted);
    for (int round = 0; round < COUNTER_ROUNDS && !left.isEmpty(); round++) {
      for (Map.Entry<CounterPlace, Long> one : missing.entrySet()) {
        CounterPlace place = one.getKey();
        send(
            statements.bind(
                Statements.Name.ADD_COUNTER,
                one.getValue(),
                place.client().toString(),
                Rows.date(place.startMs())));
      }
      rounds.finish();
      Map<CounterPlace, Long> found = new HashMap<>();
      for (CounterPlace place : left.keySet()) {
        rounds.send(find(place), answer -> put(found, place, answer));
      }
      rounds.finish();
      missing.clear();
      found.forEach(
          (place, counter) -> {
            if (left.get(place).equals(counter)) {
              left.remove(place);
            } else {
              missing.put(place, left.get(place) - counter);
            }
          });
    }
    if (!left.isEmpty()) {
      throw new IOException(
          "a counter of daily_stats does not stay as it is written: somebody else adds to it");
    }
  }

  private BoundStatement find(CounterPlace place) {
    return statements.bind(
        Statements.Name.FIND_COUNTER, place.client().toString(), Rows.date(place.startMs()));
  }

  private static void put(
      Map<CounterPlace, Long> found, CounterPlace place, AsyncResultSet answer) {
    Row row = answer.one();
    synchronized (found) {
      found.put(place, row == null || row.isNull(0) ? 0 : row.getLong(0));
    }
  }

  // Now and then

  @Override
  public void keep() throws IOException, InterruptedException {
    try {
      for (EngineWriters.Lane lane : owned.values()) {
        writers.renew(lane, RENEW_MS);
      }
      sweep();
    } catch (FencedException e) {
      throw e;
    } catch (IOException e) {
      log.warn("the store is away: {}", e.getMessage());
    }
  }

  /**
   * What a process that was stopped adds to a counter long after, nothing can keep out: here it is
   * found.
   */
  private void sweep() throws IOException, InterruptedException {
    List<CounterSweep.Total> page = sweep.next();
    Map<CounterPlace, Long> found = new HashMap<>();
    for (CounterSweep.Total total : page) {
      CounterPlace place = new CounterPlace(total.client(), total.startMs());
      rounds.send(find(place), answer -> put(found, place, answer));
    }
    rounds.finish();
    Map<CounterPlace, Long> wrong = new LinkedHashMap<>();
    for (CounterSweep.Total total : page) {
      CounterPlace place = new CounterPlace(total.client(), total.startMs());
      if (found.get(place) != total.total()) {
        writers.confirm(owned.get(lanes.of(total.client())));
        counters.remove(place);
        wrong.put(place, total.total());
      }
    }
    if (!wrong.isEmpty()) {
      log.warn(
          "{} counters of daily_stats differed from their totals, and are put right", wrong.size());
      follow(wrong);
    }
  }

  @Override
  public void close() {
    Sessions.release(url);
  }

  /** Sends many at once, and waits for all. */
  private static final class Rounds {
    private static final int IN_FLIGHT = 256;

    private final CqlSession session;
    private final Semaphore room = new Semaphore(IN_FLIGHT);
    private volatile Throwable failure;

    Rounds(CqlSession session) {
      this.session = session;
    }

    void send(Statement<?> statement, Consumer<AsyncResultSet> answered)
        throws IOException, InterruptedException {
      room.acquire();
      if (failure != null) {
        room.release();
        finish();
      }
      session
          .executeAsync(statement)
          .whenComplete(
              (answer, problem) -> {
                if (problem != null) {
                  failure = problem;
                } else {
                  answered.accept(answer);
                }
                room.release();
              });
    }

    /** Returns when everything is answered; fails where something did. */
    void finish() throws IOException, InterruptedException {
      room.acquire(IN_FLIGHT);
      room.release(IN_FLIGHT);
      Throwable problem = failure;
      failure = null;
      if (problem != null) {
        throw new IOException("store: " + problem.getMessage(), problem);
      }
    }
  }
}
