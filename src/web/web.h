/* The dashboard: files that lie in the program, served as pages. Nothing is read from a disk, and nothing comes from elsewhere.
 *
 *   web/ ── scripts/build-web ──► web_files (names, bytes, gzip's bytes, a tag each) ── web_file_serve ──► the browser
 *
 * One HTML, for every address of a view, is asked for again each time and usually answered 304; what it names carries its hash in
 * its name and is kept for ever. The policy lets in nothing but this server's own files and calls: no inline script, no eval, no
 * frame around it.
 */
#ifndef PING_WEB_WEB_H
#define PING_WEB_WEB_H

#include "net/server.h"

struct web_file {
	const char *path; /* as http_route's: "/", "/clients/" and a star, "/assets/app-1A2B3C.js" */
	const char *content_type;
	const char *tag;      /* an entity tag, of `plain` */
	const char *gzip_tag; /* of `gzip`: other bytes, another tag (RFC 9110, 8.8.3.3) */
	bool immutable;	      /* what it holds never changes under this name */
	struct slice plain, gzip;
};

/* What scripts/build-web made at build time: the dashboard, or one page that says how it was left out. */
extern const struct web_file web_files[];
extern const size_t web_file_count;

/* A route's handler; context: the struct web_file. */
void web_file_serve(void *context, const struct rpc_request *request, struct http_response *response);
/* A route a file, at most max; returns how many. */
size_t web_routes(struct http_route *ret_routes, size_t max);

#endif
