/* The pages for operators, beside the API: /livez, /healthz (alive), /readyz (one line a dependency), /metrics.
 */
#ifndef PING_APP_PAGES_H
#define PING_APP_PAGES_H

#include "app/telemetry.h"
#include "net/server.h"
#include "service/health.h"

enum { PAGES_COUNT = 4 };

struct pages {
	struct health *health;
	struct telemetry *telemetry;
	struct http_route routes[PAGES_COUNT];
};

/* Fills in the routes; `pages` must outlive the server. */
void pages_init(struct pages *pages, struct health *health, struct telemetry *telemetry);

#endif
