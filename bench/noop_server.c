/* What the RPC runtime and the network cost alone: PingCount answered with a constant, Ping without keeping it. bench/run
 * compares it with nghttpd; what it takes is the floor of bench/ingest.
 *
 * usage: noop_server ADDR:PORT [WORKERS]      0: one a core; else 1
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/server.h"
#include "ping/v1/ping.pb.h"

static void ping_count(struct rpc_call *call, const void *request, void *context)
{
	(void)request;
	(void)context;
	rpc_call_reply(call, &(struct ping_v1_ping_count_response){.ping_count = 42});
}

static void ping(struct rpc_call *call, const void *request, void *context)
{
	(void)request;
	(void)context;
	rpc_call_reply(call, &(struct ping_v1_ping_response){0});
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: noop_server ADDR:PORT [WORKERS]\n");
		return 2;
	}
	sigset_t stop;
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	pthread_sigmask(SIG_BLOCK, &stop, NULL);

	static const struct rpc_method methods[] = {{.type = &ping_v1_ping_service_ping_count_method, .handle = ping_count},
						    {.type = &ping_v1_ping_service_ping_method, .handle = ping}};
	const char *address = argv[1];
	struct server_config config = server_config_default();
	config.addresses = &address;
	config.address_count = 1;
	config.worker_count = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1;
	config.methods = methods;
	config.method_count = sizeof methods / sizeof methods[0];
	struct server *server;
	struct error_note note = {""};
	if (server_start(&config, &server, &note) != ERROR_OK) {
		fprintf(stderr, "noop_server: %s\n", note.text);
		return 1;
	}
	int signal_number;
	sigwait(&stop, &signal_number);
	server_drain(server, 1000);
	server_join(server);
	server_destroy(server);
	return 0;
}
