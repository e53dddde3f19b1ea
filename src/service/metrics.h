/* PingCount and the RPCs of MetricsService: questions that a worker answers from a reader.
 */
#ifndef PING_SERVICE_METRICS_H
#define PING_SERVICE_METRICS_H

#include "ping/v1/ping.pb.h"
#include "rpc/call.h"
#include "service/rate.h"
#include "service/service.h"
#include "service/totals.h"

/* What all questions share. */
struct metrics_context {
	struct clock *clock;
	struct workers *workers;
	struct health *health;
	struct pipeline_status_source *status;
	const struct rate *rate;
	struct totals totals;
};

struct question;

/* A method's context. `answer` runs on a worker and sets the question's response, in its arena. */
struct question_endpoint {
	struct metrics_context *shared;
	enum error (*answer)(struct question *question, struct readers *readers, struct error_note *note);
};

/* context: a struct question_endpoint. */
void question_handle(struct rpc_call *call, const void *request, void *context);

/* The answers, one a method. */
enum error answer_ping_count(struct question *question, struct readers *readers, struct error_note *note);
enum error answer_list_window_stats(struct question *question, struct readers *readers, struct error_note *note);
enum error answer_list_daily_stats(struct question *question, struct readers *readers, struct error_note *note);
enum error answer_get_activity(struct question *question, struct readers *readers, struct error_note *note);
enum error answer_list_clients(struct question *question, struct readers *readers, struct error_note *note);
enum error answer_get_pipeline_status(struct question *question, struct readers *readers, struct error_note *note);

#endif
