package ping.metrics.core;

/** A {@link DayRow} while pings come in. */
final class OpenDay {
  final long startMs;
  long total;
  long position = Positions.NONE;

  /** To be written; to be kept. */
  boolean dirty;

  boolean unkept;

  /** Without a ping. */
  OpenDay(long startMs) {
    this.startMs = startMs;
  }

  OpenDay(DayRow row) {
    this(row.startMs());
    set(row);
  }

  /** As the row is. */
  void set(DayRow row) {
    total = row.total();
    position = row.position();
  }

  DayRow toRow() {
    return new DayRow(startMs, total, position);
  }
}
