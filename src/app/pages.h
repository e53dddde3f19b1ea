/* The pages beside the API: for operators /livez, /healthz (alive), /readyz (one line a dependency), /metrics; for people, where
 * the API is, the dashboard.
 */
#ifndef PING_APP_PAGES_H
#define PING_APP_PAGES_H

#include "app/telemetry.h"
#include "net/server.h"
#include "service/health.h"

enum { PAGES_MAX = 32 };

struct pages {
	struct health *health;
	struct telemetry *telemetry;
	struct http_route routes[PAGES_MAX];
	size_t count;
};

/* Fills in the routes; `pages` must outlive the server. */
void pages_init(struct pages *pages, struct health *health, struct telemetry *telemetry, bool dashboard);

#endif
