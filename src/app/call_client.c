#include "app/call_client.h"

#include "base/clock.h"
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

static struct curl_slist *make_headers(const struct call_client *client, bool stream)
{
	char timeout[64], client_header[128];
	snprintf(timeout, sizeof timeout, "Connect-Timeout-Ms: %lld", (long long)client->timeout_ms);
	snprintf(client_header, sizeof client_header, "X-Forwarded-For: %s",
		 client->speaks_for == NULL ? "" : client->speaks_for);
	const char *const lines[] = {stream ? "Content-Type: application/connect+proto" : "Content-Type: application/proto",
				     "Connect-Protocol-Version: 1", "Expect:", stream ? NULL : timeout,
				     client->speaks_for == NULL ? NULL : client_header};
	struct curl_slist *headers = NULL;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		if (lines[i] == NULL)
			continue;
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

static void prepare(struct call_client *client, const char *path, struct curl_slist *headers)
{
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
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	client->problem[0] = 0;
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->problem);
	set_tls(client);
	buffer_clear(&client->response);
}

static CURLcode perform(struct call_client *client, const char *path, struct curl_slist *headers, long *ret_status)
{
	enum { GRACE_MS = 1000 }; /* for the server's own deadline to be told */
	prepare(client, path, headers);
	curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, take_response);
	curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, client);
	curl_easy_setopt(client->curl, CURLOPT_TIMEOUT_MS, (long)(client->timeout_ms + GRACE_MS));
	CURLcode code = curl_easy_perform(client->curl);
	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, ret_status);
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

/* HTTP's own status, where no pingd says what is wrong. */
static enum call_outcome refused(const struct call_client *client, long status, struct call_error *ret_error)
{
	if (call_error_parse(buffer_slice(&client->response), ret_error))
		return CALL_REFUSED;
	snprintf(ret_error->message, sizeof ret_error->message,
		 "%s answered HTTP %ld, which no pingd does: is the address right?", client->address, status);
	return CALL_UNREACHABLE;
}

static enum call_outcome take_answer(const struct call_client *client, const struct method_type *method, long status,
				     struct arena *arena, void *ret_response, struct call_error *ret_error)
{
	struct slice body = buffer_slice(&client->response);
	if (status != 200)
		return refused(client, status, ret_error);
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
	struct curl_slist *headers = error == ERROR_OK ? make_headers(client, false) : NULL;
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

/* --- streams --- */

enum { ENVELOPE_BYTES = 5, FLAG_END = 2 };

struct response_stream {
	struct call_client *client;
	const struct method_type *method;
	bool (*take)(void *context, const void *response);
	void *context;
	struct arena arena;
	bool stopped, ended; /* by the taker; by the server's last envelope */
	enum call_outcome outcome;
	struct call_error *error;
};

/* {} or {"error": {"code": …, "message": …}} */
static const struct field_type end_fields[] = {
	{MESSAGE_TEXT("error"), MESSAGE_TEXT("error"), .number = 1, .kind = FIELD_MESSAGE, .offset = 0,
	 .message = &connect_error_type},
};
static const struct message_type end_type = {
	.name = "connect.End", .size = sizeof(struct connect_error *), .fields = end_fields, .field_count = 1};

static void take_end(struct response_stream *stream, struct slice text)
{
	struct connect_error *error = NULL;
	stream->ended = true;
	if (message_decode_json(&end_type, text, &stream->arena, &error, NULL) != ERROR_OK || error == NULL)
		return;
	stream->outcome = CALL_REFUSED;
	copy_printable(stream->error->code, sizeof stream->error->code, error->code);
	copy_printable(stream->error->message, sizeof stream->error->message, error->message);
}

static void take_message(struct response_stream *stream, struct slice bytes)
{
	struct error_note note = {0};
	void *response = arena_alloc(&stream->arena, message_type_size(stream->method->response));
	enum error error = ERROR_NO_MEMORY;
	if (response != NULL)
		error = message_decode_binary(stream->method->response, bytes, &stream->arena, response, &note);
	if (error == ERROR_OK) {
		stream->stopped = !stream->take(stream->context, response);
		return;
	}
	stream->stopped = true;
	stream->outcome = CALL_FAILED;
	snprintf(stream->error->message, sizeof stream->error->message, "a message of %s cannot be read: %s",
		 stream->client->address, *note.text == 0 ? error_text(error) : note.text);
}

/* Whole envelopes are taken; what is left of one waits. */
static size_t take_stream(char *data, size_t size, size_t count, void *context)
{
	struct response_stream *stream = context;
	struct buffer *bytes = &stream->client->response;
	long status = 0;
	if (buffer_append(bytes, data, size * count) != ERROR_OK)
		return 0;
	curl_easy_getinfo(stream->client->curl, CURLINFO_RESPONSE_CODE, &status);
	while (status == 200 && bytes->size >= ENVELOPE_BYTES && !stream->stopped && !stream->ended) {
		const uint8_t *at = bytes->data;
		size_t length = (size_t)at[1] << 24 | (size_t)at[2] << 16 | (size_t)at[3] << 8 | at[4];
		if (bytes->size - ENVELOPE_BYTES < length)
			break;
		(at[0] & FLAG_END ? take_end : take_message)(stream, slice_make(at + ENVELOPE_BYTES, length));
		buffer_consume(bytes, ENVELOPE_BYTES + length);
		arena_reset(&stream->arena);
	}
	return stream->stopped ? 0 : size * count;
}

static enum error write_request(struct call_client *client, const struct method_type *method, const void *request)
{
	buffer_clear(&client->request);
	enum error error = buffer_append(&client->request, (const uint8_t[ENVELOPE_BYTES]){0}, ENVELOPE_BYTES);
	if (error == ERROR_OK)
		error = message_encode_binary(method->request, request, &client->request);
	size_t size = client->request.size - ENVELOPE_BYTES;
	for (size_t i = 0; i < 4 && error == ERROR_OK; i++)
		client->request.data[1 + i] = (uint8_t)(size >> 8 * (3 - i));
	return error;
}

enum call_outcome call_client_stream(struct call_client *client, const struct method_type *method, const void *request,
				     bool (*take)(void *context, const void *response), void *context, int64_t ends_in_ms,
				     int64_t silence_ms, struct call_error *ret_error)
{
	struct response_stream stream = {
		.client = client, .method = method, .take = take, .context = context, .outcome = CALL_OK, .error = ret_error};
	*ret_error = (struct call_error){0};
	enum error error = write_request(client, method, request);
	struct curl_slist *headers = error == ERROR_OK ? make_headers(client, true) : NULL;
	if (headers == NULL) {
		snprintf(ret_error->message, sizeof ret_error->message, "%s",
			 error_text(error == ERROR_OK ? ERROR_NO_MEMORY : error));
		return CALL_FAILED;
	}
	arena_init(&stream.arena, CALL_MAX_RESPONSE);
	prepare(client, method->path, headers);
	curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, take_stream);
	curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &stream);
	curl_easy_setopt(client->curl, CURLOPT_TIMEOUT_MS, (long)ends_in_ms);
	curl_easy_setopt(client->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(client->curl, CURLOPT_LOW_SPEED_TIME, (long)((silence_ms + 999) / 1000));
	int64_t begun_us = clock_monotonic_us(clock_system());
	CURLcode code = curl_easy_perform(client->curl);
	bool time_over = ends_in_ms > 0 && clock_monotonic_us(clock_system()) - begun_us >= ends_in_ms * 1000;
	long status = 0;
	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_slist_free_all(headers);
	arena_release(&stream.arena);
	if (stream.stopped || stream.ended || (code == CURLE_OPERATION_TIMEDOUT && time_over))
		return stream.outcome;
	if (code != CURLE_OK)
		return unreachable(client, code, ret_error);
	if (status != 200)
		return refused(client, status, ret_error);
	snprintf(ret_error->message, sizeof ret_error->message, "%s ended the stream without a word", client->address);
	return CALL_UNREACHABLE;
}
