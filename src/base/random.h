/* The randomness port. Seeded for simulators and tests, the kernel's for the rest. */
#ifndef PING_BASE_RANDOM_H
#define PING_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random {
	void (*fill)(struct random *random, void *data, size_t size);
};

static inline void random_fill(struct random *random, void *data, size_t size)
{
	random->fill(random, data, size);
}

uint64_t random_u64(struct random *random);
/* Uniform in [0, bound), bound > 0. */
uint64_t random_below(struct random *random, uint64_t bound);

/* getrandom(2). Safe from any thread. */
struct random *random_system(void);

/* xoshiro256** (Blackman, Vigna 2018), seeded by splitmix64: one seed, one sequence, on any machine. One thread. */
struct random_seeded {
	struct random random;
	uint64_t state[4];
};
void random_seeded_init(struct random_seeded *seeded, uint64_t seed);

#endif
