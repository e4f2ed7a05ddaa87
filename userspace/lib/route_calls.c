// SPDX-License-Identifier: Apache-2.0
/* Table of calls under way: numbers, deadlines, and an end for each, once. */
#include <errno.h>
#include <stdlib.h>

#include "route_priv.h"

#define TICK_MS 50u	/* a deadline is noticed at most this late */

#define IDX_BITS 12
_Static_assert(ROUTE_MAX_CALLS <= 1u << IDX_BITS, "slot index in a call's number");

struct refusal {
	struct ring_work work;
	route_reply_fn fn;
	void *arg;
};

static struct route_calls *of_tick(struct ring_op *op)
{
	return (struct route_calls *)((char *)op - offsetof(struct route_calls, tick.op));
}

static void unpin(struct route_calls *c)
{
	if (--c->pins || !c->closed)
		return;
	free(c->slots);
	free(c->free_idx);
	c->idle(c);
}

static void tick(struct ring_op *op, int res, uint32_t flags, uint64_t extra);

static void tick_arm(struct route_calls *c)
{
	if (c->ticking || c->closed)
		return;
	c->ticking = true;
	c->pins++;
	ring_timer_start(c->ring, &c->tick, TICK_MS);
}

static void tick(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	struct route_calls *c = of_tick(op);
	uint64_t now = ring_now(c->ring);

	(void)res, (void)flags, (void)extra;
	c->ticking = false;
	for (unsigned int i = 0; i < c->high && !c->closed; i++)
		if (c->slots[i].xid && !c->slots[i].failing && c->slots[i].deadline <= now)
			call_finish(&c->slots[i], -ETIMEDOUT, NULL, 0);
	if (c->n_used)
		tick_arm(c);
	unpin(c);
}

int calls_init(struct route_calls *c, struct ring *ring, void (*idle)(struct route_calls *c))
{
	*c = (struct route_calls){ .ring = ring, .tick.op.done = tick, .idle = idle };
	c->slots = calloc(ROUTE_MAX_CALLS, sizeof(*c->slots));
	c->free_idx = calloc(ROUTE_MAX_CALLS, sizeof(*c->free_idx));
	if (!c->slots || !c->free_idx) {
		free(c->slots);
		free(c->free_idx);
		return -ENOMEM;
	}
	return 0;
}

void calls_close(struct route_calls *c)
{
	c->closed = true;
	c->pins++;
	for (unsigned int i = 0; i < c->high; i++)
		if (c->slots[i].xid && !c->slots[i].failing)
			call_finish(&c->slots[i], -ECANCELED, NULL, 0);
	if (c->ticking)
		ring_cancel(c->ring, &c->tick.op);
	unpin(c);
}

static void refuse(struct ring_work *work)
{
	struct refusal *r = (struct refusal *)work;

	r->fn(r->arg, -EBUSY, NULL, 0);
	free(r);
}

struct route_call *call_new(struct route_calls *c, unsigned int timeout_ms, route_reply_fn fn, void *arg)
{
	struct route_call *call;
	struct refusal *r;
	uint32_t idx;

	if (c->n_free) {
		idx = c->free_idx[--c->n_free];
	} else if (c->high < ROUTE_MAX_CALLS) {
		idx = c->high++;
	} else {
		r = malloc(sizeof(*r));
		/* A lost call would hang its caller for ever; dying is the honest end. */
		if (!r)
			abort();
		*r = (struct refusal){ .work.fn = refuse, .fn = fn, .arg = arg };
		ring_post(c->ring, &r->work);
		return NULL;
	}
	call = &c->slots[idx];
	*call = (struct route_call){
		.calls = c,
		.xid = ++c->generation << IDX_BITS | idx,
		.deadline = ring_now(c->ring) + timeout_ms,
		.fn = fn,
		.arg = arg,
	};
	c->n_used++;
	tick_arm(c);
	return call;
}

static struct route_call *slot(struct route_calls *c, uint64_t xid)
{
	struct route_call *call = &c->slots[xid & ((1u << IDX_BITS) - 1)];

	if ((xid & ((1u << IDX_BITS) - 1)) >= c->high || !call->xid || call->failing)
		return NULL;
	return call;
}

struct route_call *call_find(struct route_calls *c, uint64_t xid)
{
	struct route_call *call = slot(c, xid);

	return call && call->xid == xid ? call : NULL;
}

struct route_call *call_find32(struct route_calls *c, uint32_t xid)
{
	struct route_call *call = slot(c, xid);

	return call && (uint32_t)call->xid == xid ? call : NULL;
}

void call_finish(struct route_call *call, int err, const void *payload, size_t len)
{
	struct route_calls *c = call->calls;
	route_reply_fn fn = call->fn;
	void *arg = call->arg;

	call->xid = 0;
	c->free_idx[c->n_free++] = (uint32_t)(call - c->slots);
	c->n_used--;
	fn(arg, err, payload, len);
}

static void fail(struct ring_work *work)
{
	struct route_call *call = (struct route_call *)work;
	struct route_calls *c = call->calls;

	call_finish(call, call->err, NULL, 0);
	unpin(c);
}

void call_fail_later(struct route_call *call, int err)
{
	call->err = err;
	call->failing = true;
	call->work.fn = fail;
	call->calls->pins++;
	ring_post(call->calls->ring, &call->work);
}

void calls_fail_peer(struct route_calls *c, const void *peer, int err)
{
	for (unsigned int i = 0; i < c->high; i++)
		if (c->slots[i].xid && !c->slots[i].failing && c->slots[i].peer == peer)
			call_fail_later(&c->slots[i], err);
}
