package ping.metrics.core;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;

/** The vectors in tests/vectors, which the native engine's tests read too. */
final class Vectors {
  private static final Path FOLDER =
      Path.of(System.getProperty("ping.vectors", "../tests/vectors"));

  private Vectors() {}

  static JsonNode read(Path path) {
    try {
      return new ObjectMapper().readTree(path.toFile());
    } catch (IOException e) {
      throw new IllegalStateException(path.toString(), e);
    }
  }

  static JsonNode decode() {
    return read(FOLDER.resolve("decode.json"));
  }

  static List<Path> streams() throws IOException {
    try (Stream<Path> files = Files.list(FOLDER.resolve("streams"))) {
      return files.sorted().toList();
    }
  }

  static byte[] value(JsonNode one) {
    return one.has("hex")
        ? HexFormat.of().parseHex(one.get("hex").asText())
        : one.get("value").asText().getBytes(StandardCharsets.UTF_8);
  }
}
