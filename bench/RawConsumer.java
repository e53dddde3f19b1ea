import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Properties;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Kafka's own Java consumer, alone: reads WARM-UP and then EVENTS records of raw-pings and looks at none. Prints of the
 * EVENTS what stream_bench prints.
 *
 * <p>usage: java -cp KAFKA-CLIENTS RawConsumer.java BROKERS PARTITIONS WARM-UP EVENTS [NAME=VALUE…]
 */
public final class RawConsumer {
  private static final Duration WAIT = Duration.ofMillis(100);
  private static final int SILENCES = 600; // of those waits, then nothing is taken to come any more

  private RawConsumer() {}

  private static long cpuNs() {
    return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
  }

  private static long peakMb() throws Exception {
    return Files.readAllLines(Path.of("/proc/self/status")).stream()
        .filter(line -> line.startsWith("VmHWM"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) / 1024)
        .findFirst()
        .orElse(0);
  }

  public static void main(String[] arguments) throws Exception {
    Properties properties = new Properties();
    properties.setProperty("bootstrap.servers", arguments[0]);
    properties.setProperty("isolation.level", "read_committed");
    properties.setProperty("enable.auto.commit", "false");
    for (int i = 4; i < arguments.length; i++) {
      String[] setting = arguments[i].split("=", 2);
      properties.setProperty(setting[0], setting[1]);
    }
    long warmUp = Long.parseLong(arguments[2]);
    long wanted = warmUp + Long.parseLong(arguments[3]);
    List<TopicPartition> partitions =
        IntStream.range(0, Integer.parseInt(arguments[1])).mapToObj(number -> new TopicPartition("raw-pings", number)).toList();
    try (KafkaConsumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      long read = 0;
      long bytes = 0;
      long beganNs = 0;
      long beganCpuNs = 0;
      for (int silences = 0; read < wanted && silences < SILENCES; silences++) {
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(WAIT)) {
          if (read++ == warmUp) {
            beganNs = System.nanoTime();
            beganCpuNs = cpuNs();
          }
          bytes += record.serializedValueSize();
          silences = 0;
        }
      }
      double seconds = (System.nanoTime() - beganNs) / 1e9;
      if (read < wanted || bytes == 0) {
        throw new IllegalStateException("nothing came for a minute");
      }
      System.out.printf(
          Locale.ROOT,
          "{\"what\":\"java\",\"events\":%d,\"seconds\":%.3f,\"events_per_second\":%.0f,\"cpu_ns_per_event\":%.0f,\"rss_mb\":%d}%n",
          read - warmUp,
          seconds,
          (read - warmUp) / seconds,
          (double) (cpuNs() - beganCpuNs) / (read - warmUp),
          peakMb());
    }
  }
}
