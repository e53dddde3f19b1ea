package ping.metrics.store.cql;

import com.datastax.oss.driver.api.core.CqlIdentifier;
import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.DriverTimeoutException;
import com.datastax.oss.driver.api.core.cql.AsyncResultSet;
import com.datastax.oss.driver.api.core.cql.BoundStatement;
import com.datastax.oss.driver.api.core.cql.ExecutionInfo;
import com.datastax.oss.driver.api.core.cql.PreparedStatement;
import com.datastax.oss.driver.api.core.cql.ResultSet;
import com.datastax.oss.driver.api.core.cql.Row;
import com.datastax.oss.driver.api.core.cql.SimpleStatement;
import com.datastax.oss.driver.api.core.cql.Statement;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;

/** The driver's session over {@link FakeTables}: what the job's statements need of it, no more. */
final class FakeCql {
  /** A statement with its values; whatever else is set of it changes nothing here. */
  @SuppressWarnings("ArrayRecordComponent") // compared with nothing
  private record Bound(String query, Object[] values) implements InvocationHandler {
    @Override
    public Object invoke(Object self, Method method, Object[] arguments) {
      if (method.getName().startsWith("set")) {
        return self;
      }
      if (method.getName().startsWith("get")) {
        return null; // a batch asks what its statements have set
      }
      throw unknown(method.getName());
    }
  }

  /** A statement that is to fail once: by its beginning, and whether it is carried out first. */
  private record Failure(String beginning, boolean carriedOut) {}

  final FakeTables tables = new FakeTables();
  final AtomicInteger mostUnanswered = new AtomicInteger();
  private final AtomicInteger unanswered = new AtomicInteger();
  private final List<Failure> failures = new ArrayList<>();
  private final Executor answers;

  /** Answers what is asked asynchronously by an executor. */
  FakeCql(Executor answers) {
    this.answers = answers;
  }

  /** The next statement that begins so times out. */
  synchronized void failNext(String beginning, boolean carriedOut) {
    failures.add(new Failure(beginning, carriedOut));
  }

  /** Whether all that were to fail have failed. */
  synchronized boolean hasFailed() {
    return failures.isEmpty();
  }

  private static <T> T proxy(Class<T> type, InvocationHandler handler) {
    return type.cast(
        Proxy.newProxyInstance(FakeCql.class.getClassLoader(), new Class<?>[] {type}, handler));
  }

  private static UnsupportedOperationException unknown(String name) {
    return new UnsupportedOperationException(name);
  }

  CqlSession session() {
    return proxy(
        CqlSession.class,
        (self, method, arguments) ->
            switch (method.getName()) {
              case "prepare" -> prepared(((SimpleStatement) arguments[0]).getQuery());
              case "execute" -> resultSet(run((Statement<?>) arguments[0]));
              case "executeAsync" -> runLater((Statement<?>) arguments[0]);
              case "getKeyspace" -> Optional.of(CqlIdentifier.fromCql("metrics"));
              default -> throw unknown(method.getName());
            });
  }

  private static PreparedStatement prepared(String query) {
    return proxy(
        PreparedStatement.class,
        (self, method, arguments) ->
            proxy(BoundStatement.class, new Bound(query, (Object[]) arguments[0])));
  }

  private static List<Bound> boundsOf(Statement<?> statement) {
    List<Bound> found = new ArrayList<>();
    if (statement instanceof Iterable<?> batch) {
      for (Object one : batch) {
        found.addAll(boundsOf((Statement<?>) one));
      }
    } else {
      found.add((Bound) Proxy.getInvocationHandler(statement));
    }
    return found;
  }

  private CompletableFuture<AsyncResultSet> runLater(Statement<?> statement) {
    mostUnanswered.accumulateAndGet(unanswered.incrementAndGet(), Math::max);
    CompletableFuture<AsyncResultSet> answer = new CompletableFuture<>();
    answers.execute(
        () -> {
          try {
            AsyncResultSet set = asyncResultSet(run(statement));
            unanswered.decrementAndGet();
            answer.complete(set);
          } catch (RuntimeException e) {
            unanswered.decrementAndGet();
            answer.completeExceptionally(e);
          }
        });
    return answer;
  }

  private synchronized List<List<FakeTables.Value>> run(Statement<?> statement) {
    List<List<FakeTables.Value>> rows = List.of();
    Failure failure = null;
    for (Bound one : boundsOf(statement)) {
      Failure found =
          failures.stream()
              .filter(each -> one.query().startsWith(each.beginning()))
              .findFirst()
              .orElse(null);
      failure = found != null ? found : failure;
      if (found == null || found.carriedOut()) {
        rows = tables.run(one.query(), one.values());
      }
    }
    if (failure != null) {
      failures.remove(failure);
      throw new DriverTimeoutException("timed out as it should");
    }
    return rows;
  }

  private static List<Row> rowsOf(List<List<FakeTables.Value>> values) {
    return values.stream().map(FakeCql::row).toList();
  }

  private static Row row(List<FakeTables.Value> values) {
    return proxy(
        Row.class,
        (self, method, arguments) -> {
          FakeTables.Value value =
              arguments[0] instanceof Integer index
                  ? values.get(index)
                  : values.stream()
                      .filter(one -> one.name().equals(arguments[0]))
                      .findFirst()
                      .orElseThrow();
          Object held = value.value();
          return switch (method.getName()) {
            case "isNull" -> held == null;
            case "getInt" -> held == null ? 0 : ((Number) held).intValue();
            case "getLong" -> held == null ? 0L : ((Number) held).longValue();
            case "getString", "getInstant", "getLocalDate", "getByteBuffer" -> held;
            default -> throw unknown(method.getName());
          };
        });
  }

  private static ResultSet resultSet(List<List<FakeTables.Value>> values) {
    List<Row> rows = new ArrayList<>(rowsOf(values));
    return proxy(
        ResultSet.class,
        (self, method, arguments) ->
            switch (method.getName()) {
              case "one" -> rows.isEmpty() ? null : rows.remove(0);
              case "iterator" -> rows.iterator();
              case "getAvailableWithoutFetching" -> rows.size();
              case "getExecutionInfo" ->
                  proxy(ExecutionInfo.class, (info, asked, nothing) -> null); // the last page
              default -> throw unknown(method.getName());
            });
  }

  private static AsyncResultSet asyncResultSet(List<List<FakeTables.Value>> values) {
    List<Row> rows = rowsOf(values);
    return proxy(
        AsyncResultSet.class,
        (self, method, arguments) ->
            switch (method.getName()) {
              case "one" -> rows.isEmpty() ? null : rows.get(0);
              case "currentPage" -> rows;
              case "hasMorePages" -> false;
              default -> throw unknown(method.getName());
            });
  }
}
