#include "app/load_plan.h"

#include "base/settings.h"

#include <inttypes.h>
#include <stdio.h>

enum error load_plan_parse_times(const char *text, int64_t *ret_spread_ms)
{
	static const char spread[] = "spread:";
	int64_t ms = 0;
	if (strcmp(text, "now") != 0 && (strncmp(text, spread, sizeof spread - 1) != 0 ||
					 settings_parse_duration(text + sizeof spread - 1, &ms) != ERROR_OK || ms == 0))
		return ERROR_MALFORMED;
	*ret_spread_ms = ms;
	return ERROR_OK;
}

/* splitmix64 (Steele, Lea, Flood 2014): one well mixed number for each ping. */
static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

void load_plan_client(const struct load_plan *plan, int64_t number, char ret_text[ADDRESS_TEXT_SIZE])
{
	uint32_t host = (uint32_t)(number % plan->clients) + 1;
	snprintf(ret_text, ADDRESS_TEXT_SIZE, "10.%u.%u.%u", host >> 16 & 255, host >> 8 & 255, host & 255);
}

int64_t load_plan_timestamp_ms(const struct load_plan *plan, int64_t number, int64_t now_ms)
{
	if (plan->spread_ms == 0)
		return now_ms;
	return plan->start_ms - (int64_t)(mix(plan->seed ^ (uint64_t)number) % (uint64_t)plan->spread_ms);
}

size_t load_plan_key(const struct load_plan *plan, int64_t number, char ret_key[LOAD_KEY_SIZE])
{
	return (size_t)snprintf(ret_key, LOAD_KEY_SIZE, "%016" PRIx64 "-%" PRId64, plan->seed, number);
}
