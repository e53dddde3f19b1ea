/* Which pings a load consists of: ping n is always of the same client, with the same key, and (spread) of the same time, so that
 * it can be sent again. Pure.
 */
#ifndef PING_APP_LOAD_PLAN_H
#define PING_APP_LOAD_PLAN_H

#include "base/address.h"

enum { LOAD_MAX_CLIENTS = (1 << 24) - 2, LOAD_KEY_SIZE = 40 };

enum load_times {
	LOAD_TIMES_NOW,	   /* each ping is of the time when it is sent */
	LOAD_TIMES_SPREAD, /* at random over the span before the start */
	LOAD_TIMES_FLEET,  /* in order through the span before the start, clients in bursts of 5; 1 in 20 up to 20 minutes out of
			    * order, 1 in 100 one to three days late */
};

struct load_plan {
	int64_t clients; /* 10.0.0.1 and on, in turn */
	int64_t pings;	 /* of a fleet: how many there will be, > 0 */
	enum load_times times;
	int64_t span_ms, start_ms;
	uint64_t seed; /* of one run */
};

/* "now", "spread:24h" or "fleet:24h". MALFORMED. */
enum error load_plan_parse_times(const char *text, enum load_times *ret_times, int64_t *ret_span_ms);
void load_plan_client(const struct load_plan *plan, int64_t number, char ret_text[ADDRESS_TEXT_SIZE]);
int64_t load_plan_timestamp_ms(const struct load_plan *plan, int64_t number, int64_t now_ms);
/* Unlike any other run's; returns the length. */
size_t load_plan_key(const struct load_plan *plan, int64_t number, char ret_key[LOAD_KEY_SIZE]);

#endif
