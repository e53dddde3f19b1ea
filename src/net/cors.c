#include "net/cors.h"

static const char *find(const struct cors *cors, struct slice origin)
{
	for (size_t i = 0; i < cors->count; i++)
		if (strcmp(cors->origins[i], "*") == 0 || slice_equal_string(origin, cors->origins[i]))
			return cors->origins[i];
	return NULL;
}

static bool anyone(const struct cors *cors)
{
	return cors->count == 1 && strcmp(cors->origins[0], "*") == 0;
}

struct cors_answer cors_judge(const struct cors *cors, const struct rpc_request *request)
{
	struct cors_answer answer = {.varies = cors->count > 0 && !anyone(cors)};
	const struct slice *origin = cors->count == 0 ? NULL : rpc_request_header(request, "origin");
	if (origin == NULL)
		return answer;
	answer.origin = find(cors, *origin);
	answer.preflight = answer.origin != NULL && slice_equal_string(request->method, "OPTIONS") &&
			   rpc_request_header(request, "access-control-request-method") != NULL;
	return answer;
}

static void add(struct rpc_header *fields, size_t *count, const char *name, const char *value)
{
	fields[(*count)++] = (struct rpc_header){slice_from_string(name), slice_from_string(value)};
}

size_t cors_fields(const struct cors_answer *answer, struct rpc_header ret_fields[CORS_MAX_FIELDS])
{
	size_t count = 0;
	if (answer->varies)
		add(ret_fields, &count, "vary", "origin");
	if (answer->origin == NULL)
		return count;
	add(ret_fields, &count, "access-control-allow-origin", answer->origin);
	if (!answer->preflight) {
		add(ret_fields, &count, "access-control-expose-headers", "grpc-status, grpc-message, grpc-status-details-bin, *");
		return count;
	}
	add(ret_fields, &count, "access-control-allow-methods", "GET, POST");
	/* Named for browsers that do not know the star; it stands for the caller's own. */
	add(ret_fields, &count, "access-control-allow-headers",
	    "content-type, connect-protocol-version, connect-timeout-ms, grpc-timeout, x-grpc-web, x-user-agent, *");
	add(ret_fields, &count, "access-control-max-age", "7200");
	return count;
}
