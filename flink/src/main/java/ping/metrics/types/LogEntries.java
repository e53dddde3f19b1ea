package ping.metrics.types;

import java.util.List;
import org.apache.flink.api.common.typeinfo.TypeInformation;

/**
 * Records of the log that go through the source's task together, in their order.
 *
 * @param all at least one; it may be filled anew once whoever was given it returns
 */
public record LogEntries(List<LogEntry> all) {
  /** Its type. */
  public static final TypeInformation<LogEntries> TYPE =
      new ImmutableType<>(LogEntries.class, LogEntriesSerializer.INSTANCE);
}
