#include "fake_call.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct rpc_call {
	struct executor executor; /* first: posted tasks find the call */
	struct address client;
	struct arena arena;
	_Atomic bool canceled;
	pthread_mutex_t mutex; /* guards posted */
	pthread_cond_t wake;
	struct task *posted;
	int answers;
	enum error error;
	char message[256];
	const void *response;
	void (*sent)(void *context, const void *message);
	void *sent_context, *data;
	int room;
	int64_t wake_ms;
};

static void post(struct executor *executor, struct task *task)
{
	struct rpc_call *call = (struct rpc_call *)executor;
	pthread_mutex_lock(&call->mutex);
	call->posted = task;
	pthread_cond_signal(&call->wake);
	pthread_mutex_unlock(&call->mutex);
}

struct rpc_call *fake_call_create(const char *client_ip)
{
	struct rpc_call *call = calloc(1, sizeof *call);
	if (call == NULL || address_parse(slice_from_string(client_ip), &call->client) != ERROR_OK)
		abort();
	call->executor.post = post;
	call->room = 1 << 30;
	call->wake_ms = -1;
	arena_init(&call->arena, 16 << 20);
	pthread_mutex_init(&call->mutex, NULL);
	pthread_cond_init(&call->wake, NULL);
	return call;
}

void fake_call_destroy(struct rpc_call *call)
{
	pthread_cond_destroy(&call->wake);
	pthread_mutex_destroy(&call->mutex);
	arena_release(&call->arena);
	free(call);
}

void fake_call_cancel(struct rpc_call *call)
{
	call->canceled = true;
}

void fake_call_limit_arena(struct rpc_call *call, size_t limit)
{
	call->arena.limit = limit;
}

void fake_call_wait(struct rpc_call *call)
{
	while (call->answers == 0) {
		pthread_mutex_lock(&call->mutex);
		while (call->posted == NULL)
			pthread_cond_wait(&call->wake, &call->mutex);
		struct task *task = call->posted;
		call->posted = NULL;
		pthread_mutex_unlock(&call->mutex);
		task->run(task);
	}
}

bool fake_call_run(struct rpc_call *call)
{
	pthread_mutex_lock(&call->mutex);
	struct task *task = call->posted;
	call->posted = NULL;
	pthread_mutex_unlock(&call->mutex);
	if (task != NULL)
		task->run(task);
	return task != NULL;
}

void fake_call_stream(struct rpc_call *call, void (*sent)(void *context, const void *message), void *context)
{
	call->sent = sent;
	call->sent_context = context;
}

void fake_call_set_room(struct rpc_call *call, int room)
{
	call->room = room;
}

int64_t fake_call_wake_ms(struct rpc_call *call)
{
	int64_t wake_ms = call->wake_ms;
	call->wake_ms = -1;
	return wake_ms;
}

int fake_call_answers(const struct rpc_call *call)
{
	return call->answers;
}

enum error fake_call_error(const struct rpc_call *call)
{
	return call->error;
}

const char *fake_call_message(const struct rpc_call *call)
{
	return call->message;
}

const void *fake_call_response(const struct rpc_call *call)
{
	return call->response;
}

const struct address *rpc_call_client(const struct rpc_call *call)
{
	return &call->client;
}

struct arena *rpc_call_arena(struct rpc_call *call)
{
	return &call->arena;
}

int64_t rpc_call_deadline_us(const struct rpc_call *call)
{
	(void)call;
	return INT64_MAX;
}

bool rpc_call_canceled(const struct rpc_call *call)
{
	return call->canceled;
}

struct executor *rpc_call_executor(struct rpc_call *call)
{
	return &call->executor;
}

void rpc_call_prepare(struct rpc_call *call, const void *response)
{
	(void)call;
	(void)response;
}

void rpc_call_reply(struct rpc_call *call, const void *response)
{
	call->answers++;
	call->error = ERROR_OK;
	call->response = response;
}

void rpc_call_fail(struct rpc_call *call, enum error error, const char *message)
{
	call->answers++;
	call->error = error;
	snprintf(call->message, sizeof call->message, "%s", message != NULL ? message : error_text(error));
}

void rpc_call_set_data(struct rpc_call *call, void *data)
{
	call->data = data;
}

void *rpc_call_data_of(const struct rpc_call *call)
{
	return call->data;
}

bool rpc_call_send(struct rpc_call *call, const void *message)
{
	if (call->sent != NULL)
		call->sent(call->sent_context, message);
	return --call->room > 0 && !call->canceled;
}

void rpc_call_finish(struct rpc_call *call)
{
	call->answers++;
	call->error = ERROR_OK;
}

void rpc_call_wake(struct rpc_call *call, int64_t delay_ms)
{
	call->wake_ms = delay_ms;
}
