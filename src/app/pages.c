#include "app/pages.h"

#include "web/web.h"

static void serve_alive(void *context, const struct rpc_request *request, struct http_response *response)
{
	(void)context;
	(void)request;
	response->content_type = "text/plain; charset=utf-8";
	if (buffer_append_string(response->body, "ok\n") != ERROR_OK)
		response->status = 500;
}

static void serve_ready(void *context, const struct rpc_request *request, struct http_response *response)
{
	struct pages *pages = context;
	(void)request;
	response->content_type = "application/json";
	if (health_render_json(pages->health, response->body, &response->status) != ERROR_OK)
		response->status = 500;
}

static void serve_metrics(void *context, const struct rpc_request *request, struct http_response *response)
{
	struct pages *pages = context;
	(void)request;
	response->content_type = "text/plain; version=0.0.4; charset=utf-8";
	if (telemetry_render(pages->telemetry, response->body) != ERROR_OK)
		response->status = 500;
}

void pages_init(struct pages *pages, struct health *health, struct telemetry *telemetry, bool dashboard)
{
	*pages = (struct pages){
		.health = health,
		.telemetry = telemetry,
		.routes = {{"/livez", serve_alive, pages},
			   {"/healthz", serve_alive, pages},
			   {"/readyz", serve_ready, pages},
			   {"/metrics", serve_metrics, pages}},
		.count = 4,
	};
	if (dashboard)
		pages->count += web_routes(pages->routes + pages->count, PAGES_MAX - pages->count);
}
