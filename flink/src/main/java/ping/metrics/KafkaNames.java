package ping.metrics;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;

/**
 * librdkafka's names for TLS and SASL, as pingd takes them, in the words of Kafka's Java clients.
 * Others are those clients' own.
 */
final class KafkaNames {
  /** What the promise of exactly once, or the job's own doing, rests on. */
  private static final Set<String> RESERVED =
      Set.of(
          "bootstrap.servers",
          "metadata.broker.list",
          "group.id",
          "group.protocol",
          "isolation.level",
          "enable.auto.commit",
          "auto.offset.reset",
          "key.deserializer",
          "value.deserializer",
          "key.serializer",
          "value.serializer",
          "transactional.id",
          "enable.idempotence",
          "acks",
          "retries",
          "partition.discovery.interval.ms",
          "commit.offsets.on.checkpoint");

  private KafkaNames() {}

  private static boolean isKnown(String name) {
    return ConsumerConfig.configNames().contains(name)
        || ProducerConfig.configNames().contains(name)
        || AdminClientConfig.configNames().contains(name);
  }

  static Map<String, String> translate(Map<String, String> given)
      throws JobSettings.WrongException {
    Map<String, String> java = new LinkedHashMap<>();
    for (Map.Entry<String, String> one : given.entrySet()) {
      String value = one.getValue();
      switch (one.getKey()) {
        case "security.protocol" -> java.put("security.protocol", value.toUpperCase(Locale.ROOT));
        case "sasl.mechanisms", "sasl.mechanism" -> java.put("sasl.mechanism", value);
        case "ssl.endpoint.identification.algorithm" ->
            java.put(one.getKey(), value.equals("none") ? "" : value);
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
        default -> java.put(checked(one.getKey()), value);
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

  private static String checked(String name) throws JobSettings.WrongException {
    if (RESERVED.contains(name)) {
      throw new JobSettings.WrongException(
          "--kafka: " + name + " is the job's own to set; leave it out");
    }
    if (!isKnown(name)) {
      throw new JobSettings.WrongException(
          "--kafka: "
              + name
              + " is no setting of Kafka's Java clients, and none of librdkafka's that the job knows (those for TLS and"
              + " SASL)");
    }
    return name;
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
