/* The config file: INI, read by libinih. Sections are optional; a list may go on over indented lines. */
#ifndef PING_APP_SETTINGS_FILE_H
#define PING_APP_SETTINGS_FILE_H

#include "base/settings.h"

#include <stdio.h>

/* Sets what the file says. INVALID_ARGUMENT, NOT_FOUND (it cannot be opened), IO; the note names the file, the line and the key.
 */
enum error settings_file_read(struct settings *settings, const char *path, struct error_note *note);
/* The same from an open stream; `name` is what places are called by. */
enum error settings_file_read_stream(struct settings *settings, FILE *stream, const char *name, struct error_note *note);

#endif
