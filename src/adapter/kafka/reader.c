/* The log as engines read it (port/log.h): a member of the group ping-metrics (or the config's), reading committed records. Kafka
 * says which partitions are ours, the store where each begins.
 *
 *   rebalance: these are yours ──► ASSIGNED(p), the driver seeks, ASSIGNED(q), the driver seeks ──► the client reads from there
 *   p's queue ──► BATCH(p): events, or only that the partition has moved on (markers and aborted records take offsets too)
 *   rebalance: give these up ──► REVOKED(p), the driver flushes, REVOKED(q), … ──► given up
 *
 * A rebalance is told one partition a poll, and answered when the next poll shows that the driver is done with it. Each partition
 * has a queue of its own, which the client fills up to a bound: what the driver does not take waits there, then in Kafka.
 *
 * What is no event, or lies in another partition than its client's, goes to raw-pings-dead before the batch behind it is told.
 */
#include "adapter/kafka/dead_letters.h"
#include "adapter/kafka/record.h"
#include "adapter/kafka/topic.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
	BATCH_EVENTS = 4096,
	QUERY_TIMEOUT_MS = 15000,
	SEEK_TIMEOUT_MS = 10000,
	DEAD_LETTERS_WAIT_MS = 100, /* at a time */
};

struct partition {
	int32_t number;
	rd_kafka_queue_t *queue;
	bool sought, reading; /* the driver has said where to begin; the client begins there */
	int64_t next_offset;  /* everything before is told or of no interest */
	enum error broken;    /* OK: it can be read */
	struct error_note why;
};

struct kafka_reader {
	struct log_reader log;
	struct kafka_config config;
	struct client_state client_state;
	rd_kafka_t *client;	 /* NULL: not connected yet */
	rd_kafka_queue_t *queue; /* rebalances, and what the client has to say */
	int wake;		 /* an eventfd: there is something in a queue */

	rd_kafka_event_t *rebalance; /* that is being told; NULL: none */
	int told;		     /* partitions of it */
	bool lost;

	struct partition *partitions;
	size_t partition_count;
	size_t turn; /* whose turn it is */

	/* The batch at hand. */
	struct log_event held; /* BATCH: waits for its dead letters */
	int64_t held_from;     /* the offset to read it from again */
	struct dead_letters *dead_letters;
	struct engine_event events[BATCH_EVENTS];
};

static struct kafka_reader *of(struct log_reader *base)
{
	return (struct kafka_reader *)base;
}

/* Of the last thing before `next_offset`. */
static int64_t position_before(const struct kafka_reader *reader, int64_t next_offset)
{
	return next_offset <= 0 ? POSITION_NONE : position_make(reader->config.log_epoch, next_offset - 1);
}

static struct partition *find_partition(struct kafka_reader *reader, int32_t number)
{
	for (size_t i = 0; i < reader->partition_count; i++)
		if (reader->partitions[i].number == number)
			return &reader->partitions[i];
	return NULL;
}

static enum error failed(struct kafka_reader *reader, const char *what, rd_kafka_resp_err_t code, struct error_note *note)
{
	return client_failed(&reader->client_state, reader->client, what, code, note);
}

/* ─── Partitions that come and go ───────────────────────────────────────────────────────────────────────────────────── */

static void wake_by(struct kafka_reader *reader, rd_kafka_queue_t *queue)
{
	static const uint64_t one = 1;
	rd_kafka_queue_io_event_enable(queue, reader->wake, &one, sizeof one);
}

static enum error add_partition(struct kafka_reader *reader, int32_t number, struct error_note *note)
{
	if (find_partition(reader, number) != NULL)
		return ERROR_OK;
	struct partition *partitions = realloc(reader->partitions, (reader->partition_count + 1) * sizeof *partitions);
	if (partitions == NULL)
		return ERROR_NO_MEMORY;
	reader->partitions = partitions;
	struct partition partition = {.number = number,
				      .queue = rd_kafka_queue_get_partition(reader->client, KAFKA_TOPIC_EVENTS, number)};
	if (partition.queue == NULL)
		return failed(reader, "cannot read the partition", RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, note);
	rd_kafka_queue_forward(partition.queue, NULL);
	wake_by(reader, partition.queue);
	reader->partitions[reader->partition_count++] = partition;
	return ERROR_OK;
}

static void remove_partition(struct kafka_reader *reader, int32_t number)
{
	struct partition *partition = find_partition(reader, number);
	if (partition == NULL)
		return;
	rd_kafka_queue_io_event_enable(partition->queue, -1, NULL, 0);
	rd_kafka_queue_destroy(partition->queue);
	*partition = reader->partitions[--reader->partition_count]; /* the last one fills the gap */
}

/* What waits in the partitions' queues is of before, and the client drops it. `fine`: a partition's error that is none. */
static enum error seek_all(struct kafka_reader *reader, rd_kafka_topic_partition_list_t *where, rd_kafka_resp_err_t fine,
			   struct error_note *note)
{
	rd_kafka_error_t *problem = rd_kafka_seek_partitions(reader->client, where, SEEK_TIMEOUT_MS);
	for (int i = 0; i < where->cnt && problem == NULL; i++)
		if (where->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR && where->elems[i].err != fine)
			problem = rd_kafka_error_new(where->elems[i].err, "%s", rd_kafka_err2str(where->elems[i].err));
	return problem == NULL ? ERROR_OK : client_failed_by(&reader->client_state, reader->client, "cannot seek", problem, note);
}

/* At a rebalance the client pauses every partition and goes on behind the last record that it gave us. By callback it takes a
 * control record that is outdated for one (librdkafka 2.12), and would leave out what came before it: so it is told where to go
 * on. */
static enum error go_on(struct kafka_reader *reader, struct error_note *note)
{
	rd_kafka_topic_partition_list_t *where = rd_kafka_topic_partition_list_new(1);
	for (size_t i = 0; i < reader->partition_count; i++)
		if (reader->partitions[i].reading && reader->partitions[i].sought)
			rd_kafka_topic_partition_list_add(where, KAFKA_TOPIC_EVENTS, reader->partitions[i].number)->offset =
				reader->partitions[i].next_offset;
	enum error error = where->cnt == 0 ? ERROR_OK : seek_all(reader, where, RD_KAFKA_RESP_ERR__STATE, note);
	rd_kafka_topic_partition_list_destroy(where);
	return error;
}

/* Those that the driver did not seek are not its own to read: paused before they begin, wherever that is. */
static enum error take_up(struct kafka_reader *reader, const rd_kafka_topic_partition_list_t *assigned, struct error_note *note)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_copy(assigned);
	rd_kafka_topic_partition_list_t *idle = rd_kafka_topic_partition_list_new(1);
	for (int i = 0; i < list->cnt; i++) {
		const struct partition *partition = find_partition(reader, list->elems[i].partition);
		bool sought = partition != NULL && partition->sought;
		list->elems[i].offset = sought ? partition->next_offset : 0;
		if (!sought)
			rd_kafka_topic_partition_list_add(idle, KAFKA_TOPIC_EVENTS, list->elems[i].partition);
	}
	if (idle->cnt > 0)
		rd_kafka_pause_partitions(reader->client, idle);
	rd_kafka_error_t *problem = rd_kafka_incremental_assign(reader->client, list);
	enum error error = problem == NULL ? go_on(reader, note)
					   : client_failed_by(&reader->client_state, reader->client, "cannot take partitions up",
							      problem, note);
	for (int i = 0; i < list->cnt; i++) {
		struct partition *partition = find_partition(reader, list->elems[i].partition);
		if (partition != NULL)
			partition->reading = true;
	}
	rd_kafka_topic_partition_list_destroy(idle);
	rd_kafka_topic_partition_list_destroy(list);
	return error;
}

static enum error give_up(struct kafka_reader *reader, const rd_kafka_topic_partition_list_t *revoked, struct error_note *note)
{
	for (int i = 0; i < revoked->cnt; i++)
		remove_partition(reader, revoked->elems[i].partition);
	rd_kafka_error_t *problem = rd_kafka_incremental_unassign(reader->client, revoked);
	if (problem != NULL)
		return client_failed_by(&reader->client_state, reader->client, "cannot give partitions up", problem, note);
	rd_kafka_topic_partition_list_t *idle = rd_kafka_topic_partition_list_copy(revoked);
	rd_kafka_resume_partitions(reader->client, idle); /* for the next time */
	rd_kafka_topic_partition_list_destroy(idle);
	return go_on(reader, note);
}

/* The rebalance's next partition; or, when the driver has heard of them all, what Kafka waits for. */
static enum error tell(struct kafka_reader *reader, struct log_event *ret_event, struct error_note *note)
{
	const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(reader->rebalance);
	bool assigns = rd_kafka_event_error(reader->rebalance) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
	enum error error = ERROR_OK;
	if (reader->told < list->cnt) {
		int32_t number = list->elems[reader->told].partition;
		if (assigns)
			error = add_partition(reader, number, note);
		if (error != ERROR_OK)
			return error;
		*ret_event = (struct log_event){.kind = assigns	       ? LOG_ASSIGNED
							: reader->lost ? LOG_LOST
								       : LOG_REVOKED,
						.partition = number};
		reader->told++;
		return ERROR_OK;
	}
	error = assigns ? take_up(reader, list, note) : give_up(reader, list, note);
	reader->client_state.fatal |= error != ERROR_OK;
	rd_kafka_event_destroy(reader->rebalance);
	reader->rebalance = NULL;
	return error;
}

/* What the client says beside the records. */
static enum error take_event(struct kafka_reader *reader, rd_kafka_event_t *event, struct error_note *note)
{
	struct client_state *state = &reader->client_state;
	rd_kafka_resp_err_t code = rd_kafka_event_error(event);
	switch (rd_kafka_event_type(event)) {
	case RD_KAFKA_EVENT_REBALANCE:
		reader->rebalance = event;
		reader->told = 0;
		reader->lost = rd_kafka_assignment_lost(reader->client);
		return ERROR_OK;
	case RD_KAFKA_EVENT_STATS:
		if (state->config->observer.statistics != NULL)
			state->config->observer.statistics(state->config->observer.context, rd_kafka_event_stats(event));
		break;
	case RD_KAFKA_EVENT_ERROR:
		snprintf(state->trouble, sizeof state->trouble, "%s", rd_kafka_event_error_string(event));
		state->fatal |= rd_kafka_event_error_is_fatal(event) != 0;
		break;
	default:
		break;
	}
	enum error error = ERROR_OK;
	if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR &&
	    (state->fatal || client_error(code) == ERROR_FAILED_PRECONDITION))
		error = failed(reader, "cannot read the log", code, note);
	rd_kafka_event_destroy(event);
	return error;
}

static enum error serve_client(struct kafka_reader *reader, struct error_note *note)
{
	enum error error = ERROR_OK;
	rd_kafka_event_t *event;
	while (error == ERROR_OK && reader->rebalance == NULL && (event = rd_kafka_queue_poll(reader->queue, 0)) != NULL)
		error = take_event(reader, event, note);
	return error;
}

/* ─── Records ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* A partition that cannot be read on stays so until it is sought anew. */
static void mark_broken(struct kafka_reader *reader, struct partition *partition, const rd_kafka_message_t *message)
{
	rd_kafka_resp_err_t code = message->err;
	if (code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || code == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
		partition->broken = error_noted(
			&partition->why, ERROR_DATA_LOSS,
			"Kafka: %s, partition %d has no offset %lld any more: removed before it was read (retention): pingctl "
			"rebuild --all --no-wait, then start this engine again; or the topic was made anew: see --log-epoch; %s",
			KAFKA_TOPIC_EVENTS, (int)partition->number, (long long)partition->next_offset,
			rd_kafka_message_errstr(message));
	else if (client_error(code) == ERROR_FAILED_PRECONDITION)
		partition->broken = failed(reader, "cannot read the log", code, &partition->why);
}

/* A batch while it is made. */
struct taking {
	struct kafka_reader *reader;
	struct partition *partition;
	struct log_event event;
	int taken; /* of what the queue gave */
	bool rejected, at_end;
	enum error error;
	struct error_note *note;
};

static enum error take_record(struct taking *taking, const rd_kafka_message_t *message)
{
	struct kafka_reader *reader = taking->reader;
	struct log_event *event = &taking->event;
	struct error_note reason = {""};
	if (record_decode(&reader->config, message, &reader->events[event->count], &reason)) {
		event->count++;
		event->newest_received_ms = rd_kafka_message_timestamp(message, NULL);
		return ERROR_OK;
	}
	taking->rejected = true;
	return dead_letters_add(reader->dead_letters, message, reason.text, taking->note);
}

/* What lies in the queue beside records. That the topic is not known, which calls without a callback log and drop, may pass: its
 * metadata are asked for again. */
static void take_notice(struct taking *taking, const rd_kafka_message_t *message)
{
	struct kafka_reader *reader = taking->reader;
	switch (message->err) {
	case RD_KAFKA_RESP_ERR__PARTITION_EOF:
		taking->at_end = true;
		if (message->offset > taking->partition->next_offset)
			taking->partition->next_offset = message->offset;
		break;
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		snprintf(reader->client_state.trouble, sizeof reader->client_state.trouble, "%s",
			 rd_kafka_message_errstr(message));
		break;
	default:
		mark_broken(reader, taking->partition, message);
	}
}

/* Called for one after the other; what is left when it yields stays in the queue. */
static void take_message(rd_kafka_message_t *message, void *context)
{
	struct taking *taking = context;
	taking->at_end = false;
	if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
		take_notice(taking, message);
	} else {
		taking->error = take_record(taking, message);
		if (taking->error == ERROR_OK)
			taking->partition->next_offset = message->offset + 1;
	}
	if (++taking->taken == BATCH_EVENTS || taking->error != ERROR_OK || taking->partition->broken != ERROR_OK)
		rd_kafka_yield(taking->reader->client);
}

/* The newest that is in the log, as the client last heard; readers may not see it yet. */
static int64_t end_position(const struct kafka_reader *reader, const struct partition *partition, bool at_end)
{
	int64_t low, high;
	if (at_end || rd_kafka_get_watermark_offsets(reader->client, KAFKA_TOPIC_EVENTS, partition->number, &low, &high) !=
			      RD_KAFKA_RESP_ERR_NO_ERROR)
		high = partition->next_offset;
	return position_before(reader, high > partition->next_offset ? high : partition->next_offset);
}

static enum error go_back(struct kafka_reader *reader, struct partition *partition, int64_t offset, struct error_note *note);

/* BATCH where the partition has something new, else IDLE. By callback: one look at the queue and one at the clock for all of the
 * batch. librdkafka 2.12's calls that fill an array look at the queue for each record, and take the partition's end, and errors,
 * for records: they then skip a real one after the next rebalance. */
static enum error read_partition(struct kafka_reader *reader, struct partition *partition, struct log_event *ret_event,
				 struct error_note *note)
{
	int64_t from = partition->next_offset;
	struct taking taking = {.reader = reader,
				.partition = partition,
				.event = {.kind = LOG_IDLE, .partition = partition->number, .events = reader->events},
				.note = note};
	rd_kafka_consume_callback_queue(partition->queue, 0, take_message, &taking);
	if (taking.error != ERROR_OK) {
		go_back(reader, partition, from, NULL);
		return taking.error;
	}
	if (partition->next_offset == from)
		return ERROR_OK;
	taking.event.kind = LOG_BATCH;
	taking.event.applied_position = position_before(reader, partition->next_offset);
	taking.event.end_position = end_position(reader, partition, taking.at_end);
	reader->held_from = from;
	*(taking.rejected ? &reader->held : ret_event) = taking.event;
	return ERROR_OK;
}

/* Gives the batch that was held once its dead letters are written; where they can't be, it is read again. */
static enum error release_held(struct kafka_reader *reader, struct log_event *ret_event, struct error_note *note)
{
	enum error error = dead_letters_wait(reader->dead_letters, DEAD_LETTERS_WAIT_MS, note);
	if (error == ERROR_DEADLINE_EXCEEDED)
		return ERROR_OK;
	if (error == ERROR_OK) {
		*ret_event = reader->held;
	} else {
		struct partition *partition = find_partition(reader, reader->held.partition);
		if (partition != NULL)
			go_back(reader, partition, reader->held_from, NULL);
	}
	reader->held.kind = LOG_IDLE;
	return error;
}

/* Each partition in its turn. */
static enum error read_any(struct kafka_reader *reader, struct log_event *ret_event, struct error_note *note)
{
	for (size_t i = 0; i < reader->partition_count; i++) {
		struct partition *partition = &reader->partitions[reader->turn++ % reader->partition_count];
		enum error error = ERROR_OK;
		if (partition->sought && partition->broken == ERROR_OK)
			error = read_partition(reader, partition, ret_event, note);
		if (error != ERROR_OK || ret_event->kind != LOG_IDLE || reader->held.kind != LOG_IDLE)
			return error;
		if (partition->broken != ERROR_OK)
			return error_noted(note, partition->broken, "%s", partition->why.text);
	}
	return ERROR_OK;
}

/* ─── Poll ──────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void configure(rd_kafka_conf_t *conf)
{
	rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_STATS);
}

static enum error subscribe(struct kafka_reader *reader, struct error_note *note)
{
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(topics, KAFKA_TOPIC_EVENTS, RD_KAFKA_PARTITION_UA);
	rd_kafka_resp_err_t code = rd_kafka_subscribe(reader->client, topics);
	rd_kafka_topic_partition_list_destroy(topics);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR ? ERROR_OK : failed(reader, "cannot subscribe to the log", code, note);
}

static void close_client(struct kafka_reader *reader)
{
	if (reader->rebalance != NULL)
		rd_kafka_event_destroy(reader->rebalance);
	reader->rebalance = NULL;
	while (reader->partition_count > 0)
		remove_partition(reader, reader->partitions[0].number);
	if (reader->queue != NULL) {
		rd_kafka_queue_io_event_enable(reader->queue, -1, NULL, 0);
		rd_kafka_queue_destroy(reader->queue);
		reader->queue = NULL;
	}
	if (reader->client != NULL) {
		rd_kafka_consumer_close(reader->client);
		rd_kafka_destroy(reader->client);
		reader->client = NULL;
	}
}

/* A member that doesn't say so for 10 s is gone: the others take its partitions, and the store keeps it from writing. */
static enum error open_client(struct kafka_reader *reader, struct error_note *note)
{
	const char *group = reader->config.group != NULL ? reader->config.group : "ping-metrics";
	const struct client_setting settings[] = {{"group.id", group},
						  {"partition.assignment.strategy", "cooperative-sticky"},
						  {"session.timeout.ms", "10000"},
						  {"isolation.level", "read_committed"},
						  {"enable.auto.commit", "false"},
						  {"enable.auto.offset.store", "false"},
						  {"auto.offset.reset", "error"},
						  {"enable.partition.eof", "true"},
						  {"fetch.wait.max.ms", "50"},
						  {"queued.min.messages", "10000"}, /* of a partition */
						  {"fetch.queue.backoff.ms", "5"},
						  {0}};
	if (reader->client != NULL)
		return ERROR_OK;
	enum error error = client_create(RD_KAFKA_CONSUMER, &reader->client_state, settings, configure, &reader->client, note);
	if (error != ERROR_OK)
		return error;
	rd_kafka_poll_set_consumer(reader->client);
	reader->queue = rd_kafka_queue_get_consumer(reader->client);
	wake_by(reader, reader->queue);
	error = subscribe(reader, note);
	if (error != ERROR_OK)
		close_client(reader);
	return error;
}

/* The client is of no use any more: whatever it read is another's now, or will be; then a new one joins. */
static enum error lose(struct kafka_reader *reader, struct log_event *ret_event, struct error_note *note)
{
	if (reader->partition_count > 0) {
		*ret_event = (struct log_event){.kind = LOG_LOST, .partition = reader->partitions[0].number};
		remove_partition(reader, reader->partitions[0].number);
		return ERROR_OK;
	}
	close_client(reader);
	return open_client(reader, note);
}

static enum error step(struct kafka_reader *reader, struct log_event *ret_event, struct error_note *note)
{
	if (reader->client_state.fatal)
		return lose(reader, ret_event, note);
	if (reader->held.kind != LOG_IDLE)
		return release_held(reader, ret_event, note);
	enum error error = serve_client(reader, note);
	if (error != ERROR_OK)
		return error;
	return reader->rebalance != NULL ? tell(reader, ret_event, note) : read_any(reader, ret_event, note);
}

static void wait_for_queues(const struct kafka_reader *reader, int timeout_ms)
{
	struct pollfd fd = {.fd = reader->wake, .events = POLLIN};
	uint64_t count;
	if (poll(&fd, 1, timeout_ms) == 1 && read(reader->wake, &count, sizeof count) < 0)
		return; /* another look does no harm */
}

static enum error reader_poll(struct log_reader *base, int timeout_ms, struct log_event *ret_event, struct error_note *note)
{
	struct kafka_reader *reader = of(base);
	struct log_event event = {.kind = LOG_IDLE};
	int64_t deadline = client_deadline(timeout_ms);
	enum error error = open_client(reader, note);
	while (error == ERROR_OK) {
		bool busy = reader->rebalance != NULL || reader->held.kind != LOG_IDLE;
		error = step(reader, &event, note);
		int left_ms = client_remaining_ms(deadline);
		if (error != ERROR_OK || event.kind != LOG_IDLE || left_ms == 0)
			break;
		if (!busy && reader->held.kind == LOG_IDLE)
			wait_for_queues(reader, left_ms);
	}
	if (error == ERROR_OK)
		*ret_event = event;
	return error;
}

/* ─── Seek ──────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static enum error go_back(struct kafka_reader *reader, struct partition *partition, int64_t offset, struct error_note *note)
{
	rd_kafka_topic_partition_list_t *where = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(where, KAFKA_TOPIC_EVENTS, partition->number)->offset = offset;
	enum error error = seek_all(reader, where, RD_KAFKA_RESP_ERR_NO_ERROR, note);
	if (error == ERROR_OK && !partition->sought)
		rd_kafka_resume_partitions(reader->client, where);
	rd_kafka_topic_partition_list_destroy(where);
	if (error == ERROR_OK)
		partition->next_offset = offset;
	return error;
}

/* Where the first event newer than `position` is, if nothing that lay between can have been missed. */
static enum error find_offset(struct kafka_reader *reader, int32_t number, int64_t position, int64_t *ret_offset,
			      struct error_note *note)
{
	int64_t start, end, epoch = position == POSITION_NONE ? reader->config.log_epoch : position_epoch(position);
	int64_t next = position == POSITION_NONE || epoch < reader->config.log_epoch ? 0 : position_offset(position) + 1;
	if (epoch > reader->config.log_epoch)
		return error_noted(note, ERROR_FAILED_PRECONDITION,
				   "the metrics are at log epoch %lld, configured is %d: set --log-epoch to the publishers'",
				   (long long)epoch, (int)reader->config.log_epoch);
	rd_kafka_resp_err_t code =
		rd_kafka_query_watermark_offsets(reader->client, KAFKA_TOPIC_EVENTS, number, &start, &end, QUERY_TIMEOUT_MS);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return failed(reader, "cannot find the partition's bounds", code, note);
	if (next < start)
		return error_noted(note, ERROR_DATA_LOSS,
				   "Kafka: %s, partition %d begins at offset %lld, the metrics are at %lld: what lay between was "
				   "removed (retention) and must be made anew from the ledger: pingctl rebuild --all --no-wait, "
				   "then start this engine again",
				   KAFKA_TOPIC_EVENTS, (int)number, (long long)start, (long long)next);
	if (next > end)
		return error_noted(
			note, ERROR_FAILED_PRECONDITION,
			"Kafka: %s, partition %d ends at offset %lld, but the metrics are at %lld: the topic was made anew, "
			"or has lost events; follow the procedure of --log-epoch",
			KAFKA_TOPIC_EVENTS, (int)number, (long long)end, (long long)next);
	*ret_offset = next;
	return ERROR_OK;
}

static enum error find_bounds(struct kafka_reader *reader, int32_t number, int64_t *ret_start, int64_t *ret_end,
			      struct error_note *note)
{
	int64_t start, end;
	rd_kafka_resp_err_t code =
		rd_kafka_query_watermark_offsets(reader->client, KAFKA_TOPIC_EVENTS, number, &start, &end, QUERY_TIMEOUT_MS);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return failed(reader, "cannot find the partition's bounds", code, note);
	*ret_start = position_before(reader, start);
	*ret_end = position_before(reader, end);
	return ERROR_OK;
}

static enum error reader_start(struct log_reader *base, int32_t number, int64_t *ret_position, struct error_note *note)
{
	int64_t end;
	return find_bounds(of(base), number, ret_position, &end, note);
}

static enum error reader_end(struct log_reader *base, int32_t number, int64_t *ret_position, struct error_note *note)
{
	int64_t start;
	return find_bounds(of(base), number, &start, ret_position, note);
}

static enum error reader_seek(struct log_reader *base, int32_t number, int64_t position, struct error_note *note)
{
	struct kafka_reader *reader = of(base);
	struct partition *partition = find_partition(reader, number);
	int64_t offset = 0;
	if (partition == NULL)
		return error_noted(note, ERROR_INVALID_ARGUMENT, "partition %d is not assigned", (int)number);
	enum error error = find_offset(reader, number, position, &offset, note);
	if (error == ERROR_OK && partition->reading)
		error = go_back(reader, partition, offset, note);
	if (error != ERROR_OK)
		return error;
	if (reader->held.kind != LOG_IDLE && reader->held.partition == number)
		reader->held.kind = LOG_IDLE;
	partition->next_offset = offset;
	partition->sought = true;
	partition->broken = ERROR_OK;
	return ERROR_OK;
}

/* ─── The rest ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* The group's offset, for Kafka's own tools: nobody waits for it. */
static enum error reader_commit(struct log_reader *base, int32_t number, int64_t position, struct error_note *note)
{
	struct kafka_reader *reader = of(base);
	if (position == POSITION_NONE || position_epoch(position) != reader->config.log_epoch || reader->client == NULL)
		return ERROR_OK;
	rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(offsets, KAFKA_TOPIC_EVENTS, number)->offset = position_offset(position) + 1;
	rd_kafka_resp_err_t code = rd_kafka_commit(reader->client, offsets, true);
	rd_kafka_topic_partition_list_destroy(offsets);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR ? ERROR_OK : failed(reader, "cannot commit the group's offset", code, note);
}

static enum error reader_identity(struct log_reader *base, uint8_t ret_identity[16], struct error_note *note)
{
	struct kafka_reader *reader = of(base);
	enum error error = open_client(reader, note);
	return error == ERROR_OK ? topic_check(&reader->client_state, reader->client, KAFKA_TOPIC_EVENTS,
					       reader->config.partitions, TOPIC_TIMEOUT_MS, ret_identity, note)
				 : error;
}

static void reader_leave(struct log_reader *base)
{
	struct kafka_reader *reader = of(base);
	reader->held.kind = LOG_IDLE;
	close_client(reader);
}

static void reader_close(struct log_reader *base)
{
	struct kafka_reader *reader = of(base);
	close_client(reader);
	dead_letters_destroy(reader->dead_letters);
	if (reader->wake >= 0)
		close(reader->wake);
	free(reader->partitions);
	free(reader);
}

enum error kafka_log_open(const struct kafka_config *config, struct log_reader **ret_log, struct error_note *note)
{
	static const struct log_reader_vtable vtable = {reader_poll,  reader_seek,  reader_commit, reader_identity,
							reader_close, reader_start, reader_leave,  reader_end};
	enum error error = kafka_config_check(config, note);
	if (error != ERROR_OK)
		return error;
	struct kafka_reader *reader = calloc(1, sizeof *reader);
	if (reader == NULL)
		return ERROR_NO_MEMORY;
	reader->log.vtable = &vtable;
	reader->config = *config;
	reader->client_state.config = &reader->config;
	reader->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	error = dead_letters_create(config, &reader->dead_letters);
	if (reader->wake < 0 || error != ERROR_OK) {
		reader_close(&reader->log);
		return ERROR_NO_MEMORY;
	}
	*ret_log = &reader->log;
	return ERROR_OK;
}
