// SPDX-License-Identifier: GPL-2.0
/*
 * The request router:
 *
 *	gateway socket --ROUTE_REQUEST--> kernel --ROUTE_REQUEST--> owner socket
 *	gateway socket <--ROUTE_REPLY---- kernel <--ROUTE_REPLY---- owner socket
 *
 * Good path, refusals, and every way in which an owner can fail to answer.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/netlink.h>
#include "fixture.h"

static struct nl gw, owner, other;
static uint8_t payload[HSM_ROUTE_MAX_PAYLOAD];

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int request_len(const char *pool, uint32_t class, uint64_t cookie, size_t len, uint32_t timeout_ms)
{
	nl_begin(&gw, HSM_CMD_ROUTE_REQUEST, 0);
	nl_put_str(&gw, HSM_A_POOL_NAME, pool);
	nl_put_u32(&gw, HSM_A_CLASS, class);
	nl_put_u64(&gw, HSM_A_COOKIE, cookie);
	if (timeout_ms)
		nl_put_u32(&gw, HSM_A_TIMEOUT_MS, timeout_ms);
	nl_put(&gw, HSM_A_PAYLOAD, payload, len);
	gw.rlen = 0;
	return nl_talk(&gw);
}

static int request(const char *pool, uint32_t class, uint64_t cookie)
{
	return request_len(pool, class, cookie, 100, 0);
}

static int reply(struct nl *nl, uint64_t xid, const void *data, size_t len)
{
	nl_begin(nl, HSM_CMD_ROUTE_REPLY, 0);
	nl_put_u64(nl, HSM_A_XID, xid);
	nl_put(nl, HSM_A_PAYLOAD, data, len);
	return nl_talk(nl);
}

/* The reply may have come before the acknowledgement: nl_talk() then kept it. */
static int gateway_reply(int timeout_ms)
{
	if (gw.rlen && ((struct nlmsghdr *)gw.rbuf)->nlmsg_type == gw.family)
		return HSM_CMD_ROUTE_REPLY;
	return nl_recv(&gw, timeout_ms);
}

static void expect_error(uint64_t cookie, uint32_t error, const char *text)
{
	if (gateway_reply(3000) != HSM_CMD_ROUTE_REPLY) {
		tap_ok(false, "%s: no reply", text);
		return;
	}
	tap_ok(nl_attr_u64(&gw, HSM_A_COOKIE) == cookie && nl_attr_u32(&gw, HSM_A_ERROR) == error,
	       "%s (error %u, want %u)", text, nl_attr_u32(&gw, HSM_A_ERROR), error);
}

static int owner_register(struct nl *nl, int fd)
{
	nl_begin(nl, HSM_CMD_OWNER_REGISTER, 0);
	nl_put_u32(nl, HSM_A_POOL_FD, fd);
	return nl_talk(nl);
}

static void good_path(size_t len)
{
	const void *p;
	size_t got = 0;
	uint64_t xid;

	EXPECT(request_len("rtest", HSM_CLASS_MANAGE, 7, len, 0), 0, "request is taken");
	EXPECT(nl_recv(&owner, 2000), HSM_CMD_ROUTE_REQUEST, "owner gets it");
	p = nl_attr(&owner, HSM_A_PAYLOAD, &got);
	tap_ok(p && got == len && !memcmp(p, payload, len), "payload of %zu bytes arrives whole", len);
	EXPECT(nl_attr_u32(&owner, HSM_A_SENDER_UID), (long)getuid(), "sender's uid");
	EXPECT(nl_attr_u32(&owner, HSM_A_SENDER_PID), getpid(), "sender's pid");
	xid = nl_attr_u64(&owner, HSM_A_XID);
	EXPECT(reply(&other, xid, "forged", 6), -EPERM, "reply from another socket is refused");
	tap_ok(other.extack[0], "with a text: %s", other.extack);
	EXPECT(reply(&owner, xid, payload, len), 0, "owner's reply is taken");
	EXPECT(gateway_reply(2000), HSM_CMD_ROUTE_REPLY, "gateway gets it");
	p = nl_attr(&gw, HSM_A_PAYLOAD, &got);
	tap_ok(p && got == len && !memcmp(p, payload, len) && nl_attr_u64(&gw, HSM_A_COOKIE) == 7,
	       "reply arrives whole, with the cookie");
	EXPECT(reply(&owner, xid, "again", 5), -ENOENT, "second reply is refused");
	EXPECT(nl_recv(&gw, 100), -ETIMEDOUT, "and gets nowhere");
}

static void bad_requests(void)
{
	EXPECT(request("no-such-pool", HSM_CLASS_MANAGE, 1), -ENOENT, "unknown pool");
	tap_ok(gw.extack[0], "with a text: %s", gw.extack);
	EXPECT(request("rtest", 99, 1), -EINVAL, "unknown class");
	tap_ok(gw.extack[0], "with a text: %s", gw.extack);
	EXPECT(request_len("rtest", HSM_CLASS_MANAGE, 1, 0, 0), -EINVAL, "empty payload");
	tap_ok(gw.extack[0], "with a text: %s", gw.extack);
	EXPECT(request_len("rtest", HSM_CLASS_MANAGE, 1, 100, 60001), -EINVAL, "time-out too long");
	tap_ok(gw.extack[0], "with a text: %s", gw.extack);

	nl_begin(&gw, HSM_CMD_ROUTE_REQUEST, 0);
	nl_put_str(&gw, HSM_A_POOL_NAME, "rtest");
	EXPECT(nl_talk(&gw), -EINVAL, "attributes missing");
	tap_ok(gw.extack[0], "with a text: %s", gw.extack);

	nl_begin(&gw, HSM_CMD_ROUTE_REQUEST, 0);
	nl_put(&gw, HSM_A_CLASS, "x", 1);
	tap_ok(nl_talk(&gw) < 0, "attribute of the wrong length is refused");

	nl_begin(&other, HSM_CMD_ROUTE_REQUEST, 0);
	nl_put_str(&other, HSM_A_POOL_NAME, "rtest");
	nl_put_u32(&other, HSM_A_CLASS, HSM_CLASS_MANAGE);
	nl_put_u64(&other, HSM_A_COOKIE, 1);
	nl_put(&other, HSM_A_PAYLOAD, payload, 10);
	EXPECT(nl_talk(&other), -EPERM, "request of a socket that is no gateway");
	tap_ok(other.extack[0], "with a text: %s", other.extack);
}

static void bad_owners(int fd)
{
	EXPECT(owner_register(&other, 9999), -EBADF, "owner without a file");
	tap_ok(other.extack[0], "with a text: %s", other.extack);
	EXPECT(owner_register(&other, 0), -EINVAL, "owner with a file that is no pool");
	tap_ok(other.extack[0], "with a text: %s", other.extack);
	EXPECT(owner_register(&owner, fd), 0, "owner with the pool's file");
	EXPECT(owner_register(&other, fd), -EBUSY, "second owner");
	tap_ok(other.extack[0], "with a text: %s", other.extack);
}

static void classes(void)
{
	request("rtest", HSM_CLASS_CRYPTO, 11);
	expect_error(11, EACCES, "crypto does not pass to a dedicated pool");
	request("rtest", HSM_CLASS_STORAGE, 12);
	expect_error(12, EACCES, "storage does not");
	request("rtest", HSM_CLASS_ADMIN, 13);
	expect_error(13, EACCES, "admin does not");
	EXPECT(nl_recv(&owner, 100), -ETIMEDOUT, "the owner saw none of them");
}

static void deadline(void)
{
	long t0 = now_ms(), t;

	EXPECT(request_len("rtest", HSM_CLASS_MANAGE, 20, 10, 300), 0, "request with 300 ms");
	EXPECT(nl_recv(&owner, 2000), HSM_CMD_ROUTE_REQUEST, "owner gets it and says nothing");
	expect_error(20, ETIMEDOUT, "it times out");
	t = now_ms() - t0;
	tap_ok(t >= 290 && t < 2000, "in time (%ld ms)", t);
	EXPECT(reply(&owner, nl_attr_u64(&owner, HSM_A_XID), "late", 4), -ENOENT, "a late reply is refused");
}

static void credit(void)
{
	int i, busy = -1;

	for (i = 0; i < 300 && busy < 0; i++) {
		if (request_len("rtest", HSM_CLASS_MANAGE, 1000 + i, 10, 1500))
			break;
		if (gw.rlen && ((struct nlmsghdr *)gw.rbuf)->nlmsg_type == gw.family &&
		    nl_attr_u32(&gw, HSM_A_ERROR) == EBUSY)
			busy = i;
		else if (i >= 256)
			busy = nl_recv(&gw, 500) == HSM_CMD_ROUTE_REPLY &&
			       nl_attr_u32(&gw, HSM_A_ERROR) == EBUSY ? i : -2;
	}
	EXPECT(busy, 256, "an owner has credit for 256 requests");
	for (i = 0; i < 256; i++)
		if (nl_recv(&gw, 5000) != HSM_CMD_ROUTE_REPLY || nl_attr_u32(&gw, HSM_A_ERROR) != ETIMEDOUT)
			break;
	EXPECT(i, 256, "each of them times out, once");
	EXPECT(nl_recv(&gw, 200), -ETIMEDOUT, "and nothing else comes");
	while (nl_recv(&owner, 50) >= 0)
		;
}

/* An owner in another process, killed with a request in its hands. */
static void owner_dies(void)
{
	int ready[2], got[2], status;
	long t0;
	pid_t pid;
	char c;

	if (pipe(ready) || pipe(got))
		die("pipe");
	pid = fork();
	if (!pid) {
		static struct nl mine;
		int fd = pool_open("rtest");

		nl_open(&mine);
		if (fd < 0 || owner_register(&mine, fd))
			_exit(1);
		if (write(ready[1], "r", 1) != 1 || nl_recv(&mine, 5000) != HSM_CMD_ROUTE_REQUEST ||
		    write(got[1], "g", 1) != 1)
			_exit(1);
		pause();
	}
	if (read(ready[0], &c, 1) != 1)
		die("child did not become owner");
	EXPECT(request("rtest", HSM_CLASS_MANAGE, 30), 0, "request to an owner in another process");
	if (read(got[0], &c, 1) != 1)
		die("child got nothing");
	t0 = now_ms();
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	expect_error(30, ECONNRESET, "killed owner");
	tap_ok(now_ms() - t0 < 1000, "at once (%ld ms)", now_ms() - t0);
	request("rtest", HSM_CLASS_MANAGE, 31);
	expect_error(31, ECONNREFUSED, "nobody owns the pool now");
}

int main(void)
{
	uint8_t uuid[16];
	int cg, fd;
	size_t i;

	for (i = 0; i < sizeof(payload); i++)
		payload[i] = i * 7;
	random_uuid(uuid);
	make_partition(uuid, true);
	cg = cgroup_make("hsm-rtest");
	cgroup_enter("hsm-rtest");
	nl_open(&gw);
	nl_open(&owner);
	nl_open(&other);
	if (pool_new(&gw, "rtest", uuid, cg, 1, 0, 0))
		die("POOL_NEW: %s", gw.extack);
	fd = pool_open("rtest");
	if (fd < 0)
		die("/dev/hsm/rtest");

	nl_begin(&gw, HSM_CMD_GATEWAY_REGISTER, 0);
	EXPECT(nl_talk(&gw), 0, "gateway registers");
	request("rtest", HSM_CLASS_MANAGE, 5);
	expect_error(5, ECONNREFUSED, "no owner yet");

	bad_owners(fd);
	good_path(1);
	good_path(sizeof(payload));
	bad_requests();
	classes();
	deadline();
	credit();
	nl_close(&owner);
	request("rtest", HSM_CLASS_MANAGE, 6);
	expect_error(6, ECONNREFUSED, "owner's socket closed");
	owner_dies();

	nl_open(&owner);
	EXPECT(owner_register(&owner, fd), 0, "owner again");
	EXPECT(request("rtest", HSM_CLASS_MANAGE, 40), 0, "a request waits");
	EXPECT(pool_del(&other, "rtest"), 0, "pool is deleted");
	expect_error(40, ECONNRESET, "the request fails with the pool");
	EXPECT(owner_register(&owner, fd), -ENODEV, "a deleted pool has no owner");

	close(fd);
	cgroup_enter("");
	cgroup_remove("hsm-rtest");
	drop_partition(uuid);
	return tap_end();
}
