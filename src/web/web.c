#include "web/web.h"

/* Content Security Policy 3; trusted-types: there is no way from text to markup. X-Frame-Options is for browsers before it. */
static const struct {
	const char *name, *value;
} html_headers[] = {
	{"cache-control", "no-cache"},
	{"content-security-policy",
	 "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
	 "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"},
	{"x-frame-options", "DENY"},
	{"cross-origin-opener-policy", "same-origin"},
	{"permissions-policy", "camera=(), geolocation=(), microphone=()"},
};

static void add(struct http_response *response, const char *name, const char *value)
{
	response->headers[response->header_count++] = (struct rpc_header){slice_from_string(name), slice_from_string(value)};
}

/* RFC 9110, 12.5.3. Whoever says nothing gets it as it is. What is said of gzip counts, and the star where nothing is. */
static bool takes_gzip(const struct rpc_request *request)
{
	const struct slice *accept = rpc_request_header(request, "accept-encoding");
	struct slice rest = accept == NULL ? slice_make(NULL, 0) : *accept;
	bool star = false;
	while (rest.size > 0) {
		struct slice parameters = slice_take(&rest, ',');
		struct slice coding = slice_trim(slice_take(&parameters, ';'));
		bool wanted = !rpc_is_zero_weight(parameters);
		if (slice_equal_ignoring_case(coding, "gzip") || slice_equal_ignoring_case(coding, "x-gzip"))
			return wanted;
		if (slice_equal_string(coding, "*"))
			star = wanted;
	}
	return star;
}

/* RFC 9110, 13.1.2: compared weakly. */
static bool has_it(const struct rpc_request *request, const char *tag)
{
	const struct slice *known = rpc_request_header(request, "if-none-match");
	struct slice rest = known == NULL ? slice_make(NULL, 0) : *known;
	while (rest.size > 0) {
		struct slice one = slice_trim(slice_take(&rest, ','));
		if (one.size > 2 && memcmp(one.data, "W/", 2) == 0)
			one = slice_make(one.data + 2, one.size - 2);
		if (slice_equal_string(one, tag) || slice_equal_string(one, "*"))
			return true;
	}
	return false;
}

static void add_policy(struct http_response *response, const struct web_file *file)
{
	add(response, "x-content-type-options", "nosniff");
	add(response, "referrer-policy", "no-referrer");
	add(response, "cross-origin-resource-policy", "same-origin");
	if (file->immutable) {
		add(response, "cache-control", "public, max-age=31536000, immutable");
		return;
	}
	for (size_t i = 0; i < sizeof html_headers / sizeof html_headers[0]; i++)
		add(response, html_headers[i].name, html_headers[i].value);
}

void web_file_serve(void *context, const struct rpc_request *request, struct http_response *response)
{
	const struct web_file *file = context;
	bool gzip = file->gzip.size > 0 && takes_gzip(request);
	const char *tag = gzip ? file->gzip_tag : file->tag;
	struct slice bytes = gzip ? file->gzip : file->plain;
	add(response, "etag", tag);
	add(response, "vary", "accept-encoding");
	add_policy(response, file);
	if (has_it(request, tag)) {
		response->status = 304;
		return;
	}
	response->content_type = file->content_type;
	if (gzip)
		add(response, "content-encoding", "gzip");
	if (buffer_append(response->body, bytes.data, bytes.size) != ERROR_OK)
		response->status = 500;
}

size_t web_routes(struct http_route *ret_routes, size_t max)
{
	size_t count = 0;
	for (; count < web_file_count && count < max; count++)
		ret_routes[count] = (struct http_route){web_files[count].path, web_file_serve, (void *)&web_files[count]};
	return count;
}
