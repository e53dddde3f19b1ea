#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/base64.h"

/* RFC 4648, section 10. */
static const struct {
	const char *data, *padded, *bare;
} vectors[] = {
	{"", "", ""},
	{"f", "Zg==", "Zg"},
	{"fo", "Zm8=", "Zm8"},
	{"foo", "Zm9v", "Zm9v"},
	{"foob", "Zm9vYg==", "Zm9vYg"},
	{"fooba", "Zm9vYmE=", "Zm9vYmE"},
	{"foobar", "Zm9vYmFy", "Zm9vYmFy"},
};

enum { VECTORS = sizeof vectors / sizeof vectors[0] };

static void assert_encodes(const char *data, bool padded, const char *text)
{
	struct buffer buffer;
	buffer_init(&buffer, 100);
	assert_int_equal(base64_append(&buffer, slice_from_string(data), padded), ERROR_OK);
	assert_true(slice_equal_string(buffer_slice(&buffer), text));
	buffer_release(&buffer);
}

static void assert_decodes(const char *text, const char *data)
{
	uint8_t out[64];
	size_t size;
	assert_true(base64_decoded_bound(strlen(text)) <= sizeof out);
	assert_int_equal(base64_decode(slice_from_string(text), out, &size), ERROR_OK);
	assert_int_equal(size, strlen(data));
	assert_memory_equal(out, data, size);
}

static void assert_refused(const char *text)
{
	uint8_t out[64];
	size_t size = 12345;
	assert_int_equal(base64_decode(slice_from_string(text), out, &size), ERROR_MALFORMED);
	assert_int_equal(size, 12345);
}

static void writes_with_or_without_padding(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		assert_encodes(vectors[i].data, true, vectors[i].padded);
		assert_encodes(vectors[i].data, false, vectors[i].bare);
	}
}

static void reads_with_or_without_padding(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		assert_decodes(vectors[i].padded, vectors[i].data);
		assert_decodes(vectors[i].bare, vectors[i].data);
	}
}

static void reads_both_alphabets_and_writes_the_standard_one(void **state)
{
	(void)state;
	assert_decodes("++//", "\xfb\xef\xff");
	assert_decodes("--__", "\xfb\xef\xff");
	assert_encodes("\xfb\xef\xff", true, "++//");
}

static void refuses_what_is_not_base64(void **state)
{
	(void)state;
	assert_refused("Z");
	assert_refused("Zm9vY");
	assert_refused("Zm 9v");
	assert_refused("Zm9v\n");
	assert_refused("Zm9*");
	assert_refused("Zg=g");
}

static void refuses_padding_that_is_not_whole(void **state)
{
	(void)state;
	assert_refused("Zg=");
	assert_refused("Zm8==");
	assert_refused("Zm9v=");
	assert_refused("Z===");
	assert_refused("====");
	assert_refused("=");
}

static void decodes_in_place(void **state)
{
	(void)state;
	char text[] = "Zm9vYmFyZm9vYmFy";
	size_t size;
	assert_int_equal(base64_decode(slice_from_string(text), (uint8_t *)text, &size), ERROR_OK);
	assert_int_equal(size, 12);
	assert_memory_equal(text, "foobarfoobar", 12);
}

static void a_full_buffer_stays_as_it_was(void **state)
{
	(void)state;
	struct buffer buffer;
	buffer_init(&buffer, 6);
	buffer_append_string(&buffer, "abc");
	assert_int_equal(base64_append(&buffer, SLICE_LITERAL("foo"), true), ERROR_TOO_LARGE);
	assert_int_equal(buffer.size, 3);
	buffer_release(&buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_with_or_without_padding),
		cmocka_unit_test(reads_with_or_without_padding),
		cmocka_unit_test(reads_both_alphabets_and_writes_the_standard_one),
		cmocka_unit_test(refuses_what_is_not_base64),
		cmocka_unit_test(refuses_padding_that_is_not_whole),
		cmocka_unit_test(decodes_in_place),
		cmocka_unit_test(a_full_buffer_stays_as_it_was),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
