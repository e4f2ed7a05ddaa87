// SPDX-License-Identifier: GPL-2.0
/*
 *	gateway socket --- kernel router --- owner socket of pool "krt"
 *
 * Each accepted request is answered once: by its owner, or by an error.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "hsmlib.h"
#include "tap.h"

#define MANY	48

static struct nl admin, gw, owner, forger;
static struct msg m;
static unsigned char payload[HSM_ROUTE_MAX_PAYLOAD + 8];
static int fd;

static int ask_to(const char *pool, uint32_t class, uint64_t cookie, size_t len, uint32_t timeout)
{
	msg_init(&m, &gw, HSM_CMD_ROUTE_REQUEST, 0);
	msg_str(&m, HSM_A_POOL_NAME, pool);
	msg_u32(&m, HSM_A_CLASS, class);
	msg_u64(&m, HSM_A_COOKIE, cookie);
	msg_put(&m, HSM_A_PAYLOAD, payload, len);
	if (timeout)
		msg_u32(&m, HSM_A_TIMEOUT_MS, timeout);
	return nl_call(&gw, &m);
}

static int ask(uint64_t cookie, size_t len, uint32_t timeout)
{
	return ask_to("krt", HSM_CLASS_MANAGE, cookie, len, timeout);
}

static int answer(struct nl *nl, uint64_t xid, size_t len)
{
	msg_init(&m, nl, HSM_CMD_ROUTE_REPLY, 0);
	msg_u64(&m, HSM_A_XID, xid);
	msg_put(&m, HSM_A_PAYLOAD, payload, len);
	return nl_call(nl, &m);
}

static int own(struct nl *nl)
{
	msg_init(&m, nl, HSM_CMD_OWNER_REGISTER, 0);
	msg_u32(&m, HSM_A_POOL_FD, fd);
	return nl_call(nl, &m);
}

/* The gateway's next message is the synthetic error for cookie. */
static void expect_error(uint64_t cookie, uint32_t error, int within_ms, const char *what)
{
	uint64_t start = now_ms();
	int ret = nl_recv(&gw, within_ms);

	tap(ret == 1 && gw.cmd == HSM_CMD_ROUTE_REPLY && attr_u64(&gw, HSM_A_COOKIE) == cookie &&
	    attr_u32(&gw, HSM_A_ERROR) == error, "%s (%d ms)", what, (int)(now_ms() - start));
}

static uint64_t take(size_t len)
{
	if (nl_recv(&owner, 5000) != 1 || owner.cmd != HSM_CMD_ROUTE_REQUEST)
		return 0;
	if (!owner.attr[HSM_A_PAYLOAD] ||
	    owner.attr[HSM_A_PAYLOAD]->nla_len != NLA_HDRLEN + len ||
	    memcmp((char *)owner.attr[HSM_A_PAYLOAD] + NLA_HDRLEN, payload, len))
		return 0;
	return attr_u64(&owner, HSM_A_XID);
}

static void good(size_t len)
{
	uint64_t xid;

	tap_eq(ask(len, len, 0), 0, "request of %zu bytes", len);
	xid = take(len);
	tap(xid, "arrives whole");
	tap_eq(attr_u32(&owner, HSM_A_SENDER_PID), getpid(), "with the sender's pid");
	tap_eq(attr_u32(&owner, HSM_A_SENDER_UID), getuid(), "and uid");
	tap_eq(attr_u32(&owner, HSM_A_CLASS), HSM_CLASS_MANAGE, "and class");
	tap_eq(answer(&forger, xid, 4), -ENOENT, "a reply from another socket: %s", forger.extack);
	tap_eq(answer(&owner, xid, len), 0, "the owner's reply");
	tap_eq(answer(&owner, xid, len), -ENOENT, "its second: %s", owner.extack);
	tap_eq(nl_recv(&gw, 5000), 1, "reply arrives");
	tap(attr_u64(&gw, HSM_A_COOKIE) == len && !gw.attr[HSM_A_ERROR] &&
	    gw.attr[HSM_A_PAYLOAD] && gw.attr[HSM_A_PAYLOAD]->nla_len == NLA_HDRLEN + len,
	    "whole, with the cookie");
	tap_eq(nl_recv(&gw, 50), -EAGAIN, "once");
}

static void refusals(void)
{
	tap_eq(ask_to("none", HSM_CLASS_MANAGE, 1, 4, 0), -ENOENT, "no pool: %s", gw.extack);
	tap_eq(ask_to("krt", HSM_CLASS_CRYPTO, 1, 4, 0), -EACCES, "class crypto: %s", gw.extack);
	tap_eq(ask_to("krt", HSM_CLASS_STORAGE, 1, 4, 0), -EACCES, "class storage: %s", gw.extack);
	tap_eq(ask_to("krt", HSM_CLASS_ADMIN, 1, 4, 0), -EACCES, "class admin: %s", gw.extack);
	tap(ask_to("krt", 4, 1, 4, 0) < 0 && gw.extack[0], "no class: %s", gw.extack);
	tap(ask(1, 0, 0) < 0 && gw.extack[0], "no payload: %s", gw.extack);
	tap(ask(1, HSM_ROUTE_MAX_PAYLOAD + 1, 0) < 0 && gw.extack[0], "too long: %s", gw.extack);
	tap(ask(1, 4, 60001) < 0 && gw.extack[0], "time-out too long: %s", gw.extack);
	msg_init(&m, &gw, HSM_CMD_ROUTE_REQUEST, 0);
	tap_eq(nl_call(&gw, &m), -EINVAL, "nothing: %s", gw.extack);
	msg_init(&m, &owner, HSM_CMD_ROUTE_REPLY, 0);
	tap_eq(nl_call(&owner, &m), -EINVAL, "empty reply: %s", owner.extack);
	tap_eq(own(&forger), -EBUSY, "second owner: %s", forger.extack);
	msg_init(&m, &forger, HSM_CMD_OWNER_REGISTER, 0);
	msg_u32(&m, HSM_A_POOL_FD, 0);
	tap_eq(nl_call(&forger, &m), -EBADF, "another file: %s", forger.extack);
}

static void credit(void)
{
	int i, taken = 0, busy = 0, errors = 0;

	for (i = 0; i < 300; i++) {
		int ret = ask(i, 4, 0);

		taken += !ret;
		busy += ret == -EBUSY;
	}
	tap_eq(taken, 256, "256 requests are taken");
	tap_eq(busy, 44, "the rest is -EBUSY: %s", gw.extack);
	nl_close(&owner);
	while (nl_recv(&gw, 2000) == 1) {
		if (attr_u32(&gw, HSM_A_ERROR) == ECONNRESET && ++errors == 256)
			break;
	}
	tap_eq(errors, 256, "owner dies: each gets ECONNRESET");
	tap_eq(nl_recv(&gw, 50), -EAGAIN, "once");
	tap_eq(ask(1, 4, 0), -ECONNREFUSED, "then nobody serves: %s", gw.extack);
}

/* Reads all there is: each cookie below n once; counts whole replies and errors. */
static int read_all(int n, uint32_t error, int *errors)
{
	char seen[MANY] = {};
	int ret, whole = 0;

	*errors = 0;
	while (whole + *errors < n && (ret = nl_recv(&gw, 5000)) == 1) {
		uint64_t cookie = attr_u64(&gw, HSM_A_COOKIE);

		if (cookie >= MANY || seen[cookie]++)
			tap(false, "cookie %d", (int)cookie);
		whole += gw.attr[HSM_A_PAYLOAD] &&
			 gw.attr[HSM_A_PAYLOAD]->nla_len == NLA_HDRLEN + HSM_ROUTE_MAX_PAYLOAD;
		*errors += attr_u32(&gw, HSM_A_ERROR) == error;
	}
	tap_eq(nl_recv(&gw, 50), -EAGAIN, "no more, and nothing was lost");
	return whole;
}

/* The gateway doesn't read.  What finds no room in its socket arrives when it does. */
static void congestion(void)
{
	int size = 1 << 17, i, ret = 0, taken, errors;
	uint64_t xid[MANY];

	setsockopt(gw.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	for (i = 0; i < MANY; i++) {
		if (ask(i, 4, i == MANY - 1 ? 1000 : 60000))
			tap_bail("request");
		xid[i] = take(4);
	}
	for (taken = 0; taken < MANY - 1 && !ret; taken += !ret)
		ret = answer(&owner, xid[taken], HSM_ROUTE_MAX_PAYLOAD);
	tap(taken > 20 && taken < MANY - 1, "%d large replies are taken", taken);
	tap_eq(ret, -EBUSY, "then there is an end: %s", owner.extack);
	sleep(2);
	tap_eq(read_all(taken + 1, ETIMEDOUT, &errors), taken, "they arrive");
	tap_eq(errors, 1, "so does an error");
	ret = answer(&owner, xid[taken], HSM_ROUTE_MAX_PAYLOAD);
	tap_eq(ret, 0, "what was refused can be sent again");
	tap_eq(read_all(1, 0, &errors), 1, "and arrives");

	for (i = taken + 1; i < MANY - 1; i++)
		answer(&owner, xid[i], HSM_ROUTE_MAX_PAYLOAD);
	taken = i - taken - 1;
	nl_close(&owner);
	ret = read_all(taken, ECONNRESET, &errors);
	tap(ret > 0 && errors > 0, "its owner dies: %d replies, %d errors", ret, errors);
	tap_eq(ret + errors, taken, "none is missing");

	size = 16 << 20;
	setsockopt(gw.fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (nl_open(&owner))
		tap_bail("socket");
	tap_eq(own(&owner), 0, "the next owner");
}

int main(void)
{
	uint64_t xid;
	size_t i;

	if (access("/dev/hsm/card0", F_OK))
		tap_skip_all("no card");
	for (i = 0; i < sizeof(payload); i++)
		payload[i] = i * 31;
	pool_setup(&admin, "krt", 4, "", 16, 0);
	fd = pool_open("krt");
	if (fd < 0 || nl_open(&gw) || nl_open(&owner) || nl_open(&forger))
		tap_bail("pool or socket");

	tap_eq(ask(1, 4, 0), -EPERM, "not registered: %s", gw.extack);
	msg_init(&m, &gw, HSM_CMD_GATEWAY_REGISTER, 0);
	msg_u32(&m, HSM_A_POOL_FD, fd);
	tap_eq(nl_call(&gw, &m), -EINVAL, "with an attribute it does not take: %s", gw.extack);
	msg_init(&m, &gw, HSM_CMD_GATEWAY_REGISTER, 0);
	tap_eq(nl_call(&gw, &m), 0, "gateway registers");
	msg_init(&m, &gw, HSM_CMD_GATEWAY_REGISTER, 0);
	tap_eq(nl_call(&gw, &m), -EALREADY, "twice: %s", gw.extack);
	tap_eq(ask(1, 4, 0), -ECONNREFUSED, "no owner: %s", gw.extack);
	tap_eq(own(&owner), 0, "owner registers");
	good(1);
	good(1000);
	good(HSM_ROUTE_MAX_PAYLOAD);
	refusals();

	tap_eq(ask(7, 4, 300), 0, "a request that nobody answers");
	xid = take(4);
	expect_error(7, ETIMEDOUT, 3000, "ETIMEDOUT");
	tap_eq(answer(&owner, xid, 4), -ENOENT, "a late reply: %s", owner.extack);

	congestion();
	credit();

	if (nl_open(&owner))
		tap_bail("socket");
	tap_eq(own(&owner), 0, "another owner");
	tap_eq(ask(8, 4, 0), 0, "a request");
	nl_close(&gw);
	xid = take(4);
	tap_eq(answer(&owner, xid, 4), -ENOENT, "its gateway died: %s", owner.extack);
	if (nl_open(&gw))
		tap_bail("socket");
	msg_init(&m, &gw, HSM_CMD_GATEWAY_REGISTER, 0);
	nl_call(&gw, &m);
	tap_eq(ask(9, 4, 0), 0, "a request");
	tap_eq(pool_del(&admin, "krt"), 0, "its pool is deleted");
	expect_error(9, ECONNRESET, 2000, "ECONNRESET");
	tap_eq(ask(10, 4, 0), -ENOENT, "no pool any more");
	close(fd);
	return tap_end();
}
