/* The edge where TLS is spoken: bytes from a peer, in pieces, to a server that waits for a handshake, to one that has done it,
 * and to a client. Whatever comes, each step ends, what failed stays failed, and nothing is opened that nobody sealed.
 *
 * input: a byte that says who is given the rest and how (bits 0 and 1: a server, a server after the handshake, a client, a client
 * after it; the others, shifted: in pieces of so many bytes, 0: all at once); the rest is what the peer sends.
 */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "net/tls.h"

enum { OPENED = 1, CLIENT = 2, STEPS = 1000 };

/* ── A certificate of its own, in files that are memory ── */

static EVP_PKEY *key;
static char key_path[40], certificate_path[40];

static void name_file(char *path, size_t size, int fd)
{
	FUZZ_CHECK(fd >= 0);
	snprintf(path, size, "/proc/self/fd/%d", fd);
}

static void make_certificate(void)
{
	X509 *certificate = X509_new();
	FUZZ_CHECK((key = EVP_EC_gen("P-256")) != NULL && certificate != NULL);
	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600 * 24 * 365);
	X509_NAME *name = X509_get_subject_name(certificate);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	X509_set_pubkey(certificate, key);
	FUZZ_CHECK(X509_sign(certificate, key, EVP_sha256()) > 0);
	int key_fd = memfd_create("key", 0), certificate_fd = memfd_create("certificate", 0);
	name_file(key_path, sizeof key_path, key_fd);
	name_file(certificate_path, sizeof certificate_path, certificate_fd);
	FILE *file = fopen(key_path, "w");
	FUZZ_CHECK(file != NULL && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1 && fclose(file) == 0);
	file = fopen(certificate_path, "w");
	FUZZ_CHECK(file != NULL && PEM_write_X509(file, certificate) == 1 && fclose(file) == 0);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static struct tls *server, *client;

static void start_once(void)
{
	if (server != NULL)
		return;
	make_certificate();
	const struct tls_files own = {certificate_path, key_path, NULL}, other = {NULL, NULL, certificate_path};
	FUZZ_CHECK(tls_create(TLS_SERVER, &own, &server, NULL) == ERROR_OK);
	FUZZ_CHECK(tls_create(TLS_CLIENT, &other, &client, NULL) == ERROR_OK);
}

/* ── Steps ── */

/* Until it wants more. How many bytes were opened; *ret_result: the last word. */
static size_t read_all(struct tls_session *session, enum tls_result *ret_result)
{
	static uint8_t opened[1 << 14];
	size_t sum = 0;
	for (int i = 0; i < STEPS; i++) {
		size_t count = 0;
		*ret_result = tls_session_read(session, opened, sizeof opened, &count);
		if (*ret_result != TLS_BYTES)
			return sum;
		FUZZ_CHECK(count > 0 && count <= sizeof opened);
		sum += count;
	}
	FUZZ_CHECK(false);
	return 0;
}

static void carry(struct tls_session *from, struct tls_session *to)
{
	enum tls_result result;
	struct buffer *output = tls_session_output(from);
	tls_session_feed(to, buffer_slice(output));
	read_all(to, &result);
	FUZZ_CHECK(result == TLS_MORE);
	buffer_clear(output);
}

static void shake_hands(struct tls_session *one, struct tls_session *other)
{
	for (int i = 0; i < 4; i++) {
		carry(other, one);
		carry(one, other);
	}
	FUZZ_CHECK(tls_session_is_open(one) && tls_session_is_open(other));
	FUZZ_CHECK(slice_equal_string(tls_session_protocol(one), "h2"));
}

/* Nobody has the keys: no byte of it is taken for the peer's. */
static void give(struct tls_session *session, struct slice bytes, size_t piece)
{
	enum tls_result result = TLS_MORE;
	while (bytes.size > 0 && result == TLS_MORE) {
		size_t size = piece > 0 && piece < bytes.size ? piece : bytes.size;
		tls_session_feed(session, slice_make(bytes.data, size));
		bytes = slice_make(bytes.data + size, bytes.size - size);
		FUZZ_CHECK(read_all(session, &result) == 0);
	}
	if (result != TLS_FAILED)
		return;
	tls_session_feed(session, bytes);
	read_all(session, &result);
	FUZZ_CHECK(result == TLS_FAILED && *tls_session_reason(session) != 0);
	FUZZ_CHECK(tls_session_write(session, SLICE_LITERAL("answer")) != ERROR_OK);
	tls_session_close(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	start_once();
	struct tls_session *accepting, *connecting;
	FUZZ_CHECK(tls_session_create(server, NULL, &accepting) == ERROR_OK);
	FUZZ_CHECK(tls_session_create(client, "localhost", &connecting) == ERROR_OK);
	if (data[0] & OPENED)
		shake_hands(accepting, connecting);
	give(data[0] & CLIENT ? connecting : accepting, slice_make(data + 1, size - 1), data[0] >> 2);
	tls_session_destroy(accepting);
	tls_session_destroy(connecting);
	return 0;
}
