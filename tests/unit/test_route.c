// SPDX-License-Identifier: Apache-2.0
/*
 * The usersock carrier between two processes:
 *
 *   this process (gateway)  <-- NETLINK_USERSOCK -->  child (owner of an instance)
 *
 * What the owner does with a request is its mode.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hsm_cmd.h>

#include "log.h"
#include "rendezvous.h"
#include "route.h"
#include "usersock.h"

#define NOBODY 65534

enum mode {
	ECHO,		/* answers with the payload, each byte plus one */
	WHO,		/* answers with uid, pid and class */
	MUTE,		/* never answers */
	DIE,		/* exits when asked */
	WITHDRAW,	/* closes its end when asked, and lives on */
};

static char dir[64], spec[80];

/* ---- the owner ---- */

struct owner {
	enum mode mode;
	struct ring *ring;
	struct route_server *srv;
	struct ring_work close;
};

static void owner_close(struct ring_work *w)
{
	struct owner *o = (struct owner *)((char *)w - offsetof(struct owner, close));

	route_server_close(o->srv);
}

static void owner_fn(void *arg, const struct route_request *req)
{
	static uint8_t buf[ROUTE_MAX_PAYLOAD];
	struct owner *o = arg;
	uint32_t who[3];

	switch (o->mode) {
	case ECHO:
		for (size_t i = 0; i < req->len; i++)
			buf[i] = ((const uint8_t *)req->payload)[i] + 1;
		if (route_reply(o->srv, req->xid, req->from, buf, req->len))
			_exit(9);
		/* Once per request. */
		if (route_reply(o->srv, req->xid, req->from, buf, req->len) != -ENOENT)
			_exit(8);
		break;
	case WHO:
		who[0] = req->uid;
		who[1] = (uint32_t)req->pid;
		who[2] = req->class;
		if (route_reply(o->srv, req->xid, req->from, who, sizeof(who)))
			_exit(9);
		break;
	case MUTE:
		break;
	case DIE:
		_exit(0);
	case WITHDRAW:
		if (!o->close.fn) {
			o->close.fn = owner_close;
			ring_post(o->ring, &o->close);
		}
		break;
	}
}

static pid_t start_owner(const char *name, enum mode mode, uid_t accept)
{
	struct owner o = { .mode = mode };
	int ready[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		/* A test that fails does not get to stop its owner. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (ring_create(64, &o.ring) ||
		    route_serve(spec, name, -1, accept, o.ring, owner_fn, &o, &o.srv))
			_exit(7);
		if (write(ready[1], "", 1) != 1)
			_exit(6);
		_exit(ring_run(o.ring) ? 5 : 0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static void stop_owner(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* ---- the gateway ---- */

static struct ring *ring;
static struct route_client *cli;

struct result {
	unsigned int want, got;
	int err;
	unsigned int busy, timed_out, ok;
	uint8_t payload[ROUTE_MAX_PAYLOAD];
	size_t len;
};

static void result_fn(void *arg, int err, const void *payload, size_t len)
{
	struct result *r = arg;

	r->err = err;
	r->len = len;
	if (len)
		memcpy(r->payload, payload, len);
	r->ok += !err;
	r->busy += err == -EBUSY;
	r->timed_out += err == -ETIMEDOUT;
	if (++r->got == r->want)
		ring_stop(ring);
}

static struct result res;

static int ask(const char *name, uint8_t class, const void *payload, size_t len, unsigned int ms)
{
	res.want = 1;
	res.got = 0;
	route_call(cli, name, class, payload, len, ms, result_fn, &res);
	assert_int_equal(res.got, 0);
	assert_int_equal(ring_run(ring), 0);
	assert_int_equal(res.got, 1);
	return res.err;
}

static unsigned int ms_since(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (unsigned int)((now.tv_sec - t->tv_sec) * 1000 + (now.tv_nsec - t->tv_nsec) / 1000000);
}

static int setup(void **state)
{
	(void)state;
	if (ring_create(64, &ring) || route_client_open(spec, ring, &cli))
		return -1;
	return 0;
}

static int teardown(void **state)
{
	int err;

	(void)state;
	route_client_close(cli);
	err = ring_drain(ring, 1000);
	ring_destroy(ring);
	return err;
}

/* ---- tests ---- */

static void test_echo(void **state)
{
	static uint8_t big[ROUTE_MAX_PAYLOAD + 1];
	pid_t pid = start_owner("acme", ECHO, (uid_t)-1);

	(void)state;
	assert_int_equal(ask("acme", HSM_CLASS_MANAGE, "abc", 3, 5000), 0);
	assert_int_equal(res.len, 3);
	assert_memory_equal(res.payload, "bcd", 3);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 7);
	assert_int_equal(ask("acme", HSM_CLASS_MANAGE, big, ROUTE_MAX_PAYLOAD, 5000), 0);
	assert_int_equal(res.len, ROUTE_MAX_PAYLOAD);
	for (size_t i = 0; i < res.len; i++)
		assert_int_equal(res.payload[i], (uint8_t)(big[i] + 1));
	assert_int_equal(ask("acme", HSM_CLASS_MANAGE, big, sizeof(big), 5000), -EMSGSIZE);
	assert_int_equal(ask("acme", HSM_CLASS_MANAGE, big, 0, 5000), -EMSGSIZE);
	stop_owner(pid);
}

static void test_sender(void **state)
{
	pid_t pid = start_owner("acme", WHO, (uid_t)-1);
	uint32_t who[3];

	(void)state;
	assert_int_equal(ask("acme", HSM_CLASS_CRYPTO, "?", 1, 5000), 0);
	assert_int_equal(res.len, sizeof(who));
	memcpy(who, res.payload, sizeof(who));
	assert_int_equal(who[0], getuid());
	assert_int_equal(who[1], getpid());
	assert_int_equal(who[2], HSM_CLASS_CRYPTO);
	assert_int_equal(ask("acme", HSM_CLASS_STORAGE, "?", 1, 5000), -EACCES);
	assert_int_equal(ask("acme", HSM_CLASS_ADMIN, "?", 1, 5000), -EACCES);
	stop_owner(pid);
}

static void test_nobody(void **state)
{
	struct timespec t;
	pid_t pid;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &t);
	assert_int_equal(ask("globex", HSM_CLASS_MANAGE, "?", 1, 5000), -ENOENT);
	assert_int_equal(ask("../route", HSM_CLASS_MANAGE, "?", 1, 5000), -ENOENT);
	assert_int_equal(ask("", HSM_CLASS_MANAGE, "?", 1, 5000), -ENOENT);
	/* A file whose owner is gone. */
	pid = start_owner("stale", ECHO, (uid_t)-1);
	stop_owner(pid);
	assert_int_equal(ask("stale", HSM_CLASS_MANAGE, "?", 1, 5000), -ECONNREFUSED);
	assert_true(ms_since(&t) < 2000);
}

static void test_restart(void **state)
{
	pid_t pid;

	(void)state;
	for (int i = 0; i < 3; i++) {
		pid = start_owner("acme", ECHO, (uid_t)-1);
		assert_int_equal(ask("acme", HSM_CLASS_MANAGE, "abc", 3, 5000), 0);
		stop_owner(pid);
		assert_int_equal(ask("acme", HSM_CLASS_MANAGE, "abc", 3, 5000), -ECONNREFUSED);
	}
}

static void test_owner_dies(void **state)
{
	struct timespec t;
	pid_t pid = start_owner("acme", DIE, (uid_t)-1);

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &t);
	assert_int_equal(ask("acme", HSM_CLASS_MANAGE, "?", 1, 20000), -ECONNRESET);
	assert_true(ms_since(&t) < 2000);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(ask("acme", HSM_CLASS_MANAGE, "?", 1, 20000), -ECONNREFUSED);
}

static void test_owner_withdraws(void **state)
{
	struct timespec t;
	pid_t pid = start_owner("acme", WITHDRAW, (uid_t)-1);

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &t);
	assert_int_equal(ask("acme", HSM_CLASS_MANAGE, "?", 1, 20000), -ECONNRESET);
	/* The process lives, its port does not. */
	assert_int_equal(ask("acme", HSM_CLASS_MANAGE, "?", 1, 20000), -ENOENT);
	stop_owner(pid);

	/* None that arrives while it closes is left to the time-out. */
	pid = start_owner("acme", WITHDRAW, (uid_t)-1);
	res.want = 100;
	res.got = res.timed_out = res.ok = 0;
	for (unsigned int i = 0; i < res.want; i++)
		route_call(cli, "acme", HSM_CLASS_MANAGE, "?", 1, 20000, result_fn, &res);
	assert_int_equal(ring_run(ring), 0);
	assert_int_equal(res.timed_out + res.ok, 0);
	assert_true(ms_since(&t) < 4000);
	stop_owner(pid);
}

static void test_timeout(void **state)
{
	struct timespec t;
	pid_t pid = start_owner("acme", MUTE, (uid_t)-1);

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &t);
	assert_int_equal(ask("acme", HSM_CLASS_MANAGE, "?", 1, 300), -ETIMEDOUT);
	assert_in_range(ms_since(&t), 290, 2000);
	stop_owner(pid);
}

static void test_credit(void **state)
{
	pid_t pid = start_owner("acme", MUTE, (uid_t)-1);

	(void)state;
	res.want = 300;
	res.got = res.busy = res.timed_out = res.ok = 0;
	for (unsigned int i = 0; i < res.want; i++)
		route_call(cli, "acme", HSM_CLASS_MANAGE, "?", 1, 1500, result_fn, &res);
	assert_int_equal(ring_run(ring), 0);
	assert_int_equal(res.timed_out, 256);
	assert_int_equal(res.busy, 44);
	stop_owner(pid);
}

static void test_too_many_calls(void **state)
{
	pid_t pid = start_owner("acme", MUTE, (uid_t)-1);

	(void)state;
	res.want = 1100;
	res.got = res.busy = res.timed_out = res.ok = 0;
	for (unsigned int i = 0; i < res.want; i++)
		route_call(cli, "acme", HSM_CLASS_MANAGE, "?", 1, 1500, result_fn, &res);
	assert_int_equal(ring_run(ring), 0);
	assert_int_equal(res.got, 1100);
	assert_int_equal(res.timed_out, 256);
	assert_int_equal(res.busy, 844);
	stop_owner(pid);
}

/* ---- many calls, 64 at a time ---- */

static unsigned int left_to_start, left_to_end;

static void many_fn(void *arg, int err, const void *payload, size_t len)
{
	uint32_t n = (uint32_t)(uintptr_t)arg, got;

	assert_int_equal(err, 0);
	assert_int_equal(len, sizeof(got));
	memcpy(&got, payload, sizeof(got));
	assert_int_equal(got, n + 0x01010101u);
	if (!--left_to_end) {
		ring_stop(ring);
		return;
	}
	if (left_to_start) {
		n = 0x40404040u + left_to_start--;
		route_call(cli, "acme", HSM_CLASS_MANAGE, &n, sizeof(n), 5000, many_fn, (void *)(uintptr_t)n);
	}
}

static void test_many(void **state)
{
	pid_t pid = start_owner("acme", ECHO, (uid_t)-1);
	uint32_t n;

	(void)state;
	/* No byte of the numbers overflows when one is added. */
	left_to_start = 100;
	left_to_end = 164;
	for (unsigned int i = 0; i < 64; i++) {
		n = 0x20202020u + i;
		route_call(cli, "acme", HSM_CLASS_MANAGE, &n, sizeof(n), 5000, many_fn, (void *)(uintptr_t)n);
	}
	assert_int_equal(ring_run(ring), 0);
	assert_int_equal(left_to_end, 0);
	stop_owner(pid);
}

static void test_one_owner(void **state)
{
	pid_t pid = start_owner("acme", ECHO, (uid_t)-1);
	struct owner o = { 0 };

	(void)state;
	assert_int_equal(route_serve(spec, "acme", -1, (uid_t)-1, ring, owner_fn, &o, &o.srv), -EBUSY);
	assert_int_equal(route_serve(spec, "Acme", -1, (uid_t)-1, ring, owner_fn, &o, &o.srv), -EINVAL);
	assert_int_equal(route_serve("tcp", "acme", -1, (uid_t)-1, ring, owner_fn, &o, &o.srv), -EINVAL);
	assert_int_equal(ask("acme", HSM_CLASS_MANAGE, "abc", 3, 5000), 0);
	stop_owner(pid);
}

/* As user nobody: exit status 0 when the call ended with want. */
static int ask_as_nobody(int want)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		struct ring *r;
		struct route_client *c;

		if (setgid(NOBODY) || setuid(NOBODY) || ring_create(16, &r) || route_client_open(spec, r, &c))
			_exit(99);
		ring = r;
		res.want = 1;
		res.got = 0;
		route_call(c, "acme", HSM_CLASS_MANAGE, "abc", 3, 3000, result_fn, &res);
		_exit(ring_run(r) || res.err != want);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_uids(void **state)
{
	pid_t pid;

	(void)state;
	if (getuid())
		skip();
	pid = start_owner("acme", ECHO, (uid_t)-1);
	assert_int_equal(ask_as_nobody(-EACCES), 0);
	stop_owner(pid);
	pid = start_owner("acme", ECHO, NOBODY);
	assert_int_equal(ask_as_nobody(0), 0);
	stop_owner(pid);
}

/* ---- strangers ---- */

static int raw_socket(void)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_USERSOCK);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void raw_send(int fd, uint32_t port, const void *buf, size_t len)
{
	struct sockaddr_nl to = { .nl_family = AF_NETLINK, .nl_pid = port };

	assert_int_equal(sendto(fd, buf, len, 0, (struct sockaddr *)&to, sizeof(to)), len);
}

static unsigned long cpu_ticks(pid_t pid)
{
	unsigned long user, kernel;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel), 2);
	fclose(f);
	return user + kernel;
}

/* Whoever is refused, and does not read that, does not keep the owner busy. */
static void test_refused_do_not_read(void **state)
{
	uint8_t frame[21] = { 'H', 'R', 'U', '1', USERSOCK_REQUEST, HSM_CLASS_MANAGE, [16] = 1 };
	pid_t owner, flood;
	unsigned long before;
	uint32_t port;
	int pidfd, fd;

	(void)state;
	if (getuid())
		skip();
	owner = start_owner("acme", ECHO, (uid_t)-1);
	assert_int_equal(rendezvous_lookup(dir, "acme", &port, &pidfd), 0);
	close(pidfd);
	flood = fork();
	assert_true(flood >= 0);
	if (!flood) {
		if (setgid(NOBODY) || setuid(NOBODY))
			_exit(99);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fd = raw_socket();
		for (int i = 0; i < 3000; i++)
			raw_send(fd, port, frame, sizeof(frame));
		pause();
	}
	usleep(700000);
	before = cpu_ticks(owner);
	usleep(700000);
	assert_in_range(cpu_ticks(owner) - before, 0, sysconf(_SC_CLK_TCK) / 5);
	stop_owner(flood);
	stop_owner(owner);
}

static void test_garbage(void **state)
{
	pid_t pid = start_owner("acme", ECHO, (uid_t)-1);
	uint8_t frame[64] = { 'H', 'R', 'U', '1', USERSOCK_REQUEST, HSM_CLASS_MANAGE };
	int fd = raw_socket(), pidfd;
	uint32_t port;

	(void)state;
	assert_int_equal(rendezvous_lookup(dir, "acme", &port, &pidfd), 0);
	close(pidfd);
	raw_send(fd, port, "x", 1);
	raw_send(fd, port, frame, 19);
	raw_send(fd, port, frame, 20);		/* no payload */
	frame[16] = 45;				/* one more than there is */
	raw_send(fd, port, frame, 64);
	frame[16] = 43;				/* one less */
	raw_send(fd, port, frame, 64);
	frame[16] = 44;
	frame[5] = HSM_CLASS_COUNT;
	raw_send(fd, port, frame, 64);
	frame[5] = HSM_CLASS_MANAGE;
	frame[4] = 9;
	raw_send(fd, port, frame, 64);
	frame[4] = USERSOCK_REPLY;		/* an owner takes no answers */
	raw_send(fd, port, frame, 64);
	close(fd);
	assert_int_equal(ask("acme", HSM_CLASS_MANAGE, "abc", 3, 5000), 0);
	stop_owner(pid);
}

/* The first netlink socket of this process that is not fd: the client's. */
static int client_fd(int fd)
{
	struct sockaddr_nl sa;
	socklen_t len = sizeof(sa);
	char path[64];
	struct stat st;

	for (int i = 3; i < 64; i++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", i);
		if (i != fd && !stat(path, &st) && S_ISSOCK(st.st_mode) &&
		    !getsockname(i, (struct sockaddr *)&sa, &len) && sa.nl_family == AF_NETLINK)
			return i;
	}
	fail_msg("the client has no socket");
	return -1;
}

static uint32_t port_of(int fd)
{
	struct sockaddr_nl sa;
	socklen_t len = sizeof(sa);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	return sa.nl_pid;
}

/* A failed receive is not the last: the socket is replaced for a while by what can't receive. */
static void test_receive_fails(void **state)
{
	pid_t pid = start_owner("acme", ECHO, (uid_t)-1);
	int raw = raw_socket(), fd = client_fd(raw), keep = dup(fd), null = open("/dev/null", O_RDWR);
	uint32_t port = port_of(fd);

	(void)state;
	assert_int_equal(ask("acme", HSM_CLASS_MANAGE, "abc", 3, 5000), 0);
	assert_int_equal(dup2(null, fd), fd);
	/* Ends the receive that is under way, on the socket. */
	raw_send(raw, port, "x", 1);
	for (int i = 0; i < 2; i++)
		assert_int_equal(ask("acme", HSM_CLASS_MANAGE, "abc", 3, 100), -ENOTSOCK);
	assert_int_equal(dup2(keep, fd), fd);
	assert_int_equal(ask("acme", HSM_CLASS_MANAGE, "abc", 3, 5000), 0);
	close(keep);
	close(null);
	close(raw);
	stop_owner(pid);
}

static struct forger {
	struct ring_timer timer;
	uint32_t victim;
	int fd;
} forger;

/* Answers the first few calls of a client that did not ask it. */
static void forge(struct ring_op *op, int r, uint32_t flags, uint64_t extra)
{
	uint8_t frame[21] = { 'H', 'R', 'U', '1', USERSOCK_REPLY };

	(void)op, (void)r, (void)flags, (void)extra;
	frame[16] = 1;
	for (unsigned int gen = 0; gen < 16; gen++) {
		frame[9] = (uint8_t)(gen << 4);
		raw_send(forger.fd, forger.victim, frame, sizeof(frame));
	}
}

static void test_forged_reply(void **state)
{
	pid_t pid = start_owner("acme", MUTE, (uid_t)-1);

	(void)state;
	forger.fd = raw_socket();
	forger.victim = port_of(client_fd(forger.fd));
	forger.timer.op.done = forge;
	ring_timer_start(ring, &forger.timer, 100);
	assert_int_equal(ask("acme", HSM_CLASS_MANAGE, "?", 1, 500), -ETIMEDOUT);
	close(forger.fd);
	stop_owner(pid);
}

static void test_close_with_calls(void **state)
{
	pid_t pid = start_owner("acme", MUTE, (uid_t)-1);

	(void)state;
	res.want = 3;
	res.got = 0;
	for (int i = 0; i < 3; i++)
		route_call(cli, "acme", HSM_CLASS_MANAGE, "?", 1, 5000, result_fn, &res);
	route_client_close(cli);
	assert_int_equal(res.got, 3);
	assert_int_equal(res.err, -ECANCELED);
	assert_int_equal(ring_drain(ring, 1000), 0);
	assert_int_equal(route_client_open(spec, ring, &cli), 0);
	stop_owner(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_echo, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sender, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_owner_dies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_owner_withdraws, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timeout, setup, teardown),
		cmocka_unit_test_setup_teardown(test_credit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_calls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_owner, setup, teardown),
		cmocka_unit_test_setup_teardown(test_uids, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_do_not_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_receive_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forged_reply, setup, teardown),
		cmocka_unit_test_setup_teardown(test_close_with_calls, setup, teardown),
	};
	char top[] = "/tmp/test_route.XXXXXX", cmd[96];
	int failed;

	if (!mkdtemp(top) || chmod(top, 0755))
		return 1;
	snprintf(dir, sizeof(dir), "%s/route", top);
	snprintf(spec, sizeof(spec), "usersock:%s", dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", top);
	return system(cmd) || failed;
}
