// SPDX-License-Identifier: Apache-2.0
/* The server end to end: a TLS client of OpenSSL's on loopback against a ring in another thread. */
#include "unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "httpd.h"

#define BIG_BODY 300000

static char dir[] = "/tmp/hsm-httpd-XXXXXX", cert_pem[64], key_pem[64];
static char big_body[BIG_BODY];

/* ---- server ---- */

struct later {
	struct ring_timer timer;
	struct httpd_conn *conn;
	char body[32];
	size_t len;
};

static struct {
	SSL_CTX *tls;
	struct ring *ring;
	struct httpd *httpd;
	pthread_t thread;
	struct ring_work stop, answer;
	struct httpd_conn *held;
	atomic_int n_held, n_requests, n_answered;
	int run_err, drain_err;
} srv;

static void later_done(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	struct later *l = (struct later *)op;

	(void)res, (void)flags, (void)extra;
	httpd_reply(l->conn, 200, NULL, l->body, l->len);
	free(l);
}

static void serve(void *arg, struct httpd_conn *conn, const struct http_request *req)
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

static void server_start(unsigned int idle_ms, unsigned int request_ms, unsigned int max_conns)
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
	assert_int_equal(pthread_create(&srv.thread, NULL, server_main, NULL), 0);
}

static int set_up(void **state)
{
	(void)state;
	server_start(10000, 10000, 100);
	return 0;
}

/* With ASan this also shows that no connection is left. */
static int tear_down(void **state)
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

static void wait_for(atomic_int *n, int value)
{
	for (int i = 0; i < 5000 && *n < value; i++)
		usleep(1000);
	assert_int_equal(*n, value);
}

static void answer_held(void)
{
	int before = srv.n_answered;

	srv.answer.fn = answer_work;
	ring_post(srv.ring, &srv.answer);
	wait_for(&srv.n_answered, before + 1);
}

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

static struct client cl;

static int connect_raw(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons((uint16_t)httpd_port(srv.httpd)) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void client_open(struct client *c, int version)
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

static void client_close(struct client *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	close(c->fd);
}

static void put(struct client *c, const char *text)
{
	assert_int_equal(SSL_write(c->ssl, text, (int)strlen(text)), strlen(text));
}

/* False at close_notify. */
static bool fill(struct client *c)
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

static void drop(struct client *c, size_t n)
{
	memmove(c->buf, c->buf + n, c->len - n);
	c->len -= n;
}

static void get(struct client *c, struct response *r)
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

static void expect(struct client *c, int status, const char *body, bool closes)
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

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(path, len, body) "POST " path " HTTP/1.1\r\nHost: a\r\nContent-Length: " len "\r\n\r\n" body

static void keep_alive_with(int version)
{
	char body[16];

	client_open(&cl, version);
	for (int i = 1; i <= 100; i++) {
		put(&cl, GET("/count"));
		snprintf(body, sizeof(body), "%d", i);
		expect(&cl, 200, body, false);
		put(&cl, POST("/echo", "5", "hello"));
		expect(&cl, 200, "hello", false);
		i++;
	}
	client_close(&cl);
}

static void keep_alive(void **state)
{
	(void)state;
	keep_alive_with(TLS1_3_VERSION);
	keep_alive_with(TLS1_2_VERSION);
	assert_int_equal(srv.n_requests, 200);
}

static void peer_name(void **state)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	char text[32];

	(void)state;
	client_open(&cl, 0);
	assert_int_equal(getsockname(cl.fd, (struct sockaddr *)&a, &len), 0);
	snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(a.sin_port));
	put(&cl, GET("/peer"));
	expect(&cl, 200, text, false);
	client_close(&cl);
}

/* Quick and slow ones mixed: answers come in the order of the requests. */
static void pipelined(void **state)
{
	char text[8192] = "", body[16];

	(void)state;
	client_open(&cl, 0);
	for (int i = 0; i < 60; i++)
		strcat(text, i % 3 == 1 ? GET("/later") : i % 3 == 2 ? POST("/echo", "1", "x") : GET("/count"));
	put(&cl, text);
	for (int i = 0; i < 60; i++) {
		snprintf(body, sizeof(body), "%d", i + 1);
		expect(&cl, 200, i % 3 == 2 ? "x" : body, false);
	}
	client_close(&cl);
	assert_int_equal(srv.n_requests, 60);
}

static void byte_by_byte(void **state)
{
	static const char text[] = POST("/echo", "5", "hello") GET("/count");

	(void)state;
	client_open(&cl, 0);
	for (size_t i = 0; i < strlen(text); i++)
		assert_int_equal(SSL_write(cl.ssl, text + i, 1), 1);
	expect(&cl, 200, "hello", false);
	expect(&cl, 200, "2", false);
	client_close(&cl);
}

/* The TLS records themselves in segments of one byte, handshake included. */
static void record_bytes_one_by_one(void **state)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	SSL *ssl = SSL_new(ctx);
	int fd = connect_raw(), one = 1, stage = 0;
	char reply[4096];

	(void)state;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	SSL_set_bio(ssl, in, out);
	SSL_set_connect_state(ssl);
	for (;;) {
		char buf[4096], *p;
		long n;
		int ret;

		if (stage == 0 && SSL_do_handshake(ssl) == 1) {
			static const char text[] = POST("/echo", "5", "hello");

			assert_int_equal(SSL_write(ssl, text, (int)strlen(text)), strlen(text));
			stage = 1;
		}
		ret = stage ? SSL_read(ssl, reply, sizeof(reply) - 1) : 0;
		if (ret > 0) {
			reply[ret] = '\0';
			break;
		}
		n = BIO_get_mem_data(out, &p);
		for (long i = 0; i < n; i++)
			assert_int_equal(send(fd, p + i, 1, MSG_NOSIGNAL), 1);
		(void)BIO_reset(out);
		n = recv(fd, buf, sizeof(buf), 0);
		assert_true(n > 0);
		BIO_write(in, buf, (int)n);
	}
	assert_memory_equal(reply, "HTTP/1.1 200 OK\r\n", 17);
	assert_non_null(strstr(reply, "\r\n\r\nhello"));
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(fd);
}

static void half_close(void **state)
{
	(void)state;
	/* With a close_notify, with a bare FIN, and both. */
	for (int how = 1; how <= 3; how++) {
		client_open(&cl, 0);
		put(&cl, GET("/later") GET("/later"));
		if (how & 1)
			SSL_shutdown(cl.ssl);
		if (how & 2)
			shutdown(cl.fd, SHUT_WR);
		expect(&cl, 200, "1", false);
		expect(&cl, 200, "2", false);
		assert_false(fill(&cl));
		client_close(&cl);
	}
	assert_int_equal(srv.n_requests, 6);
}

static void connection_close(void **state)
{
	(void)state;
	client_open(&cl, 0);
	put(&cl, "GET /later HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" GET("/count"));
	expect(&cl, 200, "1", true);
	client_close(&cl);
	assert_int_equal(srv.n_requests, 1);
}

static void malformed(void **state)
{
	static const struct {
		const char *text;
		int status;
	} bad[] = {
		{ "GET / HTTP/1.1\nHost: a\n\n", 400 },
		{ "GET / HTTP/1.0\r\nHost: a\r\n\r\n", 505 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 49153\r\n\r\n", 413 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		client_open(&cl, 0);
		put(&cl, GET("/count"));
		put(&cl, bad[i].text);
		put(&cl, GET("/count"));
		expect(&cl, 200, "1", false);
		expect(&cl, bad[i].status, NULL, true);
		client_close(&cl);
	}
	assert_int_equal(srv.n_requests, ARRAY_SIZE(bad));
}

/* The refusal reaches a client that has sent much more than anybody read. */
static void oversize(void **state)
{
	static char body[1000000];
	struct response r;

	(void)state;
	client_open(&cl, 0);
	put(&cl, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
	assert_int_equal(SSL_write(cl.ssl, body, sizeof(body)), sizeof(body));
	get(&cl, &r);
	assert_int_equal(r.status, 413);
	assert_non_null(memmem(r.body, r.body_len, "RequestEntityTooLargeException", 30));
	assert_true(r.close);
	drop(&cl, r.total);
	/* A close_notify, then a FIN and not a reset. */
	assert_false(fill(&cl));
	assert_int_equal(recv(cl.fd, body, 1, 0), 0);
	client_close(&cl);
	assert_int_equal(srv.n_requests, 0);
}

static void largest_body(void **state)
{
	static char body[HTTP_MAX_BODY];
	struct response r;

	(void)state;
	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (char)('a' + i % 26);
	client_open(&cl, 0);
	for (int i = 0; i < 3; i++) {
		put(&cl, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 49152\r\n\r\n");
		assert_int_equal(SSL_write(cl.ssl, body, sizeof(body)), sizeof(body));
		get(&cl, &r);
		assert_int_equal(r.status, 200);
		assert_int_equal(r.body_len, sizeof(body));
		assert_memory_equal(r.body, body, sizeof(body));
		drop(&cl, r.total);
	}
	client_close(&cl);
}

static void continue_is_answered(void **state)
{
	(void)state;
	client_open(&cl, 0);
	for (int i = 0; i < 2; i++) {
		put(&cl, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
		expect(&cl, 100, NULL, false);
		put(&cl, "ab");
		usleep(20000);
		put(&cl, "cd");
		expect(&cl, 200, "abcd", false);
	}
	put(&cl, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 50000\r\n\r\n");
	expect(&cl, 413, NULL, true);
	client_close(&cl);
}

/* Far more output than the limit, with nobody reading: the server waits, then goes on. */
static void reader_is_slow(void **state)
{
	struct response r;

	(void)state;
	client_open(&cl, 0);
	for (int i = 0; i < 40; i++)
		put(&cl, GET("/big"));
	usleep(200000);
	assert_in_range(srv.n_requests, 1, 39);
	for (int i = 0; i < 40; i++) {
		get(&cl, &r);
		assert_int_equal(r.body_len, BIG_BODY);
		assert_memory_equal(r.body, big_body, BIG_BODY);
		drop(&cl, r.total);
	}
	put(&cl, GET("/count"));
	expect(&cl, 200, "41", false);
	client_close(&cl);
}

static void reset(struct client *c)
{
	struct linger l = { .l_onoff = 1 };

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	client_close(c);
}

static void client_vanishes(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		client_open(&cl, 0);
		put(&cl, i & 1 ? GET("/hold") : GET("/hold") GET("/count"));
		wait_for(&srv.n_held, i + 1);
		if (i & 2)
			reset(&cl);
		else
			client_close(&cl);
		usleep(20000);
		answer_held();
	}
	client_open(&cl, 0);
	put(&cl, GET("/count"));
	expect(&cl, 200, "1", false);
	client_close(&cl);
}

/* Leaving at any point of the handshake, or of a request. */
static void client_leaves_early(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		int fd = connect_raw();

		if (i == 1)
			assert_int_equal(send(fd, "\x16\x03\x01\x02\x00\x01", 6, 0), 6);
		if (i == 2)
			assert_int_equal(send(fd, GET("/"), strlen(GET("/")), 0), strlen(GET("/")));
		usleep(10000);
		close(fd);
	}
	client_open(&cl, 0);
	put(&cl, "GET / HT");
	reset(&cl);
	client_open(&cl, 0);
	put(&cl, GET("/count"));
	expect(&cl, 200, "1", false);
	client_close(&cl);
}

/* tear_down() closes the server with the request unanswered; stop_work() answers it afterwards. */
static void server_closes_with_request_held(void **state)
{
	(void)state;
	client_open(&cl, 0);
	put(&cl, GET("/hold"));
	wait_for(&srv.n_held, 1);
	client_close(&cl);
}

static void server_closes_with_connections_open(void **state)
{
	static struct client c[5];

	(void)state;
	for (int i = 0; i < 5; i++) {
		client_open(&c[i], 0);
		put(&c[i], i & 1 ? "GET /" : GET("/count"));
		if (!(i & 1))
			expect(&c[i], 200, "1", false);
	}
	tear_down(NULL);
	for (int i = 0; i < 5; i++)
		client_close(&c[i]);
	set_up(NULL);
}

static void resumed_with(int version)
{
	SSL_SESSION *session;

	client_open(&cl, version);
	put(&cl, GET("/count"));
	expect(&cl, 200, "1", false);
	assert_int_equal(SSL_session_reused(cl.ssl), 0);
	session = SSL_get1_session(cl.ssl);
	assert_int_equal(SSL_SESSION_is_resumable(session), 1);
	SSL_shutdown(cl.ssl);
	SSL_free(cl.ssl);
	close(cl.fd);

	cl.ssl = SSL_new(cl.ctx);
	cl.fd = connect_raw();
	SSL_set_fd(cl.ssl, cl.fd);
	SSL_set_session(cl.ssl, session);
	assert_int_equal(SSL_connect(cl.ssl), 1);
	assert_int_equal(SSL_session_reused(cl.ssl), 1);
	put(&cl, GET("/count"));
	expect(&cl, 200, "1", false);
	client_close(&cl);
	SSL_SESSION_free(session);
}

static void sessions_resume(void **state)
{
	(void)state;
	resumed_with(TLS1_3_VERSION);
	resumed_with(TLS1_2_VERSION);
}

static bool shakes_hands(int version, const char *ciphers)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl;
	int fd = connect_raw();
	bool ok;

	SSL_CTX_set_security_level(ctx, 0);
	SSL_CTX_set_min_proto_version(ctx, version);
	SSL_CTX_set_max_proto_version(ctx, version);
	assert_int_equal(SSL_CTX_set_cipher_list(ctx, ciphers), 1);
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd);
	ok = SSL_connect(ssl) == 1;
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(fd);
	return ok;
}

static void weak_tls_is_refused(void **state)
{
	(void)state;
	assert_true(shakes_hands(TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256"));
	assert_true(shakes_hands(TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305"));
	assert_false(shakes_hands(TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256"));
	assert_false(shakes_hands(TLS1_2_VERSION, "ECDHE-ECDSA-AES128-CCM"));
	assert_false(shakes_hands(TLS1_1_VERSION, "ALL:@SECLEVEL=0"));

	client_open(&cl, TLS1_2_VERSION);
	put(&cl, GET("/count"));
	expect(&cl, 200, "1", false);
	assert_int_equal(SSL_renegotiate(cl.ssl), 1);
	assert_int_not_equal(SSL_do_handshake(cl.ssl), 1);
	client_close(&cl);
}

/* ---- timers ---- */

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static int set_up_hasty(void **state)
{
	(void)state;
	server_start(300, 200, 100);
	return 0;
}

static void idle_is_closed(void **state)
{
	long long start;

	(void)state;
	client_open(&cl, 0);
	put(&cl, GET("/count"));
	expect(&cl, 200, "1", false);
	start = now_ms();
	assert_false(fill(&cl));
	assert_in_range(now_ms() - start, 290, 2000);
	client_close(&cl);
}

static void busy_is_not_closed(void **state)
{
	char body[16];

	(void)state;
	client_open(&cl, 0);
	for (int i = 1; i <= 10; i++) {
		put(&cl, GET("/count"));
		snprintf(body, sizeof(body), "%d", i);
		expect(&cl, 200, body, false);
		usleep(100000);
	}
	/* The handler may take its time. */
	put(&cl, GET("/hold"));
	wait_for(&srv.n_held, 1);
	usleep(600000);
	answer_held();
	expect(&cl, 200, "held", false);
	client_close(&cl);
}

/* A byte now and then does not keep a request alive. */
static void slow_request_is_closed(void **state)
{
	long long start = now_ms();
	ssize_t n = 1;
	char c;

	(void)state;
	client_open(&cl, 0);
	put(&cl, "GET / HTTP/1.1\r\nX: ");
	while (n > 0 && now_ms() - start < 5000) {
		usleep(30000);
		if (SSL_write(cl.ssl, "x", 1) != 1)
			break;
		n = recv(cl.fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			n = 1;
	}
	assert_in_range(now_ms() - start, 190, 2000);
	client_close(&cl);
}

static void handshake_is_closed(void **state)
{
	int fd = connect_raw();
	long long start = now_ms();
	char c;

	(void)state;
	assert_int_equal(recv(fd, &c, 1, 0), 0);
	assert_in_range(now_ms() - start, 150, 2000);
	close(fd);
}

static void stuck_reader_is_closed(void **state)
{
	long long start;
	char buf[4096];

	(void)state;
	client_open(&cl, 0);
	for (int i = 0; i < 40; i++)
		put(&cl, GET("/big"));
	usleep(1000000);
	start = now_ms();
	while (recv(cl.fd, buf, sizeof(buf), 0) > 0)
		;
	assert_in_range(now_ms() - start, 0, 2000);
	assert_in_range(srv.n_requests, 1, 39);
	client_close(&cl);
}

/* ---- number of connections ---- */

static int set_up_narrow(void **state)
{
	(void)state;
	server_start(10000, 10000, 2);
	return 0;
}

static void more_wait_in_the_backlog(void **state)
{
	static struct client c[2];
	int fds[6];

	(void)state;
	for (int i = 0; i < 2; i++) {
		client_open(&c[i], 0);
		put(&c[i], GET("/count"));
		expect(&c[i], 200, "1", false);
	}
	for (int i = 0; i < 6; i++)
		fds[i] = connect_raw();
	for (int i = 0; i < 2; i++) {
		put(&c[i], GET("/count"));
		expect(&c[i], 200, "2", false);
		client_close(&c[i]);
	}
	for (int i = 0; i < 6; i++)
		close(fds[i]);
	client_open(&cl, 0);
	put(&cl, GET("/count"));
	expect(&cl, 200, "1", false);
	client_close(&cl);
}

/* Not even if the other one is ready to share, as another daemon of this kind would be. */
static void address_in_use(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct httpd_config cfg = { .addr_len = sizeof(a), .max_conns = 1, .idle_ms = 1, .request_ms = 1 };
	socklen_t len = sizeof(a);
	struct httpd *h, *h2;
	struct ring *ring;
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	(void)state;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	getsockname(fd, (struct sockaddr *)&a, &len);
	memcpy(&cfg.addr, &a, sizeof(a));
	assert_int_equal(tls_server_ctx(cert_pem, key_pem, &cfg.tls), 0);
	assert_int_equal(ring_create(4, &ring), 0);
	assert_int_equal(httpd_listen(ring, &cfg, serve, NULL, &h), -EADDRINUSE);
	close(fd);
	/* Workers of one process do share. */
	assert_int_equal(httpd_listen(ring, &cfg, serve, NULL, &h), 0);
	assert_int_equal(httpd_listen(ring, &cfg, serve, NULL, &h2), 0);
	assert_int_equal(httpd_port(h), ntohs(a.sin_port));
	assert_int_equal(httpd_port(h2), ntohs(a.sin_port));
	httpd_close(h);
	httpd_close(h2);
	assert_int_equal(ring_drain(ring, 5000), 0);
	ring_destroy(ring);
	SSL_CTX_free(cfg.tls);
}

static void bad_certificate(void **state)
{
	SSL_CTX *ctx;

	(void)state;
	assert_int_equal(tls_server_ctx("/nonexistent", key_pem, &ctx), -EINVAL);
	assert_int_equal(tls_server_ctx(cert_pem, cert_pem, &ctx), -EINVAL);
}

static int make_certificate(void **state)
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

static int remove_certificate(void **state)
{
	(void)state;
	return unlink(cert_pem) || unlink(key_pem) || rmdir(dir);
}

#define WITH(f, up) cmocka_unit_test_setup_teardown(f, up, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WITH(keep_alive, set_up),
		WITH(peer_name, set_up),
		WITH(pipelined, set_up),
		WITH(byte_by_byte, set_up),
		WITH(record_bytes_one_by_one, set_up),
		WITH(half_close, set_up),
		WITH(connection_close, set_up),
		WITH(malformed, set_up),
		WITH(oversize, set_up),
		WITH(largest_body, set_up),
		WITH(continue_is_answered, set_up),
		WITH(reader_is_slow, set_up),
		WITH(client_vanishes, set_up),
		WITH(client_leaves_early, set_up),
		WITH(server_closes_with_request_held, set_up),
		WITH(server_closes_with_connections_open, set_up),
		WITH(sessions_resume, set_up),
		WITH(weak_tls_is_refused, set_up),
		WITH(idle_is_closed, set_up_hasty),
		WITH(busy_is_not_closed, set_up_hasty),
		WITH(slow_request_is_closed, set_up_hasty),
		WITH(handshake_is_closed, set_up_hasty),
		WITH(stuck_reader_is_closed, set_up_hasty),
		WITH(more_wait_in_the_backlog, set_up_narrow),
		cmocka_unit_test(address_in_use),
		cmocka_unit_test(bad_certificate),
	};

	signal(SIGPIPE, SIG_IGN);
	/*
	 * Against hanging.  Not SO_RCVTIMEO: what the kernel does after a ring is closed
	 * would interrupt such receives with EINTR.
	 */
	alarm(120);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}
