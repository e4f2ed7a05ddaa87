/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon: one struct kms per process, one struct worker per thread.
 *
 * A worker owns a ring and everything on it: its HTTPS listener, its port to the
 * pool, its reading connection to the store, its caches and its requests.  Worker 0 also has the
 * route to the gateway and the administration socket.  Workers share the pool, the store (which
 * lock inside) and what is constant after the start; nothing else.
 */
#ifndef KMS_KMS_H
#define KMS_KMS_H

#include <pthread.h>
#include <stdatomic.h>

#include "adminsock.h"
#include "auth.h"
#include "daemon.h"
#include "httpd.h"
#include "ops.h"
#include "replay.h"
#include "route.h"
#include "seal.h"

struct kms_config {
	bool shared;			/* role */
	const char *name, *pool, *store, *route, *admin, *region, *user;
	const char *listen, *cert, *key;	/* data listener; NULL: none */
	uid_t gateway_uid;		/* (uid_t)-1: root and our own only */
	int workers;
};

struct request;

struct worker {
	struct kms *kms;
	struct op_env env;
	struct ring *ring;
	struct hsm_port *pool;
	struct store_port *port;
	struct auth *auth;
	struct keycache keys;
	struct httpd *httpd;		/* NULL: no data listener */
	struct route_server *route;	/* worker 0 */
	struct adminsock *admin;	/* worker 0 */
	uint8_t out[ROUTE_MAX_PAYLOAD];	/* worker 0: of the reply that is being encoded */

	struct request *free;		/* for reuse */
	unsigned int n_free;
	unsigned int in_flight;		/* requests and administration jobs */
	bool busy;			/* something ended since the quiet timer last fired */
	bool quiet_armed;
	struct ring_timer quiet_timer;
	bool stopping;
	struct ring_work stop;
	struct ring_timer stop_timer;
	_Atomic uint64_t served, refused;

	pthread_t thread;
	bool running;
};

struct kms {
	struct kms_config cfg;
	struct hsm_pool *pool;
	struct store *store;
	struct sealer sealer;
	SSL_CTX *tls;
	int n_workers;
	unsigned int max_conns;		/* of one worker's listener */
	struct replay seen;		/* worker 0 */
	struct worker workers[DAEMON_MAX_WORKERS];
};

/* ---- request.c: from a transport to an operation and back ---- */

void request_from_listener(void *arg, struct httpd_conn *conn, const struct http_request *req);
void request_from_route(void *arg, const struct route_request *req);
void requests_free(struct worker *w);		/* those kept for reuse */

/* ---- admin.c ---- */

void admin_serve(void *arg, struct admin_call *call, const json_t *in);

/* ---- worker.c ---- */

/* What needs privileges, then (as the daemon's user, the store being open) what does not.  -errno, logged. */
int worker_open(struct kms *kms, struct worker *w);
int worker_prepare(struct worker *w);
int worker_start(struct worker *w);
void worker_stop(struct worker *w);		/* finishes what is in flight, within a bound; joins */
void worker_close(struct worker *w);
/* Something in flight has ended. */
void worker_ended(struct worker *w);

#endif
