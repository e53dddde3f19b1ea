package ping.metrics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class JobSettingsTest {
  private static final String[] NEEDED = {
    "--log", "kafka://a:1,b", "--store", "scylla://u:p%40@h,i:9/metrics?timeout=30000"
  };

  private static JobSettings read(String... more) throws JobSettings.WrongException {
    String[] all = new String[NEEDED.length + more.length];
    System.arraycopy(NEEDED, 0, all, 0, NEEDED.length);
    System.arraycopy(more, 0, all, NEEDED.length, more.length);
    return JobSettings.read(all, Map.of());
  }

  @Test
  void readsFlagsAndEnvironmentAndDefaults() throws JobSettings.WrongException {
    JobSettings settings =
        JobSettings.read(
            new String[] {"--log=kafka://a:1,b", "--lanes", "8"},
            Map.of(
                "PING_STORE",
                "scylla://u:p%40@h,i:9/metrics?timeout=30000",
                "PING_LANES",
                "16",
                "PING_LOG_EPOCH",
                "3"));
    assertThat(settings.kafkaBrokers()).isEqualTo("a:1,b");
    assertThat(settings.lanes()).isEqualTo(8);
    assertThat(settings.logEpoch()).isEqualTo(3);
    assertThat(settings.logPartitions()).isEqualTo(6);
    assertThat(settings.milliseconds("window-retention")).isEqualTo(90L * 86_400_000);
    assertThat(settings.storeUrl().hosts()).containsExactly("h:9042", "i:9");
    assertThat(settings.storeUrl().password()).isEqualTo("p@");
    assertThat(settings.storeUrl().timeoutMs()).isEqualTo(30_000);
  }

  @Test
  void takesTheWordsThatPingdTakesForKafka() throws JobSettings.WrongException {
    JobSettings settings =
        read(
            "--kafka",
            "security.protocol=sasl_plaintext",
            "--kafka",
            "sasl.mechanisms=SCRAM-SHA-512",
            "--kafka",
            "sasl.username=ping",
            "--kafka",
            "sasl.password=a\"b");
    assertThat(settings.kafkaProperties())
        .containsEntry("security.protocol", "SASL_PLAINTEXT")
        .containsEntry("sasl.mechanism", "SCRAM-SHA-512")
        .containsEntry(
            "sasl.jaas.config",
            "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"ping\" password=\"a\\\"b\";");
  }

  @Test
  void passesOnWhatKafkasJavaClientsKnow() throws JobSettings.WrongException {
    assertThat(
            read(
                    "--kafka=fetch.max.bytes=1000000",
                    "--kafka=ssl.endpoint.identification.algorithm=none")
                .kafkaProperties())
        .containsEntry("fetch.max.bytes", "1000000")
        .containsEntry("ssl.endpoint.identification.algorithm", "");
  }

  @Test
  void takesEachSettingAsALineOfTheEnvironment() throws JobSettings.WrongException {
    assertThat(
            JobSettings.read(
                    NEEDED,
                    Map.of("PING_KAFKA", "security.protocol=ssl\nssl.ca.location=/ca.pem\n"))
                .kafkaProperties())
        .containsEntry("security.protocol", "SSL")
        .containsEntry("ssl.truststore.type", "PEM")
        .containsEntry("ssl.truststore.location", "/ca.pem");
  }

  @ParameterizedTest
  @CsvSource({
    "--nonsense=1, is no setting",
    "--log=http://a, expected kafka://",
    "--store=cql://a, expected scylla://",
    "--store=scylla://a/Upper, is no keyspace",
    "--store=scylla://a?colour=red, is no option",
    "--lanes=0, is not within 1 and 1024",
    "--window-retention=1h, at least 30h",
    "--flush-interval=2s, 1ms to 1s",
    "--allowed-lateness=5m, at least 30m",
    "--allowed-lateness=soon, is no duration",
    "--store=cql://a, --store: expected",
    "--kafka=nothing, is no NAME=VALUE",
    "--kafka=isolation.level=read_uncommitted, isolation.level is the job's own",
    "--kafka=group.id=mine, group.id is the job's own",
    "--kafka=socket.nagle.disable=true, socket.nagle.disable is no setting",
    "--kafka=ssl.key.location=/nowhere, /nowhere cannot be read",
    "--lanes, lacks its value",
  })
  void refusesWhatIsWrongAndNamesIt(String argument, String words) {
    assertThatThrownBy(() -> read(argument))
        .isInstanceOf(JobSettings.WrongException.class)
        .hasMessageContaining(words);
  }

  @Test
  void neverTellsThePassword() {
    assertThatThrownBy(() -> read("--store=scylla://u:secret%4@h"))
        .hasMessageNotContaining("secret");
  }

  @Test
  void helpNamesEverySetting() {
    JobSettings.names().forEach(name -> assertThat(JobSettings.help()).contains("--" + name));
  }
}
