/* The codec for scripts: one request a line on stdin, its answer on stdout.
 *
 *   TYPE FROM TO HEX        TYPE: "test.everything.v1.Everything"; FROM, TO: binary or json
 *   ok HEX | ERROR NOTE
 */
#include <stdio.h>
#include <stdlib.h>

#include "codec/message.h"
#include "codec/message_type.h"
#include "everything.pb.h"

enum { LIMIT = 64 << 20 };

static const struct message_type *find_type(const char *name)
{
	for (const struct message_type *const *type = google_protobuf_any_type.any_types; *type != NULL; type++)
		if (strcmp(message_type_name(*type), name) == 0)
			return *type;
	fprintf(stderr, "no type %s\n", name);
	exit(2);
}

static struct slice from_hex(char *text)
{
	size_t size = 0;
	for (unsigned byte; sscanf(text + size * 2, "%2x", &byte) == 1; size++)
		text[size] = (char)byte;
	return slice_make(text, size);
}

static enum error convert(const struct message_type *type, const char *from, const char *to, struct slice input,
			  struct arena *arena, struct buffer *output, struct error_note *note)
{
	void *message = arena_alloc(arena, message_type_size(type));
	if (message == NULL)
		return ERROR_NO_MEMORY;
	enum error error = strcmp(from, "json") == 0 ? message_decode_json(type, input, arena, message, note)
						     : message_decode_binary(type, input, arena, message, note);
	if (error != ERROR_OK)
		return error;
	return strcmp(to, "json") == 0 ? message_encode_json(type, message, output, note)
				       : message_encode_binary(type, message, output);
}

static int answer(char *line)
{
	char type[128], from[8], to[8];
	int at = 0;
	if (sscanf(line, "%127s %7s %7s %n", type, from, to, &at) != 3)
		return 2;
	struct error_note note = {{0}};
	struct arena arena;
	struct buffer output;
	arena_init(&arena, LIMIT);
	buffer_init(&output, LIMIT);
	enum error error = convert(find_type(type), from, to, from_hex(line + at), &arena, &output, &note);
	if (error == ERROR_OK) {
		fputs("ok ", stdout);
		for (size_t i = 0; i < output.size; i++)
			printf("%02x", output.data[i]);
	} else {
		printf("%s %s", error_name(error), note.text);
	}
	puts("");
	fflush(stdout);
	buffer_release(&output);
	arena_release(&arena);
	return 0;
}

int main(void)
{
	char *line = NULL;
	size_t capacity = 0;
	int status = 0;
	while (status == 0 && getline(&line, &capacity, stdin) > 0)
		status = answer(line);
	free(line);
	return status;
}
