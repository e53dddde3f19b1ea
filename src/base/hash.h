/* A keyed 64-bit hash for tables whose keys come from outside: without the key nobody can choose keys that collide.
 * SipHash-1-3 (Aumasson, Bernstein 2012, with the rounds that Rust and Python use for their tables); not a MAC.
 */
#ifndef PING_BASE_HASH_H
#define PING_BASE_HASH_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t hash_load_(const uint8_t *data)
{
	uint64_t word;
	memcpy(&word, data, sizeof word);
	return le64toh(word);
}

static inline uint64_t hash_rotate_(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void hash_round_(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = hash_rotate_(v[1], 13) ^ v[0];
	v[0] = hash_rotate_(v[0], 32);
	v[2] += v[3];
	v[3] = hash_rotate_(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = hash_rotate_(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = hash_rotate_(v[1], 17) ^ v[2];
	v[2] = hash_rotate_(v[2], 32);
}

/* Inline: with a size known at compile time there is no loop left. The same on every machine. */
static inline uint64_t hash_keyed(const uint8_t key[16], const void *data, size_t size)
{
	const uint8_t *next = data;
	uint64_t k0 = hash_load_(key), k1 = hash_load_(key + 8);
	uint64_t v[4] = {
		k0 ^ UINT64_C(0x736f6d6570736575),
		k1 ^ UINT64_C(0x646f72616e646f6d),
		k0 ^ UINT64_C(0x6c7967656e657261),
		k1 ^ UINT64_C(0x7465646279746573),
	};
	for (size_t left = size / 8; left > 0; left--, next += 8) {
		uint64_t word = hash_load_(next);
		v[3] ^= word;
		hash_round_(v);
		v[0] ^= word;
	}
	uint8_t tail[8] = {[7] = (uint8_t)size};
	if (size % 8 > 0)
		memcpy(tail, next, size % 8);
	uint64_t word = hash_load_(tail);
	v[3] ^= word;
	hash_round_(v);
	v[0] ^= word;
	v[2] ^= 0xff;
	hash_round_(v);
	hash_round_(v);
	hash_round_(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
