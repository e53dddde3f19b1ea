#include "app/settings_file.h"

#include <errno.h>
#include <ini.h>

/* libinih as distributed tells its handler no line numbers and cuts long lines in two; so the lines are read, counted and
 * measured here. The first error is kept, the rest of the file skipped. */
struct reading {
	struct settings *settings;
	FILE *stream;
	const char *name;
	int line;
	enum error error;
	struct error_note *note;
};

static char *read_line(char *text, int size, void *context)
{
	struct reading *reading = context;
	if (reading->error != ERROR_OK || fgets(text, size, reading->stream) == NULL)
		return NULL;
	reading->line++;
	if (strchr(text, '\n') == NULL && !feof(reading->stream)) {
		reading->error =
			error_noted(reading->note, ERROR_INVALID_ARGUMENT, "%s:%d: the line is longer than %d characters",
				    reading->name, reading->line, size - 2);
		return NULL;
	}
	return text;
}

static int take_key(void *context, const char *section, const char *key, const char *value)
{
	struct reading *reading = context;
	char place[256];
	snprintf(place, sizeof place, "%s:%d", reading->name, reading->line);
	if (reading->error == ERROR_OK)
		reading->error = settings_set_from_file(reading->settings, section, key, value, place, reading->note);
	return 1;
}

enum error settings_file_read_stream(struct settings *settings, FILE *stream, const char *name, struct error_note *note)
{
	struct reading reading = {.settings = settings, .stream = stream, .name = name, .note = note};
	int line = ini_parse_stream(read_line, &reading, take_key, &reading);
	if (reading.error != ERROR_OK)
		return reading.error;
	if (ferror(stream))
		return error_noted(note, ERROR_IO, "%s: cannot be read: %s", name, strerror(errno));
	if (line > 0)
		return error_noted(note, ERROR_INVALID_ARGUMENT, "%s:%d: expected `key = value` or `[section]`", name, line);
	return line < 0 ? ERROR_NO_MEMORY : ERROR_OK;
}

enum error settings_file_read(struct settings *settings, const char *path, struct error_note *note)
{
	FILE *stream = fopen(path, "re");
	if (stream == NULL)
		return error_noted(note, ERROR_NOT_FOUND, "%s: the config file cannot be opened: %s", path, strerror(errno));
	enum error error = settings_file_read_stream(settings, stream, path, note);
	fclose(stream);
	return error;
}
