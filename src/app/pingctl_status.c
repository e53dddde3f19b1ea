#include "app/pingctl.h"

#include <stdio.h>

/* The parts in the order that a ping takes through them. */
static const char *const parts[] = {"ledger", "log", "engine", "store"};
enum { PART_COUNT = 4 };

struct state_text {
	const char *word, *sign, *ascii_sign;
	enum pingctl_style style;
};

static const struct state_text *text_of(enum ping_v1_dependency_state state)
{
	static const struct state_text texts[] = {
		[PING_V1_DEPENDENCY_STATE_UNSPECIFIED] = {"unknown", "?", "?", PINGCTL_DIM},
		[PING_V1_DEPENDENCY_STATE_OK] = {"ok", "✔", "+", PINGCTL_GOOD},
		[PING_V1_DEPENDENCY_STATE_DEGRADED] = {"degraded", "▲", "!", PINGCTL_WARN},
		[PING_V1_DEPENDENCY_STATE_DOWN] = {"down", "✖", "x", PINGCTL_BAD},
	};
	return &texts[state > PING_V1_DEPENDENCY_STATE_DOWN ? PING_V1_DEPENDENCY_STATE_UNSPECIFIED : state];
}

static enum ping_v1_dependency_state state_of(const struct ping_v1_get_pipeline_status_response *status, const char *part)
{
	for (size_t i = 0; i < status->dependencies.count; i++)
		if (slice_equal_string(status->dependencies.items[i].name, part))
			return status->dependencies.items[i].state;
	/* The embedded log is the ledger itself, and no part of its own. */
	if (strcmp(part, "log") == 0 && slice_equal(status->log, status->ledger))
		return state_of(status, "ledger");
	/* One in another process that was heard of. */
	if (strcmp(part, "engine") == 0 && status->engine.size > 0)
		return PING_V1_DEPENDENCY_STATE_OK;
	return PING_V1_DEPENDENCY_STATE_UNSPECIFIED;
}

static const char *adapter_of(struct pingctl *ctl, const struct ping_v1_get_pipeline_status_response *status, size_t part)
{
	const struct slice adapters[PART_COUNT] = {status->ledger, status->log, status->engine, status->store};
	return adapters[part].size == 0 ? "none" : pingctl_text(ctl, adapters[part]);
}

/* One word for a part under another; the arrow stands between the names. */
static void print_cell(struct pingctl *ctl, const char *text, const char *style, bool arrow, bool last)
{
	enum { CELL = 12 };
	size_t width = text_width(text), padding = width < CELL ? CELL - width : 1;
	pingctl_print(ctl, "%s%s%s", style, text, *style == 0 ? "" : pingctl_style(ctl, PINGCTL_PLAIN));
	if (!last)
		pingctl_print(ctl, "%*s%s", (int)padding, "", !arrow ? "    " : ctl->use_unicode ? "──► " : "--> ");
	else
		pingctl_print(ctl, "\n");
}

static void print_picture(struct pingctl *ctl, const struct ping_v1_get_pipeline_status_response *status)
{
	for (size_t i = 0; i < PART_COUNT; i++)
		print_cell(ctl, parts[i], "", true, i + 1 == PART_COUNT);
	for (size_t i = 0; i < PART_COUNT; i++)
		print_cell(ctl, adapter_of(ctl, status, i), pingctl_style(ctl, PINGCTL_DIM), false, i + 1 == PART_COUNT);
	for (size_t i = 0; i < PART_COUNT; i++) {
		const struct state_text *text = text_of(state_of(status, parts[i]));
		char cell[32];
		snprintf(cell, sizeof cell, "%s %s", ctl->use_unicode ? text->sign : text->ascii_sign, text->word);
		print_cell(ctl, cell, pingctl_style(ctl, text->style), false, i + 1 == PART_COUNT);
	}
}

static void print_details(struct pingctl *ctl, const struct ping_v1_get_pipeline_status_response *status)
{
	for (size_t i = 0; i < status->dependencies.count; i++) {
		const struct ping_v1_dependency *part = &status->dependencies.items[i];
		if (part->state == PING_V1_DEPENDENCY_STATE_OK)
			continue;
		pingctl_print(ctl, "%s: %s since %s", pingctl_text(ctl, part->name), text_of(part->state)->word,
			      pingctl_time(ctl, part->since_ms, TEXT_TIME_SECONDS));
		pingctl_print(ctl, "%s%s\n", part->detail.size == 0 ? "" : ": ", pingctl_text(ctl, part->detail));
	}
}

/* The process that was asked tells of its own engine alone how far it is. */
static void print_lag(struct pingctl *ctl, const struct ping_v1_get_pipeline_status_response *status)
{
	if (status->engine_figures == NULL && status->engine_owner != NULL) {
		pingctl_print(ctl, "lag           not known here: the engine is in another process\n");
		return;
	}
	pingctl_print(ctl, "lag           %s %s not in the store yet\n", pingctl_count(ctl, status->lag_events),
		      status->lag_events == 1 ? "event" : "events");
	if (status->newest_applied_ms == 0)
		pingctl_print(ctl, "freshness     no ping in the store yet\n");
	else
		pingctl_print(ctl, "freshness     the newest ping in the store was received %s\n",
			      pingctl_ago(ctl, status->newest_applied_ms));
}

static void print_owner(struct pingctl *ctl, const struct ping_v1_engine_owner *owner)
{
	pingctl_print(ctl, "filled by     %s", pingctl_text(ctl, owner->kind));
	if (owner->owner.size > 0)
		pingctl_print(ctl, " (%s)", pingctl_text(ctl, owner->owner));
	if (owner->heartbeat_ms == 0)
		pingctl_print(ctl, ", until that was stopped\n");
	else
		pingctl_print(ctl, ", last heard of %s\n", pingctl_ago(ctl, owner->heartbeat_ms));
}

static void print_figures(struct pingctl *ctl, const struct ping_v1_get_pipeline_status_response *status)
{
	const struct ping_v1_engine_figures *engine = status->engine_figures;
	pingctl_print(ctl, "\npings         %s a second, over the last 10 seconds\n",
		      pingctl_count(ctl, (int64_t)(status->pings_per_second + 0.5)));
	print_lag(ctl, status);
	if (status->engine_owner != NULL)
		print_owner(ctl, status->engine_owner);
	if (engine != NULL)
		pingctl_print(ctl,
			      "engine        %zu partitions, %.1f %% of rows in memory, %.0f rows a flush, writes %.1f ms, reads "
			      "%.1f ms, %s rebalanced, %s repaired\n",
			      engine->partitions.count, engine->cache_hit_ratio * 100, engine->rows_per_flush,
			      engine->store_write_ms, engine->store_read_ms, pingctl_count(ctl, engine->rebalanced_partitions),
			      pingctl_count(ctl, engine->repaired_rows));
	pingctl_print(ctl, "clients       %s in the last 24 hours, %s ever\n", pingctl_count(ctl, status->active_clients),
		      pingctl_count(ctl, status->clients));
	pingctl_print(ctl, "windows       %s open\n", pingctl_count(ctl, status->open_windows));
	pingctl_print(ctl, "dead letters  %s\n", pingctl_count(ctl, status->dead_letters));
	pingctl_print(ctl, "version       %s at %s\n", pingctl_text(ctl, status->version), ctl->address);
}

static int run(void *program, char *const *arguments, size_t count)
{
	(void)arguments;
	(void)count;
	struct pingctl *ctl = program;
	struct ping_v1_get_pipeline_status_request request = {0};
	struct ping_v1_get_pipeline_status_response status = {0};
	int exit_code = pingctl_call(ctl, &ping_v1_metrics_service_get_pipeline_status_method, &request, &status);
	if (exit_code != PINGCTL_OK)
		return exit_code;
	if (ctl->json) {
		pingctl_print_json(ctl, &ping_v1_get_pipeline_status_response_type, &status);
	} else {
		print_picture(ctl, &status);
		print_details(ctl, &status);
		print_figures(ctl, &status);
	}
	exit_code = pingctl_flush(ctl);
	for (size_t i = 0; i < status.dependencies.count && exit_code == PINGCTL_OK; i++)
		if (status.dependencies.items[i].state == PING_V1_DEPENDENCY_STATE_DOWN)
			exit_code = PINGCTL_NEGATIVE;
	return exit_code;
}

const struct command pingctl_status_command = {
	.name = "status",
	.summary = "show how the pipeline is",
	.help = "Shows the parts of the pipeline, their states, how far the metrics lag and how fresh they are; exit code 1 when "
		"a part is down. "
		"With --json as the API's GetPipelineStatusResponse.",
	.examples = (const struct manual_entry[]){{"pingctl status", "Is it well?"}, {0}},
	.run = run,
};
