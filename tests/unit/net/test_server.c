/* The server's life: addresses, limits, whom it believes, and how it ends. */
#include "fixture.h"

#include "net/server_metrics.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define CALL_HEAD "POST " COUNT_PATH " HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
#define CALL	  CALL_HEAD "\r\n{}"
#define HELD_CALL "POST " PING_PATH " HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

static struct sockaddr_in loopback(void)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)server_port(server, 0)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static void refuse_to_start(const char *address, enum error expected, const char *text)
{
	struct error_note note = {""};
	config.addresses = &address;
	assert_int_equal(server_start(&config, &server, &note), expected);
	assert_null(server);
	assert_non_null(strstr(note.text, text));
}

static void what_is_no_address_is_refused(void **state)
{
	(void)state;
	const char *const wrong[] = {"",
				     "8080",
				     ":8080",
				     "127.0.0.1",
				     "127.0.0.1:",
				     "127.0.0.1:65536",
				     "127.0.0.1:80x",
				     "localhost:80",
				     "::1:80",
				     "[127.0.0.1]:80",
				     "[::1]",
				     "127.0.0.1:-1"};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		refuse_to_start(wrong[i], ERROR_MALFORMED, "is not an address and port");
}

static void a_port_in_use_is_refused_also_to_this_program(void **state)
{
	(void)state;
	start_server();
	char address[32];
	snprintf(address, sizeof address, "127.0.0.1:%u", server_port(server, 0));
	struct server *first = server;
	server = NULL;
	refuse_to_start(address, ERROR_UNAVAILABLE, "Address already in use");
	server = first;
}

static void every_address_is_served(void **state)
{
	(void)state;
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int probe = socket(AF_INET6, SOCK_STREAM, 0);
	bool has_ipv6 = probe >= 0 && bind(probe, (struct sockaddr *)&six, sizeof six) == 0;
	close(probe);
	const char *const addresses[] = {"127.0.0.1:0", has_ipv6 ? "[::1]:0" : "127.0.0.2:0"};
	config.addresses = addresses;
	config.address_count = 2;
	start_server();
	struct sockaddr_in four = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1),
				   .sin_port = htons((uint16_t)server_port(server, 1))};
	six.sin6_port = four.sin_port;
	int fds[] = {dial(), socket(has_ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0)};
	const struct sockaddr *second = has_ipv6 ? (struct sockaddr *)&six : (struct sockaddr *)&four;
	assert_int_equal(connect(fds[1], second, has_ipv6 ? sizeof six : sizeof four), 0);
	for (int i = 0; i < 2; i++) {
		send_text(fds[i], CALL);
		assert_string_equal(read_answer(fds[i], false).body, "{\"pingCount\":\"1\"}"); /* both end in 1 */
		close(fds[i]);
	}
}

static void at_the_limit_of_connections_the_next_one_waits_for_one_to_end(void **state)
{
	(void)state;
	config.max_connections = 2;
	config.worker_count = 1;
	start_server();
	int fds[] = {dial(), dial(), dial()};
	for (int i = 0; i < 3; i++)
		send_text(fds[i], CALL);
	assert_int_equal(read_answer(fds[0], false).status, 200);
	assert_int_equal(read_answer(fds[1], false).status, 200);
	WAIT_UNTIL(server_stats(server).accept_pauses > 0);
	assert_int_equal(server_stats(server).connections_open, 2);
	close(fds[0]);
	assert_int_equal(read_answer(fds[2], false).status, 200);
	close(fds[1]);
	close(fds[2]);
}

/* Whichever loop the kernel gives them to. */
static void all_loops_together_keep_to_the_limit_of_connections(void **state)
{
	enum { MAX = 3, WAITING = 12 };
	(void)state;
	config.max_connections = MAX;
	config.worker_count = 2;
	start_server();
	int fds[MAX + WAITING];
	for (int i = 0; i < MAX; i++) {
		fds[i] = dial();
		send_text(fds[i], CALL);
		assert_int_equal(read_answer(fds[i], false).status, 200);
	}
	for (int i = MAX; i < MAX + WAITING; i++) {
		fds[i] = dial();
		send_text(fds[i], CALL);
	}
	WAIT_UNTIL(server_stats(server).accept_pauses >= 10);
	for (int i = MAX; i < MAX + WAITING; i++)
		assert_int_equal(poll(&(struct pollfd){.fd = fds[i], .events = POLLIN}, 1, 0), 0);
	/* Each that ends makes room for one, also where another loop has to let it in. */
	for (int i = 0; i < MAX; i++)
		close(fds[i]);
	for (int served = 0; served < WAITING; served++) {
		struct pollfd waiting[WAITING];
		for (int i = 0; i < WAITING; i++)
			waiting[i] = (struct pollfd){.fd = fds[MAX + i], .events = POLLIN};
		assert_true(poll(waiting, WAITING, WAIT_MS) > 0);
		int i = 0;
		while (waiting[i].revents == 0)
			i++;
		assert_int_equal(read_answer(fds[MAX + i], false).status, 200);
		close(fds[MAX + i]);
		fds[MAX + i] = -1; /* poll leaves it out */
	}
}

static void past_the_limit_of_an_address_its_connections_are_closed(void **state)
{
	(void)state;
	config.max_connections_per_address = 2;
	start_server();
	int fds[] = {dial(), dial()};
	for (int i = 0; i < 2; i++) {
		send_text(fds[i], CALL);
		assert_int_equal(read_answer(fds[i], false).status, 200);
	}
	int third = dial();
	char byte;
	assert_true(recv(third, &byte, 1, 0) <= 0);
	assert_int_equal(server_stats(server).connections_refused, 1);
	close(third);
	close(fds[0]);
	WAIT_UNTIL(server_stats(server).connections_open == 1);
	int fourth = dial();
	send_text(fourth, CALL);
	assert_int_equal(read_answer(fourth, false).status, 200);
	close(fourth);
	close(fds[1]);
}

static void without_file_descriptors_accepting_pauses_and_resumes(void **state)
{
	(void)state;
	config.worker_count = 1;
	start_server();
	int fd = dial();
	struct rlimit before, none;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 3; /* all that are open stay open, no more can be */
	send_text(fd, CALL);
	assert_int_equal(read_answer(fd, false).status, 200);
	int more = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	struct sockaddr_in address = loopback();
	assert_int_equal(connect(more, (struct sockaddr *)&address, sizeof address), 0);
	send_text(more, CALL);
	WAIT_UNTIL(server_stats(server).accept_pauses > 1);
	assert_true(server_stats(server).accept_pauses < 1000); /* it does not spin */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(read_answer(more, false).status, 200);
	close(fd);
	close(more);
}

static struct address_network trusted(const char *text)
{
	struct address_network network;
	assert_int_equal(address_network_parse(slice_from_string(text), &network, NULL), ERROR_OK);
	return network;
}

/* 203.0.113.9, behind a proxy. */
#define FORWARDED_CALL CALL_HEAD "X-Forwarded-For: 6.6.6.6, 203.0.113.9\r\n\r\n{}"
static const char proxied[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x09\x7f\x00\x00\x01\x30\x39\x00\x50";
enum { PROXIED_SIZE = sizeof proxied - 1 };

static void a_trusted_proxy_is_believed(void **state)
{
	(void)state;
	struct address_network network = trusted("127.0.0.0/8");
	config.trusted_proxies = &network;
	config.trusted_proxy_count = 1;
	start_server();
	int fd = dial();
	send_text(fd, FORWARDED_CALL);
	assert_string_equal(read_answer(fd, false).body, "{\"pingCount\":\"9\"}");
	close(fd);
}

static void anyone_elses_word_is_not_taken(void **state)
{
	(void)state;
	struct address_network network = trusted("127.0.0.2");
	config.trusted_proxies = &network;
	config.trusted_proxy_count = 1;
	start_server();
	int fd = dial();
	send_text(fd, FORWARDED_CALL);
	assert_string_equal(read_answer(fd, false).body, "{\"pingCount\":\"1\"}");
	close(fd);
	fd = dial();
	send_bytes(fd, proxied, PROXIED_SIZE);
	send_text(fd, CALL);
	assert_int_equal(read_answer(fd, false).status, 400);
	expect_end(fd);
}

static void a_trusted_proxys_preamble_names_the_client(void **state)
{
	(void)state;
	struct address_network network = trusted("127.0.0.0/8");
	config.trusted_proxies = &network;
	config.trusted_proxy_count = 1;
	start_server();
	int fd = dial();
	setsockopt(fd, 6, 1, &(int){1}, sizeof(int)); /* TCP_NODELAY */
	for (size_t i = 0; i < PROXIED_SIZE; i++)
		send_bytes(fd, proxied + i, 1);
	send_text(fd, FORWARDED_CALL); /* 203.0.113.9 is no proxy: what it forwards is not believed */
	assert_string_equal(read_answer(fd, false).body, "{\"pingCount\":\"9\"}");
	/* There is one at most. */
	send_bytes(fd, proxied, PROXIED_SIZE);
	assert_int_equal(read_answer(fd, false).status, 400);
	expect_end(fd);
}

static void draining_answers_what_is_in_work_and_closes_what_is_idle(void **state)
{
	(void)state;
	start_server();
	int idle = dial(), busy = dial();
	send_text(idle, CALL);
	assert_int_equal(read_answer(idle, false).status, 200);
	send_text(busy, HELD_CALL);
	wait_for_held(1);
	server_drain(server, WAIT_MS);
	expect_end(idle);
	release_held();
	struct answer answer = read_answer(busy, false);
	assert_string_equal(answer.body, "{}");
	assert_true(has_header(&answer, "connection: close"));
	expect_end(busy);
	server_join(server);
}

static void calls_and_connections_show_in_the_metrics(void **state)
{
	(void)state;
	struct metrics *metrics;
	struct server_metrics *shown;
	struct buffer text;
	assert_int_equal(metrics_create(&metrics), ERROR_OK);
	assert_int_equal(server_metrics_create(metrics, config.methods, config.method_count, &shown), ERROR_OK);
	assert_int_equal(metrics_error(metrics, NULL), ERROR_OK);
	config.rpc.finished = server_metrics_finished;
	config.rpc.context = shown;
	start_server();
	server_metrics_watch(shown, server);
	int fd = dial();
	send_text(fd, CALL);
	assert_int_equal(read_answer(fd, false).status, 200);
	send_text(fd, CALL_HEAD "\r\n{,");
	assert_int_equal(read_answer(fd, false).status, 400);
	buffer_init(&text, 1 << 20);
	assert_int_equal(metrics_render(metrics, &text), ERROR_OK);
	assert_int_equal(buffer_append_byte(&text, 0), ERROR_OK);
	const char *const lines[] = {
		"\nrpc_requests_total{method=\"ping.v1.PingService/PingCount\",code=\"ok\"} 1\n",
		"\nrpc_requests_total{method=\"ping.v1.PingService/PingCount\",code=\"invalid_argument\"} 1\n",
		"\nrpc_duration_seconds_count{method=\"ping.v1.PingService/PingCount\"} 2\n",
		"\nhttp_connections 1\n",
		"\nhttp_requests_total{version=\"1.1\"} 2\n",
		"\nhttp_responses_total{class=\"4xx\"} 1\n",
	};
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		assert_non_null(strstr((const char *)text.data, lines[i]));
	close(fd);
	drain_and_join(0);
	buffer_release(&text);
	server_metrics_destroy(shown);
	metrics_destroy(metrics);
}

static bool accepts(void)
{
	struct sockaddr_in address = loopback();
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool connected = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
	close(fd);
	return connected;
}

static void draining_stops_listening(void **state)
{
	(void)state;
	start_server();
	int busy = dial();
	send_text(busy, HELD_CALL);
	wait_for_held(1);
	server_drain(server, WAIT_MS);
	WAIT_UNTIL(!accepts());
	close(busy);
}

static void a_drain_ends_at_its_deadline(void **state)
{
	(void)state;
	start_server();
	int fd = dial();
	send_text(fd, HELD_CALL);
	wait_for_held(1);
	server_drain(server, 20);
	expect_end(fd);
	wait_for_canceled();
	release_held(); /* join waits for the methods' answers, which go nowhere */
	server_join(server);
}

static void stopping_closes_at_once(void **state)
{
	(void)state;
	start_server();
	int fd = dial();
	send_text(fd, HELD_CALL);
	wait_for_held(1);
	server_drain(server, WAIT_MS);
	server_stop(server); /* as on a second signal */
	expect_end(fd);
	release_held();
	server_join(server);
}

/* A request whose body stays incomplete: so many bytes of it are held. */
static int hold_body(size_t size)
{
	static const char zeros[256 << 10];
	int fd = dial();
	send_text(fd,
		  "POST " COUNT_PATH " HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2000000\r\n\r\n");
	size_t before = server_stats(server).held_bytes;
	send_bytes(fd, zeros, size);
	WAIT_UNTIL(server_stats(server).held_bytes >= before + size);
	return fd;
}

static void big_ones_are_refused_while_much_is_held_and_small_ones_are_not(void **state)
{
	(void)state;
	config.max_held_bytes = 100 << 10;
	start_server();
	int first = hold_body(90 << 10), second = hold_body(60 << 10), third = dial();
	send_text(third, CALL);
	assert_int_equal(read_answer(third, false).status, 200);
	send_text(third,
		  "POST " BIG_PATH " HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
	struct answer refused = read_answer(third, false);
	assert_int_equal(refused.status, 429);
	assert_non_null(strstr(refused.body, "resource_exhausted"));
	send_bytes(first, "0", 1);
	assert_int_equal(read_answer(first, false).status, 429);
	assert_int_equal(server_stats(server).crowded, 2);
	close(first);
	close(second);
	WAIT_UNTIL(server_stats(server).held_bytes == 0);
	send_text(third,
		  "POST " BIG_PATH " HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
	assert_int_equal(read_answer(third, false).status, 200);
	WAIT_UNTIL(server_stats(server).held_bytes == 0);
	close(third);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_is_no_address_is_refused),
		TEST(a_port_in_use_is_refused_also_to_this_program),
		TEST(every_address_is_served),
		TEST(at_the_limit_of_connections_the_next_one_waits_for_one_to_end),
		TEST(all_loops_together_keep_to_the_limit_of_connections),
		TEST(past_the_limit_of_an_address_its_connections_are_closed),
		TEST(without_file_descriptors_accepting_pauses_and_resumes),
		TEST(a_trusted_proxy_is_believed),
		TEST(anyone_elses_word_is_not_taken),
		TEST(a_trusted_proxys_preamble_names_the_client),
		TEST(calls_and_connections_show_in_the_metrics),
		TEST(big_ones_are_refused_while_much_is_held_and_small_ones_are_not),
		TEST(draining_answers_what_is_in_work_and_closes_what_is_idle),
		TEST(draining_stops_listening),
		TEST(a_drain_ends_at_its_deadline),
		TEST(stopping_closes_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
