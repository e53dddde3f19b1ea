#include "app/call_client.h"

#include "codec/message_type.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

enum { CALL_MAX_RESPONSE = 64 << 20, CALL_MAX_REQUEST = 4 << 20, CALL_MAX_ERROR = 1 << 16 };

struct call_client {
	CURL *curl;
	char *address;
	struct tls_files files;
	char problem[CURL_ERROR_SIZE];
	const char *speaks_for;
	int64_t timeout_ms;
	struct buffer request, response;
};

/* The protocol's error, as a message: {"code": …, "message": …}. */
struct connect_error {
	struct slice code, message;
};
static const struct field_type connect_error_fields[] = {
	{MESSAGE_TEXT("code"), MESSAGE_TEXT("code"), .number = 1, .kind = FIELD_STRING,
	 .offset = offsetof(struct connect_error, code)},
	{MESSAGE_TEXT("message"), MESSAGE_TEXT("message"), .number = 2, .kind = FIELD_STRING,
	 .offset = offsetof(struct connect_error, message)},
};
static const struct message_type connect_error_type = {
	.name = "connect.Error", .size = sizeof(struct connect_error), .fields = connect_error_fields, .field_count = 2};

enum error call_client_create(const char *address, const struct tls_files *files, int64_t timeout_ms,
			      struct call_client **ret_client)
{
	struct call_client *client = calloc(1, sizeof *client);
	if (client == NULL)
		return ERROR_NO_MEMORY;
	buffer_init(&client->request, CALL_MAX_REQUEST);
	buffer_init(&client->response, CALL_MAX_RESPONSE);
	client->timeout_ms = timeout_ms;
	client->files = *files;
	client->address = strdup(address);
	client->curl = client->address == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != 0 ? NULL : curl_easy_init();
	if (client->curl == NULL) {
		call_client_destroy(client);
		return ERROR_NO_MEMORY;
	}
	size_t length = strlen(client->address);
	while (length > 0 && client->address[length - 1] == '/')
		client->address[--length] = 0;
	*ret_client = client;
	return ERROR_OK;
}

void call_client_destroy(struct call_client *client)
{
	if (client == NULL)
		return;
	curl_easy_cleanup(client->curl);
	buffer_release(&client->request);
	buffer_release(&client->response);
	free(client->address);
	free(client);
}

void call_client_speak_for(struct call_client *client, const char *address)
{
	client->speaks_for = address;
}

static size_t take_response(char *data, size_t size, size_t count, void *context)
{
	struct call_client *client = context;
	return buffer_append(&client->response, data, size * count) == ERROR_OK ? size * count : 0;
}

/* What a server says is shown on a terminal: no control characters. */
static void copy_printable(char *target, size_t size, struct slice text)
{
	size_t length = text.size < size ? text.size : size - 1;
	for (size_t i = 0; i < length; i++)
		target[i] = text.data[i] < 0x20 || text.data[i] == 0x7f ? ' ' : (char)text.data[i];
	target[length] = 0;
}

bool call_error_parse(struct slice body, struct call_error *ret_error)
{
	struct arena arena;
	struct connect_error error = {0};
	arena_init(&arena, CALL_MAX_ERROR);
	bool parsed = body.size <= CALL_MAX_ERROR &&
		      message_decode_json(&connect_error_type, body, &arena, &error, NULL) == ERROR_OK && error.code.size > 0;
	if (parsed) {
		copy_printable(ret_error->code, sizeof ret_error->code, error.code);
		copy_printable(ret_error->message, sizeof ret_error->message, error.message);
	}
	arena_release(&arena);
	return parsed;
}

static struct curl_slist *make_headers(const struct call_client *client)
{
	char timeout[64], client_header[128];
	snprintf(timeout, sizeof timeout, "Connect-Timeout-Ms: %lld", (long long)client->timeout_ms);
	snprintf(client_header, sizeof client_header, "X-Forwarded-For: %s",
		 client->speaks_for == NULL ? "" : client->speaks_for);
	const char *const lines[] = {"Content-Type: application/proto", "Connect-Protocol-Version: 1", "Expect:", timeout,
				     client->speaks_for == NULL ? NULL : client_header};
	struct curl_slist *headers = NULL;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0] && lines[i] != NULL; i++) {
		struct curl_slist *longer = curl_slist_append(headers, lines[i]);
		if (longer == NULL) {
			curl_slist_free_all(headers);
			return NULL;
		}
		headers = longer;
	}
	return headers;
}

static const char *or_null(const char *text)
{
	return text == NULL || *text == 0 ? NULL : text;
}

static void set_tls(struct call_client *client)
{
	const char *certificate = or_null(client->files.certificate), *key = or_null(client->files.key);
	if (or_null(client->files.authorities) != NULL)
		curl_easy_setopt(client->curl, CURLOPT_CAINFO, client->files.authorities);
	curl_easy_setopt(client->curl, CURLOPT_SSLCERT, certificate);
	curl_easy_setopt(client->curl, CURLOPT_SSLKEY, key == NULL ? certificate : key);
	curl_easy_setopt(client->curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
}

static CURLcode perform(struct call_client *client, const char *path, struct curl_slist *headers, long *ret_status)
{
	enum { GRACE_MS = 1000 }; /* for the server's own deadline to be told */
	char url[1024];
	snprintf(url, sizeof url, "%s%s", client->address, path);
	CURL *curl = client->curl;
	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "pingctl/" PING_VERSION);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)client->request.size);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, client->request.size == 0 ? "" : (char *)client->request.data);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_response);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, client);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(client->timeout_ms + GRACE_MS));
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	client->problem[0] = 0;
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->problem);
	set_tls(client);
	buffer_clear(&client->response);
	CURLcode code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
	return code;
}

static enum call_outcome unreachable(const struct call_client *client, CURLcode code, struct call_error *ret_error)
{
	if (code == CURLE_OPERATION_TIMEDOUT)
		snprintf(ret_error->message, sizeof ret_error->message, "%s gave no answer within %lld ms", client->address,
			 (long long)client->timeout_ms);
	else if (code == CURLE_PEER_FAILED_VERIFICATION)
		snprintf(ret_error->message, sizeof ret_error->message,
			 "%s is not believed: %s. Which authority signed its certificate? Name it with --ca FILE",
			 client->address, client->problem);
	else if (code != CURLE_COULDNT_CONNECT && client->problem[0] != 0)
		snprintf(ret_error->message, sizeof ret_error->message, "%s cannot be spoken with: %s", client->address,
			 client->problem);
	else
		snprintf(ret_error->message, sizeof ret_error->message,
			 "%s cannot be reached: %s. Is pingd running? Start it with: make run", client->address,
			 curl_easy_strerror(code));
	return CALL_UNREACHABLE;
}

static enum call_outcome take_answer(const struct call_client *client, const struct method_type *method, long status,
				     struct arena *arena, void *ret_response, struct call_error *ret_error)
{
	struct slice body = buffer_slice(&client->response);
	if (status != 200) {
		if (call_error_parse(body, ret_error))
			return CALL_REFUSED;
		snprintf(ret_error->message, sizeof ret_error->message,
			 "%s answered HTTP %ld, which no pingd does: is the address right?", client->address, status);
		return CALL_UNREACHABLE;
	}
	struct slice copy = arena_copy(arena, body); /* strings of the message point into it */
	struct error_note note = {0};
	enum error error =
		copy.data == NULL ? ERROR_NO_MEMORY : message_decode_binary(method->response, copy, arena, ret_response, &note);
	if (error == ERROR_OK)
		return CALL_OK;
	snprintf(ret_error->message, sizeof ret_error->message, "the answer of %s cannot be read: %s", client->address,
		 *note.text == 0 ? error_text(error) : note.text);
	return error == ERROR_NO_MEMORY ? CALL_FAILED : CALL_UNREACHABLE;
}

enum call_outcome call_client_call(struct call_client *client, const struct method_type *method, const void *request,
				   struct arena *arena, void *ret_response, struct call_error *ret_error)
{
	*ret_error = (struct call_error){0};
	buffer_clear(&client->request);
	enum error error = message_encode_binary(method->request, request, &client->request);
	struct curl_slist *headers = error == ERROR_OK ? make_headers(client) : NULL;
	if (headers == NULL) {
		snprintf(ret_error->message, sizeof ret_error->message, "%s",
			 error_text(error == ERROR_OK ? ERROR_NO_MEMORY : error));
		return CALL_FAILED;
	}
	long status = 0;
	CURLcode code = perform(client, method->path, headers, &status);
	curl_slist_free_all(headers);
	return code == CURLE_OK ? take_answer(client, method, status, arena, ret_response, ret_error)
				: unreachable(client, code, ret_error);
}
