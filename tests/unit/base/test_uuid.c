#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/uuid.h"

static const struct uuid none;

static void fill_ones(struct random *random, void *data, size_t size)
{
	(void)random;
	memset(data, 0xff, size);
}

static struct random all_ones = {fill_ones};

static struct uuid_generator generator_after(const struct uuid *last)
{
	static struct random_seeded seeded;
	random_seeded_init(&seeded, 1);
	struct uuid_generator generator;
	uuid_generator_init(&generator, &seeded.random, last);
	return generator;
}

static int64_t unix_ms_of(const struct uuid *uuid)
{
	int64_t ms = 0;
	for (int i = 0; i < 6; i++)
		ms = ms << 8 | uuid->bytes[i];
	return ms;
}

static void assert_greater(const struct uuid *next, const struct uuid *last)
{
	assert_true(memcmp(next->bytes, last->bytes, sizeof next->bytes) > 0);
	assert_int_equal(next->bytes[6] >> 4, 7);
	assert_int_equal(next->bytes[8] >> 6, 2);
}

static void carries_the_time_and_the_version(void **state)
{
	(void)state;
	struct uuid_generator generator = generator_after(&none);
	struct uuid id = uuid_generate(&generator, 1728926331000);
	assert_int_equal(unix_ms_of(&id), 1728926331000);
	assert_greater(&id, &none);
}

static void increases_within_one_millisecond(void **state)
{
	(void)state;
	struct uuid_generator generator = generator_after(&none);
	struct uuid last = uuid_generate(&generator, 1000);
	for (int i = 0; i < 100000; i++) {
		struct uuid next = uuid_generate(&generator, 1000);
		assert_greater(&next, &last);
		last = next;
	}
	assert_int_equal(unix_ms_of(&last), 1000);
}

static void increases_when_the_clock_steps_back(void **state)
{
	(void)state;
	struct uuid_generator generator = generator_after(&none);
	struct uuid before = uuid_generate(&generator, 1728926331000);
	struct uuid after = uuid_generate(&generator, 1000);
	assert_greater(&after, &before);
	assert_int_equal(unix_ms_of(&after), 1728926331000);
}

static void increases_under_a_clock_that_wanders(void **state)
{
	(void)state;
	struct random_seeded wander;
	random_seeded_init(&wander, 7);
	struct uuid_generator generator = generator_after(&none);
	struct uuid last = none;
	for (int i = 0; i < 100000; i++) {
		struct uuid next = uuid_generate(&generator, 5000 + (int64_t)random_below(&wander.random, 4000));
		assert_greater(&next, &last);
		last = next;
	}
}

static void goes_on_above_the_last_id_after_a_restart(void **state)
{
	(void)state;
	struct uuid_generator first = generator_after(&none);
	struct uuid last = uuid_generate(&first, 2000);
	struct uuid_generator second = generator_after(&last);
	struct uuid next = uuid_generate(&second, 1000);
	assert_greater(&next, &last);
}

static void borrows_the_next_millisecond_when_the_counter_is_full(void **state)
{
	(void)state;
	struct uuid_generator generator;
	uuid_generator_init(&generator, &all_ones, &none);
	struct uuid full = uuid_generate(&generator, 1000);
	struct uuid next = uuid_generate(&generator, 1000);
	assert_greater(&next, &full);
	assert_int_equal(unix_ms_of(&next), 1001);
}

static void carries_from_rand_b_into_rand_a(void **state)
{
	(void)state;
	struct uuid last = {{[5] = 1, [6] = 0x70, [7] = 5, [8] = 0xbf, 255, 255, 255, 255, 255, 255, 255}};
	struct uuid_generator generator = generator_after(&last);
	struct uuid next = uuid_generate(&generator, 0);
	assert_greater(&next, &last);
	assert_int_equal(next.bytes[7], 6);
}

static void clamps_a_time_out_of_range(void **state)
{
	(void)state;
	struct uuid_generator generator = generator_after(&none);
	struct uuid early = uuid_generate(&generator, -5);
	struct uuid late = uuid_generate(&generator, INT64_MAX);
	assert_int_equal(unix_ms_of(&early), 0);
	assert_int_equal(unix_ms_of(&late), (INT64_C(1) << 48) - 1);
}

static void the_text_is_lower_case_with_dashes(void **state)
{
	(void)state;
	struct uuid uuid = {{0x01, 0x7f, 0x22, 0xe2, 0x79, 0xb0, 0x7c, 0xc3, 0x98, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f}};
	char text[UUID_TEXT_SIZE];
	uuid_format(&uuid, text);
	assert_string_equal(text, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"); /* RFC 9562, A.6 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(carries_the_time_and_the_version),
		cmocka_unit_test(increases_within_one_millisecond),
		cmocka_unit_test(increases_when_the_clock_steps_back),
		cmocka_unit_test(increases_under_a_clock_that_wanders),
		cmocka_unit_test(goes_on_above_the_last_id_after_a_restart),
		cmocka_unit_test(borrows_the_next_millisecond_when_the_counter_is_full),
		cmocka_unit_test(carries_from_rand_b_into_rand_a),
		cmocka_unit_test(clamps_a_time_out_of_range),
		cmocka_unit_test(the_text_is_lower_case_with_dashes),
	};
	return cmocka_run_group_tests_name("base/uuid", tests, NULL, NULL);
}
