/* windows and days: the rows of one client, page by page. */
#include "app/pingctl.h"

enum { PAGE_SIZE = 1000 };

static struct options {
	const char *from, *to;
	int64_t limit;
} options;

static const struct setting flags[] = {
	PINGCTL_RANGE(struct options, "the row's start"),
	{.name = "limit",
	 SETTING_INTEGER(struct options, limit),
	 .initial = "50",
	 .min = 1,
	 .max = 1000000,
	 .help = "So many rows at most."},
	{0},
};

/* Puts a page behind what there is, at most `limit` items in all. */
static bool append_page(struct pingctl *ctl, void **items, size_t *count, const void *page, size_t page_count, size_t item_size)
{
	size_t room = (size_t)options.limit - *count, taken = page_count < room ? page_count : room;
	char *all = arena_alloc_array(&ctl->arena, *count + taken, item_size);
	if (all == NULL)
		return false;
	if (*count > 0)
		memcpy(all, *items, *count * item_size);
	if (taken > 0)
		memcpy(all + *count * item_size, page, taken * item_size);
	*items = all;
	*count += taken;
	return true;
}

static int32_t next_page_size(size_t have)
{
	size_t wanted = (size_t)options.limit - have;
	return (int32_t)(wanted < PAGE_SIZE ? wanted : PAGE_SIZE);
}

static int list_windows(struct pingctl *ctl, const char *client, struct ping_v1_list_window_stats_response *all)
{
	struct ping_v1_time_range range;
	struct ping_v1_list_window_stats_request request = {.client_ip = slice_from_string(client),
							    .time_range = pingctl_range(ctl, options.from, options.to, &range)};
	void *items = NULL;
	do {
		struct ping_v1_list_window_stats_response page = {0};
		request.page_size = next_page_size(all->window_stats.count);
		int exit_code = pingctl_call(ctl, &ping_v1_metrics_service_list_window_stats_method, &request, &page);
		if (exit_code != PINGCTL_OK)
			return exit_code;
		if (!append_page(ctl, &items, &all->window_stats.count, page.window_stats.items, page.window_stats.count,
				 sizeof *page.window_stats.items))
			return pingctl_fail_error(PINGCTL_NEGATIVE, ERROR_NO_MEMORY, NULL);
		request.page_token = page.next_page_token;
	} while (request.page_token.size > 0 && all->window_stats.count < (size_t)options.limit);
	all->window_stats.items = items;
	all->next_page_token = request.page_token;
	return PINGCTL_OK;
}

static int list_days(struct pingctl *ctl, const char *client, struct ping_v1_list_daily_stats_response *all)
{
	struct ping_v1_time_range range;
	struct ping_v1_list_daily_stats_request request = {.client_ip = slice_from_string(client),
							   .time_range = pingctl_range(ctl, options.from, options.to, &range)};
	void *items = NULL;
	do {
		struct ping_v1_list_daily_stats_response page = {0};
		request.page_size = next_page_size(all->daily_stats.count);
		int exit_code = pingctl_call(ctl, &ping_v1_metrics_service_list_daily_stats_method, &request, &page);
		if (exit_code != PINGCTL_OK)
			return exit_code;
		if (!append_page(ctl, &items, &all->daily_stats.count, page.daily_stats.items, page.daily_stats.count,
				 sizeof *page.daily_stats.items))
			return pingctl_fail_error(PINGCTL_NEGATIVE, ERROR_NO_MEMORY, NULL);
		request.page_token = page.next_page_token;
	} while (request.page_token.size > 0 && all->daily_stats.count < (size_t)options.limit);
	all->daily_stats.items = items;
	all->next_page_token = request.page_token;
	return PINGCTL_OK;
}

/* What stands under a table that may not be all. */
static void print_rest(struct pingctl *ctl, const char *client, size_t shown, bool more)
{
	if (shown == 0)
		pingctl_print(ctl, "no rows of %s%s\n", client, *options.from != 0 || *options.to != 0 ? " in this range" : "");
	else if (more)
		pingctl_print(ctl, "… the newest %zu; --limit shows more\n", shown);
}

static void add_window(struct pingctl *ctl, struct text_table *table, const struct ping_v1_window_stats *window)
{
	text_table_cell(table, "%s", pingctl_time(ctl, window->window_start_ms, TEXT_TIME_MINUTES));
	text_table_cell(table, "%s", pingctl_count(ctl, window->ping_count));
	text_table_cell(table, "%s", pingctl_interval(ctl, window->has_avg_interval_ms, window->avg_interval_ms));
	text_table_cell(table, "%s", pingctl_time_of_day(ctl, window->first_ping_ms, TEXT_TIME_MILLISECONDS));
	text_table_cell(table, "%s", pingctl_time_of_day(ctl, window->last_ping_ms, TEXT_TIME_MILLISECONDS));
	text_table_cell(table, "%s", window->open ? "open" : "");
}

static int run_windows(void *program, char *const *arguments, size_t count)
{
	static const struct text_column columns[] = {{"window", false},	    {"pings", true},	  {"interval", true},
						     {"first ping", false}, {"last ping", false}, {"", false}};
	(void)count;
	struct pingctl *ctl = program;
	struct ping_v1_list_window_stats_response all = {0};
	int exit_code = list_windows(ctl, arguments[0], &all);
	if (exit_code != PINGCTL_OK)
		return exit_code;
	if (ctl->json) {
		pingctl_print_json(ctl, &ping_v1_list_window_stats_response_type, &all);
		return pingctl_flush(ctl);
	}
	struct text_table table;
	text_table_init(&table, &ctl->arena, columns, sizeof columns / sizeof columns[0]);
	for (size_t i = 0; i < all.window_stats.count; i++)
		add_window(ctl, &table, &all.window_stats.items[i]);
	if (table.count > 0)
		pingctl_print_table(ctl, &table);
	print_rest(ctl, arguments[0], all.window_stats.count, all.next_page_token.size > 0);
	return pingctl_flush(ctl);
}

static int run_days(void *program, char *const *arguments, size_t count)
{
	static const struct text_column columns[] = {{"day (UTC)", false}, {"pings", true}};
	(void)count;
	struct pingctl *ctl = program;
	struct ping_v1_list_daily_stats_response all = {0};
	int exit_code = list_days(ctl, arguments[0], &all);
	if (exit_code != PINGCTL_OK)
		return exit_code;
	if (ctl->json) {
		pingctl_print_json(ctl, &ping_v1_list_daily_stats_response_type, &all);
		return pingctl_flush(ctl);
	}
	struct text_table table;
	text_table_init(&table, &ctl->arena, columns, sizeof columns / sizeof columns[0]);
	for (size_t i = 0; i < all.daily_stats.count; i++) {
		const struct ping_v1_daily_stats *day = &all.daily_stats.items[i];
		text_table_cell(&table, "%s", pingctl_text(ctl, day->day));
		text_table_cell(&table, "%s", pingctl_count(ctl, day->total_pings));
	}
	if (table.count > 0)
		pingctl_print_table(ctl, &table);
	print_rest(ctl, arguments[0], all.daily_stats.count, all.next_page_token.size > 0);
	return pingctl_flush(ctl);
}

const struct command pingctl_windows_command = {
	.name = "windows",
	.arguments = "CLIENT",
	.summary = "list a client's 5-minute windows",
	.help = "Lists the 5-minute windows of one client, the newest first; with --json as the API's ListWindowStatsResponse.",
	.settings = {{.rows = flags, .config = &options}},
	.examples = (const struct manual_entry[]){{"pingctl windows 203.0.113.7 --from -1h", "The last hour."}, {0}},
	.min_arguments = 1,
	.max_arguments = 1,
	.run = run_windows,
};

const struct command pingctl_days_command = {
	.name = "days",
	.arguments = "CLIENT",
	.summary = "list a client's daily totals",
	.help = "Lists the UTC days of one client, the newest first; with --json as the API's ListDailyStatsResponse.",
	.settings = {{.rows = flags, .config = &options}},
	.examples = (const struct manual_entry[]){{"pingctl days 203.0.113.7 --limit 7", "The newest seven."}, {0}},
	.min_arguments = 1,
	.max_arguments = 1,
	.run = run_days,
};
