#include "service/health.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

struct health {
	struct clock *clock;
	pthread_mutex_t mutex; /* guards the following */
	struct health_dependency dependencies[HEALTH_MAX_DEPENDENCIES];
	size_t count;
	bool draining;
};

static const char *const state_names[] = {[HEALTH_OK] = "ok", [HEALTH_DEGRADED] = "degraded", [HEALTH_DOWN] = "down"};

enum error health_create(struct clock *clock, struct health **ret_health)
{
	struct health *health = calloc(1, sizeof *health);
	if (health == NULL)
		return ERROR_NO_MEMORY;
	health->clock = clock;
	if (pthread_mutex_init(&health->mutex, NULL) != 0) {
		free(health);
		return ERROR_NO_MEMORY;
	}
	*ret_health = health;
	return ERROR_OK;
}

void health_destroy(struct health *health)
{
	if (health == NULL)
		return;
	pthread_mutex_destroy(&health->mutex);
	free(health);
}

/* Details come from files and servers; JSON and protobuf both want valid UTF-8. */
static void set_detail(struct health_dependency *dependency, const char *detail)
{
	size_t size = 0;
	for (; detail != NULL && detail[size] != '\0' && size < HEALTH_DETAIL_SIZE - 1; size++)
		dependency->detail[size] = detail[size] >= ' ' && detail[size] <= '~' ? detail[size] : '?';
	dependency->detail[size] = '\0';
}

enum error health_add(struct health *health, const char *name, bool required)
{
	int64_t now_ms = clock_wall_ms(health->clock);
	enum error error = ERROR_RESOURCE_EXHAUSTED;
	pthread_mutex_lock(&health->mutex);
	if (health->count < HEALTH_MAX_DEPENDENCIES) {
		struct health_dependency *added = &health->dependencies[health->count++];
		*added = (struct health_dependency){.name = name, .required = required, .state = HEALTH_DOWN, .since_ms = now_ms};
		set_detail(added, "starting");
		error = ERROR_OK;
	}
	pthread_mutex_unlock(&health->mutex);
	return error;
}

void health_set(struct health *health, const char *name, enum health_state state, const char *detail)
{
	int64_t now_ms = clock_wall_ms(health->clock);
	pthread_mutex_lock(&health->mutex);
	for (size_t i = 0; i < health->count; i++) {
		struct health_dependency *dependency = &health->dependencies[i];
		if (strcmp(dependency->name, name) != 0)
			continue;
		if (dependency->state != state)
			dependency->since_ms = now_ms;
		dependency->state = state;
		set_detail(dependency, detail);
	}
	pthread_mutex_unlock(&health->mutex);
}

void health_drain(struct health *health)
{
	pthread_mutex_lock(&health->mutex);
	health->draining = true;
	pthread_mutex_unlock(&health->mutex);
}

bool health_is_draining(struct health *health)
{
	pthread_mutex_lock(&health->mutex);
	bool draining = health->draining;
	pthread_mutex_unlock(&health->mutex);
	return draining;
}

bool health_serves(struct health *health, const char *dependency)
{
	pthread_mutex_lock(&health->mutex);
	bool serves = !health->draining, found = dependency == NULL;
	for (size_t i = 0; i < health->count; i++) {
		bool asked = dependency != NULL && strcmp(health->dependencies[i].name, dependency) == 0;
		found = found || asked;
		if (health->dependencies[i].state == HEALTH_DOWN && (asked || health->dependencies[i].required))
			serves = false;
	}
	pthread_mutex_unlock(&health->mutex);
	return serves && found;
}

size_t health_snapshot(struct health *health, struct health_dependency ret_dependencies[HEALTH_MAX_DEPENDENCIES])
{
	pthread_mutex_lock(&health->mutex);
	size_t count = health->count;
	memcpy(ret_dependencies, health->dependencies, count * sizeof *ret_dependencies);
	pthread_mutex_unlock(&health->mutex);
	return count;
}

static enum error append_dependency(struct buffer *output, const struct health_dependency *dependency)
{
	enum error error =
		buffer_append_format(output, "{\"name\":\"%s\",\"state\":\"%s\",\"since_ms\":%" PRId64 ",\"detail\":\"",
				     dependency->name, state_names[dependency->state], dependency->since_ms);
	/* Printable ASCII: only these two need an escape. */
	for (const char *next = dependency->detail; *next != '\0' && error == ERROR_OK; next++) {
		if (*next == '"' || *next == '\\')
			error = buffer_append_byte(output, '\\');
		if (error == ERROR_OK)
			error = buffer_append_byte(output, (uint8_t)*next);
	}
	return error != ERROR_OK ? error : buffer_append_string(output, "\"}");
}

enum error health_render_json(struct health *health, struct buffer *output, unsigned *ret_http_status)
{
	struct health_dependency dependencies[HEALTH_MAX_DEPENDENCIES];
	size_t count = health_snapshot(health, dependencies);
	bool draining = health_is_draining(health), serving = !draining, degraded = false;
	for (size_t i = 0; i < count; i++) {
		serving = serving && !(dependencies[i].required && dependencies[i].state == HEALTH_DOWN);
		degraded = degraded || dependencies[i].state != HEALTH_OK;
	}
	enum error error = buffer_append_format(output, "{\"status\":\"%s\",\"dependencies\":[",
						draining   ? "draining"
						: !serving ? "unavailable"
						: degraded ? "degraded"
							   : "ok");
	for (size_t i = 0; i < count && error == ERROR_OK; i++) {
		error = buffer_append_string(output, i == 0 ? "\n" : ",\n");
		if (error == ERROR_OK)
			error = append_dependency(output, &dependencies[i]);
	}
	if (error == ERROR_OK)
		error = buffer_append_string(output, "\n]}\n");
	if (error == ERROR_OK)
		*ret_http_status = serving ? 200 : 503;
	return error;
}
