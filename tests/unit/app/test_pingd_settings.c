#include "app/pingd_settings.h"
#include "app/settings_file.h"
#include "adapter/cql/cql.h"
#include "adapter/kafka/kafka.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct pingd_config config;
static struct settings *settings;
static struct error_note note;

static enum error load(const char *const *arguments, const char *const *environment)
{
	int count = 0;
	while (arguments[count] != NULL)
		count++;
	note.text[0] = 0;
	return pingd_config_load(count, (char *const *)arguments, (char *const *)environment, &config, &settings, &note);
}

#define ARGUMENTS(...)                       \
	(const char *const[])                \
	{                                    \
		"pingd", ##__VA_ARGS__, NULL \
	}
#define ENVIRONMENT(...)          \
	(const char *const[])     \
	{                         \
		__VA_ARGS__, NULL \
	}
#define HOME "HOME=/home/ping"

static void without_any_setting_everything_is_embedded_under_the_home_directory(void **state)
{
	(void)state;
	assert_int_equal(load(ARGUMENTS(), ENVIRONMENT(HOME)), ERROR_OK);
	assert_string_equal(config.data_dir, "/home/ping/.local/state/ping");
	assert_int_equal(config.endpoint_count, 1);
	assert_int_equal(config.endpoints[0].port, 8080);
	assert_int_equal(config.proxy_count, 0);
	assert_true(config.role_api && config.role_stream);
	assert_in_range(config.threads, 1, PINGD_MAX_THREADS);
	assert_int_equal(config.backends.ledger, PINGD_BACKEND_SQLITE);
	assert_int_equal(config.backends.log, PINGD_BACKEND_SQLITE);
	assert_int_equal(config.backends.store, PINGD_BACKEND_SQLITE);
	settings_destroy(settings);
}

static void xdg_state_home_names_the_place_of_the_data(void **state)
{
	(void)state;
	assert_int_equal(load(ARGUMENTS(), ENVIRONMENT(HOME, "XDG_STATE_HOME=/state")), ERROR_OK);
	assert_string_equal(config.data_dir, "/state/ping");
	settings_destroy(settings);
}

static void lists_become_endpoints_networks_and_roles(void **state)
{
	(void)state;
	assert_int_equal(load(ARGUMENTS("--listen", "127.0.0.1:0,[::1]:9090", "--trusted-proxies=10.0.0.0/8,::1", "--roles=api"),
			      ENVIRONMENT(HOME)),
			 ERROR_OK);
	assert_int_equal(config.endpoint_count, 2);
	assert_int_equal(config.endpoints[0].port, 0);
	assert_int_equal(config.endpoints[1].port, 9090);
	assert_int_equal(config.proxy_count, 2);
	assert_int_equal(config.proxies[0].prefix_bits, 96 + 8);
	assert_true(config.role_api);
	assert_false(config.role_stream);
	settings_destroy(settings);
}

static void endpoints_are_an_address_and_a_port(void **state)
{
	(void)state;
	struct pingd_endpoint endpoint;
	const char *const good[] = {"127.0.0.1:8080", "0.0.0.0:0", "[::1]:65535", "[fe80::1]:1"};
	const char *const bad[] = {
		"",	    ":8080",  "8080",	      "127.0.0.1",	  "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
		"::1:8080", "[::1]8", "localhost:80", "[127.0.0.1]:8080", "[::1]",	"127.0.0.1:000080"};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_int_equal(pingd_endpoint_parse(good[i], &endpoint), ERROR_OK);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(pingd_endpoint_parse(bad[i], &endpoint), ERROR_MALFORMED);
}

static void wrong_values_stop_the_start(void **state)
{
	(void)state;
	assert_int_equal(load(ARGUMENTS("--listen=localhost:80"), ENVIRONMENT(HOME)), ERROR_INVALID_ARGUMENT);
	assert_string_equal(note.text,
			    "--listen: expected ADDRESS:PORT such as 127.0.0.1:8080 or [::1]:8080, found \"localhost:80\"");
	assert_int_equal(load(ARGUMENTS("--default-timeout=10m"), ENVIRONMENT(HOME)), ERROR_INVALID_ARGUMENT);
	assert_string_equal(note.text, "default-timeout must not be greater than max-timeout");
	assert_int_equal(load(ARGUMENTS("serve"), ENVIRONMENT(HOME)), ERROR_INVALID_ARGUMENT);
	assert_string_equal(note.text, "\"serve\" is one word too many: pingd takes flags alone");
	assert_int_equal(load(ARGUMENTS("--config=/nowhere/ping.ini"), ENVIRONMENT(HOME)), ERROR_NOT_FOUND);
	assert_string_equal(note.text, "/nowhere/ping.ini: the config file cannot be opened: No such file or directory");
}

static void metrics_from_kafka_lie_in_scylladb_for_ninety_days(void **state)
{
	(void)state;
	if (kafka_check_build(&note) != ERROR_OK || cql_check_build(&note) != ERROR_OK)
		skip();
	assert_int_equal(load(ARGUMENTS("--ledger=postgres://db/ping", "--log=kafka://k", "--store=scylla://s/metrics"),
			      ENVIRONMENT(HOME)),
			 ERROR_OK);
	assert_int_equal(config.backends.store, PINGD_BACKEND_SCYLLA);
	assert_int_equal(config.window_retention_ms, INT64_C(90) * 24 * 3600 * 1000);
	settings_destroy(settings);
}

static void metrics_from_kafka_lie_in_an_embedded_store(void **state)
{
	(void)state;
	if (kafka_check_build(&note) != ERROR_OK)
		skip();
	assert_int_equal(load(ARGUMENTS("--ledger=postgres://db/ping", "--log=kafka://k", "--store=sqlite:"), ENVIRONMENT(HOME)),
			 ERROR_OK);
	assert_int_equal(config.backends.store, PINGD_BACKEND_SQLITE);
	settings_destroy(settings);
}

static void the_variables_of_the_original_server_name_the_ledger(void **state)
{
	(void)state;
	assert_int_equal(load(ARGUMENTS(), ENVIRONMENT(HOME, "DB_HOST=db.example", "DB_PORT=5433", "DB_USER=ping",
						       "DB_PASSWORD=a/b@c:%", "DB_NAME=pings")),
			 ERROR_OK);
	assert_string_equal(config.ledger, "postgres://ping:a%2Fb%40c%3A%25@db.example:5433/pings");
	assert_int_equal(config.backends.ledger, PINGD_BACKEND_POSTGRES);
	assert_int_equal(config.backends.store, PINGD_BACKEND_NONE);
	settings_destroy(settings);
	assert_int_equal(load(ARGUMENTS(), ENVIRONMENT(HOME, "DB_HOST=db.example")), ERROR_OK);
	assert_string_equal(config.ledger, "postgres://db.example");
	settings_destroy(settings);
}

static void the_variables_of_the_original_server_yield_to_any_other_word(void **state)
{
	(void)state;
	assert_int_equal(load(ARGUMENTS(), ENVIRONMENT(HOME, "DB_HOST=db.example", "PING_LEDGER=sqlite:")), ERROR_OK);
	assert_string_equal(config.ledger, "sqlite:");
	settings_destroy(settings);
	assert_int_equal(load(ARGUMENTS(), ENVIRONMENT(HOME, "DB_USER=ping", "DB_PASSWORD=secret")), ERROR_OK);
	assert_string_equal(config.ledger, "sqlite:");
	settings_destroy(settings);
}

static void a_process_that_only_streams_from_kafka_wants_no_ledger(void **state)
{
	(void)state;
	enum error built = kafka_check_build(&note);
	assert_int_equal(load(ARGUMENTS("--log=kafka://k", "--store=sqlite:", "--roles=stream"), ENVIRONMENT(HOME)), built);
	if (built == ERROR_OK) {
		assert_int_equal(config.backends.ledger, PINGD_BACKEND_NONE);
		settings_destroy(settings);
	}
	assert_int_equal(load(ARGUMENTS("--log=kafka://k", "--roles=stream"), ENVIRONMENT(HOME)), ERROR_INVALID_ARGUMENT);
	assert_int_equal(load(ARGUMENTS("--log=kafka://k", "--store=sqlite:"), ENVIRONMENT(HOME)), ERROR_INVALID_ARGUMENT);
}

static void a_process_that_only_streams_wants_a_log(void **state)
{
	(void)state;
	assert_int_equal(load(ARGUMENTS("--ledger=postgres://db/ping", "--roles=stream"), ENVIRONMENT(HOME)),
			 ERROR_INVALID_ARGUMENT);
	assert_string_equal(note.text, "roles: without a log there is nothing to stream: add api, or --log and --store");
}

static void help_and_version_look_at_nothing_but_the_flags(void **state)
{
	(void)state;
	assert_int_equal(load(ARGUMENTS("--help"), ENVIRONMENT("PING_THREADS=x")), ERROR_OK);
	assert_int_equal(config.help, MANUAL_TEXT);
	settings_destroy(settings);
	assert_int_equal(load(ARGUMENTS("--help=man"), ENVIRONMENT(HOME)), ERROR_OK);
	assert_int_equal(config.help, MANUAL_MAN);
	settings_destroy(settings);
	assert_int_equal(load(ARGUMENTS("--version"), ENVIRONMENT("PING_THREADS=x")), ERROR_OK);
	assert_true(config.version);
	settings_destroy(settings);
}

/* ─── Which URLs go together ─── */

static void the_legal_combinations_are_these(void **state)
{
	(void)state;
	const struct {
		const char *ledger, *log, *store;
		struct pingd_backends backends;
	} legal[] = {
		{"sqlite:", "", "", {PINGD_BACKEND_SQLITE, PINGD_BACKEND_SQLITE, PINGD_BACKEND_SQLITE}},
		{"sqlite:", "sqlite:", "sqlite:", {PINGD_BACKEND_SQLITE, PINGD_BACKEND_SQLITE, PINGD_BACKEND_SQLITE}},
		{"postgres://db", "", "", {PINGD_BACKEND_POSTGRES, PINGD_BACKEND_NONE, PINGD_BACKEND_NONE}},
		{"postgresql://db",
		 "kafka://k",
		 "scylla://s",
		 {PINGD_BACKEND_POSTGRES, PINGD_BACKEND_KAFKA, PINGD_BACKEND_SCYLLA}},
		{"postgres://db", "kafka://k", "", {PINGD_BACKEND_POSTGRES, PINGD_BACKEND_KAFKA, PINGD_BACKEND_NONE}},
		{"postgres://db", "kafka://k", "sqlite:", {PINGD_BACKEND_POSTGRES, PINGD_BACKEND_KAFKA, PINGD_BACKEND_SQLITE}},
		{"", "kafka://k", "scylla://s", {PINGD_BACKEND_NONE, PINGD_BACKEND_KAFKA, PINGD_BACKEND_SCYLLA}},
		{"", "kafka://k", "sqlite:", {PINGD_BACKEND_NONE, PINGD_BACKEND_KAFKA, PINGD_BACKEND_SQLITE}},
	};
	for (size_t i = 0; i < sizeof legal / sizeof legal[0]; i++) {
		struct pingd_backends backends;
		assert_int_equal(pingd_config_check_urls(legal[i].ledger, legal[i].log, legal[i].store, &backends, &note),
				 ERROR_OK);
		assert_memory_equal(&backends, &legal[i].backends, sizeof backends);
	}
}

static void every_other_combination_is_refused_with_the_way_out(void **state)
{
	(void)state;
	const char *const own_log =
		"an embedded ledger has its own log: leave out --log, or add --ledger postgres://… to use Kafka";
	const char *const from_kafka =
		"ScyllaDB is filled from Kafka: leave out --store, or add --ledger postgres://… and --log kafka://…";
	const char *const no_ledger_log =
		"the embedded log is the embedded ledger: with PostgreSQL use --log kafka://…, or leave out --log";
	const char *const no_log = "a store is filled from the log: add --log kafka://…, or leave out --store";
	const char *const no_store = "what only streams fills a store from the log: add --log kafka://… and --store scylla://…";
	const struct {
		const char *ledger, *log, *store, *text;
	} refused[] = {
		{"sqlite:", "kafka://k", "", own_log},
		{"sqlite:", "kafka://k", "sqlite:", own_log},
		{"sqlite:", "kafka://k", "scylla://s", own_log},
		{"sqlite:", "", "scylla://s", from_kafka},
		{"sqlite:", "sqlite:", "scylla://s", from_kafka},
		{"postgres://db", "sqlite:", "", no_ledger_log},
		{"postgres://db", "sqlite:", "sqlite:", no_ledger_log},
		{"postgres://db", "sqlite:", "scylla://s", no_ledger_log},
		{"postgres://db", "", "sqlite:", no_log},
		{"postgres://db", "", "scylla://s", no_log},
		{"", "kafka://k", "", no_store},
		{"", "", "scylla://s", no_store},
	};
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		struct pingd_backends backends;
		assert_int_equal(pingd_config_check_urls(refused[i].ledger, refused[i].log, refused[i].store, &backends, &note),
				 ERROR_INVALID_ARGUMENT);
		assert_string_equal(note.text, refused[i].text);
	}
}

/* ─── The config file ─── */

static enum error read_file(const char *text)
{
	static struct pingd_config values;
	struct settings_table table = {.rows = pingd_settings, .config = &values};
	struct settings *of_file;
	assert_int_equal(settings_create(&table, 1, &of_file, &note), ERROR_OK);
	FILE *stream = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	assert_non_null(stream);
	enum error error = settings_file_read_stream(of_file, stream, "ping.ini", &note);
	fclose(stream);
	config = values;
	if (error == ERROR_OK)
		assert_int_equal(values.max_body_bytes, 1 << 20);
	settings_destroy(of_file);
	return error;
}

static void the_file_may_have_sections_comments_and_long_lists(void **state)
{
	(void)state;
	assert_int_equal(
		read_file("; a comment\nmax-body = 1MiB\n\n[server]\nthreads = 3 ; another\nlisten = 127.0.0.1:1\n  [::1]:2\n"),
		ERROR_OK);
	assert_int_equal(config.threads, 3);
	assert_int_equal(config.listen.count, 2);
}

static void errors_of_the_file_name_the_line(void **state)
{
	(void)state;
	const struct {
		const char *file, *text;
	} bad[] = {
		{"\n\nmax-bdy = 1MiB\n", "ping.ini:3: unknown setting \"max-bdy\"; did you mean \"max-body\"?"},
		{"[logging]\nmax-body = 1MiB\n", "ping.ini:2: max-body belongs to [server], not to [logging]"},
		{"max-body = 1MiB\nmax-body = 1MiB\n", "ping.ini:2: max-body is given twice (before: ping.ini:1)"},
		{"max-body = 1MiB\nthreads\n", "ping.ini:2: expected `key = value` or `[section]`"},
		{"threads = many\n",
		 "ping.ini:1: threads: expected a whole number from 1 to 64, or 0 (one a core), found \"many\""},
		{"config = other.ini\n", "ping.ini:1: unknown setting \"config\""},
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(read_file(bad[i].file), ERROR_INVALID_ARGUMENT);
		assert_string_equal(note.text, bad[i].text);
	}
}

static void a_line_that_is_too_long_is_refused_rather_than_cut(void **state)
{
	(void)state;
	char text[4096];
	memset(text, 'x', sizeof text - 1);
	memcpy(text, "\ndata-dir = ", 12);
	text[sizeof text - 1] = 0;
	assert_int_equal(read_file(text), ERROR_INVALID_ARGUMENT);
	assert_non_null(strstr(note.text, "ping.ini:2: the line is longer than "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_any_setting_everything_is_embedded_under_the_home_directory),
		cmocka_unit_test(xdg_state_home_names_the_place_of_the_data),
		cmocka_unit_test(lists_become_endpoints_networks_and_roles),
		cmocka_unit_test(endpoints_are_an_address_and_a_port),
		cmocka_unit_test(wrong_values_stop_the_start),
		cmocka_unit_test(metrics_from_kafka_lie_in_scylladb_for_ninety_days),
		cmocka_unit_test(metrics_from_kafka_lie_in_an_embedded_store),
		cmocka_unit_test(the_variables_of_the_original_server_name_the_ledger),
		cmocka_unit_test(the_variables_of_the_original_server_yield_to_any_other_word),
		cmocka_unit_test(a_process_that_only_streams_from_kafka_wants_no_ledger),
		cmocka_unit_test(a_process_that_only_streams_wants_a_log),
		cmocka_unit_test(help_and_version_look_at_nothing_but_the_flags),
		cmocka_unit_test(the_legal_combinations_are_these),
		cmocka_unit_test(every_other_combination_is_refused_with_the_way_out),
		cmocka_unit_test(the_file_may_have_sections_comments_and_long_lists),
		cmocka_unit_test(errors_of_the_file_name_the_line),
		cmocka_unit_test(a_line_that_is_too_long_is_refused_rather_than_cut),
	};
	return cmocka_run_group_tests_name("pingd_settings", tests, NULL, NULL);
}
