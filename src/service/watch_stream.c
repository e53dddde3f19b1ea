#include "service/watch_stream.h"

#include "service/convert.h"

#include <stdatomic.h>

enum {
	ROWS_PER_MESSAGE = 256,
	MESSAGES_PER_TURN = 16,	    /* then the loop's other calls have theirs */
	MESSAGE_MEMORY = 128 << 10, /* of one, while it is made */
};

/* In the call's arena. All but `posted` is the call's thread's. */
struct watcher {
	struct task task;
	struct rpc_call *call;
	struct watch_endpoint *endpoint;
	struct watch_subscriber *subscriber;
	atomic_bool posted; /* the task is on its way: the call must not go before it */
	bool full;	    /* the client has enough on its way */
	bool ended;
	bool said; /* something, since the last beat */
	enum error error;
	const char *message;
};

static void answer_end(struct watcher *watcher)
{
	rpc_call_fail(watcher->call, watcher->error, watcher->message);
}

/* The call is answered now, or by the task that is on its way. */
static void end(struct watcher *watcher, enum error error, const char *message)
{
	if (watcher->ended)
		return;
	watch_unsubscribe(watcher->endpoint->hub, watcher->subscriber);
	watcher->ended = true;
	watcher->error = error;
	watcher->message = message;
	if (!atomic_load(&watcher->posted))
		answer_end(watcher);
}

static void post(struct watcher *watcher)
{
	if (!atomic_exchange(&watcher->posted, true))
		executor_post(rpc_call_executor(watcher->call), &watcher->task);
}

/* On the publisher's thread, under the hub's lock. */
static void wake_from_hub(void *context)
{
	post(context);
}

/* False: no more now, or the watcher has ended. */
static bool send_message(struct watcher *watcher, const struct ping_v1_watch_window_stats_response *response)
{
	watcher->said = true;
	bool room = rpc_call_send(watcher->call, response);
	if (rpc_call_canceled(watcher->call))
		end(watcher, ERROR_CANCELED, NULL);
	else
		watcher->full = !room;
	return room;
}

static bool send_rows(struct watcher *watcher, const struct window_row *rows, size_t count)
{
	struct ping_v1_window_stats stats[ROWS_PER_MESSAGE];
	struct arena arena;
	int64_t now_ms = clock_wall_ms(watcher->endpoint->clock);
	arena_init(&arena, MESSAGE_MEMORY);
	bool fine = true;
	for (size_t i = 0; i < count && fine; i++) {
		struct slice client = convert_client(&rows[i].client, &arena);
		stats[i] = convert_window(&rows[i], client, now_ms);
		fine = client.data != NULL;
	}
	const struct ping_v1_watch_window_stats_response response = {.window_stats = {stats, count}};
	bool room = fine && send_message(watcher, &response);
	arena_release(&arena);
	if (!fine)
		end(watcher, ERROR_NO_MEMORY, NULL);
	return room;
}

static void send_pending(struct watcher *watcher)
{
	struct window_row rows[ROWS_PER_MESSAGE];
	struct watch_hub *hub = watcher->endpoint->hub;
	bool lagging = false;
	for (int i = 0; i < MESSAGES_PER_TURN; i++) {
		size_t count = watch_take(hub, watcher->subscriber, rows, ROWS_PER_MESSAGE, &lagging);
		if (lagging) {
			end(watcher, ERROR_RESOURCE_EXHAUSTED,
			    "this client, or its server, fell behind and changes were lost: list the windows again, and watch "
			    "anew");
			return;
		}
		if (count == 0) {
			if (watch_hub_closed(hub))
				end(watcher, ERROR_SHUTTING_DOWN, NULL);
			return;
		}
		if (!send_rows(watcher, rows, count))
			return;
	}
	post(watcher);
}

static void run_task(struct task *task)
{
	struct watcher *watcher = (struct watcher *)task;
	atomic_store(&watcher->posted, false); /* first: what is published from now on wakes anew */
	if (watcher->ended)
		answer_end(watcher);
	else if (!watcher->full)
		send_pending(watcher);
}

static void on_writable(struct rpc_call *call, void *context)
{
	(void)context;
	struct watcher *watcher = rpc_call_data_of(call);
	watcher->full = false;
	if (!watcher->ended)
		send_pending(watcher);
}

/* Not to those who have not taken yet what there is: their connection is not idle. */
static void on_beat(struct rpc_call *call, void *context)
{
	(void)context;
	struct watcher *watcher = rpc_call_data_of(call);
	if (watcher->ended)
		return;
	if (!watcher->said && !watcher->full)
		send_message(watcher, &(struct ping_v1_watch_window_stats_response){0});
	watcher->said = false;
	if (!watcher->ended)
		rpc_call_wake(call, watcher->endpoint->heartbeat_ms);
}

static void on_canceled(struct rpc_call *call, void *context)
{
	(void)context;
	end(rpc_call_data_of(call), ERROR_CANCELED, NULL);
}

/* NULL: out of memory, or the note names what is no address. */
static struct address *parse_clients(struct rpc_call *call, const struct ping_v1_watch_window_stats_request *request,
				     struct error_note *note)
{
	struct address *clients = arena_alloc_array(rpc_call_arena(call), request->client_ips.count + 1, sizeof *clients);
	for (size_t i = 0; i < request->client_ips.count && clients != NULL; i++) {
		struct slice text = request->client_ips.items[i];
		if (address_parse(text, &clients[i]) == ERROR_OK)
			continue;
		error_noted(note, ERROR_INVALID_ARGUMENT, "client_ips: \"%.*s\" is not an IP address",
			    (int)(text.size < 64 ? text.size : 64), (const char *)text.data);
		return NULL;
	}
	return clients;
}

static void handle(struct rpc_call *call, const void *request, void *context)
{
	const struct ping_v1_watch_window_stats_request *watched = request;
	struct watch_endpoint *endpoint = context;
	struct error_note note = {""};
	if (endpoint->hub == NULL) {
		rpc_call_fail(call, ERROR_UNIMPLEMENTED, "this process makes no metrics to watch: poll ListWindowStats");
		return;
	}
	struct watcher *watcher = arena_alloc(rpc_call_arena(call), sizeof *watcher);
	const struct address *clients = parse_clients(call, watched, &note);
	enum error error = watcher != NULL && clients != NULL ? ERROR_OK
			   : note.text[0] != 0		      ? ERROR_INVALID_ARGUMENT
							      : ERROR_NO_MEMORY;
	if (error == ERROR_OK) {
		*watcher = (struct watcher){.task.run = run_task, .call = call, .endpoint = endpoint};
		error = watch_subscribe(endpoint->hub, clients, watched->client_ips.count, wake_from_hub, watcher,
					&watcher->subscriber, &note);
	}
	if (error != ERROR_OK) {
		rpc_call_fail(call, error, note.text[0] == 0 ? NULL : note.text);
		return;
	}
	rpc_call_set_data(call, watcher);
	send_message(watcher, &(struct ping_v1_watch_window_stats_response){0});
	if (!watcher->ended)
		rpc_call_wake(call, endpoint->heartbeat_ms);
}

struct rpc_method watch_method(struct watch_endpoint *endpoint)
{
	return (struct rpc_method){
		.type = &ping_v1_metrics_service_watch_window_stats_method,
		.handle = handle,
		.context = endpoint,
		.writable = on_writable,
		.wake = on_beat,
		.canceled = on_canceled,
		.endless = true,
	};
}
