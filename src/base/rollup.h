/* Counting by range without counting one by one: every value is counted in one bucket of each level, a bucket of level n covering
 * 2^(10·n) values. A range is then the sum of few buckets: small ones at its edges, large ones between.
 *
 *   level 2                       [────────────────]
 *   level 1              [─][─][─]                  [─]
 *   level 0        [][][]                              [][]
 *                  start ─────────────────────────────── end
 */
#ifndef PING_BASE_ROLLUP_H
#define PING_BASE_ROLLUP_H

#include <stddef.h>
#include <stdint.h>

/* 2^40 ms are 35 years: the top level has under 256 buckets for all times up to the year 9999. */
enum { ROLLUP_LEVELS = 5, ROLLUP_BITS = 10, ROLLUP_MAX_RANGES = 2 * ROLLUP_LEVELS - 1 };

/* The buckets [first, end) of a level. */
struct rollup_range {
	int level;
	int64_t first, end;
};

/* The bucket of a level that a value (>= 0) lies in. */
static inline int64_t rollup_bucket(int64_t value, int level)
{
	return value >> (level * ROLLUP_BITS);
}

/* The fewest buckets that cover the values [start, end), 0 <= start, each once. At most 2^11 of each level but the top one.
 * Returns the number of ranges: 0 where start >= end. */
size_t rollup_decompose(int64_t start, int64_t end, struct rollup_range ret_ranges[ROLLUP_MAX_RANGES]);

#endif
