/* A log in memory: partitions of events, any number of readers, and whatever a log may do to a reader.
 *
 *   fake_log_append ──► partition ──► fake_reader: ASSIGNED, BATCH, REVOKED, LOST as the test or the simulator says
 *
 * Positions have gaps, as Kafka's have where its transaction markers are. A batch's events are overwritten at the next call of
 * the reader, as the port allows.
 */
#ifndef PING_TEST_FAKE_LOG_H
#define PING_TEST_FAKE_LOG_H

#include "port/log.h"

enum { FAKE_LOG_PARTITIONS = 8, FAKE_LOG_QUEUE = 16 };

struct fake_log_partition {
	struct engine_event *events;
	int64_t *received_ms;
	size_t count, capacity;
	int64_t next_position;
	int64_t start_position; /* events up to it are deleted */
};

struct fake_log {
	uint8_t identity[16];
	struct fake_log_partition partitions[FAKE_LOG_PARTITIONS];
};

void fake_log_init(struct fake_log *log);
void fake_log_release(struct fake_log *log);
/* Returns the event's position. */
int64_t fake_log_append(struct fake_log *log, int32_t partition, const struct address *client, int64_t pinged_at_ms,
			int64_t received_ms);
/* A position with no event: the end moves on. */
void fake_log_append_marker(struct fake_log *log, int32_t partition);
/* The position of the last thing appended. */
int64_t fake_log_end(const struct fake_log *log, int32_t partition);
/* What retention does: seeks to before `position` fail, and polls of who had not read up to there. */
void fake_log_trim(struct fake_log *log, int32_t partition, int64_t position);

enum fake_log_call { FAKE_POLL, FAKE_SEEK, FAKE_COMMIT, FAKE_IDENTITY };

struct fake_reader {
	struct log_reader reader;
	struct fake_log *log;
	size_t max_batch; /* 0: 100 */
	/* Asked before each call: an error is what the call returns, with nothing done. NULL: all goes well. */
	enum error (*fault)(void *context, enum fake_log_call call);
	void *context;
	int last_timeout_ms; /* of poll */
	int64_t committed[FAKE_LOG_PARTITIONS];

	/* The fake's own. */
	int leaves;
	struct log_event queue[FAKE_LOG_QUEUE]; /* before any batch */
	size_t queued;
	struct {
		bool assigned, sought;
		size_t next;
		int64_t told_position; /* applied_position of the last batch */
	} partitions[FAKE_LOG_PARTITIONS];
	int32_t turn;
	struct engine_event *batch;
	size_t batch_count;
};

void fake_reader_init(struct fake_reader *reader, struct fake_log *log);
void fake_reader_release(struct fake_reader *reader);
void fake_reader_assign(struct fake_reader *reader, int32_t partition);
void fake_reader_revoke(struct fake_reader *reader, int32_t partition);
void fake_reader_lose(struct fake_reader *reader, int32_t partition);

#endif
