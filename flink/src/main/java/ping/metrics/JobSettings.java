package ping.metrics;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import ping.metrics.store.cql.CqlUrl;

/**
 * What the job is told: by flags, else by the environment (PING_ and the name in capitals, - as _),
 * with pingd's names.
 */
public final class JobSettings {
  private static final Pattern BROKERS = Pattern.compile("kafka://([^/@?#\\s\\\\]+)");
  private static final Pattern DURATION = Pattern.compile("(\\d{1,9})(ms|s|m|h|d)");
  private static final long DAY_MS = 86_400_000L;
  private static final long HOUR_MS = 3_600_000L;

  /** A setting: its name, what it is without being set, what it does. */
  private record Setting(String name, String initial, String form, String help) {}

  private static final List<Setting> SETTINGS =
      List.of(
          new Setting("log", "", "URL", "kafka://HOST:PORT,…: where raw-pings is. Needed."),
          new Setting(
              "store",
              "",
              "URL",
              "scylla://USER:PASSWORD@HOST:PORT,…/KEYSPACE?NAME=VALUE: where the metrics are kept; its tables are"
                  + " made by pingctl migrate. Needed. none:// throws them away, to measure."),
          new Setting("log-partitions", "6", "NUMBER", "Partitions of raw-pings."),
          new Setting(
              "log-epoch",
              "0",
              "NUMBER",
              "Which life of the log this is, as the publishers have it."),
          new Setting(
              "kafka",
              "",
              "NAME=VALUE",
              "A setting of Kafka's Java clients, or of those of librdkafka's that pingd takes for TLS and SASL; may be"
                  + " given many times; in the environment one a line."),
          new Setting(
              "group",
              "ping-metrics",
              "NAME",
              "The consumer group whose offsets follow checkpoints."),
          new Setting(
              "window-retention",
              "90d",
              "DURATION",
              "How long windows are kept after they end; 0: for ever."),
          new Setting(
              "flush-interval",
              "500ms",
              "DURATION",
              "How often changed rows are written; 1s at most."),
          new Setting(
              "allowed-lateness",
              "1h",
              "DURATION",
              "How long a row that does not change stays in Flink's state; 30m at least. Later pings read it again."),
          new Setting(
              "checkpoint-interval",
              "10s",
              "DURATION",
              "How often the state is kept, and offsets committed."),
          new Setting(
              "lanes",
              "32",
              "NUMBER",
              "Into how many parts clients are shared out: the greatest parallelism there can ever be. Stays as it is"
                  + " for the life of a savepoint."));

  private final Map<String, String> values;

  private JobSettings(Map<String, String> values) {
    this.values = values;
  }

  /** Wrong settings: the message says which, and how they should be. */
  public static final class WrongException extends Exception {
    private static final long serialVersionUID = 1;

    WrongException(String message) {
      super(message);
    }
  }

  /** Whether the arguments ask for the help text. */
  public static boolean asksForHelp(String[] arguments) {
    return List.of(arguments).contains("--help");
  }

  /** The help text. */
  public static String help() {
    StringBuilder text =
        new StringBuilder(
            """
            usage: flink run ping-metrics.jar --log kafka://HOST:PORT,… --store scylla://HOST:PORT,…/KEYSPACE [--NAME VALUE…]

            Makes the metrics of the pings in Kafka's raw-pings: what pingd's own engine makes, on a Flink cluster. Each setting
            may stand in the environment instead: PING_ and the name in capitals, - as _. A DURATION is 500ms, 30s, 5m, 24h or 90d.
            What is Flink's (parallelism, where checkpoints lie, restarts, metrics) is set as for any job of Flink's.

            """);
    for (Setting setting : SETTINGS) {
      text.append("  --").append(setting.name).append(' ').append(setting.form);
      text.append(setting.initial.isEmpty() ? "" : " (" + setting.initial + ")").append('\n');
      text.append("        ").append(setting.help).append('\n');
    }
    return text.toString();
  }

  /** Reads and checks all. */
  public static JobSettings read(String[] arguments, Map<String, String> environment)
      throws WrongException {
    Map<String, String> values = new LinkedHashMap<>();
    for (Setting setting : SETTINGS) {
      String name = "PING_" + setting.name.toUpperCase(Locale.ROOT).replace('-', '_');
      values.put(setting.name, environment.getOrDefault(name, setting.initial));
    }
    boolean kafkaSeen = false;
    for (int i = 0; i < arguments.length; i++) {
      String argument = arguments[i];
      int equals = argument.indexOf('=');
      boolean flag = argument.startsWith("--");
      String name =
          flag ? argument.substring(2, equals < 0 ? argument.length() : equals) : argument;
      if (!flag || !values.containsKey(name)) {
        throw new WrongException("\"" + argument + "\" is no setting; --help lists them");
      }
      if (equals < 0 && i + 1 == arguments.length) {
        throw new WrongException("--" + name + " lacks its value");
      }
      String value = equals < 0 ? arguments[++i] : argument.substring(equals + 1);
      if (name.equals("kafka")) {
        value = kafkaSeen ? values.get(name) + "\n" + value : value;
        kafkaSeen = true;
      }
      values.put(name, value);
    }
    JobSettings settings = new JobSettings(values);
    settings.check();
    return settings;
  }

  private void check() throws WrongException {
    if (values.get("log").isEmpty() || values.get("store").isEmpty()) {
      throw new WrongException(
          "--log kafka://HOST:PORT,… and --store scylla://HOST:PORT,…/KEYSPACE are needed; --help lists all settings");
    }
    brokers();
    kafka();
    number("log-partitions", 1, 10_000);
    number("log-epoch", 0, 32_767);
    number("lanes", 1, 1024);
    if (!discards()) {
      store();
    }
    long retentionMs = duration("window-retention");
    if (retentionMs != 0 && retentionMs < 30 * HOUR_MS) {
      throw new WrongException("--window-retention: at least 30h, or 0 for ever");
    }
    if (duration("flush-interval") < 1 || duration("flush-interval") > 1000) {
      throw new WrongException("--flush-interval: 1ms to 1s");
    }
    if (duration("allowed-lateness") < HOUR_MS / 2) {
      throw new WrongException("--allowed-lateness: at least 30m");
    }
    if (duration("checkpoint-interval") < 100) {
      throw new WrongException("--checkpoint-interval: at least 100ms");
    }
  }

  private int number(String name, int least, int most) throws WrongException {
    String value = values.get(name);
    int number = value.matches("\\d{1,9}") ? Integer.parseInt(value) : -1;
    if (number < least || number > most) {
      throw new WrongException(
          "--" + name + ": \"" + value + "\" is not within " + least + " and " + most);
    }
    return number;
  }

  private long duration(String name) throws WrongException {
    String value = values.get(name);
    Matcher matcher = DURATION.matcher(value);
    if (value.equals("0")) {
      return 0;
    }
    if (!matcher.matches()) {
      throw new WrongException(
          "--" + name + ": \"" + value + "\" is no duration such as 500ms, 30s, 5m, 24h or 90d");
    }
    long count = Long.parseLong(matcher.group(1));
    return switch (matcher.group(2)) {
      case "ms" -> count;
      case "s" -> count * 1000;
      case "m" -> count * 60_000;
      case "h" -> count * HOUR_MS;
      default -> count * DAY_MS;
    };
  }

  private static <T> T sure(Checked<T> checked) {
    try {
      return checked.get();
    } catch (WrongException e) {
      throw new IllegalStateException("it was checked when it was read", e);
    }
  }

  private interface Checked<T> {
    T get() throws WrongException;
  }

  private String brokers() throws WrongException {
    Matcher matcher = BROKERS.matcher(values.get("log"));
    if (!matcher.matches()) {
      throw new WrongException(
          "--log: expected kafka://HOST:PORT,HOST:PORT… (user and password are set by --kafka)");
    }
    return matcher.group(1);
  }

  /** Kafka's settings, with pingd's names for TLS and SASL translated. */
  private Properties kafka() throws WrongException {
    Properties properties = new Properties();
    Map<String, String> given = new LinkedHashMap<>();
    for (String line : values.get("kafka").split("\n", -1)) {
      if (line.isBlank()) {
        continue;
      }
      int equals = line.indexOf('=');
      if (equals < 1) {
        throw new WrongException("--kafka: \"" + line.split("=", 2)[0] + "\" is no NAME=VALUE");
      }
      given.put(line.substring(0, equals).trim(), line.substring(equals + 1).trim());
    }
    KafkaNames.translate(given).forEach(properties::setProperty);
    return properties;
  }

  private CqlUrl store() throws WrongException {
    try {
      return CqlUrl.parse(values.get("store"));
    } catch (IllegalArgumentException e) {
      throw new WrongException("--store: " + e.getMessage());
    }
  }

  /** HOST:PORT,… of Kafka. */
  public String kafkaBrokers() {
    return sure(this::brokers);
  }

  /** Settings of Kafka's clients. */
  public Properties kafkaProperties() {
    return sure(this::kafka);
  }

  /** Where the metrics are kept. */
  public CqlUrl storeUrl() {
    return sure(this::store);
  }

  /** Whether the metrics are thrown away. */
  public boolean discards() {
    return values.get("store").equals("none://");
  }

  /** Partitions of the log. */
  public int logPartitions() {
    return sure(() -> number("log-partitions", 1, 10_000));
  }

  /** Life of the log. */
  public int logEpoch() {
    return sure(() -> number("log-epoch", 0, 32_767));
  }

  /** Parts of the clients. */
  public int lanes() {
    return sure(() -> number("lanes", 1, 1024));
  }

  /** Of a duration, in milliseconds. */
  public long milliseconds(String name) {
    return sure(() -> duration(name));
  }

  /** The consumer group. */
  public String group() {
    return values.get("group");
  }

  /** Names of all settings. */
  static List<String> names() {
    List<String> names = new ArrayList<>();
    SETTINGS.forEach(setting -> names.add(setting.name));
    return names;
  }
}
