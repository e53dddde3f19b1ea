#include "app/manual.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

const char *const manual_forms[] = {"none", "text", "markdown", "man", "bash", NULL};

enum { TEXT_COLUMNS = 100 };

/* Appends that remember the first failure, so that the texts below read as texts. */
struct writer {
	struct buffer *output;
	enum error error;
};

__attribute__((format(printf, 2, 3))) static void put(struct writer *writer, const char *format, ...)
{
	va_list arguments;
	char text[2048];
	va_start(arguments, format);
	int length = vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (writer->error == ERROR_OK)
		writer->error = length < 0 || (size_t)length >= sizeof text ? ERROR_TOO_LARGE
									    : buffer_append(writer->output, text, (size_t)length);
}

static const char *initial_of(const struct setting *row)
{
	return row->initial_help != NULL ? row->initial_help : row->initial == NULL || *row->initial == 0 ? "none" : row->initial;
}

/* A switch does nothing until it is given, so its default needs no word. */
static bool has_shown_initial(const struct setting *row)
{
	return row->implied == NULL && (row->type != SETTING_TYPE_BOOLEAN || strcmp(row->initial, "true") == 0);
}

/* "--threads N", "--help[=FORM]", "--json", "--[no-]color". */
static void format_flag(const struct setting *row, char *ret_text, size_t size)
{
	if (row->type == SETTING_TYPE_BOOLEAN)
		snprintf(ret_text, size, strcmp(row->initial, "true") == 0 ? "--[no-]%s" : "--%s", row->name);
	else
		snprintf(ret_text, size, row->implied == NULL ? "--%s %s" : "--%s[=%s]", row->name, setting_metavar(row));
}

/* What a value may be, as far as the metavar doesn't say it. */
static void format_values(const struct setting *row, char *ret_text, size_t size)
{
	*ret_text = 0;
	if (row->type == SETTING_TYPE_INTEGER || row->type == SETTING_TYPE_DURATION || row->type == SETTING_TYPE_SIZE)
		setting_format_range(row, ret_text, size);
	else if (row->implied == NULL && (row->choices != NULL || row->expected != NULL))
		setting_format_expected(row, ret_text, size);
}

static const struct command *const *commands_of(const struct manual *manual)
{
	static const struct command *const none[] = {NULL};
	return manual->commands == NULL ? none : manual->commands;
}

/* Calls `each` for the rows that are shown, in order. */
static void for_each_row(struct writer *writer, const struct settings_table *table,
			 void (*each)(struct writer *, const struct settings_table *, const struct setting *))
{
	for (const struct setting *row = table->rows; row != NULL && row->name != NULL; row++)
		if (settings_table_shows(table, row))
			each(writer, table, row);
}

/* ─── Text ──────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static size_t columns_of(const char *text, size_t size)
{
	size_t columns = 0;
	for (size_t i = 0; i < size; i++)
		columns += ((unsigned char)text[i] & 0xc0) != 0x80;
	return columns;
}

/* Goes on at `column`; lines after the first are indented. */
static void put_wrapped(struct writer *writer, const char *text, size_t indent, size_t column)
{
	bool first = column > 0; /* the word needs no blank before it */
	while (*text != 0) {
		size_t size = strcspn(text, " "), columns = columns_of(text, size);
		if (column > 0 && column + 1 + columns > TEXT_COLUMNS) {
			put(writer, "\n");
			column = 0;
		}
		size_t blanks = column == 0 ? indent : first ? 0 : 1;
		put(writer, "%*s%.*s", (int)blanks, "", (int)size, text);
		column += blanks + columns;
		first = false;
		text += size;
		text += strspn(text, " ");
	}
	put(writer, "\n");
}

static void put_text_row(struct writer *writer, const struct settings_table *table, const struct setting *row)
{
	(void)table;
	char flag[128], values[160], line[1024];
	format_flag(row, flag, sizeof flag);
	format_values(row, values, sizeof values);
	put(writer, "  %s\n", flag);
	if (has_shown_initial(row))
		snprintf(line, sizeof line, "%s (%s%sdefault: %s)", row->help, values, *values == 0 ? "" : "; ", initial_of(row));
	else
		snprintf(line, sizeof line, *values == 0 ? "%s" : "%s (%s)", row->help, values);
	put_wrapped(writer, line, 8, 0);
}

static void put_text_entries(struct writer *writer, const char *title, const struct manual_entry *entries)
{
	if (entries == NULL)
		return;
	put(writer, "\n%s\n", title);
	for (; entries->term != NULL; entries++) {
		bool fits = columns_of(entries->term, strlen(entries->term)) < 5;
		put(writer, fits ? "  %-6s" : "  %s\n", entries->term);
		put_wrapped(writer, entries->text, 8, fits ? 8 : 0);
	}
}

static void put_text(struct writer *writer, const struct manual *manual)
{
	put(writer, "%s: %s\n\nusage: %s\n\n", manual->name, manual->summary, manual->usage);
	put_wrapped(writer, manual->description, 0, 0);
	if (manual->commands != NULL) {
		put(writer, "\nCommands (%s COMMAND --help says more)\n", manual->name);
		for (const struct command *const *at = commands_of(manual); *at != NULL; at++)
			put(writer, "  %-12s  %s\n", (*at)->name, (*at)->summary);
	}
	put(writer, "\nFlags\n");
	for_each_row(writer, &manual->settings, put_text_row);
	put_text_entries(writer, "Examples", manual->examples);
	put_text_entries(writer, "Exit codes", manual->exit_codes);
}

enum error manual_write_command(const struct manual *manual, const struct command *command, struct buffer *output)
{
	struct writer writer = {.output = output};
	bool arguments = command->arguments != NULL;
	put(&writer, "%s %s: %s\n\nusage: %s %s [FLAG…]%s%s\n\n", manual->name, command->name, command->summary, manual->name,
	    command->name, arguments ? " " : "", arguments ? command->arguments : "");
	put_wrapped(&writer, command->help, 0, 0);
	if (command->settings[0].rows != NULL)
		put(&writer, "\nFlags\n");
	for (size_t i = 0; i < COMMAND_MAX_TABLES; i++)
		for_each_row(&writer, &command->settings[i], put_text_row);
	put(&writer, "\nFlags of every command\n");
	for_each_row(&writer, &manual->settings, put_text_row);
	put_text_entries(&writer, "Examples", command->examples);
	put_text_entries(&writer, "Exit codes", manual->exit_codes);
	return writer.error;
}

/* ─── Markdown ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void put_markdown_row(struct writer *writer, const struct settings_table *table, const struct setting *row)
{
	(void)table;
	char values[160];
	format_values(row, values, sizeof values);
	bool literal = row->initial_help == NULL && row->initial != NULL && *row->initial != 0;
	put(writer, literal ? "| `%s` | `%s` | " : "| `%s` | %s | ", row->name, initial_of(row));
	put(writer, "%s%s%s | %s |\n", setting_metavar(row), *values == 0 ? "" : ": ", values, row->help);
}

static void put_markdown_section(struct writer *writer, const struct settings_table *table, const char *section)
{
	put(writer, "\n## [%s]\n\n| Setting | Default | Values | Meaning |\n|---|---|---|---|\n", section);
	for (const struct setting *row = table->rows; row->name != NULL; row++)
		if (row->section != NULL && strcmp(row->section, section) == 0)
			put_markdown_row(writer, table, row);
}

static void put_markdown_flag(struct writer *writer, const struct settings_table *table, const struct setting *row)
{
	(void)table;
	char flag[128];
	if (row->section != NULL)
		return;
	format_flag(row, flag, sizeof flag);
	put(writer, "| `%s` | %s |\n", flag, row->help);
}

static void put_markdown(struct writer *writer, const struct manual *manual)
{
	put(writer, "# Configuration of %s\n\nMade by `scripts/generate-docs`; do not edit.\n\n", manual->name);
	put(writer,
	    "Each setting is a flag (`--max-body 8MiB`, `--max-body=8MiB`), a variable of the environment (`%sMAX_BODY`)\n"
	    "and a line of the file that `--config` names (`max-body = 8MiB`). What stands further right here wins:\n\n"
	    "    default < file < environment < flag\n\n",
	    manual->settings.prefix);
	put(writer,
	    "Lists are separated by commas, and grow when they are given again at the same place. An empty variable counts as "
	    "none.\n"
	    "In the file the `[section]` may be left out, comments begin with `;` or `#`, a list may go on over indented lines,\n"
	    "and an unknown name is an error. A DURATION is 500ms, 30s, 5m, 24h, 90d or 1h30m, a SIZE is 512KiB, 64MiB, 1GiB or "
	    "bytes.\n"
	    "`%s --check-config` prints every value and where it came from.\n",
	    manual->name);
	const char *section = NULL;
	for (const struct setting *row = manual->settings.rows; row->name != NULL; row++)
		if (row->section != NULL && (section == NULL || strcmp(section, row->section) != 0)) {
			section = row->section;
			put_markdown_section(writer, &manual->settings, section);
		}
	put(writer, "\n## Flags alone\n\n| Flag | Meaning |\n|---|---|\n");
	for_each_row(writer, &manual->settings, put_markdown_flag);
}

/* ─── Man page ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void put_roff(struct writer *writer, const char *text)
{
	if (*text == '.' || *text == '\'')
		put(writer, "\\&");
	for (; *text != 0; text++)
		put(writer, *text == '-' ? "\\-" : *text == '\\' ? "\\e" : "%c", *text);
}

static void put_man_heading(struct writer *writer, const char *request, const char *title)
{
	put(writer, "%s ", request);
	for (; *title != 0; title++)
		put(writer, "%c", toupper((unsigned char)*title));
	put(writer, "\n");
}

static void put_man_row(struct writer *writer, const struct settings_table *table, const struct setting *row)
{
	char flag[128], values[160], variable[96];
	format_flag(row, flag, sizeof flag);
	format_values(row, values, sizeof values);
	put(writer, ".TP\n.B ");
	put_roff(writer, flag);
	put(writer, "\n");
	put_roff(writer, row->help);
	if (*values != 0) {
		put(writer, "\nValues: ");
		put_roff(writer, values);
		put(writer, ".");
	}
	if (has_shown_initial(row)) {
		put(writer, "\nDefault: ");
		put_roff(writer, initial_of(row));
		put(writer, ".");
	}
	if (table->prefix != NULL && !row->flag_only) {
		setting_format_variable(row, table->prefix, variable, sizeof variable);
		put(writer, "\nVariable: %s.", variable);
	}
	put(writer, "\n");
}

static void put_man_entries(struct writer *writer, const char *request, const char *title, const struct manual_entry *entries)
{
	if (entries == NULL)
		return;
	put_man_heading(writer, request, title);
	for (; entries->term != NULL; entries++) {
		put(writer, ".TP\n.B ");
		put_roff(writer, entries->term);
		put(writer, "\n");
		put_roff(writer, entries->text);
		put(writer, "\n");
	}
}

static void put_man_command(struct writer *writer, const struct manual *manual, const struct command *command)
{
	put(writer, ".SS ");
	put(writer, "%s %s%s%s\n", manual->name, command->name, command->arguments == NULL ? "" : " ",
	    command->arguments == NULL ? "" : command->arguments);
	put_roff(writer, command->help);
	put(writer, "\n");
	for (size_t i = 0; i < COMMAND_MAX_TABLES; i++)
		for_each_row(writer, &command->settings[i], put_man_row);
	for (const struct manual_entry *example = command->examples; example != NULL && example->term != NULL; example++) {
		put(writer, ".PP\n");
		put_roff(writer, example->text);
		put(writer, "\n.PP\n.nf\n.RS\n");
		put_roff(writer, example->term);
		put(writer, "\n.RE\n.fi\n");
	}
}

static void put_man(struct writer *writer, const struct manual *manual)
{
	put_man_heading(writer, ".TH", manual->name);
	writer->output->size--; /* the heading's line goes on */
	put(writer, " 1 \"\" Ping\n.SH NAME\n%s \\- %s\n.SH SYNOPSIS\n.B ", manual->name, manual->summary);
	put_roff(writer, manual->usage);
	put(writer, "\n.SH DESCRIPTION\n");
	put_roff(writer, manual->description);
	put(writer, "\n.SH OPTIONS\n");
	for_each_row(writer, &manual->settings, put_man_row);
	if (manual->commands != NULL)
		put(writer, ".SH COMMANDS\n");
	for (const struct command *const *at = commands_of(manual); *at != NULL; at++)
		put_man_command(writer, manual, *at);
	put_man_entries(writer, ".SH", "files", manual->files);
	put_man_entries(writer, ".SH", "signals", manual->signals);
	put_man_entries(writer, ".SH", "exit status", manual->exit_codes);
	put_man_entries(writer, ".SH", "examples", manual->examples);
	put(writer, ".SH SEE ALSO\n.BR %s\n", manual->see_also);
}

/* ─── Completion for bash ───────────────────────────────────────────────────────────────────────────────────────────── */

static void put_bash_flag(struct writer *writer, const struct settings_table *table, const struct setting *row)
{
	(void)table;
	put(writer, " --%s", row->name);
}

static bool takes_file(const struct setting *row)
{
	return strcmp(setting_metavar(row), "FILE") == 0 || strcmp(setting_metavar(row), "DIR") == 0;
}

/* The value of a flag that takes one of some words, or a file. */
static void put_bash_value(struct writer *writer, const struct settings_table *table, const struct setting *row)
{
	(void)table;
	if (row->implied != NULL || (row->choices == NULL && !takes_file(row)))
		return;
	put(writer, "\t--%s)\n\t\tCOMPREPLY=($(compgen ", row->name);
	if (row->choices == NULL)
		put(writer, "-%c", strcmp(setting_metavar(row), "FILE") == 0 ? 'f' : 'd');
	for (size_t i = 0; row->choices != NULL && row->choices[i] != NULL; i++)
		put(writer, "%s%s", i == 0 ? "-W \"" : " ", row->choices[i]);
	put(writer, "%s -- \"$current\"))\n\t\treturn ;;\n", row->choices == NULL ? "" : "\"");
}

/* Other flags with a value: nothing is known of it. */
static void put_bash_free(struct writer *writer, const struct settings_table *table, const struct setting *row)
{
	(void)table;
	if (row->type != SETTING_TYPE_BOOLEAN && row->implied == NULL && row->choices == NULL && !takes_file(row))
		put(writer, " | --%s", row->name);
}

static void for_each_row_of_all(struct writer *writer, const struct manual *manual,
				void (*each)(struct writer *, const struct settings_table *, const struct setting *))
{
	for_each_row(writer, &manual->settings, each);
	for (const struct command *const *at = commands_of(manual); *at != NULL; at++)
		for (size_t i = 0; i < COMMAND_MAX_TABLES; i++)
			for_each_row(writer, &(*at)->settings[i], each);
}

static void put_bash_commands(struct writer *writer, const struct manual *manual)
{
	put(writer, "\tfor word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n\t\tcase $word in\n\t\t");
	for (const struct command *const *at = commands_of(manual); *at != NULL; at++)
		put(writer, "%s%s", at == manual->commands ? "" : " | ", (*at)->name);
	put(writer, ")\n\t\t\tcommand=$word\n\t\t\tbreak ;;\n\t\tesac\n\tdone\n\tcase $command in\n");
	for (const struct command *const *at = commands_of(manual); *at != NULL; at++) {
		put(writer, "\t%s) words+=\"", (*at)->name);
		for (size_t i = 0; i < COMMAND_MAX_TABLES; i++)
			for_each_row(writer, &(*at)->settings[i], put_bash_flag);
		put(writer, "\" ;;\n");
	}
	put(writer, "\t*) words+=\"");
	for (const struct command *const *at = commands_of(manual); *at != NULL; at++)
		put(writer, " %s", (*at)->name);
	put(writer, "\" ;;\n\tesac\n");
}

static void put_bash(struct writer *writer, const struct manual *manual)
{
	put(writer, "# Completion for bash. Made by scripts/generate-docs; do not edit.\n_%s() {\n", manual->name);
	put(writer,
	    "\tlocal current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} word command=\n\tlocal words=\"");
	for_each_row(writer, &manual->settings, put_bash_flag);
	put(writer,
	    "\"\n\t# --flag=value comes as three words.\n"
	    "\tif [[ $current == \"=\" ]]; then\n\t\tcurrent=\n"
	    "\telif [[ $previous == \"=\" ]]; then\n\t\tprevious=${COMP_WORDS[COMP_CWORD-2]}\n\tfi\n\tcase $previous in\n");
	for_each_row_of_all(writer, manual, put_bash_value);
	put(writer, "\t=");
	for_each_row_of_all(writer, manual, put_bash_free);
	put(writer, ")\n\t\treturn ;;\n");
	put(writer, "\tesac\n");
	if (manual->commands != NULL)
		put_bash_commands(writer, manual);
	put(writer, "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n}\ncomplete -F _%s %s\n", manual->name,
	    manual->name);
}

enum error manual_write(const struct manual *manual, enum manual_form form, struct buffer *output)
{
	static void (*const write[])(struct writer *, const struct manual *) = {
		[MANUAL_TEXT] = put_text,
		[MANUAL_MARKDOWN] = put_markdown,
		[MANUAL_MAN] = put_man,
		[MANUAL_BASH] = put_bash,
	};
	struct writer writer = {.output = output};
	if (form != MANUAL_NONE)
		write[form](&writer, manual);
	return writer.error;
}
