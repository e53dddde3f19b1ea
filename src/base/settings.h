/* A program's settings, from one table: the values, where each came from, and every text about them follow from its rows.
 *
 *   default  <  config file  <  environment  <  flag        what stands further right wins, in whatever order they are read
 *
 * Values are written, typed, into the program's own struct; a row names the member. Every value is checked, also one that
 * loses. A list that is given again at the same source grows; anything else given twice is an error.
 */
#ifndef PING_BASE_SETTINGS_H
#define PING_BASE_SETTINGS_H

#include "base/buffer.h"

enum setting_type {
	SETTING_TYPE_TEXT,     /* const char * */
	SETTING_TYPE_INTEGER,  /* int64_t */
	SETTING_TYPE_DURATION, /* int64_t, milliseconds: 500ms, 30s, 5m, 24h, 90d, 1h30m */
	SETTING_TYPE_SIZE,     /* int64_t, bytes: 64MiB, 512KiB, 1GiB, 1024 */
	SETTING_TYPE_BOOLEAN,  /* bool: --name, --no-name, --name=true */
	SETTING_TYPE_CHOICE,   /* int: the place of the word in `choices` */
	SETTING_TYPE_LIST,     /* struct setting_list: split at commas, blanks around items dropped */
	SETTING_TYPE_PAIRS, /* struct setting_list: each a NAME=VALUE for another program's settings, split at line ends; in the
			     * file, what stands in its section under names that no row has */
};

enum setting_source { SETTING_SOURCE_DEFAULT, SETTING_SOURCE_FILE, SETTING_SOURCE_ENVIRONMENT, SETTING_SOURCE_FLAG };

/* SECRET of pairs: the values of those whose names speak of a secret. */
enum setting_secrecy { SETTING_PUBLIC, SETTING_URL_PASSWORD, SETTING_SECRET };

struct setting_list {
	const char **items;
	size_t count;
};

struct setting {
	const char *name; /* "trusted-proxies": the flag and the key in the file; PREFIX_TRUSTED_PROXIES in the environment */
	enum setting_type type;
	size_t offset;			   /* type and offset: by one of the macros below */
	const char *initial;		   /* the default, in the same form as any value; NULL: "" (not checked) */
	const char *initial_help;	   /* how the texts call the default, where `initial` doesn't say it */
	const char *implied;		   /* the value of a flag without one; it takes one by `=` alone. A boolean's is "true" */
	int64_t min, max;		   /* INTEGER, DURATION (ms), SIZE (bytes); max 0: none */
	const char *zero;		   /* what 0 means, where it is allowed beside the range */
	const char *const *choices;	   /* CHOICE, and optional for the items of a LIST; ends with NULL */
	bool (*accepts)(const char *item); /* TEXT, or each item of a LIST; NULL: anything */
	const char *expected;		   /* what accepts() takes: "a network such as 10.0.0.0/8" */
	const char *metavar;		   /* NULL: the type's */
	const char *section;		   /* of the file and the texts; NULL: not from the file */
	const char *help;		   /* one or two sentences */
	unsigned groups;		   /* see settings_table */
	enum setting_secrecy secrecy;	   /* what of the value is masked wherever it is printed */
	bool flag_only;			   /* not from the environment */
};

/* `.name = "threads", SETTING_INTEGER(struct config, threads), …`; the member's type is checked by the compiler. */
#define SETTING_AT(config, member, type) \
	.offset = offsetof(config, member) + 0 * sizeof(_Generic(((config *)0)->member, type : 0))
#define SETTING_TEXT(config, member)	 .type = SETTING_TYPE_TEXT, SETTING_AT(config, member, const char *)
#define SETTING_INTEGER(config, member)	 .type = SETTING_TYPE_INTEGER, SETTING_AT(config, member, int64_t)
#define SETTING_DURATION(config, member) .type = SETTING_TYPE_DURATION, SETTING_AT(config, member, int64_t)
#define SETTING_SIZE(config, member)	 .type = SETTING_TYPE_SIZE, SETTING_AT(config, member, int64_t)
#define SETTING_BOOLEAN(config, member)	 .type = SETTING_TYPE_BOOLEAN, SETTING_AT(config, member, bool)
#define SETTING_CHOICE(config, member)	 .type = SETTING_TYPE_CHOICE, SETTING_AT(config, member, int)
#define SETTING_LIST(config, member)	 .type = SETTING_TYPE_LIST, SETTING_AT(config, member, struct setting_list)
#define SETTING_PAIRS(config, member)	 .type = SETTING_TYPE_PAIRS, SETTING_AT(config, member, struct setting_list)

/* Rows and where their values go. A program may put several together; a name in an earlier one hides it in a later one. */
struct settings_table {
	const struct setting *rows; /* end with one without a name */
	void *config;
	const char *prefix; /* "PING_"; NULL: none of them comes from the environment */
	unsigned groups;    /* flags and texts: the rows with one of these bits; 0: all. Of file and environment always all */
};

struct settings;

/* Sets every default. `tables` are copied, their rows are not. The values live as long as the settings. INVALID_ARGUMENT (a
 * default that its own row refuses), NO_MEMORY. */
enum error settings_create(const struct settings_table *tables, size_t count, struct settings **ret_settings,
			   struct error_note *note);
void settings_destroy(struct settings *settings);

/* Replaces the default of a row that has none to know at compile time. */
enum error settings_set_default(struct settings *settings, const char *name, const char *text, struct error_note *note);
/* One `key = value` of the file; section "" is none, place is "ping.ini:12". INVALID_ARGUMENT; an unknown key is named with the
 * nearest known one. */
enum error settings_set_from_file(struct settings *settings, const char *section, const char *name, const char *text,
				  const char *place, struct error_note *note);
/* `environment`: "NAME=value" …, NULL. An empty value counts as none; variables that no row knows are left alone. */
enum error settings_set_from_environment(struct settings *settings, char *const *environment, struct error_note *note);
/* Takes flags from argv[*index] on until an operand (left at *index) or the end (argc). Behind a "--" all are operands. */
enum error settings_set_from_flags(struct settings *settings, int argc, char *const *argv, int *index, struct error_note *note);

/* Overwrites the passwords in a URL, where there are any. */
void settings_hide_password(char *url);
/* What `environment` gives for `name`; NULL: nothing. */
const char *settings_variable(char *const *environment, const char *name);
/* The effective values as a config file, each with where it came from; secrets are masked. */
enum error settings_print(const struct settings *settings, struct buffer *output);

/* For the texts: "PING_TRUSTED_PROXIES"; the value's form, as "a whole number from 1 to 64"; the metavar; whether a row is to be
 * shown. Both texts are cut at their size. */
void setting_format_variable(const struct setting *setting, const char *prefix, char *ret_text, size_t size);
void setting_format_expected(const struct setting *setting, char *ret_text, size_t size);
void setting_format_range(const struct setting *setting, char *ret_text, size_t size);
const char *setting_metavar(const struct setting *setting);
static inline bool settings_table_shows(const struct settings_table *table, const struct setting *setting)
{
	return table->groups == 0 || (setting->groups & table->groups) != 0;
}

/* "1h30m" to milliseconds, "64MiB" to bytes. MALFORMED. */
enum error settings_parse_duration(const char *text, int64_t *ret_ms);
enum error settings_parse_size(const char *text, int64_t *ret_bytes);
/* Of the names, the one that is nearest to `name` by edits; NULL when none is near. */
const char *settings_nearest(const char *name, const char *const *names, size_t count);

#endif
