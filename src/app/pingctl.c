/* pingctl: the command line of Ping. Finds the command, reads its flags, runs it. */
#include "app/pingctl.h"
#include "app/standard_files.h"

#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PINGCTL_MEMORY_LIMIT = 1 << 30, PINGCTL_MAX_ARGUMENTS = 128 };

static const char *const colors[] = {"auto", "always", "never", NULL};

static bool is_address(const char *text)
{
	return strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
}

static const struct setting flags[] = {
	{.name = "help",
	 SETTING_CHOICE(struct pingctl, help),
	 .choices = manual_forms,
	 .initial = "none",
	 .implied = "text",
	 .flag_only = true,
	 .metavar = "FORM",
	 .help = "Print this text and exit; with =man or =bash the man page or the completion for bash."},
	{.name = "version",
	 SETTING_BOOLEAN(struct pingctl, version),
	 .initial = "false",
	 .flag_only = true,
	 .help = "Print the version and exit."},
	{.name = "address",
	 SETTING_TEXT(struct pingctl, address),
	 .metavar = "URL",
	 .initial = "http://127.0.0.1:8080",
	 .accepts = is_address,
	 .expected = "http://HOST:PORT or https://HOST:PORT",
	 .help = "The server."},
	{.name = "ca",
	 SETTING_TEXT(struct pingctl, ca),
	 .metavar = "FILE",
	 .initial_help = "the system's",
	 .help = "Authorities in PEM: the server's certificate must come from one of them. For https."},
	{.name = "certificate",
	 SETTING_TEXT(struct pingctl, certificate),
	 .metavar = "FILE",
	 .initial_help = "none",
	 .help = "A certificate in PEM, for servers that want one of their clients."},
	{.name = "key",
	 SETTING_TEXT(struct pingctl, key),
	 .metavar = "FILE",
	 .initial_help = "in certificate",
	 .help = "The certificate's key in PEM."},
	{.name = "timeout",
	 SETTING_DURATION(struct pingctl, timeout_ms),
	 .initial = "30s",
	 .min = 1,
	 .max = 3600000,
	 .help = "How long one call may take."},
	{.name = "json",
	 SETTING_BOOLEAN(struct pingctl, json),
	 .initial = "false",
	 .flag_only = true,
	 .help = "Print JSON for scripts. As everywhere in proto3's JSON, fields that are 0 or empty are left out and 64-bit "
		 "numbers are "
		 "strings."},
	{.name = "utc",
	 SETTING_BOOLEAN(struct pingctl, utc),
	 .initial = "false",
	 .help = "Print times in UTC instead of local time."},
	{.name = "color",
	 SETTING_CHOICE(struct pingctl, color),
	 .initial = "auto",
	 .choices = colors,
	 .metavar = "WHEN",
	 .help = "Colours; auto: when standard output is a terminal and NO_COLOR is not set."},
	{0},
};

static const struct command *const commands[] = {
	&pingctl_ping_command,	   &pingctl_count_command,
	&pingctl_windows_command,  &pingctl_days_command,
	&pingctl_activity_command, &pingctl_top_command,
	&pingctl_watch_command,	   &pingctl_status_command,
	&pingctl_load_command,	   &pingctl_audit_command,
	&pingctl_rebuild_command,  &pingctl_dead_letters_command,
	&pingctl_migrate_command,  NULL,
};

static const struct manual manual = {
	.name = "pingctl",
	.summary = "send pings, read metrics, make load, check the data",
	.usage = "pingctl COMMAND [FLAG…] [ARGUMENT…]",
	.description = "pingctl talks to pingd. It prints tables for people and, with --json, JSON for scripts. A TIME is Unix "
		       "milliseconds, RFC "
		       "3339, a date (its UTC day's start), now, or -1h for an hour ago. Flags that stand here may also be set "
		       "in the environment, "
		       "as PINGCTL_ADDRESS.",
	.settings = {.rows = flags, .prefix = "PINGCTL_"},
	.commands = commands,
	.exit_codes = (const struct manual_entry[]){{"0", "All is well."},
						    {"1", "The command worked and its finding is bad: differences in an audit, "
							  "pings that failed in a load, a part that is down."},
						    {"2", "The command line, the environment or the config file is wrong."},
						    {"3", "The server, or for an audit the data, cannot be reached."},
						    {"4", "The server answered with an error; its code and message are printed."},
						    {0}},
	.examples = (const struct manual_entry[]){{"pingctl status", "Is the pipeline well?"},
						  {"pingctl top --limit 5", "Who pings most?"},
						  {"PINGCTL_ADDRESS=http://10.0.0.5:8080 pingctl count --from -24h --json",
						   "Another server, for a script."},
						  {0}},
	.see_also = "pingd(1)",
};

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; commands[i] != NULL; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

static int fail_unknown_command(const char *name)
{
	const char *names[sizeof commands / sizeof commands[0]];
	size_t count = 0;
	for (; commands[count] != NULL; count++)
		names[count] = commands[count]->name;
	const char *nearest = settings_nearest(name, names, count);
	if (nearest == NULL)
		return pingctl_fail(PINGCTL_USAGE, "unknown command \"%s\"; pingctl --help lists them", name);
	return pingctl_fail(PINGCTL_USAGE, "unknown command \"%s\"; did you mean \"%s\"?", name, nearest);
}

/* The tables of the command (NULL: none yet) behind those of all. */
static enum error make_settings(struct pingctl *ctl, const struct command *command, struct settings **ret_settings,
				struct error_note *note)
{
	struct settings_table tables[1 + COMMAND_MAX_TABLES] = {manual.settings};
	size_t count = 1;
	tables[0].config = ctl;
	for (size_t i = 0; command != NULL && i < COMMAND_MAX_TABLES; i++)
		if (command->settings[i].rows != NULL)
			tables[count++] = command->settings[i];
	return settings_create(tables, count, ret_settings, note);
}

/* The command's name is the first operand among flags of all commands or, because its own may stand before it, the first word
 * that names one. */
static int find_command_word(int argc, char *const *argv)
{
	struct pingctl ignored;
	struct settings *settings;
	struct error_note note;
	if (make_settings(&ignored, NULL, &settings, &note) != ERROR_OK)
		return argc;
	int index = 1;
	if (settings_set_from_flags(settings, argc, argv, &index, &note) != ERROR_OK)
		while (index < argc && find_command(argv[index]) == NULL)
			index++;
	settings_destroy(settings);
	return index;
}

/* Flags and arguments in any order; the command's name, at `word`, is left out. */
static enum error read_arguments(struct settings *settings, int argc, char *const *argv, int word, char **ret_arguments,
				 size_t *ret_count, struct error_note *note)
{
	size_t count = 0;
	int index = 1;
	while (index < argc) {
		enum error error = settings_set_from_flags(settings, argc, argv, &index, note);
		if (error != ERROR_OK)
			return error;
		if (index < argc && index != word) {
			if (count == PINGCTL_MAX_ARGUMENTS)
				return error_noted(note, ERROR_INVALID_ARGUMENT, "more than %d arguments", PINGCTL_MAX_ARGUMENTS);
			ret_arguments[count++] = argv[index];
		}
		index++;
	}
	*ret_count = count;
	return ERROR_OK;
}

static void set_up_terminal(struct pingctl *ctl)
{
	setlocale(LC_CTYPE, "");
	const char *no_color = getenv("NO_COLOR");
	bool wanted = isatty(STDOUT_FILENO) && (no_color == NULL || *no_color == 0);
	ctl->use_color = ctl->color == PINGCTL_COLOR_ALWAYS || (ctl->color == PINGCTL_COLOR_AUTO && wanted);
	ctl->use_unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

static int print_manual(struct pingctl *ctl, const struct command *command)
{
	ctl->output_error = command != NULL && ctl->help == MANUAL_TEXT ? manual_write_command(&manual, command, &ctl->output)
									: manual_write(&manual, ctl->help, &ctl->output);
	return pingctl_flush(ctl);
}

static int check_and_run(struct pingctl *ctl, const struct command *command, char *const *arguments, size_t count)
{
	if (ctl->help != MANUAL_NONE)
		return print_manual(ctl, command);
	if (ctl->version) {
		pingctl_print(ctl, "pingctl %s\n", PING_VERSION);
		return pingctl_flush(ctl);
	}
	if (command == NULL)
		return pingctl_fail(PINGCTL_USAGE, "which command? pingctl --help lists them");
	if (count < command->min_arguments)
		return pingctl_fail(PINGCTL_USAGE, "%s wants %s; pingctl %s --help says more", command->name, command->arguments,
				    command->name);
	if (count > command->max_arguments)
		return pingctl_fail(PINGCTL_USAGE, "%s: \"%s\" is one word too many; pingctl %s --help says more", command->name,
				    arguments[command->max_arguments], command->name);
	return command->run(ctl, arguments, count);
}

static int run(struct pingctl *ctl, int argc, char *const *argv)
{
	int word = find_command_word(argc, argv);
	const struct command *command = word < argc ? find_command(argv[word]) : NULL;
	if (word < argc && command == NULL)
		return fail_unknown_command(argv[word]);
	struct error_note note = {0};
	char *arguments[PINGCTL_MAX_ARGUMENTS];
	size_t count = 0;
	enum error error = make_settings(ctl, command, &ctl->settings, &note);
	if (error == ERROR_OK)
		error = read_arguments(ctl->settings, argc, argv, word, arguments, &count, &note);
	if (error == ERROR_OK && ctl->help == MANUAL_NONE && !ctl->version)
		error = settings_set_from_environment(ctl->settings, ctl->environment, &note);
	if (error != ERROR_OK)
		return pingctl_fail_error(PINGCTL_USAGE, error, &note);
	set_up_terminal(ctl);
	return check_and_run(ctl, command, arguments, count);
}

int main(int argc, char **argv)
{
	static struct pingctl ctl;
	if (!standard_files_fill())
		return PINGCTL_NEGATIVE;
	arena_init(&ctl.arena, PINGCTL_MEMORY_LIMIT);
	buffer_init(&ctl.output, PINGCTL_MEMORY_LIMIT);
	ctl.environment = environ;
	ctl.now_ms = pingctl_now_ms();
	int exit_code = run(&ctl, argc, argv);
	call_client_destroy(ctl.client);
	settings_destroy(ctl.settings);
	buffer_release(&ctl.output);
	arena_release(&ctl.arena);
	return exit_code;
}
