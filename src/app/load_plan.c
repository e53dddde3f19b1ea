#include "app/load_plan.h"

#include "base/settings.h"

#include <inttypes.h>
#include <stdio.h>

enum {
	BURST = 5,    /* pings of one client, one after the other */
	ABREAST = 16, /* clients that send theirs at the same time */
	MINUTE_MS = 60000,
	DAY_MS = 86400000,
};

enum error load_plan_parse_times(const char *text, enum load_times *ret_times, int64_t *ret_span_ms)
{
	static const char *const names[] = {
		[LOAD_TIMES_NOW] = "now", [LOAD_TIMES_SPREAD] = "spread:", [LOAD_TIMES_FLEET] = "fleet:"};
	int64_t ms = 0;
	enum load_times times = LOAD_TIMES_NOW;
	if (strcmp(text, names[times]) != 0) {
		times = text[0] == 'f' ? LOAD_TIMES_FLEET : LOAD_TIMES_SPREAD;
		size_t length = strlen(names[times]);
		if (strncmp(text, names[times], length) != 0 || settings_parse_duration(text + length, &ms) != ERROR_OK ||
		    ms == 0)
			return ERROR_MALFORMED;
	}
	*ret_times = times;
	*ret_span_ms = ms;
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

/* Of a fleet as many clients are abreast as there are, up to ABREAST; the next that many follow when each has sent its burst. */
static int64_t client_of(const struct load_plan *plan, int64_t number)
{
	if (plan->times != LOAD_TIMES_FLEET)
		return number % plan->clients;
	int64_t abreast = plan->clients < ABREAST ? plan->clients : ABREAST;
	return (number / (BURST * abreast) * abreast + number % abreast) % plan->clients;
}

void load_plan_client(const struct load_plan *plan, int64_t number, char ret_text[ADDRESS_TEXT_SIZE])
{
	uint32_t host = (uint32_t)client_of(plan, number) + 1;
	snprintf(ret_text, ADDRESS_TEXT_SIZE, "10.%u.%u.%u", host >> 16 & 255, host >> 8 & 255, host & 255);
}

/* Two numbers of the same mix that have nothing to do with each other: which pings are late, and by how much. */
static int64_t lateness_ms(uint64_t chance)
{
	uint64_t which = chance % 100, by = chance >> 32;
	return which == 0 ? DAY_MS + (int64_t)(by % (2 * DAY_MS)) : which <= 5 ? (int64_t)(by % (20 * MINUTE_MS)) : 0;
}

int64_t load_plan_timestamp_ms(const struct load_plan *plan, int64_t number, int64_t now_ms)
{
	if (plan->times == LOAD_TIMES_NOW)
		return now_ms;
	uint64_t chance = mix(plan->seed ^ (uint64_t)number);
	if (plan->times == LOAD_TIMES_SPREAD)
		return plan->start_ms - (int64_t)(chance % (uint64_t)plan->span_ms);
	double behind = 1 - (double)number / (double)plan->pings;
	return plan->start_ms - (int64_t)(behind * (double)plan->span_ms) - lateness_ms(chance);
}

size_t load_plan_key(const struct load_plan *plan, int64_t number, char ret_key[LOAD_KEY_SIZE])
{
	return (size_t)snprintf(ret_key, LOAD_KEY_SIZE, "%016" PRIx64 "-%" PRId64, plan->seed, number);
}
