/* Kafka: the log that is a system of its own, written by publishers and read by engines. librdkafka does the talking.
 *
 *   raw-pings         events: key = the client's address, value and header `id` as src/event writes them
 *   raw-pings-dead    what readers could not take, with the reason
 *   ping-publishers   partition = publisher slot: the record of its newest transaction (slot_record.h)
 *
 * A build without librdkafka has all of this too; every opener then says how to get it.
 */
#ifndef PING_ADAPTER_KAFKA_KAFKA_H
#define PING_ADAPTER_KAFKA_KAFKA_H

#include "port/follow.h"
#include "port/log.h"
#include "port/positions.h"
#include "port/publish.h"

#define KAFKA_TOPIC_EVENTS "raw-pings"
#define KAFKA_TOPIC_DEAD   "raw-pings-dead"
#define KAFKA_TOPIC_SLOTS  "ping-publishers"

enum {
	KAFKA_PARTITIONS = 6,
	KAFKA_SLOTS = 32,
	KAFKA_MAX_PARTITIONS = 10000,
	KAFKA_MAX_LOG_EPOCH = 32767, /* what a position has room for */
};

/* What happens inside the client library. From any thread, so quick and without calls back. */
struct kafka_observer {
	/* level: as syslog's, 0 (emergency) to 7 (debug). */
	void (*line)(void *context, int level, const char *text);
	/* A connection was lost or could not be made, or what else the library calls an error. */
	void (*trouble)(void *context);
	/* librdkafka's statistics, one JSON object each statistics.interval.ms where that is set; while a call is in work. */
	void (*statistics)(void *context, const char *json);
	void *context;
};

/* Texts must outlive what is opened with them. */
struct kafka_config {
	const char *brokers;	     /* "HOST[:PORT],…" */
	const char *const *settings; /* "NAME=VALUE" of librdkafka's, for all clients: security.protocol, sasl.username, … */
	size_t setting_count;
	int32_t partitions;		/* of raw-pings, as configured: chosen over, whatever the broker has */
	int32_t slots;			/* of ping-publishers */
	int32_t log_epoch;		/* 0 … KAFKA_MAX_LOG_EPOCH */
	const char *group;		/* of the engines that share the partitions; NULL: ping-metrics */
	bool grow_slots;		/* kafka_topics_ensure may add partitions to ping-publishers */
	int topics_timeout_ms;		/* how long kafka_topics_ensure looks for the cluster; 0: 15 s */
	struct kafka_observer observer; /* each may be NULL */
};

/* "librdkafka 2.12.1 (built by drivers/)", or that there is none. Static. */
const char *kafka_client_text(void);
/* UNIMPLEMENTED, saying how to get it, in a build without librdkafka. */
enum error kafka_check_build(struct error_note *note);
/* The brokers of kafka://HOST[:PORT][,HOST[:PORT]…], a part of the text. MALFORMED. */
enum error kafka_url_parse(const char *url, const char **ret_brokers, struct error_note *note);
/* INVALID_ARGUMENT: a setting that librdkafka does not know or refuses, or that is not the operator's to set. */
enum error kafka_config_check(const struct kafka_config *config, struct error_note *note);

/* Creates the topics that are missing: threefold, or as the cluster can. UNAVAILABLE: the cluster is away. FAILED_PRECONDITION:
 * it refuses us, a topic may not be created, or it has another number of partitions than configured. What else differs is told to
 * `differs`, one text each; NULL: nobody asks. */
enum error kafka_topics_ensure(const struct kafka_config *config, void (*differs)(void *context, const char *text), void *context,
			       struct error_note *note);

/* A publisher's producer; connects at `open`. */
enum error kafka_publish_log_create(const struct kafka_config *config, struct publish_log **ret_log, struct error_note *note);
/* An engine's reader, a member of the group ping-metrics; connects at its first poll. A batch's newest_received_ms is by Kafka's
 * clock (LogAppendTime). */
enum error kafka_log_open(const struct kafka_config *config, struct log_reader **ret_log, struct error_note *note);
/* For who wants to hear of events and makes nothing of them: no group, nothing committed; connects when first asked. */
enum error kafka_follower_open(const struct kafka_config *config, struct log_follower **ret_follower, struct error_note *note);
/* For the audit; connects when first asked. */
enum error kafka_positions_open(const struct kafka_config *config, struct log_positions **ret_log, struct error_note *note);

/* A record that readers could not take, as it lies in raw-pings-dead. */
struct kafka_letter {
	int32_t partition; /* where it was in raw-pings; −1: not told */
	int64_t offset;
	int64_t written_ms;
	struct slice reason, key, value; /* until the visitor returns */
	bool curable;			 /* it is an event: only its place was wrong */
	bool replayed;			 /* it was put back */
};
struct kafka_replay {
	int64_t replayed, already; /* now, and before */
	int64_t hopeless;	   /* no events */
};
/* Each of them once, by partition, oldest first, until the visitor returns false. */
enum error kafka_letters_list(const struct kafka_config *config, bool (*visit)(void *context, const struct kafka_letter *letter),
			      void *context, struct error_note *note);
/* Writes those that are events to raw-pings, where they belong, each once however often this is done. After an error: as many
 * as ret_replay says. */
enum error kafka_letters_replay(const struct kafka_config *config, struct kafka_replay *ret_replay, struct error_note *note);

#endif
