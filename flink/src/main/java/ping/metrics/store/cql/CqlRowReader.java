package ping.metrics.store.cql;

import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.cql.AsyncResultSet;
import com.datastax.oss.driver.api.core.cql.Row;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import ping.metrics.core.Address;
import ping.metrics.core.ClientRow;
import ping.metrics.core.WindowRow;
import ping.metrics.core.Windows;
import ping.metrics.store.Found;
import ping.metrics.store.RowReader;
import ping.metrics.store.Wanted;

/** Reads rows, all that is wanted of a client at once. */
final class CqlRowReader implements RowReader {
  private final CqlUrl url;
  private final CqlSession session;
  private final Statements statements;

  CqlRowReader(CqlUrl url, CqlSession session, Statements statements) {
    this.url = url;
    this.session = session;
    this.statements = statements;
  }

  @Override
  public CompletionStage<Found> read(Wanted wanted, long nowMs) {
    Address client = wanted.client();
    String text = client.toString();
    CompletableFuture<Row> window =
        wanted.windowMs() == Wanted.NOTHING
            ? nothing()
            : one(Statements.Name.FIND_WINDOW, text, Rows.time(wanted.windowMs()));
    CompletableFuture<Row> day =
        wanted.dayMs() == Wanted.NOTHING
            ? nothing()
            : one(Statements.Name.FIND_DAY, text, Rows.date(wanted.dayMs()));
    CompletableFuture<Row> row =
        wanted.activity()
            ? one(Statements.Name.FIND_CLIENT, Rows.shardOf(client), Rows.bytes(client))
            : nothing();
    CompletableFuture<List<Row>> recent =
        wanted.activity()
            ? all(Statements.Name.WINDOWS_FROM, text, Rows.time(Windows.activityStartOf(nowMs)))
            : CompletableFuture.completedFuture(List.of());
    return CompletableFuture.allOf(window, day, row, recent)
        .thenApply(
            done -> found(wanted, nowMs, window.join(), day.join(), row.join(), recent.join()));
  }

  private static <T> CompletableFuture<T> nothing() {
    return CompletableFuture.completedFuture(null);
  }

  private CompletableFuture<Row> one(Statements.Name name, Object... values) {
    return session
        .executeAsync(statements.bind(name, values))
        .toCompletableFuture()
        .thenApply(AsyncResultSet::one);
  }

  private CompletableFuture<List<Row>> all(Statements.Name name, Object... values) {
    List<Row> rows = new ArrayList<>();
    return session
        .executeAsync(statements.bind(name, values))
        .thenCompose(page -> more(page, rows))
        .toCompletableFuture();
  }

  private static CompletionStage<List<Row>> more(AsyncResultSet page, List<Row> rows) {
    page.currentPage().forEach(rows::add);
    return page.hasMorePages()
        ? page.fetchNextPage().thenCompose(next -> more(next, rows))
        : CompletableFuture.completedFuture(rows);
  }

  private static Found found(
      Wanted wanted, long nowMs, Row window, Row day, Row client, List<Row> recent) {
    List<WindowRow> windows = new ArrayList<>(recent.size());
    long written =
        Math.max(Rows.written(window, 5), Math.max(Rows.written(day, 3), Rows.written(client, 4)));
    for (Row row : recent) {
      written = Math.max(written, Rows.written(row, 5));
      WindowRow own = Rows.window(row);
      if (own != null) {
        windows.add(own);
      }
    }
    boolean known = client != null && !client.isNull(0) && !client.isNull(1);
    return new Found(
        wanted,
        nowMs,
        Rows.window(window),
        Rows.day(day),
        known ? new ClientRow(Rows.ms(client, 0), Rows.ms(client, 1)) : null,
        windows,
        written);
  }

  @Override
  public void close() {
    Sessions.release(url);
  }
}
