// SPDX-License-Identifier: Apache-2.0
/* The server's timers, and its limit of connections. */
#include "httpd_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ---- timers ---- */

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* Long enough for a handshake on a machine that is busy with other things. */
#define IDLE_MS 1000
#define REQUEST_MS 600

static int set_up_hasty(void **state)
{
	(void)state;
	server_open(IDLE_MS, REQUEST_MS, 100);
	server_run();
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
	assert_in_range(now_ms() - start, IDLE_MS - 10, 5000);
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
		usleep(IDLE_MS / 10 * 2 * 1000);
	}
	/* The handler may take its time. */
	put(&cl, GET("/hold"));
	wait_for(&srv.n_held, 1);
	usleep((IDLE_MS + 300) * 1000);
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
	assert_in_range(now_ms() - start, REQUEST_MS - 10, 4500);
	client_close(&cl);
}

/* Nor does what TLS itself makes the server send: each of these updates is answered by one. */
static void request_with_key_updates_is_closed(void **state)
{
	long long start = now_ms();
	char buf[4096];
	ssize_t n;

	(void)state;
	client_open(&cl, TLS1_3_VERSION);
	put(&cl, "GET / HT");
	do {
		usleep(30000);
		if (SSL_key_update(cl.ssl, SSL_KEY_UPDATE_REQUESTED) != 1 || SSL_do_handshake(cl.ssl) != 1)
			break;
		n = recv(cl.fd, buf, sizeof(buf), MSG_DONTWAIT);
	} while ((n > 0 || (n < 0 && errno == EAGAIN)) && now_ms() - start < 5000);
	assert_in_range(now_ms() - start, REQUEST_MS - 10, 4500);
	client_close(&cl);
}

static void handshake_is_closed(void **state)
{
	int fd = connect_raw();
	long long start = now_ms();
	char c;

	(void)state;
	assert_int_equal(recv(fd, &c, 1, 0), 0);
	assert_in_range(now_ms() - start, REQUEST_MS - 50, 4500);
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
	usleep((REQUEST_MS + 800) * 1000);
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
	server_open(10000, 10000, 2);
	server_run();
	return 0;
}

/* Until the server has seen it, the connection is idle for it. */
static void begin_request(struct client *c)
{
	put(c, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
	expect(c, 100, NULL, false);
}

/* Connections with a request under way are not closed for others. */
static void more_wait_in_the_backlog(void **state)
{
	static struct client c[2];
	int fds[6];

	(void)state;
	for (int i = 0; i < 2; i++) {
		client_open(&c[i], 0);
		begin_request(&c[i]);
	}
	for (int i = 0; i < 6; i++)
		fds[i] = connect_raw();
	usleep(700000);
	for (int i = 0; i < 2; i++) {
		put(&c[i], "x");
		expect(&c[i], 200, "x", false);
		client_close(&c[i]);
	}
	for (int i = 0; i < 6; i++)
		close(fds[i]);
	client_open(&cl, 0);
	put(&cl, GET("/count"));
	expect(&cl, 200, "1", false);
	client_close(&cl);
}

/* Those that were idle when the next came, and those that were busy then and are idle now. */
static void idle_make_room(void **state)
{
	static struct client c[8];
	long long start = now_ms();

	(void)state;
	for (int i = 0; i < 6; i++) {
		client_open(&c[i], 0);
		put(&c[i], GET("/count"));
		expect(&c[i], 200, "1", false);
	}
	/* Not the youngest of them. */
	put(&c[5], GET("/count"));
	expect(&c[5], 200, "2", false);
	client_close(&c[5]);

	for (int i = 6; i < 8; i++) {
		client_open(&c[i], 0);
		begin_request(&c[i]);
	}
	for (int i = 6; i < 8; i++) {
		put(&c[i], "x");
		expect(&c[i], 200, "x", false);
	}
	client_open(&cl, 0);
	put(&cl, GET("/count"));
	expect(&cl, 200, "1", false);
	assert_in_range(now_ms() - start, 0, 5000);
	client_close(&cl);
	for (int i = 0; i < 8; i++)
		if (i != 5)
			client_close(&c[i]);
}

static int open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* However many wait already when it begins. */
static void limit_holds_in_a_burst(void **state)
{
	int fds[100], before, most = 0;

	(void)state;
	server_open(10000, 10000, 2);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = connect_raw();
	before = open_files();
	server_run();
	for (int i = 0; i < 200; i++) {
		int n = open_files() - before;

		most = n > most ? n : most;
		usleep(1000);
	}
	assert_int_equal(most, 2);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WITH(idle_is_closed, set_up_hasty),
		WITH(busy_is_not_closed, set_up_hasty),
		WITH(slow_request_is_closed, set_up_hasty),
		WITH(request_with_key_updates_is_closed, set_up_hasty),
		WITH(handshake_is_closed, set_up_hasty),
		WITH(stuck_reader_is_closed, set_up_hasty),
		WITH(more_wait_in_the_backlog, set_up_narrow),
		WITH(idle_make_room, set_up_narrow),
		cmocka_unit_test_teardown(limit_holds_in_a_burst, tear_down),
	};

	fixture_begin(argc > 1 ? argv[1] : NULL);
	return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}
