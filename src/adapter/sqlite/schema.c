#include "adapter/sqlite/schema.h"

/* Addresses are kept as their sixteen bytes: they compare as `struct address` does, so every order by address comes from an
 * index, and nothing is parsed or formatted on the way in or out (as text the ledger would be 6 % smaller). People read the
 * views, which spell addresses (RFC 5952), ids and times. In SQL: hex groups without leading zeros between colons, then the first
 * longest run of two or more zero groups becomes "::". */
/* clang-format off */
#define GROUP(at) "lower(coalesce(nullif(ltrim(substr(h, " #at ", 4), '0'), ''), '0'))"
#define GROUPS "':' || " GROUP(1) " || ':' || " GROUP(5) " || ':' || " GROUP(9) " || ':' || " GROUP(13) " || ':' || " \
	GROUP(17) " || ':' || " GROUP(21) " || ':' || " GROUP(25) " || ':' || " GROUP(29) " || ':'"
#define ZERO_RUN(run) " WHEN instr(g, '" run "') > 0 THEN '" run "'"
#define LONGEST_ZERO_RUN "CASE" ZERO_RUN(":0:0:0:0:0:0:0:0:") ZERO_RUN(":0:0:0:0:0:0:0:") ZERO_RUN(":0:0:0:0:0:0:") \
	ZERO_RUN(":0:0:0:0:0:") ZERO_RUN(":0:0:0:0:") ZERO_RUN(":0:0:0:") ZERO_RUN(":0:0:") " END"
#define OCTET(high, low) \
	"(16 * instr('123456789ABCDEF', substr(h, " #high ", 1)) + instr('123456789ABCDEF', substr(h, " #low ", 1)))"
/* `table` with h, g and z beside its columns; then the address in text. */
#define SPELLED(table) " FROM (SELECT *, " LONGEST_ZERO_RUN " AS z" \
	" FROM (SELECT *, " GROUPS " AS g FROM (SELECT *, hex(client_ip) AS h FROM " table ")))"
#define ADDRESS "CASE WHEN substr(h, 1, 24) = '00000000000000000000FFFF'" \
	" THEN " OCTET(25, 26) " || '.' || " OCTET(27, 28) " || '.' || " OCTET(29, 30) " || '.' || " OCTET(31, 32) \
	" WHEN z IS NULL THEN trim(g, ':')" \
	" ELSE substr(g, 2, max(instr(g, z) - 2, 0)) || '::' || rtrim(substr(g, instr(g, z) + length(z)), ':') END AS client_ip"
#define TIME(column) "strftime('%Y-%m-%dT%H:%M:%fZ', " #column " / 1000.0, 'unixepoch') AS " #column
#define UUID_PART(column, from, size) "substr(hex(" #column "), " #from ", " #size ")"
#define UUID(column) "lower(" UUID_PART(column, 1, 8) " || '-' || " UUID_PART(column, 9, 4) " || '-' || " \
	UUID_PART(column, 13, 4) " || '-' || " UUID_PART(column, 17, 4) " || '-' || " UUID_PART(column, 21, 12) ") AS " #column

static const char *const ledger_migrations[] = {
	"CREATE TABLE ledger (one INTEGER PRIMARY KEY CHECK (one = 1), identity BLOB NOT NULL, last_id BLOB NOT NULL,"
	" probes INTEGER NOT NULL);"
	"INSERT INTO ledger VALUES (1, randomblob(16), zeroblob(16), 0);"
	/* AUTOINCREMENT: a position is never given twice, whatever is deleted. */
	"CREATE TABLE pings (position INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL, client_ip BLOB NOT NULL,"
	" pinged_at INTEGER NOT NULL, received_at INTEGER NOT NULL);"
	"CREATE TABLE idempotency_keys (client_ip BLOB NOT NULL, key BLOB NOT NULL, pinged_at INTEGER NOT NULL,"
	" received_at INTEGER NOT NULL, PRIMARY KEY (client_ip, key)) WITHOUT ROWID;"
	"CREATE INDEX idempotency_keys_by_received_at ON idempotency_keys (received_at);"
	/* How many pings have pinged_at >> (10 · level) = bucket (base/rollup.h). */
	"CREATE TABLE ping_counts (level INTEGER NOT NULL, bucket INTEGER NOT NULL, count INTEGER NOT NULL,"
	" PRIMARY KEY (level, bucket)) WITHOUT ROWID;"
	"CREATE VIEW pings_readable AS SELECT position, " UUID(id) ", " ADDRESS ", " TIME(pinged_at) ", " TIME(received_at)
		SPELLED("pings") ";",
};

const struct schema schema_ledger = {
	.file = "ledger.db",
	.what = "ledger",
	.damaged = "move it away, restore it from a backup",
	.synchronous = "FULL",
	.application_id = 0x50696e67, /* "Ping" */
	.version = sizeof ledger_migrations / sizeof *ledger_migrations,
	.migrations = ledger_migrations,
};

static const char *const metrics_migrations[] = {
	"CREATE TABLE window_stats (client_ip BLOB NOT NULL, window_start INTEGER NOT NULL, window_end INTEGER NOT NULL,"
	" ping_count INTEGER NOT NULL, avg_interval_ms REAL, first_ping INTEGER NOT NULL, last_ping INTEGER NOT NULL,"
	" position INTEGER NOT NULL, PRIMARY KEY (client_ip, window_start)) WITHOUT ROWID;"
	"CREATE INDEX window_stats_by_start ON window_stats (window_start);"
	"CREATE TABLE daily_totals (client_ip BLOB NOT NULL, day INTEGER NOT NULL, total INTEGER NOT NULL,"
	" position INTEGER NOT NULL, PRIMARY KEY (client_ip, day)) WITHOUT ROWID;"
	"CREATE TABLE clients (client_ip BLOB NOT NULL PRIMARY KEY, first_ping INTEGER NOT NULL, last_ping INTEGER NOT NULL)"
	" WITHOUT ROWID;"
	"CREATE INDEX clients_by_last_ping ON clients (last_ping DESC, client_ip, first_ping);"
	"CREATE TABLE activity_24h (client_ip BLOB NOT NULL PRIMARY KEY, since INTEGER NOT NULL, ping_count INTEGER NOT NULL,"
	" active_windows INTEGER NOT NULL, avg_interval_ms REAL, first_ping INTEGER NOT NULL, last_ping INTEGER NOT NULL,"
	" busiest_window_start INTEGER NOT NULL, busiest_ping_count INTEGER NOT NULL, busiest_first_ping INTEGER NOT NULL,"
	" busiest_last_ping INTEGER NOT NULL, due INTEGER NOT NULL, partition INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX activity_24h_by_ping_count ON activity_24h (ping_count DESC, client_ip);"
	"CREATE INDEX activity_24h_by_due ON activity_24h (due, partition);"
	"CREATE TABLE engine_position (partition INTEGER PRIMARY KEY, log_identity BLOB NOT NULL, position INTEGER NOT NULL);"
	"CREATE VIEW window_stats_readable AS SELECT " ADDRESS ", " TIME(window_start) ", " TIME(window_end)
	", ping_count, avg_interval_ms, " TIME(first_ping) ", " TIME(last_ping) ", position" SPELLED("window_stats") ";"
	"CREATE VIEW daily_stats AS SELECT " ADDRESS ", date(day / 1000, 'unixepoch') AS day, total AS total_pings"
	SPELLED("daily_totals") ";"
	"CREATE VIEW clients_readable AS SELECT " ADDRESS ", " TIME(first_ping) ", " TIME(last_ping) SPELLED("clients") ";"
	"CREATE VIEW activity_24h_readable AS SELECT " ADDRESS ", " TIME(since) ", ping_count, active_windows, avg_interval_ms, "
	TIME(first_ping) ", " TIME(last_ping) ", " TIME(busiest_window_start) ", busiest_ping_count, " TIME(due)
	SPELLED("activity_24h") ";",
	/* Of the ping at the position, where the log is the ledger beside this file (ledger_mark.h). */
	"ALTER TABLE engine_position ADD COLUMN ping_id BLOB;",
};
/* clang-format on */

const struct schema schema_metrics = {
	.file = "metrics.db",
	.what = "metrics",
	.damaged = "move it away: it is made again from the ledger at the next start",
	.synchronous = "NORMAL",
	.application_id = 0x50694d74, /* "PiMt" */
	.version = sizeof metrics_migrations / sizeof *metrics_migrations,
	.migrations = metrics_migrations,
};
