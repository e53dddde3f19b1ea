package ping.metrics.job;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.RestartStrategyOptions;
import org.apache.flink.configuration.StateBackendOptions;
import org.apache.flink.runtime.testutils.MiniClusterResourceConfiguration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.test.junit5.MiniClusterExtension;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import ping.metrics.core.Address;
import ping.metrics.core.ClientRow;
import ping.metrics.core.DayRow;
import ping.metrics.core.EventDecoder;
import ping.metrics.core.MalformedEventException;
import ping.metrics.core.Positions;
import ping.metrics.core.WindowRow;
import ping.metrics.types.DeadLetter;
import ping.metrics.types.LogEntries;
import ping.metrics.types.LogEntry;

/**
 * The whole job but for Kafka and CQL, on a small cluster of Flink's: the rows of the vectors, also
 * when a task dies in between.
 */
class TopologyTest {
  private static final int PARTITIONS = 6;

  @RegisterExtension
  static final MiniClusterExtension CLUSTER =
      new MiniClusterExtension(
          new MiniClusterResourceConfiguration.Builder()
              .setNumberTaskManagers(1)
              .setNumberSlotsPerTaskManager(2)
              .build());

  /** Fails after some records, the first few times. */
  private static final class Failing implements MapFunction<LogEntry, LogEntry> {
    private static final long serialVersionUID = 1;
    private static final AtomicInteger left = new AtomicInteger();
    private final int after;
    private int seen;

    Failing(int after) {
      this.after = after;
    }

    @Override
    public LogEntry map(LogEntry entry) throws InterruptedException {
      if (++seen % 20 == 0) {
        Thread.sleep(5); // so that rows are written, and checkpoints made, on the way
      }
      if (seen == after && left.getAndDecrement() > 0) {
        throw new IllegalStateException("dies as it should");
      }
      return entry;
    }
  }

  @ParameterizedTest
  @CsvSource({"hashmap, 1, 0", "hashmap, 2, 2", "rocksdb, 2, 1"})
  void leavesTheRowsOfTheVectors(String backend, int parallelism, int deaths) throws Exception {
    JsonNode vector =
        new ObjectMapper()
            .readTree(
                Path.of(
                        System.getProperty("ping.vectors", "../tests/vectors"),
                        "streams",
                        "many.json")
                    .toFile());
    MemoryStore store = new MemoryStore(backend + parallelism);
    Failing.left.set(deaths);
    run(entries(vector), store, backend, parallelism, deaths);
    MemoryStore.Tables tables = store.tables();
    assertThat(tables.wentBack).isEmpty();
    assertThat(tables.windows).isEqualTo(windows(vector));
    assertThat(tables.days).isEqualTo(days(vector));
    assertThat(tables.clients).isEqualTo(clients(vector));
    assertThat(tables.writes.get()).isGreaterThan(1);
  }

  private static void run(
      List<LogEntry> entries, MemoryStore store, String backend, int parallelism, int deaths)
      throws Exception {
    Configuration configuration = new Configuration();
    configuration.set(StateBackendOptions.STATE_BACKEND, backend);
    configuration.set(RestartStrategyOptions.RESTART_STRATEGY, "fixed-delay");
    configuration.set(RestartStrategyOptions.RESTART_STRATEGY_FIXED_DELAY_ATTEMPTS, deaths);
    configuration.set(
        RestartStrategyOptions.RESTART_STRATEGY_FIXED_DELAY_DELAY, Duration.ofMillis(10));
    configuration.set(CheckpointingOptions.CHECKPOINTING_INTERVAL, Duration.ofMillis(50));
    StreamExecutionEnvironment environment =
        StreamExecutionEnvironment.getExecutionEnvironment(configuration);
    environment.setParallelism(parallelism);
    environment.setMaxParallelism(32);
    environment.getConfig().enableObjectReuse();
    Topology.add(
        environment
            .fromData(entries, LogEntry.TYPE)
            .setParallelism(1)
            .map(new Failing(400))
            .returns(LogEntry.TYPE)
            .setParallelism(1)
            .partitionCustom((partition, count) -> partition % count, LogEntry::partition)
            .map(entry -> new LogEntries(List.of(entry)))
            .returns(LogEntries.TYPE),
        MemoryStore.NO_TAIL,
        store,
        PARTITIONS,
        new MetricsOptions(20, 3_600_000, 0, 7));
    environment.execute();
  }

  private static List<LogEntry> entries(JsonNode vector) {
    List<LogEntry> entries = new ArrayList<>();
    for (JsonNode one : vector.get("records")) {
      int partition = one.get(0).asInt();
      long position = Positions.of(vector.get("log_epoch").asLong(), one.get(1).asLong());
      byte[] value = one.get(2).asText().getBytes(StandardCharsets.UTF_8);
      try {
        entries.add(
            new LogEntry(partition, position, 1, EventDecoder.decode(value, position), null));
      } catch (MalformedEventException e) {
        DeadLetter letter =
            new DeadLetter(null, value, List.of(), e.getMessage(), partition, position);
        entries.add(new LogEntry(partition, position, 1, null, letter));
      }
    }
    return entries;
  }

  private static Map<String, WindowRow> windows(JsonNode vector) {
    Map<String, WindowRow> rows = new TreeMap<>();
    for (JsonNode one : vector.get("expected").get("windows")) {
      long startMs = one.get("start").asLong();
      rows.put(
          one.get("client").asText() + " " + startMs,
          new WindowRow(
              startMs,
              one.get("count").asLong(),
              one.get("first").asLong(),
              one.get("last").asLong(),
              one.get("position").asLong()));
    }
    return rows;
  }

  private static Map<String, DayRow> days(JsonNode vector) {
    Map<String, DayRow> rows = new TreeMap<>();
    for (JsonNode one : vector.get("expected").get("days")) {
      long startMs = one.get("start").asLong();
      rows.put(
          one.get("client").asText() + " " + startMs,
          new DayRow(startMs, one.get("total").asLong(), one.get("position").asLong()));
    }
    return rows;
  }

  private static Map<Address, ClientRow> clients(JsonNode vector) throws IOException {
    Map<Address, ClientRow> rows = new TreeMap<>();
    for (JsonNode one : vector.get("expected").get("clients")) {
      rows.put(
          Address.parse(one.get("client").asText()),
          new ClientRow(one.get("first").asLong(), one.get("last").asLong()));
    }
    return rows;
  }
}
