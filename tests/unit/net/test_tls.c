/* TLS without sockets: a server's and a client's session, each fed what the other puts out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/tls.h"

enum { PATH_SIZE = 64, DAY_S = 86400 };

static char folder[] = "/tmp/test-tls-XXXXXX";

static const char *path(const char *name)
{
	static char paths[8][PATH_SIZE];
	static unsigned next;
	char *text = paths[next++ % 8];
	snprintf(text, PATH_SIZE, "%s/%s", folder, name);
	return text;
}

/* --- certificates --- */

static FILE *open_file(const char *name)
{
	FILE *file = fopen(path(name), "we");
	assert_non_null(file);
	return file;
}

static void write_text(const char *name, const char *text)
{
	FILE *file = open_file(name);
	fputs(text, file);
	fclose(file);
}

static void write_key(const char *name, EVP_PKEY *key, const char *password)
{
	FILE *file = open_file(name);
	assert_int_equal(PEM_write_PrivateKey(file, key, password == NULL ? NULL : EVP_aes_128_cbc(),
					      (const unsigned char *)password, password == NULL ? 0 : (int)strlen(password), NULL,
					      NULL),
			 1);
	fclose(file);
}

/* A certificate of its own authority, for localhost and 127.0.0.1, good for so many days. */
static void write_certificate(const char *certificate_name, const char *key_name, int days)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	X509_set_version(certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
	X509_gmtime_adj(X509_getm_notAfter(certificate), (long)days * DAY_S);
	X509_set_pubkey(certificate, key);
	X509_NAME *name = X509_get_subject_name(certificate);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
	X509_add_ext(certificate, names, -1);
	assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
	FILE *file = open_file(certificate_name);
	PEM_write_X509(file, certificate);
	fclose(file);
	write_key(key_name, key, NULL);
	X509_EXTENSION_free(names);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static int setup(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	write_certificate("server.crt", "server.key", 10);
	write_certificate("other.crt", "other.key", 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	char command[PATH_SIZE + 16];
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command);
}

static struct tls *make(enum tls_role role, const char *certificate, const char *key, const char *authorities)
{
	struct tls *tls = NULL;
	struct error_note note = {""};
	struct tls_files files = {
		certificate == NULL ? NULL : path(certificate),
		key == NULL ? NULL : path(key),
		authorities == NULL ? NULL : path(authorities),
	};
	if (tls_create(role, &files, &tls, &note) != ERROR_OK)
		fail_msg("%s", note.text);
	return tls;
}

/* --- two sessions --- */

struct side {
	struct tls *tls;
	struct tls_session *session;
	enum tls_result result;
	char heard[4096];
	size_t size;
};

static struct side server, client;

static void open_sides(struct tls *server_tls, struct tls *client_tls, const char *host)
{
	server = (struct side){.tls = server_tls};
	client = (struct side){.tls = client_tls};
	assert_int_equal(tls_session_create(server_tls, NULL, &server.session), ERROR_OK);
	assert_int_equal(tls_session_create(client_tls, host, &client.session), ERROR_OK);
}

static void end_sessions(void)
{
	tls_session_destroy(server.session);
	tls_session_destroy(client.session);
}

static void close_sides(void)
{
	end_sessions();
	tls_destroy(server.tls);
	tls_destroy(client.tls);
}

/* At most `most` bytes at a time. False: there was nothing. */
static bool carry(struct side *from, struct side *to, size_t most)
{
	struct buffer *output = tls_session_output(from->session);
	size_t count = output->size < most ? output->size : most;
	if (count == 0)
		return false;
	tls_session_feed(to->session, slice_make(output->data, count));
	for (;;) {
		size_t read;
		to->result = tls_session_read(to->session, to->heard + to->size, sizeof to->heard - to->size, &read);
		if (to->result != TLS_BYTES)
			break;
		to->size += read;
	}
	buffer_consume(output, count);
	return true;
}

static void talk(size_t most)
{
	bool more = true;
	while (more) {
		more = carry(&client, &server, most);
		more = carry(&server, &client, most) || more;
	}
}

static void say(struct side *side, const char *text)
{
	assert_int_equal(tls_session_write(side->session, slice_from_string(text)), ERROR_OK);
}

static void expect_heard(const struct side *side, const char *text)
{
	assert_int_equal(side->size, strlen(text));
	assert_memory_equal(side->heard, text, side->size);
}

/* --- tests --- */

static void both_sides_hear_what_the_other_says(void **state)
{
	(void)state;
	open_sides(make(TLS_SERVER, "server.crt", "server.key", NULL), make(TLS_CLIENT, NULL, NULL, "server.crt"), "127.0.0.1");
	talk(SIZE_MAX);
	assert_true(tls_session_is_open(server.session));
	assert_true(tls_session_is_open(client.session));
	assert_true(slice_equal_string(tls_session_protocol(server.session), "h2"));
	assert_true(slice_equal_string(tls_session_protocol(client.session), "h2"));
	say(&client, "a question");
	say(&server, "an answer");
	talk(SIZE_MAX);
	expect_heard(&server, "a question");
	expect_heard(&client, "an answer");
	tls_session_close(client.session);
	talk(SIZE_MAX);
	assert_int_equal(server.result, TLS_END);
	close_sides();
}

static void bytes_may_come_one_by_one(void **state)
{
	(void)state;
	open_sides(make(TLS_SERVER, "server.crt", "server.key", NULL), make(TLS_CLIENT, NULL, NULL, "server.crt"), "localhost");
	talk(1);
	say(&client, "slowly");
	talk(1);
	expect_heard(&server, "slowly");
	assert_int_equal(server.result, TLS_MORE);
	close_sides();
}

static void a_client_believes_no_other_authority(void **state)
{
	(void)state;
	open_sides(make(TLS_SERVER, "server.crt", "server.key", NULL), make(TLS_CLIENT, NULL, NULL, "other.crt"), "localhost");
	talk(SIZE_MAX);
	assert_int_equal(client.result, TLS_FAILED);
	assert_non_null(strstr(tls_session_reason(client.session), "self-signed certificate"));
	assert_int_equal(server.result, TLS_FAILED); /* by the client's alert */
	assert_false(tls_session_is_open(server.session));
	close_sides();
}

static void a_client_wants_the_name_that_it_asked_for(void **state)
{
	(void)state;
	open_sides(make(TLS_SERVER, "server.crt", "server.key", NULL), make(TLS_CLIENT, NULL, NULL, "server.crt"), "example.com");
	talk(SIZE_MAX);
	assert_int_equal(client.result, TLS_FAILED);
	assert_non_null(strstr(tls_session_reason(client.session), "ostname mismatch"));
	close_sides();
}

static void a_server_with_authorities_wants_a_certificate(void **state)
{
	(void)state;
	open_sides(make(TLS_SERVER, "server.crt", "server.key", "other.crt"), make(TLS_CLIENT, NULL, NULL, "server.crt"),
		   "localhost");
	talk(SIZE_MAX);
	assert_int_equal(server.result, TLS_FAILED);
	assert_string_equal(tls_session_reason(server.session), "peer did not return a certificate");
	end_sessions();
	struct tls *server_tls = server.tls;
	tls_destroy(client.tls);

	open_sides(server_tls, make(TLS_CLIENT, "server.crt", "server.key", "server.crt"), "localhost");
	talk(SIZE_MAX);
	assert_int_equal(server.result, TLS_FAILED);
	assert_non_null(strstr(tls_session_reason(server.session), "self-signed certificate"));
	end_sessions();
	tls_destroy(client.tls);

	open_sides(server_tls, make(TLS_CLIENT, "other.crt", "other.key", "server.crt"), "localhost");
	talk(SIZE_MAX);
	assert_true(tls_session_is_open(server.session));
	say(&client, "known");
	talk(SIZE_MAX);
	expect_heard(&server, "known");
	close_sides();
}

static void what_is_no_tls_fails(void **state)
{
	(void)state;
	open_sides(make(TLS_SERVER, "server.crt", "server.key", NULL), make(TLS_CLIENT, NULL, NULL, "server.crt"), "localhost");
	size_t count;
	tls_session_feed(server.session, SLICE_LITERAL("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
	assert_int_equal(tls_session_read(server.session, server.heard, sizeof server.heard, &count), TLS_FAILED);
	assert_true(strlen(tls_session_reason(server.session)) > 0);
	/* And so it stays. */
	assert_int_equal(tls_session_read(server.session, server.heard, sizeof server.heard, &count), TLS_FAILED);
	assert_int_not_equal(tls_session_write(server.session, SLICE_LITERAL("x")), ERROR_OK);
	close_sides();
}

static void refuse(const char *certificate, const char *key, const char *authorities, enum error expected, const char *text)
{
	struct tls *tls = NULL;
	struct error_note note = {""};
	struct tls_files files = {path(certificate), key == NULL ? NULL : path(key),
				  authorities == NULL ? NULL : path(authorities)};
	assert_int_equal(tls_create(TLS_SERVER, &files, &tls, &note), expected);
	assert_null(tls);
	if (strstr(note.text, text) == NULL || strstr(note.text, folder) == NULL)
		fail_msg("%s", note.text);
}

static void files_that_can_not_be_used_are_named(void **state)
{
	(void)state;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	write_key("locked.key", key, "secret");
	EVP_PKEY_free(key);
	write_text("empty.pem", "");
	refuse("nowhere.crt", "server.key", NULL, ERROR_NOT_FOUND, "nowhere.crt: No such file");
	refuse("server.crt", "nowhere.key", NULL, ERROR_NOT_FOUND, "nowhere.key: No such file");
	refuse("server.crt", NULL, NULL, ERROR_INVALID_ARGUMENT, "has no private key");
	refuse("empty.pem", "server.key", NULL, ERROR_INVALID_ARGUMENT, "has no certificate");
	refuse("server.crt", "other.key", NULL, ERROR_INVALID_ARGUMENT, "does not belong to certificate");
	refuse("server.crt", "locked.key", NULL, ERROR_INVALID_ARGUMENT, "is encrypted");
	refuse("server.crt", "server.key", "empty.pem", ERROR_INVALID_ARGUMENT, "has no certificate");
}

static void copy_file(const char *from, const char *to)
{
	char bytes[8192];
	FILE *source = fopen(path(from), "re"), *target = open_file(to);
	assert_non_null(source);
	fwrite(bytes, 1, fread(bytes, 1, sizeof bytes, source), target);
	fclose(source);
	fclose(target);
}

static void certificates_are_read_again_for_new_sessions(void **state)
{
	(void)state;
	struct error_note note = {""};
	copy_file("server.crt", "live.crt");
	copy_file("server.key", "live.key");
	struct tls *tls = make(TLS_SERVER, "live.crt", "live.key", NULL);
	int64_t before_s = tls_stats(tls).expires_s;
	open_sides(tls, make(TLS_CLIENT, NULL, NULL, "server.crt"), "localhost");
	talk(SIZE_MAX);

	copy_file("other.crt", "live.crt");
	assert_int_equal(tls_reload(tls, &note), ERROR_INVALID_ARGUMENT); /* the key is the old one */
	assert_non_null(strstr(note.text, "live.key does not belong to"));
	assert_int_equal(tls_stats(tls).failures, 1);
	assert_int_equal(tls_stats(tls).expires_s, before_s);
	copy_file("other.key", "live.key");
	assert_int_equal(tls_reload(tls, &note), ERROR_OK);
	assert_int_equal(tls_stats(tls).expires_s, before_s + 10 * DAY_S);

	say(&client, "still here");
	talk(SIZE_MAX);
	expect_heard(&server, "still here");
	end_sessions();
	tls_destroy(client.tls);
	open_sides(tls, make(TLS_CLIENT, NULL, NULL, "other.crt"), "localhost");
	talk(SIZE_MAX);
	assert_true(tls_session_is_open(client.session));
	close_sides();
}

static void a_change_is_told_once_when_it_rests(void **state)
{
	(void)state;
	copy_file("server.crt", "live.crt");
	copy_file("server.key", "live.key");
	struct tls *tls = make(TLS_SERVER, "live.crt", "live.key", NULL);
	assert_false(tls_changed(tls));
	assert_false(tls_changed(tls));
	unlink(path("live.crt"));
	assert_false(tls_changed(tls));
	copy_file("other.crt", "live.crt");
	assert_false(tls_changed(tls));
	copy_file("other.key", "live.key");
	assert_false(tls_changed(tls));
	assert_true(tls_changed(tls));
	assert_false(tls_changed(tls));
	tls_destroy(tls);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_sides_hear_what_the_other_says),
		cmocka_unit_test(bytes_may_come_one_by_one),
		cmocka_unit_test(a_client_believes_no_other_authority),
		cmocka_unit_test(a_client_wants_the_name_that_it_asked_for),
		cmocka_unit_test(a_server_with_authorities_wants_a_certificate),
		cmocka_unit_test(what_is_no_tls_fails),
		cmocka_unit_test(files_that_can_not_be_used_are_named),
		cmocka_unit_test(certificates_are_read_again_for_new_sessions),
		cmocka_unit_test(a_change_is_told_once_when_it_rests),
	};
	return cmocka_run_group_tests_name("tls", tests, setup, teardown);
}
