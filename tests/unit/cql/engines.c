#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/cql/engines.h"
#include "unit/cql/server.h"

void engine_start(struct engine_process *engine, struct fake_log *log, struct store *store, struct random *random,
		  struct rebuild_source *rebuild_source)
{
	const struct stream_config config = {.flush_interval_ms = 300};
	const struct stream_ports ports = {.log = &engine->reader.reader,
					   .store = store,
					   .clock = server_clock(),
					   .random = random,
					   .rebuild_source = rebuild_source};
	engine->store = store;
	fake_reader_init(&engine->reader, log);
	assert_int_equal(stream_create(&config, &ports, &engine->stream, NULL), ERROR_OK);
	for (int32_t partition = 0; partition < ENGINES_PARTITIONS; partition++)
		fake_reader_assign(&engine->reader, partition);
}

void engine_end(struct engine_process *engine)
{
	stream_destroy(engine->stream);
	engine->store->vtable->close(engine->store);
	fake_reader_release(&engine->reader);
}

void engine_step(struct engine_process *engine)
{
	struct error_note note = {""};
	server_now_ms += 100;
	server_monotonic_us += 100000;
	enum error error = stream_step(engine->stream, 0, &note);
	if (error != ERROR_OK && error != ERROR_FENCED)
		fail_msg("step: %s: %s", error_name(error), note.text);
}

bool engine_is_at_end(const struct engine_process *engine)
{
	struct stream_status status;
	stream_status(engine->stream, &status);
	bool all = status.partition_count == ENGINES_PARTITIONS;
	for (size_t i = 0; i < status.partition_count; i++)
		all &= status.partitions[i].stored_position >= fake_log_end(engine->reader.log, status.partitions[i].partition);
	return all;
}
