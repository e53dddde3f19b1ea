/* Which pings a load consists of: ping n is always of the same client, with the same key, and (spread) of the same time, so that
 * it can be sent again. Pure.
 */
#ifndef PING_APP_LOAD_PLAN_H
#define PING_APP_LOAD_PLAN_H

#include "base/address.h"

enum { LOAD_MAX_CLIENTS = (1 << 24) - 2, LOAD_KEY_SIZE = 40 };

struct load_plan {
	int64_t clients;   /* 10.0.0.1 and on, in turn */
	int64_t spread_ms; /* how far back before start_ms times are spread; 0: each ping is of the time when it is sent */
	int64_t start_ms;
	uint64_t seed; /* of one run */
};

/* "now" or "spread:24h". MALFORMED. */
enum error load_plan_parse_times(const char *text, int64_t *ret_spread_ms);
void load_plan_client(const struct load_plan *plan, int64_t number, char ret_text[ADDRESS_TEXT_SIZE]);
int64_t load_plan_timestamp_ms(const struct load_plan *plan, int64_t number, int64_t now_ms);
/* Unlike any other run's; returns the length. */
size_t load_plan_key(const struct load_plan *plan, int64_t number, char ret_key[LOAD_KEY_SIZE]);

#endif
