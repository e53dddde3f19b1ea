package ping.metrics.job;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.apache.flink.api.common.state.KeyedStateStore;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import ping.metrics.core.ActivityRow;
import ping.metrics.core.Address;
import ping.metrics.core.ClientMetrics;
import ping.metrics.core.ClientRow;
import ping.metrics.core.DayRow;
import ping.metrics.core.WindowRow;
import ping.metrics.types.Kept;

/**
 * The rows of the current client in Flink's state: a copy of what is in the store, so that it
 * needn't be read again.
 */
final class KeptState {
  private final MapState<Long, Kept.Window> windows;
  private final MapState<Long, Kept.Day> days;
  private final ValueState<Kept.Client> client;
  private final Consumer<Address> select;

  /**
   * In {@code states}.
   *
   * @param select makes a client the one whose state is meant: nothing else does, so that a ping
   *     whose rows are at hand costs no look at the state
   */
  KeptState(KeyedStateStore states, Consumer<Address> select) {
    this.select = select;
    windows = states.getMapState(new MapStateDescriptor<>("windows", Types.LONG, Kept.Window.TYPE));
    days = states.getMapState(new MapStateDescriptor<>("days", Types.LONG, Kept.Day.TYPE));
    client = states.getState(new ValueStateDescriptor<>("client", Kept.Client.TYPE));
  }

  /** State lies on disk or in memory: a failure of either ends the task. */
  private interface Access<T> {
    T get() throws Exception;
  }

  private static <T> T of(Access<T> access) {
    try {
      return access.get();
    } catch (Exception e) {
      throw new IllegalStateException("the state of a client cannot be read or written", e);
    }
  }

  /** The rows of a client, whichever is the current one. */
  ClientMetrics.Kept of(Address owner) {
    return new OfClient(owner);
  }

  private final class OfClient implements ClientMetrics.Kept {
    private final Address owner;

    OfClient(Address owner) {
      this.owner = owner;
    }

    @Override
    public WindowRow window(long startMs) {
      select.accept(owner);
      Kept.Window kept = KeptState.of(() -> windows.get(startMs));
      return kept == null ? null : kept.row();
    }

    @Override
    public DayRow day(long startMs) {
      select.accept(owner);
      Kept.Day kept = KeptState.of(() -> days.get(startMs));
      return kept == null ? null : kept.row();
    }

    @Override
    public ClientRow client() {
      select.accept(owner);
      Kept.Client kept = KeptState.of(client::value);
      return kept == null ? null : kept.row();
    }

    @Override
    public ActivityRow activity() {
      select.accept(owner);
      Kept.Client kept = KeptState.of(client::value);
      return kept == null ? null : kept.activity();
    }

    @Override
    public Iterable<WindowRow> windows() {
      select.accept(owner);
      List<WindowRow> rows = new ArrayList<>();
      for (Kept.Window kept : KeptState.of(windows::values)) {
        rows.add(kept.row());
      }
      return rows;
    }
  }

  /** Keeps what changed since it was kept last; its client is the current one then. */
  void put(ClientMetrics metrics, long nowMs) {
    select.accept(metrics.client());
    of(
        () -> {
          for (WindowRow row : metrics.unkeptWindows()) {
            windows.put(row.startMs(), new Kept.Window(row, nowMs));
          }
          for (DayRow row : metrics.unkeptDays()) {
            days.put(row.startMs(), new Kept.Day(row, nowMs));
          }
          client.update(new Kept.Client(metrics.row(), metrics.activity()));
          return null;
        });
    metrics.noteKept();
  }

  /**
   * Drops of the current client what has not changed since {@code beforeMs}; true where something
   * is left.
   */
  boolean purge(long beforeMs) {
    return of(
        () -> {
          boolean left = false;
          for (Iterator<Map.Entry<Long, Kept.Window>> all = windows.iterator(); all.hasNext(); ) {
            if (all.next().getValue().changedMs() <= beforeMs) {
              all.remove();
            } else {
              left = true;
            }
          }
          for (Iterator<Map.Entry<Long, Kept.Day>> all = days.iterator(); all.hasNext(); ) {
            if (all.next().getValue().changedMs() <= beforeMs) {
              all.remove();
            } else {
              left = true;
            }
          }
          if (windows.isEmpty()) {
            windows.clear(); // in memory an empty map would stay for ever
          }
          if (days.isEmpty()) {
            days.clear();
          }
          if (!left) {
            client.clear();
          }
          return left;
        });
  }
}
