package ping.metrics.store.cql;

import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.DriverException;
import com.datastax.oss.driver.api.core.cql.Row;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import ping.metrics.core.Address;
import ping.metrics.core.Positions;
import ping.metrics.store.Due;
import ping.metrics.store.PartitionRows;

/** The partitions' rows of engine_writers, and their entries of activity_due. */
final class CqlPartitionRows implements PartitionRows {
  private final CqlUrl url;
  private final CqlSession session;
  private final Statements statements;
  private final EngineWriters writers;
  private final int partitionCount;

  CqlPartitionRows(
      CqlUrl url,
      CqlSession session,
      Statements statements,
      EngineWriters writers,
      int partitionCount) {
    this.url = url;
    this.session = session;
    this.statements = statements;
    this.writers = writers;
    this.partitionCount = partitionCount;
  }

  @Override
  public void takeAll() throws IOException {
    writers.takePartitions();
  }

  @Override
  public Map<Integer, Long> positions() throws IOException {
    Map<Integer, Long> positions = new TreeMap<>();
    List<EngineWriters.Writer> all = writers.all();
    writers.check(all);
    for (EngineWriters.Writer writer : all) {
      if (writer.number() >= 0) {
        positions.put(writer.number(), writer.position());
      }
    }
    if (positions.isEmpty()) {
      writers.refuseOrphans();
    }
    for (int partition = 0; partition < partitionCount; partition++) {
      positions.putIfAbsent(partition, Positions.NONE);
    }
    return positions;
  }

  @Override
  public boolean isEmpty() throws IOException {
    return !writers.anyDay();
  }

  @Override
  public void commit(int partition, long position) throws IOException {
    writers.commitPartition(partition, position);
  }

  @Override
  public void release(int partition) throws IOException {
    writers.releasePartition(partition);
  }

  @Override
  public List<Due> due(int partition, long bucketMs, long nowMs, int max) throws IOException {
    try {
      List<Due> dues = new ArrayList<>();
      for (Row row :
          session.execute(
              statements.bind(
                  Statements.Name.LIST_DUE,
                  partition,
                  Rows.time(bucketMs),
                  Rows.time(nowMs),
                  max))) {
        Address client = Rows.address(row.getByteBuffer(1));
        if (client != null) {
          dues.add(new Due(client, Rows.ms(row, 0)));
        }
      }
      return dues;
    } catch (DriverException e) {
      throw new IOException("store: " + e.getMessage(), e);
    }
  }

  @Override
  public void close() {
    Sessions.release(url);
  }
}
