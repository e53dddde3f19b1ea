#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "base/timestamp.h"
#include "base/utf8.h"

static const char *const level_names[LOG_LEVEL_COUNT] = {"debug", "info", "warn", "error"};

static struct log_config config = {.format = LOG_LOGFMT, .level = LOG_INFO, .clock = NULL, .fd = STDERR_FILENO};

static struct clock *log_clock(void)
{
	return config.clock == NULL ? clock_system() : config.clock;
}

void log_configure(const struct log_config *wanted)
{
	config = *wanted;
}

/* A line being made. Each field is written whole or not at all, and the end always has room. */
struct line {
	char data[LOG_LINE_MAX];
	size_t size;
};

enum { END_ROOM = 16 }; /* ,"cut":true} and the newline */

static void put_bytes(struct line *line, const void *data, size_t size)
{
	memcpy(line->data + line->size, data, size);
	line->size += size;
}

static void put_string(struct line *line, const char *text)
{
	put_bytes(line, text, strlen(text));
}

/* One character of a quoted value, escaped where it could end the value, the line, or move a terminal's cursor (C0, DEL, C1).
 * Bytes that are not UTF-8 become U+FFFD. Returns how much of `text` it stands for. */
static size_t escape(struct slice text, char ret_escaped[8], size_t *ret_size)
{
	uint8_t byte = text.data[0];
	size_t size = utf8_character_size(text);
	bool c1 = size == 2 && byte == 0xc2 && text.data[1] < 0xa0;
	if (byte == '"' || byte == '\\')
		*ret_size = (size_t)snprintf(ret_escaped, 8, "\\%c", byte);
	else if (byte == '\n')
		*ret_size = (size_t)snprintf(ret_escaped, 8, "\\n");
	else if (byte < 0x20 || byte == 0x7f || c1)
		*ret_size = (size_t)snprintf(ret_escaped, 8, "\\u%04x", c1 ? text.data[1] : byte);
	else if (size == 0)
		*ret_size = (size_t)snprintf(ret_escaped, 8, "\xef\xbf\xbd");
	else
		memcpy(ret_escaped, text.data, *ret_size = size);
	return size == 0 ? 1 : size;
}

static void put_quoted(struct line *line, struct slice text)
{
	size_t start = line->size;
	put_string(line, "\"");
	while (text.size > 0) {
		char escaped[8];
		size_t size, taken = escape(text, escaped, &size);
		if (line->size - start + size > LOG_VALUE_MAX) {
			put_string(line, "…");
			break;
		}
		put_bytes(line, escaped, size);
		text = slice_make(text.data + taken, text.size - taken);
	}
	put_string(line, "\"");
}

/* logfmt leaves out the quotes where nothing could be misread without them. */
static bool is_plain(struct slice text)
{
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] <= ' ' || text.data[i] > '~' || strchr("\"\\=", text.data[i]) != NULL)
			return false;
	return text.size > 0 && text.size < LOG_VALUE_MAX;
}

static void put_text(struct line *line, struct slice text)
{
	if (config.format == LOG_LOGFMT && is_plain(text))
		put_bytes(line, text.data, text.size);
	else
		put_quoted(line, text);
}

static void put_value(struct line *line, const struct log_field *field)
{
	char text[ADDRESS_TEXT_SIZE];
	switch (field->kind) {
	case LOG_KIND_INT:
		snprintf(text, sizeof text, "%lld", (long long)field->number);
		put_string(line, text);
		break;
	case LOG_KIND_BOOL:
		put_string(line, field->number ? "true" : "false");
		break;
	case LOG_KIND_ADDRESS:
		put_text(line, slice_make(text, address_format(field->address, text)));
		break;
	default:
		put_text(line, field->text);
	}
}

/* false: there was no room. */
static bool put_field(struct line *line, const struct log_field *field)
{
	size_t value_most = field->kind == LOG_KIND_TEXT ? LOG_VALUE_MAX + sizeof "…\"" : ADDRESS_TEXT_SIZE + 2;
	if (strlen(field->key) + value_most + sizeof ",\"\":" + END_ROOM > sizeof line->data - line->size)
		return false;
	bool json = config.format == LOG_JSON, first = line->size == 0;
	put_string(line, json ? first ? "{\"" : ",\"" : first ? "" : " ");
	put_string(line, field->key);
	put_string(line, json ? "\":" : "=");
	put_value(line, field);
	return true;
}

static void make_line(struct line *line, enum log_level level, const char *message, const struct log_field *fields)
{
	char time[TIMESTAMP_TEXT_SIZE];
	size_t time_size = timestamp_format(clock_wall_ms(log_clock()), time);
	const struct log_field head[] = {
		log_slice("time", slice_make(time, time_size)),
		log_text("level", level_names[level]),
		log_text("msg", message),
	};
	bool whole = true;
	for (size_t i = 0; i < sizeof head / sizeof head[0]; i++)
		put_field(line, &head[i]);
	for (; whole && fields->kind != LOG_KIND_END; fields++)
		whole = put_field(line, fields);
	if (!whole)
		put_string(line, config.format == LOG_JSON ? ",\"cut\":true" : " cut=true");
	put_string(line, config.format == LOG_JSON ? "}\n" : "\n");
}

static pthread_mutex_t write_mutex = PTHREAD_MUTEX_INITIALIZER;
static uint64_t lost; /* guarded by it: lines since the last one that was written */

/* False: nobody reads the pipe. One that says yes takes LOG_LINE_MAX bytes without blocking. */
static bool takes_line(void)
{
	struct pollfd file = {.fd = config.fd, .events = POLLOUT};
	return poll(&file, 1, 0) != 0;
}

static void write_line(const struct line *line)
{
	/* Once: the rest of a line that was written in part would only mix with another's. */
	while (write(config.fd, line->data, line->size) < 0 && errno == EINTR)
		;
}

void log_write(enum log_level level, const char *message, const struct log_field *fields)
{
	if (level < config.level)
		return;
	struct line line = {.size = 0}, loss = {.size = 0};
	make_line(&line, level, message, fields);
	pthread_mutex_lock(&write_mutex);
	if (lost > 0 && takes_line()) {
		make_line(&loss, LOG_WARN, "lines were lost: nobody read them", LOG_FIELDS(log_int("lost", (int64_t)lost)));
		write_line(&loss);
		lost = 0;
	}
	if (takes_line())
		write_line(&line);
	else
		lost++;
	pthread_mutex_unlock(&write_mutex);
}

static pthread_mutex_t limit_mutex = PTHREAD_MUTEX_INITIALIZER;

bool log_limit_pass(struct log_limit *limit, uint64_t *ret_left_out)
{
	int64_t now_us = clock_monotonic_us(log_clock());
	pthread_mutex_lock(&limit_mutex);
	if (limit->lines == 0 || now_us - limit->since_us >= LOG_LIMIT_SECONDS * INT64_C(1000000)) {
		limit->since_us = now_us;
		limit->lines = 0;
	}
	bool pass = limit->lines < LOG_LIMIT_LINES;
	if (pass) {
		limit->lines++;
		*ret_left_out = limit->left_out;
		limit->left_out = 0;
	} else {
		limit->left_out++;
	}
	pthread_mutex_unlock(&limit_mutex);
	return pass;
}

void log_write_limited(struct log_limit *limit, enum log_level level, const char *message, const struct log_field *fields)
{
	uint64_t left_out;
	if (level < config.level || !log_limit_pass(limit, &left_out))
		return;
	if (left_out > 0)
		log_event(level, "lines like the next one were left out", log_int("left_out", (int64_t)left_out));
	log_write(level, message, fields);
}
