package ping.metrics.job;

import java.io.IOException;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import ping.metrics.core.ClientChanges;
import ping.metrics.store.Lanes;
import ping.metrics.store.MetricsStore;

/** Writes the metrics; the rows of each subtask are fenced in the store. */
public final class MetricsSink implements Sink<ClientChanges> {
  private static final long serialVersionUID = 1;

  private final MetricsStore store;

  /** Into a store. */
  public MetricsSink(MetricsStore store) {
    this.store = store;
  }

  @Override
  public SinkWriter<ClientChanges> createWriter(WriterInitContext context) throws IOException {
    Lanes lanes =
        Lanes.of(
            context.getTaskInfo().getMaxNumberOfParallelSubtasks(),
            context.getTaskInfo().getNumberOfParallelSubtasks(),
            context.getTaskInfo().getIndexOfThisSubtask());
    try {
      return new MetricsSinkWriter(
          store.openWriter(lanes),
          context.getMailboxExecutor(),
          context.getProcessingTimeService(),
          context.metricGroup());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while the rows were taken", e);
    }
  }
}
