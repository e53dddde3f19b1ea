/* What the publishers of a process make of its health: three dependencies, each well while nobody is in trouble with it, degraded
 * while some are and another is well, down while none is well (be it that each is in trouble with something else: nobody would
 * take a ping), or while it was not even prepared.
 *
 *   dependency        whose trouble counts                                     required
 *   ledger            publishers                                               yes
 *   log               publishers; with an outbox the carriers                  not with an outbox
 *   publisher-slots   publishers (not there under `ordered`, which has none)   yes
 *
 * Any thread.
 */
#ifndef PING_APP_PUBLISHERS_HEALTH_H
#define PING_APP_PUBLISHERS_HEALTH_H

#include "ingest/publisher.h"
#include "service/health.h"

struct publishers_health;

enum publishers_role { PUBLISHERS_TAKER, PUBLISHERS_CARRIER, PUBLISHERS_RESCUER };
enum publishers_part { PUBLISHERS_LEDGER, PUBLISHERS_LOG, PUBLISHERS_SLOTS, PUBLISHERS_PART_COUNT };

/* "publisher", "carrier", "rescuer". Static. */
const char *publishers_role_text(enum publishers_role role);

struct publishers_health_config {
	enum publisher_mode mode;
	int64_t slots;			   /* as configured: of all processes together */
	const enum publishers_role *roles; /* of each member; copied */
	size_t count;
};

/* Adds the dependencies; all begin as down. The health must outlive it. NO_MEMORY, RESOURCE_EXHAUSTED. */
enum error publishers_health_create(const struct publishers_health_config *config, struct health *health,
				    struct publishers_health **ret_health);
void publishers_health_destroy(struct publishers_health *health);

/* Ledger and log begin as not prepared: why. */
void publishers_health_wait(struct publishers_health *health, enum publishers_part part, const char *text);
void publishers_health_prepared(struct publishers_health *health, enum publishers_part part);
/* After a member's step. failed_in: the state in which an attempt of that step failed; NULL: none did. */
void publishers_health_note(struct publishers_health *health, size_t member, const struct publisher_status *status,
			    const enum publisher_state *failed_in);

#endif
