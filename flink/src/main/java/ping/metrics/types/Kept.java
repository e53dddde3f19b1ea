package ping.metrics.types;

import org.apache.flink.api.common.typeinfo.TypeInformation;
import ping.metrics.core.ActivityRow;
import ping.metrics.core.ClientRow;
import ping.metrics.core.DayRow;
import ping.metrics.core.WindowRow;

/** Rows as they lie in the state of a client, with the time of their last change. */
public final class Kept {
  private Kept() {}

  /** A window. */
  public record Window(WindowRow row, long changedMs) {
    /** Its type. */
    public static final TypeInformation<Window> TYPE =
        new ImmutableType<>(Window.class, KeptWindowSerializer.INSTANCE);
  }

  /** A day. */
  public record Day(DayRow row, long changedMs) {
    /** Its type. */
    public static final TypeInformation<Day> TYPE =
        new ImmutableType<>(Day.class, KeptDaySerializer.INSTANCE);
  }

  /** The client itself. */
  public record Client(ClientRow row, ActivityRow activity) {
    /** Its type. */
    public static final TypeInformation<Client> TYPE =
        new ImmutableType<>(Client.class, KeptClientSerializer.INSTANCE);
  }
}
