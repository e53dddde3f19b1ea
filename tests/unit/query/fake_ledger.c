#include "fake_ledger.h"

#include <stdlib.h>

struct ledger_sum *fake_ledger_add(struct fake_ledger *fake, struct address client, int64_t start_ms, int64_t count)
{
	struct ledger_sum *sum = &fake->sums[fake->count++];
	*sum = (struct ledger_sum){.client = client,
				   .window_start_ms = start_ms,
				   .count = count,
				   .first_ms = start_ms,
				   .last_ms = start_ms + count - 1,
				   .position = 1};
	return sum;
}

/* Of whole windows. */
static enum error count(struct ledger_reader *reader, int64_t start_ms, int64_t end_ms, int64_t *ret_count,
			struct error_note *note)
{
	struct fake_ledger *fake = (struct fake_ledger *)reader;
	if (fake->fail != ERROR_OK)
		return error_noted(note, fake->fail, "planted");
	int64_t sum = 0;
	for (size_t i = 0; i < fake->count; i++)
		if (fake->sums[i].window_start_ms >= start_ms && (end_ms == 0 || fake->sums[i].window_start_ms < end_ms))
			sum += fake->sums[i].count;
	*ret_count = sum;
	return ERROR_OK;
}

static int by_key(const void *a, const void *b)
{
	const struct ledger_sum *left = a, *right = b;
	int order = address_compare(&left->client, &right->client);
	return order != 0 ? order
			  : (left->window_start_ms > right->window_start_ms) - (left->window_start_ms < right->window_start_ms);
}

static enum error sum_windows(struct ledger_reader *reader, int64_t up_to,
			      bool (*visit)(void *context, const struct ledger_sum *sum), void *context, struct error_note *note)
{
	struct fake_ledger *fake = (struct fake_ledger *)reader;
	fake->runs++;
	fake->up_to = up_to;
	if (fake->fail != ERROR_OK)
		return error_noted(note, fake->fail, "planted");
	if (!fake->unordered)
		qsort(fake->sums, fake->count, sizeof fake->sums[0], by_key);
	for (size_t i = 0; i < fake->count; i++)
		if (fake->sums[i].position <= up_to && !visit(context, &fake->sums[i]))
			break;
	return ERROR_OK;
}

static enum error count_rows(struct ledger_reader *reader, int64_t *ret_rows, int64_t *ret_rolled_up, struct error_note *note)
{
	struct fake_ledger *fake = (struct fake_ledger *)reader;
	enum error error = count(reader, 0, 0, ret_rows, note);
	if (error == ERROR_OK)
		*ret_rolled_up = *ret_rows + fake->rolled_up;
	return error;
}

static void close_fake(struct ledger_reader *reader)
{
	(void)reader;
}

struct fake_ledger *fake_ledger_create(void)
{
	static const struct ledger_reader_vtable vtable = {
		.count = count, .sum_windows = sum_windows, .count_rows = count_rows, .close = close_fake};
	struct fake_ledger *fake = calloc(1, sizeof *fake);
	if (fake != NULL)
		fake->reader.vtable = &vtable;
	return fake;
}

void fake_ledger_destroy(struct fake_ledger *fake)
{
	free(fake);
}
