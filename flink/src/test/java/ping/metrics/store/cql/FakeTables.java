package ping.metrics.store.cql;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Tables as CQL has them, for statements of the job's forms: cells with a WRITETIME and a TTL, of
 * which the later one stays, deletions that do the same, counters, lightweight transactions.
 */
final class FakeTables {
  /** A column of a row that was asked for. */
  record Value(String name, Object value) {}

  /** What is kept of a column. */
  record Cell(Object value, long writtenUs, int ttlS) {}

  private static final Map<String, List<String>> KEYS =
      Map.of(
          "window_stats", List.of("client_ip", "window_start"),
          "daily_totals", List.of("client_ip", "day"),
          "daily_stats", List.of("client_ip", "day"),
          "clients", List.of("shard", "list", "rank", "address"),
          "activity_24h", List.of("client_ip"),
          "activity_due", List.of("partition", "bucket", "due", "address"),
          "engine_writers", List.of("writer"));
  private static final Pattern INSERT =
      Pattern.compile("INSERT INTO (\\w+) \\((.*?)\\) VALUES \\((.*?)\\)(.*)");
  private static final Pattern UPDATE =
      Pattern.compile("UPDATE (\\w+)( USING .*?)? SET (.*?) WHERE (.*?)( IF version = \\?)?");
  private static final Pattern DELETE =
      Pattern.compile("DELETE FROM (\\w+) USING TIMESTAMP \\? WHERE (.*)");
  private static final Pattern SELECT =
      Pattern.compile("SELECT (.*?) FROM (\\w+)(?: WHERE (.*?))?( LIMIT .*)?");
  private static final Pattern CONDITION = Pattern.compile("(\\w+) (=|>=|<=) (\\S+)");
  private static final String MARKER = "(row)";
  private static final String DELETED = "(deleted)";

  private final Map<String, Map<List<Object>, Map<String, Cell>>> tables = new HashMap<>();
  private long clockUs = 1;

  /** A row's cells; null: there is none. */
  Map<String, Cell> row(String table, Object... key) {
    return rows(table).get(Arrays.stream(key).map(FakeTables::comparable).toList());
  }

  /** A column of a row; null: there is none. */
  Object get(String table, String column, Object... key) {
    Map<String, Cell> row = row(table, key);
    return row == null || !row.containsKey(column) ? null : row.get(column).value();
  }

  Map<List<Object>, Map<String, Cell>> rows(String table) {
    return tables.computeIfAbsent(table, name -> new LinkedHashMap<>());
  }

  private static Object comparable(Object value) {
    return value instanceof Number number ? (Object) number.longValue() : value;
  }

  /** Carries a statement out; a row is a list of the columns asked for. */
  List<List<Value>> run(String query, Object[] values) {
    Deque<Object> left = new ArrayDeque<>();
    for (Object value : values) {
      left.add(value == null ? Void.class : value);
    }
    Matcher insert = INSERT.matcher(query);
    if (insert.matches()) {
      insert(insert, left);
      return List.of();
    }
    Matcher update = UPDATE.matcher(query);
    if (update.matches()) {
      update(update, left);
      return List.of();
    }
    Matcher delete = DELETE.matcher(query);
    if (delete.matches()) {
      delete(delete, left);
      return List.of();
    }
    Matcher select = SELECT.matcher(query);
    if (!select.matches()) {
      throw new IllegalArgumentException(query);
    }
    return select(select, left);
  }

  private static Object value(String text, Deque<Object> left) {
    if (text.equals("?")) {
      Object next = left.removeFirst();
      return next == Void.class ? null : next;
    }
    return text.equals("null")
        ? null
        : text.startsWith("'") ? text.replace("'", "") : Long.valueOf(text);
  }

  /** TTL and TIMESTAMP of a USING; without one, the server's. */
  private long[] using(String text, Deque<Object> left) {
    long ttlS = text != null && text.contains("TTL ?") ? (Integer) left.removeFirst() : 0;
    long writtenUs =
        text != null && text.contains("TIMESTAMP ?") ? (Long) left.removeFirst() : clockUs++;
    return new long[] {ttlS, writtenUs};
  }

  private void insert(Matcher insert, Deque<Object> left) {
    String[] columns = insert.group(2).split(", ", -1);
    String[] texts = insert.group(3).split(", ", -1);
    Map<String, Object> given = new LinkedHashMap<>();
    for (int i = 0; i < columns.length; i++) {
      given.put(columns[i], value(texts[i], left));
    }
    long[] using = using(insert.group(4), left);
    Map<String, Object> key = keyOf(insert.group(1), given);
    if (insert.group(4).contains("IF NOT EXISTS") && isThere(insert.group(1), key)) {
      return;
    }
    given.put(MARKER, true);
    put(insert.group(1), key, given, using);
  }

  private void update(Matcher update, Deque<Object> left) {
    long[] using = using(update.group(2), left);
    Map<String, Object> given = new LinkedHashMap<>();
    Map<String, Object> added = new LinkedHashMap<>();
    for (String one : update.group(3).split(", ", -1)) {
      String column = one.substring(0, one.indexOf(' '));
      (one.contains("+") ? added : given)
          .put(column, value(one.substring(one.lastIndexOf(' ') + 1), left));
    }
    Map<String, Object> where = new LinkedHashMap<>();
    for (String one : update.group(4).split(" AND ", -1)) {
      Matcher condition = condition(one);
      where.put(condition.group(1), value(condition.group(3), left));
    }
    String table = update.group(1);
    Map<String, Object> key = keyOf(table, where);
    Map<String, Cell> row =
        rows(table).computeIfAbsent(keyList(table, key), none -> new HashMap<>());
    if (update.group(5) != null
        && !(row.containsKey("version")
            && comparable(row.get("version").value()).equals(left.removeFirst()))) {
      return;
    }
    added.forEach(
        (column, difference) -> {
          Cell before = row.get(column);
          long now = before == null ? 0 : (Long) before.value();
          row.put(column, new Cell(now + (Long) difference, 0, 0));
        });
    put(table, key, given, using);
  }

  private void delete(Matcher delete, Deque<Object> left) {
    long writtenUs = (Long) left.removeFirst();
    Map<String, Object> where = new LinkedHashMap<>();
    for (String one : delete.group(2).split(" AND ", -1)) {
      Matcher condition = condition(one);
      where.put(condition.group(1), value(condition.group(3), left));
    }
    String table = delete.group(1);
    Map<String, Cell> row =
        rows(table).computeIfAbsent(keyList(table, where), none -> new HashMap<>());
    row.values().removeIf(cell -> cell.writtenUs() <= writtenUs);
    row.put(DELETED, new Cell(true, writtenUs, 0));
  }

  private static Map<String, Object> keyOf(String table, Map<String, Object> given) {
    Map<String, Object> key = new LinkedHashMap<>();
    for (String column : KEYS.get(table)) {
      key.put(column, given.get(column));
    }
    return key;
  }

  private static List<Object> keyList(String table, Map<String, Object> key) {
    return KEYS.get(table).stream().map(column -> comparable(key.get(column))).toList();
  }

  private static boolean isVisible(Map<String, Cell> row) {
    return row != null
        && row.entrySet().stream()
            .anyMatch(one -> !one.getKey().equals(DELETED) && one.getValue().value() != null);
  }

  private boolean isThere(String table, Map<String, Object> key) {
    return isVisible(rows(table).get(keyList(table, key)));
  }

  private void put(String table, Map<String, Object> key, Map<String, Object> given, long[] using) {
    Map<String, Cell> row =
        rows(table).computeIfAbsent(keyList(table, key), none -> new HashMap<>());
    Cell deleted = row.get(DELETED);
    given.forEach(
        (column, value) -> {
          Cell before = row.get(column);
          boolean older =
              (before != null && before.writtenUs() > using[1])
                  || (deleted != null && deleted.writtenUs() >= using[1]);
          if (!older && !KEYS.get(table).contains(column)) {
            row.put(column, new Cell(value, using[1], (int) using[0]));
          }
        });
  }

  private static Matcher condition(String text) {
    Matcher condition = CONDITION.matcher(text);
    if (!condition.matches()) {
      throw new IllegalArgumentException(text);
    }
    return condition;
  }

  private record Wanted(int place, String relation, Object value) {
    boolean holds(List<Object> key) {
      if (relation.equals("=")) {
        return key.get(place).equals(comparable(value));
      }
      @SuppressWarnings("unchecked")
      int order = ((Comparable<Object>) key.get(place)).compareTo(value);
      return relation.equals(">=") ? order >= 0 : order <= 0;
    }
  }

  private List<List<Value>> select(Matcher select, Deque<Object> left) {
    String table = select.group(2);
    List<Wanted> wanted = new ArrayList<>();
    for (String one :
        select.group(3) == null ? new String[0] : select.group(3).split(" AND ", -1)) {
      Matcher condition = condition(one);
      wanted.add(
          new Wanted(
              KEYS.get(table).indexOf(condition.group(1)),
              condition.group(2),
              value(condition.group(3), left)));
    }
    List<List<Value>> found = new ArrayList<>();
    rows(table)
        .forEach(
            (key, row) -> {
              if (isVisible(row) && wanted.stream().allMatch(one -> one.holds(key))) {
                List<Value> values = new ArrayList<>();
                for (String column : select.group(1).split(", ", -1)) {
                  values.add(new Value(column, valueOf(table, key, row, column)));
                }
                found.add(values);
              }
            });
    return found;
  }

  private static Object valueOf(
      String table, List<Object> key, Map<String, Cell> row, String column) {
    if (KEYS.get(table).contains(column)) {
      return key.get(KEYS.get(table).indexOf(column));
    }
    boolean time = column.startsWith("writetime(");
    Cell cell = row.get(time ? column.substring(10, column.length() - 1) : column);
    if (cell == null || cell.value() == null) {
      return null;
    }
    return time ? (Object) cell.writtenUs() : cell.value();
  }
}
