package ping.metrics.job;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.operators.MailboxExecutor;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.metrics.Counter;
import org.apache.flink.runtime.state.StateInitializationContext;
import org.apache.flink.runtime.state.StateSnapshotContext;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.operators.StreamOperatorParameters;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.util.OutputTag;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ping.metrics.core.Address;
import ping.metrics.core.Ping;
import ping.metrics.core.Positions;
import ping.metrics.store.Due;
import ping.metrics.store.FencedException;
import ping.metrics.store.Found;
import ping.metrics.store.MetricsStore;
import ping.metrics.store.PartitionRows;
import ping.metrics.store.RowReader;
import ping.metrics.store.Wanted;
import ping.metrics.types.LogEntries;
import ping.metrics.types.LogEntry;
import ping.metrics.types.Sighting;
import ping.metrics.types.Sightings;

/**
 * Reads the stored rows of a client, a window and a day before the first ping that needs them goes
 * on; the order stays.
 *
 * <pre>
 *   ping ──► all its rows seen? ── yes, and nobody waits ─────────────────► packed ──► out
 *                   └─ no ──► asked for, and queued ──► answered, in order ─► packed
 *   no ping ──► dead letters
 * </pre>
 *
 * A ping whose rows are there waits at most {@link #MAX_PACK_MS} for others. Nothing waits here
 * when a barrier passes, so nothing of it is in a checkpoint. It also stands for the partitions
 * that it reads: after each checkpoint, and when it goes on from one, it writes how far they are
 * applied, and it looks for activities that are due.
 */
final class LookupOperator extends AbstractStreamOperator<Sightings>
    implements OneInputStreamOperator<LogEntries, Sightings> {
  /** What is no event, for an output of its own. */
  static final OutputTag<LogEntry> DEAD = new OutputTag<>("dead letters", LogEntry.TYPE);

  static final long MAX_PACK_MS = 20;
  private static final long serialVersionUID = 1;
  private static final Logger log = LoggerFactory.getLogger(LookupOperator.class);
  private static final int MAX_WAITING = 4096;
  private static final int MAX_ASKED = 256;
  private static final int MAX_SEEN_CLIENTS = 200_000;
  private static final int MAX_NOTED_DUES = 100_000;
  private static final int MAX_DUES = 256;
  private static final long TICK_MS = 1000;
  private static final long HEARTBEAT_MS = 10_000;
  private static final long DUE_AGAIN_MS = 60_000;

  /** What waits for its rows, or behind somebody who does. */
  private static final class Waiting {
    private final Address client;
    private final Ping ping;
    private final long receivedMs;
    private final long dueMs;
    private boolean answered;
    private Found found;

    Waiting(Address client, Ping ping, long receivedMs, long dueMs, boolean answered) {
      this.client = client;
      this.ping = ping;
      this.receivedMs = receivedMs;
      this.dueMs = dueMs;
      this.answered = answered;
    }
  }

  private final MetricsStore store;
  private final LogTail tail;
  private final int partitions;
  private final long seenTtlMs;
  private final transient MailboxExecutor mailbox;

  private transient RowReader reader;
  private transient PartitionRows rows;
  private transient ExecutorService keeper;
  private transient CoarseClock clock;
  private transient SeenRows seen;
  private transient ArrayDeque<Waiting> waiting;
  private transient int asked;
  private transient Packs packs;
  private transient boolean sendScheduled;
  private transient StreamRecord<Sightings> reused;

  /**
   * Newest position seen of each partition, as it was at each checkpoint that isn't complete yet,
   * and as it was committed last (known to the keeper alone).
   */
  private transient long[] newest;

  private transient TreeMap<Long, long[]> checkpoints;
  private transient long[] committed;

  /**
   * What was newest at a checkpoint: whoever is given it may have to commit it. No union: with one,
   * a job of several tasks can't be stopped while some of them have ended.
   */
  private transient ListState<long[]> kept;

  private transient DueScan[] scans;
  private transient Map<Address, Long> notedDues;
  private transient boolean scanning;
  private transient RestingPartitions resting;
  private transient long heartbeatMs;
  private transient boolean finished;
  private transient Counter deadLetters;

  LookupOperator(
      StreamOperatorParameters<Sightings> parameters,
      MetricsStore store,
      LogTail tail,
      int partitions,
      long seenTtlMs) {
    super(parameters);
    this.store = store;
    this.tail = tail;
    this.partitions = partitions;
    this.seenTtlMs = seenTtlMs;
    this.mailbox = parameters.getMailboxExecutor();
  }

  @Override
  public void initializeState(StateInitializationContext context) throws Exception {
    super.initializeState(context);
    kept =
        context
            .getOperatorStateStore()
            .getListState(
                new ListStateDescriptor<>(
                    "applied", PrimitiveArrayTypeInfo.LONG_PRIMITIVE_ARRAY_TYPE_INFO));
    newest = new long[partitions];
    Arrays.fill(newest, Positions.NONE);
    for (long[] one : kept.get()) {
      for (int partition = 0; partition < Math.min(one.length, partitions); partition++) {
        newest[partition] = Math.max(newest[partition], one[partition]);
      }
    }
    committed = new long[partitions];
    Arrays.fill(committed, Positions.NONE);
  }

  @Override
  public void open() throws Exception {
    super.open();
    clock = new CoarseClock(getProcessingTimeService());
    seen = new SeenRows(MAX_SEEN_CLIENTS, seenTtlMs);
    waiting = new ArrayDeque<>();
    reused = new StreamRecord<>(null);
    packs =
        new Packs(
            getRuntimeContext().getTaskInfo().getMaxNumberOfParallelSubtasks(),
            pack -> output.collect(reused.replace(pack)));
    checkpoints = new TreeMap<>();
    notedDues = new HashMap<>();
    int subtask = getRuntimeContext().getTaskInfo().getIndexOfThisSubtask();
    int parallelism = getRuntimeContext().getTaskInfo().getNumberOfParallelSubtasks();
    scans = DueScan.of(partitions, subtask, parallelism, now());
    reader = store.openReader();
    rows = store.openPartitions();
    rows.takeAll();
    resting = new RestingPartitions(rows, tail);
    keeper =
        Executors.newSingleThreadExecutor(
            task -> {
              Thread thread = new Thread(task, "ping-partitions-" + subtask);
              thread.setDaemon(true);
              return thread;
            });
    heartbeatMs = now() - HEARTBEAT_MS; // whoever was here before may have taken its heartbeat back
    deadLetters = metrics.counter("deadLetters");
    metrics.gauge("lookupsOnTheirWay", () -> asked);
    metrics.gauge("pingsWaiting", () -> waiting.size());
    long[] restored = newest.clone();
    keeper.execute(() -> inBackground(() -> commit(restored)));
    schedule();
  }

  private long now() {
    return getProcessingTimeService().getCurrentProcessingTime();
  }

  private void schedule() {
    getProcessingTimeService().registerTimer(now() + TICK_MS, time -> tick());
  }

  // Pings

  /** No barrier passes before all are through, also not while it yields for answers. */
  @Override
  public void processElement(StreamRecord<LogEntries> element) throws Exception {
    List<LogEntry> all = element.getValue().all();
    for (int i = 0; i < all.size(); i++) {
      process(all.get(i));
    }
  }

  private void process(LogEntry entry) throws InterruptedException {
    newest[entry.partition()] = entry.position();
    Ping ping = entry.ping();
    if (ping == null) {
      deadLetters.inc();
      output.collect(DEAD, new StreamRecord<>(entry));
      return;
    }
    Wanted wanted = seen.wantedFor(ping, clock.nowMs());
    if (wanted == null && waiting.isEmpty()) {
      emit(new Sighting(ping.client(), ping, entry.receivedMs(), 0, null));
      return;
    }
    enqueue(new Waiting(ping.client(), ping, entry.receivedMs(), 0, wanted == null), wanted);
  }

  private void enqueue(Waiting one, Wanted wanted) throws InterruptedException {
    waiting.add(one);
    if (wanted != null) {
      ask(one, wanted);
    }
    while (waiting.size() >= MAX_WAITING || asked >= MAX_ASKED) {
      mailbox.yield();
    }
  }

  private void ask(Waiting one, Wanted wanted) {
    asked++;
    reader
        .read(wanted, now())
        .whenComplete(
            (found, failure) ->
                mailbox.execute(() -> answer(one, found, failure), "a row was read"));
  }

  private void answer(Waiting one, Found found, Throwable failure) throws IOException {
    asked--;
    if (failure != null) {
      throw new IOException("rows of " + one.client + " could not be read", failure);
    }
    one.answered = true;
    one.found = found;
    while (!waiting.isEmpty() && waiting.peek().answered) {
      Waiting first = waiting.poll();
      emit(new Sighting(first.client, first.ping, first.receivedMs, first.dueMs, first.found));
    }
  }

  private void emit(Sighting sighting) {
    packs.add(sighting);
    if (!sendScheduled) {
      sendScheduled = true;
      getProcessingTimeService().registerTimer(now() + MAX_PACK_MS, time -> sendPacks());
    }
  }

  private void sendPacks() {
    sendScheduled = false;
    packs.sendAll();
  }

  // Checkpoints

  @Override
  public void prepareSnapshotPreBarrier(long checkpointId) throws Exception {
    drain();
  }

  private void drain() throws InterruptedException {
    while (!waiting.isEmpty()) {
      mailbox.yield();
    }
    packs.sendAll();
  }

  @Override
  public void snapshotState(StateSnapshotContext context) throws Exception {
    super.snapshotState(context);
    kept.update(List.of(newest.clone()));
    checkpoints.put(context.getCheckpointId(), newest.clone());
  }

  @Override
  public void notifyCheckpointComplete(long checkpointId) throws Exception {
    super.notifyCheckpointComplete(checkpointId);
    long[] applied = checkpoints.get(checkpointId);
    checkpoints.headMap(checkpointId, true).clear();
    if (applied != null && !keeper.isShutdown()) {
      keeper.execute(() -> inBackground(() -> commit(applied)));
    }
  }

  private void commit(long[] applied) throws IOException {
    for (int partition = 0; partition < applied.length; partition++) {
      if (applied[partition] > committed[partition]) {
        rows.commit(partition, applied[partition]);
        committed[partition] = applied[partition];
      }
    }
  }

  // Now and then

  private interface Task {
    void run() throws IOException;
  }

  /**
   * A store that is away for a moment is no reason to fail: the next tick tries again. One that is
   * another's is.
   */
  private void inBackground(Task task) {
    try {
      task.run();
    } catch (FencedException e) {
      mailbox.execute(
          () -> {
            throw e;
          },
          "fenced");
    } catch (IOException | RuntimeException e) {
      log.warn("the partitions' rows: {}", e.toString());
    }
  }

  private void tick() {
    if (finished) {
      return;
    }
    boolean beat = now() - heartbeatMs >= HEARTBEAT_MS;
    if (beat) {
      heartbeatMs = now();
    }
    if (!scanning) {
      scanning = true;
      long nowMs = now();
      keeper.execute(() -> keep(beat, nowMs));
    }
    schedule();
  }

  private void keep(boolean beat, long nowMs) {
    inBackground(
        () -> {
          for (DueScan scan : scans) {
            if (beat) {
              rows.commit(scan.partition(), Positions.NONE);
            }
            List<Due> dues = scan.next(rows, nowMs, MAX_DUES);
            mailbox.execute(() -> refresh(dues), "activities are due");
          }
          resting.advance(scans);
        });
    inBackground(() -> mailbox.execute(() -> scanning = false, "looked for what is due"));
  }

  private void refresh(List<Due> dues) throws InterruptedException {
    long nowMs = now();
    if (notedDues.size() > MAX_NOTED_DUES) {
      notedDues.clear();
    }
    for (Due due : dues) {
      Long noted = notedDues.get(due.client());
      if (finished || (noted != null && nowMs - noted < DUE_AGAIN_MS)) {
        continue;
      }
      notedDues.put(due.client(), nowMs);
      enqueue(
          new Waiting(due.client(), null, 0, due.dueMs(), false),
          new Wanted(due.client(), Wanted.NOTHING, Wanted.NOTHING, true));
    }
  }

  // The end

  @Override
  public void finish() throws Exception {
    drain();
    finished = true;
    super.finish();
  }

  @Override
  public void close() throws Exception {
    if (keeper != null) {
      if (endsInOrder()) {
        keeper.shutdown(); // how far the last savepoint goes is still being written
      } else {
        keeper.shutdownNow();
      }
      keeper.awaitTermination(30, TimeUnit.SECONDS);
    }
    if (resting != null) {
      resting.close();
    }
    if (rows != null) {
      if (endsInOrder()) {
        release();
      }
      rows.close();
    }
    if (reader != null) {
      reader.close();
    }
    super.close();
  }

  /** A stop with a savepoint calls no {@code finish}; a failure and a cancellation close, too. */
  private boolean endsInOrder() {
    return !getContainingTask().isCanceled() && !getContainingTask().isFailing();
  }

  /**
   * Those that it read, too: another task may have released them before their last position came
   * from here.
   */
  private void release() {
    Set<Integer> known = new TreeSet<>();
    for (DueScan scan : scans) {
      known.add(scan.partition());
    }
    for (int partition = 0; partition < newest.length; partition++) {
      if (newest[partition] != Positions.NONE) {
        known.add(partition);
      }
    }
    for (int partition : known) {
      inBackground(() -> rows.release(partition));
    }
  }
}
