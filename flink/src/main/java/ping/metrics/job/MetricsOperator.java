package ping.metrics.job;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.concurrent.CompletionException;
import org.apache.flink.metrics.Counter;
import org.apache.flink.runtime.state.StateSnapshotContext;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.runtime.state.VoidNamespaceSerializer;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.InternalTimer;
import org.apache.flink.streaming.api.operators.InternalTimerService;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.operators.StreamOperatorParameters;
import org.apache.flink.streaming.api.operators.Triggerable;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import ping.metrics.core.Address;
import ping.metrics.core.ClientChanges;
import ping.metrics.core.ClientMetrics;
import ping.metrics.core.Ping;
import ping.metrics.core.Windows;
import ping.metrics.store.Found;
import ping.metrics.store.MetricsStore;
import ping.metrics.store.RowReader;
import ping.metrics.store.Wanted;
import ping.metrics.types.Sighting;
import ping.metrics.types.Sightings;

/**
 * The metrics of the clients of a task: pings are merged at once, and what changed goes to the sink
 * every flush interval and before every barrier, so that a checkpoint holds nothing that isn't
 * written.
 *
 * <p>State is a copy of rows in the store, for whoever goes on from a checkpoint and for clients
 * that are no longer at hand: it is written then, not with every row. A row that is neither at hand
 * nor came with its ping is read at once; so is one whose answer waited so long that it may be
 * older than what was purged.
 */
final class MetricsOperator extends AbstractStreamOperator<ClientChanges>
    implements OneInputStreamOperator<Sightings, ClientChanges>,
        Triggerable<Address, VoidNamespace> {
  private static final long serialVersionUID = 1;

  /** An answer that waited longer is asked for again where nothing newer is at hand. */
  static final long MAX_WAIT_MS = 600_000;

  /** State is purged in steps of this. */
  private static final long PURGE_STEP_MS = 60_000;

  /** Windows and days of a client at hand beyond which they are let go of when they are clean. */
  private static final int MAX_ROWS_OF_A_CLIENT = 64;

  private final MetricsStore store;
  private final MetricsOptions options;

  private transient RowReader reader;
  private transient KeptState state;
  private transient InternalTimerService<VoidNamespace> timers;
  private transient CoarseClock clock;

  /** Clients at hand. */
  private transient ClientTable<ClientMetrics> clients;

  private transient List<ClientMetrics> dirty;
  private transient ClientMetrics[] fetched;
  private transient StreamRecord<ClientChanges> reused;

  /** When the newest completed checkpoint began; and those under way. */
  private transient long checkpointedMs;

  private transient TreeMap<Long, Long> checkpoints;

  private transient Counter pings;
  private transient Counter late;
  private transient Counter skipped;
  private transient Counter expired;
  private transient Counter readAgain;

  MetricsOperator(
      StreamOperatorParameters<ClientChanges> parameters,
      MetricsStore store,
      MetricsOptions options) {
    super(parameters);
    this.store = store;
    this.options = options;
  }

  @Override
  public void open() throws Exception {
    super.open();
    state = new KeptState(getKeyedStateStore(), this::setCurrentKey);
    timers = getInternalTimerService("purge", VoidNamespaceSerializer.INSTANCE, this);
    clock = new CoarseClock(getProcessingTimeService());
    clients = new ClientTable<>();
    dirty = new ArrayList<>();
    fetched = new ClientMetrics[Packs.MAX_SIGHTINGS];
    reused = new StreamRecord<>(null);
    checkpoints = new TreeMap<>();
    reader = store.openReader();
    pings = metrics.counter("pings");
    late = metrics.counter("latePings");
    skipped = metrics.counter("skippedPings");
    expired = metrics.counter("expiredPings");
    readAgain = metrics.counter("rowsReadAgain");
    metrics.gauge("clientsAtHand", () -> clients.size());
    schedule();
  }

  /** Whoever looks at state says whose: most pings need none. */
  @Override
  public boolean hasKeyContext1() {
    return false;
  }

  private long now() {
    return getProcessingTimeService().getCurrentProcessingTime();
  }

  private void schedule() {
    getProcessingTimeService()
        .registerTimer(
            now() + options.flushIntervalMs(),
            time -> {
              flush();
              schedule();
            });
  }

  @Override
  public void processElement(StreamRecord<Sightings> element) throws Exception {
    List<Sighting> all = element.getValue().all();
    fetch(all);
    for (int i = 0; i < all.size(); i++) {
      process(all.get(i));
    }
  }

  /** One by one, each ping would wait for memory several times; so all of a pack wait together. */
  private void fetch(List<Sighting> all) {
    if (fetched.length < all.size()) {
      fetched = new ClientMetrics[all.size()];
    }
    for (int i = 0; i < all.size(); i++) {
      fetched[i] = clients.get(all.get(i).client());
    }
    long sum = 0;
    for (int i = 0; i < all.size(); i++) {
      sum += fetched[i] == null ? 0 : fetched[i].fetch();
    }
    if (sum < 0) { // and so that it isn't left out
      throw new IllegalStateException("counts of clients are below 0");
    }
  }

  private void process(Sighting sighting) throws IOException {
    ClientMetrics client = clients.get(sighting.client());
    if (client == null) {
      client = new ClientMetrics(sighting.client(), state.of(sighting.client()));
      clients.put(sighting.client(), client);
    }
    boolean clean = !client.isDirty();
    if (sighting.found() != null) {
      clock.setRight();
      seed(client, sighting.found());
    }
    if (sighting.ping() == null) {
      client.listedAs(sighting.dueMs());
    } else {
      apply(client, sighting);
    }
    if (clean && client.isDirty()) {
      dirty.add(client);
    }
    if (dirty.size() >= options.maxClients()) {
      flush();
    }
  }

  /** An answer is good while nothing that was written after it can have been purged again. */
  private boolean isFresh(Found found) {
    return now() - found.askedMs() < MAX_WAIT_MS;
  }

  private void seed(ClientMetrics client, Found found) {
    Wanted wanted = found.wanted();
    client.noteWritten(found.writtenUs());
    if (found.window() != null && (isFresh(found) || client.knowsWindow(wanted.windowMs()))) {
      client.seedWindow(found.window());
    }
    if (found.day() != null && (isFresh(found) || client.knowsDay(wanted.dayMs()))) {
      client.seedDay(found.day());
    }
    if (wanted.activity() && isFresh(found)) {
      client.seedClient(found.client(), found.recent(), now());
    }
  }

  private void apply(ClientMetrics client, Sighting sighting) throws IOException {
    Ping ping = sighting.ping();
    long nowMs = clock.nowMs();
    long windowMs = Windows.startOf(ping.pingedAtMs());
    long dayMs = Windows.dayStartOf(ping.pingedAtMs());
    Found found = sighting.found() != null && isFresh(sighting.found()) ? sighting.found() : null;
    boolean windowRead = found != null && found.wanted().windowMs() == windowMs;
    boolean dayRead = found != null && found.wanted().dayMs() == dayMs;
    boolean needsWindow = !windowRead && !client.knowsWindow(windowMs);
    boolean needsDay = !dayRead && !client.knowsDay(dayMs);
    if (needsWindow || needsDay || !client.knowsActivity()) {
      readNow(
          client,
          new Wanted(
              client.client(),
              needsWindow ? windowMs : Wanted.NOTHING,
              needsDay ? dayMs : Wanted.NOTHING,
              !client.knowsActivity()));
    }
    count(client.apply(ping, options.windowRetentionMs(), nowMs));
    client.noteReceived(sighting.receivedMs());
    if (windowMs + Windows.SIZE_MS <= sighting.receivedMs()) {
      late.inc();
    }
  }

  private void count(ClientMetrics.Outcome outcome) {
    pings.inc();
    switch (outcome) {
      case SKIPPED -> skipped.inc();
      case EXPIRED -> expired.inc();
      case MERGED -> {}
    }
  }

  /** Rare: state was purged while its ping was on the way. */
  private void readNow(ClientMetrics client, Wanted wanted) throws IOException {
    readAgain.inc();
    clock.setRight();
    try {
      seed(client, reader.read(wanted, now()).toCompletableFuture().join());
    } catch (CompletionException e) {
      throw new IOException("rows of " + client.client() + " could not be read", e.getCause());
    }
  }

  /** Hands what changed to the sink. */
  private void flush() {
    for (ClientMetrics client : dirty) {
      output.collect(reused.replace(client.collect()));
      if (client.size() > MAX_ROWS_OF_A_CLIENT) {
        keep(client);
        client.trim();
      }
    }
    dirty.clear();
    clients.shrinkTo(options.maxClients(), this::keep);
  }

  /** Into state. Changes the current key. */
  private void keep(ClientMetrics client) {
    if (!client.isUnkept()) {
      return;
    }
    long nowMs = now();
    state.put(client, nowMs);
    timers.registerProcessingTimeTimer(VoidNamespace.INSTANCE, purgeTime(nowMs));
  }

  // Purging

  private long purgeTime(long nowMs) {
    long ms = nowMs + options.allowedLatenessMs();
    return ms - ms % PURGE_STEP_MS + PURGE_STEP_MS;
  }

  /** Only what a completed checkpoint says is in the store goes. */
  @Override
  public void onProcessingTime(InternalTimer<Address, VoidNamespace> timer) {
    long beforeMs = Math.min(timer.getTimestamp() - options.allowedLatenessMs(), checkpointedMs);
    ClientMetrics client = clients.get(timer.getKey());
    if (client != null) {
      if (client.isDirty()) {
        flush();
      }
      keep(client);
      clients.remove(timer.getKey());
      setCurrentKey(timer.getKey());
    }
    if (state.purge(beforeMs)) {
      timers.registerProcessingTimeTimer(
          VoidNamespace.INSTANCE, timer.getTimestamp() + PURGE_STEP_MS);
    }
  }

  @Override
  public void onEventTime(InternalTimer<Address, VoidNamespace> timer) {
    // None is ever registered: nothing depends on how far a watermark got.
  }

  // Checkpoints

  @Override
  public void prepareSnapshotPreBarrier(long checkpointId) {
    flush();
    clients.forEach(this::keep);
  }

  @Override
  public void snapshotState(StateSnapshotContext context) throws Exception {
    super.snapshotState(context);
    checkpoints.put(context.getCheckpointId(), now());
  }

  @Override
  public void notifyCheckpointComplete(long checkpointId) throws Exception {
    super.notifyCheckpointComplete(checkpointId);
    Long beganMs = checkpoints.get(checkpointId);
    checkpoints.headMap(checkpointId, true).clear();
    if (beganMs != null) {
      checkpointedMs = beganMs;
    }
  }

  @Override
  public void finish() throws Exception {
    flush();
    super.finish();
  }

  @Override
  public void close() throws Exception {
    if (reader != null) {
      reader.close();
    }
    super.close();
  }
}
