/* The embedded ledger and store alone, on a disk: rows a second, durable, the roll-up included. Prints one line a case.
 *
 * usage: ledger_bench FOLDER [SECONDS]
 */
#include "adapter/sqlite/sqlite.h"
#include "base/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_BATCH = 4096 };

#define NOW_MS INT64_C(1728926400000)

struct bench_case {
	const char *name;
	size_t batch;
	int64_t spread_ms; /* pinged_at lies within this time before now */
	bool keys;
};

static uint64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void check(enum error error, const struct error_note *note)
{
	if (error == ERROR_OK)
		return;
	fprintf(stderr, "%s: %s\n", error_name(error), note->text);
	exit(1);
}

/* As at 50,000 pings a second: time goes on by a millisecond every 50 pings. */
static void make_batch(struct ledger_ping *pings, const struct bench_case *bench, size_t first, struct random *random)
{
	for (size_t i = 0; i < bench->batch; i++) {
		struct ledger_ping *ping = &pings[i];
		uint32_t client = (uint32_t)random_below(random, 100000);
		int64_t now_ms = NOW_MS + (int64_t)(first + i) / 50;
		random_fill(random, &ping->id, sizeof ping->id);
		ping->client = address_from_ipv4(
			(const uint8_t[4]){10, (uint8_t)(client >> 16), (uint8_t)(client >> 8), (uint8_t)client});
		ping->pinged_at_ms = now_ms - (int64_t)random_below(random, (uint64_t)bench->spread_ms);
		ping->received_at_ms = now_ms;
		ping->key = slice_make(bench->keys ? ping->id.bytes : NULL, bench->keys ? sizeof ping->id.bytes : 0);
	}
}

static void run(const char *folder, const struct bench_case *bench, double seconds)
{
	static struct ledger_ping pings[MAX_BATCH];
	struct random_seeded seeded;
	struct error_note note = {""};
	struct data_directory *directory;
	struct ledger *ledger;
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", folder, bench->name);
	random_seeded_init(&seeded, 1);
	check(data_directory_open(path, &directory, &note), &note);
	check(sqlite_ledger_open(directory, &ledger, &note), &note);
	uint64_t busy_us = 0, worst_us = 0, begin_us = now_us();
	size_t rows = 0;
	while ((double)(now_us() - begin_us) < seconds * 1e6) {
		make_batch(pings, bench, rows, &seeded.random);
		uint64_t start_us = now_us();
		check(ledger->vtable->append(ledger, pings, bench->batch, &note), &note);
		uint64_t took_us = now_us() - start_us;
		busy_us += took_us;
		worst_us = took_us > worst_us ? took_us : worst_us;
		rows += bench->batch;
	}
	printf("ledger, %-32s %9.0f rows/s   batch %7.2f ms, worst %6.1f ms\n", bench->name, (double)rows / (double)busy_us * 1e6,
	       (double)busy_us / 1e3 / (double)(rows / bench->batch), (double)worst_us / 1e3);
	ledger->vtable->close(ledger);
	data_directory_close(directory);
}

int main(int argc, char **argv)
{
	static const struct bench_case cases[] = {
		{"1 a batch", 1, 2000, false},
		{"100 a batch", 100, 2000, false},
		{"1000 a batch", 1000, 2000, false},
		{"4000 a batch", 4000, 2000, false},
		{"1000 a batch, with keys", 1000, 2000, true},
		{"4000 a batch, of 50 years", 4000, INT64_C(1577880000000), false},
	};
	if (argc < 2) {
		fprintf(stderr, "usage: ledger_bench FOLDER [SECONDS]\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		run(argv[1], &cases[i], argc > 2 ? strtod(argv[2], NULL) : 5);
	return 0;
}
