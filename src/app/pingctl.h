/* What the commands of pingctl share: the flags of all, one call to the server, and ways to print. A command is a `struct
 * command` in a file of its own, listed in pingctl.c; its run() is given the struct pingctl and returns the exit code.
 */
#ifndef PING_APP_PINGCTL_H
#define PING_APP_PINGCTL_H

#include "app/call_client.h"
#include "app/manual.h"
#include "app/text_table.h"
#include "app/text_time.h"
#include "net/tls.h"
#include "ping/v1/ping.pb.h"

enum pingctl_exit {
	PINGCTL_OK = 0,
	PINGCTL_NEGATIVE = 1, /* the command worked, its finding is bad: differences, pings that failed, a part that is down */
	PINGCTL_USAGE = 2,
	PINGCTL_UNREACHABLE = 3,
	PINGCTL_REFUSED = 4, /* the server answered with an error */
};

struct pingctl {
	/* Flags of every command. */
	int help; /* enum manual_form */
	bool version, json, utc;
	int color; /* enum pingctl_color */
	const char *address, *ca, *certificate, *key;
	int64_t timeout_ms;

	int64_t now_ms; /* when the program began */
	bool use_color, use_unicode;
	struct arena arena;	 /* until the program ends */
	struct buffer output;	 /* not printed yet */
	enum error output_error; /* the last */
	struct call_client *client;
	struct settings *settings;
	char *const *environment;
};

enum pingctl_color { PINGCTL_COLOR_AUTO, PINGCTL_COLOR_ALWAYS, PINGCTL_COLOR_NEVER };

/* "pingctl: …" on stderr; returns `exit_code`. */
int pingctl_fail(enum pingctl_exit exit_code, const char *format, ...) __attribute__((format(printf, 2, 3)));
int pingctl_fail_error(enum pingctl_exit exit_code, enum error error, const struct error_note *note);

/* ctl->client is there from now on; the calls below do the same. NO_MEMORY. */
enum error pingctl_open_client(struct pingctl *ctl);
/* One call, its answer in ctl->arena. On failure the reason is printed. OK, UNREACHABLE, REFUSED, NEGATIVE (here). */
int pingctl_call(struct pingctl *ctl, const struct method_type *method, const void *request, void *ret_response);
/* The same in an arena of the caller's, telling what went wrong instead of printing it. */
enum call_outcome pingctl_try_call(struct pingctl *ctl, const struct method_type *method, const void *request,
				   struct arena *arena, void *ret_response, struct call_error *ret_error);
int pingctl_print_call_error(enum call_outcome outcome, const struct call_error *error);

/* Of the flags. */
struct tls_files pingctl_tls_files(const struct pingctl *ctl);

/* Adds to ctl->output. Failures (memory) show when it is flushed. */
void pingctl_print(struct pingctl *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));
void pingctl_print_table(struct pingctl *ctl, const struct text_table *table);
/* The message's proto3 JSON and a newline. */
void pingctl_print_json(struct pingctl *ctl, const struct message_type *type, const void *message);
void pingctl_print_json_string(struct pingctl *ctl, const char *text);
/* Writes ctl->output to stdout. OK; NEGATIVE when it could not be made or written. */
int pingctl_flush(struct pingctl *ctl);
/* Escape sequences, or "" without colours. */
enum pingctl_style { PINGCTL_PLAIN, PINGCTL_GOOD, PINGCTL_WARN, PINGCTL_BAD, PINGCTL_DIM };
const char *pingctl_style(const struct pingctl *ctl, enum pingctl_style style);

/* "203.0.113.7" of a message: NUL-terminated in the arena. */
const char *pingctl_text(struct pingctl *ctl, struct slice slice);
/* "2024-10-14 15:45:31 CET". */
const char *pingctl_time(struct pingctl *ctl, int64_t ms, enum text_time_detail detail);
/* "15:45:31": where the date is known. */
const char *pingctl_time_of_day(struct pingctl *ctl, int64_t ms, enum text_time_detail detail);
/* "3.0 s ago", "in 2.0 min"; "never" for 0. */
const char *pingctl_ago(struct pingctl *ctl, int64_t ms);
const char *pingctl_count(struct pingctl *ctl, int64_t count);
/* "4.2 s"; "–" where there is none. */
const char *pingctl_interval(struct pingctl *ctl, bool has, double ms);
int64_t pingctl_now_ms(void);

/* --from and --to as they were given, "" for open. NULL: all. */
struct ping_v1_time_range *pingctl_range(struct pingctl *ctl, const char *from, const char *to, struct ping_v1_time_range *range);
#define PINGCTL_RANGE(config, by)                                                                             \
	{.name = "from",                                                                                      \
	 SETTING_TEXT(config, from),                                                                          \
	 .metavar = "TIME",                                                                                   \
	 .accepts = text_time_is_valid,                                                                       \
	 .expected = PINGCTL_TIMES,                                                                           \
	 .initial_help = "open",                                                                              \
	 .help = "From here on, by " by "."},                                                                 \
	{                                                                                                     \
		.name = "to", SETTING_TEXT(config, to), .metavar = "TIME", .accepts = text_time_is_valid,     \
		.expected = PINGCTL_TIMES, .initial_help = "open", .help = "Up to here, which is itself out." \
	}
#define PINGCTL_TIMES "Unix milliseconds, RFC 3339, a date, now or -1h"

extern const struct command pingctl_ping_command, pingctl_count_command, pingctl_windows_command, pingctl_days_command,
	pingctl_activity_command, pingctl_top_command, pingctl_watch_command, pingctl_status_command, pingctl_load_command,
	pingctl_audit_command, pingctl_rebuild_command, pingctl_dead_letters_command, pingctl_migrate_command;

/* What `pingctl audit` compares where the store is ScyllaDB, and how it is printed: for a rebuild's end. The config is complete.
 */
struct pingd_config;
int pingctl_audit_data(struct pingctl *ctl, struct pingd_config *config);

#endif
