#include "app/ledger_retention.h"

#include "base/log.h"
#include "ingest/wait.h"

#include <stdlib.h>

enum {
	ROUND_MS = 3600000,
	AGAIN_MS = 60000, /* after one that failed */
};

struct ledger_retention {
	const struct pingd_config *config;
	pthread_t thread;
	pthread_mutex_t mutex; /* guards the following */
	pthread_cond_t changed;
	bool stopping;
};

static bool is_stopping(struct ledger_retention *retention)
{
	pthread_mutex_lock(&retention->mutex);
	bool stopping = retention->stopping;
	pthread_mutex_unlock(&retention->mutex);
	return stopping;
}

static bool on_day(void *context, const struct ledger_day *day)
{
	if (day->waiting > 0)
		log_event(LOG_WARN, "a day past the ledger's retention stays: not all of it is in the log yet",
			  log_text("day", day->text), log_int("pings", day->pings), log_int("waiting", day->waiting));
	else
		log_event(LOG_INFO, "a day past the ledger's retention was dropped; its sums are kept",
			  log_text("day", day->text), log_int("pings", day->pings));
	return !is_stopping(context);
}

/* False: it is to stop. */
static bool sleep_ms(struct ledger_retention *retention, int timeout_ms)
{
	struct timespec deadline = wait_deadline(timeout_ms);
	int result = 0;
	pthread_mutex_lock(&retention->mutex);
	while (result == 0 && !retention->stopping)
		result = pthread_cond_timedwait(&retention->changed, &retention->mutex, &deadline);
	bool stopping = retention->stopping;
	pthread_mutex_unlock(&retention->mutex);
	return !stopping;
}

static void *retention_main(void *context)
{
	struct ledger_retention *retention = context;
	enum error error;
	do {
		struct error_note note = {0};
		error = backend_drop_ledger_days(retention->config, on_day, retention, &note);
		if (error != ERROR_OK)
			log_limited(LOG_WARN, "days past the ledger's retention could not be dropped", log_error(error),
				    log_text("detail", note.text[0] != 0 ? note.text : error_text(error)));
	} while (sleep_ms(retention, error == ERROR_OK ? ROUND_MS : AGAIN_MS));
	return NULL;
}

enum error ledger_retention_start(const struct pingd_config *config, struct ledger_retention **ret_retention)
{
	*ret_retention = NULL;
	if (config->ledger_retention_ms == 0 || config->backends.ledger != PINGD_BACKEND_POSTGRES || !config->role_api)
		return ERROR_OK;
	struct ledger_retention *retention = calloc(1, sizeof *retention);
	if (retention == NULL)
		return ERROR_NO_MEMORY;
	retention->config = config;
	bool made = wait_init(&retention->changed) && pthread_mutex_init(&retention->mutex, NULL) == 0;
	if (!made || pthread_create(&retention->thread, NULL, retention_main, retention) != 0) {
		free(retention);
		return made ? ERROR_RESOURCE_EXHAUSTED : ERROR_NO_MEMORY;
	}
	*ret_retention = retention;
	return ERROR_OK;
}

void ledger_retention_stop(struct ledger_retention *retention)
{
	if (retention == NULL)
		return;
	pthread_mutex_lock(&retention->mutex);
	retention->stopping = true;
	pthread_mutex_unlock(&retention->mutex);
	pthread_cond_broadcast(&retention->changed);
	pthread_join(retention->thread, NULL);
	pthread_mutex_destroy(&retention->mutex);
	pthread_cond_destroy(&retention->changed);
	free(retention);
}
