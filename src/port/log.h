/* The log port, as the engine's driver reads it: partitions that come and go, events in order. Calls block at most for the
 * timeout that they are given; one thread. Adapters embed the struct as their first member.
 *
 *   ASSIGNED(p) ► driver takes p in the store, seeks to its position ► BATCH(p) … ► REVOKED(p): flush, commit, forget
 *                                                                                 ► LOST(p): forget, write nothing
 *
 * The embedded log has one partition, 0, assigned at the first poll; its positions are the ledger's rowids. Of Kafka's, the group
 * ping-metrics shares the partitions out; positions are log_epoch << 48 | offset. A partition that is not sought is not read.
 */
#ifndef PING_PORT_LOG_H
#define PING_PORT_LOG_H

#include "base/error.h"
#include "engine/engine.h"

enum log_event_kind { LOG_IDLE, LOG_ASSIGNED, LOG_BATCH, LOG_REVOKED, LOG_LOST };

struct log_event {
	enum log_event_kind kind;
	int32_t partition;
	/* BATCH: valid until the next poll or seek. Without events it says that the partition has moved on past what is none:
	 * transaction markers, aborted records, dead letters. */
	const struct engine_event *events;
	size_t count;
	int64_t applied_position;   /* where the partition stands once the batch is applied (>= its last event's position) */
	int64_t end_position;	    /* of the newest event in the log, as far as is known */
	int64_t newest_received_ms; /* received_at of the batch's newest event; 0 where count is 0 */
};

struct log_reader;
struct log_reader_vtable {
	/* Waits until something happens, at most timeout_ms (then IDLE). UNAVAILABLE or IO: try again later. DATA_LOSS, with the
	 * way out in the note: the events that come next in a partition were removed before they were read. */
	enum error (*poll)(struct log_reader *log, int timeout_ms, struct log_event *ret_event, struct error_note *note);
	/* The partition's next BATCH starts with the first event newer than `position`. With the way out in the note: DATA_LOSS
	 * where the log no longer holds that one, FAILED_PRECONDITION where it is another log. */
	enum error (*seek)(struct log_reader *log, int32_t partition, int64_t position, struct error_note *note);
	/* Tells the log's own tools how far the store is. The store's position is what counts. */
	enum error (*commit)(struct log_reader *log, int32_t partition, int64_t position, struct error_note *note);
	/* Which log this is: changes when it is made anew (16 bytes). */
	enum error (*identity)(struct log_reader *log, uint8_t ret_identity[16], struct error_note *note);
	void (*close)(struct log_reader *log);
	/* The position before the partition's first event: what a seek that found DATA_LOSS can be answered with, once somebody
	 * has seen to what lay before. NULL where nothing is ever removed. */
	enum error (*start)(struct log_reader *log, int32_t partition, int64_t *ret_position, struct error_note *note);
	/* Every partition is given up, and none is assigned before the next poll, which begins anew. The driver has forgotten
	 * them all. NULL where nobody else reads. */
	void (*leave)(struct log_reader *log);
	/* The position of the partition's newest event, or of what is none behind it. NULL as above. */
	enum error (*end)(struct log_reader *log, int32_t partition, int64_t *ret_position, struct error_note *note);
};
struct log_reader {
	const struct log_reader_vtable *vtable;
};

#endif
