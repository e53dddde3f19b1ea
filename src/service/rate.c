#include "service/rate.h"

/* From 1 on, so that a slot of zeros is of no second. */
static uint32_t second_of(int64_t now_us)
{
	return (uint32_t)(now_us / 1000000) + 1;
}

void rate_add(struct rate *rate, int64_t now_us, uint32_t events)
{
	uint32_t second = second_of(now_us);
	_Atomic uint64_t *slot = &rate->slots[second % (RATE_SECONDS + 1)];
	uint64_t old = atomic_load_explicit(slot, memory_order_relaxed), fresh;
	do {
		uint32_t count = (uint32_t)(old >> 32) == second ? (uint32_t)old : 0;
		count = events < UINT32_MAX - count ? count + events : UINT32_MAX;
		fresh = (uint64_t)second << 32 | count;
	} while (!atomic_compare_exchange_weak_explicit(slot, &old, fresh, memory_order_relaxed, memory_order_relaxed));
}

double rate_per_second(const struct rate *rate, int64_t now_us)
{
	uint32_t now = second_of(now_us);
	uint64_t sum = 0;
	for (int i = 0; i <= RATE_SECONDS; i++) {
		uint64_t slot = atomic_load_explicit(&rate->slots[i], memory_order_relaxed);
		uint32_t age = now - (uint32_t)(slot >> 32);
		if (age >= 1 && age <= RATE_SECONDS)
			sum += (uint32_t)slot;
	}
	return (double)sum / RATE_SECONDS;
}
