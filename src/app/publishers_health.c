#include "app/publishers_health.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
	const char *name;
} parts[] = {[PUBLISHERS_LEDGER] = {"ledger"}, [PUBLISHERS_LOG] = {"log"}, [PUBLISHERS_SLOTS] = {"publisher-slots"}};

enum trouble { TROUBLE_NONE, TROUBLE_LEDGER, TROUBLE_LOG, TROUBLE_SLOTS, TROUBLE_STARTING };

struct member {
	enum publishers_role role;
	enum trouble trouble; /* as of the last step */
	char text[HEALTH_DETAIL_SIZE];
};

struct publishers_health {
	struct health *health;
	enum publisher_mode mode;
	int64_t slots;
	pthread_mutex_t lock; /* guards the following */
	bool prepared[PUBLISHERS_PART_COUNT];
	size_t count;
	struct member members[];
};

const char *publishers_role_text(enum publishers_role role)
{
	static const char *const texts[] = {
		[PUBLISHERS_TAKER] = "publisher", [PUBLISHERS_CARRIER] = "carrier", [PUBLISHERS_RESCUER] = "rescuer"};
	return texts[role];
}

static enum error add_dependencies(struct publishers_health *self)
{
	enum error error = health_add(self->health, parts[PUBLISHERS_LEDGER].name, true);
	/* Who answers only when the log has it can't do without; an outbox can. */
	if (error == ERROR_OK)
		error = health_add(self->health, parts[PUBLISHERS_LOG].name, self->mode != PUBLISHER_OUTBOX);
	if (error == ERROR_OK && self->mode != PUBLISHER_ORDERED)
		error = health_add(self->health, parts[PUBLISHERS_SLOTS].name, true);
	return error;
}

enum error publishers_health_create(const struct publishers_health_config *config, struct health *health,
				    struct publishers_health **ret_health)
{
	struct publishers_health *self = calloc(1, sizeof *self + config->count * sizeof self->members[0]);
	if (self == NULL)
		return ERROR_NO_MEMORY;
	self->health = health;
	self->mode = config->mode;
	self->slots = config->slots;
	self->prepared[PUBLISHERS_SLOTS] = true;
	self->count = config->count;
	for (size_t i = 0; i < config->count; i++)
		self->members[i] = (struct member){.role = config->roles[i], .trouble = TROUBLE_STARTING, .text = "starting"};
	pthread_mutex_init(&self->lock, NULL);
	enum error error = add_dependencies(self);
	if (error != ERROR_OK) {
		publishers_health_destroy(self);
		return error;
	}
	*ret_health = self;
	return ERROR_OK;
}

void publishers_health_destroy(struct publishers_health *health)
{
	if (health == NULL)
		return;
	pthread_mutex_destroy(&health->lock);
	free(health);
}

/* Which of the two the publisher was talking to when it failed, or that there is no place for it. */
static enum trouble trouble_in(enum publisher_state state, enum error error)
{
	switch (state) {
	case PUBLISHER_TAKING:
		return error == ERROR_RESOURCE_EXHAUSTED ? TROUBLE_SLOTS : TROUBLE_LEDGER;
	case PUBLISHER_FENCING:
	case PUBLISHER_LOOKING:
	case PUBLISHER_VERIFYING:
	case PUBLISHER_REPRODUCING:
	case PUBLISHER_REPUBLISHING:
	case PUBLISHER_PRODUCING:
	case PUBLISHER_PUBLISHING:
	case PUBLISHER_ABORTING:
		return TROUBLE_LOG;
	default:
		return TROUBLE_LEDGER;
	}
}

/* Whether the part is a matter of the member's at all. */
static bool counts(const struct publishers_health *self, const struct member *member, enum publishers_part part)
{
	bool outbox = self->mode == PUBLISHER_OUTBOX;
	return member->role == (part == PUBLISHERS_LOG && outbox ? PUBLISHERS_CARRIER : PUBLISHERS_TAKER);
}

static bool is_troubled(const struct publishers_health *self, const struct member *member, enum publishers_part part)
{
	bool outbox = self->mode == PUBLISHER_OUTBOX;
	switch (member->trouble) {
	case TROUBLE_NONE:
		return false;
	case TROUBLE_STARTING: /* what it waits for says so itself */
		return part == (self->mode == PUBLISHER_ORDERED ? PUBLISHERS_LOG : PUBLISHERS_SLOTS);
	case TROUBLE_LEDGER:
		return part == PUBLISHERS_LEDGER;
	case TROUBLE_LOG: /* what takes an outbox's pings needs the log for a slot's first record alone */
		return part == (outbox && member->role == PUBLISHERS_TAKER ? PUBLISHERS_SLOTS : PUBLISHERS_LOG);
	case TROUBLE_SLOTS:
		return part == PUBLISHERS_SLOTS;
	}
	return false;
}

/* Under the lock. */
static void set_part(struct publishers_health *self, enum publishers_part part)
{
	size_t troubled = 0, well = 0;
	const char *text = NULL;
	for (size_t i = 0; i < self->count; i++) {
		const struct member *member = &self->members[i];
		if (!counts(self, member, part))
			continue;
		well += member->trouble == TROUBLE_NONE;
		if (is_troubled(self, member, part)) {
			troubled++;
			text = member->text;
		}
	}
	health_set(self->health, parts[part].name, troubled == 0 ? HEALTH_OK : well == 0 ? HEALTH_DOWN : HEALTH_DEGRADED, text);
}

static void set_all(struct publishers_health *self)
{
	for (enum publishers_part part = 0; part < PUBLISHERS_PART_COUNT; part++)
		if (self->prepared[part])
			set_part(self, part);
}

void publishers_health_wait(struct publishers_health *health, enum publishers_part part, const char *text)
{
	pthread_mutex_lock(&health->lock);
	health->prepared[part] = false;
	health_set(health->health, parts[part].name, HEALTH_DOWN, text);
	pthread_mutex_unlock(&health->lock);
}

void publishers_health_prepared(struct publishers_health *health, enum publishers_part part)
{
	pthread_mutex_lock(&health->lock);
	health->prepared[part] = true;
	set_part(health, part);
	pthread_mutex_unlock(&health->lock);
}

static void write_text(const struct publishers_health *self, struct member *member, const struct publisher_status *status)
{
	if (member->trouble == TROUBLE_SLOTS)
		snprintf(member->text, sizeof member->text,
			 "each of the %lld publisher slots is held by another process: raise publisher-slots (everywhere), lower "
			 "publishers, or run fewer processes; a dead one's are free after 10 s",
			 (long long)self->slots);
	else if (member->trouble == TROUBLE_LOG && self->mode == PUBLISHER_OUTBOX && member->role == PUBLISHERS_TAKER)
		snprintf(member->text, sizeof member->text, "a publisher slot's first use needs the log: %.200s",
			 status->error_text);
	else
		snprintf(member->text, sizeof member->text, "%s", status->error_text);
}

void publishers_health_note(struct publishers_health *health, size_t number, const struct publisher_status *status,
			    const enum publisher_state *failed_in)
{
	struct member *member = &health->members[number];
	/* On the way to being ready what was known last still stands. */
	bool well = status->ready || (member->role == PUBLISHERS_CARRIER && status->error == ERROR_OK);
	pthread_mutex_lock(&health->lock);
	if (failed_in != NULL && status->error != ERROR_OK) {
		member->trouble = trouble_in(*failed_in, status->error);
		write_text(health, member, status);
		set_all(health);
	} else if (well && member->trouble != TROUBLE_NONE) {
		member->trouble = TROUBLE_NONE;
		set_all(health);
	}
	pthread_mutex_unlock(&health->lock);
}
