// SPDX-License-Identifier: Apache-2.0
/* Carrier "usersock": the two ends of NETLINK_USERSOCK. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cursor.h"
#include "log.h"
#include "rendezvous.h"
#include "route_priv.h"
#include "usersock.h"

#define REQUEST_PATIENCE_MS	200u	/* while the owner's queue is full */
#define REPLY_PATIENCE_MS	2000u
#define CREDIT			256u	/* requests that the owner has at one time */

static int send_error(struct usersock *u, uint32_t to, uint64_t xid, int err)
{
	uint8_t value[USERSOCK_ERRNO];

	usersock_put_errno(value, err);
	return usersock_send(u, to, &(struct usersock_frame){
		.kind = USERSOCK_ERROR, .xid = xid, .payload = value, .len = sizeof(value),
	}, REPLY_PATIENCE_MS);
}

/* ---- the owner ---- */

struct debt {
	uint64_t xid;		/* ours: generation and slot; 0: free */
	uint64_t theirs;
	uint32_t to;
};

struct usersock_server {
	struct route_server srv;
	struct usersock *u;
	route_request_fn fn;
	void *arg;
	uid_t accept_uid;
	int lock;
	uint64_t generation;
	unsigned int n_debts;
	struct debt debts[CREDIT];
	char name[ROUTE_NAME_LEN];
	char dir[PATH_MAX];
};

static void owner_receive(void *arg, const struct usersock_frame *f, uint32_t from, const struct ucred *cred)
{
	struct usersock_server *s = arg;
	struct route_request req;
	unsigned int i;

	if (f->kind != USERSOCK_REQUEST)
		return;
	if (!route_uid_allowed(cred->uid, s->accept_uid)) {
		route_log_refused(&s->srv, cred->uid, cred->pid, "--gateway-uid names whose are taken");
		usersock_refuse(s->u, from, f->xid, -EACCES);
		return;
	}
	if (f->class != HSM_CLASS_MANAGE && f->class != HSM_CLASS_CRYPTO) {
		send_error(s->u, from, f->xid, -EACCES);
		return;
	}
	if (s->n_debts == CREDIT) {
		send_error(s->u, from, f->xid, -EBUSY);
		return;
	}
	for (i = 0; s->debts[i].xid; i++)
		;
	s->debts[i] = (struct debt){ .xid = ++s->generation * CREDIT + i, .theirs = f->xid, .to = from };
	s->n_debts++;
	req = (struct route_request){
		.class = f->class,
		.xid = s->debts[i].xid,
		.from = from,
		.uid = cred->uid,
		.pid = cred->pid,
		.payload = f->payload,
		.len = f->len,
	};
	s->fn(s->arg, &req);
}

static void owner_failed(void *arg, uint32_t to, uint64_t xid, int err)
{
	(void)arg;
	log_debug("route: answer %llu to port %u lost: %s", (unsigned long long)xid, to, strerror(-err));
}

static int owner_reply(struct route_server *srv, uint64_t xid, uint32_t to, const void *payload, size_t len)
{
	struct usersock_server *s = (struct usersock_server *)srv;
	struct debt *d = &s->debts[xid % CREDIT];
	uint64_t theirs = d->theirs;

	if (!xid || d->xid != xid || d->to != to)
		return -ENOENT;
	d->xid = 0;
	s->n_debts--;
	return usersock_send(s->u, to, &(struct usersock_frame){
		.kind = USERSOCK_REPLY, .xid = theirs, .payload = payload, .len = len,
	}, REPLY_PATIENCE_MS);
}

static void owner_close(struct route_server *srv)
{
	struct usersock_server *s = (struct usersock_server *)srv;

	rendezvous_withdraw(s->dir, s->name, s->lock);
	/* Copied frames leave even though the socket closes behind them. */
	for (unsigned int i = 0; i < CREDIT; i++)
		if (s->debts[i].xid)
			send_error(s->u, s->debts[i].to, s->debts[i].theirs, -ECONNRESET);
	usersock_close(s->u);
	free(s);
}

static const struct route_server_ops owner_ops = {
	.reply = owner_reply,
	.close = owner_close,
};

int route_usersock_serve(const char *dir, const char *name, uid_t accept_uid, struct ring *ring,
			 route_request_fn fn, void *arg, struct route_server **out)
{
	struct usersock_server *s;
	int err;

	if (strlen(dir) >= sizeof(s->dir))
		return -ENAMETOOLONG;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->srv.ops = &owner_ops;
	s->fn = fn;
	s->arg = arg;
	s->accept_uid = accept_uid;
	snprintf(s->name, sizeof(s->name), "%s", name);
	snprintf(s->dir, sizeof(s->dir), "%s", dir);
	err = usersock_open(ring, owner_receive, owner_failed, s, &s->u);
	if (err) {
		log_err("route usersock: %s", strerror(-err));
		goto fail;
	}
	err = rendezvous_publish(dir, name, usersock_port(s->u), &s->lock);
	if (err) {
		log_err("route usersock:%s: cannot publish '%s': %s%s", dir, name, strerror(-err),
			err == -EBUSY ? "; another process serves it" : "");
		goto fail_sock;
	}
	*out = &s->srv;
	return 0;
fail_sock:
	usersock_close(s->u);
fail:
	free(s);
	return err;
}

/* ---- the gateway ---- */

struct peer {
	struct ring_op death;	/* poll of the pidfd */
	struct usersock_client *cli;	/* NULL once forgotten */
	struct peer *next;
	uint32_t port;
	int pidfd;
	char name[ROUTE_NAME_LEN];
};

struct usersock_client {
	struct route_client cli;
	struct ring *ring;
	struct usersock *u;
	struct route_calls calls;
	struct peer *peers;
	char dir[PATH_MAX];
};

static void forget(struct peer *p)
{
	struct peer **pp = &p->cli->peers;

	while (*pp != p)
		pp = &(*pp)->next;
	*pp = p->next;
	p->cli = NULL;
}

static void died(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	struct peer *p = (struct peer *)op;
	struct usersock_client *c = p->cli;

	(void)res, (void)flags, (void)extra;
	if (c) {
		forget(p);
		calls_fail_peer(&c->calls, p, -ECONNRESET);
	}
	close(p->pidfd);
	free(p);
}

/* Its port is no longer the instance's: what waits there ends without an answer. */
static void abandon(struct peer *p)
{
	struct usersock_client *c = p->cli;

	forget(p);
	ring_cancel(c->ring, &p->death);
	calls_fail_peer(&c->calls, p, -ECONNRESET);
}

static int find_peer(struct usersock_client *c, const char *name, struct peer **out)
{
	struct io_uring_sqe *sqe;
	struct peer *p;
	int err;

	for (p = c->peers; p && strcmp(p->name, name); p = p->next)
		;
	/* Nothing is sent to a port that a later process may have taken. */
	if (p && pidfd_dead(p->pidfd)) {
		abandon(p);
		p = NULL;
	}
	if (p) {
		*out = p;
		return 0;
	}
	if (!route_name_valid(name))
		return -ENOENT;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	err = rendezvous_lookup(c->dir, name, &p->port, &p->pidfd);
	if (err) {
		if (err != -ENOENT && err != -ECONNREFUSED)
			log_warn("route usersock:%s: '%s': %s", c->dir, name, strerror(-err));
		free(p);
		return err;
	}
	snprintf(p->name, sizeof(p->name), "%s", name);
	p->cli = c;
	p->next = c->peers;
	c->peers = p;
	p->death.done = died;
	sqe = ring_sqe(c->ring, &p->death);
	io_uring_prep_poll_add(sqe, p->pidfd, POLLIN);
	*out = p;
	return 0;
}

static void client_receive(void *arg, const struct usersock_frame *f, uint32_t from, const struct ucred *cred)
{
	struct usersock_client *c = arg;
	struct route_call *call = call_find(&c->calls, f->xid);
	struct peer *p = call ? call->peer : NULL;
	struct rcur r;
	uint32_t e;

	(void)cred;
	if (!p || p->port != from)
		return;
	switch (f->kind) {
	case USERSOCK_REPLY:
		call_finish(call, 0, f->payload, f->len);
		break;
	case USERSOCK_ERROR:
		rcur_init(&r, f->payload, f->len);
		e = rcur_u32(&r);
		call_fail_later(call, e && e < 4096 ? -(int)e : -EBADMSG);
		/* It is about to close, with whatever else we have there. */
		if (e == ECONNREFUSED || e == ECONNRESET)
			abandon(p);
		break;
	}
}

static void client_failed(void *arg, uint32_t to, uint64_t xid, int err)
{
	struct usersock_client *c = arg;
	struct route_call *call = call_find(&c->calls, xid);
	struct peer *p;

	(void)to;
	if (!call)
		return;
	p = call->peer;
	call_fail_later(call, err);
	if (err == -ECONNREFUSED)
		abandon(p);
}

static void client_call(struct route_client *cli, const char *instance, uint8_t class, const void *payload,
			size_t len, unsigned int timeout_ms, route_reply_fn fn, void *arg)
{
	struct usersock_client *c = (struct usersock_client *)cli;
	struct route_call *call;
	struct peer *p;
	int err;

	call = call_new(&c->calls, timeout_ms, fn, arg);
	if (!call)
		return;
	err = len && len <= ROUTE_MAX_PAYLOAD ? 0 : -EMSGSIZE;
	if (!err)
		err = find_peer(c, instance, &p);
	if (!err) {
		call->peer = p;
		err = usersock_send(c->u, p->port, &(struct usersock_frame){
			.kind = USERSOCK_REQUEST,
			.class = class,
			.xid = call->xid,
			.payload = payload,
			.len = len,
		}, REQUEST_PATIENCE_MS);
	}
	if (err)
		call_fail_later(call, err);
}

static void client_idle(struct route_calls *calls)
{
	free((char *)calls - offsetof(struct usersock_client, calls));
}

static void client_close(struct route_client *cli)
{
	struct usersock_client *c = (struct usersock_client *)cli;

	usersock_close(c->u);
	while (c->peers) {
		struct peer *p = c->peers;

		forget(p);
		ring_cancel(c->ring, &p->death);
	}
	calls_close(&c->calls);
}

static const struct route_client_ops client_ops = {
	.call = client_call,
	.close = client_close,
};

int route_usersock_open(const char *dir, struct ring *ring, struct route_client **out)
{
	struct usersock_client *c;
	int err;

	if (strlen(dir) >= sizeof(c->dir))
		return -ENAMETOOLONG;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->cli.ops = &client_ops;
	c->ring = ring;
	snprintf(c->dir, sizeof(c->dir), "%s", dir);
	err = usersock_open(ring, client_receive, client_failed, c, &c->u);
	if (err) {
		log_err("route usersock: %s", strerror(-err));
		goto fail;
	}
	err = calls_init(&c->calls, ring, client_idle);
	if (err)
		goto fail_sock;
	*out = &c->cli;
	return 0;
fail_sock:
	usersock_close(c->u);
fail:
	free(c);
	return err;
}
