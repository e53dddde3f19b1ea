/* dead-letters: what readers of the log could not take, and why; puts back what only lay in the wrong place. */
#include "app/pingctl.h"

#include "app/pingd_settings.h"
#include "base/json.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>

enum { SHOWN_BYTES = 120 };

static struct options {
	bool replay;
	int64_t limit;
} options;

static struct pingd_config config;

static const struct setting flags[] = {
	{.name = "replay",
	 SETTING_BOOLEAN(struct options, replay),
	 .initial = "false",
	 .flag_only = true,
	 .help = "Write those that are events to raw-pings, where they belong, each once however often this is done."},
	{.name = "limit",
	 SETTING_INTEGER(struct options, limit),
	 .initial = "100",
	 .min = 1,
	 .max = 1000000,
	 .help = "So many are shown at most."},
	{0},
};

struct listing {
	struct pingctl *ctl;
	struct text_table table;
	int64_t shown, left;
};

static const char *state_of(const struct kafka_letter *letter)
{
	return letter->replayed ? "replayed" : letter->curable ? "can be replayed" : "no event";
}

/* For people and for JSON: what is no text becomes hexadecimal. */
static const char *spell(struct pingctl *ctl, struct slice bytes, size_t max)
{
	bool cut = bytes.size > max;
	struct buffer text;
	buffer_init(&text, 1 << 21);
	bool plain = utf8_valid(bytes);
	for (size_t i = 0; i < bytes.size; i++)
		plain &= bytes.data[i] >= ' ' && bytes.data[i] != 0x7f;
	if (cut)
		bytes.size = max;
	if (plain && !cut)
		buffer_append(&text, bytes.data, bytes.size);
	for (size_t i = 0; i < bytes.size && plain && cut; i++)
		buffer_append_byte(&text, bytes.data[i] < 0x80 ? bytes.data[i] : '?');
	for (size_t i = 0; i < bytes.size && !plain; i++)
		buffer_append_format(&text, "%s%02x", i == 0 ? "0x" : "", bytes.data[i]);
	if (cut)
		buffer_append_string(&text, "...");
	const char *kept = pingctl_text(ctl, slice_make(text.data, text.size));
	buffer_release(&text);
	return kept;
}

static void print_json_letter(struct pingctl *ctl, const struct kafka_letter *letter)
{
	pingctl_print(ctl,
		      "{\"partition\": %d, \"offset\": %" PRId64 ", \"written_ms\": %" PRId64 ", \"state\": \"%s\", \"reason\": ",
		      (int)letter->partition, letter->offset, letter->written_ms, state_of(letter));
	pingctl_print_json_string(ctl, spell(ctl, letter->reason, SIZE_MAX));
	pingctl_print(ctl, ", \"key\": ");
	pingctl_print_json_string(ctl, spell(ctl, letter->key, SIZE_MAX));
	pingctl_print(ctl, ", \"value\": ");
	pingctl_print_json_string(ctl, spell(ctl, letter->value, SIZE_MAX));
	pingctl_print(ctl, "}\n");
}

static bool show(void *context, const struct kafka_letter *letter)
{
	struct listing *listing = context;
	struct pingctl *ctl = listing->ctl;
	if (listing->shown == options.limit) {
		listing->left++;
		return true;
	}
	listing->shown++;
	if (ctl->json) {
		print_json_letter(ctl, letter);
		return true;
	}
	text_table_cell(&listing->table, "%s", pingctl_time(ctl, letter->written_ms, TEXT_TIME_SECONDS));
	text_table_cell(&listing->table, "%d", (int)letter->partition);
	text_table_cell(&listing->table, "%" PRId64, letter->offset);
	text_table_cell(&listing->table, "%s", state_of(letter));
	text_table_cell(&listing->table, "%s", spell(ctl, letter->reason, SHOWN_BYTES));
	text_table_cell(&listing->table, "%s", spell(ctl, letter->key, SHOWN_BYTES));
	text_table_cell(&listing->table, "%s", spell(ctl, letter->value, SHOWN_BYTES));
	return true;
}

static enum error list(struct pingctl *ctl, const struct kafka_config *kafka, struct error_note *note)
{
	static const struct text_column columns[] = {{"written", false}, {"partition", true}, {"offset", true}, {"state", false},
						     {"reason", false},	 {"key", false},      {"value", false}};
	struct listing listing = {.ctl = ctl};
	text_table_init(&listing.table, &ctl->arena, columns, sizeof columns / sizeof *columns);
	enum error error = kafka_letters_list(kafka, show, &listing, note);
	if (error != ERROR_OK || ctl->json)
		return error;
	if (listing.shown == 0)
		pingctl_print(ctl, "no dead letters\n");
	else
		pingctl_print_table(ctl, &listing.table);
	if (listing.left > 0)
		pingctl_print(ctl, "and %s more; --limit shows them\n", pingctl_count(ctl, listing.left));
	return ERROR_OK;
}

static enum error replay(struct pingctl *ctl, const struct kafka_config *kafka, struct error_note *note)
{
	struct kafka_replay done;
	enum error error = kafka_letters_replay(kafka, &done, note);
	if (ctl->json)
		pingctl_print(ctl, "{\"replayed\": %" PRId64 ", \"already\": %" PRId64 ", \"no_events\": %" PRId64 "}\n",
			      done.replayed, done.already, done.hopeless);
	else
		pingctl_print(ctl, "replayed %s; %s were already, %s are no events\n", pingctl_count(ctl, done.replayed),
			      pingctl_count(ctl, done.already), pingctl_count(ctl, done.hopeless));
	return error;
}

static int run(void *program, char *const *arguments, size_t count)
{
	(void)arguments;
	(void)count;
	struct pingctl *ctl = program;
	struct error_note note = {0};
	enum error error = pingd_config_complete(&config, ctl->settings, ctl->environment, &note);
	if (error != ERROR_OK)
		return pingctl_fail_error(PINGCTL_USAGE, error, &note);
	if (config.backends.log != PINGD_BACKEND_KAFKA)
		return pingctl_fail(PINGCTL_USAGE, "dead letters are Kafka's: add --log kafka://…");
	const struct kafka_config kafka = pingd_config_kafka(&config);
	error = (options.replay ? replay : list)(ctl, &kafka, &note);
	int exit_code = pingctl_flush(ctl);
	return error == ERROR_OK ? exit_code : pingctl_fail_error(PINGCTL_UNREACHABLE, error, &note);
}

const struct command pingctl_dead_letters_command = {
	.name = "dead-letters",
	.summary = "list what readers of the log could not take, and put back what can be",
	.help = "Lists the records of raw-pings-dead, each once: when it was written there, where it lay in raw-pings, why it "
		"could "
		"not be taken, its key and its value (what is no text in hexadecimal). With --replay those that are events, and "
		"lay in another partition than their client's, are written where they belong; how far that has come is the "
		"offset "
		"of group ping-dead-letters. With --json one object a line. It takes pingd's own settings (flags, PING_ "
		"variables, "
		"config file). Exit code 3 when Kafka cannot be reached.",
	.settings = {{.rows = flags, .config = &options},
		     {.rows = pingd_settings, .config = &config, .prefix = "PING_", .groups = PINGD_GROUP_DATA}},
	.examples =
		(const struct manual_entry[]){{"pingctl dead-letters --config /etc/ping.conf", "What is there, and why?"},
					      {"pingctl dead-letters --config /etc/ping.conf --replay", "Put back what can be."},
					      {0}},
	.run = run,
};
