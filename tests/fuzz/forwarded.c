/* Forwarded and X-Forwarded-For: whatever a stranger sends, what a trusted proxy appends to it is what counts. */
#include "base/buffer.h"
#include "codec/forwarded.h"
#include "fuzz.h"

static struct address_network trusted;

static struct address address_of(const char *text)
{
	struct address address;
	FUZZ_CHECK(address_parse(slice_from_string(text), &address) == ERROR_OK);
	return address;
}

static struct address client_of(const char *peer, const char *name, struct slice stranger, const char *appended)
{
	struct forwarded forwarded;
	struct buffer value;
	struct address from = address_of(peer);
	buffer_init(&value, SIZE_MAX);
	FUZZ_CHECK(buffer_append(&value, stranger.data, stranger.size) == ERROR_OK);
	FUZZ_CHECK(buffer_append_string(&value, appended) == ERROR_OK);
	forwarded_init(&forwarded, &from, &trusted, 1);
	forwarded_take_field(&forwarded, slice_from_string(name), buffer_slice(&value));
	buffer_release(&value);
	return *forwarded_client(&forwarded);
}

static void check(const char *peer, const char *name, struct slice stranger, const char *appended, const char *wanted)
{
	struct address client = client_of(peer, name, stranger, appended), expected = address_of(wanted);
	FUZZ_CHECK(address_equal(&client, &expected));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice stranger = slice_make(data, size);
	FUZZ_CHECK(address_network_parse(SLICE_LITERAL("10.0.0.0/8"), &trusted, NULL) == ERROR_OK);
	client_of("10.0.0.1", "Forwarded", stranger, "");
	client_of("10.0.0.1", "X-Forwarded-For", stranger, "");
	check("6.6.6.6", "Forwarded", stranger, "", "6.6.6.6");
	check("6.6.6.6", "X-Forwarded-For", stranger, "", "6.6.6.6");
	check("10.0.0.1", "Forwarded", stranger, ", for=203.0.113.7", "203.0.113.7");
	check("10.0.0.1", "Forwarded", stranger, ",for=\"[2001:db8::7]:80\";proto=https, for=10.0.0.2", "2001:db8::7");
	check("10.0.0.1", "Forwarded", stranger, ", for=unknown", "10.0.0.1");
	check("10.0.0.1", "X-Forwarded-For", stranger, ", 203.0.113.7", "203.0.113.7");
	check("10.0.0.1", "X-Forwarded-For", stranger, ",[2001:db8::7]:80 , 10.0.0.2", "2001:db8::7");
	return 0;
}
