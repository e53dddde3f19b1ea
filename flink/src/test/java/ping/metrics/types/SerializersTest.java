package ping.metrics.types;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.List;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import ping.metrics.core.Address;
import ping.metrics.core.Ping;
import ping.metrics.store.Found;
import ping.metrics.store.Wanted;

class SerializersTest {
  @ParameterizedTest
  @ValueSource(strings = {"0.0.0.1", "255.255.255.255", "::", "2001:db8::7"})
  void leavesASightingAsItIs(String text) throws IOException {
    Address client = Address.parse(text);
    Ping ping = new Ping(client, 1_728_926_100_001L, 7);
    Found found =
        new Found(
            new Wanted(client, -1, -1, true), 1_728_926_100_002L, null, null, null, List.of(), 3);
    List<Sighting> sightings =
        List.of(
            new Sighting(client, ping, 1_728_926_100_000L, 0, null),
            new Sighting(client, ping, 1_728_926_100_000L, 0, found),
            new Sighting(client, null, 0, 1_728_926_400_000L, found));
    DataOutputSerializer to = new DataOutputSerializer(64);
    for (Sighting one : sightings) {
      SightingSerializer.INSTANCE.serialize(one, to);
    }
    DataInputDeserializer from = new DataInputDeserializer(to.getCopyOfBuffer());
    for (Sighting one : sightings) {
      assertThat(SightingSerializer.INSTANCE.deserialize(from)).isEqualTo(one);
    }
    assertThat(from.available()).isZero();
  }

  @Test
  void leavesAPackAsItIs() throws IOException {
    Address one = Address.parse("10.0.0.1");
    Address other = Address.parse("2001:db8::7");
    Sightings pack =
        new Sightings(
            List.of(
                new Sighting(
                    one, new Ping(one, 1_728_926_100_001L, 7), 1_728_926_100_000L, 0, null),
                new Sighting(other, null, 0, 1_728_926_400_000L, null)));
    DataOutputSerializer to = new DataOutputSerializer(64);
    SightingsSerializer.INSTANCE.serialize(pack, to);
    DataInputDeserializer from = new DataInputDeserializer(to.getCopyOfBuffer());
    assertThat(SightingsSerializer.INSTANCE.deserialize(from)).isEqualTo(pack);
    assertThat(from.available()).isZero();
  }

  @Test
  void leavesEntriesOfTheLogAsTheyAre() throws IOException {
    Address client = Address.parse("10.0.0.1");
    DeadLetter letter = new DeadLetter(null, null, List.of(), "misplaced", 3, 9);
    LogEntries entries =
        new LogEntries(
            List.of(
                new LogEntry(2, 8, 1_728_926_100_000L, new Ping(client, 7, 8), null),
                new LogEntry(3, 9, 1_728_926_100_000L, null, letter)));
    DataOutputSerializer to = new DataOutputSerializer(64);
    LogEntriesSerializer.INSTANCE.serialize(entries, to);
    DataInputDeserializer from = new DataInputDeserializer(to.getCopyOfBuffer());
    assertThat(LogEntriesSerializer.INSTANCE.deserialize(from)).isEqualTo(entries);
    assertThat(from.available()).isZero();
  }
}
