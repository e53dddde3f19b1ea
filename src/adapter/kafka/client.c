#include "adapter/kafka/client.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

#ifndef PING_KAFKA_ORIGIN
#error "meson.build says where librdkafka comes from"
#endif

/* What the promise of exactly once, or the adapter's own doing, rests on. */
static const char *const reserved[] = {"bootstrap.servers",
				       "metadata.broker.list",
				       "transactional.id",
				       "transaction.timeout.ms",
				       "enable.idempotence",
				       "acks",
				       "request.required.acks",
				       "message.timeout.ms",
				       "delivery.timeout.ms",
				       "isolation.level",
				       "enable.auto.commit",
				       "enable.auto.offset.store",
				       "enable.partition.eof",
				       "auto.offset.reset",
				       "partition.assignment.strategy",
				       "group.id",
				       "partitioner",
				       "message.send.max.retries",
				       "retries",
				       "max.in.flight",
				       "max.in.flight.requests.per.connection",
				       "allow.auto.create.topics",
				       NULL};

const char *kafka_client_text(void)
{
	static char text[100];
	if (*text == 0)
		snprintf(text, sizeof text, "librdkafka %s (%s)", rd_kafka_version_str(), PING_KAFKA_ORIGIN);
	return text;
}

enum error kafka_check_build(struct error_note *note)
{
	(void)note;
	return ERROR_OK;
}

/* ─── Configuration ─────────────────────────────────────────────────────────────────────────────────────────────────── */

static void on_line(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
	(void)facility;
	const struct client_state *state = rd_kafka_opaque(client);
	if (state->config->observer.line != NULL)
		state->config->observer.line(state->config->observer.context, level, text);
}

static void on_trouble(rd_kafka_t *client, int code, const char *text, void *opaque)
{
	struct client_state *state = opaque;
	if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL)
		state->refused = true;
	if (code != RD_KAFKA_RESP_ERR__FATAL)
		state->shaken = true;
	if (code == RD_KAFKA_RESP_ERR__FATAL) {
		state->fatal = true;
		rd_kafka_fatal_error(client, state->trouble, sizeof state->trouble);
		text = state->trouble;
	} else if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || *state->trouble == 0) {
		snprintf(state->trouble, sizeof state->trouble, "%s", text);
	}
	if (state->config->observer.trouble != NULL)
		state->config->observer.trouble(state->config->observer.context);
	if (state->config->observer.line != NULL)
		state->config->observer.line(state->config->observer.context, 3, text);
}

static int on_statistics(rd_kafka_t *client, char *json, size_t size, void *opaque)
{
	(void)client;
	(void)size;
	const struct client_state *state = opaque;
	if (state->config->observer.statistics != NULL)
		state->config->observer.statistics(state->config->observer.context, json);
	return 0;
}

static bool is_reserved(const char *name)
{
	for (const char *const *one = reserved; *one != NULL; one++)
		if (strcmp(name, *one) == 0)
			return true;
	return false;
}

/* One "NAME=VALUE" of the operator's. */
static enum error set_from_text(rd_kafka_conf_t *conf, const char *text, struct error_note *note)
{
	const char *equals = strchr(text, '=');
	char name[128], problem[160];
	if (equals == NULL || equals == text || (size_t)(equals - text) >= sizeof name)
		return error_noted(note, ERROR_INVALID_ARGUMENT, "kafka: \"%.64s\" is not NAME=VALUE", text);
	memcpy(name, text, (size_t)(equals - text));
	name[equals - text] = 0;
	if (is_reserved(name))
		return error_noted(note, ERROR_INVALID_ARGUMENT, "kafka: %s is pingd's own to set; leave it out", name);
	if (rd_kafka_conf_set(conf, name, equals + 1, problem, sizeof problem) != RD_KAFKA_CONF_OK)
		return error_noted(note, ERROR_INVALID_ARGUMENT, "kafka: %s: %s", name, problem);
	return ERROR_OK;
}

static enum error set_all(rd_kafka_conf_t *conf, const struct client_setting *settings, struct error_note *note)
{
	char problem[160];
	for (const struct client_setting *one = settings; one->name != NULL; one++)
		if (rd_kafka_conf_set(conf, one->name, one->value, problem, sizeof problem) != RD_KAFKA_CONF_OK)
			return error_noted(note, ERROR_INTERNAL, "librdkafka: %s", problem);
	return ERROR_OK;
}

/* Defaults, over them the operator's settings, over those what the adapter rests on. */
static enum error configure_client(rd_kafka_conf_t *conf, rd_kafka_type_t type, const struct kafka_config *config,
				   const struct client_setting *settings, struct error_note *note)
{
	static const struct client_setting common[] = {{"client.id", "pingd"},
						       {"socket.nagle.disable", "true"},
						       {"socket.keepalive.enable", "true"},
						       {"reconnect.backoff.max.ms", "1000"},
						       {0}};
	static const struct client_setting producers[] = {
		{"linger.ms",
		 "5"}, /* long enough to hand a batch over: it travels in one request, and does not wait (the flush) */
		{"queue.buffering.max.messages", "1000000"},
		{0}};
	enum error error = set_all(conf, common, note);
	if (error == ERROR_OK && type == RD_KAFKA_PRODUCER)
		error = set_all(conf, producers, note);
	for (size_t i = 0; i < config->setting_count && error == ERROR_OK; i++)
		error = set_from_text(conf, config->settings[i], note);
	const struct client_setting brokers[] = {{"bootstrap.servers", config->brokers}, {0}};
	if (error == ERROR_OK)
		error = set_all(conf, brokers, note);
	return error == ERROR_OK ? set_all(conf, settings, note) : error;
}

enum error client_create(rd_kafka_type_t type, struct client_state *state, const struct client_setting *settings,
			 void (*configure)(rd_kafka_conf_t *conf), rd_kafka_t **ret_client, struct error_note *note)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	if (conf == NULL)
		return ERROR_NO_MEMORY;
	enum error error = configure_client(conf, type, state->config, settings, note);
	if (error != ERROR_OK) {
		rd_kafka_conf_destroy(conf);
		return error;
	}
	*state->trouble = 0;
	state->fatal = state->refused = state->shaken = false;
	rd_kafka_conf_set_opaque(conf, state);
	rd_kafka_conf_set_log_cb(conf, on_line);
	rd_kafka_conf_set_error_cb(conf, on_trouble);
	rd_kafka_conf_set_stats_cb(conf, on_statistics);
	if (configure != NULL)
		configure(conf);
	char problem[200];
	rd_kafka_t *client = rd_kafka_new(type, conf, problem, sizeof problem);
	if (client == NULL) {
		rd_kafka_conf_destroy(conf);
		return error_noted(note, ERROR_INVALID_ARGUMENT, "kafka: %s", problem);
	}
	*ret_client = client;
	return ERROR_OK;
}

enum error kafka_config_check(const struct kafka_config *config, struct error_note *note)
{
	if (config->partitions < 1 || config->partitions > KAFKA_MAX_PARTITIONS || config->slots < 1 ||
	    config->slots > KAFKA_MAX_PARTITIONS || config->log_epoch < 0 || config->log_epoch > KAFKA_MAX_LOG_EPOCH)
		return error_noted(note, ERROR_INVALID_ARGUMENT, "kafka: partitions, slots or log epoch out of range");
	struct client_state state = {.config = config};
	rd_kafka_t *client;
	enum error error = client_create(RD_KAFKA_PRODUCER, &state, (const struct client_setting[]){{0}}, NULL, &client, note);
	if (error == ERROR_OK)
		rd_kafka_destroy(client);
	return error;
}

/* ─── Errors ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

enum error client_error(rd_kafka_resp_err_t code)
{
	switch (code) {
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
	case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
	case RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT:
	case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
	case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
		return ERROR_FAILED_PRECONDITION;
	default:
		return ERROR_UNAVAILABLE;
	}
}

static enum error failed(struct client_state *state, rd_kafka_t *client, const char *what, rd_kafka_resp_err_t code,
			 const char *text, struct error_note *note)
{
	if (client != NULL && rd_kafka_type(client) == RD_KAFKA_PRODUCER)
		rd_kafka_poll(client, 0); /* what it has to say of its connections */
	const char *trouble = state->trouble;
	return error_noted(note, client_error(code), "Kafka: %s: %s%s%s", what, text, *trouble != 0 ? "; " : "", trouble);
}

enum error client_failed(struct client_state *state, rd_kafka_t *client, const char *what, rd_kafka_resp_err_t code,
			 struct error_note *note)
{
	return failed(state, client, what, code, rd_kafka_err2str(code), note);
}

enum error client_failed_by(struct client_state *state, rd_kafka_t *client, const char *what, rd_kafka_error_t *error,
			    struct error_note *note)
{
	enum error result = failed(state, client, what, rd_kafka_error_code(error), rd_kafka_error_string(error), note);
	rd_kafka_error_destroy(error);
	return result;
}

/* ─── Deadlines ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static int64_t now_ms(void)
{
	return clock_monotonic_us(clock_system()) / 1000;
}

void client_flush(rd_kafka_t *client, int timeout_ms)
{
	if (rd_kafka_outq_len(client) == 0) /* a flush would return at once */
		rd_kafka_poll(client, timeout_ms);
	else
		rd_kafka_flush(client, timeout_ms);
}

int64_t client_deadline(int timeout_ms)
{
	return now_ms() + timeout_ms;
}

int client_remaining_ms(int64_t deadline)
{
	int64_t left = deadline - now_ms();
	return left < 0 ? 0 : (int)left;
}
