/* SPDX-License-Identifier: Apache-2.0 */
/* What route.c and the two carriers share. */
#ifndef HSM_ROUTE_PRIV_H
#define HSM_ROUTE_PRIV_H

#include <hsm_cmd.h>

#include "route.h"

struct route_server_ops {
	int (*reply)(struct route_server *srv, uint64_t xid, uint32_t to, const void *payload, size_t len);
	void (*close)(struct route_server *srv);
};

struct route_client_ops {
	void (*call)(struct route_client *cli, const char *instance, uint8_t class, const void *payload,
		     size_t len, unsigned int timeout_ms, route_reply_fn fn, void *arg);
	void (*close)(struct route_client *cli);
};

/* First members of each carrier's own. */
struct route_server {
	const struct route_server_ops *ops;
	uint64_t quiet_until;		/* ms, CLOCK_MONOTONIC: route_log_refused() */
	unsigned int untold;
};

struct route_client {
	const struct route_client_ops *ops;
};

int route_genl_serve(const char *name, int pool_fd, uid_t accept_uid, struct ring *ring,
		     route_request_fn fn, void *arg, struct route_server **srv);
int route_genl_open(struct ring *ring, struct route_client **cli);
int route_usersock_serve(const char *dir, const char *name, uid_t accept_uid, struct ring *ring,
			 route_request_fn fn, void *arg, struct route_server **srv);
int route_usersock_open(const char *dir, struct ring *ring, struct route_client **cli);

/* Root, our own uid, or the configured one. */
bool route_uid_allowed(uid_t uid, uid_t accept_uid);

/* ---- calls under way, of one client ---- */

#define ROUTE_MAX_CALLS 1024u

struct route_call {
	struct ring_work work;
	struct route_calls *calls;
	uint64_t xid;		/* 0: free */
	uint64_t deadline;	/* ms, ring_now() */
	route_reply_fn fn;
	void *arg;
	void *peer;		/* the carrier's */
	int err;		/* for call_fail_later() */
	bool failing;
};

struct route_calls {
	struct ring *ring;
	struct ring_timer tick;
	struct route_call *slots;
	uint32_t *free_idx;
	unsigned int n_free, n_used, high;
	uint64_t generation;
	unsigned int pins;	/* what the ring still points to: tick, posted failures */
	bool ticking, closed;
	void (*idle)(struct route_calls *c);	/* closed, and no pin is left */
};

int calls_init(struct route_calls *c, struct ring *ring, void (*idle)(struct route_calls *c));
/* Ends what is under way with -ECANCELED; c->idle runs, now or later, when the ring is done with c. */
void calls_close(struct route_calls *c);
/* NULL if there are too many: the refusal (-EBUSY) has been posted then. */
struct route_call *call_new(struct route_calls *c, unsigned int timeout_ms, route_reply_fn fn, void *arg);
/* The call with that number, all 64 bits or the low 32; NULL if it has ended. */
struct route_call *call_find(struct route_calls *c, uint64_t xid);
struct route_call *call_find32(struct route_calls *c, uint32_t xid);
/* Frees the slot, then runs fn. */
void call_finish(struct route_call *call, int err, const void *payload, size_t len);
/* The same, after the current callbacks: for use inside route_call(). */
void call_fail_later(struct route_call *call, int err);
/* Ends all calls of that peer, likewise later. */
void calls_fail_peer(struct route_calls *c, const void *peer, int err);

#endif
