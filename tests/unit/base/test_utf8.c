#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/utf8.h"

static bool valid(const char *text)
{
	return utf8_valid(slice_from_string(text));
}

static void takes_characters_of_every_length(void **state)
{
	(void)state;
	assert_true(valid(""));
	assert_true(valid("plain ASCII, longer than a word"));
	assert_true(valid("\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf"));
	assert_true(valid("\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf"));
	assert_true(utf8_valid(slice_make("a\0b", 3)));
}

static void refuses_overlong_forms(void **state)
{
	(void)state;
	assert_false(valid("\xc0\x80"));
	assert_false(valid("\xc1\xbf"));
	assert_false(valid("\xe0\x9f\xbf"));
	assert_false(valid("\xf0\x8f\xbf\xbf"));
}

static void refuses_surrogates_and_what_lies_beyond(void **state)
{
	(void)state;
	assert_false(valid("\xed\xa0\x80"));
	assert_false(valid("\xed\xbf\xbf"));
	assert_false(valid("\xf4\x90\x80\x80"));
	assert_false(valid("\xf5\x80\x80\x80"));
	assert_false(valid("\xff"));
}

static void refuses_characters_that_are_cut_short(void **state)
{
	(void)state;
	assert_false(valid("12345678\xc3"));
	assert_false(valid("\xe2\x82"));
	assert_false(valid("\xf0\x9f\x98"));
	assert_false(valid("\xe2\x28\xa1"));
	assert_false(valid("\xf0\x9f\x28\x80"));
	assert_false(valid("\x80"));
}

static void puts_what_it_reads(void **state)
{
	(void)state;
	for (uint32_t character = 0; character <= 0x10ffff; character++) {
		uint8_t bytes[4];
		if (character >= 0xd800 && character <= 0xdfff)
			continue;
		size_t size = utf8_put(character, bytes);
		assert_int_equal(utf8_character_size(slice_make(bytes, size)), size);
		assert_int_equal(utf8_character_size(slice_make(bytes, size - 1)), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_characters_of_every_length),
		cmocka_unit_test(refuses_overlong_forms),
		cmocka_unit_test(refuses_surrogates_and_what_lies_beyond),
		cmocka_unit_test(refuses_characters_that_are_cut_short),
		cmocka_unit_test(puts_what_it_reads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
