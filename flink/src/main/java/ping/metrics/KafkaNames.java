package ping.metrics;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/**
 * librdkafka's names for TLS and SASL, as pingd takes them, in the words of Kafka's Java clients.
 * Others stay as they are.
 */
final class KafkaNames {
  private KafkaNames() {}

  static Map<String, String> translate(Map<String, String> given)
      throws JobSettings.WrongException {
    Map<String, String> java = new LinkedHashMap<>();
    for (Map.Entry<String, String> one : given.entrySet()) {
      String value = one.getValue();
      switch (one.getKey()) {
        case "security.protocol" -> java.put("security.protocol", value.toUpperCase(Locale.ROOT));
        case "sasl.mechanisms" -> java.put("sasl.mechanism", value);
        case "sasl.username", "sasl.password" -> {}
        case "ssl.ca.location" -> {
          java.put("ssl.truststore.type", "PEM");
          java.put("ssl.truststore.location", value);
        }
        case "ssl.certificate.location" -> {
          java.put("ssl.keystore.type", "PEM");
          java.put("ssl.keystore.certificate.chain", read(one.getKey(), value));
        }
        case "ssl.key.location" -> java.put("ssl.keystore.key", read(one.getKey(), value));
        default -> java.put(one.getKey(), value);
      }
    }
    if (given.containsKey("sasl.username")) {
      String module =
          java.getOrDefault("sasl.mechanism", "PLAIN").startsWith("SCRAM")
              ? "org.apache.kafka.common.security.scram.ScramLoginModule"
              : "org.apache.kafka.common.security.plain.PlainLoginModule";
      java.put(
          "sasl.jaas.config",
          module
              + " required username=\""
              + quoted(given.get("sasl.username"))
              + "\" password=\""
              + quoted(given.getOrDefault("sasl.password", ""))
              + "\";");
    }
    return java;
  }

  private static String quoted(String value) {
    return value.replace("\\", "\\\\").replace("\"", "\\\"");
  }

  private static String read(String name, String file) throws JobSettings.WrongException {
    try {
      return Files.readString(Path.of(file));
    } catch (IOException e) {
      throw new JobSettings.WrongException("--kafka " + name + ": " + file + " cannot be read");
    }
  }
}
