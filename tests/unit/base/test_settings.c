#include "base/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

struct config {
	const char *name, *url, *password;
	int64_t threads, timeout_ms, retention_ms, body_bytes;
	bool color, verbose;
	int format;
	struct setting_list peers, roles, other;
};

static bool is_word(const char *text)
{
	return strspn(text, "abcdefghijklmnopqrstuvwxyz") == strlen(text);
}

static const char *const formats[] = {"logfmt", "json", NULL};
static const char *const roles[] = {"api", "stream", NULL};

/* clang-format off */
static const struct setting rows[] = {
	{.name = "name", SETTING_TEXT(struct config, name), .section = "main", .initial = "ping", .accepts = is_word, .expected = "a word"},
	{.name = "threads", SETTING_INTEGER(struct config, threads), .section = "main", .initial = "0", .min = 1, .max = 64, .zero = "one a core",
	 .groups = 1},
	{.name = "timeout", SETTING_DURATION(struct config, timeout_ms), .section = "main", .initial = "30s", .min = 1, .max = 3600000},
	{.name = "retention", SETTING_DURATION(struct config, retention_ms), .section = "main", .initial = "0", .min = 25 * 3600000,
	 .zero = "for ever"},
	{.name = "max-body", SETTING_SIZE(struct config, body_bytes), .section = "main", .initial = "4MiB", .min = 1024},
	{.name = "color", SETTING_BOOLEAN(struct config, color), .section = "main", .initial = "true"},
	{.name = "verbose", SETTING_BOOLEAN(struct config, verbose), .initial = "false", .flag_only = true},
	{.name = "format", SETTING_CHOICE(struct config, format), .section = "log", .initial = "logfmt", .choices = formats, .implied = "json"},
	{.name = "peers", SETTING_LIST(struct config, peers), .section = "net", .accepts = is_word, .expected = "a word"},
	{.name = "roles", SETTING_LIST(struct config, roles), .section = "net", .initial = "api,stream", .choices = roles},
	{.name = "url", SETTING_TEXT(struct config, url), .section = "secret", .secrecy = SETTING_URL_PASSWORD},
	{.name = "password", SETTING_TEXT(struct config, password), .section = "secret", .secrecy = SETTING_SECRET},
	{.name = "other", SETTING_PAIRS(struct config, other), .section = "other"},
	{0},
};
/* clang-format on */

static struct config config;
static struct settings *settings;
static struct error_note note;

static int set_up(void **state)
{
	(void)state;
	struct settings_table table = {.rows = rows, .config = &config, .prefix = "PING_"};
	note.text[0] = 0;
	return settings_create(&table, 1, &settings, &note) == ERROR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	settings_destroy(settings);
	return 0;
}

/* The flags after the program's name; ends with NULL. The index of the first operand. */
static enum error flags(const char *const *arguments, int *ret_operand)
{
	int count = 0;
	while (arguments[count] != NULL)
		count++;
	*ret_operand = 0;
	return settings_set_from_flags(settings, count, (char *const *)arguments, ret_operand, &note);
}

#define FLAGS(...)                                                    \
	({                                                            \
		int operand_;                                         \
		const char *const arguments_[] = {__VA_ARGS__, NULL}; \
		flags(arguments_, &operand_);                         \
	})
#define VARIABLES(...)                                                                       \
	({                                                                                   \
		const char *const environment_[] = {__VA_ARGS__, NULL};                      \
		settings_set_from_environment(settings, (char *const *)environment_, &note); \
	})
#define FILE_LINE(name, text) settings_set_from_file(settings, "", name, text, "ping.ini:7", &note)

static void assert_refused(enum error error, const char *text)
{
	assert_int_equal(error, ERROR_INVALID_ARGUMENT);
	assert_string_equal(note.text, text);
}

/* ─── Forms of values ─── */

static void every_member_holds_its_default_at_first(void **state)
{
	(void)state;
	assert_string_equal(config.name, "ping");
	assert_int_equal(config.threads, 0);
	assert_int_equal(config.timeout_ms, 30000);
	assert_int_equal(config.body_bytes, 4 << 20);
	assert_true(config.color);
	assert_int_equal(config.format, 0);
	assert_int_equal(config.peers.count, 0);
	assert_int_equal(config.roles.count, 2);
	assert_string_equal(config.url, "");
}

static void a_default_that_its_row_refuses_is_an_error(void **state)
{
	(void)state;
	const struct setting bad[] = {
		{.name = "threads", SETTING_INTEGER(struct config, threads), .initial = "65", .min = 1, .max = 64}, {0}};
	struct config other;
	struct settings_table table = {.rows = bad, .config = &other};
	struct settings *never = NULL;
	assert_refused(settings_create(&table, 1, &never, &note),
		       "default: threads: expected a whole number from 1 to 64, found \"65\"");
	assert_null(never);
}

static void durations_are_numbers_with_units(void **state)
{
	(void)state;
	const struct {
		const char *text;
		int64_t ms;
	} good[] = {{"0", 0},	       {"500ms", 500},	  {"30s", 30000},
		    {"5m", 300000},    {"24h", 86400000}, {"90d", INT64_C(7776000000)},
		    {"1h30m", 5400000}};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		int64_t ms = -1;
		assert_int_equal(settings_parse_duration(good[i].text, &ms), ERROR_OK);
		assert_int_equal(ms, good[i].ms);
	}
	const char *const bad[] = {
		"", "5", "m", "5 m", "-5m", "5min", "1.5h", "5m ", "5m3", "9223372036854775807d", "99999999999999999999s"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		int64_t ms = -1;
		assert_int_equal(settings_parse_duration(bad[i], &ms), ERROR_MALFORMED);
		assert_int_equal(ms, -1);
	}
}

static void sizes_are_bytes_with_or_without_a_unit(void **state)
{
	(void)state;
	int64_t bytes;
	assert_int_equal(settings_parse_size("1024", &bytes), ERROR_OK);
	assert_int_equal(bytes, 1024);
	assert_int_equal(settings_parse_size("64MiB", &bytes), ERROR_OK);
	assert_int_equal(bytes, 64 << 20);
	assert_int_equal(settings_parse_size("3GiB", &bytes), ERROR_OK);
	assert_int_equal(bytes, INT64_C(3) << 30);
	assert_int_equal(settings_parse_size("64MB", &bytes), ERROR_MALFORMED);
	assert_int_equal(settings_parse_size("9007199254740992MiB", &bytes), ERROR_MALFORMED);
}

static void numbers_outside_of_their_range_are_refused(void **state)
{
	(void)state;
	assert_refused(FLAGS("--threads=65"), "--threads: expected a whole number from 1 to 64, or 0 (one a core), found \"65\"");
	assert_refused(FLAGS("--threads", "-1"),
		       "--threads: expected a whole number from 1 to 64, or 0 (one a core), found \"-1\"");
	assert_refused(FLAGS("--threads=4x"), "--threads: expected a whole number from 1 to 64, or 0 (one a core), found \"4x\"");
	assert_refused(FLAGS("--timeout=2h"),
		       "--timeout: expected a duration such as 30s, 5m or 24h, from 1ms to 1h, found \"2h\"");
	assert_refused(FLAGS("--max-body=1023"),
		       "--max-body: expected a size such as 64MiB or 512KiB, at least 1KiB, found \"1023\"");
	assert_int_equal(config.threads, 0);
}

static void zero_may_be_allowed_beside_the_range(void **state)
{
	(void)state;
	assert_int_equal(FLAGS("--retention=25h"), ERROR_OK);
	assert_int_equal(config.retention_ms, 25 * 3600000);
	assert_refused(VARIABLES("PING_RETENTION=24h"),
		       "PING_RETENTION: retention: expected a duration such as 30s, 5m or 24h, at "
		       "least 25h, or 0 (for ever), found \"24h\"");
	assert_int_equal(VARIABLES("PING_RETENTION=0"), ERROR_OK);
}

static void booleans_are_switches_with_a_negative(void **state)
{
	(void)state;
	assert_int_equal(FLAGS("--no-color", "--verbose"), ERROR_OK);
	assert_false(config.color);
	assert_true(config.verbose);
}

static void booleans_take_words_too(void **state)
{
	(void)state;
	const char *const yes[] = {"true", "yes", "on", "1"}, *const no[] = {"false", "no", "off", "0"};
	for (size_t i = 0; i < 4; i++) {
		char variable[32];
		snprintf(variable, sizeof variable, "PING_COLOR=%s", i % 2 == 0 ? no[i] : yes[i]);
		tear_down(NULL);
		set_up(NULL);
		assert_int_equal(VARIABLES(variable), ERROR_OK);
		assert_int_equal(config.color, i % 2 == 1);
	}
	assert_refused(FLAGS("--color=maybe"), "--color: expected true or false, found \"maybe\"");
}

static void a_boolean_flag_takes_no_word_behind_it(void **state)
{
	(void)state;
	int operand;
	const char *const arguments[] = {"--verbose", "false", NULL};
	assert_int_equal(flags(arguments, &operand), ERROR_OK);
	assert_true(config.verbose);
	assert_int_equal(operand, 1);
}

static void choices_are_words_of_a_list(void **state)
{
	(void)state;
	assert_refused(FLAGS("--format=xml"), "--format: expected logfmt or json, found \"xml\"");
	assert_int_equal(FLAGS("--format=json"), ERROR_OK);
	assert_int_equal(config.format, 1);
}

static void a_flag_may_imply_its_value(void **state)
{
	(void)state;
	assert_int_equal(FLAGS("--format"), ERROR_OK);
	assert_int_equal(config.format, 1);
}

static void texts_are_checked_where_their_row_says_how(void **state)
{
	(void)state;
	assert_refused(FLAGS("--name", "Ping 1"), "--name: expected a word, found \"Ping 1\"");
	assert_string_equal(config.name, "ping");
}

static void lists_are_split_at_commas(void **state)
{
	(void)state;
	assert_int_equal(FLAGS("--peers", "one, two ,three"), ERROR_OK);
	assert_int_equal(config.peers.count, 3);
	assert_string_equal(config.peers.items[0], "one");
	assert_string_equal(config.peers.items[1], "two");
	assert_string_equal(config.peers.items[2], "three");
}

static void lists_grow_when_given_again(void **state)
{
	(void)state;
	assert_int_equal(FLAGS("--peers=one", "--peers=two,three"), ERROR_OK);
	assert_int_equal(config.peers.count, 3);
	assert_string_equal(config.peers.items[0], "one");
	assert_string_equal(config.peers.items[2], "three");
}

static void pairs_are_one_an_occurrence_whatever_is_in_them(void **state)
{
	(void)state;
	assert_int_equal(FLAGS("--other", "debug=a,b", "--other=sasl.password=x=y\n"), ERROR_INVALID_ARGUMENT); /* an empty one */
	settings_destroy(settings);
	assert_int_equal(set_up(NULL), 0);
	assert_int_equal(FLAGS("--other", "debug=a,b", "--other=sasl.password=x=y"), ERROR_OK);
	assert_int_equal(config.other.count, 2);
	assert_string_equal(config.other.items[0], "debug=a,b");
	assert_string_equal(config.other.items[1], "sasl.password=x=y");
}

static void pairs_of_a_variable_are_its_lines(void **state)
{
	(void)state;
	assert_int_equal(VARIABLES("PING_OTHER=a=1,2\nb="), ERROR_OK);
	assert_int_equal(config.other.count, 2);
	assert_string_equal(config.other.items[0], "a=1,2");
	assert_string_equal(config.other.items[1], "b=");
}

static void pairs_are_a_section_of_the_file_with_names_of_its_own(void **state)
{
	(void)state;
	assert_int_equal(settings_set_from_file(settings, "other", "sasl.password", "x", "ping.ini:7", &note), ERROR_OK);
	assert_int_equal(settings_set_from_file(settings, "other", "threads", "y", "ping.ini:8", &note), ERROR_OK);
	assert_int_equal(settings_set_from_file(settings, "other", "other", "a=b", "ping.ini:9", &note), ERROR_OK);
	assert_int_equal(config.other.count, 3);
	assert_string_equal(config.other.items[0], "sasl.password=x");
	assert_string_equal(config.other.items[1], "threads=y");
	assert_string_equal(config.other.items[2], "a=b");
	assert_int_equal(config.threads, 0);
}

static void what_is_no_pair_is_refused(void **state)
{
	(void)state;
	assert_refused(FLAGS("--other=word"), "--other: expected NAME=VALUE, found \"word\"");
	assert_refused(FLAGS("--other", "=x"), "--other: expected NAME=VALUE, found \"=x\"");
}

static void each_item_of_a_list_is_checked(void **state)
{
	(void)state;
	assert_refused(FLAGS("--peers=one,2"), "--peers: expected a word, found \"2\"");
	assert_refused(FLAGS("--peers=one,,two"), "--peers: expected a word, found \"\"");
	assert_refused(FLAGS("--roles=api,cook"), "--roles: expected one or more of api or stream, found \"cook\"");
	assert_int_equal(config.peers.count, 0);
}

/* ─── Sources ─── */

static void a_flag_beats_the_environment_beats_the_file_beats_the_default(void **state)
{
	(void)state;
	assert_int_equal(FILE_LINE("threads", "1"), ERROR_OK);
	assert_int_equal(config.threads, 1);
	assert_int_equal(VARIABLES("PING_THREADS=2"), ERROR_OK);
	assert_int_equal(config.threads, 2);
	assert_int_equal(FLAGS("--threads=3"), ERROR_OK);
	assert_int_equal(config.threads, 3);
}

static void the_order_of_reading_does_not_matter(void **state)
{
	(void)state;
	assert_int_equal(FLAGS("--threads=3", "--peers=flag"), ERROR_OK);
	assert_int_equal(VARIABLES("PING_THREADS=2", "PING_PEERS=variable"), ERROR_OK);
	assert_int_equal(FILE_LINE("threads", "1"), ERROR_OK);
	assert_int_equal(settings_set_default(settings, "threads", "4", &note), ERROR_OK);
	assert_int_equal(config.threads, 3);
	assert_int_equal(config.peers.count, 1);
	assert_string_equal(config.peers.items[0], "flag");
}

static void a_value_that_loses_is_checked_all_the_same(void **state)
{
	(void)state;
	assert_int_equal(FLAGS("--threads=3"), ERROR_OK);
	assert_refused(FILE_LINE("threads", "x"), "ping.ini:7: threads: expected a whole number from 1 to 64, or 0 (one a core), "
						  "found \"x\"");
}

static void a_default_may_be_set_at_run_time(void **state)
{
	(void)state;
	assert_int_equal(settings_set_default(settings, "url", "sqlite:", &note), ERROR_OK);
	assert_string_equal(config.url, "sqlite:");
	assert_int_equal(FLAGS("--url=kafka://k"), ERROR_OK);
	assert_string_equal(config.url, "kafka://k");
}

static void an_empty_variable_counts_as_none(void **state)
{
	(void)state;
	assert_int_equal(FILE_LINE("threads", "2"), ERROR_OK);
	assert_int_equal(VARIABLES("PING_THREADS="), ERROR_OK);
	assert_int_equal(config.threads, 2);
}

static void variables_that_no_row_knows_are_left_alone(void **state)
{
	(void)state;
	assert_int_equal(VARIABLES("PING_SERVICE_HOST=10.0.0.1", "PING_THREADSX=1", "PING_VERBOSE=true"), ERROR_OK);
	assert_false(config.verbose);
}

static void only_a_list_may_be_given_twice(void **state)
{
	(void)state;
	assert_refused(FLAGS("--threads=1", "--threads=2"), "--threads: threads is given twice (before: --threads)");
	assert_int_equal(FILE_LINE("name", "a"), ERROR_OK);
	assert_refused(settings_set_from_file(settings, "main", "name", "b", "ping.ini:9", &note),
		       "ping.ini:9: name is given twice (before: ping.ini:7)");
}

static void flags_end_at_the_first_operand(void **state)
{
	(void)state;
	int operand;
	const char *const arguments[] = {"--threads", "2", "count", "--threads", "3", NULL};
	assert_int_equal(flags(arguments, &operand), ERROR_OK);
	assert_int_equal(operand, 2);
	assert_int_equal(config.threads, 2);
}

static void behind_two_dashes_everything_is_an_operand(void **state)
{
	(void)state;
	int operand;
	const char *const arguments[] = {"--threads=2", "--", "--threads=3", NULL};
	assert_int_equal(flags(arguments, &operand), ERROR_OK);
	assert_int_equal(operand, 2);
	operand = 2;
	assert_int_equal(settings_set_from_flags(settings, 3, (char *const *)arguments, &operand, &note), ERROR_OK);
	assert_int_equal(operand, 2);
}

static void a_flag_without_its_value_is_refused(void **state)
{
	(void)state;
	assert_refused(FLAGS("--threads"), "--threads: expected a whole number from 1 to 64, or 0 (one a core), found nothing");
}

static void unknown_names_are_told_the_nearest_known_one(void **state)
{
	(void)state;
	assert_refused(FLAGS("--thread=1"), "unknown flag \"--thread\"; did you mean \"--threads\"?");
	assert_refused(FLAGS("--no-threads"), "unknown flag \"--no-threads\"; did you mean \"--threads\"?");
	assert_refused(FLAGS("-t"), "unknown flag \"-t\"; flags begin with two dashes");
	assert_refused(FILE_LINE("max_body", "1"), "ping.ini:7: unknown setting \"max_body\"; did you mean \"max-body\"?");
	assert_refused(FILE_LINE("zzzzzzzz", "1"), "ping.ini:7: unknown setting \"zzzzzzzz\"");
	assert_refused(FILE_LINE("verbose", "1"), "ping.ini:7: unknown setting \"verbose\"");
}

static void a_key_in_another_section_is_refused(void **state)
{
	(void)state;
	assert_int_equal(settings_set_from_file(settings, "log", "format", "json", "ping.ini:1", &note), ERROR_OK);
	assert_refused(settings_set_from_file(settings, "log", "threads", "1", "ping.ini:2", &note),
		       "ping.ini:2: threads belongs to [main], not to [log]");
}

static void a_group_hides_the_flags_of_other_rows(void **state)
{
	(void)state;
	tear_down(NULL);
	struct settings_table table = {.rows = rows, .config = &config, .prefix = "PING_", .groups = 1};
	assert_int_equal(settings_create(&table, 1, &settings, &note), ERROR_OK);
	assert_int_equal(FLAGS("--threads=2"), ERROR_OK);
	assert_refused(FLAGS("--timeout=2s"), "unknown flag \"--timeout\"");
	assert_int_equal(FILE_LINE("timeout", "2s"), ERROR_OK);
}

/* ─── Printing ─── */

static void the_print_is_a_config_file_that_says_where_values_came_from(void **state)
{
	(void)state;
	assert_int_equal(FLAGS("--threads=3"), ERROR_OK);
	assert_int_equal(VARIABLES("PING_FORMAT=json"), ERROR_OK);
	assert_int_equal(FILE_LINE("peers", "one"), ERROR_OK);
	assert_int_equal(FILE_LINE("peers", "two"), ERROR_OK);
	struct buffer text;
	buffer_init(&text, 1 << 16);
	assert_int_equal(settings_print(settings, &text), ERROR_OK);
	assert_int_equal(buffer_append_byte(&text, 0), ERROR_OK);
	const char *print = (const char *)text.data;
	assert_non_null(strstr(print, "[main]\nname                  = ping                     ; default\n"));
	assert_non_null(strstr(print, "threads               = 3                        ; flag --threads\n"));
	assert_non_null(strstr(print, "format                = json                     ; environment PING_FORMAT\n"));
	assert_non_null(strstr(print, "peers                 = one,two                  ; file ping.ini:7\n"));
	assert_null(strstr(print, "verbose"));
	buffer_release(&text);
}

static void secrets_are_printed_nowhere(void **state)
{
	(void)state;
	assert_int_equal(FLAGS("--url=postgres://ping:s3cret@db/ping", "--password=hunter2", "--other=sasl.password=hunter2",
			       "--other=sasl.username=ping"),
			 ERROR_OK);
	struct buffer text;
	buffer_init(&text, 1 << 16);
	assert_int_equal(settings_print(settings, &text), ERROR_OK);
	assert_int_equal(buffer_append_byte(&text, 0), ERROR_OK);
	const char *print = (const char *)text.data;
	assert_non_null(strstr(print, "= postgres://ping:********@db/ping"));
	assert_non_null(strstr(print, "password              = ********"));
	assert_non_null(strstr(print, "[other]\nsasl.password         = ********"));
	assert_non_null(strstr(print, "sasl.username         = ping"));
	assert_null(strstr(print, "s3cret"));
	assert_null(strstr(print, "hunter2"));
	buffer_release(&text);
}

static void a_password_in_a_url_is_overwritten_where_it_stands(void **state)
{
	(void)state;
	char urls[][80] = {"postgres://ping:a@b@db/ping?password=x&sslmode=require&sslpassword=yz",
			   "--ledger=postgres://ping@db/x", "sqlite:", "postgres://db:5432,db2:5432/ping"};
	const char *const hidden[] = {"postgres://ping:***@db/ping?password=*&sslmode=require&sslpassword=**",
				      "--ledger=postgres://ping@db/x", "sqlite:", "postgres://db:5432,db2:5432/ping"};
	for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
		settings_hide_password(urls[i]);
		assert_string_equal(urls[i], hidden[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(every_member_holds_its_default_at_first),
		TEST(a_default_that_its_row_refuses_is_an_error),
		TEST(durations_are_numbers_with_units),
		TEST(sizes_are_bytes_with_or_without_a_unit),
		TEST(numbers_outside_of_their_range_are_refused),
		TEST(zero_may_be_allowed_beside_the_range),
		TEST(booleans_are_switches_with_a_negative),
		TEST(booleans_take_words_too),
		TEST(a_boolean_flag_takes_no_word_behind_it),
		TEST(choices_are_words_of_a_list),
		TEST(a_flag_may_imply_its_value),
		TEST(texts_are_checked_where_their_row_says_how),
		TEST(lists_are_split_at_commas),
		TEST(lists_grow_when_given_again),
		TEST(pairs_are_one_an_occurrence_whatever_is_in_them),
		TEST(pairs_of_a_variable_are_its_lines),
		TEST(pairs_are_a_section_of_the_file_with_names_of_its_own),
		TEST(what_is_no_pair_is_refused),
		TEST(each_item_of_a_list_is_checked),
		TEST(a_flag_beats_the_environment_beats_the_file_beats_the_default),
		TEST(the_order_of_reading_does_not_matter),
		TEST(a_value_that_loses_is_checked_all_the_same),
		TEST(a_default_may_be_set_at_run_time),
		TEST(an_empty_variable_counts_as_none),
		TEST(variables_that_no_row_knows_are_left_alone),
		TEST(only_a_list_may_be_given_twice),
		TEST(flags_end_at_the_first_operand),
		TEST(behind_two_dashes_everything_is_an_operand),
		TEST(a_flag_without_its_value_is_refused),
		TEST(unknown_names_are_told_the_nearest_known_one),
		TEST(a_key_in_another_section_is_refused),
		TEST(a_group_hides_the_flags_of_other_rows),
		TEST(the_print_is_a_config_file_that_says_where_values_came_from),
		TEST(secrets_are_printed_nowhere),
		TEST(a_password_in_a_url_is_overwritten_where_it_stands),
	};
	return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
