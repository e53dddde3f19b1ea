#include "service/ping_check.h"

#include "base/timestamp.h"
#include "port/ledger.h"

#include <inttypes.h>

enum error ping_check(const struct ping_v1_ping_request *request, int64_t now_ms, int64_t max_future_skew_ms,
		      struct error_note *note)
{
	int64_t at_ms = request->timestamp_ms;
	if (at_ms == 0)
		return error_noted(note, ERROR_INVALID_ARGUMENT, "timestamp_ms: required; Unix milliseconds, greater than 0");
	if (at_ms < 0)
		return error_noted(note, ERROR_INVALID_ARGUMENT, "timestamp_ms: %" PRId64 " is negative; must be greater than 0",
				   at_ms);
	if (at_ms > TIMESTAMP_MAX_MS)
		return error_noted(note, ERROR_INVALID_ARGUMENT, "timestamp_ms: %" PRId64 " is after 9999-12-31 (%" PRId64 ")",
				   at_ms, TIMESTAMP_MAX_MS);
	if (at_ms > now_ms + max_future_skew_ms)
		return error_noted(note, ERROR_INVALID_ARGUMENT,
				   "timestamp_ms: %" PRId64 " is in the future: more than %" PRId64
				   " ms ahead of the server's clock (%" PRId64 ")",
				   at_ms, max_future_skew_ms, now_ms);
	if (request->idempotency_key.size > LEDGER_KEY_MAX)
		return error_noted(note, ERROR_INVALID_ARGUMENT, "idempotency_key: %zu bytes; at most %d",
				   request->idempotency_key.size, LEDGER_KEY_MAX);
	return ERROR_OK;
}
