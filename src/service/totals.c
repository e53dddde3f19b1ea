#include "service/totals.h"

void totals_init(struct totals *totals)
{
	*totals = (struct totals){0};
	pthread_mutex_init(&totals->lock, NULL);
}

void totals_release(struct totals *totals)
{
	pthread_mutex_destroy(&totals->lock);
}

/* True: there is no need to count. */
static bool take(struct totals *totals, int64_t now_us, struct store_totals *ret_totals)
{
	pthread_mutex_lock(&totals->lock);
	bool fine = totals->known && (totals->counting || now_us < totals->until_us);
	if (fine)
		*ret_totals = totals->counted;
	else
		totals->counting = true;
	pthread_mutex_unlock(&totals->lock);
	return fine;
}

static void keep(struct totals *totals, const struct store_totals *counted, int64_t began_us, int64_t now_us)
{
	int64_t rest_us = (now_us - began_us) * TOTALS_REST;
	pthread_mutex_lock(&totals->lock);
	totals->counting = false;
	if (counted != NULL) {
		totals->counted = *counted;
		totals->known = true;
		totals->until_us = now_us + (rest_us < TOTALS_MAX_AGE_US ? rest_us : TOTALS_MAX_AGE_US);
	} else {
		/* Nobody is shown the last that could be counted as if it were now. */
		totals->known = false;
	}
	pthread_mutex_unlock(&totals->lock);
}

enum error totals_read(struct totals *totals, struct store_reader *store, struct clock *clock, struct store_totals *ret_totals,
		       struct error_note *note)
{
	int64_t began_us = clock_monotonic_us(clock);
	if (take(totals, began_us, ret_totals))
		return ERROR_OK;
	struct store_totals counted = {0};
	enum error error = store->vtable->totals(store, clock_wall_ms(clock), &counted, note);
	keep(totals, error == ERROR_OK ? &counted : NULL, began_us, clock_monotonic_us(clock));
	if (error == ERROR_OK)
		*ret_totals = counted;
	return error;
}
