package ping.metrics.core;

/** A {@link WindowRow} while pings come in. */
final class OpenWindow {
  final long startMs;
  long count;
  long firstMs;
  long lastMs;
  long position = Positions.NONE;

  /** Pings in it that the client's activity doesn't know of yet. */
  long added;

  /** To be written; to be kept. */
  boolean dirty;

  boolean unkept;

  /** Without a ping. */
  OpenWindow(long startMs) {
    this.startMs = startMs;
  }

  OpenWindow(WindowRow row) {
    this(row.startMs());
    set(row);
  }

  /** As the row is. */
  void set(WindowRow row) {
    count = row.count();
    firstMs = row.firstMs();
    lastMs = row.lastMs();
    position = row.position();
  }

  WindowRow toRow() {
    return new WindowRow(startMs, count, firstMs, lastMs, position);
  }
}
