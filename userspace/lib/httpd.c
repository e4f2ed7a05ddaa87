// SPDX-License-Identifier: Apache-2.0
#include "httpd_conn.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"

#define BACKLOG 1024
#define N_BUFS 32
#define BUF_BYTES 4096
#define LINGER_MS 1000
#define MIN_TICK_MS 20
#define MAX_TICK_MS 500

static void arm_accept(struct httpd *h)
{
	struct io_uring_sqe *sqe;

	if (h->accepting || h->closed || h->n_conns >= h->max_conns)
		return;
	sqe = ring_sqe(h->ring, &h->accept_op);
	io_uring_prep_multishot_accept(sqe, h->fd, NULL, NULL, SOCK_CLOEXEC);
	h->accepting = true;
}

static void arm_tick(struct httpd *h)
{
	if (h->ticking || h->closed)
		return;
	ring_timer_start(h->ring, &h->tick, h->tick_ms);
	h->ticking = true;
}

static void httpd_free(struct httpd *h)
{
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

	(void)extra;
	if (!(flags & IORING_CQE_F_MORE))
		h->accepting = false;
	if (res >= 0 && h->closed) {
		close(res);
	} else if (res >= 0) {
		h->n_conns++;
		arm_tick(h);
		httpd_conn_start(h, res);
		if (h->n_conns >= h->max_conns && h->accepting)
			ring_cancel(h->ring, &h->accept_op);
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

static int open_socket(const struct httpd_config *cfg, unsigned int *port)
{
	struct sockaddr_storage bound;
	socklen_t len = sizeof(bound);
	int one = 1, err;
	int fd = socket(cfg->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	/* Accepted sockets inherit TCP_NODELAY. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) ||
	    bind(fd, (const struct sockaddr *)&cfg->addr, cfg->addr_len) ||
	    listen(fd, BACKLOG) || getsockname(fd, (struct sockaddr *)&bound, &len)) {
		err = -errno;
		close(fd);
		return err;
	}
	if (bound.ss_family == AF_INET6)
		*port = ntohs(((struct sockaddr_in6 *)&bound)->sin6_port);
	else
		*port = ntohs(((struct sockaddr_in *)&bound)->sin_port);
	return fd;
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
	h->fd = open_socket(cfg, &h->port);
	if (h->fd < 0) {
		err = h->fd;
		goto err;
	}
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
	return h->port;
}
