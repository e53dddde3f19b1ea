/* pingd: reads its settings, puts the parts together, serves until it is told to stop. */
#include "app/pages.h"
#include "app/pingd_settings.h"
#include "app/pipeline.h"
#include "app/standard_files.h"
#include "app/telemetry.h"
#include "base/log.h"
#include "net/server.h"
#include "rpc/reflection.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { EXIT_CODE_FAILURE = 1, EXIT_CODE_USAGE = 2 };
enum { TLS_LOOK_S = 1 }; /* how often the certificates' files are looked at */

struct pingd {
	const struct pingd_config *config;
	struct telemetry *telemetry;
	struct pipeline *pipeline;
	struct server *server;
	struct pages pages;
	struct tls *tls; /* NULL: none */
	struct rpc_reflection *reflection;
	pthread_mutex_t lock; /* guards the following */
	enum error failed;    /* why it cannot go on; OK: it can */
	struct error_note why;
};

/* From any thread. Ends the process as a signal would. */
static void on_failed(void *context, enum error error, const struct error_note *note)
{
	struct pingd *pingd = context;
	pthread_mutex_lock(&pingd->lock);
	pingd->failed = error;
	pingd->why = *note;
	pthread_mutex_unlock(&pingd->lock);
	kill(getpid(), SIGTERM);
}

static enum error failure(struct pingd *pingd, struct error_note *ret_note)
{
	pthread_mutex_lock(&pingd->lock);
	enum error error = pingd->failed;
	*ret_note = pingd->why;
	pthread_mutex_unlock(&pingd->lock);
	return error;
}

static void configure_log(const struct pingd_config *config)
{
	const struct log_config log = {
		.format = (enum log_format)config->log_format,
		.level = (enum log_level)config->log_level,
		.clock = clock_system(),
		.fd = STDERR_FILENO,
	};
	log_configure(&log);
}

/* For sigwait: from here on no thread is interrupted. */
static void block_signals(sigset_t *ret_stop, bool reloads)
{
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(ret_stop);
	sigaddset(ret_stop, SIGTERM);
	sigaddset(ret_stop, SIGINT);
	pthread_sigmask(SIG_BLOCK, ret_stop, NULL);
	sigset_t reload;
	sigemptyset(&reload);
	sigaddset(&reload, SIGHUP);
	if (reloads)
		pthread_sigmask(SIG_BLOCK, &reload, NULL);
}

/* A connection is a file descriptor; the rest is for files and epoll. Where fewer are allowed there are fewer connections: they
 * must not take the files that queries open. */
static void raise_file_limit(struct pingd_config *config)
{
	enum { OTHER_FILES = 256 };
	struct rlimit limit;
	rlim_t wanted = (rlim_t)config->max_connections + OTHER_FILES;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= wanted)
		return;
	rlim_t spared = limit.rlim_cur / 2 < OTHER_FILES ? limit.rlim_cur / 2 : OTHER_FILES;
	config->max_connections = (int64_t)(limit.rlim_cur - spared);
	log_event(LOG_WARN, "fewer files allowed than max-connections needs", log_int("allowed", (int64_t)limit.rlim_cur),
		  log_int("wanted", (int64_t)wanted), log_int("max_connections", config->max_connections));
}

static struct server_config server_config_from(const struct pingd_config *config, struct pingd *pingd)
{
	struct server_config server = server_config_default();
	server.addresses = config->addresses;
	server.address_count = config->endpoint_count;
	server.plain_count = config->listen_plain.count;
	server.worker_count = (unsigned)config->threads;
	server.rpc.max_message_bytes = (size_t)config->max_body_bytes;
	server.rpc.default_timeout_ms = config->default_timeout_ms;
	server.rpc.max_timeout_ms = config->max_timeout_ms;
	server.methods = rpc_reflection_methods(pingd->reflection, &server.method_count);
	server.tls = pingd->tls;
	server.routes = pingd->pages.routes;
	server.route_count = pingd->pages.count;
	server.cors = (struct cors){config->cors_origins.items, config->cors_origins.count};
	server.trusted_proxies = config->proxies;
	server.trusted_proxy_count = config->proxy_count;
	server.max_connections = (unsigned)config->max_connections;
	server.max_connections_per_address = (unsigned)config->max_connections_per_address;
	server.max_streams = (unsigned)config->max_streams;
	server.max_held_bytes = (size_t)config->max_held_bytes;
	server.header_timeout_ms = config->header_timeout_ms;
	server.body_timeout_ms = config->body_timeout_ms;
	server.idle_timeout_ms = config->idle_timeout_ms;
	server.write_timeout_ms = config->write_timeout_ms;
	return server;
}

static enum error open_tls(struct pingd *pingd, struct error_note *note)
{
	const struct pingd_config *config = pingd->config;
	const struct tls_files files = {config->tls_certificate, config->tls_key, config->tls_client_ca};
	if (*config->tls_certificate == 0)
		return ERROR_OK;
	return tls_create(TLS_SERVER, &files, &pingd->tls, note);
}

/* The methods, and the one that tells of them. */
static enum error open_reflection(struct pingd *pingd)
{
	size_t count;
	const struct rpc_method *methods = service_methods(pipeline_service(pingd->pipeline), &count);
	return rpc_reflection_create(methods, count, &pingd->reflection);
}

static void on_batch(void *context, size_t pings, int64_t took_us, enum error error)
{
	telemetry_batch(((struct pingd *)context)->telemetry, pings, took_us, error);
}

static void on_call(void *context, enum timed_call call, size_t rows, int64_t took_us, enum error error)
{
	telemetry_call(((struct pingd *)context)->telemetry, call, rows, took_us, error);
}

static void on_store_call(void *context, enum store_call call, size_t rows, int64_t took_us, enum error error)
{
	telemetry_store_call(((struct pingd *)context)->telemetry, call, rows, took_us, error);
}

static enum error start(struct pingd *pingd, struct error_note *note)
{
	enum error error = telemetry_create(pingd->config, &pingd->telemetry, note);
	if (error == ERROR_OK)
		error = open_tls(pingd, note);
	if (error != ERROR_OK)
		return error;
	if (pingd->tls != NULL)
		telemetry_watch_tls(pingd->telemetry, pingd->tls);
	const struct pipeline_observer observer = {on_batch, on_call, on_store_call, on_failed, pingd};
	error = pipeline_start(pingd->config, &observer, &pingd->pipeline, note);
	if (error != ERROR_OK)
		return error;
	pages_init(&pingd->pages, pipeline_health(pingd->pipeline), pingd->telemetry, pingd->config->role_api);
	telemetry_watch_pipeline(pingd->telemetry, pingd->pipeline);
	error = open_reflection(pingd);
	if (error != ERROR_OK)
		return error;
	struct server_config config = server_config_from(pingd->config, pingd);
	error = telemetry_watch_calls(pingd->telemetry, config.methods, config.method_count, note);
	config.rpc.finished = server_metrics_finished;
	config.rpc.context = telemetry_server(pingd->telemetry);
	if (error == ERROR_OK)
		error = server_start(&config, &pingd->server, note);
	if (error == ERROR_OK)
		server_metrics_watch(telemetry_server(pingd->telemetry), pingd->server);
	return error;
}

static void tell_addresses(const struct pingd *pingd)
{
	for (size_t i = 0; i < pingd->config->endpoint_count; i++) {
		char host[ADDRESS_TEXT_SIZE], text[ADDRESS_TEXT_SIZE + 16];
		const struct address *address = &pingd->config->endpoints[i].address;
		address_format(address, host);
		snprintf(text, sizeof text, address_is_ipv4(address) ? "%s:%u" : "[%s]:%u", host, server_port(pingd->server, i));
		log_event(LOG_INFO, "listening", log_text("address", text), log_text("data_dir", pingd->config->data_dir),
			  log_text("tls", pingd->tls != NULL && i < pingd->config->listen.count ? "yes" : "no"),
			  log_text("version", PING_VERSION));
	}
}

/* For who reads the log in a terminal: the page of the first address. All addresses are not one that a browser can open. */
static void tell_dashboard(const struct pingd *pingd)
{
	char host[ADDRESS_TEXT_SIZE], url[ADDRESS_TEXT_SIZE + 32];
	const struct address *address = &pingd->config->endpoints[0].address;
	if (!pingd->config->role_api)
		return;
	address_format(address, host);
	bool any = strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
	bool tls = pingd->tls != NULL && pingd->config->listen.count > 0;
	snprintf(url, sizeof url, any || address_is_ipv4(address) ? "http%s://%s:%u/" : "http%s://[%s]:%u/", tls ? "s" : "",
		 any ? "localhost" : host, server_port(pingd->server, 0));
	log_event(LOG_INFO, "open the dashboard in a browser", log_text("url", url));
}

/* A second signal ends the process where it is: nothing acknowledged is lost by that either. */
static void *exit_on_second_signal(void *context)
{
	int number;
	sigwait(context, &number);
	log_event(LOG_WARN, "told to stop twice: ending at once");
	_exit(EXIT_CODE_FAILURE);
}

static void reload_tls(struct pingd *pingd)
{
	struct error_note note = {0};
	enum error error = tls_reload(pingd->tls, &note);
	if (error == ERROR_OK)
		log_event(LOG_INFO, "certificates read again", log_int("expires_s", tls_stats(pingd->tls).expires_s));
	else
		log_event(LOG_ERROR, "new certificates are not used; the old ones stay", log_error(error),
			  log_text("detail", *note.text == 0 ? error_text(error) : note.text));
}

/* Returns the signal. Meanwhile certificates are read again when they are to be. */
static int wait_for_stop(struct pingd *pingd, const sigset_t *stop)
{
	int number;
	if (pingd->tls == NULL) {
		sigwait(stop, &number);
		return number;
	}
	sigset_t wanted = *stop;
	sigaddset(&wanted, SIGHUP);
	for (;;) {
		number = sigtimedwait(&wanted, NULL, &(struct timespec){.tv_sec = TLS_LOOK_S});
		if (number > 0 && number != SIGHUP)
			return number;
		if (number == SIGHUP || tls_changed(pingd->tls))
			reload_tls(pingd);
	}
}

/* Until a signal, or what nobody but a person can mend. */
static enum error serve(struct pingd *pingd, sigset_t *stop, struct error_note *note)
{
	int number = wait_for_stop(pingd, stop);
	enum error error = failure(pingd, note);
	pthread_t impatient;
	if (pthread_create(&impatient, NULL, exit_on_second_signal, stop) == 0)
		pthread_detach(impatient);
	if (error == ERROR_OK)
		log_event(LOG_INFO, "draining", log_text("signal", number == SIGTERM ? "SIGTERM" : "SIGINT"),
			  log_int("delay_ms", pingd->config->drain_delay_ms),
			  log_int("timeout_ms", pingd->config->drain_timeout_ms));
	health_drain(pipeline_health(pingd->pipeline));
	clock_sleep_ms((int)pingd->config->drain_delay_ms);
	service_drain(pipeline_service(pingd->pipeline));
	server_drain(pingd->server, pingd->config->drain_timeout_ms);
	server_join(pingd->server);
	return error;
}

static void stop(struct pingd *pingd)
{
	if (pingd->pipeline != NULL)
		pipeline_stop(pingd->pipeline);
	if (pingd->server != NULL)
		server_destroy(pingd->server);
	telemetry_destroy(pingd->telemetry);
	rpc_reflection_destroy(pingd->reflection);
	tls_destroy(pingd->tls);
}

/* The settings have copies; what others see of this process need not show a password. */
static void hide_passwords(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		settings_hide_password(argv[i]);
}

int main(int argc, char **argv)
{
	static struct pingd_config config;
	struct settings *settings;
	struct error_note note = {0};
	if (!standard_files_fill())
		return EXIT_CODE_FAILURE;
	enum error error = pingd_config_load(argc, argv, environ, &config, &settings, &note);
	hide_passwords(argc, argv);
	if (error != ERROR_OK) {
		fprintf(stderr, "pingd: %s\n", *note.text == 0 ? error_text(error) : note.text);
		return EXIT_CODE_USAGE;
	}
	int exit_code = EXIT_SUCCESS;
	if (pingd_config_answer(&config, settings, &exit_code)) {
		settings_destroy(settings);
		return exit_code;
	}
	configure_log(&config);
	raise_file_limit(&config);
	sigset_t signals;
	block_signals(&signals, *config.tls_certificate != 0);
	static struct pingd pingd;
	pingd.config = &config;
	pthread_mutex_init(&pingd.lock, NULL);
	error = start(&pingd, &note);
	bool started = error == ERROR_OK;
	if (started) {
		tell_addresses(&pingd);
		tell_dashboard(&pingd);
		error = serve(&pingd, &signals, &note);
	}
	if (error != ERROR_OK) {
		log_event(LOG_ERROR, started ? "cannot go on" : "cannot start", log_error(error),
			  log_text("detail", *note.text == 0 ? error_text(error) : note.text));
		exit_code = EXIT_CODE_FAILURE;
	}
	stop(&pingd);
	settings_destroy(settings);
	if (exit_code == EXIT_SUCCESS)
		log_event(LOG_INFO, "ended in order");
	return exit_code;
}
