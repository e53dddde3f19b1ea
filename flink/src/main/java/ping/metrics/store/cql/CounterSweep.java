package ping.metrics.store.cql;

import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.DriverException;
import com.datastax.oss.driver.api.core.cql.ResultSet;
import com.datastax.oss.driver.api.core.cql.Row;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import ping.metrics.core.Address;
import ping.metrics.core.Timestamps;
import ping.metrics.store.Lanes;

/** Goes through daily_totals, page after page, without end: those of some lanes. */
final class CounterSweep {
  private static final int PAGE = 64;

  /** A day's total. */
  record Total(Address client, long startMs, long total) {}

  private final CqlSession session;
  private final Statements statements;
  private final Lanes lanes;
  private ByteBuffer place;

  CounterSweep(CqlSession session, Statements statements, Lanes lanes) {
    this.session = session;
    this.statements = statements;
    this.lanes = lanes;
  }

  /** The next page's; at the end it begins anew. */
  List<Total> next() throws IOException {
    try {
      ResultSet page =
          session.execute(
              statements.bind(Statements.Name.ALL_DAYS).setPageSize(PAGE).setPagingState(place));
      List<Total> totals = new ArrayList<>();
      for (int left = page.getAvailableWithoutFetching(); left > 0; left--) {
        Row row = page.one();
        Address client = Address.parse(row.getString(0));
        if (client != null && lanes.has(lanes.of(client)) && !row.isNull(2)) {
          totals.add(
              new Total(
                  client, row.getLocalDate(1).toEpochDay() * Timestamps.DAY_MS, row.getLong(2)));
        }
      }
      place = page.getExecutionInfo().getPagingState();
      return totals;
    } catch (DriverException e) {
      throw new IOException("store: " + e.getMessage(), e);
    }
  }
}
