// SPDX-License-Identifier: Apache-2.0
/* Carrier "genl": the router in the driver. */
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "genl.h"
#include "log.h"
#include "predecessor.h"
#include "route_priv.h"

#define RECV_BUF	65536u
#define RECEIVE_RETRY_MS 100u
#define SEQ_SETUP	1u
/* The kernel answers at the deadline; only should its answer be lost is it ended here. */
#define GRACE_MS	2000u
#define ATTR_ROOM	128u	/* of all attributes but the payload */

/* ---- a socket of the family on a ring ---- */

struct gsock {
	struct ring_op recv_op;
	struct ring_timer retry;	/* after a failed receive */
	struct ring *ring;
	struct genl g;
	genl_fn fn;
	void (*failed)(void *arg, uint32_t seq, int err);
	void *arg;
	unsigned int pins;
	bool retrying, closed;
	unsigned long overruns;
	struct msghdr msg;
	struct iovec iov;
	struct sockaddr_nl from;
	char *buf;
};

struct gsend {
	struct ring_op op;
	struct gsock *s;
	struct nl_msg *msg;
};

static void unpin(struct gsock *s)
{
	if (--s->pins || !s->closed)
		return;
	genl_close(&s->g);
	explicit_bzero(s->buf, RECV_BUF);
	free(s->buf);
	free(s);
}

static void receive(struct gsock *s)
{
	struct io_uring_sqe *sqe;

	s->iov = (struct iovec){ .iov_base = s->buf, .iov_len = RECV_BUF };
	s->msg = (struct msghdr){
		.msg_name = &s->from, .msg_namelen = sizeof(s->from), .msg_iov = &s->iov, .msg_iovlen = 1,
	};
	s->pins++;
	sqe = ring_sqe(s->ring, &s->recv_op);
	io_uring_prep_recvmsg(sqe, s->g.fd, &s->msg, 0);
}

static void retried(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	struct gsock *s = (struct gsock *)((char *)op - offsetof(struct gsock, retry.op));

	(void)res, (void)flags, (void)extra;
	s->retrying = false;
	if (!s->closed)
		receive(s);
	unpin(s);
}

/* Whatever failed, most likely memory, may come back; asking at once would only spin. */
static void retry_receive(struct gsock *s, int err)
{
	log_err("route genl: receive: %s", strerror(-err));
	s->retry.op.done = retried;
	s->retrying = true;
	s->pins++;
	ring_timer_start(s->ring, &s->retry, RECEIVE_RETRY_MS);
}

static void read_messages(struct gsock *s, int len)
{
	struct nlmsghdr *h = (struct nlmsghdr *)s->buf;

	/* Other processes may send to our port as well. */
	if (s->from.nl_pid || (s->msg.msg_flags & MSG_TRUNC))
		return;
	for (int left = len; !s->closed && nlmsg_ok(h, left); h = nlmsg_next(h, &left))
		s->fn(s->arg, h);
	explicit_bzero(s->buf, (size_t)len);
}

static void received(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	struct gsock *s = (struct gsock *)op;

	(void)flags, (void)extra;
	if (s->closed)
		goto out;
	if (res == -ENOBUFS) {
		/* Lost are refusals, and no answers (netlink.rst): those calls end at their deadline. */
		log_warn("route genl: receive queue overran (%lu so far)", ++s->overruns);
	} else if (res < 0 && res != -EINTR && res != -EAGAIN) {
		retry_receive(s, res);
		goto out;
	} else if (res > 0) {
		read_messages(s, res);
	}
	if (!s->closed)
		receive(s);
out:
	unpin(s);
}

static void sent(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	struct gsend *o = (struct gsend *)op;
	struct gsock *s = o->s;
	struct nlmsghdr *h = nlmsg_hdr(o->msg);
	uint32_t seq = h->nlmsg_seq;

	(void)flags, (void)extra;
	explicit_bzero(nlmsg_data(h), (size_t)nlmsg_datalen(h));
	nlmsg_free(o->msg);
	free(o);
	if (res < 0 && !s->closed)
		s->failed(s->arg, seq, res);
	unpin(s);
}

/* Takes msg. */
static int gsock_send(struct gsock *s, struct nl_msg *msg)
{
	struct gsend *o = malloc(sizeof(*o));
	struct io_uring_sqe *sqe;

	if (!o) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	*o = (struct gsend){ .op.done = sent, .s = s, .msg = msg };
	s->pins++;
	sqe = ring_sqe(s->ring, &o->op);
	io_uring_prep_send(sqe, s->g.fd, nlmsg_hdr(msg), nlmsg_hdr(msg)->nlmsg_len, 0);
	return 0;
}

static int gsock_open(struct ring *ring, genl_fn fn, void (*failed)(void *arg, uint32_t seq, int err),
		      void *arg, struct gsock **out)
{
	struct gsock *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->ring = ring;
	s->fn = fn;
	s->failed = failed;
	s->arg = arg;
	s->recv_op.done = received;
	s->buf = malloc(RECV_BUF);
	err = s->buf ? genl_open(&s->g) : -ENOMEM;
	if (err) {
		log_err("route genl: family '%s': %s%s", HSM_GENL_NAME, strerror(-err),
			err == -ENOENT ? "; load hsm.ko" : "");
		free(s->buf);
		free(s);
		return err;
	}
	*out = s;
	return 0;
}

static void gsock_close(struct gsock *s)
{
	s->closed = true;
	s->pins++;
	ring_cancel(s->ring, s->retrying ? &s->retry.op : &s->recv_op);
	unpin(s);
}

static void setup_failed(const char *what, int err, const char *why)
{
	log_err("route genl: %s: %s%s%s", what, strerror(-err), why[0] ? ": " : "", why);
}

/* ---- the owner ---- */

/* A request that came while the registration was still being acknowledged. */
struct early {
	struct early *next;
	struct nlmsghdr h;	/* and the rest of the message */
};

struct genl_server {
	struct route_server srv;
	struct ring_work work;
	struct gsock *s;
	route_request_fn fn;
	void *arg;
	uid_t accept_uid;
	uint32_t seq;
	struct early *early, **early_tail;
	bool posted, closed;
};

static struct genl_server *of_work(struct ring_work *w)
{
	return (struct genl_server *)((char *)w - offsetof(struct genl_server, work));
}

static void owner_request(struct genl_server *srv, struct nlattr **a)
{
	struct route_request req;

	if (!a[HSM_A_XID] || !a[HSM_A_CLASS] || !a[HSM_A_PAYLOAD] || !a[HSM_A_SENDER_UID]) {
		log_warn("route genl: a request without its attributes");
		return;
	}
	req = (struct route_request){
		.class = (uint8_t)nla_get_u32(a[HSM_A_CLASS]),
		.xid = nla_get_u64(a[HSM_A_XID]),
		.uid = nla_get_u32(a[HSM_A_SENDER_UID]),
		.pid = a[HSM_A_SENDER_PID] ? (pid_t)nla_get_u32(a[HSM_A_SENDER_PID]) : 0,
		.payload = nla_data(a[HSM_A_PAYLOAD]),
		.len = (size_t)nla_len(a[HSM_A_PAYLOAD]),
	};
	if (!route_uid_allowed(req.uid, srv->accept_uid)) {
		route_log_refused(&srv->srv, req.uid, req.pid, "--gateway-uid names whose are taken");
		/* The router has no errors of owners, only answers: its sender gets one in place of a deadline. */
		req.refused = true;
		req.payload = NULL;
		req.len = 0;
	}
	srv->fn(srv->arg, &req);
}

static void owner_message(void *arg, const struct nlmsghdr *h)
{
	struct genl_server *srv = arg;
	struct nlattr *a[HSM_A_MAX + 1];
	char why[256];
	uint8_t cmd;
	int err;

	if (h->nlmsg_type == NLMSG_ERROR) {
		err = genl_error(h, why, sizeof(why));
		if (err == -ENOENT)
			log_debug("route genl: an answer came too late");
		else if (err)
			log_warn("route genl: answer refused: %s%s%s", strerror(-err), why[0] ? ": " : "", why);
	} else if (!genl_parse(&srv->s->g, h, &cmd, a) && cmd == HSM_CMD_ROUTE_REQUEST) {
		owner_request(srv, a);
	}
}

static void owner_stray(void *arg, const struct nlmsghdr *h)
{
	struct genl_server *srv = arg;
	struct early *e = malloc(sizeof(*e) + h->nlmsg_len);

	if (!e)
		return;
	e->next = NULL;
	memcpy(&e->h, h, h->nlmsg_len);
	*srv->early_tail = e;
	srv->early_tail = &e->next;
}

static void owner_early(struct ring_work *w)
{
	struct genl_server *srv = of_work(w);
	struct early *e;

	while ((e = srv->early)) {
		srv->early = e->next;
		if (!srv->closed)
			owner_message(srv, &e->h);
		explicit_bzero(e, sizeof(*e) + e->h.nlmsg_len);
		free(e);
	}
	srv->posted = false;
	if (srv->closed)
		free(srv);
}

static void owner_failed(void *arg, uint32_t seq, int err)
{
	(void)arg, (void)seq;
	log_warn("route genl: answer lost: %s", strerror(-err));
}

static int owner_reply(struct route_server *rs, uint64_t xid, uint32_t to, const void *payload, size_t len)
{
	struct genl_server *srv = (struct genl_server *)rs;
	struct nl_msg *msg;

	(void)to;
	msg = genl_msg(&srv->s->g, HSM_CMD_ROUTE_REPLY, 0, ++srv->seq, len + ATTR_ROOM);
	if (!msg)
		return -ENOMEM;
	if (nla_put_u64(msg, HSM_A_XID, xid) || nla_put(msg, HSM_A_PAYLOAD, (int)len, payload)) {
		nlmsg_free(msg);
		return -EMSGSIZE;
	}
	return gsock_send(srv->s, msg);
}

static void owner_close(struct route_server *rs)
{
	struct genl_server *srv = (struct genl_server *)rs;

	gsock_close(srv->s);
	srv->closed = true;
	if (!srv->posted)
		free(srv);
}

static const struct route_server_ops owner_ops = {
	.reply = owner_reply,
	.close = owner_close,
};

static int owner_register(struct genl_server *srv, int pool_fd, char *why, size_t size)
{
	struct nl_msg *msg = genl_msg(&srv->s->g, HSM_CMD_OWNER_REGISTER, 0, SEQ_SETUP, ATTR_ROOM);

	if (!msg || nla_put_s32(msg, HSM_A_POOL_FD, pool_fd)) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	return genl_request(&srv->s->g, msg, owner_stray, srv, why, size);
}

int route_genl_serve(const char *name, int pool_fd, uid_t accept_uid, struct ring *ring,
		     route_request_fn fn, void *arg, struct route_server **out)
{
	struct genl_server *srv;
	unsigned int waited_ms = 0;
	char why[256] = "";
	int err;

	if (pool_fd < 0) {
		log_err("route genl: instance '%s' has a soft pool; the kernel routes to owners of a pool device only: use usersock:DIRECTORY",
			name);
		return -EINVAL;
	}
	srv = calloc(1, sizeof(*srv));
	if (!srv)
		return -ENOMEM;
	srv->srv.ops = &owner_ops;
	srv->work.fn = owner_early;
	srv->fn = fn;
	srv->arg = arg;
	srv->accept_uid = accept_uid;
	srv->seq = SEQ_SETUP;
	srv->early_tail = &srv->early;
	err = gsock_open(ring, owner_message, owner_failed, srv, &srv->s);
	if (err)
		goto fail;
	do
		err = owner_register(srv, pool_fd, why, sizeof(why));
	while (err == -EBUSY && predecessor_wait(&waited_ms));
	if (err) {
		setup_failed("registering as the pool's owner", err, why);
		goto fail_sock;
	}
	if (srv->early) {
		srv->posted = true;
		ring_post(ring, &srv->work);
	}
	receive(srv->s);
	*out = &srv->srv;
	return 0;
fail_sock:
	gsock_close(srv->s);
fail:
	free(srv);
	return err;
}

/* ---- the gateway ---- */

struct genl_client {
	struct route_client cli;
	struct gsock *s;
	struct route_calls calls;
};

static void client_error(struct genl_client *c, const struct nlmsghdr *h)
{
	struct route_call *call = call_find32(&c->calls, h->nlmsg_seq);
	char why[256];
	int err;

	err = genl_error(h, why, sizeof(why));
	if (!err || !call)
		return;
	if (err == -EINVAL || err == -EPERM || err == -EBADMSG)
		log_warn("route genl: request refused: %s%s%s", strerror(-err), why[0] ? ": " : "", why);
	else
		log_debug("route genl: %s%s%s", strerror(-err), why[0] ? ": " : "", why);
	call_finish(call, err, NULL, 0);
}

static void client_reply(struct genl_client *c, struct nlattr **a)
{
	struct route_call *call;
	uint32_t e;

	call = a[HSM_A_COOKIE] ? call_find(&c->calls, nla_get_u64(a[HSM_A_COOKIE])) : NULL;
	if (!call)
		return;
	if (a[HSM_A_ERROR]) {
		e = nla_get_u32(a[HSM_A_ERROR]);
		call_finish(call, e && e < 4096 ? -(int)e : -EBADMSG, NULL, 0);
	} else if (a[HSM_A_PAYLOAD]) {
		call_finish(call, 0, nla_data(a[HSM_A_PAYLOAD]), (size_t)nla_len(a[HSM_A_PAYLOAD]));
	} else {
		call_finish(call, -EBADMSG, NULL, 0);
	}
}

static void client_message(void *arg, const struct nlmsghdr *h)
{
	struct genl_client *c = arg;
	struct nlattr *a[HSM_A_MAX + 1];
	uint8_t cmd;

	if (h->nlmsg_type == NLMSG_ERROR)
		client_error(c, h);
	else if (!genl_parse(&c->s->g, h, &cmd, a) && cmd == HSM_CMD_ROUTE_REPLY)
		client_reply(c, a);
}

static void client_failed(void *arg, uint32_t seq, int err)
{
	struct genl_client *c = arg;
	struct route_call *call = call_find32(&c->calls, seq);

	if (call)
		call_finish(call, err, NULL, 0);
}

static int client_send(struct genl_client *c, struct route_call *call, const char *instance, uint8_t class,
		       const void *payload, size_t len, unsigned int timeout_ms)
{
	struct nl_msg *msg;

	if (!len || len > ROUTE_MAX_PAYLOAD)
		return -EMSGSIZE;
	if (!route_name_valid(instance))
		return -ENOENT;
	msg = genl_msg(&c->s->g, HSM_CMD_ROUTE_REQUEST, 0, (uint32_t)call->xid, len + ATTR_ROOM);
	if (!msg)
		return -ENOMEM;
	if (nla_put_string(msg, HSM_A_POOL_NAME, instance) || nla_put_u32(msg, HSM_A_CLASS, class) ||
	    nla_put_u64(msg, HSM_A_COOKIE, call->xid) || nla_put_u32(msg, HSM_A_TIMEOUT_MS, timeout_ms) ||
	    nla_put(msg, HSM_A_PAYLOAD, (int)len, payload)) {
		nlmsg_free(msg);
		return -EMSGSIZE;
	}
	return gsock_send(c->s, msg);
}

static void client_call(struct route_client *cli, const char *instance, uint8_t class, const void *payload,
			size_t len, unsigned int timeout_ms, route_reply_fn fn, void *arg)
{
	struct genl_client *c = (struct genl_client *)cli;
	struct route_call *call;
	int err;

	call = call_new(&c->calls, timeout_ms + GRACE_MS, fn, arg);
	if (!call)
		return;
	err = client_send(c, call, instance, class, payload, len, timeout_ms);
	if (err)
		call_fail_later(call, err);
}

static void client_idle(struct route_calls *calls)
{
	free((char *)calls - offsetof(struct genl_client, calls));
}

static void client_close(struct route_client *cli)
{
	struct genl_client *c = (struct genl_client *)cli;

	gsock_close(c->s);
	calls_close(&c->calls);
}

static const struct route_client_ops client_ops = {
	.call = client_call,
	.close = client_close,
};

int route_genl_open(struct ring *ring, struct route_client **out)
{
	struct genl_client *c;
	char why[256];
	int err;

	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->cli.ops = &client_ops;
	err = gsock_open(ring, client_message, client_failed, c, &c->s);
	if (err)
		goto fail;
	err = genl_request(&c->s->g, genl_msg(&c->s->g, HSM_CMD_GATEWAY_REGISTER, 0, SEQ_SETUP, ATTR_ROOM), NULL,
			   NULL, why, sizeof(why));
	if (err)
		setup_failed("registering as a gateway (needs CAP_NET_ADMIN)", err, why);
	else
		err = calls_init(&c->calls, ring, client_idle);
	if (err)
		goto fail_sock;
	receive(c->s);
	*out = &c->cli;
	return 0;
fail_sock:
	gsock_close(c->s);
fail:
	free(c);
	return err;
}
