/* What a program says about itself, from its table of settings and its table of commands: --help, the settings page, the man page
 * and the completion for bash.
 */
#ifndef PING_APP_MANUAL_H
#define PING_APP_MANUAL_H

#include "base/settings.h"

enum manual_form { MANUAL_NONE, MANUAL_TEXT, MANUAL_MARKDOWN, MANUAL_MAN, MANUAL_BASH };
extern const char *const manual_forms[]; /* "none", "text", … */

/* A term and what it means; lists of them end with a NULL term. */
struct manual_entry {
	const char *term, *text;
};

enum { COMMAND_MAX_TABLES = 2 };

struct command {
	const char *name;
	const char *arguments;				    /* "CLIENT", "[CLIENT…]"; NULL: none */
	const char *summary;				    /* one line without a dot */
	const char *help;				    /* sentences */
	struct settings_table settings[COMMAND_MAX_TABLES]; /* its own flags; rows NULL: none */
	const struct manual_entry *examples;
	size_t min_arguments, max_arguments;
	int (*run)(void *program, char *const *arguments, size_t count);
};

struct manual {
	const char *name, *summary, *usage, *description;
	struct settings_table settings;
	const struct command *const *commands;				    /* end with NULL; NULL: none */
	const struct manual_entry *files, *signals, *exit_codes, *examples; /* NULL: none */
	const char *see_also;
};

enum error manual_write(const struct manual *manual, enum manual_form form, struct buffer *output);
/* The text form for one command. */
enum error manual_write_command(const struct manual *manual, const struct command *command, struct buffer *output);

#endif
