package ping.metrics.job;

import org.apache.flink.api.common.operators.ProcessingTimeService;

/**
 * The time as it was at most 100 ms ago, for what is done with each ping: to ask for the time has
 * the processor wait for all it has under way, which took a quarter of a task's time.
 *
 * <p>It goes on between pings, and a ping that waited for its rows sets it right first: it is never
 * behind the time at which the rows of a ping were asked for.
 */
final class CoarseClock {
  private static final long STEP_MS = 100;

  private final ProcessingTimeService time;
  private long nowMs;

  CoarseClock(ProcessingTimeService time) {
    this.time = time;
    tick();
  }

  private void tick() {
    setRight();
    time.registerTimer(nowMs + STEP_MS, at -> tick());
  }

  long nowMs() {
    return nowMs;
  }

  void setRight() {
    nowMs = time.getCurrentProcessingTime();
  }
}
