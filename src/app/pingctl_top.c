#include "app/pingctl.h"

enum { PAGE_SIZE = 1000 };

static struct options {
	int order;
	const char *prefix;
	int64_t limit;
} options;

static const char *const orders[] = {"pings", "last", "address", NULL};
static const enum ping_v1_client_order order_values[] = {PING_V1_CLIENT_ORDER_PING_COUNT, PING_V1_CLIENT_ORDER_LAST_PING,
							 PING_V1_CLIENT_ORDER_CLIENT_IP};

static const struct setting flags[] = {
	{.name = "order",
	 SETTING_CHOICE(struct options, order),
	 .initial = "pings",
	 .choices = orders,
	 .metavar = "ORDER",
	 .help = "By pings in the last 24 hours, by last ping, or by address."},
	{.name = "prefix",
	 SETTING_TEXT(struct options, prefix),
	 .initial_help = "all",
	 .help = "Only clients whose address begins with this."},
	{.name = "limit",
	 SETTING_INTEGER(struct options, limit),
	 .initial = "20",
	 .min = 1,
	 .max = 1000000,
	 .help = "So many clients at most."},
	{0},
};

static void add_row(struct pingctl *ctl, struct text_table *table, const struct ping_v1_activity *client)
{
	text_table_cell(table, "%s", pingctl_text(ctl, client->client_ip));
	text_table_cell(table, "%s", pingctl_count(ctl, client->ping_count));
	text_table_cell(table, "%d", client->active_windows);
	text_table_cell(table, "%s", pingctl_interval(ctl, client->has_avg_interval_ms, client->avg_interval_ms));
	text_table_cell(table, "%s", pingctl_time(ctl, client->last_ping_ms, TEXT_TIME_MINUTES));
	text_table_cell(table, "%s", pingctl_ago(ctl, client->last_ping_ms));
}

/* Tables are printed page by page: a million clients need no more memory than a thousand. */
static int print_page(struct pingctl *ctl, const struct ping_v1_list_clients_response *page)
{
	static const struct text_column columns[] = {{"client", false},	 {"pings", true},      {"windows", true},
						     {"interval", true}, {"last ping", false}, {"", false}};
	if (ctl->json) {
		pingctl_print_json(ctl, &ping_v1_list_clients_response_type, page);
		return pingctl_flush(ctl);
	}
	struct text_table table;
	text_table_init(&table, &ctl->arena, columns, sizeof columns / sizeof columns[0]);
	for (size_t i = 0; i < page->clients.count; i++)
		add_row(ctl, &table, &page->clients.items[i]);
	if (table.count > 0)
		pingctl_print_table(ctl, &table);
	else
		pingctl_print(ctl, "no clients\n");
	return pingctl_flush(ctl);
}

static int run(void *program, char *const *arguments, size_t count)
{
	(void)arguments;
	(void)count;
	struct pingctl *ctl = program;
	struct ping_v1_list_clients_request request = {.order_by = order_values[options.order],
						       .prefix = slice_from_string(options.prefix)};
	int64_t left = options.limit;
	int exit_code;
	do {
		struct ping_v1_list_clients_response page = {0};
		request.page_size = (int32_t)(left < PAGE_SIZE ? left : PAGE_SIZE);
		exit_code = pingctl_call(ctl, &ping_v1_metrics_service_list_clients_method, &request, &page);
		if (exit_code == PINGCTL_OK)
			exit_code = print_page(ctl, &page);
		left -= (int64_t)page.clients.count;
		request.page_token = page.next_page_token;
	} while (exit_code == PINGCTL_OK && request.page_token.size > 0 && left > 0);
	if (exit_code == PINGCTL_OK && request.page_token.size > 0 && !ctl->json)
		pingctl_print(ctl, "… the first %s; --limit shows more\n", pingctl_count(ctl, options.limit));
	return exit_code == PINGCTL_OK ? pingctl_flush(ctl) : exit_code;
}

const struct command pingctl_top_command = {
	.name = "top",
	.summary = "list clients with their last 24 hours",
	.help = "Lists clients with their last 24 hours (pings, windows with a ping, average interval), the silent ones "
		"included. "
		"With --json as the API's ListClientsResponse, one a line for each 1,000 clients.",
	.settings = {{.rows = flags, .config = &options}},
	.examples =
		(const struct manual_entry[]){{"pingctl top --limit 5", "The busiest five."},
					      {"pingctl top --order last --prefix 10.1.", "Who of 10.1.0.0/16 was here last?"},
					      {0}},
	.run = run,
};
