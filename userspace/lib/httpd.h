/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTPS server on a worker's ring: accept, TLS (OpenSSL on memory BIOs), HTTP
 * with keep-alive and pipelining.  Requests of one connection are handed out one
 * at a time, in order; the next after httpd_reply().  Idle, slow and over-long
 * connections are closed by timers.
 */
#ifndef HSM_HTTPD_H
#define HSM_HTTPD_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include "http.h"
#include "ring.h"

struct httpd;
struct httpd_conn;

struct httpd_config {
	struct sockaddr_storage addr;
	socklen_t addr_len;
	SSL_CTX *tls;			/* of tls_server_ctx(); borrowed */
	unsigned int max_conns;		/* per worker; at the limit the longest idle is closed, else more wait in the backlog */
	unsigned int idle_ms, request_ms; /* keep-alive idle; from first byte to whole request */
};

/*
 * A whole request.  req and its spans stay valid until httpd_reply().  Exactly one httpd_reply() is owed
 * for each, from this thread, inside the callback or later, even if the peer has gone meanwhile
 * (conn stays valid until then).
 */
typedef void (*httpd_fn)(void *arg, struct httpd_conn *conn, const struct http_request *req);

/*
 * One listener per worker (SO_REUSEPORT within the process).  -EADDRINUSE (after trying for 2 s: a
 * predecessor may be on its way out), -EACCES, ...
 */
int httpd_listen(struct ring *ring, const struct httpd_config *cfg, httpd_fn fn, void *arg, struct httpd **h);
/* Stops accepting, closes every connection; owed replies stay owed.  Memory goes as the ring runs on (ring_drain()). */
void httpd_close(struct httpd *h);
unsigned int httpd_port(const struct httpd *h);	/* bound port, for addr port 0 */

/*
 * body is copied (into the TLS record) before return; a HEAD gets the head only.  Never calls httpd_fn itself: the next request of
 * the connection is handed out from the ring, later.  No use of conn or of the request's spans after it.
 */
void httpd_reply(struct httpd_conn *conn, int status, const char *request_id, const void *body, size_t len);
void *httpd_conn_data(struct httpd_conn *conn);	/* 0-initialised scratch of HTTPD_CONN_DATA bytes, per connection */
const char *httpd_peer(const struct httpd_conn *conn);	/* "192.0.2.1:4711" */
#define HTTPD_CONN_DATA 80

/*
 * TLS 1.2/1.3 server context: AEAD suites only, no compression, no renegotiation, session tickets on.  The
 * keys of the tickets live as long as the context, that is the process: whoever learns them can read the sessions
 * of TLS 1.2 that were given tickets in that time (those of 1.3 make a new key exchange each).
 */
int tls_server_ctx(const char *cert_pem, const char *key_pem, SSL_CTX **ctx);

#endif
