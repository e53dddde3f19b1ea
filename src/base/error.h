/* The one table of errors: every function that can fail returns an `enum error`.
 *
 * The first rows are the sixteen codes of the Connect protocol ("Error codes"); the rows after them are
 * finer: each names its Connect code, so a caller deep in the core says what happened and the edge knows what to answer.
 * "Retriable" means: the same request may succeed later, and nothing of this attempt was kept.
 */
#ifndef PING_BASE_ERROR_H
#define PING_BASE_ERROR_H

#include <stdbool.h>
#include <stddef.h>

/* X(name, Connect code, HTTP status of a Connect unary answer, retriable, text) */
#define ERROR_TABLE(X)                                                                                         \
	X(OK, "", 200, false, "ok")                                                                            \
	X(CANCELED, "canceled", 499, false, "the caller went away")                                            \
	X(UNKNOWN, "unknown", 500, false, "unknown error")                                                     \
	X(INVALID_ARGUMENT, "invalid_argument", 400, false, "invalid argument")                                \
	X(DEADLINE_EXCEEDED, "deadline_exceeded", 504, false, "the deadline passed; the outcome is not known") \
	X(NOT_FOUND, "not_found", 404, false, "not found")                                                     \
	X(ALREADY_EXISTS, "already_exists", 409, false, "already exists")                                      \
	X(PERMISSION_DENIED, "permission_denied", 403, false, "permission denied")                             \
	X(RESOURCE_EXHAUSTED, "resource_exhausted", 429, true, "too much at once; try again later")            \
	X(FAILED_PRECONDITION, "failed_precondition", 400, false, "failed precondition")                       \
	X(ABORTED, "aborted", 409, true, "aborted")                                                            \
	X(OUT_OF_RANGE, "out_of_range", 400, false, "out of range")                                            \
	X(UNIMPLEMENTED, "unimplemented", 501, false, "not implemented")                                       \
	X(INTERNAL, "internal", 500, false, "internal error")                                                  \
	X(UNAVAILABLE, "unavailable", 503, true, "unavailable; try again")                                     \
	X(DATA_LOSS, "data_loss", 500, false, "data loss")                                                     \
	X(UNAUTHENTICATED, "unauthenticated", 401, false, "unauthenticated")                                   \
	/* finer */                                                                                            \
	X(MALFORMED, "invalid_argument", 400, false, "malformed input")                                        \
	X(TOO_LARGE, "resource_exhausted", 429, false, "message larger than the limit")                        \
	X(NO_MEMORY, "resource_exhausted", 429, true, "out of memory")                                         \
	X(QUEUE_FULL, "resource_exhausted", 429, true, "too many requests wait already; try again later")      \
	X(KEY_REUSED, "already_exists", 409, false,                                                            \
	  "idempotency_key was used before with another timestamp_ms; use a new key for a new ping")           \
	X(IN_DOUBT, "deadline_exceeded", 504, false,                                                           \
	  "the outcome is not known; repeat with the same idempotency_key to find out")                        \
	X(SHUTTING_DOWN, "unavailable", 503, true, "the server is shutting down; try again")                   \
	X(DISK_FULL, "unavailable", 503, true, "the disk is full; nothing of this request was kept")           \
	X(READ_ONLY, "unavailable", 503, true, "the data directory cannot be written")                         \
	X(IO, "unavailable", 503, true, "input/output error")                                                  \
	X(CORRUPT, "data_loss", 500, false, "the data file is damaged")                                        \
	X(LOCKED, "failed_precondition", 400, false, "another process uses this data directory")               \
	X(SCHEMA_NEWER, "failed_precondition", 400, false,                                                     \
	  "the data was written by a newer version; run that version or a newer one")                          \
	X(FENCED, "aborted", 409, true, "another owner has taken over")                                        \
	X(HELD, "unavailable", 503, true, "another kind of engine fills the metrics")                          \
	X(END, "out_of_range", 400, false, "end of data")

enum error {
#define ERROR_ENUM(name, code, status, retriable, text) ERROR_##name,
	ERROR_TABLE(ERROR_ENUM)
#undef ERROR_ENUM
		ERROR_COUNT,
};

/* "QUEUE_FULL": for logs and metrics. */
const char *error_name(enum error error);
/* "resource_exhausted": the Connect code; "" for OK. */
const char *error_connect_code(enum error error);
/* The same as gRPC's number (0–16). */
unsigned error_grpc_code(enum error error);
unsigned error_http_status(enum error error);
bool error_retriable(enum error error);
/* What to tell a person when there is no better text. Static. */
const char *error_text(enum error error);

/* The text that goes with one failure: names the thing and the way out. Optional everywhere (NULL: not wanted). */
struct error_note {
	char text[256];
};

/* Writes the text (cut at 255 bytes) when `note` is not NULL, and returns `error`: `return error_noted(note, ERROR_IO, …)`. */
enum error error_noted(struct error_note *note, enum error error, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
