// SPDX-License-Identifier: Apache-2.0
/* The administration socket: this process serves, children ask. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "adminsock.h"

static char path[64];
static struct ring *ring;
static struct adminsock *sock;
static struct admin_call *held;
static unsigned int handled;

static void handle(void *arg, struct admin_call *call, const json_t *in)
{
	const char *op = json_string_value(json_object_get(in, "op"));

	assert_ptr_equal(arg, &handled);
	handled++;
	if (!op) {
		admin_refuse(call, "op is missing, given: %d members", (int)json_object_size(in));
	} else if (!strcmp(op, "echo")) {
		admin_answer(call, json_pack("{s:O}", "echo", json_object_get(in, "value")));
	} else if (!strcmp(op, "oom")) {
		admin_answer(call, NULL);
	} else if (!strcmp(op, "large")) {
		json_t *list = json_array();

		for (int i = 0; i < 20000; i++)
			json_array_append_new(list, json_string("0123456789"));
		admin_answer(call, json_pack("{s:o}", "list", list));
	} else if (!strcmp(op, "hold")) {
		held = call;
	} else if (!strcmp(op, "release")) {
		admin_answer(held, json_pack("{s:b}", "released", 1));
		held = NULL;
		admin_answer(call, json_object());
	} else {
		admin_refuse(call, "%s", op);
	}
}

static int setup(void **state)
{
	(void)state;
	handled = 0;
	held = NULL;
	if (ring_create(64, &ring))
		return -1;
	return adminsock_listen(ring, path, handle, &handled, &sock);
}

static int teardown(void **state)
{
	int err;

	(void)state;
	adminsock_close(sock);
	err = ring_drain(ring, 1000);
	ring_destroy(ring);
	return err ? err : access(path, F_OK) ? 0 : -1;
}

/* ---- a child asks; the ring runs until it has ended ---- */

struct child {
	struct ring_timer timer;
	pid_t pid;
	int status;
};

static void look(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	struct child *c = (struct child *)op;

	(void)res, (void)flags, (void)extra;
	if (waitpid(c->pid, &c->status, WNOHANG) == c->pid)
		ring_stop(ring);
	else
		ring_timer_start(ring, &c->timer, 5);
}

static int in_child(int (*fn)(void))
{
	struct child c = { .timer.op.done = look };

	c.pid = fork();
	assert_true(c.pid >= 0);
	if (!c.pid) {
		alarm(20);
		_exit(fn());
	}
	ring_timer_start(ring, &c.timer, 5);
	assert_int_equal(ring_run(ring), 0);
	return WIFEXITED(c.status) ? WEXITSTATUS(c.status) : 100 + WTERMSIG(c.status);
}

/* Child: the answer to the text, or NULL. */
static json_t *ask(const char *text)
{
	json_t *in = json_loads(text, 0, NULL), *out = NULL;
	int err = admin_request(path, in, &out);

	json_decref(in);
	return err ? NULL : out;
}

static int child_echo(void)
{
	json_t *out = ask("{\"op\": \"echo\", \"value\": {\"a\": [1, \"\\u00fc\\n\"]}}");
	json_t *expected = json_loads("{\"ok\": true, \"echo\": {\"a\": [1, \"\\u00fc\\n\"]}}", 0, NULL);

	return !json_equal(out, expected);
}

static int child_refused(void)
{
	json_t *out = ask("{\"what\": 1}");

	return !out || json_is_true(json_object_get(out, "ok")) ||
	       strcmp(json_string_value(json_object_get(out, "error")), "op is missing, given: 1 members");
}

static int child_oom(void)
{
	json_t *out = ask("{\"op\": \"oom\"}");

	return !out || strcmp(json_string_value(json_object_get(out, "error")), "out of memory");
}

static int child_large(void)
{
	json_t *out = ask("{\"op\": \"large\"}");

	return json_array_size(json_object_get(out, "list")) != 20000;
}

static int dial(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(sa.sun_path, path);
	return connect(fd, (struct sockaddr *)&sa, sizeof(sa)) ? -1 : fd;
}

/* Reads until n lines have come, or the end; then compares. */
static int expect_lines(int fd, int n, const char *expected)
{
	char buf[4096] = "";
	size_t len = 0;

	while (n && len < sizeof(buf) - 1) {
		ssize_t got = read(fd, buf + len, 1);

		if (got <= 0)
			break;
		n -= buf[len] == '\n';
		len++;
	}
	return n || strcmp(buf, expected);
}

/* Requests that come in one piece, and one that comes in many. */
static int child_stream(void)
{
	static const char text[] = "{\"op\":\"echo\",\"value\":1}\n{\"op\":\"echo\",\"value\":2}\n[]\nnonsense\n{\"op\":\"x\",\"op\":\"y\"}\n";
	static const char slow[] = "{\"op\":\"echo\",\"value\":3}\n";
	int fd = dial();

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return 1;
	if (expect_lines(fd, 5, "{\"echo\":1,\"ok\":true}\n{\"echo\":2,\"ok\":true}\n"
				"{\"ok\":false,\"error\":\"not a JSON object\"}\n"
				"{\"ok\":false,\"error\":\"not a JSON object\"}\n"
				"{\"ok\":false,\"error\":\"not a JSON object\"}\n"))
		return 2;
	for (const char *p = slow; *p; p++)
		if (write(fd, p, 1) != 1)
			return 3;
	return expect_lines(fd, 1, "{\"echo\":3,\"ok\":true}\n") ? 4 : 0;
}

static int child_too_long(void)
{
	static char junk[ADMIN_MAX_LINE + 10];
	int fd = dial();
	char c;

	memset(junk, 'x', sizeof(junk));
	if (fd < 0 || send(fd, junk, sizeof(junk), MSG_NOSIGNAL) < 0)
		return 1;
	if (expect_lines(fd, 1, "{\"ok\":false,\"error\":\"request longer than 65536 bytes\"}\n"))
		return 2;
	return read(fd, &c, 1) > 0 ? 3 : 0;
}

/* An answer that comes later, to one who waits; and to one who has gone. */
static int child_later(void)
{
	static const char hold[] = "{\"op\":\"hold\"}\n", release[] = "{\"op\":\"release\"}\n";
	int a = dial(), b = dial();

	if (a < 0 || b < 0 || write(a, hold, strlen(hold)) < 0)
		return 1;
	usleep(50000);
	if (write(b, release, strlen(release)) < 0 || expect_lines(b, 1, "{\"ok\":true}\n") ||
	    expect_lines(a, 1, "{\"released\":true,\"ok\":true}\n"))
		return 2;
	if (write(a, hold, strlen(hold)) < 0)
		return 3;
	close(a);
	usleep(50000);
	return write(b, release, strlen(release)) < 0 || expect_lines(b, 1, "{\"ok\":true}\n") ? 4 : 0;
}

/* More at one time than are served at one time: the rest wait their turn. */
static int child_crowd(void)
{
	static const char text[] = "{\"op\":\"echo\",\"value\":1}\n";
	int fds[30];

	for (int i = 0; i < 30; i++) {
		fds[i] = dial();
		if (fds[i] < 0)
			return 1;
	}
	for (int i = 0; i < 30; i++) {
		if (write(fds[i], text, strlen(text)) < 0 || expect_lines(fds[i], 1, "{\"echo\":1,\"ok\":true}\n"))
			return 2;
		close(fds[i]);
	}
	return 0;
}

static int child_hold(void)
{
	return ask("{\"op\": \"hold\"}") ? 1 : 0;
}

static int child_stranger(void)
{
	return setgid(65534) || setuid(65534) || dial() >= 0;
}

/* The file lets him in; the socket does not. */
static int child_stranger_at_the_door(void)
{
	char c;
	int fd;

	if (setgid(65534) || setuid(65534))
		return 1;
	fd = dial();
	return fd < 0 || read(fd, &c, 1) > 0;
}

#define CHILD(name)							\
	static void test_##name(void **state)				\
	{								\
		(void)state;						\
		assert_int_equal(in_child(child_##name), 0);		\
	}
CHILD(echo)
CHILD(refused)
CHILD(oom)
CHILD(large)
CHILD(stream)
CHILD(too_long)
CHILD(later)
CHILD(crowd)
#undef CHILD

static void test_strangers(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	if (getuid())
		skip();
	assert_int_equal(in_child(child_stranger), 0);
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(in_child(child_stranger_at_the_door), 0);
	assert_int_equal(handled, 0);
}

static void test_taken(void **state)
{
	struct adminsock *other;

	(void)state;
	assert_int_equal(adminsock_listen(ring, path, handle, NULL, &other), -EADDRINUSE);
	assert_int_equal(adminsock_listen(ring, "/etc/passwd", handle, NULL, &other), -EEXIST);
}

/* What a killed daemon leaves behind does not keep the next from starting. */
static void test_stale(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	strcpy(sa.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	assert_int_equal(setup(NULL), 0);
	assert_int_equal(in_child(child_echo), 0);
	assert_int_equal(teardown(NULL), 0);
}

/* What a killed daemon's io_uring holds goes a moment after the daemon. */
static void test_predecessor(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct adminsock *other;
	char aside[80];
	int fd, status;
	pid_t pid;

	(void)state;
	snprintf(aside, sizeof(aside), "%s.old", path);
	strcpy(sa.sun_path, aside);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 4), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		usleep(300000);
		_exit(0);
	}
	close(fd);
	assert_int_equal(adminsock_listen(ring, aside, handle, &handled, &other), 0);
	adminsock_close(other);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void test_close_while_held(void **state)
{
	json_t *out, *in = json_pack("{s:s}", "op", "status");
	pid_t pid;

	(void)state;
	assert_int_equal(setup(NULL), 0);
	pid = fork();
	if (!pid) {
		alarm(20);
		_exit(child_hold());
	}
	for (int i = 0; i < 100 && !held; i++)
		ring_drain(ring, 10);
	assert_non_null(held);
	adminsock_close(sock);
	admin_answer(held, json_object());
	assert_int_equal(ring_drain(ring, 1000), 0);
	ring_destroy(ring);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(admin_request(path, in, &out), -ENOENT);
	json_decref(in);
}

/* ---- no descriptors left for a while ---- */

struct famine {
	struct ring_timer timer;
	struct rlimit before;
	clock_t cpu;
};

static void famine_ends(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	struct famine *f = (struct famine *)op;

	(void)res, (void)flags, (void)extra;
	f->cpu = clock() - f->cpu;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &f->before), 0);
}

static void test_no_descriptors(void **state)
{
	struct famine f = { .timer.op.done = famine_ends };
	struct rlimit none;
	struct child c = { .timer.op.done = look };

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &f.before), 0);
	c.pid = fork();
	assert_true(c.pid >= 0);
	if (!c.pid) {
		alarm(20);
		_exit(child_echo());
	}
	none = f.before;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	f.cpu = clock();
	ring_timer_start(ring, &f.timer, 600);
	ring_timer_start(ring, &c.timer, 5);
	assert_int_equal(ring_run(ring), 0);
	assert_true(WIFEXITED(c.status) && !WEXITSTATUS(c.status));
	/* Waiting costs next to nothing. */
	assert_true(f.cpu < CLOCKS_PER_SEC / 4);
	assert_int_equal(handled, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_echo, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_oom, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stream, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_crowd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_strangers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_descriptors, setup, teardown),
		cmocka_unit_test(test_stale),
		cmocka_unit_test_setup_teardown(test_predecessor, setup, teardown),
		cmocka_unit_test(test_close_while_held),
	};
	char top[] = "/tmp/test_admin.XXXXXX", cmd[96];
	int failed;

	if (!mkdtemp(top) || chmod(top, 0755))
		return 1;
	snprintf(path, sizeof(path), "%s/admin.sock", top);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", top);
	return system(cmd) || failed;
}
