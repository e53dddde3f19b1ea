/* What this process depends on and how each of it is: told by whoever talks to it, read by /readyz and GetPipelineStatus.
 * Safe from any thread.
 *
 *   ok ◄──► degraded ◄──► down      `since` is when the state last became another; a new detail alone does not move it
 */
#ifndef PING_SERVICE_HEALTH_H
#define PING_SERVICE_HEALTH_H

#include "base/buffer.h"
#include "base/clock.h"

struct health;

enum health_state { HEALTH_OK, HEALTH_DEGRADED, HEALTH_DOWN };
enum { HEALTH_MAX_DEPENDENCIES = 8, HEALTH_DETAIL_SIZE = 256 };

struct health_dependency {
	const char *name;
	bool required; /* while it is down this process cannot serve its roles */
	enum health_state state;
	int64_t since_ms;
	char detail[HEALTH_DETAIL_SIZE]; /* what is wrong and what to do; printable ASCII; empty when OK */
};

/* ERROR_NO_MEMORY. The clock must outlive it. */
enum error health_create(struct clock *clock, struct health **ret_health);
void health_destroy(struct health *health);

/* `name` must outlive the health. It begins as down, "starting". RESOURCE_EXHAUSTED past HEALTH_MAX_DEPENDENCIES. */
enum error health_add(struct health *health, const char *name, bool required);
/* A name that was not added is ignored. detail NULL: none. Bytes that aren't printable ASCII become '?'. */
void health_set(struct health *health, const char *name, enum health_state state, const char *detail);

/* This process is about to end: it serves no more, however its dependencies are. */
void health_drain(struct health *health);
bool health_is_draining(struct health *health);
/* Nothing required is down, it is not draining, and the dependency of this name (NULL: none) is there and not down. */
bool health_serves(struct health *health, const char *dependency);

/* In the order in which they were added. Returns how many. */
size_t health_snapshot(struct health *health, struct health_dependency ret_dependencies[HEALTH_MAX_DEPENDENCIES]);
/* The body of /readyz and its HTTP status: 503 "draining" from health_drain on, 503 "unavailable" while
 * something required is down, else 200 "degraded" while anything
 * isn't OK, else 200 "ok". One line a dependency. Errors are the buffer's. */
enum error health_render_json(struct health *health, struct buffer *output, unsigned *ret_http_status);

#endif
