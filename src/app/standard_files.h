/* What both programs do first.
 */
#ifndef PING_APP_STANDARD_FILES_H
#define PING_APP_STANDARD_FILES_H

#include <stdbool.h>

/* Opens /dev/null for each of standard input, output and error that is closed: the next file or socket would take its number,
 * and what is printed or logged would end up in that. False: that can't be done. */
bool standard_files_fill(void);

#endif
