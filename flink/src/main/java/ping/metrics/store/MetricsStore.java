package ping.metrics.store;

import java.io.IOException;
import java.io.Serializable;

/** Where the metrics are kept: opened by each task for itself. */
public interface MetricsStore extends Serializable {
  /** To read rows. */
  RowReader openReader() throws IOException;

  /**
   * To write the rows of some clients. Whoever wrote them before is fenced when it returns.
   *
   * @param lanes which clients
   */
  RowWriter openWriter(Lanes lanes) throws IOException, InterruptedException;

  /** The partitions' rows. */
  PartitionRows openPartitions() throws IOException;
}
