#include "app/pingd_settings.h"

#include "app/allocator.h"
#include "app/settings_file.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ─── The table ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static bool is_endpoint(const char *text)
{
	struct pingd_endpoint endpoint;
	return pingd_endpoint_parse(text, &endpoint) == ERROR_OK;
}

static bool is_network(const char *text)
{
	struct address_network network;
	return address_network_parse(slice_from_string(text), &network, NULL) == ERROR_OK;
}

/* "*", or what a browser sends: scheme, host and perhaps a port in lower case, and nothing behind, not even a slash. */
static bool is_origin(const char *text)
{
	static const char others[] = "+-.0123456789abcdefghijklmnopqrstuvwxyz";
	if (strcmp(text, "*") == 0)
		return true;
	size_t scheme = strspn(text, others);
	if (scheme == 0 || strncmp(text + scheme, "://", 3) != 0)
		return false;
	const char *host = text + scheme + 3;
	return *host != 0 && strspn(host, "-._~:[]0123456789abcdefghijklmnopqrstuvwxyz") == strlen(host);
}

static bool begins_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_ledger(const char *url)
{
	return strcmp(url, "sqlite:") == 0 || begins_with(url, "postgres://") || begins_with(url, "postgresql://");
}

static bool is_log(const char *url)
{
	const char *brokers;
	return strcmp(url, "sqlite:") == 0 || kafka_url_parse(url, &brokers, NULL) == ERROR_OK;
}

static bool is_store(const char *url)
{
	struct cql_config *config;
	if (!begins_with(url, "scylla://"))
		return strcmp(url, "sqlite:") == 0;
	enum error error = cql_config_create(url, &config, NULL);
	if (error == ERROR_OK)
		cql_config_destroy(config);
	return error == ERROR_OK;
}

static const char *const role_words[] = {"api", "stream", NULL};
static const char *const publish_words[] = {"transactional", "ordered", "outbox", NULL};
static const char *const migrate_words[] = {"auto", "check", "off", NULL};
static const char *const log_level_words[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_format_words[] = {"logfmt", "json", NULL};

enum { SECOND_MS = 1000, MINUTE_MS = 60 * SECOND_MS, HOUR_MS = 60 * MINUTE_MS, KIB = 1 << 10, MIB = 1 << 20 };

#define CONFIG struct pingd_config
/* clang-format off */
const struct setting pingd_settings[] = {
	{.name = "help", SETTING_CHOICE(CONFIG, help), .choices = manual_forms, .initial = "none", .implied = "text",
	 .flag_only = true, .metavar = "FORM",
	 .help = "Print this text and exit; with =markdown, =man or =bash the settings page, the man page or the completion for bash."},
	{.name = "version", SETTING_BOOLEAN(CONFIG, version), .initial = "false", .flag_only = true, .help = "Print the version and exit."},
	{.name = "check-config", SETTING_BOOLEAN(CONFIG, check_config), .initial = "false", .flag_only = true,
	 .help = "Print every setting's value and where it came from, as a config file, and exit: 0 when all is well, 2 when not."},
	{.name = "config", SETTING_TEXT(CONFIG, config), .metavar = "FILE", .groups = PINGD_GROUP_DATA, .initial_help = "none",
	 .help = "The config file (INI): one `name = value` a line, with or without [section]."},

	{.name = "data-dir", SETTING_TEXT(CONFIG, data_dir), .section = "storage", .metavar = "DIR", .groups = PINGD_GROUP_DATA,
	 .initial_help = "$XDG_STATE_HOME/ping, else ~/.local/state/ping",
	 .help = "Where the embedded ledger and store keep their files; it is made when missing. One process at a time may use it."},
	{.name = "ledger", SETTING_TEXT(CONFIG, ledger), .section = "storage", .metavar = "URL", .groups = PINGD_GROUP_DATA,
	 .initial = "sqlite:", .secrecy = SETTING_URL_PASSWORD, .accepts = is_ledger,
	 .expected = "sqlite: or postgres://USER@HOST/DATABASE",
	 .help = "Where every ping is kept: `sqlite:` is embedded, in the data directory. A postgres:// URL is libpq's, with all its "
		 "parameters (sslmode, target_session_attrs, several hosts). When it is not set and DB_HOST is in the environment: "
		 "PostgreSQL there, with DB_PORT, DB_USER, DB_PASSWORD and DB_NAME. What only streams from Kafka (--roles stream) needs "
		 "none."},
	{.name = "log", SETTING_TEXT(CONFIG, log), .section = "storage", .metavar = "URL", .groups = PINGD_GROUP_DATA,
	 .initial_help = "sqlite: with an embedded ledger, else none", .secrecy = SETTING_URL_PASSWORD, .accepts = is_log,
	 .expected = "sqlite: or kafka://HOST:PORT,HOST:PORT… (user and password are set by --kafka)",
	 .help = "The ordered stream of events that the metrics are made from; the embedded log is the embedded ledger itself."},
	{.name = "store", SETTING_TEXT(CONFIG, store), .section = "storage", .metavar = "URL", .groups = PINGD_GROUP_DATA,
	 .initial_help = "sqlite: with an embedded ledger, else none", .secrecy = SETTING_URL_PASSWORD, .accepts = is_store,
	 .expected = "sqlite: or scylla://HOST:PORT,HOST:PORT…/KEYSPACE?NAME=VALUE&…",
	 .help = "Where the metrics are kept: `sqlite:` is embedded, in the data directory. A scylla:// URL names contact points of "
		 "ScyllaDB, or of any server that speaks CQL v4, the keyspace (metrics) and, behind ?, as needed: datacenter (near), "
		 "replication (DATACENTER:COPIES,…) and keyspace_options for a keyspace that is made, tls=true, tls_ca, tls_cert, "
		 "tls_key, timeout (ms)."},
	{.name = "migrate", SETTING_CHOICE(CONFIG, migrate), .section = "storage", .initial = "auto", .choices = migrate_words,
	 .metavar = "WHEN",
	 .help = "The schemas in PostgreSQL and ScyllaDB at start: auto brings them up to date, check ends pingd when one is not (then "
		 "`pingctl migrate` does it), off does not look."},
	{.name = "window-retention", SETTING_DURATION(CONFIG, window_retention_ms), .section = "storage", .initial = "0",
	 .initial_help = "for ever; 90d where the store is ScyllaDB", .min = 30 * HOUR_MS, .zero = "for ever",
	 /* the rolling 24 hours, and room for clocks that are apart */ .groups = PINGD_GROUP_DATA,
	 .help = "How long 5-minute windows are kept after they end. Daily totals and clients are kept for ever."},
	{.name = "ledger-retention", SETTING_DURATION(CONFIG, ledger_retention_ms), .section = "storage", .initial = "0",
	 .initial_help = "for ever", .min = 192 * HOUR_MS, .zero = "for ever",
	 /* longer than the log keeps its events, so that the audit finds the row of each */
	 .help = "How long PostgreSQL keeps pings: whole days (UTC, of their receipt), of which the sums by client and window stay. "
		 "PingCount goes on counting them. At least 8 days; keep it longer than raw-pings keeps its events."},
	{.name = "query-threads", SETTING_INTEGER(CONFIG, query_threads), .section = "storage", .initial = "2", .min = 1, .max = 64,
	 .help = "Threads that read the ledger and the store for queries."},

	{.name = "log-partitions", SETTING_INTEGER(CONFIG, log_partitions), .section = "kafka", .initial = "6", .min = 1, .max = 10000,
	 .groups = PINGD_GROUP_DATA,
	 .help = "Partitions of raw-pings. A topic that has another number is refused: growing is a procedure."},
	{.name = "log-epoch", SETTING_INTEGER(CONFIG, log_epoch), .section = "kafka", .initial = "0", .max = 32767,
	 .groups = PINGD_GROUP_DATA,
	 .help = "Which life of the log this is: one more each time the topic is made anew or its partitions are changed."},
	{.name = "publisher-slots", SETTING_INTEGER(CONFIG, publisher_slots), .section = "kafka", .initial = "32", .min = 1, .max = 1000,
	 .groups = PINGD_GROUP_DATA,
	 .help = "Publishers that all processes together may have, the same everywhere: rows of publisher_slots, partitions of "
		 "ping-publishers. `pingctl migrate` adds slots; none can be taken away."},
	{.name = "publishers", SETTING_INTEGER(CONFIG, publishers), .section = "kafka", .initial = "2", .min = 1,
	 .max = PINGD_MAX_PUBLISHERS,
	 .help = "Publishers of this process, each with a connection and a slot: while one waits for Kafka's commit, another fills."},
	{.name = "publish", SETTING_CHOICE(CONFIG, publish), .section = "kafka", .initial = "transactional", .choices = publish_words,
	 .metavar = "MODE",
	 .help = "When a ping is answered: transactional, once PostgreSQL and Kafka both have it, exactly once; outbox, once PostgreSQL "
		 "has it, and Kafka follows, also after an outage; ordered, as transactional but without Kafka's transactions: a "
		 "crash may leave events without rows."},
	{.name = "kafka", SETTING_PAIRS(CONFIG, kafka), .section = "kafka", .groups = PINGD_GROUP_DATA, .initial_help = "none",
	 .help = "A setting of librdkafka's for every connection to Kafka, as security.protocol=sasl_ssl; may be given many times. "
		 "In the file each line of [kafka] is one, in the environment each line of the variable."},

	{.name = "listen", SETTING_LIST(CONFIG, listen), .section = "server", .metavar = "ADDRESS:PORT,…", .initial = "127.0.0.1:8080",
	 .accepts = is_endpoint, .expected = "ADDRESS:PORT such as 127.0.0.1:8080 or [::1]:8080",
	 .help = "Where to take connections; HTTP/1.1 and HTTP/2 on one port. Port 0 takes any that is free."},
	{.name = "tls-certificate", SETTING_TEXT(CONFIG, tls_certificate), .section = "server", .metavar = "FILE", .initial_help = "none",
	 .help = "Speak TLS 1.2 and 1.3 on all addresses of listen (h2 and http/1.1 by ALPN), with this certificate and its chain in "
		 "PEM. This file and the next two are read again when they change, and on SIGHUP; where that fails, the old ones stay in "
		 "force."},
	{.name = "tls-key", SETTING_TEXT(CONFIG, tls_key), .section = "server", .metavar = "FILE", .initial_help = "in tls-certificate",
	 .help = "The certificate's key in PEM, without a password."},
	{.name = "tls-client-ca", SETTING_TEXT(CONFIG, tls_client_ca), .section = "server", .metavar = "FILE", .initial_help = "none",
	 .help = "Authorities in PEM: every client must have a certificate of one of them (mTLS)."},
	{.name = "listen-plain", SETTING_LIST(CONFIG, listen_plain), .section = "server", .metavar = "ADDRESS:PORT,…", .initial = "",
	 .initial_help = "none", .accepts = is_endpoint, .expected = "ADDRESS:PORT such as 127.0.0.1:8080 or [::1]:8080",
	 .help = "With tls-certificate: where to take connections without TLS and client certificates nevertheless, for probes, metrics "
		 "and the machine itself."},
	{.name = "trusted-proxies", SETTING_LIST(CONFIG, trusted_proxies), .section = "server", .metavar = "CIDR,…", .initial = "",
	 .initial_help = "none", .accepts = is_network, .expected = "a network such as 10.0.0.0/8, or an address",
	 .help = "Peers whose word on the client's address is taken (PROXY v2, Forwarded, X-Forwarded-For; where the two headers "
		 "differ, neither). Nobody else's is."},
	{.name = "cors-origins", SETTING_LIST(CONFIG, cors_origins), .section = "server", .metavar = "ORIGIN,…", .initial = "",
	 .initial_help = "none", .accepts = is_origin, .expected = "an origin such as https://app.example.com, or *",
	 .help = "Pages of which origins may call from a browser (CORS), as the browser names them; * is all. Without credentials."},
	{.name = "threads", SETTING_INTEGER(CONFIG, threads), .section = "server", .initial = "0", .min = 1, .max = PINGD_MAX_THREADS,
	 .zero = "one a core", .initial_help = "one a core", .help = "Event loops for connections."},
	{.name = "max-connections", SETTING_INTEGER(CONFIG, max_connections), .section = "server", .initial = "10000", .min = 1,
	 .max = 1000000, .help = "Connections open at once; past it new ones wait until one closes."},
	{.name = "max-connections-per-address", SETTING_INTEGER(CONFIG, max_connections_per_address), .section = "server",
	 .initial = "1000", .min = 1, .max = 1000000, .zero = "no limit",
	 .help = "Connections of one address (IPv6: of its /64) open at once; more are closed. Those of trusted proxies are not "
		 "counted, but by the client that PROXY names."},
	{.name = "max-streams", SETTING_INTEGER(CONFIG, max_streams), .section = "server", .initial = "256", .min = 1, .max = 65535,
	 .help = "Requests in flight on one HTTP/2 connection."},
	{.name = "max-body", SETTING_SIZE(CONFIG, max_body_bytes), .section = "server", .initial = "4MiB", .min = KIB, .max = 64 * MIB,
	 .help = "The largest request body."},
	{.name = "max-held", SETTING_SIZE(CONFIG, max_held_bytes), .section = "server", .initial = "256MiB", .min = MIB,
	 .max = INT64_C(1) << 40,
	 .help = "Bytes of requests not yet whole and of answers not yet taken that all connections hold together. While there are more, "
		 "none may hold more than 64 KiB: larger requests and answers become resource_exhausted."},
	{.name = "default-timeout", SETTING_DURATION(CONFIG, default_timeout_ms), .section = "server", .initial = "30s", .min = 1,
	 .max = HOUR_MS, .help = "How long a request may take whose caller names no deadline."},
	{.name = "max-timeout", SETTING_DURATION(CONFIG, max_timeout_ms), .section = "server", .initial = "5m", .min = 1,
	 .max = 24 * HOUR_MS,
	 .help = "The longest deadline that a caller is granted, and that of streams without one; a watch may last for ever."},
	{.name = "header-timeout", SETTING_DURATION(CONFIG, header_timeout_ms), .section = "server", .initial = "10s", .min = 1,
	 .max = HOUR_MS, .help = "How long the head of a request may take to come in; of the first one with the TLS handshake."},
	{.name = "body-timeout", SETTING_DURATION(CONFIG, body_timeout_ms), .section = "server", .initial = "30s", .min = 1,
	 .max = HOUR_MS, .help = "How long the body of a request may take to come in, and one message of a stream."},
	{.name = "idle-timeout", SETTING_DURATION(CONFIG, idle_timeout_ms), .section = "server", .initial = "2m", .min = 1,
	 .max = 24 * HOUR_MS, .help = "How long a connection may stay open with nothing in flight."},
	{.name = "write-timeout", SETTING_DURATION(CONFIG, write_timeout_ms), .section = "server", .initial = "30s", .min = 1,
	 .max = HOUR_MS, .help = "How long a client may refuse to take a byte of its answer."},
	{.name = "drain-timeout", SETTING_DURATION(CONFIG, drain_timeout_ms), .section = "server", .initial = "30s", .max = HOUR_MS,
	 .help = "How long requests in flight may go on after SIGTERM and drain-delay."},
	{.name = "drain-delay", SETTING_DURATION(CONFIG, drain_delay_ms), .section = "server", .initial = "0", .max = HOUR_MS,
	 .help = "How long after SIGTERM new requests are still taken, while /readyz and gRPC's Health already say that this process is "
		 "to be left alone: as long as a load balancer needs to see it."},
	{.name = "watch-heartbeat", SETTING_DURATION(CONFIG, watch_heartbeat_ms), .section = "server", .initial = "15s", .min = 1,
	 .max = HOUR_MS, .help = "How often WatchWindowStats says something when nothing changes, so that no proxy takes it for dead."},

	{.name = "roles", SETTING_LIST(CONFIG, roles), .section = "pipeline", .metavar = "ROLE,…", .initial = "api,stream",
	 .choices = role_words, .help = "What this process does: api answers requests, stream makes metrics of the events."},
	{.name = "ingest-queue", SETTING_INTEGER(CONFIG, ingest_queue), .section = "pipeline", .initial = "65536", .min = 1,
	 .max = 1 << 24, .help = "Pings that may wait to be kept; past it they are refused at once with resource_exhausted."},
	{.name = "ingest-batch", SETTING_INTEGER(CONFIG, ingest_batch), .section = "pipeline", .initial = "4096", .min = 1, .max = 1 << 16,
	 .help = "Pings that share one transaction at most."},
	{.name = "idempotency-retention", SETTING_DURATION(CONFIG, idempotency_retention_ms), .section = "pipeline", .initial = "24h",
	 .min = 24 * HOUR_MS, .help = "How long an idempotency key is remembered."},
	{.name = "max-future-skew", SETTING_DURATION(CONFIG, max_future_skew_ms), .section = "pipeline", .initial = "5m",
	 .max = 24 * HOUR_MS, .help = "How far ahead of this clock a ping's timestamp may lie."},
	{.name = "flush-interval", SETTING_DURATION(CONFIG, flush_interval_ms), .section = "pipeline", .initial = "500ms", .min = 1,
	 .max = SECOND_MS, .help = "How often changed rows are written to the store: most of what a ping takes to show."},
	{.name = "engine-rows", SETTING_INTEGER(CONFIG, engine_rows), .section = "pipeline", .initial = "400000", .min = 1000,
	 .max = 1 << 30,
	 .help = "Rows of metrics that the engine keeps in memory, of all partitions together, about 100 bytes each. A client that pings "
		 "takes three; those that find no room are read from the store again."},

	{.name = "log-level", SETTING_CHOICE(CONFIG, log_level), .section = "logging", .initial = "info", .choices = log_level_words,
	 .metavar = "LEVEL", .help = "The least that is logged, on stderr."},
	{.name = "log-format", SETTING_CHOICE(CONFIG, log_format), .section = "logging", .initial = "logfmt", .choices = log_format_words,
	 .metavar = "FORMAT", .help = "How a line of the log is written."},
	{0},
};

const struct manual pingd_manual = {
	.name = "pingd",
	.summary = "take pings over HTTP, keep them, make live metrics of them",
	.usage = "pingd [FLAG…]",
	.description = "pingd is a heartbeat service: clients ping, every ping is kept, and 5-minute windows, daily totals and a 24-hour "
		       "summary follow within 2 seconds, exactly. It needs nothing beside it; pings may be kept in PostgreSQL "
		       "instead. Settings come from flags, the environment "
		       "(PING_ and the name in capitals, - as _), the config file and the defaults; the first that says something wins. "
		       "A DURATION is 500ms, 30s, 5m, 24h, 90d or 1h30m; a SIZE is 512KiB, 64MiB, 1GiB or bytes.",
	.settings = {.rows = pingd_settings, .prefix = "PING_"},
	.files = (const struct manual_entry[]){
		{"ledger.db", "in the data directory: every ping."},
		{"metrics.db", "in the data directory: the metrics. They can be made again from the ledger."},
		{0}},
	.signals = (const struct manual_entry[]){
		{"SIGHUP", "With tls-certificate: read the certificates again."},
		{"SIGTERM, SIGINT", "Take no new requests, finish those in flight (drain-timeout), exit 0. A second one exits at once."},
		{0}},
	.exit_codes = (const struct manual_entry[]){
		{"0", "Ended in order."},
		{"1", "Could not start or go on; the last line on stderr says why."},
		{"2", "A flag, a variable or the config file is wrong."},
		{0}},
	.examples = (const struct manual_entry[]){
		{"pingd", "Everything embedded, on 127.0.0.1:8080."},
		{"pingd --listen 0.0.0.0:8080 --data-dir /var/lib/ping --trusted-proxies 10.0.0.0/8", "Behind a load balancer."},
		{"pingd --ledger postgres://ping@db1,db2/ping?sslmode=verify-full", "Pings in PostgreSQL; PingCount, but no metrics."},
		{"pingd --config /etc/ping.conf --check-config", "Is this file right, and what does it come to?"},
		{0}},
	.see_also = "pingctl(1)",
};
/* clang-format on */

/* ─── Beyond single values ──────────────────────────────────────────────────────────────────────────────────────────── */

enum error pingd_endpoint_parse(const char *text, struct pingd_endpoint *ret_endpoint)
{
	const char *colon = strrchr(text, ':');
	if (colon == NULL || colon == text)
		return ERROR_MALFORMED;
	const char *begin = text, *end = colon;
	bool brackets = *begin == '[' && end[-1] == ']';
	if (brackets) {
		begin++;
		end--;
	}
	if (brackets != (memchr(text, ':', (size_t)(colon - text)) != NULL)) /* an IPv6 address, and nothing else, is bracketed */
		return ERROR_MALFORMED;
	unsigned port = 0, digits = 0;
	for (const char *p = colon + 1; *p != 0; p++, digits++) {
		if (*p < '0' || *p > '9' || digits == 5)
			return ERROR_MALFORMED;
		port = port * 10 + (unsigned)(*p - '0');
	}
	struct pingd_endpoint endpoint = {.port = (uint16_t)port};
	if (digits == 0 || port > UINT16_MAX ||
	    address_parse(slice_make(begin, (size_t)(end - begin)), &endpoint.address) != ERROR_OK)
		return ERROR_MALFORMED;
	*ret_endpoint = endpoint;
	return ERROR_OK;
}

static enum pingd_backend backend_of(const char *url)
{
	return begins_with(url, "sqlite:")     ? PINGD_BACKEND_SQLITE
	       : begins_with(url, "postgres")  ? PINGD_BACKEND_POSTGRES
	       : begins_with(url, "kafka://")  ? PINGD_BACKEND_KAFKA
	       : begins_with(url, "scylla://") ? PINGD_BACKEND_SCYLLA
					       : PINGD_BACKEND_NONE;
}

static enum error check_embedded(struct pingd_backends *backends, struct error_note *note)
{
	if (backends->log == PINGD_BACKEND_KAFKA)
		return error_noted(
			note, ERROR_INVALID_ARGUMENT,
			"an embedded ledger has its own log: leave out --log, or add --ledger postgres://… to use Kafka");
	if (backends->store == PINGD_BACKEND_SCYLLA)
		return error_noted(
			note, ERROR_INVALID_ARGUMENT,
			"ScyllaDB is filled from Kafka: leave out --store, or add --ledger postgres://… and --log kafka://…");
	*backends = (struct pingd_backends){PINGD_BACKEND_SQLITE, PINGD_BACKEND_SQLITE, PINGD_BACKEND_SQLITE};
	return ERROR_OK;
}

static enum error check_postgres(const struct pingd_backends *backends, struct error_note *note)
{
	if (backends->log == PINGD_BACKEND_SQLITE)
		return error_noted(
			note, ERROR_INVALID_ARGUMENT,
			"the embedded log is the embedded ledger: with PostgreSQL use --log kafka://…, or leave out --log");
	if (backends->log == PINGD_BACKEND_NONE && backends->store != PINGD_BACKEND_NONE)
		return error_noted(note, ERROR_INVALID_ARGUMENT,
				   "a store is filled from the log: add --log kafka://…, or leave out --store");
	return ERROR_OK;
}

static enum error check_ledgerless(const struct pingd_backends *backends, struct error_note *note)
{
	if (backends->log != PINGD_BACKEND_KAFKA || backends->store == PINGD_BACKEND_NONE)
		return error_noted(note, ERROR_INVALID_ARGUMENT,
				   "what only streams fills a store from the log: add --log kafka://… and --store scylla://…");
	return ERROR_OK;
}

enum error pingd_config_check_urls(const char *ledger, const char *log, const char *store, struct pingd_backends *ret_backends,
				   struct error_note *note)
{
	struct pingd_backends backends = {backend_of(ledger), backend_of(log), backend_of(store)};
	enum error error = backends.ledger == PINGD_BACKEND_POSTGRES ? check_postgres(&backends, note)
			   : backends.ledger == PINGD_BACKEND_NONE   ? check_ledgerless(&backends, note)
								     : check_embedded(&backends, note);
	if (error == ERROR_OK)
		*ret_backends = backends;
	return error;
}

enum error pingd_config_check_build(const struct pingd_backends *backends, struct error_note *note)
{
	enum error error = backends->store == PINGD_BACKEND_SCYLLA ? cql_check_build(note) : ERROR_OK;
	if (error != ERROR_OK)
		return error;
	return backends->log == PINGD_BACKEND_KAFKA ? kafka_check_build(note) : ERROR_OK;
}

struct kafka_config pingd_config_kafka(const struct pingd_config *config)
{
	struct kafka_config kafka = {
		.settings = config->kafka.items,
		.setting_count = config->kafka.count,
		.partitions = (int32_t)config->log_partitions,
		.slots = (int32_t)config->publisher_slots,
		.log_epoch = (int32_t)config->log_epoch,
	};
	kafka_url_parse(config->log, &kafka.brokers, NULL); /* checked when it was set */
	return kafka;
}

/* What is built in, and what each adapter has to say of its settings. */
static enum error check_adapters(const struct pingd_config *config, struct error_note *note)
{
	enum error error = pingd_config_check_build(&config->backends, note);
	if (error != ERROR_OK || config->backends.log != PINGD_BACKEND_KAFKA)
		return error;
	const struct kafka_config kafka = pingd_config_kafka(config);
	return kafka_config_check(&kafka, note);
}

static enum error set_default_data_dir(struct settings *settings, char *const *environment, struct error_note *note)
{
	const char *state = settings_variable(environment, "XDG_STATE_HOME"), *home = settings_variable(environment, "HOME");
	const struct passwd *user = home == NULL || *home == 0 ? getpwuid(getuid()) : NULL;
	if (user != NULL)
		home = user->pw_dir;
	char path[4096];
	if (state != NULL && *state == '/')
		snprintf(path, sizeof path, "%s/ping", state);
	else if (home != NULL && *home == '/')
		snprintf(path, sizeof path, "%s/.local/state/ping", home);
	else
		return ERROR_OK; /* complained about when nothing else has set it */
	return settings_set_default(settings, "data-dir", path, note);
}

static enum error append_escaped(struct buffer *url, const char *text)
{
	enum error error = ERROR_OK;
	for (; *text != 0 && error == ERROR_OK; text++) {
		bool plain = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') || (*text >= '0' && *text <= '9') ||
			     strchr("-._~", *text) != NULL;
		error = plain ? buffer_append_byte(url, (uint8_t)*text)
			      : buffer_append_format(url, "%%%02X", (unsigned)(uint8_t)*text);
	}
	return error;
}

/* Before the part stands `prefix`; a part that isn't set is left out with it. */
static enum error append_variable(struct buffer *url, char *const *environment, const char *prefix, const char *name)
{
	const char *value = settings_variable(environment, name);
	if (value == NULL || *value == 0)
		return ERROR_OK;
	enum error error = buffer_append_string(url, prefix);
	return error == ERROR_OK ? append_escaped(url, value) : error;
}

/* postgres://DB_USER:DB_PASSWORD@DB_HOST:DB_PORT/DB_NAME. An IPv6 address has its colons escaped and needs no brackets. */
static enum error write_database_url(struct buffer *url, char *const *environment)
{
	const char *user = settings_variable(environment, "DB_USER");
	bool has_user = user != NULL && *user != 0;
	enum error error = buffer_append_string(url, "postgres://");
	if (error == ERROR_OK && has_user)
		error = append_escaped(url, user);
	if (error == ERROR_OK && has_user)
		error = append_variable(url, environment, ":", "DB_PASSWORD");
	if (error == ERROR_OK)
		error = append_variable(url, environment, has_user ? "@" : "", "DB_HOST");
	if (error == ERROR_OK)
		error = append_variable(url, environment, ":", "DB_PORT");
	if (error == ERROR_OK)
		error = append_variable(url, environment, "/", "DB_NAME");
	return error == ERROR_OK ? buffer_append_byte(url, 0) : error;
}

static enum error set_default_ledger(struct settings *settings, char *const *environment, struct error_note *note)
{
	const char *host = settings_variable(environment, "DB_HOST");
	if (host == NULL || *host == 0)
		return ERROR_OK;
	struct buffer url;
	buffer_init(&url, 1 << 14);
	enum error error = write_database_url(&url, environment);
	if (error == ERROR_OK)
		error = settings_set_default(settings, "ledger", (const char *)url.data, note);
	buffer_release(&url);
	return error;
}

static enum error fill_lists(struct pingd_config *config, struct error_note *note)
{
	if (config->listen.count == 0 || config->roles.count == 0)
		return error_noted(note, ERROR_INVALID_ARGUMENT, "%s: at least one is needed",
				   config->listen.count == 0 ? "listen" : "roles");
	if (config->listen.count + config->listen_plain.count > PINGD_MAX_LISTEN)
		return error_noted(note, ERROR_INVALID_ARGUMENT, "listen: at most %d addresses", PINGD_MAX_LISTEN);
	if (config->trusted_proxies.count > PINGD_MAX_TRUSTED_PROXIES)
		return error_noted(note, ERROR_INVALID_ARGUMENT, "trusted-proxies: at most %d networks",
				   PINGD_MAX_TRUSTED_PROXIES);
	config->endpoint_count = config->listen.count + config->listen_plain.count;
	config->proxy_count = config->trusted_proxies.count;
	enum error error = ERROR_OK;
	for (size_t i = 0; i < config->endpoint_count && error == ERROR_OK; i++) {
		bool plain = i >= config->listen.count;
		config->addresses[i] = plain ? config->listen_plain.items[i - config->listen.count] : config->listen.items[i];
		error = pingd_endpoint_parse(config->addresses[i], &config->endpoints[i]);
	}
	for (size_t i = 0; i < config->proxy_count && error == ERROR_OK; i++)
		error = address_network_parse(slice_from_string(config->trusted_proxies.items[i]), &config->proxies[i], note);
	for (size_t i = 0; i < config->roles.count; i++)
		*(strcmp(config->roles.items[i], "api") == 0 ? &config->role_api : &config->role_stream) = true;
	return error;
}

/* A process that only streams from Kafka needs a ledger for nothing. */
static const char *needed_ledger(const struct pingd_config *config)
{
	bool needed = config->role_api || backend_of(config->log) != PINGD_BACKEND_KAFKA ||
		      backend_of(config->ledger) != PINGD_BACKEND_SQLITE;
	return needed ? config->ledger : "";
}

/* There is something to do for a store alone, without the ledger and the log that it is filled from. */
static bool has_store_alone(const struct pingd_config *config)
{
	return config->ledger_optional && backend_of(config->ledger) == PINGD_BACKEND_SQLITE &&
	       backend_of(config->store) == PINGD_BACKEND_SCYLLA && backend_of(config->log) != PINGD_BACKEND_SQLITE;
}

static enum error check_urls(struct pingd_config *config, struct error_note *note)
{
	if (has_store_alone(config)) {
		config->backends = (struct pingd_backends){PINGD_BACKEND_NONE, backend_of(config->log), PINGD_BACKEND_SCYLLA};
		return ERROR_OK;
	}
	enum error error = pingd_config_check_urls(needed_ledger(config), config->log, config->store, &config->backends, note);
	if (error == ERROR_OK && config->backends.log == PINGD_BACKEND_NONE && !config->role_api)
		error = error_noted(note, ERROR_INVALID_ARGUMENT,
				    "roles: without a log there is nothing to stream: add api, or --log and --store");
	return error;
}

static enum error derive(struct pingd_config *config, struct error_note *note)
{
	if (*config->data_dir == 0)
		return error_noted(note, ERROR_INVALID_ARGUMENT,
				   "data-dir: there is no home directory to put it in; add --data-dir DIR");
	if (*config->tls_certificate == 0 && config->listen_plain.count > 0)
		return error_noted(note, ERROR_INVALID_ARGUMENT,
				   "listen-plain: without tls-certificate all addresses are plain: use listen");
	if (*config->tls_certificate == 0 && (*config->tls_key != 0 || *config->tls_client_ca != 0))
		return error_noted(note, ERROR_INVALID_ARGUMENT,
				   "tls-%s is of no use without tls-certificate: add --tls-certificate FILE",
				   *config->tls_key != 0 ? "key" : "client-ca");
	if (config->default_timeout_ms > config->max_timeout_ms)
		return error_noted(note, ERROR_INVALID_ARGUMENT, "default-timeout must not be greater than max-timeout");
	if (config->threads == 0) {
		long cores = sysconf(_SC_NPROCESSORS_ONLN);
		config->threads = cores < 1 ? 1 : cores > PINGD_MAX_THREADS ? PINGD_MAX_THREADS : cores;
	}
	enum error error = fill_lists(config, note);
	if (error == ERROR_OK && config->ledger_retention_ms != 0 && backend_of(config->ledger) != PINGD_BACKEND_POSTGRES)
		error = error_noted(note, ERROR_INVALID_ARGUMENT,
				    "ledger-retention: only PostgreSQL's pings are in days that can be dropped: add --ledger "
				    "postgres://…, or leave it out");
	if (error == ERROR_OK)
		error = check_urls(config, note);
	return error == ERROR_OK ? check_adapters(config, note) : error;
}

enum error pingd_config_complete(struct pingd_config *config, struct settings *settings, char *const *environment,
				 struct error_note *note)
{
	enum error error = set_default_data_dir(settings, environment, note);
	if (error == ERROR_OK)
		error = set_default_ledger(settings, environment, note);
	if (error == ERROR_OK && *config->config != 0)
		error = settings_file_read(settings, config->config, note);
	if (error == ERROR_OK && begins_with(config->store, "scylla://"))
		error = settings_set_default(settings, "window-retention", "90d", note);
	return error == ERROR_OK ? derive(config, note) : error;
}

enum error pingd_config_load(int argc, char *const *argv, char *const *environment, struct pingd_config *ret_config,
			     struct settings **ret_settings, struct error_note *note)
{
	struct settings_table table = pingd_manual.settings;
	table.config = ret_config;
	*ret_config = (struct pingd_config){0};
	struct settings *settings = NULL;
	enum error error = settings_create(&table, 1, &settings, note);
	int index = 1;
	if (error == ERROR_OK)
		error = settings_set_from_flags(settings, argc, argv, &index, note);
	if (error == ERROR_OK && index < argc)
		error = error_noted(note, ERROR_INVALID_ARGUMENT, "\"%.64s\" is one word too many: pingd takes flags alone",
				    argv[index]);
	bool answers_only = ret_config->help != MANUAL_NONE || ret_config->version;
	if (error == ERROR_OK && !answers_only)
		error = settings_set_from_environment(settings, environment, note);
	if (error == ERROR_OK && !answers_only)
		error = pingd_config_complete(ret_config, settings, environment, note);
	if (error != ERROR_OK) {
		settings_destroy(settings);
		return error;
	}
	*ret_settings = settings;
	return ERROR_OK;
}

bool pingd_config_answer(const struct pingd_config *config, const struct settings *settings, int *ret_exit_code)
{
	if (config->help == MANUAL_NONE && !config->version && !config->check_config)
		return false;
	struct buffer text;
	buffer_init(&text, MIB);
	enum error error = config->help != MANUAL_NONE ? manual_write(&pingd_manual, config->help, &text)
			   : config->version ? buffer_append_format(&text, "pingd %s\n%s\n%s\nmemory from %s\n", PING_VERSION,
								    kafka_client_text(), cql_client_text(), allocator_text())
					     : settings_print(settings, &text);
	bool written = error == ERROR_OK && fwrite(text.data, 1, text.size, stdout) == text.size && fflush(stdout) == 0;
	buffer_release(&text);
	*ret_exit_code = written ? 0 : 1;
	return true;
}
