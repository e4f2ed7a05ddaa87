// SPDX-License-Identifier: Apache-2.0
/*
 * One connection.  Bytes go: shared receive buffer -> BIO -> SSL_read -> rx -> handler -> SSL_write
 * -> BIO -> tx -> send.  At most one receive and one send are in flight; while a request is with the
 * handler nothing is received, so a client that floods is held back by TCP.
 */
#include "httpd_conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apierr.h"
#include "log.h"

#define SMALL 4096		/* bytes of a buffer that is worth keeping */
#define MAX_PENDING 65536	/* bytes of responses beyond which no further request is taken */

struct httpd_conn {
	struct httpd *h;
	struct httpd_conn *prev, *next;
	SSL *ssl;
	int fd;
	enum httpd_wait wait;
	uint64_t deadline;	/* ms, of ring_now() */

	bool receiving, sending, posted;	/* with the ring */
	bool owed;		/* a request is with the handler */
	bool pumping;
	bool eof;		/* the peer's FIN */
	bool last;		/* no further request is taken */
	bool broken;		/* TLS failed: no close_notify */
	bool notified, shut;	/* close_notify queued; our FIN sent */
	bool dead, aborted;	/* to be freed as soon as nobody holds it; socket shut down for that */

	struct ring_op recv_op, send_op;
	struct ring_work work;
	struct httpd_rx *rx;
	struct httpd_tx *tx, *in_flight;
	const uint8_t *in;	/* records that SSL has not read yet: in a shared buffer or in stash */
	size_t in_left;
	uint8_t *stash;

	char peer[INET6_ADDRSTRLEN + sizeof("[]:65535")];
	_Alignas(16) uint8_t data[HTTPD_CONN_DATA];
};

/* ---- buffers ---- */

static struct httpd_rx *rx_get(struct httpd *h)
{
	struct httpd_rx *rx = h->spare_rx;

	if (rx) {
		h->spare_rx = rx->next;
		h->n_spare_rx--;
	} else {
		rx = malloc(sizeof(*rx) + SMALL);
		if (!rx)
			return NULL;
		rx->cap = SMALL;
	}
	rx->len = rx->need = rx->taken = 0;
	return rx;
}

static void rx_put(struct httpd *h, struct httpd_rx *rx)
{
	if (!rx)
		return;
	OPENSSL_cleanse(rx->data, rx->len);
	if (rx->cap != SMALL || h->n_spare_rx == HTTPD_SPARES) {
		free(rx);
		return;
	}
	rx->next = h->spare_rx;
	h->spare_rx = rx;
	h->n_spare_rx++;
}

/* Not realloc(): it would leave the plaintext behind. */
static bool rx_grow(struct httpd_conn *c)
{
	struct httpd_rx *old = c->rx, *rx;
	size_t cap = old->need > 2 * old->cap ? old->need : 2 * old->cap;

	rx = malloc(sizeof(*rx) + cap);
	if (!rx)
		return false;
	rx->cap = cap;
	rx->len = old->len;
	rx->need = old->need;
	rx->taken = old->taken;
	memcpy(rx->data, old->data, old->len);
	rx_put(c->h, old);
	c->rx = rx;
	return true;
}

/* Drops the request that was handed out. */
static void rx_consume(struct httpd_conn *c)
{
	struct httpd_rx *rx = c->rx;
	size_t rest = rx->len - rx->taken;

	if (!rest) {
		rx_put(c->h, rx);
		c->rx = NULL;
		return;
	}
	memmove(rx->data, rx->data + rx->taken, rest);
	OPENSSL_cleanse(rx->data + rest, rx->taken);
	rx->len = rest;
	rx->taken = rx->need = 0;
}

static void tx_put(struct httpd *h, struct httpd_tx *tx)
{
	if (!tx)
		return;
	if (tx->cap != SMALL || h->n_spare_tx == HTTPD_SPARES) {
		free(tx);
		return;
	}
	tx->next = h->spare_tx;
	h->spare_tx = tx;
	h->n_spare_tx++;
}

static bool tx_append(struct httpd_conn *c, const void *data, size_t len)
{
	struct httpd *h = c->h;
	struct httpd_tx *tx = c->tx;
	size_t total = (tx ? tx->len : 0) + len;

	if (!tx && len <= SMALL && h->spare_tx) {
		tx = h->spare_tx;
		h->spare_tx = tx->next;
		h->n_spare_tx--;
		tx->len = tx->off = 0;
		c->tx = tx;
	}
	if (!tx || total > tx->cap) {
		size_t cap = tx ? 2 * tx->cap : SMALL;
		struct httpd_tx *mem;

		while (cap < total)
			cap *= 2;
		mem = realloc(tx, sizeof(*mem) + cap);
		if (!mem)
			return false;
		if (!tx)
			mem->len = mem->off = 0;
		mem->cap = cap;
		c->tx = tx = mem;
	}
	memcpy(tx->data + tx->len, data, len);
	tx->len = total;
	return true;
}

static size_t pending(const struct httpd_conn *c)
{
	return (c->tx ? c->tx->len : 0) + (c->in_flight ? c->in_flight->len - c->in_flight->off : 0);
}

/* ---- the BIO under SSL: c->in to read from, c->tx to write to ---- */

static int bio_read(BIO *bio, char *out, int len)
{
	struct httpd_conn *c = BIO_get_data(bio);
	size_t n = c->in_left < (size_t)len ? c->in_left : (size_t)len;

	BIO_clear_retry_flags(bio);
	if (!n) {
		if (c->eof)
			return 0;
		BIO_set_retry_read(bio);
		return -1;
	}
	memcpy(out, c->in, n);
	c->in += n;
	c->in_left -= n;
	return (int)n;
}

static int bio_write(BIO *bio, const char *data, int len)
{
	struct httpd_conn *c = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	return len > 0 && tx_append(c, data, (size_t)len) ? len : -1;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	const struct httpd_conn *c = BIO_get_data(bio);

	(void)num, (void)ptr;
	switch (cmd) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_EOF:
		return c->eof && !c->in_left;
	case BIO_CTRL_PENDING:
		return (long)c->in_left;
	}
	return 0;
}

static BIO_METHOD *bio_method;
static pthread_once_t bio_once = PTHREAD_ONCE_INIT;

static void make_bio_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "httpd");

	if (m && BIO_meth_set_read(m, bio_read) && BIO_meth_set_write(m, bio_write) &&
	    BIO_meth_set_ctrl(m, bio_ctrl))
		bio_method = m;
}

static SSL *make_ssl(struct httpd_conn *c)
{
	SSL *ssl;
	BIO *bio;

	pthread_once(&bio_once, make_bio_method);
	if (!bio_method)
		return NULL;
	ssl = SSL_new(c->h->tls);
	if (!ssl)
		return NULL;
	bio = BIO_new(bio_method);
	if (!bio) {
		SSL_free(ssl);
		return NULL;
	}
	BIO_set_data(bio, c);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	SSL_set_accept_state(ssl);
	return ssl;
}

/* ---- waiting ---- */

uint64_t httpd_conn_deadline(const struct httpd_conn *c)
{
	return c->deadline;
}

struct httpd_conn *httpd_conn_next(const struct httpd_conn *c)
{
	return c->next;
}

static void list_remove(struct httpd_conn *c)
{
	struct httpd_list *l = &c->h->waits[c->wait];

	*(c->prev ? &c->prev->next : &l->first) = c->next;
	*(c->next ? &c->next->prev : &l->last) = c->prev;
}

static void list_append(struct httpd_conn *c, enum httpd_wait wait)
{
	struct httpd_list *l = &c->h->waits[wait];

	c->wait = wait;
	c->deadline = ring_now(c->h->ring) + c->h->wait_ms[wait];
	c->next = NULL;
	c->prev = l->last;
	*(l->last ? &l->last->next : &l->first) = c;
	l->last = c;
}

/* A wait that goes on keeps its deadline. */
static void set_wait(struct httpd_conn *c, enum httpd_wait wait)
{
	if (c->wait == wait)
		return;
	list_remove(c);
	list_append(c, wait);
}

/* ---- the state machine ---- */

static void conn_free(struct httpd_conn *c)
{
	struct httpd *h = c->h;

	list_remove(c);
	SSL_free(c->ssl);
	rx_put(h, c->rx);
	tx_put(h, c->tx);
	tx_put(h, c->in_flight);
	free(c->stash);
	close(c->fd);
	free(c);
	httpd_conn_gone(h);
}

static void write_plain(struct httpd_conn *c, const void *data, size_t len)
{
	if (!len)
		return;
	ERR_clear_error();
	if (SSL_write(c->ssl, data, (int)len) != (int)len)
		c->broken = c->dead = true;
}

static void write_reply(struct httpd_conn *c, const struct http_reply *rep, bool head_only)
{
	char buf[SMALL];
	int len = head_only ? -ENOSPC : http_write(rep, buf, sizeof(buf));

	if (len >= 0) {
		write_plain(c, buf, (size_t)len);
		OPENSSL_cleanse(buf, (size_t)len);
	} else {
		len = http_write_head(rep, buf, sizeof(buf));
		if (len < 0 || rep->body_len > INT32_MAX) {
			c->dead = true;
			return;
		}
		write_plain(c, buf, (size_t)len);
		if (!c->dead && !head_only)
			write_plain(c, rep->body, rep->body_len);
	}
	if (!rep->keep_alive)
		c->last = true;
}

static void refuse(struct httpd_conn *c, int status)
{
	struct http_reply rep = { .status = status, .keep_alive = false };
	char body[256];
	int len;

	if (status == 413) {
		len = api_error_body(API_TOO_LARGE, "The request's body is larger than this service takes.",
				     body, sizeof(body));
		if (len > 0) {
			rep.body = body;
			rep.body_len = (size_t)len;
		}
	}
	log_debug("%s: refused with HTTP status %d", c->peer, status);
	write_reply(c, &rep, false);
}

/* Hands out the request at the start of rx, if it is whole.  False: more is needed. */
static bool next_request(struct httpd_conn *c)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct httpd_rx *rx = c->rx;
	int ret;

	if (!rx || !rx->len || rx->len < rx->need)
		return false;
	ret = http_parse(rx->data, rx->len, &rx->req, &rx->need);
	if (ret < 0) {
		refuse(c, -ret);
		return true;
	}
	if (!ret) {
		/* Once: with need known, the next look is at the whole request. */
		if (rx->need && rx->req.expect_continue)
			write_plain(c, go_on, sizeof(go_on) - 1);
		return false;
	}
	rx->taken = (size_t)ret;
	c->owed = true;
	c->h->fn(c->h->arg, c, &rx->req);
	return true;
}

static bool has_input(const struct httpd_conn *c)
{
	return c->in_left || c->eof || SSL_has_pending(c->ssl);
}

static bool read_more(struct httpd_conn *c)
{
	struct httpd_rx *rx;
	int n;

	if (!has_input(c))
		return false;
	if (!c->rx)
		c->rx = rx_get(c->h);
	/* http_parse() has refused what is too long for it before this grows far. */
	if (!c->rx || (c->rx->len == c->rx->cap && !rx_grow(c))) {
		c->dead = true;
		return false;
	}
	rx = c->rx;
	ERR_clear_error();
	n = SSL_read(c->ssl, rx->data + rx->len, (int)(rx->cap - rx->len));
	if (n > 0) {
		rx->len += (size_t)n;
		return true;
	}
	switch (SSL_get_error(c->ssl, n)) {
	case SSL_ERROR_WANT_READ:
		break;
	case SSL_ERROR_ZERO_RETURN:
		c->last = true;
		break;
	default:
		log_debug("%s: TLS: %s", c->peer, ERR_reason_error_string(ERR_peek_error()) ?: "failed");
		ERR_clear_error();
		c->last = c->broken = true;
	}
	return false;
}

static void pump(struct httpd_conn *c)
{
	c->pumping = true;
	while (!c->owed && !c->last && !c->dead && pending(c) < MAX_PENDING)
		if (!next_request(c) && !read_more(c))
			break;
	c->pumping = false;
	if (c->rx && !c->rx->len) {
		rx_put(c->h, c->rx);
		c->rx = NULL;
	}
}

static void start_send(struct httpd_conn *c)
{
	struct io_uring_sqe *sqe;
	struct httpd_tx *tx;

	if (c->sending || (!c->tx && !c->in_flight))
		return;
	if (!c->in_flight) {
		c->in_flight = c->tx;
		c->tx = NULL;
	}
	tx = c->in_flight;
	sqe = ring_sqe(c->h->ring, &c->send_op);
	io_uring_prep_send(sqe, c->fd, tx->data + tx->off, tx->len - tx->off, MSG_NOSIGNAL | MSG_WAITALL);
	c->sending = true;
}

static void start_receive(struct httpd_conn *c)
{
	struct io_uring_sqe *sqe = ring_sqe(c->h->ring, &c->recv_op);

	io_uring_prep_recv(sqe, c->fd, NULL, 0, 0);
	/* Hardly ever is there data yet: the attempt before the poll would be wasted. */
	sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
	ring_bufs_select(c->h->bufs, sqe);
	c->receiving = true;
}

/* After the last response: close_notify, then our FIN once all is sent, then the peer's. */
static void finish(struct httpd_conn *c)
{
	if (!c->notified) {
		c->notified = true;
		if (!c->broken && SSL_is_init_finished(c->ssl) && SSL_shutdown(c->ssl) < 0)
			ERR_clear_error();
	}
	if (c->shut || c->tx || c->in_flight)
		return;
	c->shut = true;
	/* Closing with input unread would reset the connection and lose the response. */
	if (c->eof)
		c->dead = true;
	else
		shutdown(c->fd, SHUT_WR);
}

static enum httpd_wait what_next(const struct httpd_conn *c)
{
	if (c->shut)
		return WAIT_LINGER;
	/* Whatever is sent meanwhile: TLS can be made to answer for ever, and that is no progress. */
	if (!c->last && !c->owed && !c->posted && (!SSL_is_init_finished(c->ssl) || (c->rx && c->rx->len)))
		return WAIT_REQUEST;
	if (c->sending)
		return WAIT_SEND;
	return c->owed || c->posted ? WAIT_NONE : WAIT_IDLE;
}

/* Brings what is with the ring in line with the connection's state; may free it. */
static void settle(struct httpd_conn *c)
{
	if (c->pumping)
		return;
	if (!c->dead && c->last && !c->owed)
		finish(c);
	if (c->dead) {
		set_wait(c, WAIT_NONE);
		if ((c->receiving || c->sending) && !c->aborted) {
			c->aborted = true;
			shutdown(c->fd, SHUT_RDWR);
		}
		if (!c->receiving && !c->sending && !c->owed && !c->posted)
			conn_free(c);
		return;
	}
	start_send(c);
	if (!c->receiving && !c->eof &&
	    (c->shut || (!c->owed && !c->last && !c->posted && !c->in_left && pending(c) < MAX_PENDING)))
		start_receive(c);
	set_wait(c, what_next(c));
}

/* Records left over go to memory of our own. */
static void keep_rest(struct httpd_conn *c)
{
	uint8_t *mem = NULL;

	if (c->in_left && !c->dead && !c->last) {
		mem = malloc(c->in_left);
		if (mem)
			memcpy(mem, c->in, c->in_left);
		else
			c->dead = true;
	}
	if (!mem)
		c->in_left = 0;
	free(c->stash);
	c->stash = mem;
	c->in = mem;
}

static void received(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	struct httpd_conn *c = (struct httpd_conn *)((char *)op - offsetof(struct httpd_conn, recv_op));

	(void)extra;
	c->receiving = false;
	if (res == 0)
		c->eof = true;
	else if (res < 0 && res != -ENOBUFS && res != -EINTR)
		c->dead = true;
	if (res > 0 && !c->shut) {
		c->in = ring_bufs_get(c->h->bufs, flags);
		c->in_left = (size_t)res;
	}
	if (c->shut && c->eof)
		c->dead = true;
	if (!c->dead && !c->shut && (res > 0 || c->eof)) {
		pump(c);
		keep_rest(c);
	}
	if (flags & IORING_CQE_F_BUFFER)
		ring_bufs_put(c->h->bufs, flags);
	settle(c);
}

static void pump_again(struct httpd_conn *c)
{
	if (!c->dead && !c->shut) {
		pump(c);
		if (!c->in_left) {
			free(c->stash);
			c->stash = NULL;
		}
	}
	settle(c);
}

static bool can_go_on(const struct httpd_conn *c)
{
	return !c->dead && !c->last && !c->owed && ((c->rx && c->rx->len) || has_input(c));
}

static void sent(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	struct httpd_conn *c = (struct httpd_conn *)((char *)op - offsetof(struct httpd_conn, send_op));
	struct httpd_tx *tx = c->in_flight;

	(void)flags, (void)extra;
	c->sending = false;
	if (res <= 0 && res != -EINTR && res != -EAGAIN) {
		c->dead = true;
	} else if (res > 0) {
		tx->off += (size_t)res;
		if (tx->off == tx->len) {
			c->in_flight = NULL;
			tx_put(c->h, tx);
			/* Whatever is sent next has a deadline of its own. */
			if (c->wait == WAIT_SEND)
				set_wait(c, WAIT_NONE);
		}
	}
	/* A full output may have held back the input. */
	if (can_go_on(c) && !c->posted)
		pump_again(c);
	else
		settle(c);
}

static void worked(struct ring_work *w)
{
	struct httpd_conn *c = (struct httpd_conn *)((char *)w - offsetof(struct httpd_conn, work));

	c->posted = false;
	pump_again(c);
}

void httpd_reply(struct httpd_conn *c, int status, const char *request_id, const void *body, size_t len)
{
	struct http_reply rep = {
		.status = status, .request_id = request_id, .body = body, .body_len = len,
		.keep_alive = c->rx->req.keep_alive,
	};

	c->owed = false;
	/* To HEAD, what GET would get without its content: a client takes that for the next response. */
	if (!c->dead)
		write_reply(c, &rep, span_eq(c->rx->req.method, "HEAD"));
	/* Not before: body may be part of the request. */
	rx_consume(c);
	/* The next request has a deadline of its own. */
	set_wait(c, WAIT_NONE);
	if (c->pumping)
		return;
	if (can_go_on(c) && !c->posted) {
		c->posted = true;
		ring_post(c->h->ring, &c->work);
	}
	settle(c);
}

void httpd_conn_kill(struct httpd_conn *c)
{
	c->dead = true;
	settle(c);
}

void httpd_conn_expired(struct httpd_conn *c)
{
	log_debug("%s: closed, %s", c->peer, c->wait == WAIT_IDLE ? "idle" : "too slow");
	if (c->wait != WAIT_IDLE) {
		httpd_conn_kill(c);
		return;
	}
	c->last = true;
	settle(c);
}

/* ---- begin ---- */

static void name_peer(struct httpd_conn *c)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof(a);
	char text[INET6_ADDRSTRLEN] = "?";

	if (getpeername(c->fd, (struct sockaddr *)&a, &len))
		a.ss_family = AF_UNSPEC;
	if (a.ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)&a;

		inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
		snprintf(c->peer, sizeof(c->peer), "%s:%u", text, ntohs(in->sin_port));
	} else if (a.ss_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)&a;

		inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof(text));
		snprintf(c->peer, sizeof(c->peer), "[%s]:%u", text, ntohs(in->sin6_port));
	} else {
		snprintf(c->peer, sizeof(c->peer), "?");
	}
}

void httpd_conn_start(struct httpd *h, int fd)
{
	struct httpd_conn *c = calloc(1, sizeof(*c));

	if (!c)
		goto err;
	c->h = h;
	c->fd = fd;
	c->recv_op.done = received;
	c->send_op.done = sent;
	c->work.fn = worked;
	c->ssl = make_ssl(c);
	if (!c->ssl)
		goto err;
	name_peer(c);
	list_append(c, WAIT_REQUEST);
	settle(c);
	return;
err:
	log_err("no memory for a connection");
	ERR_clear_error();
	free(c);
	close(fd);
	httpd_conn_gone(h);
}

void *httpd_conn_data(struct httpd_conn *c)
{
	return c->data;
}

const char *httpd_peer(const struct httpd_conn *c)
{
	return c->peer;
}
