/* What fuzz targets share: a check that ends the run and says what failed. */
#ifndef PING_TESTS_FUZZ_H
#define PING_TESTS_FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "base/slice.h"

#define FUZZ_CHECK(condition)                                                                   \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                                \
		}                                                                               \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
