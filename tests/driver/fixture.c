// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include "fixture.h"

static int n_tests, n_failed, n_skipped;

void tap_ok(bool good, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %d - ", good ? "" : "not ", ++n_tests);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	n_failed += !good;
}

void tap_skip(const char *fmt, ...)
{
	va_list ap;

	printf("ok %d - # SKIP ", ++n_tests);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	n_skipped++;
}

int tap_end(void)
{
	printf("1..%d\n", n_tests);
	if (n_failed)
		return 1;
	return n_skipped == n_tests ? 4 : 0;
}

void die(const char *fmt, ...)
{
	va_list ap;

	printf("Bail out! ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf(" (errno %d: %s)\n", errno, strerror(errno));
	exit(1);
}

/* ---- generic netlink ---- */

static struct nlmsghdr *hdr(struct nl *nl)
{
	return (struct nlmsghdr *)nl->buf;
}

static void begin(struct nl *nl, uint16_t type, uint8_t cmd, uint16_t flags)
{
	struct genlmsghdr *g;

	memset(nl->buf, 0, NLMSG_HDRLEN + GENL_HDRLEN);
	hdr(nl)->nlmsg_type = type;
	hdr(nl)->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	hdr(nl)->nlmsg_seq = ++nl->seq;
	g = NLMSG_DATA(hdr(nl));
	g->cmd = cmd;
	g->version = HSM_GENL_VERSION;
	nl->len = NLMSG_HDRLEN + GENL_HDRLEN;
}

void nl_begin(struct nl *nl, uint8_t cmd, uint16_t flags)
{
	begin(nl, nl->family, cmd, flags);
}

void nl_put(struct nl *nl, uint16_t type, const void *data, size_t len)
{
	struct nlattr *a = (struct nlattr *)(nl->buf + nl->len);

	if (nl->len + NLA_HDRLEN + NLA_ALIGN(len) > sizeof(nl->buf))
		die("netlink request too long");
	a->nla_type = type;
	a->nla_len = NLA_HDRLEN + len;
	memset((char *)a + NLA_HDRLEN, 0, NLA_ALIGN(len));
	if (len)
		memcpy((char *)a + NLA_HDRLEN, data, len);
	nl->len += NLA_HDRLEN + NLA_ALIGN(len);
}

void nl_put_u32(struct nl *nl, uint16_t type, uint32_t v)
{
	nl_put(nl, type, &v, sizeof(v));
}

void nl_put_u64(struct nl *nl, uint16_t type, uint64_t v)
{
	nl_put(nl, type, &v, sizeof(v));
}

void nl_put_str(struct nl *nl, uint16_t type, const char *s)
{
	nl_put(nl, type, s, strlen(s) + 1);
}

size_t nl_nest(struct nl *nl, uint16_t type)
{
	size_t start = nl->len;

	nl_put(nl, type | NLA_F_NESTED, NULL, 0);
	return start;
}

void nl_nest_end(struct nl *nl, size_t start)
{
	((struct nlattr *)(nl->buf + start))->nla_len = nl->len - start;
}

static int recv_one(struct nl *nl, int timeout_ms)
{
	struct pollfd p = { .fd = nl->fd, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, timeout_ms) != 1)
		return -ETIMEDOUT;
	n = recv(nl->fd, nl->rbuf, sizeof(nl->rbuf), 0);
	if (n < 0)
		return -errno;
	nl->rlen = n;
	if (n < (ssize_t)NLMSG_HDRLEN)
		die("short netlink message");
	return 0;
}

static void keep_extack(struct nl *nl)
{
	struct nlmsghdr *h = (struct nlmsghdr *)nl->rbuf;
	struct nlmsgerr *e = NLMSG_DATA(h);
	size_t off = NLMSG_HDRLEN + sizeof(*e);

	nl->extack[0] = 0;
	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(h->nlmsg_flags & NLM_F_CAPPED))
		off += e->msg.nlmsg_len - NLMSG_HDRLEN;
	while (off + NLA_HDRLEN <= h->nlmsg_len) {
		struct nlattr *a = (struct nlattr *)(nl->rbuf + off);

		if (a->nla_len < NLA_HDRLEN)
			break;
		if ((a->nla_type & NLA_TYPE_MASK) == NLMSGERR_ATTR_MSG)
			snprintf(nl->extack, sizeof(nl->extack), "%.*s",
				 (int)(a->nla_len - NLA_HDRLEN), (char *)a + NLA_HDRLEN);
		off += NLA_ALIGN(a->nla_len);
	}
}

int nl_talk(struct nl *nl)
{
	static uint8_t kept[sizeof(nl->rbuf)];
	struct nlmsghdr *h = (struct nlmsghdr *)nl->rbuf;
	size_t kept_len = 0;
	int ret;

	hdr(nl)->nlmsg_len = nl->len;
	if (send(nl->fd, nl->buf, nl->len, 0) < 0)
		return -errno;
	for (;;) {
		ret = recv_one(nl, 5000);
		if (ret)
			die("no acknowledgement");
		if (h->nlmsg_seq != nl->seq || h->nlmsg_type == nl->family || h->nlmsg_type == GENL_ID_CTRL) {
			memcpy(kept, nl->rbuf, nl->rlen);
			kept_len = nl->rlen;
			continue;
		}
		if (h->nlmsg_type != NLMSG_ERROR && h->nlmsg_type != NLMSG_DONE)
			die("netlink message of type %u", h->nlmsg_type);
		break;
	}
	ret = 0;
	if (h->nlmsg_type == NLMSG_ERROR) {
		ret = ((struct nlmsgerr *)NLMSG_DATA(h))->error;
		keep_extack(nl);
	}
	if (kept_len) {
		memcpy(nl->rbuf, kept, kept_len);
		nl->rlen = kept_len;
	}
	return ret;
}

int nl_recv(struct nl *nl, int timeout_ms)
{
	struct nlmsghdr *h = (struct nlmsghdr *)nl->rbuf;
	int ret = recv_one(nl, timeout_ms);

	if (ret)
		return ret;
	if (h->nlmsg_type != nl->family)
		die("netlink message of type %u where one of the family was due", h->nlmsg_type);
	return ((struct genlmsghdr *)NLMSG_DATA(h))->cmd;
}

const void *nl_attr(const struct nl *nl, uint16_t type, size_t *len)
{
	size_t off = NLMSG_HDRLEN + GENL_HDRLEN;

	while (off + NLA_HDRLEN <= nl->rlen) {
		const struct nlattr *a = (const struct nlattr *)(nl->rbuf + off);

		if (a->nla_len < NLA_HDRLEN || off + a->nla_len > nl->rlen)
			break;
		if ((a->nla_type & NLA_TYPE_MASK) == type) {
			if (len)
				*len = a->nla_len - NLA_HDRLEN;
			return (const char *)a + NLA_HDRLEN;
		}
		off += NLA_ALIGN(a->nla_len);
	}
	return NULL;
}

uint32_t nl_attr_u32(const struct nl *nl, uint16_t type)
{
	const void *p = nl_attr(nl, type, NULL);
	uint32_t v = 0xffffffff;

	if (p)
		memcpy(&v, p, sizeof(v));
	return v;
}

uint64_t nl_attr_u64(const struct nl *nl, uint16_t type)
{
	const void *p = nl_attr(nl, type, NULL);
	uint64_t v = ~0ull;

	if (p)
		memcpy(&v, p, sizeof(v));
	return v;
}

void nl_open(struct nl *nl)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK };
	socklen_t len = sizeof(addr);
	const uint16_t *id;
	int one = 1, size = 4 << 20;

	memset(nl, 0, sizeof(*nl));
	nl->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (nl->fd < 0 || bind(nl->fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    getsockname(nl->fd, (struct sockaddr *)&addr, &len))
		die("netlink socket");
	setsockopt(nl->fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	setsockopt(nl->fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	setsockopt(nl->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(nl->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	nl->portid = addr.nl_pid;

	begin(nl, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0);
	nl_put_str(nl, CTRL_ATTR_FAMILY_NAME, HSM_GENL_NAME);
	if (nl_talk(nl))
		die("generic netlink family " HSM_GENL_NAME " is not there: is hsm.ko loaded?");
	id = nl_attr(nl, CTRL_ATTR_FAMILY_ID, NULL);
	if (!id)
		die("family without an id");
	nl->family = *id;
}

void nl_close(struct nl *nl)
{
	close(nl->fd);
	nl->fd = -1;
}

/* ---- cards, partitions, pools ---- */

int open_card(unsigned int card)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/hsm/card%u", card);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die("%s", path);
	return fd;
}

int exec_ioctl(int fd, uint8_t opcode, const void *in, uint32_t in_len, void *out, uint32_t out_len,
	       uint32_t timeout_ms, uint32_t *status)
{
	struct hsm_ioc_exec x = {
		.size = sizeof(x),
		.exec = {
			.opcode = opcode, .timeout_ms = timeout_ms,
			.in_addr = in_len ? (uintptr_t)in : 0, .in_len = in_len,
			.out_addr = out_len ? (uintptr_t)out : 0, .out_len = out_len,
		},
	};
	int ret = ioctl(fd, HSM_IOC_EXEC, &x) < 0 ? -errno : 0;

	if (status)
		*status = x.status;
	return ret ? ret : (int)x.reply_len;
}

void random_uuid(uint8_t uuid[16])
{
	if (getrandom(uuid, 16, 0) != 16)
		die("getrandom");
}

void make_partition(const uint8_t uuid[16], bool only_first)
{
	struct hsm_clone_export_in ein;
	struct hsm_clone_import_in iin;
	int c0 = open_card(0), c1, ret;

	ret = exec_ioctl(c0, HSM_OP_PARTITION_CREATE, uuid, 16, NULL, 0, 0, NULL);
	if (ret)
		die("PARTITION_CREATE: %d", ret);
	if (!only_first) {
		c1 = open_card(1);
		memset(&ein, 0, sizeof(ein));
		memset(&iin, 0, sizeof(iin));
		memcpy(ein.uuid, uuid, 16);
		memcpy(iin.uuid, uuid, 16);
		ret = exec_ioctl(c1, HSM_OP_CLONE_OFFER, uuid, 16, &ein.offer, sizeof(ein.offer), 0, NULL);
		if (ret != sizeof(ein.offer))
			die("CLONE_OFFER: %d", ret);
		ret = exec_ioctl(c0, HSM_OP_CLONE_EXPORT, &ein, sizeof(ein), &iin.blob, sizeof(iin.blob), 0, NULL);
		if (ret != sizeof(iin.blob))
			die("CLONE_EXPORT: %d", ret);
		ret = exec_ioctl(c1, HSM_OP_CLONE_IMPORT, &iin, sizeof(iin), NULL, 0, 0, NULL);
		if (ret)
			die("CLONE_IMPORT: %d", ret);
		close(c1);
	}
	close(c0);
}

void drop_partition(const uint8_t uuid[16])
{
	char path[64];
	int c, fd;

	for (c = 0; c < 2; c++) {
		snprintf(path, sizeof(path), "/dev/hsm/card%d", c);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		exec_ioctl(fd, HSM_OP_PARTITION_DELETE, uuid, 16, NULL, 0, 0, NULL);
		close(fd);
	}
}

static void put_member(struct nl *nl, uint32_t card, uint32_t qps)
{
	size_t nest;

	if (!qps)
		return;
	nest = nl_nest(nl, HSM_A_MEMBER);
	nl_put_u32(nl, HSM_A_CARD_ID, card);
	nl_put_u32(nl, HSM_A_MEMBER_QPS, qps);
	nl_nest_end(nl, nest);
}

int pool_new(struct nl *nl, const char *name, const uint8_t uuid[16], int cgroup_fd,
	     unsigned int qps0, unsigned int qps1, uint32_t flags)
{
	nl_begin(nl, HSM_CMD_POOL_NEW, 0);
	nl_put_str(nl, HSM_A_POOL_NAME, name);
	nl_put(nl, HSM_A_PARTITION, uuid, 16);
	nl_put_u32(nl, HSM_A_CGROUP_FD, cgroup_fd);
	if (flags)
		nl_put_u32(nl, HSM_A_POOL_FLAGS, flags);
	put_member(nl, 0, qps0);
	put_member(nl, 1, qps1);
	return nl_talk(nl);
}

int pool_del(struct nl *nl, const char *name)
{
	nl_begin(nl, HSM_CMD_POOL_DEL, 0);
	nl_put_str(nl, HSM_A_POOL_NAME, name);
	return nl_talk(nl);
}

int pool_open(const char *name)
{
	char path[96];
	int i, fd = -1;

	snprintf(path, sizeof(path), "/dev/hsm/%s", name);
	for (i = 0; i < 100; i++) {
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd >= 0 || errno != ENOENT)
			break;
		usleep(10000);
	}
	return fd < 0 ? -errno : fd;
}

/* ---- cgroups ---- */

static void cgroup_path(char *path, size_t cap, const char *name, const char *file)
{
	snprintf(path, cap, "/sys/fs/cgroup/%s%s%s", name, file ? "/" : "", file ? file : "");
}

int cgroup_make(const char *name)
{
	char path[128];
	int fd;

	cgroup_path(path, sizeof(path), name, NULL);
	if (mkdir(path, 0755) && errno != EEXIST)
		die("mkdir %s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		die("%s", path);
	return fd;
}

void cgroup_remove(const char *name)
{
	char path[128];
	int i;

	cgroup_path(path, sizeof(path), name, NULL);
	/* A process that has just been reaped may still be counted. */
	for (i = 0; i < 100 && rmdir(path) && errno == EBUSY; i++)
		usleep(20000);
}

void cgroup_enter(const char *name)
{
	char path[128];
	int fd;

	cgroup_path(path, sizeof(path), name, "cgroup.procs");
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		die("%s", path);
	close(fd);
}
