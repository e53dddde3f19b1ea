#include "net/http2_guard.h"

void http2_guard_init(struct http2_guard *guard, int64_t now_us)
{
	*guard = (struct http2_guard){
		.tokens = HTTP2_GUARD_TOKENS,
		.credit = HTTP2_GUARD_PER_STREAM,
		.filled_us = now_us,
	};
}

bool http2_guard_spend(struct http2_guard *guard, int64_t now_us)
{
	int64_t filled = (now_us - guard->filled_us) * HTTP2_GUARD_TOKENS_PER_S / 1000000;
	if (filled > 0) {
		int64_t tokens = guard->tokens + filled;
		guard->filled_us = now_us;
		guard->tokens = tokens > HTTP2_GUARD_TOKENS ? HTTP2_GUARD_TOKENS : (int)tokens;
	}
	if (guard->tokens == 0)
		return false;
	guard->tokens--;
	return true;
}

static bool spend_credit(struct http2_guard *guard, int64_t now_us)
{
	if (guard->credit == 0)
		return http2_guard_spend(guard, now_us);
	guard->credit--;
	return true;
}

bool http2_guard_frame(struct http2_guard *guard, const nghttp2_frame_hd *header, int64_t now_us)
{
	switch (header->type) {
	case NGHTTP2_DATA:
		return header->length > 0 || header->flags & NGHTTP2_FLAG_END_STREAM || http2_guard_spend(guard, now_us);
	case NGHTTP2_HEADERS:
	case NGHTTP2_PING:
	case NGHTTP2_PRIORITY:
	case NGHTTP2_PRIORITY_UPDATE:
	case NGHTTP2_WINDOW_UPDATE:
		return spend_credit(guard, now_us);
	default:
		return http2_guard_spend(guard, now_us);
	}
}

bool http2_guard_data(struct http2_guard *guard, const nghttp2_data *frame, int64_t now_us)
{
	bool hidden = frame->hd.length > 0 && frame->hd.length == frame->padlen;
	return !hidden || frame->hd.flags & NGHTTP2_FLAG_END_STREAM || http2_guard_spend(guard, now_us);
}

void http2_guard_earn(struct http2_guard *guard, int credit)
{
	guard->credit += credit;
	if (guard->credit > HTTP2_GUARD_CREDIT)
		guard->credit = HTTP2_GUARD_CREDIT;
}

void http2_guard_begin_head(struct http2_guard *guard)
{
	guard->head_bytes = 0;
}

bool http2_guard_field(struct http2_guard *guard, size_t name_bytes, size_t value_bytes, size_t limit)
{
	guard->head_bytes += name_bytes + value_bytes + 32;
	return guard->head_bytes / HTTP2_GUARD_HEADS <= limit;
}
