#include "base/rollup.h"

static size_t add_range(struct rollup_range *ranges, size_t count, int level, int64_t first, int64_t end)
{
	if (first >= end)
		return count;
	ranges[count] = (struct rollup_range){.level = level, .first = first, .end = end};
	return count + 1;
}

size_t rollup_decompose(int64_t start, int64_t end, struct rollup_range ret_ranges[ROLLUP_MAX_RANGES])
{
	const int64_t fanout = INT64_C(1) << ROLLUP_BITS;
	size_t count = 0;
	for (int level = 0; level < ROLLUP_LEVELS - 1 && start < end; level++) {
		int64_t first_whole = start / fanout + (start % fanout != 0);
		int64_t end_whole = end / fanout;
		if (first_whole >= end_whole)
			return add_range(ret_ranges, count, level, start, end);
		count = add_range(ret_ranges, count, level, start, first_whole * fanout);
		count = add_range(ret_ranges, count, level, end_whole * fanout, end);
		start = first_whole;
		end = end_whole;
	}
	return add_range(ret_ranges, count, ROLLUP_LEVELS - 1, start, end);
}
