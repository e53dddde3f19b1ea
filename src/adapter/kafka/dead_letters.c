#include "adapter/kafka/dead_letters.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct dead_letters {
	struct kafka_config config;
	struct client_state client_state;
	rd_kafka_t *client; /* NULL: no letter yet */
	size_t waiting;
	rd_kafka_resp_err_t error; /* of the first that was not written */
};

static void on_report(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
	(void)client;
	(void)opaque;
	struct dead_letters *letters = message->_private;
	letters->waiting--;
	if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR && letters->error == RD_KAFKA_RESP_ERR_NO_ERROR)
		letters->error = message->err;
}

static void configure(rd_kafka_conf_t *conf)
{
	rd_kafka_conf_set_dr_msg_cb(conf, on_report);
}

static enum error open_client(struct dead_letters *letters, struct error_note *note)
{
	static const struct client_setting settings[] = {
		{"enable.idempotence", "true"}, {"acks", "all"}, {"message.timeout.ms", "8000"}, {0}};
	if (letters->client != NULL && letters->client_state.fatal) {
		rd_kafka_destroy(letters->client);
		letters->client = NULL;
	}
	return letters->client != NULL
		       ? ERROR_OK
		       : client_create(RD_KAFKA_PRODUCER, &letters->client_state, settings, configure, &letters->client, note);
}

static void add_number(rd_kafka_headers_t *headers, const char *name, int64_t number)
{
	char text[24];
	int size = snprintf(text, sizeof text, "%" PRId64, number);
	rd_kafka_header_add(headers, name, -1, text, size);
}

static rd_kafka_headers_t *make_headers(const rd_kafka_message_t *record, const char *reason)
{
	rd_kafka_headers_t *own = NULL;
	rd_kafka_headers_t *headers = rd_kafka_message_headers(record, &own) == RD_KAFKA_RESP_ERR_NO_ERROR
					      ? rd_kafka_headers_copy(own)
					      : rd_kafka_headers_new(3);
	rd_kafka_header_add(headers, "reason", -1, reason, -1);
	add_number(headers, "partition", record->partition);
	add_number(headers, "offset", record->offset);
	return headers;
}

enum error dead_letters_add(struct dead_letters *letters, const rd_kafka_message_t *record, const char *reason,
			    struct error_note *note)
{
	enum error error = open_client(letters, note);
	if (error != ERROR_OK)
		return error;
	rd_kafka_headers_t *headers = make_headers(record, reason);
	rd_kafka_resp_err_t code =
		rd_kafka_producev(letters->client, RD_KAFKA_V_TOPIC(KAFKA_TOPIC_DEAD), RD_KAFKA_V_PARTITION(record->partition),
				  RD_KAFKA_V_KEY(record->key, record->key_len), RD_KAFKA_V_VALUE(record->payload, record->len),
				  RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
				  RD_KAFKA_V_OPAQUE(letters), RD_KAFKA_V_END);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
		rd_kafka_headers_destroy(headers);
		return client_failed(&letters->client_state, letters->client, "cannot write to " KAFKA_TOPIC_DEAD, code, note);
	}
	letters->waiting++;
	return ERROR_OK;
}

enum error dead_letters_wait(struct dead_letters *letters, int timeout_ms, struct error_note *note)
{
	enum { POLL_MS = 50 };
	int64_t deadline = client_deadline(timeout_ms);
	while (letters->waiting > 0) {
		int left = client_remaining_ms(deadline);
		client_flush(letters->client, left < POLL_MS ? left : POLL_MS);
		if (left == 0 && letters->waiting > 0)
			return ERROR_DEADLINE_EXCEEDED;
	}
	rd_kafka_resp_err_t code = letters->error;
	letters->error = RD_KAFKA_RESP_ERR_NO_ERROR;
	return code == RD_KAFKA_RESP_ERR_NO_ERROR
		       ? ERROR_OK
		       : client_failed(&letters->client_state, letters->client, "cannot write to " KAFKA_TOPIC_DEAD, code, note);
}

enum error dead_letters_create(const struct kafka_config *config, struct dead_letters **ret_letters)
{
	struct dead_letters *letters = calloc(1, sizeof *letters);
	if (letters == NULL)
		return ERROR_NO_MEMORY;
	letters->config = *config;
	letters->client_state.config = &letters->config;
	*ret_letters = letters;
	return ERROR_OK;
}

void dead_letters_destroy(struct dead_letters *letters)
{
	if (letters == NULL)
		return;
	if (letters->client != NULL) {
		rd_kafka_purge(letters->client,
			       RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
		rd_kafka_destroy(letters->client);
	}
	free(letters);
}
