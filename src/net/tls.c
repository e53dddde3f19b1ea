#include "net/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TLS_FILES = 3, WRITE_MAX_BYTES = 1 << 30 };

/* What tells one file from another that has taken its place. */
struct file_mark {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec changed;
};

struct tls {
	enum tls_role role;
	char *paths[TLS_FILES]; /* certificate, key, authorities; NULL: none */
	struct file_mark read[TLS_FILES], seen[TLS_FILES];
	BIO_METHOD *bio;
	pthread_mutex_t mutex; /* guards the following */
	SSL_CTX *context;
	atomic_int_fast64_t expires_s;
	atomic_uint_fast64_t reloads, failures;
};

struct tls_session {
	SSL *ssl;
	struct slice input; /* not read yet */
	struct buffer output;
	bool failed;
	const char *reason;
};

/* --- the certificates --- */

/* The newest error of this thread, for people. */
static const char *newest_reason(void)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);
	return reason == NULL ? "not understood" : reason;
}

static enum error check_readable(const char *what, const char *path, struct error_note *note)
{
	if (access(path, R_OK) == 0)
		return ERROR_OK;
	enum error error = errno == ENOENT ? ERROR_NOT_FOUND : errno == EACCES ? ERROR_PERMISSION_DENIED : ERROR_IO;
	return error_noted(note, error, "%s %s: %s", what, path, strerror(errno));
}

/* A key with a password would be asked for on a terminal. */
static int refuse_password(char *buffer, int size, int writing, void *context)
{
	(void)buffer;
	(void)size;
	(void)writing;
	*(bool *)context = true;
	return -1;
}

static enum error load_key(const struct tls *tls, SSL_CTX *context, struct error_note *note)
{
	bool encrypted = false;
	const char *path = tls->paths[1] == NULL ? tls->paths[0] : tls->paths[1];
	enum error error = check_readable("key", path, note);
	if (error != ERROR_OK)
		return error;
	SSL_CTX_set_default_passwd_cb(context, refuse_password);
	SSL_CTX_set_default_passwd_cb_userdata(context, &encrypted);
	if (SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) == 1)
		return ERROR_OK;
	if (encrypted)
		return error_noted(note, ERROR_INVALID_ARGUMENT,
				   "key %s is encrypted: nobody is there to give its password; write it without (openssl pkey)",
				   path);
	if (ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH)
		return error_noted(note, ERROR_INVALID_ARGUMENT, "key %s does not belong to certificate %s", path, tls->paths[0]);
	return error_noted(note, ERROR_INVALID_ARGUMENT, "key %s has no private key in PEM: %s", path, newest_reason());
}

static enum error load_certificate(const struct tls *tls, SSL_CTX *context, struct error_note *note)
{
	const char *path = tls->paths[0];
	if (path == NULL)
		return ERROR_OK;
	enum error error = check_readable("certificate", path, note);
	if (error != ERROR_OK)
		return error;
	if (SSL_CTX_use_certificate_chain_file(context, path) != 1)
		return error_noted(note, ERROR_INVALID_ARGUMENT, "certificate %s has no certificate in PEM that can be used: %s",
				   path, newest_reason());
	error = load_key(tls, context, note);
	if (error == ERROR_OK && SSL_CTX_check_private_key(context) != 1)
		error = error_noted(note, ERROR_INVALID_ARGUMENT, "the key does not belong to certificate %s", path);
	return error;
}

static enum error load_authorities(const struct tls *tls, SSL_CTX *context, struct error_note *note)
{
	const char *path = tls->paths[2];
	bool client = tls->role == TLS_CLIENT;
	if (path != NULL) {
		enum error error = check_readable("authorities", path, note);
		if (error != ERROR_OK)
			return error;
		STACK_OF(X509_NAME) *names = client ? NULL : SSL_load_client_CA_file(path);
		if (SSL_CTX_load_verify_locations(context, path, NULL) != 1 || (!client && names == NULL))
			return error_noted(note, ERROR_INVALID_ARGUMENT, "authorities %s has no certificate in PEM: %s", path,
					   newest_reason());
		if (!client)
			SSL_CTX_set_client_CA_list(context, names);
		/* One that another has signed is believed too, if it is here. */
		X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
	} else if (client) {
		SSL_CTX_set_default_verify_paths(context);
	}
	if (path != NULL || client)
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return ERROR_OK;
}

static const unsigned char protocols[] = "\2h2\10http/1.1";

static int choose_protocol(SSL *ssl, const unsigned char **ret_protocol, unsigned char *ret_size, const unsigned char *offered,
			   unsigned offered_size, void *context)
{
	(void)ssl;
	(void)context;
	int result = SSL_select_next_proto((unsigned char **)(uintptr_t)ret_protocol, ret_size, protocols, sizeof protocols - 1,
					   offered, offered_size);
	return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool configure(SSL_CTX *context, enum tls_role role)
{
	SSL_CTX_set_options(context,
			    SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS); /* idle connections have none */
	if (role == TLS_SERVER)
		SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
	return SSL_CTX_set_num_tickets(context, 0) == 1 && SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1;
}

static enum error make_context(const struct tls *tls, SSL_CTX **ret_context, struct error_note *note)
{
	ERR_clear_error();
	SSL_CTX *context = SSL_CTX_new(tls->role == TLS_SERVER ? TLS_server_method() : TLS_client_method());
	if (context == NULL || !configure(context, tls->role)) {
		SSL_CTX_free(context);
		return ERROR_NO_MEMORY;
	}
	enum error error = load_certificate(tls, context, note);
	if (error == ERROR_OK)
		error = load_authorities(tls, context, note);
	ERR_clear_error();
	SSL_CTX_set_default_passwd_cb_userdata(context, NULL);
	if (error == ERROR_OK)
		*ret_context = context;
	else
		SSL_CTX_free(context);
	return error;
}

static void mark_files(const struct tls *tls, struct file_mark ret_marks[TLS_FILES])
{
	memset(ret_marks, 0, TLS_FILES * sizeof *ret_marks);
	for (size_t i = 0; i < TLS_FILES; i++) {
		struct stat status;
		if (tls->paths[i] == NULL || stat(tls->paths[i], &status) != 0)
			continue;
		ret_marks[i].device = status.st_dev;
		ret_marks[i].inode = status.st_ino;
		ret_marks[i].size = status.st_size;
		ret_marks[i].changed = status.st_mtim;
	}
}

static int64_t find_expiry(SSL_CTX *context)
{
	struct tm parts;
	const X509 *certificate = SSL_CTX_get0_certificate(context);
	if (certificate == NULL || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) != 1)
		return 0;
	return timegm(&parts);
}

static enum error load(struct tls *tls, struct error_note *note)
{
	SSL_CTX *context, *old;
	mark_files(tls, tls->read); /* first: a change while they are read is one */
	enum error error = make_context(tls, &context, note);
	if (error != ERROR_OK)
		return error;
	atomic_store(&tls->expires_s, find_expiry(context));
	pthread_mutex_lock(&tls->mutex);
	old = tls->context;
	tls->context = context;
	pthread_mutex_unlock(&tls->mutex);
	SSL_CTX_free(old); /* sessions still have it */
	return ERROR_OK;
}

enum error tls_reload(struct tls *tls, struct error_note *note)
{
	enum error error = load(tls, note);
	atomic_fetch_add(error == ERROR_OK ? &tls->reloads : &tls->failures, 1);
	return error;
}

bool tls_changed(struct tls *tls)
{
	struct file_mark now[TLS_FILES];
	mark_files(tls, now);
	bool changed = memcmp(now, tls->read, sizeof now) != 0, rested = memcmp(now, tls->seen, sizeof now) == 0;
	memcpy(tls->seen, now, sizeof now);
	if (changed && rested)
		memcpy(tls->read, now, sizeof now);
	return changed && rested;
}

struct tls_stats tls_stats(const struct tls *tls)
{
	return (struct tls_stats){
		.expires_s = atomic_load(&tls->expires_s),
		.reloads = atomic_load(&tls->reloads),
		.failures = atomic_load(&tls->failures),
	};
}

/* --- OpenSSL's way to the bytes --- */

static int bio_read(BIO *bio, char *output, int size)
{
	struct tls_session *session = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (session->input.size == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	size_t count = session->input.size < (size_t)size ? session->input.size : (size_t)size;
	memcpy(output, session->input.data, count);
	session->input = slice_make(session->input.data + count, session->input.size - count);
	return (int)count;
}

static int bio_write(BIO *bio, const char *data, int size)
{
	struct tls_session *session = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	return buffer_append(&session->output, data, (size_t)size) == ERROR_OK ? size : -1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *make_bio_method(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ping");
	if (method == NULL)
		return NULL;
	BIO_meth_set_read(method, bio_read);
	BIO_meth_set_write(method, bio_write);
	BIO_meth_set_ctrl(method, bio_control);
	return method;
}

static bool copy_paths(struct tls *tls, const struct tls_files *files)
{
	const char *const paths[TLS_FILES] = {files->certificate, files->key, files->authorities};
	for (size_t i = 0; i < TLS_FILES; i++)
		if (paths[i] != NULL && *paths[i] != 0 && (tls->paths[i] = strdup(paths[i])) == NULL)
			return false;
	return true;
}

enum error tls_create(enum tls_role role, const struct tls_files *files, struct tls **ret_tls, struct error_note *note)
{
	struct tls *tls = calloc(1, sizeof *tls);
	if (tls == NULL)
		return ERROR_NO_MEMORY;
	tls->role = role;
	pthread_mutex_init(&tls->mutex, NULL);
	tls->bio = make_bio_method();
	enum error error = tls->bio != NULL && copy_paths(tls, files) ? ERROR_OK : ERROR_NO_MEMORY;
	if (error == ERROR_OK && role == TLS_SERVER && tls->paths[0] == NULL)
		error = error_noted(note, ERROR_INVALID_ARGUMENT, "a server needs a certificate");
	if (error == ERROR_OK)
		error = load(tls, note);
	if (error != ERROR_OK) {
		tls_destroy(tls);
		return error;
	}
	memcpy(tls->seen, tls->read, sizeof tls->seen);
	*ret_tls = tls;
	return ERROR_OK;
}

void tls_destroy(struct tls *tls)
{
	if (tls == NULL)
		return;
	SSL_CTX_free(tls->context);
	BIO_meth_free(tls->bio);
	for (size_t i = 0; i < TLS_FILES; i++)
		free(tls->paths[i]);
	pthread_mutex_destroy(&tls->mutex);
	free(tls);
}

/* --- a connection --- */

static bool set_host(SSL *ssl, const char *host)
{
	uint8_t address[16];
	bool numeric = inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
	if (SSL_set_alpn_protos(ssl, protocols, sizeof protocols - 1) != 0)
		return false;
	if (numeric)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static bool open_ssl(struct tls *tls, SSL_CTX *context, const char *host, struct tls_session *session)
{
	BIO *bio = BIO_new(tls->bio);
	session->ssl = bio == NULL ? NULL : SSL_new(context);
	if (session->ssl == NULL) {
		BIO_free(bio);
		return false;
	}
	BIO_set_data(bio, session);
	BIO_set_init(bio, 1);
	SSL_set_bio(session->ssl, bio, bio);
	if (tls->role == TLS_SERVER) {
		SSL_set_accept_state(session->ssl);
		return true;
	}
	SSL_set_connect_state(session->ssl);
	if (!set_host(session->ssl, host))
		return false;
	SSL_do_handshake(session->ssl); /* the first message; it wants an answer */
	return session->output.size > 0;
}

enum error tls_session_create(struct tls *tls, const char *host, struct tls_session **ret_session)
{
	struct tls_session *session = calloc(1, sizeof *session);
	if (session == NULL)
		return ERROR_NO_MEMORY;
	buffer_init(&session->output, SIZE_MAX);
	pthread_mutex_lock(&tls->mutex);
	SSL_CTX *context = tls->context;
	SSL_CTX_up_ref(context);
	pthread_mutex_unlock(&tls->mutex);
	ERR_clear_error();
	bool fine = open_ssl(tls, context, host, session);
	SSL_CTX_free(context);
	if (!fine) {
		tls_session_destroy(session);
		return ERROR_NO_MEMORY;
	}
	*ret_session = session;
	return ERROR_OK;
}

void tls_session_destroy(struct tls_session *session)
{
	if (session == NULL)
		return;
	SSL_free(session->ssl);
	buffer_release(&session->output);
	free(session);
}

void tls_session_feed(struct tls_session *session, struct slice sealed)
{
	session->input = sealed;
}

static enum tls_result fail(struct tls_session *session)
{
	long verified = SSL_get_verify_result(session->ssl);
	session->failed = true;
	session->reason = newest_reason();
	if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK)
		session->reason = X509_verify_cert_error_string(verified);
	ERR_clear_error();
	return TLS_FAILED;
}

enum tls_result tls_session_read(struct tls_session *session, void *output, size_t size, size_t *ret_count)
{
	if (session->failed)
		return TLS_FAILED;
	ERR_clear_error();
	int result = SSL_read_ex(session->ssl, output, size, ret_count);
	if (result == 1)
		return TLS_BYTES;
	switch (SSL_get_error(session->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return TLS_MORE;
	case SSL_ERROR_ZERO_RETURN:
		return TLS_END;
	default:
		return fail(session);
	}
}

enum error tls_session_write(struct tls_session *session, struct slice plain)
{
	size_t written;
	if (session->failed || plain.size > WRITE_MAX_BYTES)
		return ERROR_INTERNAL;
	ERR_clear_error();
	/* The output takes everything: whole or not at all. */
	if (plain.size == 0 || SSL_write_ex(session->ssl, plain.data, plain.size, &written) == 1)
		return ERROR_OK;
	fail(session);
	return ERROR_NO_MEMORY;
}

void tls_session_close(struct tls_session *session)
{
	if (session->failed || !tls_session_is_open(session))
		return;
	ERR_clear_error();
	SSL_shutdown(session->ssl);
	ERR_clear_error();
}

struct buffer *tls_session_output(struct tls_session *session)
{
	return &session->output;
}

bool tls_session_is_open(const struct tls_session *session)
{
	return SSL_is_init_finished(session->ssl) == 1;
}

struct slice tls_session_protocol(const struct tls_session *session)
{
	const unsigned char *name;
	unsigned size;
	SSL_get0_alpn_selected(session->ssl, &name, &size);
	return slice_make(name, size);
}

const char *tls_session_reason(const struct tls_session *session)
{
	return session->reason == NULL ? "" : session->reason;
}
