#include "base/uuid.h"

#include <string.h>

#define RAND_A_MAX  UINT64_C(0xfff)
#define RAND_B_MAX  UINT64_C(0x3fffffffffffffff)
#define UNIX_MS_MAX UINT64_C(0xffffffffffff)

/* The three fields without version and variant. */
struct fields {
	uint64_t unix_ms, rand_a, rand_b;
};

static struct fields fields_read(const struct uuid *uuid)
{
	uint64_t high = 0, low = 0;
	for (int i = 0; i < 8; i++) {
		high = high << 8 | uuid->bytes[i];
		low = low << 8 | uuid->bytes[8 + i];
	}
	return (struct fields){high >> 16, high & RAND_A_MAX, low & RAND_B_MAX};
}

int64_t uuid_unix_ms(const struct uuid *uuid)
{
	return (int64_t)fields_read(uuid).unix_ms;
}

static struct uuid fields_write(struct fields fields)
{
	struct uuid uuid;
	uint64_t high = fields.unix_ms << 16 | UINT64_C(7) << 12 | fields.rand_a;
	uint64_t low = UINT64_C(2) << 62 | fields.rand_b;
	for (int i = 7; i >= 0; i--, high >>= 8, low >>= 8) {
		uuid.bytes[i] = (uint8_t)high;
		uuid.bytes[8 + i] = (uint8_t)low;
	}
	return uuid;
}

static struct fields fields_fresh(struct random *random, uint64_t unix_ms)
{
	uint64_t draw[2];
	random_fill(random, draw, sizeof draw);
	return (struct fields){unix_ms, draw[0] & RAND_A_MAX, draw[1] & RAND_B_MAX};
}

/* Above `last` by a random step of up to 2³², so that one id does not tell the next. Where the counter is full, the next
 * millisecond is borrowed. */
static struct fields fields_above(struct random *random, struct fields last)
{
	last.rand_b += 1 + (random_u64(random) & UINT32_MAX);
	if (last.rand_b <= RAND_B_MAX)
		return last;
	last.rand_b &= RAND_B_MAX;
	if (++last.rand_a <= RAND_A_MAX)
		return last;
	return fields_fresh(random, last.unix_ms + 1);
}

void uuid_generator_init(struct uuid_generator *generator, struct random *random, const struct uuid *last)
{
	*generator = (struct uuid_generator){.random = random, .last = *last};
}

struct uuid uuid_generate(struct uuid_generator *generator, int64_t wall_ms)
{
	struct fields last = fields_read(&generator->last), next;
	uint64_t now_ms = wall_ms < 0 ? 0 : (uint64_t)wall_ms > UNIX_MS_MAX ? UNIX_MS_MAX : (uint64_t)wall_ms;
	if (now_ms > last.unix_ms)
		next = fields_fresh(generator->random, now_ms);
	else
		next = fields_above(generator->random, last);
	generator->last = fields_write(next);
	return generator->last;
}

void uuid_format(const struct uuid *uuid, char ret_text[UUID_TEXT_SIZE])
{
	static const char hex[] = "0123456789abcdef";
	char *to = ret_text;
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*to++ = '-';
		*to++ = hex[uuid->bytes[i] >> 4];
		*to++ = hex[uuid->bytes[i] & 15];
	}
	*to = 0;
}
