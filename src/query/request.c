#include "query/request.h"

#include <inttypes.h>

enum error query_parse_client(struct slice text, struct address *ret_client, struct error_note *note)
{
	if (text.size == 0)
		return error_noted(note, ERROR_INVALID_ARGUMENT, "client_ip: required; an IPv4 or IPv6 address");
	if (address_parse(text, ret_client) == ERROR_OK)
		return ERROR_OK;
	int shown = text.size < 64 ? (int)text.size : 64;
	return error_noted(note, ERROR_INVALID_ARGUMENT, "client_ip: \"%.*s\" is no IPv4 or IPv6 address", shown,
			   (const char *)text.data);
}

enum error query_check_range(int64_t start_ms, int64_t end_ms, struct error_note *note)
{
	if (start_ms < 0)
		return error_noted(note, ERROR_INVALID_ARGUMENT, "time_range.start: %" PRId64 " is negative", start_ms);
	if (end_ms < 0)
		return error_noted(note, ERROR_INVALID_ARGUMENT, "time_range.end: %" PRId64 " is negative", end_ms);
	if (end_ms != 0 && start_ms > end_ms)
		return error_noted(note, ERROR_INVALID_ARGUMENT,
				   "time_range.start: %" PRId64 " is after time_range.end, %" PRId64, start_ms, end_ms);
	return ERROR_OK;
}

enum error query_page_size(int32_t asked, size_t *ret_size, struct error_note *note)
{
	if (asked < 0)
		return error_noted(note, ERROR_INVALID_ARGUMENT, "page_size: %" PRId32 " is negative", asked);
	if (asked == 0)
		*ret_size = QUERY_PAGE_DEFAULT;
	else
		*ret_size = asked < QUERY_PAGE_MAX ? (size_t)asked : QUERY_PAGE_MAX;
	return ERROR_OK;
}
