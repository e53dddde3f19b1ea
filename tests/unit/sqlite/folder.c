#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "folder.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

void folder_make(struct folder *folder)
{
	snprintf(folder->path, sizeof folder->path, "/tmp/ping-sqlite-XXXXXX");
	assert_non_null(mkdtemp(folder->path));
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void)status;
	(void)type;
	(void)where;
	return remove(path);
}

void folder_remove(struct folder *folder)
{
	assert_int_equal(nftw(folder->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}
