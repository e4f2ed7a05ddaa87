// SPDX-License-Identifier: Apache-2.0
/* The server end to end; test_httpd_limits.c has its timers and limits. */
#include "httpd_fixture.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

/* The head that GET would get, then the next response and no content before it. */
static void head_has_no_content(void **state)
{
	static const char *const first[] = {
		"HEAD /peer HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD /big HTTP/1.1\r\nHost: a\r\n\r\n",
	};
	char *end;

	(void)state;
	client_open(&cl, 0);
	for (int i = 0; i < 2; i++) {
		put(&cl, first[i]);
		put(&cl, GET("/count"));
		while (!(end = memmem(cl.buf, cl.len, "\r\n\r\n", 4)))
			assert_true(fill(&cl));
		assert_non_null(memmem(cl.buf, (size_t)(end - cl.buf), i ? "Content-Length: 300000" : "Content-Length: 1",
				       i ? 22 : 17));
		drop(&cl, (size_t)(end + 4 - cl.buf));
		expect(&cl, 200, i ? "4" : "2", false);
	}
	client_close(&cl);
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
		WITH(head_has_no_content, set_up),
		WITH(largest_body, set_up),
		WITH(continue_is_answered, set_up),
		WITH(reader_is_slow, set_up),
		WITH(client_vanishes, set_up),
		WITH(client_leaves_early, set_up),
		WITH(server_closes_with_request_held, set_up),
		WITH(server_closes_with_connections_open, set_up),
		WITH(sessions_resume, set_up),
		WITH(weak_tls_is_refused, set_up),
		cmocka_unit_test(address_in_use),
		cmocka_unit_test(bad_certificate),
	};

	fixture_begin(argc > 1 ? argv[1] : NULL);
	return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}
