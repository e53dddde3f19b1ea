package ping.metrics.store;

import org.apache.flink.runtime.state.KeyGroupRange;
import org.apache.flink.runtime.state.KeyGroupRangeAssignment;
import ping.metrics.core.Address;

/**
 * The clients are shared out over a fixed number of lanes, Flink's key groups; a subtask has a run
 * of them. Each lane is owned through a row of its own in engine_writers, so that whoever gets a
 * lane, after a restart or with another parallelism, fences just those that may have written it.
 *
 * @param count all there are
 * @param first of this subtask's
 * @param last of this subtask's, included
 */
public record Lanes(int count, int first, int last) {
  /** Of a subtask. */
  public static Lanes of(int maxParallelism, int parallelism, int subtask) {
    KeyGroupRange range =
        KeyGroupRangeAssignment.computeKeyGroupRangeForOperatorIndex(
            maxParallelism, parallelism, subtask);
    return new Lanes(maxParallelism, range.getStartKeyGroup(), range.getEndKeyGroup());
  }

  /** The client's. */
  public int of(Address client) {
    return KeyGroupRangeAssignment.assignToKeyGroup(client, count);
  }

  /** Whether this subtask has it. */
  public boolean has(int lane) {
    return lane >= first && lane <= last;
  }

  /** The key of a lane's row in engine_writers: below those of the partitions, which begin at 0. */
  public static int writerOf(int lane) {
    return -1 - lane;
  }
}
