/* What the fuzz targets of the runtime and the network call: methods of each kind, which answer at once.
 *
 *   /ping.v1.PingService/Ping         unary; fails when asked for a time before 1970
 *   /ping.v1.PingService/PingCount    unary, also by GET
 *   /test.Service/Count               sends as many messages as it is asked for
 *   /test.Service/Sum                 takes a stream, answers once
 *   /test.Service/Echo                both ways; pauses at every third message until it is woken
 */
#ifndef PING_TESTS_FUZZ_SERVICE_H
#define PING_TESTS_FUZZ_SERVICE_H

#include "rpc/server.h"

extern const struct rpc_method fuzz_methods[];
extern const size_t fuzz_method_count;

#endif
