/* The stream on the real store: events out of order, engines that are killed between any two steps, others that go on although
 * they were followed. At the end every row is what the events add up to, counted here in another way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/cql/engines.h"
#include "unit/cql/server.h"

#include <stdio.h>
#include <stdlib.h>

enum { CLIENTS = 8, EVENTS = 240, ROUNDS = 12, DAYS = 3, MAX_ENGINES = 16 };
#define START_MS INT64_C(1728864000000)
#define DAY_MS	 INT64_C(86400000)

static struct fake_log fake_log;
static struct random_seeded seeded;
static struct engine_process engines[MAX_ENGINES];
static size_t engine_count;
static struct engine_event events[EVENTS];

static struct address client(size_t number)
{
	const uint8_t bytes[4] = {10, 0, 0, (uint8_t)(number + 1)};
	return address_from_ipv4(bytes);
}

static void start_engine(void)
{
	struct engine_process *engine = &engines[engine_count++];
	assert_true(engine_count <= MAX_ENGINES);
	engine_start(engine, &fake_log, server_open_store(), &seeded.random, NULL);
	engine->reader.max_batch = 17;
}

static void append(size_t first, size_t count)
{
	for (size_t i = first; i < first + count; i++) {
		size_t number = random_below(&seeded.random, CLIENTS);
		int64_t ms = server_now_ms - (int64_t)random_below(&seeded.random, DAYS * DAY_MS / 2) / (1 + i % 7);
		events[i] = (struct engine_event){.client = client(number), .pinged_at_ms = ms};
		events[i].position =
			fake_log_append(&fake_log, (int32_t)(number % ENGINES_PARTITIONS), &events[i].client, ms, server_now_ms);
	}
}

static void check_windows(struct store_reader *reader, size_t number)
{
	struct address one = client(number);
	struct window_row *rows = calloc(EVENTS, sizeof *rows);
	size_t count = 0, seen = 0;
	assert_int_equal(reader->vtable->list_windows(reader, &one, 0, 0, rows, EVENTS, &count, NULL), ERROR_OK);
	for (size_t i = 0; i < count; i++) {
		struct window_row expected = {.first_ms = INT64_MAX, .position = POSITION_NONE};
		for (size_t k = 0; k < EVENTS; k++) {
			const struct engine_event *event = &events[k];
			if (!address_equal(&event->client, &one) || window_start_of(event->pinged_at_ms) != rows[i].start_ms)
				continue;
			expected.count++;
			expected.first_ms = event->pinged_at_ms < expected.first_ms ? event->pinged_at_ms : expected.first_ms;
			expected.last_ms = event->pinged_at_ms > expected.last_ms ? event->pinged_at_ms : expected.last_ms;
			expected.position = event->position > expected.position ? event->position : expected.position;
		}
		assert_int_equal(rows[i].count, expected.count);
		assert_int_equal(rows[i].first_ms, expected.first_ms);
		assert_int_equal(rows[i].last_ms, expected.last_ms);
		assert_int_equal(rows[i].position, expected.position);
		seen += (size_t)rows[i].count;
	}
	for (size_t k = 0; k < EVENTS; k++)
		seen -= address_equal(&events[k].client, &one);
	assert_int_equal(seen, 0);
	free(rows);
}

/* Totals; and the counters, which are asked for one by one. */
static void check_days(struct store_reader *reader, size_t number)
{
	struct address one = client(number);
	struct day_row rows[DAYS + 2];
	size_t count = 0;
	int64_t total = 0, expected = 0;
	char query[200], text[ADDRESS_TEXT_SIZE];
	assert_int_equal(reader->vtable->list_days(reader, &one, 0, 0, rows, DAYS + 2, &count, NULL), ERROR_OK);
	for (size_t i = 0; i < count; i++)
		total += rows[i].total;
	for (size_t k = 0; k < EVENTS; k++)
		expected += address_equal(&events[k].client, &one);
	assert_int_equal(total, expected);
	address_format(&one, text);
	for (size_t i = 0; i < count; i++) {
		snprintf(query, sizeof query, "SELECT total_pings FROM daily_stats WHERE client_ip = '%s' AND day = %lld", text,
			 (long long)(rows[i].start_ms / DAY_MS + (INT64_C(1) << 31)));
		assert_int_equal(server_number(query, 0), rows[i].total);
	}
}

static void check_clients(struct store_reader *reader)
{
	for (int order = STORE_ORDER_PING_COUNT; order <= STORE_ORDER_CLIENT_IP; order++) {
		const struct store_client_page page = {.order = order, .max = CLIENTS + 1};
		struct store_client found[CLIENTS + 1];
		size_t count = 0;
		assert_int_equal(reader->vtable->list_clients(reader, &page, found, &count, NULL), ERROR_OK);
		assert_int_equal(count, CLIENTS);
		for (size_t i = 0; i < count; i++) {
			int64_t first_ms = INT64_MAX, last_ms = 0;
			for (size_t k = 0; k < EVENTS; k++) {
				if (!address_equal(&events[k].client, &found[i].client.client))
					continue;
				first_ms = events[k].pinged_at_ms < first_ms ? events[k].pinged_at_ms : first_ms;
				last_ms = events[k].pinged_at_ms > last_ms ? events[k].pinged_at_ms : last_ms;
			}
			assert_int_equal(found[i].client.first_ms, first_ms);
			assert_int_equal(found[i].client.last_ms, last_ms);
		}
	}
}

static void whatever_becomes_of_engines_every_row_is_what_the_events_add_up_to(void **state)
{
	(void)state;
	server_now_ms = START_MS;
	server_empty();
	random_seeded_init(&seeded, 7);
	fake_log_init(&fake_log);
	start_engine();
	for (size_t round = 0; round < ROUNDS; round++) {
		append(round * (EVENTS / ROUNDS), EVENTS / ROUNDS);
		for (uint64_t i = random_below(&seeded.random, 8); i > 0; i--)
			engine_step(&engines[engine_count - 1]);
		/* One that was followed goes on for a moment. */
		if (engine_count > 1)
			engine_step(&engines[random_below(&seeded.random, engine_count)]);
		if (round % 3 == 1) {
			server_now_ms -= 120000; /* the next one's clock is behind */
			start_engine();
		}
	}
	start_engine();
	while (!engine_is_at_end(&engines[engine_count - 1]))
		engine_step(&engines[engine_count - 1]);
	assert_int_equal(stream_flush(engines[engine_count - 1].stream, NULL), ERROR_OK);

	struct store_reader *reader = server_open_reader();
	for (size_t i = 0; i < CLIENTS; i++) {
		check_windows(reader, i);
		check_days(reader, i);
	}
	check_clients(reader);
	reader->vtable->close(reader);
	for (size_t i = 0; i < engine_count; i++)
		engine_end(&engines[i]);
	fake_log_release(&fake_log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_becomes_of_engines_every_row_is_what_the_events_add_up_to),
	};
	server_prepare();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	server_end();
	return failed;
}
