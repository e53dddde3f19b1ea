package ping.metrics.core;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/**
 * Streams of records leave the rows that the vectors say, however often rows are written and
 * forgotten on the way.
 */
class VectorStreamsTest {
  private static final int[] FORGETFULNESS = {0, 3, 50};

  /** A row's place: its client, and the start of its window or day. */
  private record Place(Address client, long startMs) implements Comparable<Place> {
    @Override
    public int compareTo(Place other) {
      return Comparator.comparing(Place::client).thenComparing(Place::startMs).compare(this, other);
    }
  }

  /** What is in the store. */
  private static final class Rows {
    private final Map<Place, WindowRow> windows = new TreeMap<>();
    private final Map<Place, DayRow> days = new TreeMap<>();
    private final Map<Address, ClientRow> clients = new TreeMap<>();
    private final Map<Address, ActivityRow> activities = new TreeMap<>();
    private final Map<String, String> dead = new TreeMap<>();

    static Rows of(JsonNode node) {
      Rows rows = new Rows();
      for (JsonNode one : node.get("windows")) {
        long startMs = one.get("start").asLong();
        rows.windows.put(
            new Place(client(one), startMs),
            new WindowRow(
                startMs,
                one.get("count").asLong(),
                one.get("first").asLong(),
                one.get("last").asLong(),
                one.get("position").asLong()));
      }
      for (JsonNode one : node.get("days")) {
        long startMs = one.get("start").asLong();
        rows.days.put(
            new Place(client(one), startMs),
            new DayRow(startMs, one.get("total").asLong(), one.get("position").asLong()));
      }
      for (JsonNode one : node.get("clients")) {
        rows.clients.put(
            client(one), new ClientRow(one.get("first").asLong(), one.get("last").asLong()));
      }
      return rows;
    }

    private static Address client(JsonNode one) {
      return Address.parse(one.get("client").asText());
    }

    void write(ClientChanges changes) {
      changes
          .windows()
          .forEach(row -> windows.put(new Place(changes.client(), row.startMs()), row));
      changes.days().forEach(row -> days.put(new Place(changes.client(), row.startMs()), row));
      if (changes.row() != null) {
        clients.put(changes.client(), changes.row());
      }
      if (changes.activity() != null) {
        activities.put(changes.client(), changes.activity());
      }
    }

    List<WindowRow> windowsFrom(Address client, long startMs) {
      List<WindowRow> found = new ArrayList<>();
      windows.forEach(
          (place, row) -> {
            if (place.client().equals(client) && place.startMs() >= startMs) {
              found.add(row);
            }
          });
      return found;
    }
  }

  /** Nothing is kept but in the store. */
  private static final class NothingKept implements ClientMetrics.Kept {
    @Override
    public WindowRow window(long startMs) {
      return null;
    }

    @Override
    public DayRow day(long startMs) {
      return null;
    }

    @Override
    public ClientRow client() {
      return null;
    }

    @Override
    public ActivityRow activity() {
      return null;
    }

    @Override
    public Iterable<WindowRow> windows() {
      return List.of();
    }
  }

  /**
   * An engine over the store: rows that are not at hand are read, and now and then all are written
   * and forgotten.
   */
  private static final class Engine {
    private final Rows rows;
    private final JsonNode vector;
    private final long nowMs;
    private final long retentionMs;
    private final int forgets;
    private final Random chance = new Random(8);
    private final Map<Address, ClientMetrics> clients = new HashMap<>();

    Engine(JsonNode vector, int forgets) {
      this.vector = vector;
      this.forgets = forgets;
      rows = Rows.of(vector.get("stored"));
      nowMs = vector.get("now").asLong();
      retentionMs = vector.get("window_retention").asLong();
    }

    Rows run() {
      for (JsonNode one : vector.get("records")) {
        take(
            one.get(0).asInt(),
            one.get(1).asLong(),
            one.get(2).asText().getBytes(StandardCharsets.UTF_8));
      }
      clients.values().forEach(metrics -> rows.write(metrics.collect()));
      return rows;
    }

    private void take(int partition, long offset, byte[] value) {
      try {
        Ping ping =
            EventDecoder.decode(value, Positions.of(vector.get("log_epoch").asLong(), offset));
        if (Partitions.of(ping.client(), vector.get("partitions").asInt()) != partition) {
          throw new MalformedEventException("misplaced");
        }
        apply(ping);
      } catch (MalformedEventException e) {
        rows.dead.put(partition + "/" + offset, e.getMessage());
      }
    }

    private void apply(Ping ping) {
      ClientMetrics metrics =
          clients.computeIfAbsent(
              ping.client(), client -> new ClientMetrics(client, new NothingKept()));
      Address client = ping.client();
      long windowMs = Windows.startOf(ping.pingedAtMs());
      long dayMs = Windows.dayStartOf(ping.pingedAtMs());
      if (!metrics.knowsActivity()) {
        metrics.seedClient(
            rows.clients.get(client),
            rows.windowsFrom(client, Windows.activityStartOf(nowMs)),
            nowMs);
      }
      if (!metrics.knowsWindow(windowMs) && rows.windows.containsKey(new Place(client, windowMs))) {
        metrics.seedWindow(rows.windows.get(new Place(client, windowMs)));
      }
      if (!metrics.knowsDay(dayMs) && rows.days.containsKey(new Place(client, dayMs))) {
        metrics.seedDay(rows.days.get(new Place(client, dayMs)));
      }
      metrics.apply(ping, retentionMs, nowMs);
      if (forgets > 0 && chance.nextInt(forgets) == 0) {
        rows.write(metrics.collect());
        clients.remove(client);
      }
    }
  }

  @TestFactory
  List<DynamicTest> leaveTheRowsOfTheVectors() throws IOException {
    List<DynamicTest> tests = new ArrayList<>();
    for (Path path : Vectors.streams()) {
      for (int forgets : FORGETFULNESS) {
        String name = path.getFileName() + (forgets == 0 ? "" : ", forgetting every " + forgets);
        tests.add(DynamicTest.dynamicTest(name, () -> check(Vectors.read(path), forgets)));
      }
    }
    return tests;
  }

  private static void check(JsonNode vector, int forgets) {
    Rows actual = new Engine(vector, forgets).run();
    JsonNode expected = vector.get("expected");
    Rows wanted = Rows.of(expected);
    assertThat(actual.windows).isEqualTo(wanted.windows);
    assertThat(actual.days).isEqualTo(wanted.days);
    assertThat(actual.clients).isEqualTo(wanted.clients);
    for (JsonNode one : expected.get("windows")) {
      WindowRow row = actual.windows.get(new Place(Rows.client(one), one.get("start").asLong()));
      Double average = one.get("average").isNull() ? null : (Double) one.get("average").asDouble();
      assertThat(row.averageIntervalMs()).isEqualTo(average);
    }
    for (JsonNode one : expected.get("activities")) {
      checkActivity(actual.activities.get(Rows.client(one)), one);
    }
    Map<String, String> dead = new TreeMap<>();
    for (JsonNode one : expected.get("dead")) {
      dead.put(
          one.get("partition").asInt() + "/" + one.get("offset").asLong(),
          one.get("reason").asText());
    }
    assertThat(actual.dead).isEqualTo(dead);
  }

  private static void checkActivity(ActivityRow row, JsonNode one) {
    assertThat(row.count()).isEqualTo(one.get("count").asLong());
    assertThat(row.activeWindows()).isEqualTo(one.get("active").asInt());
    assertThat(row.firstMs()).isEqualTo(one.get("first").asLong());
    assertThat(row.lastMs()).isEqualTo(one.get("last").asLong());
    assertThat(row.busiestStartMs()).isEqualTo(one.get("busiest_start").asLong());
    assertThat(row.busiestCount()).isEqualTo(one.get("busiest_count").asLong());
    assertThat(row.dueMs()).isEqualTo(one.get("due").asLong());
  }
}
