/* TLS 1.2 and 1.3 (RFC 5246, RFC 8446) by OpenSSL, without I/O: bytes in, bytes out; sockets are elsewhere.
 *
 *   the peer's bytes ─► feed ─► read ─► what it said          what is to be said ─► write ─► output ─► to the peer
 *                               └─ the handshake, alerts ───────────────────────────────────► output
 *
 * No session is ever resumed: no cache, no tickets. So there is no key that tickets of many processes would have to share and
 * rotate, and whoever comes back is judged by the certificates of now. No compression, no renegotiation; of TLS 1.2 only
 * suites with forward secrecy and AEAD, as HTTP/2 wants them (RFC 9113, 9.2.2).
 */
#ifndef PING_NET_TLS_H
#define PING_NET_TLS_H

#include "base/buffer.h"

enum tls_role { TLS_SERVER, TLS_CLIENT };

/* PEM files; NULL or "": none. */
struct tls_files {
	const char *certificate; /* and its chain. A server needs one */
	const char *key;	 /* none: it is in the certificate's file */
	const char *authorities; /* whom the peer's certificate must come from. Server: none asks for no certificate. Client: none
				    means those of the system */
};

/* One side's certificates. */
struct tls;

/* The paths are copied. The note names the file and what is wrong: NOT_FOUND, PERMISSION_DENIED, IO (it can't be read),
 * INVALID_ARGUMENT, NO_MEMORY. */
enum error tls_create(enum tls_role role, const struct tls_files *files, struct tls **ret_tls, struct error_note *note);
/* All sessions must be gone. */
void tls_destroy(struct tls *tls);
/* Reads the files again, for sessions from now on; on failure, as of tls_create, what was read before stays in force. One thread
 * at a time. */
enum error tls_reload(struct tls *tls, struct error_note *note);
/* The files are others than at the last create or reload, and have rested since the last call: whoever writes several is not
 * disturbed half-way. True once a change. The thread that reloads. */
bool tls_changed(struct tls *tls);
struct tls_stats {
	int64_t expires_s;	    /* when the certificate ends: Unix seconds; 0: there is none */
	uint64_t reloads, failures; /* that came into force, and that did not */
};

/* Any thread. */
struct tls_stats tls_stats(const struct tls *tls);

/* One connection. */
struct tls_session;

enum tls_result {
	TLS_BYTES,  /* some were read */
	TLS_MORE,   /* all that was fed is read */
	TLS_END,    /* the peer has said its last (close_notify) */
	TLS_FAILED, /* output may hold an alert for the peer; nothing more can be said or heard */
};

/* Any thread. host: whom a client wants to reach, a name or an address, which the certificate must have. ERROR_NO_MEMORY. */
enum error tls_session_create(struct tls *tls, const char *host, struct tls_session **ret_session);
void tls_session_destroy(struct tls_session *session);
/* The bytes must live until read says MORE. */
void tls_session_feed(struct tls_session *session, struct slice sealed);
/* Up to `size` bytes, in *ret_count when BYTES. */
enum tls_result tls_session_read(struct tls_session *session, void *output, size_t size, size_t *ret_count);
/* Once open. All of it is in the output then. ERROR_NO_MEMORY. */
enum error tls_session_write(struct tls_session *session, struct slice plain);
/* Says that this side has said its last. */
void tls_session_close(struct tls_session *session);
/* What is to be sent: the sender consumes it. */
struct buffer *tls_session_output(struct tls_session *session);
/* The handshake is done. */
bool tls_session_is_open(const struct tls_session *session);
/* What was agreed on (ALPN, RFC 7301): "h2", "http/1.1", or nothing. */
struct slice tls_session_protocol(const struct tls_session *session);
/* After FAILED, for people. */
const char *tls_session_reason(const struct tls_session *session);

#endif
