/* HTTP/1.1 on real sockets. */
#include "fixture.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define CALL_HEAD(path) "POST " path " HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
#define CALL(path)	CALL_HEAD(path) "Content-Length: 2\r\n\r\n{}"
#define COUNT_ANSWER	"{\"pingCount\":\"1\"}" /* 127.0.0.1 */

static void expect_count(int fd)
{
	struct answer answer = read_answer(fd, false);
	assert_int_equal(answer.status, 200);
	assert_true(has_header(&answer, "content-type: application/json"));
	assert_string_equal(answer.body, COUNT_ANSWER);
}

static void send_calls_at_once(int fd, const char *path, int count)
{
	static char text[65536];
	size_t size = 0;
	for (int i = 0; i < count; i++)
		size += (size_t)snprintf(
			text + size, sizeof text - size,
			"POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", path);
	assert_true(size < sizeof text);
	send_bytes(fd, text, size);
}

static void a_connection_serves_one_call_after_another(void **state)
{
	(void)state;
	start_server();
	int fd = dial();
	for (int i = 0; i < 3; i++) {
		send_text(fd, CALL(COUNT_PATH));
		expect_count(fd);
	}
	close(fd);
	assert_int_equal(server_stats(server).connections_accepted, 1);
	assert_int_equal(server_stats(server).requests_http1, 3);
	assert_int_equal(server_stats(server).responses[2], 3);
}

static void pipelined_calls_are_answered_in_order(void **state)
{
	(void)state;
	start_server();
	int fd = dial();
	send_text(fd, CALL(COUNT_PATH) CALL(PING_PATH) CALL(COUNT_PATH) "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n" CALL(PING_PATH)
			      CALL(COUNT_PATH));
	expect_count(fd);
	wait_for_held(1); /* what is behind the call that is held waits */
	release_held();
	assert_string_equal(read_answer(fd, false).body, "{}");
	expect_count(fd);
	assert_string_equal(read_answer(fd, false).body, "alive\n");
	wait_for_held(1);
	release_held();
	assert_string_equal(read_answer(fd, false).body, "{}");
	expect_count(fd);
	close(fd);
}

static void a_request_may_come_byte_by_byte(void **state)
{
	(void)state;
	start_server();
	int fd = dial();
	setsockopt(fd, 6, 1, &(int){1}, sizeof(int)); /* TCP_NODELAY */
	const char *text = CALL(COUNT_PATH);
	for (size_t i = 0; text[i] != 0; i++)
		send_bytes(fd, text + i, 1);
	expect_count(fd);
	close(fd);
}

static void a_chunked_body_is_taken(void **state)
{
	(void)state;
	start_server();
	int fd = dial();
	send_text(fd, CALL_HEAD(COUNT_PATH) "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\nTrailer: z\r\n\r\n");
	expect_count(fd);
	send_text(fd, CALL(COUNT_PATH));
	expect_count(fd);
	close(fd);
}

static void the_body_is_asked_for_when_the_client_waits_for_that(void **state)
{
	(void)state;
	start_server();
	int fd = dial();
	send_text(fd, CALL_HEAD(COUNT_PATH) "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	assert_int_equal(read_answer(fd, true).status, 100);
	send_text(fd, "{}");
	expect_count(fd);
	close(fd);
}

static void a_body_that_is_not_wanted_is_not_asked_for(void **state)
{
	(void)state;
	start_server();
	int fd = dial();
	send_text(fd, "POST " COUNT_PATH
		      " HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	struct answer answer = read_answer(fd, false);
	assert_int_equal(answer.status, 415);
	assert_true(has_header(&answer, "connection: close"));
	expect_end(fd);
}

static void a_route_with_a_star_is_for_all_that_begin_so(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		unsigned status;
		const char *body;
	} cases[] = {{"/files/", 200, "file\n"},	 {"/files/two", 200, "file\n"},	     {"/files/a/b?c", 200, "file\n"},
		     {"/files/one", 200, "alive\n"},	 {"/files", 404, "404 Not Found\n"}, {"/file", 404, "404 Not Found\n"},
		     {"/livez/", 404, "404 Not Found\n"}};
	start_server();
	int fd = dial();
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char request[128];
		snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", cases[i].path);
		send_text(fd, request);
		struct answer answer = read_answer(fd, false);
		assert_int_equal(answer.status, cases[i].status);
		assert_string_equal(answer.body, cases[i].body);
	}
	close(fd);
}

static void an_answer_that_is_known_has_a_tag_and_no_length(void **state)
{
	(void)state;
	start_server();
	int fd = dial();
	send_text(fd, "GET /files/two HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"1\"\r\n\r\nGET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
	struct answer answer = read_answer(fd, true);
	assert_int_equal(answer.status, 304);
	assert_true(has_header(&answer, "etag: \"1\""));
	assert_null(strcasestr(answer.head, "content-length"));
	assert_string_equal(read_answer(fd, false).body, "alive\n");
	close(fd);
}

static void a_page_is_served_to_get_and_head_alone(void **state)
{
	(void)state;
	start_server();
	int fd = dial();
	send_text(fd, "GET /livez?x=y HTTP/1.1\r\nHost: a\r\n\r\n");
	struct answer answer = read_answer(fd, false);
	assert_int_equal(answer.status, 200);
	assert_true(has_header(&answer, "content-type: text/plain"));
	assert_string_equal(answer.body, "alive\n");
	send_text(fd, "HEAD /livez HTTP/1.1\r\nHost: a\r\n\r\n");
	answer = read_answer(fd, true);
	assert_int_equal(answer.status, 200);
	assert_int_equal(answer.body_size, 6);
	send_text(fd, "DELETE /livez HTTP/1.1\r\nHost: a\r\n\r\n");
	answer = read_answer(fd, false);
	assert_int_equal(answer.status, 405);
	assert_true(has_header(&answer, "allow: GET, HEAD"));
	send_text(fd, "GET /livez/ HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(read_answer(fd, false).status, 404);
	close(fd);
}

static void a_small_body_that_came_too_late_for_its_answer_does_not_end_the_connection(void **state)
{
	(void)state;
	start_server();
	int fd = dial();
	send_text(fd, "POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
	assert_int_equal(read_answer(fd, false).status, 404);
	send_text(fd, "12345" CALL(COUNT_PATH));
	expect_count(fd);
	close(fd);
}

static void a_body_past_the_limit_is_answered_though_the_client_keeps_sending(void **state)
{
	(void)state;
	config.rpc.max_message_bytes = 1000;
	start_server();
	int fd = dial();
	static char body[500000];
	send_text(fd, CALL_HEAD(COUNT_PATH) "Content-Length: 500000\r\n\r\n");
	send_bytes(fd, body, sizeof body);
	struct answer answer = read_answer(fd, false);
	assert_int_equal(answer.status, 429);
	assert_non_null(strstr(answer.body, "\"resource_exhausted\""));
	expect_end(fd);
}

static void who_keeps_sending_after_a_refusal_is_cut_off(void **state)
{
	(void)state;
	enum { ALLOWED = 64 << 20 }; /* 16 MiB are taken; the rest fits into sockets' buffers */
	config.rpc.max_message_bytes = 1000;
	start_server();
	int fd = dial();
	static char body[1 << 20];
	send_text(fd, CALL_HEAD(COUNT_PATH) "Content-Length: 1000000000\r\n\r\n");
	size_t sent = 0;
	ssize_t count = 0;
	while (sent <= ALLOWED && (count = send(fd, body, sizeof body, MSG_NOSIGNAL)) > 0)
		sent += (size_t)count;
	assert_true(count < 0 && (errno == ECONNRESET || errno == EPIPE));
	close(fd);
}

static void what_is_no_request_is_answered_and_the_connection_ended(void **state)
{
	(void)state;
	start_server();
	int fd = dial();
	send_text(fd, CALL(COUNT_PATH) "GET / HTTP/1.1\nHost: a\n\n");
	expect_count(fd);
	struct answer answer = read_answer(fd, false);
	assert_int_equal(answer.status, 400);
	assert_true(has_header(&answer, "connection: close"));
	expect_end(fd);
	assert_int_equal(server_stats(server).protocol_errors, 1);
}

static void headers_past_the_limit_are_answered_431(void **state)
{
	(void)state;
	config.max_header_bytes = 500;
	start_server();
	int fd = dial();
	send_text(fd, "GET /livez HTTP/1.1\r\nHost: a\r\nX: ");
	for (int i = 0; i < 50; i++)
		send_text(fd, "0123456789");
	send_text(fd, "\r\n\r\n");
	assert_int_equal(read_answer(fd, false).status, 431);
	close(fd);
}

static void http_1_0_and_connection_close_end_the_connection_after_the_answer(void **state)
{
	(void)state;
	start_server();
	int fd = dial();
	send_text(fd, "GET /livez HTTP/1.0\r\n\r\n");
	assert_string_equal(read_answer(fd, false).body, "alive\n");
	expect_end(fd);
	fd = dial();
	send_text(fd, "GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	assert_string_equal(read_answer(fd, false).body, "alive\n");
	expect_end(fd);
}

static void an_upgrade_to_http2_is_passed_over(void **state)
{
	(void)state;
	start_server();
	int fd = dial();
	send_text(fd, "GET /livez HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: "
		      "AAMAAABk\r\n\r\n");
	assert_int_equal(read_answer(fd, false).status, 200);
	close(fd);
}

static void a_deadline_is_answered_at_once_and_the_late_answer_dropped(void **state)
{
	(void)state;
	start_server();
	int fd = dial();
	send_text(fd, CALL_HEAD(PING_PATH) "Connect-Timeout-Ms: 20\r\nContent-Length: 2\r\n\r\n{}");
	struct answer answer = read_answer(fd, false);
	assert_int_equal(answer.status, 504);
	assert_non_null(strstr(answer.body, "deadline_exceeded"));
	release_held();
	send_text(fd, CALL(COUNT_PATH));
	expect_count(fd);
	close(fd);
}

static void a_client_that_has_sent_its_last_byte_is_answered(void **state)
{
	(void)state;
	start_server();
	int fd = dial();
	send_text(fd, CALL(PING_PATH));
	shutdown(fd, SHUT_WR);
	wait_for_held(1);
	release_held();
	assert_string_equal(read_answer(fd, false).body, "{}");
	expect_end(fd);
}

static void a_call_whose_client_reset_the_connection_is_canceled(void **state)
{
	(void)state;
	start_server();
	int fd = dial();
	send_text(fd, CALL(PING_PATH));
	wait_for_held(1);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
	close(fd);
	wait_for_canceled();
}

static void a_head_that_does_not_end_is_answered_408(void **state)
{
	(void)state;
	config.header_timeout_ms = 500; /* of which this thread may take some to send */
	start_server();
	int fd = dial();
	send_text(fd, "GET /livez HT");
	assert_int_equal(read_answer(fd, false).status, 408);
	expect_end(fd);
	assert_int_equal(server_stats(server).timeouts, 1);
}

static void a_connection_that_says_nothing_is_closed(void **state)
{
	(void)state;
	config.header_timeout_ms = 30;
	start_server();
	expect_end(dial());
}

static void an_idle_connection_is_closed(void **state)
{
	(void)state;
	config.idle_timeout_ms = 30;
	start_server();
	int fd = dial();
	send_text(fd, CALL(COUNT_PATH));
	expect_count(fd);
	expect_end(fd);
}

static void a_body_that_does_not_end_ends_the_call(void **state)
{
	(void)state;
	config.body_timeout_ms = 30;
	start_server();
	int fd = dial();
	send_text(fd, CALL_HEAD(COUNT_PATH) "Content-Length: 2\r\n\r\n{");
	assert_int_equal(read_answer(fd, false).status, 504);
	expect_end(fd); /* the rest of the body has as long again */
}

static void a_peer_that_takes_no_answers_is_cut_off_and_holds_little_meanwhile(void **state)
{
	(void)state;
	config.write_timeout_ms = 50;
	start_server();
	int fd = dial();
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){4096}, sizeof(int));
	send_calls_at_once(fd, BIG_PATH, 100);
	WAIT_UNTIL(server_stats(server).timeouts == 1);
	/* 100 MiB were asked for; what was not written was not made. */
	assert_true(server_stats(server).responses[2] < 50);
	close(fd);
}

static void a_big_answer_arrives_whole(void **state)
{
	(void)state;
	start_server();
	int fd = dial();
	send_text(fd, CALL(BIG_PATH) CALL(COUNT_PATH));
	assert_true(read_answer(fd, false).body_size > BIG_BYTES);
	expect_count(fd);
	close(fd);
}

static void big_answers_to_pipelined_calls_all_arrive(void **state)
{
	(void)state;
	start_server();
	int fd = dial();
	send_calls_at_once(fd, BIG_PATH, 30);
	for (int i = 0; i < 30; i++)
		assert_true(read_answer(fd, false).body_size > BIG_BYTES);
	send_text(fd, CALL(COUNT_PATH));
	expect_count(fd);
	close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_connection_serves_one_call_after_another),
		TEST(pipelined_calls_are_answered_in_order),
		TEST(a_request_may_come_byte_by_byte),
		TEST(a_chunked_body_is_taken),
		TEST(the_body_is_asked_for_when_the_client_waits_for_that),
		TEST(a_body_that_is_not_wanted_is_not_asked_for),
		TEST(a_route_with_a_star_is_for_all_that_begin_so),
		TEST(an_answer_that_is_known_has_a_tag_and_no_length),
		TEST(a_page_is_served_to_get_and_head_alone),
		TEST(a_small_body_that_came_too_late_for_its_answer_does_not_end_the_connection),
		TEST(a_body_past_the_limit_is_answered_though_the_client_keeps_sending),
		TEST(who_keeps_sending_after_a_refusal_is_cut_off),
		TEST(what_is_no_request_is_answered_and_the_connection_ended),
		TEST(headers_past_the_limit_are_answered_431),
		TEST(http_1_0_and_connection_close_end_the_connection_after_the_answer),
		TEST(an_upgrade_to_http2_is_passed_over),
		TEST(a_deadline_is_answered_at_once_and_the_late_answer_dropped),
		TEST(a_client_that_has_sent_its_last_byte_is_answered),
		TEST(a_call_whose_client_reset_the_connection_is_canceled),
		TEST(a_head_that_does_not_end_is_answered_408),
		TEST(a_connection_that_says_nothing_is_closed),
		TEST(an_idle_connection_is_closed),
		TEST(a_body_that_does_not_end_ends_the_call),
		TEST(a_peer_that_takes_no_answers_is_cut_off_and_holds_little_meanwhile),
		TEST(a_big_answer_arrives_whole),
		TEST(big_answers_to_pipelined_calls_all_arrive),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
