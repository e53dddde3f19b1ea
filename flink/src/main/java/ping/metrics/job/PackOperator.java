package ping.metrics.job;

import java.util.ArrayList;
import java.util.List;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.operators.StreamOperatorParameters;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import ping.metrics.store.Lanes;
import ping.metrics.types.Sighting;
import ping.metrics.types.Sightings;

/**
 * Packs what goes to the same lane: a record that goes from task to task costs much more than what
 * is in it. All of a lane stays in order, nothing waits longer than {@link #MAX_WAIT_MS}, and
 * nothing waits when a barrier passes, so nothing of it is in a checkpoint.
 */
final class PackOperator extends AbstractStreamOperator<Sightings>
    implements OneInputStreamOperator<Sighting, Sightings> {
  /** Sightings of a pack: at most 65,535, as they are written. */
  static final int MAX_SIGHTINGS = 32;

  static final long MAX_WAIT_MS = 20;
  private static final long serialVersionUID = 1;

  private transient Lanes lanes;
  private transient List<List<Sighting>> packs;
  private transient boolean scheduled;
  private transient StreamRecord<Sightings> reused;

  PackOperator(StreamOperatorParameters<Sightings> parameters) {
    super(parameters);
  }

  @Override
  public void open() throws Exception {
    super.open();
    lanes = Lanes.of(getRuntimeContext().getTaskInfo().getMaxNumberOfParallelSubtasks(), 1, 0);
    packs = new ArrayList<>(lanes.count());
    for (int lane = 0; lane < lanes.count(); lane++) {
      packs.add(new ArrayList<>(MAX_SIGHTINGS));
    }
    reused = new StreamRecord<>(null);
  }

  @Override
  public void processElement(StreamRecord<Sighting> element) {
    Sighting sighting = element.getValue();
    List<Sighting> pack = packs.get(lanes.of(sighting.client()));
    pack.add(sighting);
    if (pack.size() == MAX_SIGHTINGS) {
      send(pack);
    } else if (!scheduled) {
      scheduled = true;
      long nowMs = getProcessingTimeService().getCurrentProcessingTime();
      getProcessingTimeService().registerTimer(nowMs + MAX_WAIT_MS, time -> sendAll());
    }
  }

  /** Whoever takes it has written it down when this returns. */
  private void send(List<Sighting> pack) {
    output.collect(reused.replace(new Sightings(pack)));
    pack.clear();
  }

  private void sendAll() {
    scheduled = false;
    for (List<Sighting> pack : packs) {
      if (!pack.isEmpty()) {
        send(pack);
      }
    }
  }

  @Override
  public void prepareSnapshotPreBarrier(long checkpointId) {
    sendAll();
  }

  @Override
  public void finish() throws Exception {
    sendAll();
    super.finish();
  }
}
