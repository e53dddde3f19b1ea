/* The server that Connect's conformance suite tests: its ConformanceService on the RPC runtime and the HTTP server of src/.
 *
 *   suite ── ServerCompatRequest (stdin) ──► conformance-server ── ServerCompatResponse: host, port, certificate (stdout) ──►
 * suite ── SIGTERM ──► exit
 *
 * A request says what to answer (its first message, of a client that streams): a plan. Each call is a session that carries it
 * out: headers, then each response after a delay, then trailers and an error if there is one. The first response, or the error
 * if there is none, also says what came in.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "conformance.pb.h"
#include "net/server.h"
#include "rpc/query.h"

enum { SETUP_MAX_BYTES = 1 << 20, PATH_SIZE = 32 };

#define TYPE_URL "type.googleapis.com/"

/* The generated names without their package. */
typedef struct connectrpc_conformance_v1_header message_header;
typedef struct connectrpc_conformance_v1_error message_error;
typedef struct connectrpc_conformance_v1_conformance_payload payload;
typedef struct connectrpc_conformance_v1_conformance_payload_request_info request_info;
typedef struct connectrpc_conformance_v1_conformance_payload_connect_get_info get_info;
typedef struct connectrpc_conformance_v1_unary_response_definition unary_definition;
typedef struct connectrpc_conformance_v1_stream_response_definition stream_definition;
typedef struct connectrpc_conformance_v1_unary_request unary_request;
typedef struct connectrpc_conformance_v1_server_stream_request server_stream_request;
typedef struct connectrpc_conformance_v1_bidi_stream_request bidi_request;
typedef struct connectrpc_conformance_v1_unary_response any_response; /* all of them are a payload */

struct header_list {
	message_header *items;
	size_t count;
};

struct session {
	struct rpc_call *call;
	const struct method_type *method;
	struct header_list headers, trailers;
	struct slice *data; /* the responses */
	size_t data_count, next;
	const message_error *error;
	int64_t delay_ms;
	bool full_duplex, planned, received_all;
	struct google_protobuf_any *requests; /* not told of yet */
	size_t request_count;
};

static void *allocate(struct rpc_call *call, size_t size)
{
	void *memory = arena_alloc(rpc_call_arena(call), size);
	if (memory == NULL)
		abort();
	return memory;
}

static void must(enum error error)
{
	if (error != ERROR_OK)
		abort();
}

/* --- what came in --- */

static struct slice encode(struct rpc_call *call, const struct message_type *type, const void *message)
{
	struct buffer bytes;
	buffer_init(&bytes, SIZE_MAX);
	must(message_encode_binary(type, message, &bytes));
	struct slice copy = arena_copy(rpc_call_arena(call), buffer_slice(&bytes));
	buffer_release(&bytes);
	return copy;
}

static struct slice type_url(struct rpc_call *call, const struct message_type *type)
{
	size_t size = sizeof TYPE_URL + strlen(message_type_name(type));
	char *url = allocate(call, size);
	stpcpy(stpcpy(url, TYPE_URL), message_type_name(type));
	return slice_make(url, size - 1);
}

/* A message of a stream goes away: what is kept is decoded from its copy. */
static const void *keep_request(struct session *session, const void *request)
{
	struct rpc_call *call = session->call;
	const struct message_type *type = session->method->request;
	struct google_protobuf_any *requests = allocate(call, (session->request_count + 1) * sizeof *requests);
	if (session->request_count > 0)
		memcpy(requests, session->requests, session->request_count * sizeof *requests);
	struct slice bytes = encode(call, type, request);
	requests[session->request_count++] = (struct google_protobuf_any){type_url(call, type), bytes};
	session->requests = requests;
	void *copy = allocate(call, message_type_size(type));
	must(message_decode_binary(type, bytes, rpc_call_arena(call), copy, NULL));
	return copy;
}

static void add_pair(struct rpc_call *call, struct header_list *list, struct slice name, struct slice value)
{
	size_t at = 0;
	while (at < list->count && !slice_equal(list->items[at].name, name))
		at++;
	if (at == list->count)
		list->items[list->count++].name = name;
	message_header *header = &list->items[at];
	struct slice *values = allocate(call, (header->value.count + 1) * sizeof *values);
	if (header->value.count > 0)
		memcpy(values, header->value.items, header->value.count * sizeof *values);
	values[header->value.count++] = value;
	header->value.items = values;
}

static struct header_list list_headers(struct rpc_call *call)
{
	size_t count;
	const struct rpc_header *headers = rpc_call_headers(call, &count);
	struct header_list list = {allocate(call, count * sizeof *list.items), 0};
	for (size_t i = 0; i < count; i++)
		add_pair(call, &list, headers[i].name, headers[i].value);
	return list;
}

static get_info *list_query(struct rpc_call *call)
{
	struct slice query = rpc_call_query(call);
	if (query.size == 0)
		return NULL;
	struct header_list list = {allocate(call, (query.size + 1) * sizeof *list.items), 0};
	const uint8_t *at = query.data, *end = at + query.size;
	while (at < end) {
		const uint8_t *stop = memchr(at, '&', (size_t)(end - at));
		stop = stop == NULL ? end : stop;
		const uint8_t *equals = memchr(at, '=', (size_t)(stop - at));
		struct slice name = slice_make(at, (size_t)((equals == NULL ? stop : equals) - at)), value = {NULL, 0};
		if (equals != NULL)
			must(query_decode(slice_make(equals + 1, (size_t)(stop - equals - 1)), rpc_call_arena(call), &value));
		add_pair(call, &list, name, value);
		at = stop + 1;
	}
	get_info *info = allocate(call, sizeof *info);
	info->query_params.items = list.items;
	info->query_params.count = list.count;
	return info;
}

/* Of the whole call, or of the requests that came since the last response. */
static request_info *tell_request(struct session *session, bool whole)
{
	struct rpc_call *call = session->call;
	request_info *info = allocate(call, sizeof *info);
	info->requests.items = session->requests;
	info->requests.count = session->request_count;
	if (!whole)
		return info;
	struct header_list headers = list_headers(call);
	info->request_headers.items = headers.items;
	info->request_headers.count = headers.count;
	info->has_timeout_ms = rpc_call_timeout_us(call) >= 0;
	info->timeout_ms = info->has_timeout_ms ? rpc_call_timeout_us(call) / 1000 : 0;
	info->connect_get_info = list_query(call);
	return info;
}

/* --- what goes out --- */

static void plan_unary(struct session *session, const unary_definition *definition)
{
	session->planned = true;
	session->data_count = 1;
	session->data = allocate(session->call, sizeof *session->data);
	if (definition == NULL)
		return;
	session->headers = (struct header_list){definition->response_headers.items, definition->response_headers.count};
	session->trailers = (struct header_list){definition->response_trailers.items, definition->response_trailers.count};
	session->delay_ms = definition->response_delay_ms;
	if (definition->which_response == 3) {
		session->error = definition->response.error;
		session->data_count = 0;
	} else if (definition->which_response == 2) {
		session->data[0] = definition->response.response_data;
	}
}

static void plan_stream(struct session *session, const stream_definition *definition)
{
	session->planned = true;
	if (definition == NULL)
		return;
	session->headers = (struct header_list){definition->response_headers.items, definition->response_headers.count};
	session->trailers = (struct header_list){definition->response_trailers.items, definition->response_trailers.count};
	session->delay_ms = definition->response_delay_ms;
	session->data = definition->response_data.items;
	session->data_count = definition->response_data.count;
	session->error = definition->error;
}

static void add_metadata(struct rpc_call *call, const struct header_list *list,
			 enum error (*add)(struct rpc_call *call, struct slice name, struct slice value))
{
	for (size_t i = 0; i < list->count; i++)
		for (size_t j = 0; j < list->items[i].value.count; j++) {
			struct slice name = list->items[i].name;
			uint8_t *lower = allocate(call, name.size);
			for (size_t k = 0; k < name.size; k++)
				lower[k] = name.data[k] >= 'A' && name.data[k] <= 'Z' ? name.data[k] | 0x20 : name.data[k];
			must(add(call, slice_make(lower, name.size), list->items[i].value.items[j]));
		}
}

static void announce(struct session *session)
{
	add_metadata(session->call, &session->headers, rpc_call_add_header);
	add_metadata(session->call, &session->trailers, rpc_call_add_trailer);
}

static void fail(struct session *session)
{
	const message_error *error = session->error;
	struct rpc_call *call = session->call;
	for (size_t i = 0; i < error->details.count; i++) {
		struct slice url = error->details.items[i].type_url;
		const uint8_t *slash = url.size == 0 ? NULL : memrchr(url.data, '/', url.size);
		if (slash != NULL)
			url = slice_make(slash + 1, (size_t)(url.data + url.size - slash - 1));
		must(rpc_call_add_detail(call, url, error->details.items[i].value));
	}
	if (session->next == 0) {
		const struct message_type *type = &connectrpc_conformance_v1_conformance_payload_request_info_type;
		struct slice info = encode(call, type, tell_request(session, true));
		must(rpc_call_add_detail(call, slice_from_string(message_type_name(type)), info));
	}
	struct slice message = arena_copy(rpc_call_arena(call), error->message);
	rpc_call_fail(call, (enum error)error->code, (const char *)message.data);
}

static void conclude(struct session *session)
{
	if (session->error != NULL)
		fail(session);
	else
		rpc_call_finish(session->call);
}

static void go_on(struct session *session);

static void respond(struct session *session)
{
	payload *told = allocate(session->call, sizeof *told);
	told->data = session->data[session->next];
	bool first = session->next++ == 0;
	if (first || session->request_count > 0)
		told->request_info = tell_request(session, first);
	session->request_count = 0;
	any_response response = {told};
	if (!session->method->server_streaming)
		rpc_call_reply(session->call, &response);
	else if (rpc_call_send(session->call, &response))
		go_on(session);
	else if (rpc_call_canceled(session->call))
		rpc_call_fail(session->call, ERROR_CANCELED, NULL);
}

static void respond_later(struct session *session)
{
	if (session->delay_ms > 0)
		rpc_call_wake(session->call, session->delay_ms);
	else
		respond(session);
}

/* A response is out, or all requests are in. */
static void go_on(struct session *session)
{
	if (!session->received_all)
		rpc_call_resume(session->call);
	else if (session->next < session->data_count)
		respond_later(session);
	else
		conclude(session);
}

static void on_writable(struct rpc_call *call, void *context)
{
	(void)context;
	go_on(rpc_call_data_of(call));
}

static void on_wake(struct rpc_call *call, void *context)
{
	(void)context;
	respond(rpc_call_data_of(call));
}

static void on_canceled(struct rpc_call *call, void *context)
{
	(void)context;
	rpc_call_fail(call, ERROR_CANCELED, NULL);
}

/* --- the methods --- */

static struct session *open_session(struct rpc_call *call, const struct method_type *method)
{
	struct session *session = allocate(call, sizeof *session);
	session->call = call;
	session->method = method;
	rpc_call_set_data(call, session);
	return session;
}

static void start(struct session *session)
{
	session->received_all = true;
	announce(session);
	go_on(session);
}

static void handle_unary(struct rpc_call *call, const void *message, void *context)
{
	struct session *session = open_session(call, context);
	const unary_request *request = keep_request(session, message);
	plan_unary(session, request->response_definition);
	start(session);
}

static void handle_server_stream(struct rpc_call *call, const void *message, void *context)
{
	struct session *session = open_session(call, context);
	const server_stream_request *request = keep_request(session, message);
	plan_stream(session, request->response_definition);
	start(session);
}

static void handle_stream(struct rpc_call *call, const void *message, void *context)
{
	(void)message;
	open_session(call, context);
}

static void receive_client_stream(struct rpc_call *call, const void *message, void *context)
{
	(void)context;
	struct session *session = rpc_call_data_of(call);
	if (message == NULL) {
		if (!session->planned)
			plan_unary(session, NULL);
		start(session);
		return;
	}
	const unary_request *request = keep_request(session, message);
	if (!session->planned)
		plan_unary(session, request->response_definition);
}

static void receive_bidi(struct rpc_call *call, const void *message, void *context)
{
	(void)context;
	struct session *session = rpc_call_data_of(call);
	if (message == NULL) {
		session->received_all = true;
		go_on(session);
		return;
	}
	const bidi_request *request = keep_request(session, message);
	if (!session->planned) {
		session->full_duplex = request->full_duplex;
		plan_stream(session, request->response_definition);
		announce(session);
	}
	if (!session->full_duplex)
		return;
	rpc_call_pause(call);
	if (session->next < session->data_count)
		respond_later(session);
	else
		conclude(session);
}

static void handle_unimplemented(struct rpc_call *call, const void *message, void *context)
{
	(void)message;
	(void)context;
	rpc_call_fail(call, ERROR_UNIMPLEMENTED, NULL);
}

#define METHOD(name, ...)                                                                                                        \
	{                                                                                                                        \
		.type = &connectrpc_conformance_v1_conformance_service_##name##_method,                                          \
		.context = (void *)&connectrpc_conformance_v1_conformance_service_##name##_method, __VA_ARGS__, .wake = on_wake, \
		.canceled = on_canceled, .writable = on_writable                                                                 \
	}

static const struct rpc_method methods[] = {
	METHOD(unary, .handle = handle_unary),
	METHOD(idempotent_unary, .handle = handle_unary),
	METHOD(server_stream, .handle = handle_server_stream),
	METHOD(client_stream, .handle = handle_stream, .receive = receive_client_stream),
	METHOD(bidi_stream, .handle = handle_stream, .receive = receive_bidi),
	METHOD(unimplemented, .handle = handle_unimplemented),
};

/* --- the suite's side --- */

static bool read_all(void *data, size_t size)
{
	return fread(data, 1, size, stdin) == size;
}

static bool read_setup(struct arena *arena, struct connectrpc_conformance_v1_server_compat_request *setup)
{
	uint32_t size;
	if (!read_all(&size, sizeof size))
		return false;
	size = ntohl(size);
	void *bytes = size > SETUP_MAX_BYTES ? NULL : arena_alloc(arena, size);
	return bytes != NULL && read_all(bytes, size) &&
	       message_decode_binary(&connectrpc_conformance_v1_server_compat_request_type, slice_make(bytes, size), arena, setup,
				     NULL) == ERROR_OK;
}

static bool write_address(unsigned port, struct slice certificate)
{
	struct connectrpc_conformance_v1_server_compat_response response = {
		.host = SLICE_LITERAL("127.0.0.1"), .port = port, .pem_cert = certificate};
	struct buffer bytes;
	buffer_init(&bytes, SIZE_MAX);
	must(message_encode_binary(&connectrpc_conformance_v1_server_compat_response_type, &response, &bytes));
	uint32_t size = htonl((uint32_t)bytes.size);
	bool fine = fwrite(&size, sizeof size, 1, stdout) == 1 && fwrite(bytes.data, 1, bytes.size, stdout) == bytes.size &&
		    fflush(stdout) == 0;
	buffer_release(&bytes);
	return fine;
}

/* TLS reads files: the suite's PEM is put into one that is gone when it is read. */
static void write_file(char *path, struct slice bytes)
{
	snprintf(path, PATH_SIZE, "/tmp/conformance-XXXXXX");
	int fd = mkstemp(path);
	if (fd < 0 || write(fd, bytes.data, bytes.size) != (ssize_t)bytes.size || close(fd) != 0)
		abort();
}

static struct tls *open_tls(const struct connectrpc_conformance_v1_server_compat_request *setup)
{
	if (!setup->use_tls)
		return NULL;
	char certificate[PATH_SIZE], key[PATH_SIZE], authorities[PATH_SIZE] = "";
	struct tls *tls = NULL;
	struct error_note note = {""};
	write_file(certificate, setup->server_creds->cert);
	write_file(key, setup->server_creds->key);
	if (setup->client_tls_cert.size > 0)
		write_file(authorities, setup->client_tls_cert);
	if (tls_create(TLS_SERVER, &(struct tls_files){certificate, key, authorities}, &tls, &note) != ERROR_OK)
		fprintf(stderr, "conformance-server: %s\n", note.text);
	unlink(certificate);
	unlink(key);
	unlink(authorities);
	if (tls == NULL)
		exit(1);
	return tls;
}

int main(void)
{
	static const char *const addresses[] = {"127.0.0.1:0"};
	struct connectrpc_conformance_v1_server_compat_request setup = {0};
	struct server_config config = server_config_default();
	struct error_note note = {""};
	struct server *server;
	struct arena arena;
	sigset_t ending;
	sigemptyset(&ending);
	sigaddset(&ending, SIGTERM);
	sigaddset(&ending, SIGINT);
	pthread_sigmask(SIG_BLOCK, &ending, NULL);
	arena_init(&arena, 2 * SETUP_MAX_BYTES);
	if (!read_setup(&arena, &setup)) {
		fputs("conformance-server: stdin has no ServerCompatRequest: this program is run by connectconformance\n",
		      stderr);
		return 2;
	}
	config.addresses = addresses;
	config.address_count = 1;
	config.worker_count = 2;
	config.methods = methods;
	config.method_count = sizeof methods / sizeof methods[0];
	config.rpc.compress_min_bytes = 0;
	if (setup.message_receive_limit > 0)
		config.rpc.max_message_bytes = setup.message_receive_limit;
	config.tls = open_tls(&setup);
	if (server_start(&config, &server, &note) != ERROR_OK) {
		fprintf(stderr, "conformance-server: %s\n", note.text);
		return 1;
	}
	bool fine = write_address(server_port(server, 0), setup.use_tls ? setup.server_creds->cert : SLICE_LITERAL(""));
	arena_release(&arena);
	int signal_number;
	if (fine)
		sigwait(&ending, &signal_number);
	server_stop(server);
	server_join(server);
	server_destroy(server);
	tls_destroy(config.tls);
	return fine ? 0 : 1;
}
