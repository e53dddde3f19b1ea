/* UUIDv7 (RFC 9562, 5.7), strictly increasing for one generator, also after the clock was set back or the program restarted
 * with the last id that it made (method 3 of 6.2: the random bits carry on as a counter).
 *
 *   48 bit unix_ts_ms | ver 7 | 12 bit rand_a | var 2 | 62 bit rand_b
 */
#ifndef PING_BASE_UUID_H
#define PING_BASE_UUID_H

#include "base/random.h"

struct uuid {
	uint8_t bytes[16];
};

struct uuid_generator {
	struct random *random;
	struct uuid last;
};

enum { UUID_TEXT_SIZE = 37 };

/* last: the newest id made before (all zero: none); every id that follows is greater. */
void uuid_generator_init(struct uuid_generator *generator, struct random *random, const struct uuid *last);
/* wall_ms is clamped to [last's, 2^48 − 1]. */
struct uuid uuid_generate(struct uuid_generator *generator, int64_t wall_ms);
/* When it was made, by its first field: Unix milliseconds. */
int64_t uuid_unix_ms(const struct uuid *uuid);
void uuid_format(const struct uuid *uuid, char ret_text[UUID_TEXT_SIZE]);

#endif
