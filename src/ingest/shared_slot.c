#include "ingest/shared_slot.h"

#include "ingest/wait.h"

bool shared_slot_init(struct shared_slot *shared)
{
	*shared = (struct shared_slot){.view.slot.slot = PUBLISH_NO_SLOT};
	if (!wait_init(&shared->changed))
		return false;
	if (pthread_mutex_init(&shared->mutex, NULL) == 0)
		return true;
	pthread_cond_destroy(&shared->changed);
	return false;
}

void shared_slot_release(struct shared_slot *shared)
{
	pthread_mutex_destroy(&shared->mutex);
	pthread_cond_destroy(&shared->changed);
}

bool shared_slot_enter(struct shared_slot *shared, bool carrier, struct shared_view *ret_view)
{
	pthread_mutex_lock(&shared->mutex);
	bool entered = !shared->inside && (carrier || !shared->wanted);
	if (entered) {
		shared->inside = true;
		*ret_view = shared->view;
	}
	if (carrier)
		shared->wanted = !entered;
	pthread_mutex_unlock(&shared->mutex);
	return entered;
}

void shared_slot_leave_front(struct shared_slot *shared, const struct publish_slot *slot, uint64_t ownership, bool for_good)
{
	pthread_mutex_lock(&shared->mutex);
	struct shared_view *view = &shared->view;
	bool changed = slot->batch_seq != view->slot.batch_seq || slot->slot != view->slot.slot || for_good != view->front_left;
	if (ownership != view->ownership) {
		*view = (struct shared_view){.ownership = ownership};
		changed = true;
	}
	view->slot = *slot;
	view->front_left = for_good;
	shared->inside = false;
	shared->version += changed;
	if (changed)
		pthread_cond_signal(&shared->changed);
	pthread_mutex_unlock(&shared->mutex);
}

void shared_slot_leave_carrier(struct shared_slot *shared, const struct publish_slot *slot, bool lost)
{
	pthread_mutex_lock(&shared->mutex);
	shared->view.slot = *slot;
	shared->view.lost = lost;
	shared->inside = false;
	pthread_mutex_unlock(&shared->mutex);
}

struct shared_view shared_slot_look(struct shared_slot *shared, uint64_t *ret_version)
{
	pthread_mutex_lock(&shared->mutex);
	struct shared_view view = shared->view;
	*ret_version = shared->version;
	pthread_mutex_unlock(&shared->mutex);
	return view;
}

void shared_slot_tell_newest(struct shared_slot *shared, uint64_t ownership, int64_t newest)
{
	pthread_mutex_lock(&shared->mutex);
	if (shared->view.ownership == ownership) {
		shared->view.newest_known = true;
		shared->view.newest = newest;
		shared->view.trouble = ERROR_OK;
	}
	pthread_mutex_unlock(&shared->mutex);
}

void shared_slot_tell_trouble(struct shared_slot *shared, enum error error, const struct error_note *note)
{
	pthread_mutex_lock(&shared->mutex);
	shared->view.trouble = error;
	shared->view.note = *note;
	pthread_mutex_unlock(&shared->mutex);
}

void shared_slot_wait(struct shared_slot *shared, uint64_t version, int timeout_ms)
{
	struct timespec deadline = wait_deadline(timeout_ms);
	int result = 0;
	pthread_mutex_lock(&shared->mutex);
	while (result == 0 && shared->version == version)
		result = pthread_cond_timedwait(&shared->changed, &shared->mutex, &deadline);
	pthread_mutex_unlock(&shared->mutex);
}
