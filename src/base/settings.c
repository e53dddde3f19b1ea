#include "base/settings.h"

#include "base/arena.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	SETTINGS_MEMORY_LIMIT = 16 << 20, /* bytes of all values together */
	SETTINGS_MAX_NAME = 64,
	SETTINGS_MAX_NAMES = 256, /* that are looked at for the nearest one */
};

/* One row and what it stands at. */
struct value {
	const struct setting *row;
	const struct settings_table *table;
	enum setting_source source;
	const char *text;  /* a list's items joined by commas, pairs by line ends */
	const char *place; /* "--threads", "PING_THREADS", "ping.ini:12"; NULL: the default */
};

struct settings {
	struct arena arena;
	struct settings_table *tables;
	struct value *values;
	size_t count;
	bool flags_ended;
};

struct unit {
	const char *name;
	int64_t factor;
};
static const struct unit duration_units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
static const struct unit size_units[] = {{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {"", 1}};
#define UNITS(table) table, sizeof table / sizeof table[0]

/* ─── Forms of values ───────────────────────────────────────────────────────────────────────────────────────────────── */

static bool parse_digits(const char **text, int64_t *ret_number)
{
	int64_t number = 0;
	const char *p = *text;
	for (; isdigit((unsigned char)*p); p++)
		if (__builtin_mul_overflow(number, 10, &number) || __builtin_add_overflow(number, *p - '0', &number))
			return false;
	if (p == *text)
		return false;
	*text = p;
	*ret_number = number;
	return true;
}

/* One or more of NUMBER UNIT; 0 needs no unit. */
static enum error parse_quantity(const char *text, const struct unit *units, size_t count, int64_t *ret_sum)
{
	int64_t sum = 0, number;
	if (strcmp(text, "0") == 0) {
		*ret_sum = 0;
		return ERROR_OK;
	}
	do {
		if (!parse_digits(&text, &number))
			return ERROR_MALFORMED;
		size_t length = 0, i = 0;
		while (isalpha((unsigned char)text[length]))
			length++;
		while (i < count && (strlen(units[i].name) != length || strncmp(units[i].name, text, length) != 0))
			i++;
		if (i == count || __builtin_mul_overflow(number, units[i].factor, &number) ||
		    __builtin_add_overflow(sum, number, &sum))
			return ERROR_MALFORMED;
		text += length;
	} while (*text != 0);
	*ret_sum = sum;
	return ERROR_OK;
}

enum error settings_parse_duration(const char *text, int64_t *ret_ms)
{
	return parse_quantity(text, UNITS(duration_units), ret_ms);
}

enum error settings_parse_size(const char *text, int64_t *ret_bytes)
{
	return parse_quantity(text, UNITS(size_units), ret_bytes);
}

static enum error parse_integer(const char *text, int64_t *ret_number)
{
	bool minus = *text == '-';
	text += minus;
	int64_t number;
	if (!parse_digits(&text, &number) || *text != 0)
		return ERROR_MALFORMED;
	*ret_number = minus ? -number : number;
	return ERROR_OK;
}

static enum error parse_boolean(const char *text, bool *ret_value)
{
	static const char *const words[] = {"true", "yes", "on", "1", "false", "no", "off", "0"};
	for (size_t i = 0; i < 8; i++)
		if (strcmp(text, words[i]) == 0) {
			*ret_value = i < 4;
			return ERROR_OK;
		}
	return ERROR_MALFORMED;
}

static int find_choice(const char *const *choices, const char *word)
{
	for (int i = 0; choices[i] != NULL; i++)
		if (strcmp(choices[i], word) == 0)
			return i;
	return -1;
}

static enum error parse_number(const struct setting *row, const char *text, int64_t *ret_number)
{
	int64_t number;
	enum error error = row->type == SETTING_TYPE_INTEGER	? parse_integer(text, &number)
			   : row->type == SETTING_TYPE_DURATION ? settings_parse_duration(text, &number)
								: settings_parse_size(text, &number);
	if (error != ERROR_OK)
		return error;
	bool in_range = number >= row->min && (row->max == 0 || number <= row->max);
	if (!in_range && !(number == 0 && row->zero != NULL))
		return ERROR_OUT_OF_RANGE;
	*ret_number = number;
	return ERROR_OK;
}

static bool item_fits(const struct setting *row, const char *item)
{
	if (row->choices != NULL && find_choice(row->choices, item) < 0)
		return false;
	if (row->type == SETTING_TYPE_PAIRS && (*item == '=' || strchr(item, '=') == NULL))
		return false;
	return row->accepts == NULL || row->accepts(item);
}

/* ─── Texts ─────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void format_number(const struct setting *row, int64_t number, char *ret_text, size_t size)
{
	const struct unit *units = row->type == SETTING_TYPE_DURATION ? duration_units : size_units;
	size_t i = row->type == SETTING_TYPE_DURATION && number < 3 * units[0].factor ? 1
										      : 0; /* 24h and 48h are clearer than days */
	if (row->type != SETTING_TYPE_INTEGER && number != 0)
		while (number % units[i].factor != 0)
			i++;
	if (row->type == SETTING_TYPE_INTEGER || number == 0)
		snprintf(ret_text, size, "%" PRId64, number);
	else
		snprintf(ret_text, size, "%" PRId64 "%s", number / units[i].factor, units[i].name);
}

void setting_format_range(const struct setting *row, char *ret_text, size_t size)
{
	char min[32], max[32], zero[64] = "";
	format_number(row, row->min, min, sizeof min);
	format_number(row, row->max, max, sizeof max);
	if (row->zero != NULL)
		snprintf(zero, sizeof zero, ", or 0 (%s)", row->zero);
	if (row->max != 0)
		snprintf(ret_text, size, "from %s to %s%s", min, max, zero);
	else if (row->min != 0)
		snprintf(ret_text, size, "at least %s%s", min, zero);
	else
		snprintf(ret_text, size, "%s", row->zero == NULL ? "" : zero + 2);
}

static void format_quantity(const struct setting *row, const char *form, char *ret_text, size_t size)
{
	char range[128];
	setting_format_range(row, range, sizeof range);
	snprintf(ret_text, size, "%s%s%s", form, *range == 0 ? "" : row->type == SETTING_TYPE_INTEGER ? " " : ", ", range);
}

static void format_choices(const char *before, const char *const *choices, char *ret_text, size_t size)
{
	size_t used = (size_t)snprintf(ret_text, size, "%s", before);
	for (size_t i = 0; choices[i] != NULL && used < size; i++) {
		const char *between = i == 0 ? "" : choices[i + 1] == NULL ? " or " : ", ";
		used += (size_t)snprintf(ret_text + used, size - used, "%s%s", between, choices[i]);
	}
}

void setting_format_expected(const struct setting *row, char *ret_text, size_t size)
{
	switch (row->type) {
	case SETTING_TYPE_INTEGER:
		format_quantity(row, "a whole number", ret_text, size);
		return;
	case SETTING_TYPE_DURATION:
		format_quantity(row, "a duration such as 30s, 5m or 24h", ret_text, size);
		return;
	case SETTING_TYPE_SIZE:
		format_quantity(row, "a size such as 64MiB or 512KiB", ret_text, size);
		return;
	case SETTING_TYPE_BOOLEAN:
		snprintf(ret_text, size, "true or false");
		return;
	case SETTING_TYPE_CHOICE:
		format_choices("", row->choices, ret_text, size);
		return;
	case SETTING_TYPE_LIST:
		if (row->choices != NULL) {
			format_choices("one or more of ", row->choices, ret_text, size);
			return;
		}
		break;
	case SETTING_TYPE_PAIRS:
		snprintf(ret_text, size, "NAME=VALUE");
		return;
	case SETTING_TYPE_TEXT:
		break;
	}
	snprintf(ret_text, size, "%s", row->expected == NULL ? "text" : row->expected);
}

void setting_format_variable(const struct setting *row, const char *prefix, char *ret_text, size_t size)
{
	snprintf(ret_text, size, "%s%s", prefix, row->name);
	for (char *p = ret_text; *p != 0; p++)
		*p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
}

const char *setting_metavar(const struct setting *row)
{
	static const char *const of_type[] = {"TEXT", "N", "DURATION", "SIZE", "", "WORD", "ITEM,…", "NAME=VALUE"};
	return row->metavar == NULL ? of_type[row->type] : row->metavar;
}

/* What of a URL must not be seen: scheme://user:SECRET@host, ?password=SECRET and &sslpassword=SECRET. The first one at or behind
 * `from`. */
static bool find_secret(const char *url, const char *from, const char **ret_begin, const char **ret_end)
{
	static const char parameter[] = "password=";
	const char *rest = strstr(url, "://");
	if (rest == NULL)
		return false;
	rest += 3;
	const char *at = strrchr(rest, '@'), *colon = at == NULL ? NULL : memchr(rest, ':', (size_t)(at - rest));
	if (colon != NULL && from <= colon) {
		*ret_begin = colon + 1;
		*ret_end = at;
		return true;
	}
	const char *query = strstr(from > rest ? from : rest, parameter);
	if (query == NULL)
		return false;
	*ret_begin = query + strlen(parameter);
	*ret_end = *ret_begin + strcspn(*ret_begin, "&");
	return true;
}

void settings_hide_password(char *url)
{
	const char *begin, *end;
	for (const char *from = url; find_secret(url, from, &begin, &end); from = end)
		memset(url + (begin - url), '*', (size_t)(end - begin));
}

static void format_url(const char *url, char *ret_text, size_t size)
{
	const char *begin, *end, *from = url;
	size_t used = 0;
	for (; find_secret(url, from, &begin, &end) && used < size; from = end)
		used += (size_t)snprintf(ret_text + used, size - used, "%.*s********", (int)(begin - from), from);
	if (used < size)
		snprintf(ret_text + used, size - used, "%s", from);
}

/* The name of a pair whose value must not be seen. */
static bool speaks_of_a_secret(const char *name, size_t length)
{
	static const char *const words[] = {"password", "secret", "key.pem", "jaas", "oauthbearer.config"};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (memmem(name, length, words[i], strlen(words[i])) != NULL)
			return true;
	return false;
}

/* NAME=********, and no more of a text that is no pair. */
static void format_pair(const char *text, char *ret_text, size_t size)
{
	size_t length = strcspn(text, "=");
	bool hidden = text[length] == '=' && speaks_of_a_secret(text, length);
	snprintf(ret_text, size, "%.*s%s", (int)(hidden ? length + 1 : strlen(text)), text, hidden ? "********" : "");
}

static void format_shown(const struct setting *row, const char *text, char *ret_text, size_t size)
{
	if (row->type == SETTING_TYPE_PAIRS)
		format_pair(text, ret_text, size);
	else if (row->secrecy == SETTING_SECRET && *text != 0)
		snprintf(ret_text, size, "********");
	else if (row->secrecy == SETTING_URL_PASSWORD)
		format_url(text, ret_text, size);
	else
		snprintf(ret_text, size, "%s", text);
}

/* Levenshtein's distance, one row of the matrix at a time. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t row[SETTINGS_MAX_NAME + 1], length = strlen(b);
	if (length > SETTINGS_MAX_NAME)
		return SIZE_MAX;
	for (size_t j = 0; j <= length; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1] != 0; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= length; j++) {
			size_t substitute = diagonal + (a[i - 1] != b[j - 1]);
			size_t shorter = row[j] < row[j - 1] ? row[j] : row[j - 1];
			diagonal = row[j];
			row[j] = substitute < shorter + 1 ? substitute : shorter + 1;
		}
	}
	return row[length];
}

const char *settings_nearest(const char *name, const char *const *names, size_t count)
{
	const char *nearest = NULL;
	size_t least = strlen(name) / 3 + 2; /* more edits than this make another word */
	for (size_t i = 0; i < count; i++) {
		size_t distance = edit_distance(name, names[i]);
		if (distance < least) {
			least = distance;
			nearest = names[i];
		}
	}
	return nearest;
}

/* ─── Setting ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void *member_of(const struct value *value)
{
	return (char *)value->table->config + value->row->offset;
}

static const char *copy_text(struct settings *settings, const char *text, size_t size)
{
	return (const char *)arena_copy(&settings->arena, slice_make(text, size)).data;
}

static enum error refuse(const struct value *value, const char *place, const char *text, struct error_note *note)
{
	char expected[160];
	setting_format_expected(value->row, expected, sizeof expected);
	if (place == NULL)
		place = "default";
	bool named = strstr(place, value->row->name) != NULL; /* "--threads" says it; "ping.ini:12" doesn't */
	char shown[65];
	format_shown(value->row, text, shown, sizeof shown);
	return error_noted(note, ERROR_INVALID_ARGUMENT, "%s: %s%sexpected %s, found \"%s\"", place,
			   named ? "" : value->row->name, named ? "" : ": ", expected, shown);
}

static char separator_of(const struct setting *row)
{
	return row->type == SETTING_TYPE_PAIRS ? '\n' : ',';
}

/* Splits `text` at its separators and puts the items behind those of `list`. */
static enum error append_items(struct settings *settings, const struct value *value, const char *place, const char *text,
			       struct setting_list *list, struct error_note *note)
{
	const char separator[] = {separator_of(value->row), 0};
	size_t more = *text == 0 ? 0 : 1;
	for (const char *p = text; *p != 0; p++)
		more += *p == *separator;
	const char **items = arena_alloc_array(&settings->arena, list->count + more, sizeof *items);
	if (items == NULL)
		return ERROR_NO_MEMORY;
	if (list->count > 0)
		memcpy(items, list->items, list->count * sizeof *items);
	for (size_t i = list->count; i < list->count + more; i++) {
		size_t length = strcspn(text, separator), end = length, begin = 0;
		while (begin < end && isspace((unsigned char)text[begin]))
			begin++;
		while (end > begin && isspace((unsigned char)text[end - 1]))
			end--;
		items[i] = copy_text(settings, text + begin, end - begin);
		if (items[i] == NULL)
			return ERROR_NO_MEMORY;
		if (begin == end || !item_fits(value->row, items[i]))
			return refuse(value, place, items[i], note);
		text += length + 1;
	}
	*list = (struct setting_list){.items = items, .count = list->count + more};
	return ERROR_OK;
}

/* A value in its typed form, before it is known whether it counts. */
union parsed {
	const char *text;
	int64_t number;
	bool boolean;
	int choice;
	struct setting_list list;
};

static const size_t parsed_size[] = {
	[SETTING_TYPE_TEXT] = sizeof(const char *),
	[SETTING_TYPE_INTEGER] = sizeof(int64_t),
	[SETTING_TYPE_DURATION] = sizeof(int64_t),
	[SETTING_TYPE_SIZE] = sizeof(int64_t),
	[SETTING_TYPE_BOOLEAN] = sizeof(bool),
	[SETTING_TYPE_CHOICE] = sizeof(int),
	[SETTING_TYPE_LIST] = sizeof(struct setting_list),
	[SETTING_TYPE_PAIRS] = sizeof(struct setting_list),
};

static enum error parse(struct settings *settings, const struct value *value, const char *place, const char *text, bool grow,
			union parsed *ret_parsed, struct error_note *note)
{
	const struct setting *row = value->row;
	enum error error = ERROR_OK;
	switch (row->type) {
	case SETTING_TYPE_TEXT:
		ret_parsed->text = text;
		error = row->accepts == NULL || row->accepts(text) ? ERROR_OK : ERROR_MALFORMED;
		break;
	case SETTING_TYPE_INTEGER:
	case SETTING_TYPE_DURATION:
	case SETTING_TYPE_SIZE:
		error = parse_number(row, text, &ret_parsed->number);
		break;
	case SETTING_TYPE_BOOLEAN:
		error = parse_boolean(text, &ret_parsed->boolean);
		break;
	case SETTING_TYPE_CHOICE:
		ret_parsed->choice = find_choice(row->choices, text);
		error = ret_parsed->choice >= 0 ? ERROR_OK : ERROR_MALFORMED;
		break;
	case SETTING_TYPE_LIST:
	case SETTING_TYPE_PAIRS:
		ret_parsed->list = grow ? *(struct setting_list *)member_of(value) : (struct setting_list){0};
		return append_items(settings, value, place, text, &ret_parsed->list, note);
	}
	return error == ERROR_OK ? ERROR_OK : refuse(value, place, text, note);
}

/* place NULL: a default. */
static enum error set(struct settings *settings, struct value *value, enum setting_source source, const char *place,
		      const char *text, struct error_note *note)
{
	bool again = place != NULL && value->place != NULL && value->source == source;
	if (again && value->row->type != SETTING_TYPE_LIST && value->row->type != SETTING_TYPE_PAIRS)
		return error_noted(note, ERROR_INVALID_ARGUMENT, "%s: %s is given twice (before: %s)", place, value->row->name,
				   value->place);
	const char *kept = copy_text(settings, text, strlen(text));
	if (kept == NULL)
		return ERROR_NO_MEMORY;
	union parsed parsed;
	enum error error = parse(settings, value, place, kept, again, &parsed, note);
	if (error != ERROR_OK || source < value->source)
		return error;
	if (again) {
		struct buffer joined;
		buffer_init(&joined, SETTINGS_MEMORY_LIMIT);
		error = buffer_append_format(&joined, "%s%c%s", value->text, separator_of(value->row), text);
		kept = error == ERROR_OK ? copy_text(settings, (char *)joined.data, joined.size) : NULL;
		buffer_release(&joined);
	}
	const char *kept_place = place == NULL ? NULL : copy_text(settings, place, strlen(place));
	if (kept == NULL || (place != NULL && kept_place == NULL))
		return ERROR_NO_MEMORY;
	memcpy(member_of(value), &parsed, parsed_size[value->row->type]);
	value->source = source;
	value->text = kept;
	value->place = kept_place;
	return ERROR_OK;
}

static struct value *find(const struct settings *settings, const char *name, size_t length)
{
	for (size_t i = 0; i < settings->count; i++)
		if (strlen(settings->values[i].row->name) == length && memcmp(settings->values[i].row->name, name, length) == 0)
			return &settings->values[i];
	return NULL;
}

static enum error set_first_default(struct settings *settings, struct value *value, struct error_note *note)
{
	if (value->row->initial != NULL)
		return set(settings, value, SETTING_SOURCE_DEFAULT, NULL, value->row->initial, note);
	value->text = "";
	if (value->row->type == SETTING_TYPE_TEXT)
		*(const char **)member_of(value) = "";
	else
		memset(member_of(value), 0, parsed_size[value->row->type]);
	return ERROR_OK;
}

static enum error fill(struct settings *settings, const struct settings_table *tables, size_t count, struct error_note *note)
{
	size_t rows = 0;
	for (size_t i = 0; i < count; i++)
		for (const struct setting *row = tables[i].rows; row->name != NULL; row++)
			rows++;
	settings->tables = arena_alloc_array(&settings->arena, count, sizeof *tables);
	settings->values = arena_alloc_array(&settings->arena, rows, sizeof *settings->values);
	if (settings->tables == NULL || settings->values == NULL)
		return ERROR_NO_MEMORY;
	memcpy(settings->tables, tables, count * sizeof *tables);
	for (size_t i = 0; i < count; i++)
		for (const struct setting *row = tables[i].rows; row->name != NULL; row++) {
			struct value *value = &settings->values[settings->count++];
			*value = (struct value){.row = row, .table = &settings->tables[i]};
			enum error error = set_first_default(settings, value, note);
			if (error != ERROR_OK)
				return error;
		}
	return ERROR_OK;
}

enum error settings_create(const struct settings_table *tables, size_t count, struct settings **ret_settings,
			   struct error_note *note)
{
	struct settings *settings = calloc(1, sizeof *settings);
	if (settings == NULL)
		return ERROR_NO_MEMORY;
	arena_init(&settings->arena, SETTINGS_MEMORY_LIMIT);
	enum error error = fill(settings, tables, count, note);
	if (error != ERROR_OK) {
		settings_destroy(settings);
		return error;
	}
	*ret_settings = settings;
	return ERROR_OK;
}

void settings_destroy(struct settings *settings)
{
	if (settings == NULL)
		return;
	arena_release(&settings->arena);
	free(settings);
}

enum error settings_set_default(struct settings *settings, const char *name, const char *text, struct error_note *note)
{
	struct value *value = find(settings, name, strlen(name));
	if (value == NULL)
		return error_noted(note, ERROR_INTERNAL, "no setting is called %s", name);
	return set(settings, value, SETTING_SOURCE_DEFAULT, NULL, text, note);
}

static enum error refuse_unknown(const struct settings *settings, const char *place, const char *what, const char *name,
				 bool flags, struct error_note *note)
{
	const char *names[SETTINGS_MAX_NAMES];
	size_t count = 0;
	for (size_t i = 0; i < settings->count && count < SETTINGS_MAX_NAMES; i++) {
		const struct value *value = &settings->values[i];
		if (flags ? settings_table_shows(value->table, value->row) : value->row->section != NULL)
			names[count++] = value->row->name;
	}
	const char *nearest = settings_nearest(name, names, count);
	if (nearest == NULL)
		return error_noted(note, ERROR_INVALID_ARGUMENT, "%sunknown %s \"%s%.64s\"", place, what, flags ? "--" : "",
				   name);
	return error_noted(note, ERROR_INVALID_ARGUMENT, "%sunknown %s \"%s%.64s\"; did you mean \"%s%s\"?", place, what,
			   flags ? "--" : "", name, flags ? "--" : "", nearest);
}

/* The row that takes pairs of other names from the section. */
static struct value *find_pairs(const struct settings *settings, const char *section)
{
	for (size_t i = 0; i < settings->count; i++) {
		const struct setting *row = settings->values[i].row;
		if (row->type == SETTING_TYPE_PAIRS && row->section != NULL && strcmp(row->section, section) == 0)
			return &settings->values[i];
	}
	return NULL;
}

static enum error set_pair_from_file(struct settings *settings, struct value *pairs, const char *name, const char *text,
				     const char *place, struct error_note *note)
{
	struct buffer pair;
	buffer_init(&pair, SETTINGS_MEMORY_LIMIT);
	enum error error = buffer_append_format(&pair, "%s=%s", name, text);
	if (error == ERROR_OK)
		error = buffer_append_byte(&pair, 0);
	if (error == ERROR_OK)
		error = set(settings, pairs, SETTING_SOURCE_FILE, place, (const char *)pair.data, note);
	buffer_release(&pair);
	return error;
}

enum error settings_set_from_file(struct settings *settings, const char *section, const char *name, const char *text,
				  const char *place, struct error_note *note)
{
	struct value *value = find(settings, name, strlen(name)), *pairs = find_pairs(settings, section);
	bool is_of_section = value != NULL && value->row->section != NULL && strcmp(value->row->section, section) == 0;
	if (pairs != NULL && !is_of_section)
		return set_pair_from_file(settings, pairs, name, text, place, note);
	if (value == NULL || value->row->section == NULL) {
		char before[256];
		snprintf(before, sizeof before, "%s: ", place);
		return refuse_unknown(settings, before, "setting", name, false, note);
	}
	if (*section != 0 && strcmp(section, value->row->section) != 0)
		return error_noted(note, ERROR_INVALID_ARGUMENT, "%s: %s belongs to [%s], not to [%.64s]", place, name,
				   value->row->section, section);
	return set(settings, value, SETTING_SOURCE_FILE, place, text, note);
}

const char *settings_variable(char *const *environment, const char *name)
{
	size_t length = strlen(name);
	for (; *environment != NULL; environment++)
		if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
			return *environment + length + 1;
	return NULL;
}

enum error settings_set_from_environment(struct settings *settings, char *const *environment, struct error_note *note)
{
	for (size_t i = 0; i < settings->count; i++) {
		struct value *value = &settings->values[i];
		if (value->table->prefix == NULL || value->row->flag_only)
			continue;
		char variable[SETTINGS_MAX_NAME];
		setting_format_variable(value->row, value->table->prefix, variable, sizeof variable);
		const char *text = settings_variable(environment, variable);
		if (text == NULL || *text == 0)
			continue;
		enum error error = set(settings, value, SETTING_SOURCE_ENVIRONMENT, variable, text, note);
		if (error != ERROR_OK)
			return error;
	}
	return ERROR_OK;
}

/* "threads=4", "threads" (then `next` is its value), "no-color". */
static enum error set_flag(struct settings *settings, const char *flag, const char *next, bool *ret_used_next,
			   struct error_note *note)
{
	size_t length = strcspn(flag, "=");
	const char *text = flag[length] == '=' ? flag + length + 1 : NULL;
	struct value *value = find(settings, flag, length);
	if (value == NULL && text == NULL && strncmp(flag, "no-", 3) == 0) {
		value = find(settings, flag + 3, length - 3);
		if (value != NULL && value->row->type != SETTING_TYPE_BOOLEAN)
			value = NULL;
		text = "false";
	}
	if (value == NULL || !settings_table_shows(value->table, value->row)) {
		char name[SETTINGS_MAX_NAME + 1];
		snprintf(name, sizeof name, "%.*s", (int)(length < SETTINGS_MAX_NAME ? length : SETTINGS_MAX_NAME), flag);
		return refuse_unknown(settings, "", "flag", name, true, note);
	}
	if (text == NULL)
		text = value->row->type == SETTING_TYPE_BOOLEAN ? "true" : value->row->implied;
	*ret_used_next = text == NULL;
	if (text == NULL)
		text = next;
	char place[SETTINGS_MAX_NAME + 3], expected[160];
	snprintf(place, sizeof place, "--%s", value->row->name);
	if (text == NULL) {
		setting_format_expected(value->row, expected, sizeof expected);
		return error_noted(note, ERROR_INVALID_ARGUMENT, "%s: expected %s, found nothing", place, expected);
	}
	return set(settings, value, SETTING_SOURCE_FLAG, place, text, note);
}

enum error settings_set_from_flags(struct settings *settings, int argc, char *const *argv, int *index, struct error_note *note)
{
	while (*index < argc && !settings->flags_ended) {
		const char *argument = argv[*index];
		if (argument[0] != '-' || argument[1] == 0)
			return ERROR_OK;
		if (strcmp(argument, "-h") == 0)
			argument = "--help";
		if (argument[1] != '-')
			return error_noted(note, ERROR_INVALID_ARGUMENT, "unknown flag \"%.64s\"; flags begin with two dashes",
					   argument);
		++*index;
		settings->flags_ended = argument[2] == 0;
		if (settings->flags_ended)
			return ERROR_OK;
		bool used_next;
		enum error error = set_flag(settings, argument + 2, *index < argc ? argv[*index] : NULL, &used_next, note);
		if (error != ERROR_OK)
			return error;
		*index += used_next;
	}
	return ERROR_OK;
}

/* ─── Printing ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static enum error print_line(const struct value *value, const char *name, const char *text, struct buffer *output)
{
	static const char *const words[] = {"default", "file", "environment", "flag"};
	return buffer_append_format(output, "%-21s = %-24s ; %s%s%s\n", name, text, words[value->source],
				    value->place == NULL ? "" : " ", value->place == NULL ? "" : value->place);
}

/* One line a pair, as in the file. */
static enum error print_pairs(const struct value *value, struct buffer *output)
{
	const struct setting_list *pairs = member_of(value);
	enum error error = ERROR_OK;
	for (size_t i = 0; i < pairs->count && error == ERROR_OK; i++) {
		char text[1024];
		format_pair(pairs->items[i], text, sizeof text);
		char *equals = text + strcspn(text, "=");
		char *shown = *equals == 0 ? equals : equals + 1;
		*equals = 0;
		error = print_line(value, text, shown, output);
	}
	return error;
}

static enum error print_value(const struct value *value, struct buffer *output)
{
	char text[1024];
	if (value->row->type == SETTING_TYPE_PAIRS)
		return print_pairs(value, output);
	format_shown(value->row, value->text, text, sizeof text);
	return print_line(value, value->row->name, text, output);
}

enum error settings_print(const struct settings *settings, struct buffer *output)
{
	const char *section = "";
	for (size_t i = 0; i < settings->count; i++) {
		const struct value *value = &settings->values[i];
		if (value->row->section == NULL)
			continue;
		enum error error = ERROR_OK;
		if (strcmp(section, value->row->section) != 0)
			error = buffer_append_format(output, "%s[%s]\n", *section == 0 ? "" : "\n", value->row->section);
		section = value->row->section;
		if (error == ERROR_OK)
			error = print_value(value, output);
		if (error != ERROR_OK)
			return error;
	}
	return ERROR_OK;
}
