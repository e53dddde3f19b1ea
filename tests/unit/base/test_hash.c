#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/hash.h"

static void fill_counting(uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)i;
}

/* Made with the SipHash-1-3 of Rust's standard library. */
static void agrees_with_another_siphash_1_3(void **state)
{
	(void)state;
	static const struct {
		size_t size;
		uint64_t hash;
	} vectors[] = {
		{0, UINT64_C(0xd1fba762150c532c)},  {1, UINT64_C(0x68a914128e01e473)},	{7, UINT64_C(0x2f098ab0c751325a)},
		{8, UINT64_C(0xead411e67ebe2eea)},  {16, UINT64_C(0x8972188433a5c5b7)}, {20, UINT64_C(0x639e355ae68c0100)},
		{24, UINT64_C(0x31185a47af932f3a)},
	};
	uint8_t key[16] = {0}, data[32];
	fill_counting(data, sizeof data);
	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
		assert_int_equal(hash_keyed(key, data, vectors[i].size), vectors[i].hash);
}

static void every_bit_of_the_key_counts(void **state)
{
	(void)state;
	uint8_t key[16], data[16];
	fill_counting(key, sizeof key);
	fill_counting(data, sizeof data);
	uint64_t before = hash_keyed(key, data, sizeof data);
	for (unsigned bit = 0; bit < 128; bit++) {
		key[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(hash_keyed(key, data, sizeof data), before);
		key[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void every_bit_of_the_data_counts(void **state)
{
	(void)state;
	uint8_t key[16], data[20];
	fill_counting(key, sizeof key);
	fill_counting(data, sizeof data);
	uint64_t before = hash_keyed(key, data, sizeof data);
	for (unsigned bit = 0; bit < 8 * sizeof data; bit++) {
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(hash_keyed(key, data, sizeof data), before);
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void zeros_of_different_lengths_differ(void **state)
{
	(void)state;
	uint8_t key[16] = {0}, data[16] = {0};
	for (size_t size = 0; size < sizeof data; size++)
		assert_int_not_equal(hash_keyed(key, data, size), hash_keyed(key, data, size + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_another_siphash_1_3),
		cmocka_unit_test(every_bit_of_the_key_counts),
		cmocka_unit_test(every_bit_of_the_data_counts),
		cmocka_unit_test(zeros_of_different_lengths_differ),
	};
	return cmocka_run_group_tests_name("base/hash", tests, NULL, NULL);
}
