/* A server on 127.0.0.1 with a few methods and pages, and a client that waits for what must come, at most two minutes. */
#ifndef PING_TESTS_NET_FIXTURE_H
#define PING_TESTS_NET_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "net/server.h"

/* PingCount answers the number of bits of the client's address at once: its last byte. Ping is held until the test releases it.
 * GetActivity answers with a client_ip of BIG_BYTES. */
#define COUNT_PATH "/ping.v1.PingService/PingCount"
#define PING_PATH  "/ping.v1.PingService/Ping"
#define BIG_PATH   "/ping.v1.MetricsService/GetActivity"

enum { BIG_BYTES = 1 << 20, WAIT_MS = 120000 };

extern struct server *server;
extern struct server_config config; /* to be changed before start_server */

/* Setup: the defaults, two workers, one address with any port. */
int fixture_setup(void **state);
/* Teardown: stops the server if the test has not. */
int fixture_teardown(void **state);
void start_server(void);
void drain_and_join(int64_t timeout_ms);

/* Waits until so many Ping calls are held. */
void wait_for_held(unsigned count);
/* Answers all that are held, each on its own loop. */
void release_held(void);
/* Whether the oldest held call was canceled; waits for it. */
void wait_for_canceled(void);

/* Waits until the condition holds; fails the test after WAIT_MS. */
#define WAIT_UNTIL(condition)                                                                         \
	do {                                                                                          \
		int64_t wait_until_us = clock_monotonic_us(clock_system()) + WAIT_MS * INT64_C(1000); \
		while (!(condition)) {                                                                \
			assert_true(clock_monotonic_us(clock_system()) < wait_until_us);              \
			rest();                                                                       \
		}                                                                                     \
	} while (0)
void rest(void);

/* A connected socket whose reads fail after WAIT_MS. */
int dial(void);
void send_bytes(int fd, const void *data, size_t size);
void send_text(int fd, const char *text);
/* Reads one HTTP/1.1 response: the head up to the empty line, then as many bytes as it says. `is_head`: no body follows. */
struct answer {
	unsigned status;
	char head[2048];
	size_t body_size;
	char body[4096]; /* its first bytes */
};
struct answer read_answer(int fd, bool is_head);
/* The peer has ended the connection, and nothing more came. */
void expect_end(int fd);
bool has_header(const struct answer *answer, const char *line);

#endif
