/* Diagnostics for whoever runs the program: one line an event, on standard error, as logfmt or JSON.
 *
 *   log_event(LOG_INFO, "listening", log_text("address", "127.0.0.1"), log_int("port", 8080));
 *   time=2024-10-14T15:45:31.123Z level=info msg=listening address=127.0.0.1 port=8080
 *
 * Each line is one write(2) of at most LOG_LINE_MAX bytes, so lines of several threads don't mix, and what doesn't fit is left
 * out (then the line ends in cut=true). A pipe that nobody reads holds up nobody: what it doesn't take is lost, and a later line
 * says how much. Values are escaped: none can begin a line or a field of its own. The core doesn't log;
 * programs, drivers and, through a callback, the server do.
 */
#ifndef PING_BASE_LOG_H
#define PING_BASE_LOG_H

#include "base/address.h"
#include "base/clock.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_LEVEL_COUNT };
enum log_format { LOG_LOGFMT, LOG_JSON };

enum {
	LOG_LINE_MAX = 4096,  /* what a pipe takes at once */
	LOG_VALUE_MAX = 1024, /* bytes of one value, escaped */
};

struct log_config {
	enum log_format format;
	enum log_level level; /* lines below it are not written */
	struct clock *clock;
	int fd;
};

/* Before other threads start. Until then: logfmt, LOG_INFO, the system's clock, standard error. */
void log_configure(const struct log_config *config);

/* ── Fields: keys are literals of letters, digits and '_'; what values point to need only live through the call ── */

enum log_kind { LOG_KIND_END, LOG_KIND_TEXT, LOG_KIND_INT, LOG_KIND_BOOL, LOG_KIND_ADDRESS };

struct log_field {
	const char *key;
	enum log_kind kind;
	struct slice text;
	int64_t number;
	const struct address *address;
};

static inline struct log_field log_slice(const char *key, struct slice value)
{
	return (struct log_field){.key = key, .kind = LOG_KIND_TEXT, .text = value};
}
/* value NULL: "". */
static inline struct log_field log_text(const char *key, const char *value)
{
	return log_slice(key, slice_from_string(value == NULL ? "" : value));
}
static inline struct log_field log_int(const char *key, int64_t value)
{
	return (struct log_field){.key = key, .kind = LOG_KIND_INT, .number = value};
}
static inline struct log_field log_bool(const char *key, bool value)
{
	return (struct log_field){.key = key, .kind = LOG_KIND_BOOL, .number = value};
}
static inline struct log_field log_address(const char *key, const struct address *value)
{
	return (struct log_field){.key = key, .kind = LOG_KIND_ADDRESS, .address = value};
}
/* error=DISK_FULL */
static inline struct log_field log_error(enum error error)
{
	return log_text("error", error_name(error));
}

/* ── Lines ── */

/* The fields up to one of LOG_KIND_END. Any thread. */
void log_write(enum log_level level, const char *message, const struct log_field *fields);

#define LOG_FIELDS(...)		       (&(const struct log_field[]){{.key = NULL}, ##__VA_ARGS__, {.key = NULL}}[1])
#define log_event(level, message, ...) log_write(level, message, LOG_FIELDS(__VA_ARGS__))

enum { LOG_LIMIT_LINES = 10, LOG_LIMIT_SECONDS = 10 };

/* A place in the code that may not flood: LOG_LIMIT_LINES lines in LOG_LIMIT_SECONDS. */
struct log_limit {
	int64_t since_us; /* when this period began; 0: none yet */
	unsigned lines;
	uint64_t left_out;
};

/* Whether this line may be written; if so, how many were left out since the last one that was. Any thread. */
bool log_limit_pass(struct log_limit *limit, uint64_t *ret_left_out);
void log_write_limited(struct log_limit *limit, enum log_level level, const char *message, const struct log_field *fields);

/* As log_event, for what may happen at every request while something is broken. A line that follows lines left out says how many.
 */
#define log_limited(level, message, ...)                                                     \
	do {                                                                                 \
		static struct log_limit log_limit_here;                                      \
		log_write_limited(&log_limit_here, level, message, LOG_FIELDS(__VA_ARGS__)); \
	} while (0)

#endif
