// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "hsmlib.h"
#include "tap.h"

#ifndef SO_RCVBUFFORCE
#define SO_RCVBUFFORCE 33
#endif

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

/* ---- generic netlink ---- */

static void msg_start(struct msg *m, uint16_t type, uint16_t flags, uint32_t seq, uint8_t cmd)
{
	struct nlmsghdr nlh = { .nlmsg_type = type, .nlmsg_flags = flags, .nlmsg_seq = seq };
	struct genlmsghdr genl = { .cmd = cmd, .version = 1 };

	memcpy(m->buf, &nlh, sizeof(nlh));
	memcpy(m->buf + NLMSG_HDRLEN, &genl, sizeof(genl));
	m->len = NLMSG_HDRLEN + GENL_HDRLEN;
}

void msg_init(struct msg *m, struct nl *nl, uint8_t cmd, uint16_t flags)
{
	msg_start(m, nl->family, NLM_F_REQUEST | NLM_F_ACK | flags, ++nl->seq, cmd);
}

void msg_put(struct msg *m, uint16_t type, const void *data, size_t len)
{
	struct nlattr a = { .nla_type = type, .nla_len = NLA_HDRLEN + len };

	memset(m->buf + m->len, 0, NLA_ALIGN(NLA_HDRLEN + len));
	memcpy(m->buf + m->len, &a, sizeof(a));
	if (len)
		memcpy(m->buf + m->len + NLA_HDRLEN, data, len);
	m->len += NLA_ALIGN(NLA_HDRLEN + len);
}

void msg_u32(struct msg *m, uint16_t type, uint32_t v) { msg_put(m, type, &v, sizeof(v)); }
void msg_u64(struct msg *m, uint16_t type, uint64_t v) { msg_put(m, type, &v, sizeof(v)); }
void msg_str(struct msg *m, uint16_t type, const char *s) { msg_put(m, type, s, strlen(s) + 1); }

size_t msg_nest(struct msg *m, uint16_t type)
{
	size_t at = m->len;

	msg_put(m, type | NLA_F_NESTED, NULL, 0);
	return at;
}

void msg_nest_end(struct msg *m, size_t at)
{
	uint16_t len = m->len - at;

	memcpy(m->buf + at, &len, sizeof(len));
}

int nl_send(struct nl *nl, struct msg *m)
{
	uint32_t len = m->len;

	memcpy(m->buf, &len, sizeof(len));
	return send(nl->fd, m->buf, m->len, 0) < 0 ? -errno : 0;
}

static void attrs_parse(struct nlattr **attr, int max, unsigned char *p, size_t len)
{
	memset(attr, 0, (max + 1) * sizeof(*attr));
	while (len >= NLA_HDRLEN) {
		struct nlattr *a = (struct nlattr *)p;
		int type = a->nla_type & NLA_TYPE_MASK;
		size_t step = NLA_ALIGN(a->nla_len);

		if (a->nla_len < NLA_HDRLEN || a->nla_len > len)
			return;
		if (type <= max)
			attr[type] = a;
		if (step >= len)
			return;
		p += step;
		len -= step;
	}
}

static int ack_parse(struct nl *nl, struct nlmsghdr *nlh)
{
	struct nlmsgerr *err = NLMSG_DATA(nlh);
	struct nlattr *attr[NLMSGERR_ATTR_MAX + 1];
	size_t skip = NLMSG_HDRLEN + sizeof(*err);

	nl->extack[0] = 0;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		skip += err->msg.nlmsg_len - NLMSG_HDRLEN;
	if ((nlh->nlmsg_flags & NLM_F_ACK_TLVS) && skip < nlh->nlmsg_len) {
		attrs_parse(attr, NLMSGERR_ATTR_MAX, (unsigned char *)nlh + NLMSG_ALIGN(skip),
			    nlh->nlmsg_len - NLMSG_ALIGN(skip));
		if (attr[NLMSGERR_ATTR_MSG])
			snprintf(nl->extack, sizeof(nl->extack), "%s",
				 (char *)attr[NLMSGERR_ATTR_MSG] + NLA_HDRLEN);
	}
	return err->error;
}

int nl_recv(struct nl *nl, int timeout_ms)
{
	struct pollfd p = { .fd = nl->fd, .events = POLLIN };
	struct nlmsghdr *nlh = (struct nlmsghdr *)nl->rx;
	ssize_t n;

	if (poll(&p, 1, timeout_ms) == 0)
		return -EAGAIN;
	n = recv(nl->fd, nl->rx, sizeof(nl->rx), 0);
	if (n < 0)
		return -errno;
	if (nlh->nlmsg_type == NLMSG_ERROR || nlh->nlmsg_type == NLMSG_DONE)
		return nlh->nlmsg_type == NLMSG_DONE ? 0 : ack_parse(nl, nlh);
	nl->cmd = ((struct genlmsghdr *)NLMSG_DATA(nlh))->cmd;
	attrs_parse(nl->attr, HSM_A_MAX, nl->rx + NLMSG_HDRLEN + GENL_HDRLEN,
		    nlh->nlmsg_len - NLMSG_HDRLEN - GENL_HDRLEN);
	return 1;
}

int nl_call(struct nl *nl, struct msg *m)
{
	int ret = nl_send(nl, m);

	while (!ret) {
		ret = nl_recv(nl, 60000);
		if (ret != 1)
			return ret;
		ret = 0;
	}
	return ret;
}

uint32_t attr_u32(struct nl *nl, int type)
{
	uint32_t v = ~0u;

	if (nl->attr[type])
		memcpy(&v, (char *)nl->attr[type] + NLA_HDRLEN, sizeof(v));
	return v;
}

uint64_t attr_u64(struct nl *nl, int type)
{
	uint64_t v = ~0ull;

	if (nl->attr[type])
		memcpy(&v, (char *)nl->attr[type] + NLA_HDRLEN, sizeof(v));
	return v;
}

int nl_open(struct nl *nl)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK };
	int one = 1, big = 16 << 20, ret;
	static struct msg m;
	struct nlattr *attr[CTRL_ATTR_MAX + 1];
	struct nlmsghdr *nlh = (struct nlmsghdr *)nl->rx;

	memset(nl, 0, offsetof(struct nl, rx));
	nl->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (nl->fd < 0)
		return -errno;
	setsockopt(nl->fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	setsockopt(nl->fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	setsockopt(nl->fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
	if (bind(nl->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		ret = -errno;
		close(nl->fd);
		return ret;
	}
	msg_start(&m, GENL_ID_CTRL, NLM_F_REQUEST, ++nl->seq, CTRL_CMD_GETFAMILY);
	msg_str(&m, CTRL_ATTR_FAMILY_NAME, HSM_GENL_NAME);
	ret = nl_send(nl, &m);
	if (!ret)
		ret = nl_recv(nl, 5000);
	if (ret != 1) {
		close(nl->fd);
		return ret ?: -EPROTO;
	}
	attrs_parse(attr, CTRL_ATTR_MAX, nl->rx + NLMSG_HDRLEN + GENL_HDRLEN,
		    nlh->nlmsg_len - NLMSG_HDRLEN - GENL_HDRLEN);
	memcpy(&nl->family, (char *)attr[CTRL_ATTR_FAMILY_ID] + NLA_HDRLEN, sizeof(nl->family));
	return 0;
}

void nl_close(struct nl *nl)
{
	close(nl->fd);
	nl->fd = -1;
}

/* ---- cards, partitions, pools ---- */

int node_exec(int fd, uint8_t opcode, const void *in, uint32_t in_len, void *out,
	      uint32_t out_len, uint32_t timeout_ms, uint32_t *status)
{
	struct hsm_ioc_exec ioc = {
		.size = sizeof(ioc),
		.exec = {
			.opcode = opcode,
			.timeout_ms = timeout_ms,
			.in_addr = (uintptr_t)in,
			.out_addr = (uintptr_t)out,
			.in_len = in_len,
			.out_len = out_len,
		},
	};
	int ret = ioctl(fd, HSM_IOC_EXEC, &ioc) < 0 ? -errno : 0;

	if (status)
		*status = ioc.status;
	return ret ?: (int)ioc.reply_len;
}

int cards_live(struct nl *nl)
{
	static struct msg m;
	int i, n = 0;

	for (i = 0; i < 8; i++) {
		int state = -1, ret;

		msg_init(&m, nl, HSM_CMD_CARD_GET, 0);
		msg_u32(&m, HSM_A_CARD_ID, i);
		nl_send(nl, &m);
		while ((ret = nl_recv(nl, 5000)) == 1)
			state = attr_u32(nl, HSM_A_CARD_STATE);
		n += state == HSM_CARD_LIVE;
	}
	return n;
}

static int card_node(int n)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/hsm/card%d", n);
	return open(path, O_RDWR | O_CLOEXEC);
}

void uuid_of(uint8_t tag, uint8_t uuid[16])
{
	memset(uuid, 0, 16);
	uuid[0] = 0x7e;
	uuid[6] = 0x40;
	uuid[8] = 0x80;
	uuid[15] = tag;
}

int partition_make(const uint8_t uuid[16], int cards)
{
	struct hsm_clone_export_in ein = {};
	struct hsm_clone_import_in iin = {};
	int src = card_node(0), dst = -1, ret;

	if (src < 0)
		return -errno;
	ret = node_exec(src, HSM_OP_PARTITION_CREATE, uuid, 16, NULL, 0, 0, NULL);
	if (ret || cards < 2)
		goto out;
	dst = card_node(1);
	if (dst < 0) {
		ret = -errno;
		goto out;
	}
	memcpy(ein.uuid, uuid, 16);
	memcpy(iin.uuid, uuid, 16);
	ret = node_exec(dst, HSM_OP_CLONE_OFFER, uuid, 16, &ein.offer, sizeof(ein.offer), 0, NULL);
	if (ret >= 0)
		ret = node_exec(src, HSM_OP_CLONE_EXPORT, &ein, sizeof(ein), &iin.blob,
				sizeof(iin.blob), 0, NULL);
	if (ret >= 0)
		ret = node_exec(dst, HSM_OP_CLONE_IMPORT, &iin, sizeof(iin), NULL, 0, 0, NULL);
	close(dst);
out:
	close(src);
	return ret;
}

int partition_drop(const uint8_t uuid[16], int cards)
{
	int i, ret = 0;

	for (i = 0; i < cards; i++) {
		int fd = card_node(i), one;

		if (fd < 0)
			continue;
		one = node_exec(fd, HSM_OP_PARTITION_DELETE, uuid, 16, NULL, 0, 0, NULL);
		ret = ret ?: one;
		close(fd);
	}
	return ret;
}

int pool_new(struct nl *nl, const char *name, const uint8_t uuid[16], int cgroup_fd, int cards,
	     int qps, int depth, uint32_t flags)
{
	static struct msg m;
	int i;

	msg_init(&m, nl, HSM_CMD_POOL_NEW, 0);
	msg_str(&m, HSM_A_POOL_NAME, name);
	msg_put(&m, HSM_A_PARTITION, uuid, 16);
	msg_u32(&m, HSM_A_CGROUP_FD, cgroup_fd);
	msg_u32(&m, HSM_A_POOL_FLAGS, flags);
	if (depth)
		msg_u32(&m, HSM_A_DEPTH, depth);
	for (i = 0; i < cards; i++) {
		size_t nest = msg_nest(&m, HSM_A_MEMBER);

		msg_u32(&m, HSM_A_CARD_ID, i);
		msg_u32(&m, HSM_A_MEMBER_QPS, qps);
		msg_nest_end(&m, nest);
	}
	return nl_call(nl, &m);
}

int pool_del(struct nl *nl, const char *name)
{
	static struct msg m;

	msg_init(&m, nl, HSM_CMD_POOL_DEL, 0);
	msg_str(&m, HSM_A_POOL_NAME, name);
	return nl_call(nl, &m);
}

int pool_bind(struct nl *nl, const char *name, int cgroup_fd)
{
	static struct msg m;

	msg_init(&m, nl, HSM_CMD_POOL_BIND, 0);
	msg_str(&m, HSM_A_POOL_NAME, name);
	msg_u32(&m, HSM_A_CGROUP_FD, cgroup_fd);
	return nl_call(nl, &m);
}

int pool_open(const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/hsm/%s", name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

void pool_setup(struct nl *nl, const char *name, uint8_t tag, const char *cgroup, int depth,
		uint32_t flags)
{
	uint8_t uuid[16];
	int cg, ret, cards;

	ret = nl_open(nl);
	if (ret)
		tap_bail("no netlink family: %s", strerror(-ret));
	cards = cards_live(nl);
	if (!cards)
		tap_bail("no live card");
	uuid_of(tag, uuid);
	pool_del(nl, name);
	partition_drop(uuid, cards);
	ret = partition_make(uuid, cards);
	if (ret < 0)
		tap_bail("partition: %s", strerror(-ret));
	cg = cgroup_open(cgroup);
	if (cg < 0)
		tap_bail("cgroup %s: %s", cgroup, strerror(-cg));
	ret = pool_new(nl, name, uuid, cg, cards, 2, depth, flags);
	if (ret)
		tap_bail("pool: %s (%s)", strerror(-ret), nl->extack);
	close(cg);
}

void pool_teardown(struct nl *nl, const char *name, uint8_t tag)
{
	uint8_t uuid[16];
	int ret;

	uuid_of(tag, uuid);
	ret = pool_del(nl, name);
	tap_eq(ret, 0, "pool %s deleted", name);
	partition_drop(uuid, 2);
	nl_close(nl);
}

int key_make(int fd, void *token, size_t cap)
{
	struct hsm_key_generate_in in = {
		.type = HSM_KEY_AES256,
		.usage = HSM_USAGE_ENCRYPT | HSM_USAGE_DECRYPT,
	};

	return node_exec(fd, HSM_OP_KEY_GENERATE, &in, sizeof(in), token, cap, 0, NULL);
}

size_t encrypt_input(void *buf, const void *token, size_t token_len, const void *data, size_t len)
{
	struct hsm_crypt_in in = { .token_len = token_len, .data_len = len };
	char *p = buf;

	memcpy(p, &in, sizeof(in));
	memcpy(p + sizeof(in), token, token_len);
	memcpy(p + sizeof(in) + token_len, data, len);
	return sizeof(in) + token_len + len;
}

/* ---- control groups ---- */

int cgroup_open(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), CGROOT "/%s", name);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int cgroup_enter(const char *name)
{
	char path[128];
	int fd, ret;

	snprintf(path, sizeof(path), CGROOT "/%s", name);
	if (*name && mkdir(path, 0755) < 0 && errno != EEXIST)
		return -errno;
	snprintf(path, sizeof(path), CGROOT "/%s/cgroup.procs", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = write(fd, "0", 1) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

/* ---- rings ---- */

int ring_open(struct io_uring *ring, unsigned int entries, unsigned int flags)
{
	return io_uring_queue_init(entries, ring, flags);
}

struct io_uring_sqe *ring_exec(struct io_uring *ring, int fd, uint8_t opcode, const void *in,
			       uint32_t in_len, void *out, uint32_t out_len, uint32_t timeout_ms,
			       uint64_t user_data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct hsm_exec x = {
		.opcode = opcode,
		.timeout_ms = timeout_ms,
		.in_addr = (uintptr_t)in,
		.out_addr = (uintptr_t)out,
		.in_len = in_len,
		.out_len = out_len,
	};
	size_t room = ring->flags & IORING_SETUP_SQE128 ? 128 : 64;

	if (!sqe)
		return NULL;
	memset(sqe, 0, room);
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = fd;
	sqe->cmd_op = HSM_URING_CMD_EXEC;
	sqe->user_data = user_data;
	memcpy(sqe->cmd, &x, room == 128 ? sizeof(x) : 16);
	return sqe;
}

int ring_one(struct io_uring *ring, uint64_t *status)
{
	struct io_uring_cqe *cqe;
	int ret = io_uring_submit_and_wait(ring, 1);

	if (ret < 0)
		return ret;
	ret = io_uring_wait_cqe(ring, &cqe);
	if (ret < 0)
		return ret;
	ret = cqe->res;
	if (status)
		*status = ring->flags & IORING_SETUP_CQE32 ? cqe->big_cqe[0] : 0;
	io_uring_cqe_seen(ring, cqe);
	return ret;
}
