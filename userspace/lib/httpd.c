// SPDX-License-Identifier: Apache-2.0
#include "httpd_conn.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "predecessor.h"

#define BACKLOG 1024
#define N_BUFS 32
#define BUF_BYTES 4096
#define LINGER_MS 1000
#define MIN_TICK_MS 20
#define MAX_TICK_MS 500

static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static struct httpd *open_list;

static void arm_accept(struct httpd *h)
{
	struct io_uring_sqe *sqe;

	if (h->accepting || h->closed)
		return;
	if (h->n_conns >= h->max_conns) {
		/*
		 * At once, not politely: peers that take no leave would hold the place for another second.
		 * Its end calls here again.
		 */
		if (h->waits[WAIT_IDLE].first)
			httpd_conn_kill(h->waits[WAIT_IDLE].first);
		return;
	}
	/* Not multishot: that takes whatever waits, and the limit would be seen afterwards. */
	sqe = ring_sqe(h->ring, &h->accept_op);
	io_uring_prep_accept(sqe, h->fd, NULL, NULL, SOCK_CLOEXEC);
	h->accepting = true;
}

static void arm_tick(struct httpd *h)
{
	if (h->ticking || h->closed)
		return;
	ring_timer_start(h->ring, &h->tick, h->tick_ms);
	h->ticking = true;
}

static void forget(struct httpd *h)
{
	pthread_mutex_lock(&open_lock);
	for (struct httpd **p = &open_list; *p; p = &(*p)->next_open) {
		if (*p == h) {
			*p = h->next_open;
			break;
		}
	}
	pthread_mutex_unlock(&open_lock);
}

static void httpd_free(struct httpd *h)
{
	forget(h);
	while (h->spare_rx) {
		struct httpd_rx *rx = h->spare_rx;

		h->spare_rx = rx->next;
		free(rx);
	}
	while (h->spare_tx) {
		struct httpd_tx *tx = h->spare_tx;

		h->spare_tx = tx->next;
		free(tx);
	}
	ring_bufs_destroy(h->bufs);
	SSL_CTX_free(h->tls);
	if (h->fd >= 0)
		close(h->fd);
	free(h);
}

static void free_if_done(struct httpd *h)
{
	if (h->closed && !h->n_conns && !h->accepting && !h->ticking)
		httpd_free(h);
}

void httpd_conn_gone(struct httpd *h)
{
	h->n_conns--;
	arm_accept(h);
	free_if_done(h);
}

static void accepted(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	struct httpd *h = (struct httpd *)((char *)op - offsetof(struct httpd, accept_op));

	(void)flags, (void)extra;
	h->accepting = false;
	if (res >= 0 && h->closed) {
		close(res);
	} else if (res >= 0) {
		h->n_conns++;
		arm_tick(h);
		httpd_conn_start(h, res);
		arm_accept(h);
	} else if (!h->closed && res != -ECANCELED) {
		/* Out of descriptors or memory, most likely: the tick tries again. */
		log_warn("accept: %s", strerror(-res));
		arm_tick(h);
	} else {
		arm_accept(h);
	}
	free_if_done(h);
}

static void ticked(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	struct httpd *h = (struct httpd *)((char *)op - offsetof(struct httpd, tick.op));
	uint64_t now = ring_now(h->ring);

	(void)res, (void)flags, (void)extra;
	/* Connections that end here must not free h under us. */
	for (int i = WAIT_NONE + 1; i < N_WAITS && !h->closed; i++) {
		while (h->waits[i].first && httpd_conn_deadline(h->waits[i].first) <= now)
			httpd_conn_expired(h->waits[i].first);
	}
	h->ticking = false;
	if (h->n_conns || !h->accepting)
		arm_tick(h);
	arm_accept(h);
	free_if_done(h);
}

static uint16_t port_of(const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)a)->sin6_port);
	return ntohs(((const struct sockaddr_in *)a)->sin_port);
}

static int bind_new(const struct httpd_config *cfg, bool share, int *out)
{
	int one = 1, err;
	int fd = socket(cfg->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    (share && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one))) ||
	    bind(fd, (const struct sockaddr *)&cfg->addr, cfg->addr_len)) {
		err = -errno;
		close(fd);
		return err;
	}
	*out = fd;
	return 0;
}

/*
 * Workers share the port by SO_REUSEPORT, and so could any other process of this user, which
 * would then silently get some of the clients.  So a process's first listener looks whether
 * the address is free without sharing.
 */
static int open_socket(struct httpd *h, const struct httpd_config *cfg)
{
	socklen_t len = sizeof(h->addr);
	unsigned int waited_ms = 0;
	bool ours = false;
	int one = 1, fd, err = 0;

	pthread_mutex_lock(&open_lock);
	for (struct httpd *o = open_list; o; o = o->next_open)
		ours |= port_of(&o->addr) == port_of(&cfg->addr);
	if (!ours) {
		do
			err = bind_new(cfg, false, &fd);
		while (err == -EADDRINUSE && predecessor_wait(&waited_ms));
		if (!err)
			close(fd);
	}
	if (!err)
		err = bind_new(cfg, true, &h->fd);
	/* Accepted sockets inherit TCP_NODELAY. */
	if (!err && (setsockopt(h->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) || listen(h->fd, BACKLOG) ||
		     getsockname(h->fd, (struct sockaddr *)&h->addr, &len)))
		err = -errno;
	if (!err) {
		h->next_open = open_list;
		open_list = h;
	}
	pthread_mutex_unlock(&open_lock);
	return err;
}

int httpd_listen(struct ring *ring, const struct httpd_config *cfg, httpd_fn fn, void *arg, struct httpd **out)
{
	unsigned int least = cfg->idle_ms < cfg->request_ms ? cfg->idle_ms : cfg->request_ms;
	struct httpd *h;
	int err;

	if (!cfg->max_conns || !least)
		return -EINVAL;
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->ring = ring;
	h->fn = fn;
	h->arg = arg;
	h->max_conns = cfg->max_conns;
	h->wait_ms[WAIT_IDLE] = cfg->idle_ms;
	h->wait_ms[WAIT_REQUEST] = cfg->request_ms;
	h->wait_ms[WAIT_SEND] = cfg->request_ms;
	h->wait_ms[WAIT_LINGER] = LINGER_MS;
	h->tick_ms = least / 4;
	if (h->tick_ms < MIN_TICK_MS)
		h->tick_ms = MIN_TICK_MS;
	if (h->tick_ms > MAX_TICK_MS)
		h->tick_ms = MAX_TICK_MS;
	h->accept_op.done = accepted;
	h->tick.op.done = ticked;
	/* Connections may outlive the caller's use of it. */
	SSL_CTX_up_ref(cfg->tls);
	h->tls = cfg->tls;
	h->fd = -1;
	err = open_socket(h, cfg);
	if (err)
		goto err;
	err = ring_bufs_create(ring, N_BUFS, BUF_BYTES, &h->bufs);
	if (err)
		goto err;
	arm_accept(h);
	*out = h;
	return 0;
err:
	httpd_free(h);
	return err;
}

void httpd_close(struct httpd *h)
{
	if (!h)
		return;
	h->closed = true;
	/* Ends the listener at once, also for a ring that never runs again. */
	shutdown(h->fd, SHUT_RDWR);
	if (h->accepting)
		ring_cancel(h->ring, &h->accept_op);
	if (h->ticking)
		ring_cancel(h->ring, &h->tick.op);
	/* Held, so that the last connection does not free h. */
	h->n_conns++;
	for (int i = 0; i < N_WAITS; i++) {
		struct httpd_conn *c = h->waits[i].first;

		while (c) {
			struct httpd_conn *next = httpd_conn_next(c);

			httpd_conn_kill(c);
			c = next;
		}
	}
	httpd_conn_gone(h);
}

unsigned int httpd_port(const struct httpd *h)
{
	return port_of(&h->addr);
}
