// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cursor.h"
#include "log.h"
#include "route_priv.h"
#include "usersock.h"

#define RECV_BUF	(USERSOCK_HEAD + ROUTE_MAX_PAYLOAD)
#define RETRY_MS	2u
#define RECEIVE_RETRY_MS 100u
#define QUEUE_BYTES	(4 << 20)	/* of the socket's receive queue */

struct usersock {
	struct ring_op recv_op;
	struct ring_timer retry;	/* after a failed receive */
	struct ring *ring;
	usersock_fn fn;
	usersock_failed_fn failed;
	void *arg;
	int fd;
	uint32_t port;
	unsigned int pins;		/* operations that the ring has */
	bool retrying, closed;
	unsigned long dropped;		/* frames that were not well formed, or lost */
	struct msghdr msg;
	struct iovec iov;
	struct sockaddr_nl from;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct ucred))];
	uint8_t buf[RECV_BUF];
};

struct outgoing {
	struct ring_op op;
	struct ring_timer timer;
	struct usersock *u;
	uint64_t xid, give_up;
	struct msghdr msg;
	struct iovec iov;
	struct sockaddr_nl to;
	uint8_t data[];
};

int usersock_parse(const void *buf, size_t len, struct usersock_frame *f)
{
	uint32_t magic, n;
	uint16_t zero;
	struct rcur r;

	rcur_init(&r, buf, len);
	magic = rcur_u32(&r);
	f->kind = rcur_u8(&r);
	f->class = rcur_u8(&r);
	zero = rcur_u16(&r);
	f->xid = rcur_u64(&r);
	n = rcur_u32(&r);
	f->payload = rcur_bytes(&r, n);
	f->len = n;
	if (!rcur_done(&r) || magic != USERSOCK_MAGIC || zero || !n || n > ROUTE_MAX_PAYLOAD ||
	    f->class >= HSM_CLASS_COUNT)
		return -EBADMSG;
	switch (f->kind) {
	case USERSOCK_REQUEST:
	case USERSOCK_REPLY:
		return 0;
	case USERSOCK_ERROR:
		return n == USERSOCK_ERRNO ? 0 : -EBADMSG;
	default:
		return -EBADMSG;
	}
}

void usersock_put_errno(uint8_t out[USERSOCK_ERRNO], int err)
{
	struct wcur w;

	wcur_init(&w, out, USERSOCK_ERRNO);
	wcur_u32(&w, (uint32_t)-err);
}

static void put_frame(struct wcur *w, const struct usersock_frame *f)
{
	wcur_u32(w, USERSOCK_MAGIC);
	wcur_u8(w, f->kind);
	wcur_u8(w, f->class);
	wcur_u16(w, 0);
	wcur_u64(w, f->xid);
	wcur_u32(w, (uint32_t)f->len);
	wcur_bytes(w, f->payload, f->len);
}

void usersock_refuse(struct usersock *u, uint32_t to, uint64_t xid, int err)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK, .nl_pid = to };
	uint8_t out[USERSOCK_HEAD + USERSOCK_ERRNO], value[USERSOCK_ERRNO];
	struct wcur w;

	usersock_put_errno(value, err);
	wcur_init(&w, out, sizeof(out));
	put_frame(&w, &(struct usersock_frame){
		.kind = USERSOCK_ERROR, .xid = xid, .payload = value, .len = sizeof(value),
	});
	sendto(u->fd, out, sizeof(out), MSG_DONTWAIT, (struct sockaddr *)&sa, sizeof(sa));
}

/* To a request that nobody will read: its sender would wait for the time-out otherwise. */
static void turn_away(struct usersock *u, size_t len)
{
	struct usersock_frame f;

	if (u->from.nl_pid && !usersock_parse(u->buf, len, &f) && f.kind == USERSOCK_REQUEST)
		usersock_refuse(u, u->from.nl_pid, f.xid, -ECONNREFUSED);
}

static void turn_all_away(struct usersock *u)
{
	socklen_t len;
	ssize_t n;

	/* Bounded: whoever goes on sending must not keep us. */
	for (int i = 0; i < 4096; i++) {
		len = sizeof(u->from);
		n = recvfrom(u->fd, u->buf, sizeof(u->buf), MSG_DONTWAIT, (struct sockaddr *)&u->from, &len);
		if (n < 0)
			return;
		turn_away(u, (size_t)n);
	}
}

static void unpin(struct usersock *u)
{
	if (--u->pins || !u->closed)
		return;
	turn_all_away(u);
	close(u->fd);
	explicit_bzero(u->buf, sizeof(u->buf));
	free(u);
}

/* ---- receiving ---- */

static void receive(struct usersock *u)
{
	struct io_uring_sqe *sqe;

	u->iov = (struct iovec){ .iov_base = u->buf, .iov_len = sizeof(u->buf) };
	u->msg = (struct msghdr){
		.msg_name = &u->from,
		.msg_namelen = sizeof(u->from),
		.msg_iov = &u->iov,
		.msg_iovlen = 1,
		.msg_control = u->control,
		.msg_controllen = sizeof(u->control),
	};
	u->pins++;
	sqe = ring_sqe(u->ring, &u->recv_op);
	io_uring_prep_recvmsg(sqe, u->fd, &u->msg, 0);
}

static void retried(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	struct usersock *u = (struct usersock *)((char *)op - offsetof(struct usersock, retry.op));

	(void)res, (void)flags, (void)extra;
	u->retrying = false;
	if (!u->closed)
		receive(u);
	unpin(u);
}

/* Whatever failed, most likely memory, may come back; asking at once would only spin. */
static void retry_receive(struct usersock *u, int err)
{
	log_err("usersock: receive: %s", strerror(-err));
	u->retry.op.done = retried;
	u->retrying = true;
	u->pins++;
	ring_timer_start(u->ring, &u->retry, RECEIVE_RETRY_MS);
}

static const struct ucred *sender(struct usersock *u)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(&u->msg);

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS ||
	    c->cmsg_len != CMSG_LEN(sizeof(struct ucred)))
		return NULL;
	return (const struct ucred *)CMSG_DATA(c);
}

static void drop(struct usersock *u, const char *why)
{
	/* A flood must not fill the log as well. */
	if (!(u->dropped++ & 0xff))
		log_warn("usersock: %s (%lu so far)", why, u->dropped);
}

static void received(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	struct usersock *u = (struct usersock *)op;
	struct usersock_frame f;
	const struct ucred *cred;
	struct ucred copy;

	(void)flags, (void)extra;
	if (u->closed) {
		if (res > 0)
			turn_away(u, (size_t)res);
		goto out;
	}
	if (res == -ENOBUFS) {
		drop(u, "receive queue overran");
	} else if (res < 0) {
		if (res != -EINTR && res != -EAGAIN) {
			retry_receive(u, res);
			goto out;
		}
	} else {
		cred = sender(u);
		if (!cred || !u->from.nl_pid || u->from.nl_groups || (u->msg.msg_flags & MSG_TRUNC) ||
		    usersock_parse(u->buf, (size_t)res, &f)) {
			drop(u, "dropped what is no frame");
		} else {
			memcpy(&copy, cred, sizeof(copy));
			u->fn(u->arg, &f, u->from.nl_pid, &copy);
		}
		explicit_bzero(u->buf, (size_t)res < sizeof(u->buf) ? (size_t)res : sizeof(u->buf));
	}
	if (!u->closed)
		receive(u);
out:
	unpin(u);
}

/* ---- sending ---- */

static void out_submit(struct outgoing *o)
{
	struct io_uring_sqe *sqe = ring_sqe(o->u->ring, &o->op);

	/* Without MSG_DONTWAIT a full receiver would hold a kernel thread. */
	io_uring_prep_sendmsg(sqe, o->u->fd, &o->msg, MSG_DONTWAIT);
}

static void out_end(struct outgoing *o, int err)
{
	struct usersock *u = o->u;

	if (err && !u->closed)
		u->failed(u->arg, o->to.nl_pid, o->xid, err);
	explicit_bzero(o->data, o->iov.iov_len);
	free(o);
	unpin(u);
}

static void out_retry(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	struct outgoing *o = (struct outgoing *)((char *)op - offsetof(struct outgoing, timer.op));

	(void)res, (void)flags, (void)extra;
	if (o->u->closed)
		out_end(o, -ECANCELED);
	else
		out_submit(o);
}

static void out_done(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	struct outgoing *o = (struct outgoing *)op;

	(void)flags, (void)extra;
	if (res == -EAGAIN || res == -ENOBUFS) {
		if (ring_now(o->u->ring) < o->give_up && !o->u->closed) {
			ring_timer_start(o->u->ring, &o->timer, RETRY_MS);
			return;
		}
		res = -EBUSY;
	}
	out_end(o, res < 0 ? res : 0);
}

int usersock_send(struct usersock *u, uint32_t to, const struct usersock_frame *f, unsigned int patience_ms)
{
	size_t len = USERSOCK_HEAD + f->len;
	struct outgoing *o = malloc(sizeof(*o) + len);
	struct wcur w;

	if (!o)
		return -ENOMEM;
	wcur_init(&w, o->data, len);
	put_frame(&w, f);

	o->op.done = out_done;
	o->timer.op.done = out_retry;
	o->u = u;
	o->xid = f->xid;
	o->give_up = ring_now(u->ring) + patience_ms;
	o->to = (struct sockaddr_nl){ .nl_family = AF_NETLINK, .nl_pid = to };
	o->iov = (struct iovec){ .iov_base = o->data, .iov_len = len };
	o->msg = (struct msghdr){
		.msg_name = &o->to,
		.msg_namelen = sizeof(o->to),
		.msg_iov = &o->iov,
		.msg_iovlen = 1,
	};
	u->pins++;
	out_submit(o);
	return 0;
}

/* ---- opening ---- */

int usersock_open(struct ring *ring, usersock_fn fn, usersock_failed_fn failed, void *arg, struct usersock **out)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK };
	socklen_t sa_len = sizeof(sa);
	int one = 1, size = QUEUE_BYTES;
	struct usersock *u;
	int err;

	u = calloc(1, sizeof(*u));
	if (!u)
		return -ENOMEM;
	u->ring = ring;
	u->fn = fn;
	u->failed = failed;
	u->arg = arg;
	u->recv_op.done = received;
	u->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_USERSOCK);
	if (u->fd < 0) {
		err = -errno;
		goto fail;
	}
	/* Unprivileged, the system's limit is what there is. */
	if (setsockopt(u->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) &&
	    setsockopt(u->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size))) {
		err = -errno;
		goto fail_fd;
	}
	if (setsockopt(u->fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) ||
	    bind(u->fd, (struct sockaddr *)&sa, sizeof(sa)) ||
	    getsockname(u->fd, (struct sockaddr *)&sa, &sa_len)) {
		err = -errno;
		goto fail_fd;
	}
	u->port = sa.nl_pid;
	receive(u);
	*out = u;
	return 0;
fail_fd:
	close(u->fd);
fail:
	free(u);
	return err;
}

void usersock_close(struct usersock *u)
{
	if (!u)
		return;
	u->closed = true;
	u->pins++;
	ring_cancel(u->ring, u->retrying ? &u->retry.op : &u->recv_op);
	unpin(u);
}

uint32_t usersock_port(const struct usersock *u)
{
	return u->port;
}
