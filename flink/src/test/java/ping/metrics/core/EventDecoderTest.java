package ping.metrics.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

class EventDecoderTest {
  @TestFactory
  List<DynamicTest> decodesAsTheVectorsSay() {
    List<DynamicTest> tests = new ArrayList<>();
    for (JsonNode one : Vectors.decode().get("cases")) {
      byte[] value = Vectors.value(one);
      String name = "value " + new String(value, StandardCharsets.UTF_8);
      if (one.has("reason")) {
        tests.add(
            DynamicTest.dynamicTest(
                name,
                () ->
                    assertThatThrownBy(() -> EventDecoder.decode(value, 7))
                        .isInstanceOf(MalformedEventException.class)
                        .hasMessage(one.get("reason").asText())));
        continue;
      }
      Ping wanted =
          new Ping(Address.parse(one.get("client").asText()), one.get("pinged_at_ms").asLong(), 7);
      tests.add(
          DynamicTest.dynamicTest(
              name,
              () -> {
                assertThat(EventDecoder.decode(value, 7)).isEqualTo(wanted);
                assertThat(EventDecoder.decodeStrictly(value, 7)).isEqualTo(wanted);
                assertThat(wanted.client()).hasToString(one.get("client").asText());
              }));
    }
    return tests;
  }

  @Test
  void takesNoValueForAnEmptyOne() {
    assertThatThrownBy(() -> EventDecoder.decode(null, 0)).hasMessage("not a JSON object");
  }

  @Test
  void agreesWithItselfOnBrokenValues() {
    Random chance = new Random(20241014);
    for (String client : List.of("2001:db8::7", "1.2.3.4", "203.0.113.72", "255.250.199.100")) {
      agreesOnWhatIsLike(client, chance);
    }
  }

  private static void agreesOnWhatIsLike(String client, Random chance) {
    byte[] value =
        ("{\"ClientIP\":\"" + client + "\",\"Timestamp\":\"2024-10-14T15:45:31.123Z\"}")
            .getBytes(StandardCharsets.UTF_8);
    byte[] bytes = "\"\\{}[]:%.-+Z09af \u007f".getBytes(StandardCharsets.UTF_8);
    for (int i = 0; i < 50_000; i++) {
      byte[] broken = value.clone();
      for (int k = chance.nextInt(3); k >= 0; k--) {
        broken[chance.nextInt(broken.length)] = bytes[chance.nextInt(bytes.length)];
      }
      if (!outcome(broken, false).equals(outcome(broken, true))) {
        fail("the two disagree on " + new String(broken, StandardCharsets.UTF_8));
      }
    }
  }

  private static Object outcome(byte[] value, boolean strictly) {
    try {
      return strictly ? EventDecoder.decodeStrictly(value, 1) : EventDecoder.decode(value, 1);
    } catch (MalformedEventException e) {
      return e.getMessage();
    }
  }
}
