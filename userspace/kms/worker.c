// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "kms.h"
#include "log.h"

#define RING_ENTRIES	256
#define IDLE_MS		60000
#define REQUEST_MS	15000
#define STOP_MS		5000	/* for what is in flight */
#define FLUSH_MS	50	/* for what is being sent */
#define DRAIN_MS	500	/* for what was cancelled */
#define QUIET_MS	1000	/* without a request: what is kept for the next ones is given back */

static int open_listener(struct kms *kms, struct worker *w)
{
	struct httpd_config cfg = {
		.tls = kms->tls,
		.max_conns = kms->max_conns,
		.idle_ms = IDLE_MS,
		.request_ms = REQUEST_MS,
	};
	struct worker *first = &kms->workers[0];
	int err;

	if (daemon_parse_listen(kms->cfg.listen, &cfg.addr, &cfg.addr_len))
		return -EINVAL;
	/* Port 0: the first worker's choice is everybody's. */
	if (w != first)
		daemon_set_port(&cfg.addr, httpd_port(first->httpd));
	err = httpd_listen(w->ring, &cfg, request_from_listener, w, &w->httpd);
	if (err)
		log_err("can't listen on %s: %s", kms->cfg.listen, strerror(-err));
	return err;
}

int worker_open(struct kms *kms, struct worker *w)
{
	int err;

	w->kms = kms;
	err = ring_create(RING_ENTRIES, &w->ring);
	if (err) {
		log_err("io_uring: %s; it needs Linux 6.1 or later, not disabled by a sandbox", strerror(-err));
		return err;
	}
	err = hsm_port_open(kms->pool, w->ring, &w->pool);
	if (err)
		return err;
	if (kms->cfg.listen)
		err = open_listener(kms, w);
	if (err || w != &kms->workers[0])
		return err;
	err = route_serve(kms->cfg.route, kms->cfg.name, hsm_pool_fd(kms->pool), kms->cfg.gateway_uid, w->ring,
			  request_from_route, w, &w->route);
	if (err)
		return err;
	err = adminsock_listen(w->ring, kms->cfg.admin, admin_serve, w, &w->admin);
	if (err)
		log_err("can't open the administration socket %s: %s", kms->cfg.admin, strerror(-err));
	return err;
}

int worker_prepare(struct worker *w)
{
	struct kms *kms = w->kms;
	struct auth_config auth = {
		.region = kms->cfg.region,
		.pool = w->pool,
		.store = kms->store,
		.sealer = &kms->sealer,
	};
	int err;

	err = store_port_open(kms->store, w->ring, &w->port);
	if (err)
		return err;
	w->env = (struct op_env){
		.shared = kms->cfg.shared,
		.name = kms->cfg.name,
		.region = kms->cfg.region,
		.ring = w->ring,
		.pool = w->pool,
		.store = kms->store,
		.port = w->port,
		.keys = &w->keys,
		.seen = !kms->cfg.shared && w == &kms->workers[0] ? &kms->seen : NULL,
	};
	auth.port = w->port;
	return auth_open(&auth, &w->auth);
}

/* ---- memory ---- */

static void quiet(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	struct ring_timer *t = from_member(op, struct ring_timer, op);
	struct worker *w = from_member(t, struct worker, quiet_timer);

	(void)flags, (void)extra;
	w->quiet_armed = res == -ETIME && (w->busy || w->in_flight);
	if (w->quiet_armed) {
		w->busy = false;
		ring_timer_start(w->ring, &w->quiet_timer, QUIET_MS);
	} else if (res == -ETIME) {
		requests_free(w);
		malloc_trim(0);
	}
}

/* A burst leaves requests and pages behind that the next one reuses; an idle appliance has other uses for them. */
static void give_back_later(struct worker *w)
{
	w->busy = true;
	if (w->quiet_armed || w->stopping)
		return;
	w->quiet_armed = true;
	w->quiet_timer.op.done = quiet;
	ring_timer_start(w->ring, &w->quiet_timer, QUIET_MS);
}

/* ---- the end: no new requests, those in flight finish, then what was answered is sent ---- */

static void maybe_stop(struct worker *w)
{
	if (w->stopping && !w->in_flight)
		ring_stop(w->ring);
}

void worker_ended(struct worker *w)
{
	w->in_flight--;
	give_back_later(w);
	maybe_stop(w);
}

static void stop_expired(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	struct ring_timer *t = from_member(op, struct ring_timer, op);
	struct worker *w = from_member(t, struct worker, stop_timer);

	(void)flags, (void)extra;
	if (res != -ETIME)
		return;
	log_warn("%u requests did not finish", w->in_flight);
	ring_stop(w->ring);
}

static void stop(struct ring_work *work)
{
	struct worker *w = from_member(work, struct worker, stop);

	w->stopping = true;
	if (w->admin) {
		adminsock_close(w->admin);
		w->admin = NULL;
	}
	w->stop_timer.op.done = stop_expired;
	ring_timer_start(w->ring, &w->stop_timer, STOP_MS);
	maybe_stop(w);
}

static void *run(void *arg)
{
	struct worker *w = arg;
	int err = ring_run(w->ring);

	if (err) {
		log_err("io_uring: %s", strerror(-err));
		exit(1);
	}
	ring_cancel(w->ring, &w->stop_timer.op);
	if (w->quiet_armed)
		ring_cancel(w->ring, &w->quiet_timer.op);
	/* Closing a transport drops what it has not sent yet; what comes in now is refused. */
	ring_drain(w->ring, FLUSH_MS);
	route_server_close(w->route);
	w->route = NULL;
	if (!w->in_flight && w->httpd) {
		httpd_close(w->httpd);
		w->httpd = NULL;
	}
	ring_drain(w->ring, DRAIN_MS);
	return NULL;
}

int worker_start(struct worker *w)
{
	int err = -pthread_create(&w->thread, NULL, run, w);

	if (err)
		log_err("can't start a thread: %s", strerror(-err));
	w->running = !err;
	return err;
}

void worker_stop(struct worker *w)
{
	if (!w->running)
		return;
	w->stop.fn = stop;
	ring_post(w->ring, &w->stop);
	pthread_join(w->thread, NULL);
	w->running = false;
}

void worker_close(struct worker *w)
{
	/* A request that did not finish still holds its memory; so the process ends with it. */
	if (!w->ring || w->in_flight)
		return;
	if (w->admin)
		adminsock_close(w->admin);
	if (w->route)
		route_server_close(w->route);
	if (w->httpd)
		httpd_close(w->httpd);
	if (w->admin || w->route || w->httpd)
		ring_drain(w->ring, DRAIN_MS);
	requests_free(w);
	auth_close(w->auth);
	keycache_clear(&w->keys);
	store_port_close(w->port);
	if (w->pool)
		hsm_port_close(w->pool);
	ring_destroy(w->ring);
	w->ring = NULL;
}
