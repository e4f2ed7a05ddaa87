// SPDX-License-Identifier: Apache-2.0
#include "genl.h"

#include <errno.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define WAIT_MS		30000	/* pools are made by commands to cards, which may take their time */
#define RECV_BUF	65536
#define QUEUE_BYTES	(8 << 20)

/* libnl's check is of the smallest length for a type; strings must end with their NUL. */
static struct nla_policy policy[HSM_A_MAX + 1] = {
	[HSM_A_CARD_ID]		= { .type = NLA_U32 },
	[HSM_A_CARD_STATE]	= { .type = NLA_U32 },
	[HSM_A_CARD_SERIAL]	= { .type = NLA_STRING },
	[HSM_A_CARD_BUS]	= { .type = NLA_STRING },
	[HSM_A_CARD_QPS_MAX]	= { .type = NLA_U32 },
	[HSM_A_CARD_QPS_USED]	= { .type = NLA_U32 },
	[HSM_A_POOL_NAME]	= { .type = NLA_STRING, .maxlen = HSM_POOL_NAME_LEN },
	[HSM_A_PARTITION]	= { .minlen = HSM_UUID_LEN, .maxlen = HSM_UUID_LEN },
	[HSM_A_POOL_FLAGS]	= { .type = NLA_U32 },
	[HSM_A_DEPTH]		= { .type = NLA_U32 },
	[HSM_A_CGROUP_FD]	= { .type = NLA_S32 },
	[HSM_A_CGROUP_ID]	= { .type = NLA_U64 },
	[HSM_A_POOL_FD]		= { .type = NLA_S32 },
	[HSM_A_MEMBER]		= { .type = NLA_NESTED },
	[HSM_A_MEMBER_QPS]	= { .type = NLA_U32 },
	[HSM_A_POOL_QPS]	= { .type = NLA_U32 },
	[HSM_A_OWNER_PORTID]	= { .type = NLA_U32 },
	[HSM_A_CLASS]		= { .type = NLA_U32 },
	[HSM_A_COOKIE]		= { .type = NLA_U64 },
	[HSM_A_XID]		= { .type = NLA_U64 },
	[HSM_A_PAYLOAD]		= { .minlen = 1, .maxlen = HSM_ROUTE_MAX_PAYLOAD },
	[HSM_A_TIMEOUT_MS]	= { .type = NLA_U32 },
	[HSM_A_SENDER_UID]	= { .type = NLA_U32 },
	[HSM_A_SENDER_PID]	= { .type = NLA_U32 },
	[HSM_A_ERROR]		= { .type = NLA_U32 },
};

static int errno_of_nl(int err)
{
	switch (-err) {
	case NLE_OBJ_NOTFOUND:
	case NLE_NODEV:
		return -ENOENT;
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_PERM:
	case NLE_NOACCESS:
		return -EPERM;
	default:
		return -EIO;
	}
}

int genl_open(struct genl *g)
{
	int one = 1, size = QUEUE_BYTES;
	int err;

	*g = (struct genl){ .fd = -1 };
	g->sk = nl_socket_alloc();
	if (!g->sk)
		return -ENOMEM;
	err = genl_connect(g->sk);
	if (err) {
		err = errno_of_nl(err);
		goto fail;
	}
	g->fd = nl_socket_get_fd(g->sk);
	g->port = nl_socket_get_local_port(g->sk);
	g->family = genl_ctrl_resolve(g->sk, HSM_GENL_NAME);
	if (g->family < 0) {
		err = errno_of_nl(g->family);
		goto fail;
	}
	if (setsockopt(g->fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one)) ||
	    setsockopt(g->fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one)) ||
	    (setsockopt(g->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) &&
	     setsockopt(g->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)))) {
		err = -errno;
		goto fail;
	}
	return 0;
fail:
	genl_close(g);
	return err;
}

void genl_close(struct genl *g)
{
	nl_socket_free(g->sk);
	*g = (struct genl){ .fd = -1 };
}

struct nl_msg *genl_msg(const struct genl *g, uint8_t cmd, int flags, uint32_t seq, size_t room)
{
	struct nl_msg *msg = nlmsg_alloc_size(NLMSG_SPACE(GENL_HDRLEN) + room);

	if (!msg)
		return NULL;
	if (!genlmsg_put(msg, g->port, seq, g->family, 0, flags | NLM_F_REQUEST, cmd, HSM_GENL_VERSION)) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

int genl_parse(const struct genl *g, const struct nlmsghdr *h, uint8_t *cmd, struct nlattr *attrs[HSM_A_MAX + 1])
{
	struct nlmsghdr *hdr = (struct nlmsghdr *)h;

	if (h->nlmsg_type != g->family || !genlmsg_valid_hdr(hdr, 0) ||
	    genlmsg_parse(hdr, 0, attrs, HSM_A_MAX, policy))
		return -EBADMSG;
	*cmd = genlmsg_hdr(hdr)->cmd;
	return 0;
}

int genl_error(const struct nlmsghdr *h, char *why, size_t cap)
{
	const struct nlmsgerr *e = nlmsg_data(h);
	size_t left, skip = sizeof(*e);
	struct nlattr *msg;

	why[0] = '\0';
	if (h->nlmsg_type != NLMSG_ERROR || nlmsg_datalen(h) < (int)sizeof(*e))
		return -EBADMSG;
	left = (size_t)nlmsg_datalen(h);
	if (!(h->nlmsg_flags & NLM_F_CAPPED)) {
		if (e->msg.nlmsg_len < NLMSG_HDRLEN)
			return e->error;
		skip += NLMSG_ALIGN(e->msg.nlmsg_len - NLMSG_HDRLEN);
	}
	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS) || skip >= left)
		return e->error;
	msg = nla_find((struct nlattr *)((char *)nlmsg_data(h) + skip), (int)(left - skip), NLMSGERR_ATTR_MSG);
	if (msg)
		nla_strlcpy(why, msg, cap);
	return e->error;
}

/* Puts an end-of-dump's errno into *err. */
static bool ends(const struct nlmsghdr *h, uint32_t seq, int *err, char *why, size_t cap)
{
	if (h->nlmsg_seq != seq)
		return false;
	if (h->nlmsg_type == NLMSG_DONE) {
		*err = nlmsg_datalen(h) >= (int)sizeof(int) ? *(int *)nlmsg_data(h) : 0;
		return true;
	}
	if (h->nlmsg_type == NLMSG_ERROR) {
		*err = genl_error(h, why, cap);
		return true;
	}
	return false;
}

static int wait_end(struct genl *g, uint32_t seq, genl_fn fn, void *arg, char *why, size_t cap, char *buf)
{
	struct pollfd pfd = { .fd = g->fd, .events = POLLIN };
	bool done = false, torn = false;
	int err = 0;

	while (!done) {
		struct sockaddr_nl from = { 0 };
		socklen_t from_len = sizeof(from);
		struct nlmsghdr *h = (struct nlmsghdr *)buf;
		ssize_t n;
		int left;

		n = poll(&pfd, 1, WAIT_MS);
		if (!n)
			return -ETIMEDOUT;
		if (n > 0)
			n = recvfrom(g->fd, buf, RECV_BUF, MSG_TRUNC, (struct sockaddr *)&from, &from_len);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (from.nl_pid)
			continue;
		if (n > RECV_BUF)
			return -EMSGSIZE;
		for (left = (int)n; !done && nlmsg_ok(h, left); h = nlmsg_next(h, &left)) {
			torn = torn || (h->nlmsg_seq == seq && h->nlmsg_flags & NLM_F_DUMP_INTR);
			done = ends(h, seq, &err, why, cap);
			if (!done && fn && h->nlmsg_type == g->family)
				fn(arg, h);
		}
	}
	return !err && torn ? -EAGAIN : err;
}

int genl_request(struct genl *g, struct nl_msg *msg, genl_fn fn, void *arg, char *why, size_t cap)
{
	struct nlmsghdr *h;
	uint32_t seq;
	char *buf;
	int err;

	why[0] = '\0';
	if (!msg)
		return -ENOMEM;
	h = nlmsg_hdr(msg);
	seq = h->nlmsg_seq;
	if ((h->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		h->nlmsg_flags |= NLM_F_ACK;
	buf = malloc(RECV_BUF);
	if (!buf) {
		err = -ENOMEM;
		goto out;
	}
	err = send(g->fd, h, h->nlmsg_len, 0) < 0 ? -errno : 0;
	if (!err)
		err = wait_end(g, seq, fn, arg, why, cap, buf);
	free(buf);
out:
	nlmsg_free(msg);
	return err;
}
