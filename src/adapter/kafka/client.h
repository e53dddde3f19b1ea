/* What all clients of librdkafka here have in common: how they are configured, and what its errors mean to us. */
#ifndef PING_ADAPTER_KAFKA_CLIENT_H
#define PING_ADAPTER_KAFKA_CLIENT_H

#include "adapter/kafka/kafka.h"

#include <librdkafka/rdkafka.h>

/* Settings of the adapter's own, which win over the operator's; ends with a NULL name. */
struct client_setting {
	const char *name, *value;
};

/* A client's place for what librdkafka last said of its connections: "… Connection refused". Must not move. */
struct client_state {
	const struct kafka_config *config;
	char trouble[200];
	bool shaken;  /* a connection broke, or could not be made, since this was last set to false */
	bool fatal;   /* the client is of no use any more */
	bool refused; /* a broker did not take what we showed it, or we what it showed: password, certificate */
};

/* Makes the configuration of the operator's settings and then `settings`; `configure` may add callbacks (NULL: none). The opaque
 * of every callback is `state`. INVALID_ARGUMENT, NO_MEMORY, INTERNAL. */
enum error client_create(rd_kafka_type_t type, struct client_state *state, const struct client_setting *settings,
			 void (*configure)(rd_kafka_conf_t *conf), rd_kafka_t **ret_client, struct error_note *note);

/* UNAVAILABLE, or FAILED_PRECONDITION where only a person can help (authorization, an unknown topic). */
enum error client_error(rd_kafka_resp_err_t code);
/* client_error(code), with "what: text" in the note, and the client's trouble where that says more. `client` is polled. */
enum error client_failed(struct client_state *state, rd_kafka_t *client, const char *what, rd_kafka_resp_err_t code,
			 struct error_note *note);
/* The same, and frees the error. */
enum error client_failed_by(struct client_state *state, rd_kafka_t *client, const char *what, rd_kafka_error_t *error,
			    struct error_note *note);

/* Sends at once what was handed over and may still linger, and serves the client's callbacks until all of it is reported, at most
 * for that long. */
void client_flush(rd_kafka_t *client, int timeout_ms);

/* Milliseconds until the deadline (monotonic, client_deadline), never below 0. */
int64_t client_deadline(int timeout_ms);
int client_remaining_ms(int64_t deadline);

#endif
