#include "base/random.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

uint64_t random_u64(struct random *random)
{
	uint64_t value;
	random_fill(random, &value, sizeof value);
	return value;
}

uint64_t random_below(struct random *random, uint64_t bound)
{
	/* Rejection: the tail that would favour small values is drawn again. */
	uint64_t tail = (UINT64_MAX - bound + 1) % bound;
	uint64_t value;
	do
		value = random_u64(random);
	while (value < tail);
	return value % bound;
}

static void ask_system(void *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t got = getrandom((uint8_t *)data + done, size - done, 0);
		if (got > 0)
			done += (size_t)got;
	}
}

/* Each ping's id wants a few bytes: a thread asks the system for many at once, and gives each out once. Nothing here forks. */
static void system_fill(struct random *random, void *data, size_t size)
{
	enum { STOCK = 256 };
	static _Thread_local uint8_t stock[STOCK];
	static _Thread_local size_t left;
	(void)random;
	if (size > STOCK) {
		ask_system(data, size);
		return;
	}
	if (size > left) {
		ask_system(stock, STOCK);
		left = STOCK;
	}
	left -= size;
	memcpy(data, stock + left, size);
	memset(stock + left, 0, size);
}

struct random *random_system(void)
{
	static struct random random = {system_fill};
	return &random;
}

static uint64_t rotate(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

static uint64_t xoshiro_next(uint64_t s[4])
{
	uint64_t result = rotate(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return result;
}

static void seeded_fill(struct random *random, void *data, size_t size)
{
	struct random_seeded *seeded = (struct random_seeded *)random;
	for (size_t done = 0; done < size;) {
		uint64_t value = xoshiro_next(seeded->state);
		size_t part = size - done < sizeof value ? size - done : sizeof value;
		memcpy((uint8_t *)data + done, &value, part);
		done += part;
	}
}

void random_seeded_init(struct random_seeded *seeded, uint64_t seed)
{
	seeded->random.fill = seeded_fill;
	for (int i = 0; i < 4; i++) {
		seed += 0x9e3779b97f4a7c15u;
		uint64_t z = seed;
		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
		seeded->state[i] = z ^ (z >> 31);
	}
}
