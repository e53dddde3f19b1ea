#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	const char *connect_code;
	unsigned http_status;
	bool retriable;
	const char *text;
} table[ERROR_COUNT] = {
#define ERROR_ROW(name, code, status, retriable, text) [ERROR_##name] = {#name, code, status, retriable, text},
	ERROR_TABLE(ERROR_ROW)
#undef ERROR_ROW
};

const char *error_name(enum error error)
{
	return table[error].name;
}

const char *error_connect_code(enum error error)
{
	return table[error].connect_code;
}

unsigned error_grpc_code(enum error error)
{
	/* The first seventeen rows stand in gRPC's order; a finer one is found by its code. */
	for (unsigned i = 0; i <= ERROR_UNAUTHENTICATED; i++)
		if (strcmp(table[i].connect_code, table[error].connect_code) == 0)
			return i;
	return ERROR_UNKNOWN;
}

unsigned error_http_status(enum error error)
{
	return table[error].http_status;
}

bool error_retriable(enum error error)
{
	return table[error].retriable;
}

const char *error_text(enum error error)
{
	return table[error].text;
}

enum error error_noted(struct error_note *note, enum error error, const char *format, ...)
{
	if (note != NULL) {
		va_list args;
		va_start(args, format);
		vsnprintf(note->text, sizeof note->text, format, args);
		va_end(args);
	}
	return error;
}
