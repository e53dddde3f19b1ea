/* In place of all the rest, in a build without librdkafka. */
#include "adapter/kafka/kafka.h"

const char *kafka_client_text(void)
{
	return "no Kafka: librdkafka 2.8 or newer was not there when this was built (make drivers)";
}

enum error kafka_check_build(struct error_note *note)
{
	return error_noted(note, ERROR_UNIMPLEMENTED,
			   "this pingd was built without Kafka, for there was no librdkafka 2.8 or newer: run `make drivers`, "
			   "then `make build`");
}

enum error kafka_config_check(const struct kafka_config *config, struct error_note *note)
{
	(void)config;
	return kafka_check_build(note);
}

enum error kafka_topics_ensure(const struct kafka_config *config, void (*differs)(void *context, const char *text), void *context,
			       struct error_note *note)
{
	(void)config;
	(void)differs;
	(void)context;
	return kafka_check_build(note);
}

enum error kafka_publish_log_create(const struct kafka_config *config, struct publish_log **ret_log, struct error_note *note)
{
	(void)config;
	(void)ret_log;
	return kafka_check_build(note);
}

enum error kafka_positions_open(const struct kafka_config *config, struct log_positions **ret_log, struct error_note *note)
{
	(void)config;
	(void)ret_log;
	return kafka_check_build(note);
}

enum error kafka_follower_open(const struct kafka_config *config, struct log_follower **ret_follower, struct error_note *note)
{
	(void)config;
	(void)ret_follower;
	return kafka_check_build(note);
}

enum error kafka_log_open(const struct kafka_config *config, struct log_reader **ret_log, struct error_note *note)
{
	(void)config;
	(void)ret_log;
	return kafka_check_build(note);
}

enum error kafka_letters_list(const struct kafka_config *config, bool (*visit)(void *context, const struct kafka_letter *letter),
			      void *context, struct error_note *note)
{
	(void)config;
	(void)visit;
	(void)context;
	return kafka_check_build(note);
}

enum error kafka_letters_replay(const struct kafka_config *config, struct kafka_replay *ret_replay, struct error_note *note)
{
	(void)config;
	(void)ret_replay;
	return kafka_check_build(note);
}
