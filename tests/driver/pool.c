// SPDX-License-Identifier: GPL-2.0
/* Cards and pools over generic netlink; every refusal comes with a text. */
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "hsmlib.h"
#include "tap.h"

static struct nl nl;
static struct msg m;
static uint8_t uuid[16], second[16], missing[16];
static int cg;

static void refused(int got, int want, const char *what)
{
	tap(got == want && nl.extack[0], "%s: %s", what, nl.extack);
	if (got != want)
		printf("# got %d, want %d\n", got, want);
	fflush(stdout);
	nl.extack[0] = 0;
}

static void names(void)
{
	static const char * const bad[] = {
		"", "UPPER", "-dash", "_under", "a/b", "a b", "card0", "card17", "ü", "..",
		"a.b",
	};
	unsigned int i;
	int fd;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		refused(pool_new(&nl, bad[i], uuid, cg, 1, 1, 0, 0), -EINVAL, bad[i]);
	refused(pool_new(&nl, "a23456789012345678901234567890123", uuid, cg, 1, 1, 0, 0), -EINVAL,
		"33 bytes");
	tap_eq(pool_new(&nl, "a234567890123456789012345678901", uuid, cg, 1, 1, 0, 0), 0,
	       "31 bytes");
	fd = pool_open("a234567890123456789012345678901");
	tap(fd >= 0, "its node");
	close(fd);
	tap_eq(pool_del(&nl, "a234567890123456789012345678901"), 0, "and away");
	tap_eq(pool_new(&nl, "cardinal", uuid, cg, 1, 1, 0, 0), 0, "a name that only begins so");
	tap_eq(pool_del(&nl, "cardinal"), 0, "and away");
}

static void member(uint32_t card, uint32_t qps)
{
	size_t nest = msg_nest(&m, HSM_A_MEMBER);

	msg_u32(&m, HSM_A_CARD_ID, card);
	msg_u32(&m, HSM_A_MEMBER_QPS, qps);
	msg_nest_end(&m, nest);
}

static void start(const char *name)
{
	msg_init(&m, &nl, HSM_CMD_POOL_NEW, 0);
	msg_str(&m, HSM_A_POOL_NAME, name);
	msg_put(&m, HSM_A_PARTITION, uuid, 16);
	msg_u32(&m, HSM_A_CGROUP_FD, cg);
}

static void attributes(void)
{
	int i;

	msg_init(&m, &nl, HSM_CMD_POOL_NEW, 0);
	refused(nl_call(&nl, &m), -EINVAL, "no attribute");
	start("kp");
	refused(nl_call(&nl, &m), -EINVAL, "no member");
	start("kp");
	member(99, 1);
	refused(nl_call(&nl, &m), -ENODEV, "no such card");
	start("kp");
	member(0, 0);
	refused(nl_call(&nl, &m), -EINVAL, "no queue pair");
	start("kp");
	member(0, 1000);
	refused(nl_call(&nl, &m), -EINVAL, "too many queue pairs");
	start("kp");
	member(0, 1);
	member(0, 1);
	refused(nl_call(&nl, &m), -EINVAL, "a card twice");
	start("kp");
	for (i = 0; i < 17; i++)
		member(i, 1);
	refused(nl_call(&nl, &m), -EINVAL, "17 members");
	start("kp");
	msg_put(&m, HSM_A_MEMBER | NLA_F_NESTED, "\1\2\3", 3);
	refused(nl_call(&nl, &m), -ERANGE, "a member of three bytes");
	start("kp");
	msg_nest_end(&m, msg_nest(&m, HSM_A_MEMBER));
	refused(nl_call(&nl, &m), -EINVAL, "an empty member");
	start("kp");
	member(0, 1);
	msg_u32(&m, HSM_A_DEPTH, 3);
	refused(nl_call(&nl, &m), -EINVAL, "depth 3");
	start("kp");
	member(0, 1);
	msg_u32(&m, HSM_A_DEPTH, 1u << 31);
	tap_eq(nl_call(&nl, &m), -ERANGE, "depth 2^31: %s", nl.extack);
	start("kp");
	member(0, 1);
	msg_u32(&m, HSM_A_POOL_FLAGS, 0x80);
	refused(nl_call(&nl, &m), -EINVAL, "unknown flag");
	start("kp");
	member(0, 1);
	msg_u32(&m, HSM_A_XID, 1);
	refused(nl_call(&nl, &m), -EINVAL, "attribute of another command");
	start("kp");
	member(0, 1);
	msg_u32(&m, 200, 1);
	refused(nl_call(&nl, &m), -EINVAL, "unknown attribute");
	start("kp");
	member(0, 1);
	msg_put(&m, HSM_A_PARTITION, uuid, 15);
	refused(nl_call(&nl, &m), -ERANGE, "short UUID");
	refused(pool_new(&nl, "kp", (uint8_t[16]){}, cg, 1, 1, 0, 0), -EINVAL, "nil UUID");
	refused(pool_new(&nl, "kp", missing, cg, 1, 1, 0, 0), -ENXIO, "partition not on the card");
	refused(pool_new(&nl, "kp", uuid, 0x7fff, 1, 1, 0, 0), -EBADF, "cgroup_fd is closed");
	refused(pool_new(&nl, "kp", uuid, nl.fd, 1, 1, 0, 0), -EBADF, "cgroup_fd is a socket");
	msg_init(&m, &nl, 99, 0);
	tap_eq(nl_call(&nl, &m), -EOPNOTSUPP, "unknown command");
}

/* Is NLM_F_DUMP_INTR set anywhere in a dump of pools?  change: one is made meanwhile. */
static int dump_interrupted(bool change)
{
	static struct nl other;
	struct nlmsghdr *nlh = (struct nlmsghdr *)other.rx;
	int ret, flags = 0;

	if (nl_open(&other))
		tap_bail("socket");
	msg_init(&m, &other, HSM_CMD_POOL_GET, NLM_F_DUMP);
	nl_send(&other, &m);
	if (change && pool_new(&nl, "kp2", second, cg, 1, 1, 0, 0))
		tap_bail("pool");
	do {
		ret = nl_recv(&other, 5000);
		flags |= nlh->nlmsg_flags;
	} while (ret == 1);
	nl_close(&other);
	if (change)
		pool_del(&nl, "kp2");
	return ret ?: !!(flags & NLM_F_DUMP_INTR);
}

static void life(int cards)
{
	struct nl ev;
	int fd;

	tap_eq(pool_new(&nl, "kp", uuid, cg, cards, 2, 16, 0), 0, "a pool of %d cards", cards);
	refused(pool_new(&nl, "kp", uuid, cg, cards, 2, 16, 0), -EEXIST, "once more");
	refused(pool_new(&nl, "kp2", uuid, cg, cards, 2, 0, 0), -EEXIST, "another tenant on the partition");
	refused(pool_new(&nl, "kp2", second, cg, 1, 16, 0, 0), -ENOSPC, "more than is left");

	msg_init(&m, &nl, HSM_CMD_POOL_GET, 0);
	msg_str(&m, HSM_A_POOL_NAME, "kp");
	nl_send(&nl, &m);
	tap_eq(nl_recv(&nl, 5000), 1, "POOL_GET");
	tap(nl.attr[HSM_A_PARTITION] &&
	    !memcmp((char *)nl.attr[HSM_A_PARTITION] + NLA_HDRLEN, uuid, 16), "partition");
	tap_eq(attr_u32(&nl, HSM_A_POOL_QPS), 2 * cards, "queue pairs");
	tap_eq(attr_u32(&nl, HSM_A_DEPTH), 16, "depth");
	tap_eq(attr_u32(&nl, HSM_A_OWNER_PORTID), 0, "no owner");
	tap_eq(nl_recv(&nl, 5000), 0, "acknowledged");

	msg_init(&m, &nl, HSM_CMD_POOL_GET, NLM_F_DUMP);
	nl_send(&nl, &m);
	tap_eq(nl_recv(&nl, 5000), 1, "dump of pools");
	tap_eq(nl_recv(&nl, 5000), 0, "ends");
	msg_init(&m, &nl, HSM_CMD_CARD_GET, NLM_F_DUMP);
	nl_send(&nl, &m);
	tap_eq(nl_recv(&nl, 5000), 1, "dump of cards");
	while (nl_recv(&nl, 5000) == 1)
		;

	tap_eq(dump_interrupted(false), 0, "a dump that nothing comes between");
	tap_eq(dump_interrupted(true), 1, "one that a new pool comes between says so");

	msg_init(&m, &nl, HSM_CMD_CARD_GET, 0);
	msg_u32(&m, HSM_A_CARD_ID, 77);
	refused(nl_call(&nl, &m), -ENODEV, "CARD_GET of none");
	msg_init(&m, &nl, HSM_CMD_POOL_GET, 0);
	msg_str(&m, HSM_A_POOL_NAME, "none");
	refused(nl_call(&nl, &m), -ENOENT, "POOL_GET of none");
	refused(pool_del(&nl, "none"), -ENOENT, "POOL_DEL of none");
	refused(pool_bind(&nl, "none", cg), -ENOENT, "POOL_BIND of none");
	refused(pool_bind(&nl, "kp", nl.fd), -EBADF, "POOL_BIND to a socket");

	fd = pool_open("kp");
	tap_eq(pool_del(&nl, "kp"), 0, "POOL_DEL with an open file");
	tap_eq(node_exec(fd, HSM_OP_NOP, NULL, 0, NULL, 0, 0, NULL), -ENODEV, "which is dead");
	tap_eq(pool_new(&nl, "kp", uuid, cg, cards, 1, 0, 0), 0, "a pool of the same name");
	tap_eq(node_exec(fd, HSM_OP_NOP, NULL, 0, NULL, 0, 0, NULL), -ENODEV,
	       "the old file is still dead");
	close(fd);
	tap_eq(pool_del(&nl, "kp"), 0, "away with it");

	/* Another network namespace sees the family, but nothing of the appliance. */
	if (unshare(CLONE_NEWNET) || nl_open(&ev))
		tap_bail("unshare");
	msg_init(&m, &ev, HSM_CMD_POOL_DEL, 0);
	msg_str(&m, HSM_A_POOL_NAME, "kp");
	tap_eq(nl_call(&ev, &m), -EPERM, "other netns: POOL_DEL: %s", ev.extack);
	msg_init(&m, &ev, HSM_CMD_CARD_GET, 0);
	msg_u32(&m, HSM_A_CARD_ID, 0);
	tap_eq(nl_call(&ev, &m), -EPERM, "other netns: CARD_GET: %s", ev.extack);
	nl_close(&ev);
}

static void unprivileged(void)
{
	struct nl own;

	if (setresuid(65534, 65534, 65534) || nl_open(&own))
		tap_bail("setresuid");
	msg_init(&m, &own, HSM_CMD_POOL_DEL, 0);
	msg_str(&m, HSM_A_POOL_NAME, "kp");
	tap_eq(nl_call(&own, &m), -EPERM, "nobody: POOL_DEL: %s", own.extack);
	msg_init(&m, &own, HSM_CMD_GATEWAY_REGISTER, 0);
	tap_eq(nl_call(&own, &m), -EPERM, "nobody: GATEWAY_REGISTER: %s", own.extack);
	nl_close(&own);
}

int main(void)
{
	int cards;

	if (nl_open(&nl))
		tap_skip_all("no family");
	cards = cards_live(&nl);
	if (!cards)
		tap_skip_all("no card");
	uuid_of(2, uuid);
	uuid_of(3, second);
	uuid_of(0xee, missing);
	partition_drop(uuid, cards);
	partition_drop(second, cards);
	tap_eq(partition_make(uuid, cards), 0, "a partition on %d cards", cards);
	tap_eq(partition_make(second, 1), 0, "another");
	cg = cgroup_open("");
	names();
	attributes();
	life(cards);
	partition_drop(uuid, cards);
	partition_drop(second, cards);
	unprivileged();
	return tap_end();
}
