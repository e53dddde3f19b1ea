#include "app/allocator.h"

#ifdef PING_JEMALLOC
#include <jemalloc/jemalloc.h>
#include <stdio.h>
#include <string.h>

/* jemalloc reads it before main; MALLOC_CONF in the environment comes after. A thread of its own gives memory back that is not
 * used for 10 s: else an arena keeps it until its threads have work again. */
const char *malloc_conf = "background_thread:true,dirty_decay_ms:10000,muzzy_decay_ms:0";

/* "5.3.0-0-g54eaed1d…" without what follows the number. */
const char *allocator_text(void)
{
	static char text[32];
	const char *version = "";
	size_t size = sizeof version;
	mallctl("version", &version, &size, NULL, 0);
	snprintf(text, sizeof text, "jemalloc %.*s", (int)strcspn(version, "-"), version);
	return text;
}

#else

const char *allocator_text(void)
{
	return "the C library's allocator";
}

#endif
