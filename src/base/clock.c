#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef PING_TEST_HOOKS
static int64_t test_offset_ms(void)
{
	const char *path = getenv("PING_TEST_CLOCK_OFFSET_FILE");
	FILE *file = path == NULL ? NULL : fopen(path, "r");
	if (file == NULL)
		return 0;
	long long offset = 0;
	if (fscanf(file, "%lld", &offset) != 1)
		offset = 0;
	fclose(file);
	return offset;
}
#else
static int64_t test_offset_ms(void)
{
	return 0;
}
#endif

static int64_t system_wall_ms(struct clock *clock)
{
	(void)clock;
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + test_offset_ms();
}

static int64_t system_monotonic_us(struct clock *clock)
{
	(void)clock;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct clock *clock_system(void)
{
	static struct clock clock = {system_wall_ms, system_monotonic_us};
	return &clock;
}

void clock_sleep_ms(int64_t duration_ms)
{
	struct timespec left = {.tv_sec = duration_ms / 1000, .tv_nsec = duration_ms % 1000 * 1000000};
	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}
