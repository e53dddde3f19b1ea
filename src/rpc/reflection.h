/* grpc.reflection.v1.ServerReflection, and v1alpha, which older clients ask for: what services a server has, and the .proto files
 * that they are declared in, comments and all. So grpcurl and the like need no files of their own.
 *
 * It tells nothing that is not in the .proto files: nothing of the server's state or settings.
 */
#ifndef PING_RPC_REFLECTION_H
#define PING_RPC_REFLECTION_H

#include "rpc/call.h"

struct rpc_reflection;

/* Tells of these methods, which are copied, and of itself. ERROR_NO_MEMORY. */
enum error rpc_reflection_create(const struct rpc_method *methods, size_t count, struct rpc_reflection **ret_reflection);
void rpc_reflection_destroy(struct rpc_reflection *reflection);
/* The methods given, and its own behind them; they live as long as it does. */
const struct rpc_method *rpc_reflection_methods(const struct rpc_reflection *reflection, size_t *ret_count);

#endif
