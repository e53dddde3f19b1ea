/* Connect calls (connectrpc.com, "Unary-Request", "Streaming-Request") as a client makes them: one at a time, over one kept
 * HTTP/1.1 connection of libcurl; binary messages both ways, errors as the JSON that the protocol prescribes.
 */
#ifndef PING_APP_CALL_CLIENT_H
#define PING_APP_CALL_CLIENT_H

#include "codec/message.h"
#include "net/tls.h"

struct call_client;

enum call_outcome {
	CALL_OK,
	CALL_UNREACHABLE, /* no connection, no answer in time, or none that a Connect server gives */
	CALL_REFUSED,	  /* the server answered with an error */
	CALL_FAILED,	  /* here: out of memory, a message that cannot be encoded */
};

struct call_error {
	char code[32];	   /* REFUSED: Connect's, "invalid_argument" */
	char message[512]; /* for people; printable */
};

/* address: "http://127.0.0.1:8080", or https. The files' names must outlive the client. timeout_ms holds for each call, and is
 * told to the server. */
enum error call_client_create(const char *address, const struct tls_files *files, int64_t timeout_ms,
			      struct call_client **ret_client);
void call_client_destroy(struct call_client *client);
/* Sent as X-Forwarded-For from now on; NULL: none. The text must outlive its use. */
void call_client_speak_for(struct call_client *client, const char *address);

/* ret_response is a zeroed struct of the method's response type; what it points to lies in the arena. ret_error is filled unless
 * OK. */
enum call_outcome call_client_call(struct call_client *client, const struct method_type *method, const void *request,
				   struct arena *arena, void *ret_response, struct call_error *ret_error);

/* One request, many responses, to `take` one by one; a response lives until it returns, and the arena is then reset. False from
 * it, or the stream's own end: OK. ends_in_ms: OK after so long; 0: never. silence_ms: UNREACHABLE when nothing comes for so
 * long (in seconds, rounded up). */
enum call_outcome call_client_stream(struct call_client *client, const struct method_type *method, const void *request,
				     bool (*take)(void *context, const void *response), void *context, int64_t ends_in_ms,
				     int64_t silence_ms, struct call_error *ret_error);

/* The code and the message of a Connect error's body; false where it is none. */
bool call_error_parse(struct slice body, struct call_error *ret_error);

#endif
