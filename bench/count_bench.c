/* PingCount with a range over a ledger of very many pings, made in bulk: only what it reads, the roll-up, and that in order, as
 * one insert after the other would leave it. Prints the worst of many ranges.
 *
 * usage: count_bench FOLDER [PINGS]
 */
#include "adapter/sqlite/sqlite.h"
#include "base/random.h"
#include "base/rollup.h"
#include "base/timestamp.h"

#include <inttypes.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Each range is counted some times, of which the best is taken: the others measure who else uses the machine. */
enum { RANGES = 2000, TURNS = 3 };

/* How the pings lie in time: the gap between one and the next is up to twice gap_ms, the first is at start_ms. */
struct distribution {
	const char *name;
	int64_t start_ms, gap_ms;
};

static double now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void check(bool good, const char *text)
{
	if (good)
		return;
	fprintf(stderr, "%s\n", text);
	exit(1);
}

static void make_empty_ledger(const char *path)
{
	struct error_note note = {""};
	struct data_directory *directory;
	struct ledger *ledger;
	check(data_directory_open(path, &directory, &note) == ERROR_OK, note.text);
	check(sqlite_ledger_open(directory, &ledger, &note) == ERROR_OK, note.text);
	ledger->vtable->close(ledger);
	data_directory_close(directory);
}

/* The same times again for each level, from the same seed. Returns the time of the last ping. */
static int64_t fill_level(sqlite3_stmt *insert, const struct distribution *distribution, int64_t pings, int level)
{
	struct random_seeded seeded;
	random_seeded_init(&seeded, 1);
	int64_t time_ms = distribution->start_ms, count = 0, bucket = rollup_bucket(time_ms, level);
	for (int64_t i = 0; i <= pings; i++) {
		int64_t next = i == pings ? -1 : rollup_bucket(time_ms, level);
		if (next != bucket) {
			sqlite3_bind_int(insert, 1, level);
			sqlite3_bind_int64(insert, 2, bucket);
			sqlite3_bind_int64(insert, 3, count);
			check(sqlite3_step(insert) == SQLITE_DONE, "insert failed");
			sqlite3_reset(insert);
			bucket = next;
			count = 0;
		}
		count++;
		if (i < pings - 1)
			time_ms += (int64_t)random_below(&seeded.random, (uint64_t)(2 * distribution->gap_ms + 1));
	}
	return time_ms;
}

static int64_t fill(const char *path, const struct distribution *distribution, int64_t pings)
{
	char file[4096];
	sqlite3 *handle;
	sqlite3_stmt *insert;
	int64_t last_ms = 0;
	check(snprintf(file, sizeof file, "%s/ledger.db", path) < (int)sizeof file, "the path is too long");
	check(sqlite3_open(file, &handle) == SQLITE_OK, "cannot open the ledger");
	sqlite3_exec(handle, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN", NULL, NULL, NULL);
	check(sqlite3_prepare_v2(handle, "INSERT INTO ping_counts VALUES (?1, ?2, ?3)", -1, &insert, NULL) == SQLITE_OK,
	      "prepare");
	for (int level = 0; level < ROLLUP_LEVELS; level++)
		last_ms = fill_level(insert, distribution, pings, level);
	sqlite3_finalize(insert);
	check(sqlite3_exec(handle, "COMMIT; PRAGMA journal_mode = WAL", NULL, NULL, NULL) == SQLITE_OK, sqlite3_errmsg(handle));
	sqlite3_close(handle);
	return last_ms;
}

/* Just inside the edges of large buckets, most small ones are needed. */
static int64_t edge(struct random *random, int64_t first_ms, int64_t last_ms, int64_t inside_ms)
{
	int64_t time_ms = first_ms + (int64_t)random_below(random, (uint64_t)(last_ms - first_ms + 1));
	int level = (int)random_below(random, ROLLUP_LEVELS);
	return (rollup_bucket(time_ms, level) << (level * ROLLUP_BITS)) + inside_ms;
}

static double measure(const char *path, const struct distribution *distribution, int64_t pings, int64_t last_ms)
{
	struct error_note note = {""};
	struct ledger_reader *reader;
	struct random_seeded seeded;
	random_seeded_init(&seeded, 2);
	check(sqlite_ledger_reader_open(path, &reader, &note) == ERROR_OK, note.text);
	double worst = 0, sum = 0;
	int64_t count, whole;
	check(reader->vtable->count(reader, distribution->start_ms, last_ms + 1, &whole, &note) == ERROR_OK, note.text);
	check(whole == pings, "the count of all is wrong");
	for (int i = 0; i < RANGES; i++) {
		int64_t a = edge(&seeded.random, distribution->start_ms, last_ms, 1);
		int64_t b = edge(&seeded.random, distribution->start_ms, last_ms, -1);
		double took = INFINITY;
		for (int turn = 0; turn < TURNS; turn++) {
			double start = now_ms();
			check(reader->vtable->count(reader, a < b ? a : b, a < b ? b : a, &count, &note) == ERROR_OK, note.text);
			took = fmin(took, now_ms() - start);
		}
		sum += took;
		worst = fmax(worst, took);
	}
	printf("PingCount, %" PRId64 " pings %-32s mean %.2f ms, at most %.2f ms (%d ranges)\n", pings, distribution->name,
	       sum / RANGES, worst, RANGES);
	reader->vtable->close(reader);
	return worst;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: count_bench FOLDER [PINGS]\n");
		return 2;
	}
	int64_t pings = argc > 2 ? strtoll(argv[2], NULL, 10) : 100000000;
	const struct distribution distributions[] = {
		{"at 1 a millisecond", INT64_C(1728926331000), 1},
		{"over all times there are", 1, TIMESTAMP_MAX_MS / pings - 1},
	};
	double worst = 0;
	for (size_t i = 0; i < sizeof distributions / sizeof *distributions; i++) {
		char path[4096];
		snprintf(path, sizeof path, "%s/%zu", argv[1], i);
		make_empty_ledger(path);
		int64_t last_ms = fill(path, &distributions[i], pings);
		double took = measure(path, &distributions[i], pings, last_ms);
		worst = fmax(worst, took);
	}
	printf("worst %.2f ms\n", worst);
	return 0;
}
