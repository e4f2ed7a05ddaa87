/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of httpd share: a server on a ring in another thread, and a TLS client of OpenSSL's on loopback. */
#ifndef HSM_HTTPD_FIXTURE_H
#define HSM_HTTPD_FIXTURE_H

#include "unit.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "httpd.h"

#define BIG_BODY 300000

extern char cert_pem[64], key_pem[64];	/* files */
extern char big_body[BIG_BODY];

/* ---- server ---- */

struct server {
	SSL_CTX *tls;
	struct ring *ring;
	struct httpd *httpd;
	pthread_t thread;
	struct ring_work stop, answer;
	struct httpd_conn *held;
	atomic_int n_held, n_requests, n_answered;
	int run_err, drain_err;
};

extern struct server srv;

/* Paths: /echo, /count (requests of the connection so far), /peer, /later, /big, and /hold until answer_held(). */
void serve(void *arg, struct httpd_conn *conn, const struct http_request *req);
void server_open(unsigned int idle_ms, unsigned int request_ms, unsigned int max_conns);	/* listens */
void server_run(void);										/* and serves */
int set_up(void **state);	/* both, with limits that no test reaches */
int tear_down(void **state);	/* with ASan this also shows that no connection is left */
void wait_for(atomic_int *n, int value);
void answer_held(void);

int make_certificate(void **state);
int remove_certificate(void **state);

#define WITH(f, up) cmocka_unit_test_setup_teardown(f, up, tear_down)

/* Against hanging tests, and for running those only whose name matches. */
void fixture_begin(const char *filter);

/* ---- client ---- */

struct client {
	SSL_CTX *ctx;
	SSL *ssl;
	int fd;
	char buf[BIG_BODY + 4096];
	size_t len;
};

struct response {
	int status;
	bool close;
	const char *body;
	size_t body_len, total;
};

extern struct client cl;

int connect_raw(void);
void client_open(struct client *c, int version);	/* version 0: the highest */
void client_close(struct client *c);
void put(struct client *c, const char *text);
bool fill(struct client *c);				/* false at close_notify */
void drop(struct client *c, size_t n);
void get(struct client *c, struct response *r);
void expect(struct client *c, int status, const char *body, bool closes);

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(path, len, body) "POST " path " HTTP/1.1\r\nHost: a\r\nContent-Length: " len "\r\n\r\n" body

#endif
