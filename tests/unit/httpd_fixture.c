// SPDX-License-Identifier: Apache-2.0
#include "httpd_fixture.h"

#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char dir[] = "/tmp/hsm-httpd-XXXXXX";

char cert_pem[64], key_pem[64], big_body[BIG_BODY];

/* ---- server ---- */

struct later {
	struct ring_timer timer;
	struct httpd_conn *conn;
	char body[32];
	size_t len;
};

struct server srv;

static void later_done(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	struct later *l = (struct later *)op;

	(void)res, (void)flags, (void)extra;
	httpd_reply(l->conn, 200, NULL, l->body, l->len);
	free(l);
}

void serve(void *arg, struct httpd_conn *conn, const struct http_request *req)
{
	unsigned int *count = httpd_conn_data(conn);
	char body[32];
	int len;

	assert_ptr_equal(arg, &srv);
	srv.n_requests++;
	++*count;
	if (span_eq(req->path, "/echo")) {
		httpd_reply(conn, 200, "id", req->body.p, req->body.len);
	} else if (span_eq(req->path, "/count")) {
		len = snprintf(body, sizeof(body), "%u", *count);
		httpd_reply(conn, 200, NULL, body, (size_t)len);
	} else if (span_eq(req->path, "/peer")) {
		httpd_reply(conn, 200, NULL, httpd_peer(conn), strlen(httpd_peer(conn)));
	} else if (span_eq(req->path, "/later")) {
		struct later *l = calloc(1, sizeof(*l));

		l->timer.op.done = later_done;
		l->conn = conn;
		l->len = (size_t)snprintf(l->body, sizeof(l->body), "%u", *count);
		ring_timer_start(srv.ring, &l->timer, 5);
	} else if (span_eq(req->path, "/big")) {
		httpd_reply(conn, 200, NULL, big_body, sizeof(big_body));
	} else if (span_eq(req->path, "/hold")) {
		assert_null(srv.held);
		srv.held = conn;
		srv.n_held++;
	} else {
		httpd_reply(conn, 404, NULL, NULL, 0);
	}
}

static void stop_work(struct ring_work *w)
{
	(void)w;
	httpd_close(srv.httpd);
	if (srv.held)
		httpd_reply(srv.held, 200, NULL, "late", 4);
	srv.held = NULL;
	ring_stop(srv.ring);
}

static void answer_work(struct ring_work *w)
{
	(void)w;
	httpd_reply(srv.held, 200, NULL, "held", 4);
	srv.held = NULL;
	srv.n_answered++;
}

static void *server_main(void *arg)
{
	(void)arg;
	srv.run_err = ring_run(srv.ring);
	srv.drain_err = ring_drain(srv.ring, 10000);
	return NULL;
}

void server_open(unsigned int idle_ms, unsigned int request_ms, unsigned int max_conns)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct httpd_config cfg = {
		.addr_len = sizeof(a), .max_conns = max_conns, .idle_ms = idle_ms, .request_ms = request_ms,
	};

	memset(&srv, 0, sizeof(srv));
	memcpy(&cfg.addr, &a, sizeof(a));
	assert_int_equal(tls_server_ctx(cert_pem, key_pem, &srv.tls), 0);
	cfg.tls = srv.tls;
	assert_int_equal(ring_create(16, &srv.ring), 0);
	assert_int_equal(httpd_listen(srv.ring, &cfg, serve, &srv, &srv.httpd), 0);
}

void server_run(void)
{
	assert_int_equal(pthread_create(&srv.thread, NULL, server_main, NULL), 0);
}

int set_up(void **state)
{
	(void)state;
	server_open(10000, 10000, 100);
	server_run();
	return 0;
}

int tear_down(void **state)
{
	(void)state;
	srv.stop.fn = stop_work;
	ring_post(srv.ring, &srv.stop);
	pthread_join(srv.thread, NULL);
	assert_int_equal(srv.run_err, 0);
	assert_int_equal(srv.drain_err, 0);
	ring_destroy(srv.ring);
	SSL_CTX_free(srv.tls);
	return 0;
}

void wait_for(atomic_int *n, int value)
{
	for (int i = 0; i < 5000 && *n < value; i++)
		usleep(1000);
	assert_int_equal(*n, value);
}

void answer_held(void)
{
	int before = srv.n_answered;

	srv.answer.fn = answer_work;
	ring_post(srv.ring, &srv.answer);
	wait_for(&srv.n_answered, before + 1);
}

/* ---- client ---- */

struct client cl;

int connect_raw(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons((uint16_t)httpd_port(srv.httpd)) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

void client_open(struct client *c, int version)
{
	c->ctx = SSL_CTX_new(TLS_client_method());
	assert_non_null(c->ctx);
	SSL_CTX_set_max_proto_version(c->ctx, version);
	SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
	assert_int_equal(SSL_CTX_load_verify_locations(c->ctx, cert_pem, NULL), 1);
	c->ssl = SSL_new(c->ctx);
	c->fd = connect_raw();
	c->len = 0;
	SSL_set_fd(c->ssl, c->fd);
	SSL_set_mode(c->ssl, SSL_MODE_AUTO_RETRY);
	assert_int_equal(SSL_connect(c->ssl), 1);
	assert_int_equal(SSL_version(c->ssl), version ? version : TLS1_3_VERSION);
}

void client_close(struct client *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	close(c->fd);
}

void put(struct client *c, const char *text)
{
	assert_int_equal(SSL_write(c->ssl, text, (int)strlen(text)), strlen(text));
}

bool fill(struct client *c)
{
	int n;

	assert_true(c->len < sizeof(c->buf));
	n = SSL_read(c->ssl, c->buf + c->len, (int)(sizeof(c->buf) - c->len));
	if (n <= 0) {
		assert_int_equal(SSL_get_error(c->ssl, n), SSL_ERROR_ZERO_RETURN);
		return false;
	}
	c->len += (size_t)n;
	return true;
}

void drop(struct client *c, size_t n)
{
	memmove(c->buf, c->buf + n, c->len - n);
	c->len -= n;
}

void get(struct client *c, struct response *r)
{
	char *end, *length;

	while (!(end = memmem(c->buf, c->len, "\r\n\r\n", 4)))
		assert_true(fill(c));
	end += 4;
	assert_memory_equal(c->buf, "HTTP/1.1 ", 9);
	r->status = atoi(c->buf + 9);
	length = memmem(c->buf, (size_t)(end - c->buf), "Content-Length: ", 16);
	r->body_len = length ? strtoul(length + 16, NULL, 10) : 0;
	r->close = memmem(c->buf, (size_t)(end - c->buf), "Connection: close", 17);
	r->body = end;
	r->total = (size_t)(end - c->buf) + r->body_len;
	while (c->len < r->total)
		assert_true(fill(c));
}

void expect(struct client *c, int status, const char *body, bool closes)
{
	struct response r;

	get(c, &r);
	assert_int_equal(r.status, status);
	assert_int_equal(r.close, closes);
	if (body) {
		assert_int_equal(r.body_len, strlen(body));
		assert_memory_equal(r.body, body, r.body_len);
	}
	drop(c, r.total);
	if (closes) {
		assert_false(fill(c));
		assert_int_equal(c->len, 0);
	}
}

/* ---- a program of tests ---- */

int make_certificate(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	FILE *f;

	(void)state;
	if (!key || !x || !mkdtemp(dir))
		return -1;
	snprintf(cert_pem, sizeof(cert_pem), "%s/cert.pem", dir);
	snprintf(key_pem, sizeof(key_pem), "%s/key.pem", dir);
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const uint8_t *)"localhost",
				   -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_set_pubkey(x, key);
	if (!X509_sign(x, key, EVP_sha256()))
		return -1;
	f = fopen(cert_pem, "w");
	PEM_write_X509(f, x);
	fclose(f);
	f = fopen(key_pem, "w");
	PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
	fclose(f);
	X509_free(x);
	EVP_PKEY_free(key);
	memset(big_body, 'b', sizeof(big_body));
	return 0;
}

int remove_certificate(void **state)
{
	(void)state;
	return unlink(cert_pem) || unlink(key_pem) || rmdir(dir);
}

void fixture_begin(const char *filter)
{
	signal(SIGPIPE, SIG_IGN);
	/*
	 * Against hanging.  Not SO_RCVTIMEO: what the kernel does after a ring is closed
	 * would interrupt such receives with EINTR.
	 */
	alarm(120);
	if (filter)
		cmocka_set_test_filter(filter);
}
