/* SPDX-License-Identifier: Apache-2.0 */
/* Between httpd.c (listener, timers) and httpd_conn.c (connections); for nobody else. */
#ifndef HSM_HTTPD_CONN_H
#define HSM_HTTPD_CONN_H

#include "httpd.h"

#define HTTPD_SPARES 32		/* small buffers kept for reuse, of each kind */

/* What a connection waits for; within a list all waits are equally long, so its order is by deadline. */
enum httpd_wait {
	WAIT_NONE,		/* for the handler: no deadline of ours */
	WAIT_IDLE,		/* for a request to begin */
	WAIT_REQUEST,		/* for the rest of a handshake or request */
	WAIT_SEND,		/* for the peer to take a response */
	WAIT_LINGER,		/* for the peer to close */
	N_WAITS,
};

struct httpd_list {
	struct httpd_conn *first, *last;
};

/* Plaintext from the client and the request parsed out of it. */
struct httpd_rx {
	struct httpd_rx *next;	/* spare */
	struct http_request req;
	size_t need;		/* size of the request at the start, once known */
	size_t taken;		/* size of the request handed out */
	size_t len, cap;
	char data[];
};

/* TLS records to the client. */
struct httpd_tx {
	struct httpd_tx *next;	/* spare */
	size_t off, len, cap;
	uint8_t data[];
};

struct httpd {
	struct ring *ring;
	struct ring_bufs *bufs;
	SSL_CTX *tls;
	httpd_fn fn;
	void *arg;
	unsigned int max_conns, n_conns;
	unsigned int wait_ms[N_WAITS];
	struct httpd_list waits[N_WAITS];

	struct httpd_rx *spare_rx;
	struct httpd_tx *spare_tx;
	unsigned int n_spare_rx, n_spare_tx;

	int fd;
	struct sockaddr_storage addr;	/* bound */
	struct httpd *next_open;	/* of this process's listeners */
	bool accepting, ticking, closed;
	struct ring_op accept_op;
	struct ring_timer tick;
	unsigned int tick_ms;
};

/* Takes over fd.  Logs failure. */
void httpd_conn_start(struct httpd *h, int fd);
void httpd_conn_expired(struct httpd_conn *c);		/* its wait is over */
void httpd_conn_kill(struct httpd_conn *c);		/* ends without courtesy */
uint64_t httpd_conn_deadline(const struct httpd_conn *c);
struct httpd_conn *httpd_conn_next(const struct httpd_conn *c);	/* in its list */

void httpd_conn_gone(struct httpd *h);	/* a connection's memory is free */

#endif
