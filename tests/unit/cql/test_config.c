#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "adapter/cql/config.h"

static struct cql_config *config;
static struct error_note note;

static enum error read_url(const char *url)
{
	config = NULL;
	note = (struct error_note){""};
	return cql_config_create(url, &config, &note);
}

static int release(void **state)
{
	(void)state;
	cql_config_destroy(config);
	config = NULL;
	return 0;
}

static void a_host_alone_is_enough(void **state)
{
	(void)state;
	assert_int_equal(read_url("scylla://db"), ERROR_OK);
	assert_string_equal(config->contact_points.data, "db:9042");
	assert_string_equal(config->keyspace, "metrics");
	assert_null(config->user);
	assert_null(config->password);
	assert_null(config->datacenter);
	assert_false(config->tls);
	assert_int_equal(config->timeout_ms, 5000);
}

static void all_parts_are_read(void **state)
{
	(void)state;
	assert_int_equal(
		read_url("scylla://me:se%40c%3Aret@a:1,[::1]:9,b/m_1?datacenter=dc%201&replication=dc1:3,dc2:2&"
			 "keyspace_options=tablets%20=%20{'enabled':%20false}&tls_ca=/ca&tls_cert=/c&tls_key=/k&timeout=77"),
		ERROR_OK);
	assert_string_equal(config->contact_points.data, "a:1,[::1]:9,b:9042");
	assert_string_equal(config->keyspace, "m_1");
	assert_string_equal(config->user, "me");
	assert_string_equal(config->password, "se@c:ret");
	assert_string_equal(config->datacenter, "dc 1");
	assert_string_equal(config->replication, "dc1:3,dc2:2");
	assert_string_equal(config->keyspace_options, "tablets = {'enabled': false}");
	assert_true(config->tls);
	assert_string_equal(config->tls_ca, "/ca");
	assert_string_equal(config->tls_cert, "/c");
	assert_string_equal(config->tls_key, "/k");
	assert_int_equal(config->timeout_ms, 77);
}

static void tls_may_stand_alone(void **state)
{
	(void)state;
	assert_int_equal(read_url("scylla://db?tls=true"), ERROR_OK);
	assert_true(config->tls);
}

static void what_is_wrong_is_named(void **state)
{
	(void)state;
	static const struct {
		const char *url, *names;
	} cases[] = {
		{"postgres://db", "scylla://HOST"},
		{"scylla://", "HOST[:PORT]"},
		{"scylla://a,,b", "HOST[:PORT]"},
		{"scylla://a:0", "a:0"},
		{"scylla://a:65536", "a:65536"},
		{"scylla://[::1", "[::1"},
		{"scylla://a/Metrics", "Metrics"},
		{"scylla://a/m;drop", "m;drop"},
		{"scylla://a?what=1", "what"},
		{"scylla://a?tls", "NAME=VALUE"},
		{"scylla://a?tls=maybe", "maybe"},
		{"scylla://a?timeout=0", "timeout"},
		{"scylla://a?timeout=1s", "1s"},
		{"scylla://a?replication=3", "DATACENTER:COPIES"},
		{"scylla://a?replication=d'c:3", "d'c:3"},
		{"scylla://a?datacenter=%zz", "datacenter"},
		{"scylla://a?datacenter=%4", "datacenter"},
		{"scylla://u:secret%@a", "the password"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(read_url(cases[i].url), ERROR_MALFORMED);
		assert_null(config);
		assert_non_null(strstr(note.text, cases[i].names));
		assert_null(strstr(note.text, "secret"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_host_alone_is_enough, release),
		cmocka_unit_test_teardown(all_parts_are_read, release),
		cmocka_unit_test_teardown(tls_may_stand_alone, release),
		cmocka_unit_test_teardown(what_is_wrong_is_named, release),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
