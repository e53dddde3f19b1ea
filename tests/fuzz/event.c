/* Events: the fast path and the strict one agree, and what was read is written and read again as the same. */
#include "event/event.h"
#include "fuzz.h"

static bool same(const struct event *a, const struct event *b)
{
	return address_equal(&a->client, &b->client) && a->pinged_at_ms == b->pinged_at_ms;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct event fast, strict, again;
	struct event_record record;
	struct error_note note = {""};
	enum error error = event_decode(slice_make(data, size), &fast, &note);
	FUZZ_CHECK(event_decode_strict(slice_make(data, size), &strict, NULL) == error);
	if (error != ERROR_OK) {
		FUZZ_CHECK(note.text[0] != 0);
		return 0;
	}
	FUZZ_CHECK(same(&fast, &strict));
	event_encode(&fast, &record);
	FUZZ_CHECK(event_decode(slice_make(record.value, record.value_size), &again, NULL) == ERROR_OK);
	FUZZ_CHECK(same(&fast, &again));
	int32_t partition = event_partition(slice_make(record.key, record.key_size), 6);
	FUZZ_CHECK(partition >= 0 && partition < 6);
	return 0;
}
