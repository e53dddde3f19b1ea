#include "rpc/reflection.h"

#include <stdlib.h>

#include "grpc/reflection/v1/reflection.pb.h"

typedef struct grpc_reflection_v1_server_reflection_request reflection_request;
typedef struct grpc_reflection_v1_server_reflection_response reflection_response;
typedef struct grpc_reflection_v1_service_response service_response;

/* The numbers of the oneofs' fields. */
enum {
	ASK_FILE = 3,
	ASK_SYMBOL = 4,
	ASK_EXTENSION = 5,
	ASK_EXTENSION_NUMBERS = 6,
	ASK_SERVICES = 7,
	TELL_FILES = 4,
	TELL_EXTENSION_NUMBERS = 5,
	TELL_SERVICES = 6,
	TELL_ERROR = 7,
};

enum { OWN_METHODS = 2 };

struct rpc_reflection {
	const struct file_type **files; /* each once, imports too */
	size_t file_count;
	struct slice *services; /* their names, each once */
	size_t service_count;
	size_t method_count;
	struct rpc_method methods[];
};

/* What one question is answered with; made anew for each. */
struct answer {
	reflection_response response;
	struct grpc_reflection_v1_file_descriptor_response files;
	struct grpc_reflection_v1_extension_number_response numbers;
	struct grpc_reflection_v1_list_service_response services;
	struct grpc_reflection_v1_error_response error;
};

/* v1alpha has the same messages; its .proto would tell nothing more. */
static const struct method_type alpha_method = {
	.name = "ServerReflectionInfo",
	.path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
	.request = &grpc_reflection_v1_server_reflection_request_type,
	.response = &grpc_reflection_v1_server_reflection_response_type,
	.client_streaming = true,
	.server_streaming = true,
};

/* --- what there is --- */

static bool has_file(const struct rpc_reflection *reflection, const struct file_type *file)
{
	for (size_t i = 0; i < reflection->file_count; i++)
		if (reflection->files[i] == file)
			return true;
	return false;
}

static bool add_file(struct rpc_reflection *reflection, const struct file_type *file)
{
	if (has_file(reflection, file))
		return true;
	const struct file_type **files = realloc(reflection->files, (reflection->file_count + 1) * sizeof *files);
	if (files == NULL)
		return false;
	reflection->files = files;
	files[reflection->file_count++] = file;
	for (const struct file_type *const *import = file->imports; *import != NULL; import++)
		if (!add_file(reflection, *import))
			return false;
	return true;
}

/* "/ping.v1.PingService/Ping" → "ping.v1.PingService" */
static struct slice service_of(const struct method_type *type)
{
	const char *name = type->path + 1;
	return slice_make(name, (size_t)(strrchr(name, '/') - name));
}

static bool add_service(struct rpc_reflection *reflection, struct slice name)
{
	for (size_t i = 0; i < reflection->service_count; i++)
		if (slice_equal(reflection->services[i], name))
			return true;
	struct slice *services = realloc(reflection->services, (reflection->service_count + 1) * sizeof *services);
	if (services == NULL)
		return false;
	reflection->services = services;
	services[reflection->service_count++] = name;
	return true;
}

static const struct file_type *find_file(const struct rpc_reflection *reflection, struct slice name)
{
	for (size_t i = 0; i < reflection->file_count; i++)
		if (slice_equal_string(name, reflection->files[i]->name))
			return reflection->files[i];
	return NULL;
}

static const struct file_type *find_symbol(const struct rpc_reflection *reflection, struct slice name)
{
	for (size_t i = 0; i < reflection->file_count; i++)
		for (const char *const *symbol = reflection->files[i]->symbols; *symbol != NULL; symbol++)
			if (slice_equal_string(name, *symbol))
				return reflection->files[i];
	return NULL;
}

/* --- questions and answers --- */

static void answer_error(struct answer *answer, const char *message)
{
	answer->error = (struct grpc_reflection_v1_error_response){
		.error_code = (int32_t)error_grpc_code(ERROR_NOT_FOUND),
		.error_message = slice_from_string(message),
	};
	answer->response.which_message_response = TELL_ERROR;
	answer->response.message_response.error_response = &answer->error;
}

/* The file and all that it imports, however deep. */
static size_t collect(const struct file_type *file, struct slice *descriptors, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (descriptors[i].data == file->descriptor.data)
			return count;
	descriptors[count++] = file->descriptor;
	for (const struct file_type *const *import = file->imports; *import != NULL; import++)
		count = collect(*import, descriptors, count);
	return count;
}

static void answer_file(const struct rpc_reflection *reflection, struct arena *arena, const struct file_type *file,
			struct answer *answer)
{
	struct slice *descriptors = file == NULL ? NULL : arena_alloc_array(arena, reflection->file_count, sizeof *descriptors);
	if (descriptors == NULL) {
		answer_error(answer, file == NULL ? "there is no such file or symbol here" : "out of memory");
		return;
	}
	answer->files.file_descriptor_proto.items = descriptors;
	answer->files.file_descriptor_proto.count = collect(file, descriptors, 0);
	answer->response.which_message_response = TELL_FILES;
	answer->response.message_response.file_descriptor_response = &answer->files;
}

static void answer_services(const struct rpc_reflection *reflection, struct arena *arena, struct answer *answer)
{
	service_response *services = arena_alloc_array(arena, reflection->service_count, sizeof *services);
	if (services == NULL) {
		answer_error(answer, "out of memory");
		return;
	}
	for (size_t i = 0; i < reflection->service_count; i++)
		services[i] = (service_response){.name = reflection->services[i]};
	answer->services.service.items = services;
	answer->services.service.count = reflection->service_count;
	answer->response.which_message_response = TELL_SERVICES;
	answer->response.message_response.list_services_response = &answer->services;
}

/* proto3 has no extensions but for options, and none are made here. */
static void answer_numbers(const struct rpc_reflection *reflection, struct slice type, struct answer *answer)
{
	if (find_symbol(reflection, type) == NULL) {
		answer_error(answer, "there is no such message here");
		return;
	}
	answer->numbers.base_type_name = type;
	answer->response.which_message_response = TELL_EXTENSION_NUMBERS;
	answer->response.message_response.all_extension_numbers_response = &answer->numbers;
}

static void make_answer(const struct rpc_reflection *reflection, struct arena *arena, const reflection_request *request,
			struct answer *answer)
{
	*answer = (struct answer){.response = {.valid_host = request->host}};
	answer->response.original_request = (reflection_request *)(uintptr_t)request;
	switch (request->which_message_request) {
	case ASK_FILE:
		answer_file(reflection, arena, find_file(reflection, request->message_request.file_by_filename), answer);
		break;
	case ASK_SYMBOL:
		answer_file(reflection, arena, find_symbol(reflection, request->message_request.file_containing_symbol), answer);
		break;
	case ASK_EXTENSION:
		answer_error(answer, "there are no extensions here");
		break;
	case ASK_EXTENSION_NUMBERS:
		answer_numbers(reflection, request->message_request.all_extension_numbers_of_type, answer);
		break;
	case ASK_SERVICES:
		answer_services(reflection, arena, answer);
		break;
	default:
		answer_error(answer, "this question is not known here");
		break;
	}
}

/* --- the method --- */

static void handle(struct rpc_call *call, const void *request, void *context)
{
	(void)call;
	(void)request;
	(void)context;
}

static void receive(struct rpc_call *call, const void *message, void *context)
{
	if (message == NULL) {
		rpc_call_finish(call);
		return;
	}
	struct answer answer;
	struct arena arena; /* the call's would grow with each question of a stream without end */
	arena_init(&arena, SIZE_MAX);
	make_answer(context, &arena, message, &answer);
	bool room = rpc_call_send(call, &answer.response);
	arena_release(&arena);
	if (rpc_call_canceled(call))
		rpc_call_fail(call, ERROR_CANCELED, NULL);
	else if (!room)
		rpc_call_pause(call);
}

static void writable(struct rpc_call *call, void *context)
{
	(void)context;
	rpc_call_resume(call);
}

static void canceled(struct rpc_call *call, void *context)
{
	(void)context;
	rpc_call_fail(call, ERROR_CANCELED, NULL);
}

enum error rpc_reflection_create(const struct rpc_method *methods, size_t count, struct rpc_reflection **ret_reflection)
{
	static const struct method_type *const own[OWN_METHODS] = {
		&grpc_reflection_v1_server_reflection_server_reflection_info_method, &alpha_method};
	struct rpc_reflection *reflection = calloc(1, sizeof *reflection + (count + OWN_METHODS) * sizeof *methods);
	if (reflection == NULL)
		return ERROR_NO_MEMORY;
	if (count > 0)
		memcpy(reflection->methods, methods, count * sizeof *methods);
	for (size_t i = 0; i < OWN_METHODS; i++)
		reflection->methods[count + i] = (struct rpc_method){
			.type = own[i],
			.handle = handle,
			.receive = receive,
			.writable = writable,
			.canceled = canceled,
			.context = reflection,
		};
	reflection->method_count = count + OWN_METHODS;
	for (size_t i = 0; i < reflection->method_count; i++) {
		const struct method_type *type = reflection->methods[i].type;
		if (type->file != NULL && (!add_file(reflection, type->file) || !add_service(reflection, service_of(type)))) {
			rpc_reflection_destroy(reflection);
			return ERROR_NO_MEMORY;
		}
	}
	*ret_reflection = reflection;
	return ERROR_OK;
}

void rpc_reflection_destroy(struct rpc_reflection *reflection)
{
	if (reflection == NULL)
		return;
	free(reflection->files);
	free(reflection->services);
	free(reflection);
}

const struct rpc_method *rpc_reflection_methods(const struct rpc_reflection *reflection, size_t *ret_count)
{
	*ret_count = reflection->method_count;
	return reflection->methods;
}
