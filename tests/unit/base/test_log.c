#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static int64_t wall_ms = 1728920731123, monotonic_us = 1000000;

static int64_t fixed_wall_ms(struct clock *clock)
{
	(void)clock;
	return wall_ms;
}

static int64_t fixed_monotonic_us(struct clock *clock)
{
	(void)clock;
	return monotonic_us;
}

static struct clock fixed_clock = {fixed_wall_ms, fixed_monotonic_us};
static int pipe_fds[2];
static char captured[1 << 20];

static int open_log(void **state)
{
	(void)state;
	return pipe(pipe_fds);
}

static int close_log(void **state)
{
	(void)state;
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return 0;
}

static void log_as(enum log_format format, enum log_level level)
{
	struct log_config config = {.format = format, .level = level, .clock = &fixed_clock, .fd = pipe_fds[1]};
	log_configure(&config);
}

/* What was written since the last time; at most what a pipe holds. */
static const char *written(void)
{
	fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK);
	ssize_t size = read(pipe_fds[0], captured, sizeof captured - 1);
	captured[size < 0 ? 0 : size] = 0;
	return captured;
}

static unsigned count_lines(const char *text)
{
	unsigned count = 0;
	for (; *text != 0; text++)
		count += *text == '\n';
	return count;
}

static void an_event_is_one_line_of_logfmt(void **state)
{
	(void)state;
	struct address address;
	assert_int_equal(address_parse(SLICE_LITERAL("2001:DB8::7"), &address), ERROR_OK);
	log_as(LOG_LOGFMT, LOG_INFO);
	log_event(LOG_WARN, "went on", log_text("name", "two words"), log_int("port", -8080), log_bool("ready", true),
		  log_address("client", &address), log_error(ERROR_DISK_FULL), log_text("nothing", NULL));
	assert_string_equal(written(), "time=2024-10-14T15:45:31.123Z level=warn msg=\"went on\" name=\"two words\" port=-8080 "
				       "ready=true client=2001:db8::7 error=DISK_FULL nothing=\"\"\n");
}

static void the_same_event_as_json(void **state)
{
	(void)state;
	log_as(LOG_JSON, LOG_INFO);
	log_event(LOG_ERROR, "stopped", log_text("name", "a"), log_int("port", 8080), log_bool("ready", false));
	assert_string_equal(written(),
			    "{\"time\":\"2024-10-14T15:45:31.123Z\",\"level\":\"error\",\"msg\":\"stopped\",\"name\":\"a\","
			    "\"port\":8080,\"ready\":false}\n");
}

static void an_event_needs_no_fields(void **state)
{
	(void)state;
	log_as(LOG_LOGFMT, LOG_INFO);
	log_event(LOG_INFO, "started");
	assert_string_equal(written(), "time=2024-10-14T15:45:31.123Z level=info msg=started\n");
}

static void lines_below_the_level_are_not_written(void **state)
{
	(void)state;
	log_as(LOG_LOGFMT, LOG_WARN);
	log_event(LOG_INFO, "quiet");
	log_limited(LOG_DEBUG, "quiet");
	assert_string_equal(written(), "");
}

static const struct slice hostile[] = {
	{(const uint8_t *)"a\nlevel=error msg=forged", 24},
	{(const uint8_t *)"a\" level=error \\", 16},
	{(const uint8_t *)"\r\t\0\x1b[2J\x7f", 8},
	{(const uint8_t *)"\xc2\x9b"
			  "2J",
	 4}, /* CSI as C1 */
	{(const uint8_t *)"\xff\xc3", 2},
	{(const uint8_t *)"a=b", 3},
	{(const uint8_t *)"caf\xc3\xa9", 5},
};

static void no_value_forges_a_line_or_a_field(void **state)
{
	(void)state;
	log_as(LOG_LOGFMT, LOG_INFO);
	for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++)
		log_event(LOG_INFO, "x", log_slice("v", hostile[i]));
	assert_string_equal(written(),
			    "time=2024-10-14T15:45:31.123Z level=info msg=x v=\"a\\nlevel=error msg=forged\"\n"
			    "time=2024-10-14T15:45:31.123Z level=info msg=x v=\"a\\\" level=error \\\\\"\n"
			    "time=2024-10-14T15:45:31.123Z level=info msg=x v=\"\\u000d\\u0009\\u0000\\u001b[2J\\u007f\"\n"
			    "time=2024-10-14T15:45:31.123Z level=info msg=x v=\"\\u009b2J\"\n"
			    "time=2024-10-14T15:45:31.123Z level=info msg=x v=\"\xef\xbf\xbd\xef\xbf\xbd\"\n"
			    "time=2024-10-14T15:45:31.123Z level=info msg=x v=\"a=b\"\n"
			    "time=2024-10-14T15:45:31.123Z level=info msg=x v=\"caf\xc3\xa9\"\n");
}

static void any_value_is_valid_json_that_reads_back(void **state)
{
	(void)state;
	log_as(LOG_JSON, LOG_INFO);
	for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
		log_event(LOG_INFO, "x", log_slice("v", hostile[i]));
		json_t *line = json_loads(written(), JSON_ALLOW_NUL, NULL);
		assert_non_null(line);
		json_t *value = json_object_get(line, "v");
		if (i != 4) /* not UTF-8 */
			assert_true(slice_equal(slice_make(json_string_value(value), json_string_length(value)), hostile[i]));
		json_decref(line);
	}
}

static void what_is_too_long_is_cut_and_says_so(void **state)
{
	(void)state;
	static char quotes[5000];
	memset(quotes, '"', sizeof quotes - 1);
	for (enum log_format format = LOG_LOGFMT; format <= LOG_JSON; format++) {
		log_as(format, LOG_INFO);
		log_event(LOG_INFO, quotes, log_text("a", quotes), log_text("b", quotes), log_text("c", quotes),
			  log_text("d", quotes), log_int("e", 5));
		const char *line = written();
		size_t size = strlen(line);
		assert_true(size <= LOG_LINE_MAX && line[size - 1] == '\n' && count_lines(line) == 1);
		assert_non_null(strstr(line, format == LOG_JSON ? "…\",\"cut\":true}\n" : "…\" cut=true\n"));
		if (format == LOG_JSON) {
			json_t *json = json_loads(line, 0, NULL);
			assert_non_null(json);
			json_decref(json);
		}
	}
}

static void fail_at_one_place(int times)
{
	for (int i = 0; i < times; i++)
		log_limited(LOG_ERROR, "disk full", log_int("i", i));
}

static void a_place_that_floods_is_held_back_and_the_rest_counted(void **state)
{
	(void)state;
	log_as(LOG_LOGFMT, LOG_INFO);
	fail_at_one_place(1000);
	assert_int_equal(count_lines(written()), LOG_LIMIT_LINES);
	monotonic_us += LOG_LIMIT_SECONDS * 1000000 - 1;
	fail_at_one_place(1);
	assert_string_equal(written(), "");
	monotonic_us += 1;
	fail_at_one_place(2);
	assert_string_equal(
		written(),
		"time=2024-10-14T15:45:31.123Z level=error msg=\"lines like the next one were left out\" left_out=991\n"
		"time=2024-10-14T15:45:31.123Z level=error msg=\"disk full\" i=0\n"
		"time=2024-10-14T15:45:31.123Z level=error msg=\"disk full\" i=1\n");
}

static void a_pipe_that_nobody_reads_holds_up_nobody(void **state)
{
	(void)state;
	log_as(LOG_LOGFMT, LOG_INFO);
	alarm(20); /* a write that blocks would do so for ever */
	for (int i = 0; i < 10000; i++)
		log_event(LOG_INFO, "line", log_int("i", i));
	alarm(0);
	unsigned kept = count_lines(written());
	assert_in_range(kept, 1, 9999);
	log_event(LOG_INFO, "read again");
	char wanted[256];
	snprintf(wanted, sizeof wanted,
		 "time=2024-10-14T15:45:31.123Z level=warn msg=\"lines were lost: nobody read them\" lost=%u\n"
		 "time=2024-10-14T15:45:31.123Z level=info msg=\"read again\"\n",
		 10000 - kept);
	assert_string_equal(written(), wanted);
}

enum { WRITERS = 4, LINES_EACH = 200 };

static void *write_lines(void *context)
{
	static char padding[900];
	memset(padding, 'x', sizeof padding - 1);
	for (int i = 0; i < LINES_EACH; i++) {
		log_event(LOG_INFO, "line", log_int("writer", (intptr_t)context), log_text("padding", padding), log_int("i", i));
		log_limited(LOG_INFO, "limited");
	}
	return NULL;
}

static void *read_all(void *context)
{
	size_t *size = context;
	ssize_t got;
	while ((got = read(pipe_fds[0], captured + *size, sizeof captured - 1 - *size)) > 0)
		*size += (size_t)got;
	return NULL;
}

static void lines_of_several_threads_do_not_mix(void **state)
{
	(void)state;
	pthread_t writers[WRITERS], reader;
	size_t size = 0;
	assert_true(fcntl(pipe_fds[1], F_SETPIPE_SZ, sizeof captured) > 0); /* all of them */
	log_as(LOG_JSON, LOG_INFO);
	pthread_create(&reader, NULL, read_all, &size);
	for (intptr_t i = 0; i < WRITERS; i++)
		pthread_create(&writers[i], NULL, write_lines, (void *)i);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(writers[i], NULL);
	close(pipe_fds[1]);
	pthread_join(reader, NULL);
	captured[size] = 0;
	unsigned lines = 0, next[WRITERS] = {0};
	for (char *line = strtok(captured, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		json_t *json = json_loads(line, 0, NULL);
		assert_non_null(json);
		if (strcmp(json_string_value(json_object_get(json, "msg")), "line") == 0) {
			json_int_t writer = json_integer_value(json_object_get(json, "writer"));
			assert_int_equal(json_integer_value(json_object_get(json, "i")), next[writer]++);
			lines++;
		}
		json_decref(json);
	}
	assert_int_equal(lines, WRITERS * LINES_EACH);
}

#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, open_log, close_log)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOG_TEST(an_event_is_one_line_of_logfmt),
		LOG_TEST(the_same_event_as_json),
		LOG_TEST(an_event_needs_no_fields),
		LOG_TEST(lines_below_the_level_are_not_written),
		LOG_TEST(no_value_forges_a_line_or_a_field),
		LOG_TEST(any_value_is_valid_json_that_reads_back),
		LOG_TEST(what_is_too_long_is_cut_and_says_so),
		LOG_TEST(a_place_that_floods_is_held_back_and_the_rest_counted),
		LOG_TEST(a_pipe_that_nobody_reads_holds_up_nobody),
		LOG_TEST(lines_of_several_threads_do_not_mix),
	};
	return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
