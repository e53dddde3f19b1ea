/* tests/unit/cql/server.h over the simulated server: what a real Cassandra is held to, it is held to as well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "net.h"
