#include "app/pingctl.h"

#include "base/clock.h"
#include "base/json.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

int pingctl_fail(enum pingctl_exit exit_code, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fputs("pingctl: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	return (int)exit_code;
}

int pingctl_fail_error(enum pingctl_exit exit_code, enum error error, const struct error_note *note)
{
	return pingctl_fail(exit_code, "%s", note == NULL || *note->text == 0 ? error_text(error) : note->text);
}

enum error pingctl_open_client(struct pingctl *ctl)
{
	if (ctl->client != NULL)
		return ERROR_OK;
	const struct tls_files files = pingctl_tls_files(ctl);
	return call_client_create(ctl->address, &files, ctl->timeout_ms, &ctl->client);
}

struct tls_files pingctl_tls_files(const struct pingctl *ctl)
{
	return (struct tls_files){.certificate = ctl->certificate, .key = ctl->key, .authorities = ctl->ca};
}

enum call_outcome pingctl_try_call(struct pingctl *ctl, const struct method_type *method, const void *request,
				   struct arena *arena, void *ret_response, struct call_error *ret_error)
{
	if (pingctl_open_client(ctl) != ERROR_OK) {
		*ret_error = (struct call_error){.message = "out of memory"};
		return CALL_FAILED;
	}
	return call_client_call(ctl->client, method, request, arena, ret_response, ret_error);
}

int pingctl_print_call_error(enum call_outcome outcome, const struct call_error *error)
{
	if (outcome == CALL_REFUSED)
		return pingctl_fail(PINGCTL_REFUSED, "%s: %s", error->code, error->message);
	return pingctl_fail(outcome == CALL_UNREACHABLE ? PINGCTL_UNREACHABLE : PINGCTL_NEGATIVE, "%s", error->message);
}

int pingctl_call(struct pingctl *ctl, const struct method_type *method, const void *request, void *ret_response)
{
	struct call_error error;
	enum call_outcome outcome = pingctl_try_call(ctl, method, request, &ctl->arena, ret_response, &error);
	return outcome == CALL_OK ? PINGCTL_OK : pingctl_print_call_error(outcome, &error);
}

void pingctl_print(struct pingctl *ctl, const char *format, ...)
{
	char text[4096];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	enum error error =
		length < 0 || (size_t)length >= sizeof text ? ERROR_TOO_LARGE : buffer_append(&ctl->output, text, (size_t)length);
	if (error != ERROR_OK)
		ctl->output_error = error;
}

void pingctl_print_table(struct pingctl *ctl, const struct text_table *table)
{
	enum error error = text_table_write(table, ctl->use_color, &ctl->output);
	if (error != ERROR_OK)
		ctl->output_error = error;
}

void pingctl_print_json(struct pingctl *ctl, const struct message_type *type, const void *message)
{
	struct error_note note = {0};
	enum error error = message_encode_json(type, message, &ctl->output, &note);
	if (error == ERROR_OK)
		error = buffer_append_byte(&ctl->output, '\n');
	if (error != ERROR_OK)
		ctl->output_error = error;
}

void pingctl_print_json_string(struct pingctl *ctl, const char *text)
{
	enum error error = json_append_string(&ctl->output, slice_from_string(text));
	if (error != ERROR_OK)
		ctl->output_error = error;
}

int pingctl_flush(struct pingctl *ctl)
{
	if (ctl->output_error != ERROR_OK)
		return pingctl_fail_error(PINGCTL_NEGATIVE, ctl->output_error, NULL);
	bool written = fwrite(ctl->output.data, 1, ctl->output.size, stdout) == ctl->output.size && fflush(stdout) == 0;
	buffer_clear(&ctl->output);
	return written ? PINGCTL_OK : pingctl_fail(PINGCTL_NEGATIVE, "standard output cannot be written");
}

const char *pingctl_style(const struct pingctl *ctl, enum pingctl_style style)
{
	static const char *const sequences[] = {"\033[0m", "\033[32m", "\033[33m", "\033[31m", "\033[2m"};
	return ctl->use_color ? sequences[style] : "";
}

/* Texts for a table's cells; short-lived programs may keep them all. */
static const char *keep(struct pingctl *ctl, const char *text)
{
	const uint8_t *copy = arena_copy(&ctl->arena, slice_from_string(text)).data;
	return copy == NULL ? "?" : (const char *)copy;
}

const char *pingctl_text(struct pingctl *ctl, struct slice slice)
{
	const uint8_t *copy = arena_copy(&ctl->arena, slice).data;
	return copy == NULL ? "?" : (const char *)copy;
}

const char *pingctl_time(struct pingctl *ctl, int64_t ms, enum text_time_detail detail)
{
	char time[TEXT_TIME_SIZE], zone[TEXT_TIME_SIZE], text[2 * TEXT_TIME_SIZE];
	text_time_format(ms, ctl->utc, detail, time);
	text_time_zone(ms, ctl->utc, zone);
	snprintf(text, sizeof text, "%s %s", time, zone);
	return keep(ctl, text);
}

const char *pingctl_time_of_day(struct pingctl *ctl, int64_t ms, enum text_time_detail detail)
{
	char text[TEXT_TIME_SIZE];
	text_time_format(ms, ctl->utc, detail, text);
	return keep(ctl, text + strlen("2024-10-14 "));
}

const char *pingctl_ago(struct pingctl *ctl, int64_t ms)
{
	char span[TEXT_SPAN_SIZE], text[TEXT_SPAN_SIZE + 8];
	if (ms == 0)
		return "never";
	int64_t ago_ms = pingctl_now_ms() - ms;
	text_span_format((double)(ago_ms < 0 ? -ago_ms : ago_ms), span);
	snprintf(text, sizeof text, ago_ms < 0 ? "in %s" : "%s ago", span);
	return keep(ctl, text);
}

const char *pingctl_count(struct pingctl *ctl, int64_t count)
{
	char text[TEXT_COUNT_SIZE];
	text_count_format(count, text);
	return keep(ctl, text);
}

const char *pingctl_interval(struct pingctl *ctl, bool has, double ms)
{
	char text[TEXT_SPAN_SIZE];
	if (!has)
		return ctl->use_unicode ? "–" : "-";
	text_span_format(ms, text);
	return keep(ctl, text);
}

int64_t pingctl_now_ms(void)
{
	return clock_wall_ms(clock_system());
}

struct ping_v1_time_range *pingctl_range(struct pingctl *ctl, const char *from, const char *to, struct ping_v1_time_range *range)
{
	*range = (struct ping_v1_time_range){0};
	if (*from != 0)
		text_time_parse(from, ctl->now_ms, &range->start);
	if (*to != 0)
		text_time_parse(to, ctl->now_ms, &range->end);
	return *from == 0 && *to == 0 ? NULL : range;
}
