// SPDX-License-Identifier: Apache-2.0
/* Administration socket: the daemon's side on its ring, and the client's, synchronous. */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "adminsock.h"
#include "log.h"
#include "predecessor.h"

#define MAX_CONNS	16
#define MAX_REPLY	(16u << 20)	/* what the client takes */
#define CLIENT_WAIT_S	60
#define FIRST_BUF	1024
#define ACCEPT_RETRY_MS	100

struct admin_call {
	struct ring_op op;
	struct adminsock *sock;		/* NULL once the socket was closed */
	struct ring *ring;
	struct admin_call *next;
	int fd;
	bool busy;			/* an operation of the ring is under way */
	bool asked;			/* the handler owes an answer */
	bool gone;			/* ends as soon as neither is */
	bool last;			/* ends after its answer */
	json_t *in;
	char *out;
	size_t out_len, out_sent, out_cap;
	char *buf;
	size_t len, cap;
};

struct adminsock {
	struct ring_op accept_op;
	struct ring_timer retry;	/* after a failed accept */
	struct ring *ring;
	admin_fn fn;
	void *arg;
	int fd;
	bool accepting, retrying, closed;
	unsigned int n_conns;
	struct admin_call *conns;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

static void wipe_free(char *p, size_t len)
{
	if (p)
		explicit_bzero(p, len);
	free(p);
}

static int set_addr(struct sockaddr_un *sa, const char *path)
{
	size_t len = strlen(path);

	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (len >= sizeof(sa->sun_path))
		return -ENAMETOOLONG;
	memcpy(sa->sun_path, path, len + 1);
	return 0;
}

/* ---- connections ---- */

static void accept_next(struct adminsock *s);
static void conn_read(struct admin_call *c);

static void conn_free(struct admin_call *c)
{
	struct adminsock *s = c->sock;

	if (s) {
		struct admin_call **pp = &s->conns;

		while (*pp != c)
			pp = &(*pp)->next;
		*pp = c->next;
		s->n_conns--;
		accept_next(s);
	}
	close(c->fd);
	json_decref(c->in);
	wipe_free(c->out, c->out_cap);
	wipe_free(c->buf, c->cap);
	free(c);
}

static void conn_end(struct admin_call *c)
{
	c->gone = true;
	if (!c->busy && !c->asked)
		conn_free(c);
}

static void conn_sent(struct ring_op *op, int res, uint32_t flags, uint64_t extra);

static void conn_send(struct admin_call *c)
{
	struct io_uring_sqe *sqe;

	c->op.done = conn_sent;
	c->busy = true;
	sqe = ring_sqe(c->ring, &c->op);
	io_uring_prep_send(sqe, c->fd, c->out + c->out_sent, c->out_len - c->out_sent, MSG_NOSIGNAL);
}

static void handle_line(struct admin_call *c)
{
	char *nl = memchr(c->buf, '\n', c->len);
	json_error_t why;
	size_t line;

	if (!nl) {
		if (c->len >= ADMIN_MAX_LINE) {
			c->asked = true;
			c->last = true;
			admin_refuse(c, "request longer than %d bytes", ADMIN_MAX_LINE);
			return;
		}
		conn_read(c);
		return;
	}
	line = (size_t)(nl - c->buf) + 1;
	c->in = json_loadb(c->buf, line, JSON_REJECT_DUPLICATES, &why);
	explicit_bzero(c->buf, line);
	memmove(c->buf, c->buf + line, c->len - line);
	c->len -= line;
	c->asked = true;
	if (!json_is_object(c->in)) {
		admin_refuse(c, "not a JSON object");
		return;
	}
	c->sock->fn(c->sock->arg, c, c->in);
}

static void conn_sent(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	struct admin_call *c = (struct admin_call *)op;

	(void)flags, (void)extra;
	c->busy = false;
	if (res <= 0) {
		conn_end(c);
		return;
	}
	c->out_sent += (size_t)res;
	if (c->out_sent < c->out_len) {
		conn_send(c);
		return;
	}
	wipe_free(c->out, c->out_cap);
	c->out = NULL;
	c->out_cap = c->out_len = c->out_sent = 0;
	if (c->gone || c->last || !c->sock)
		conn_end(c);
	else
		handle_line(c);
}

static void conn_received(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	struct admin_call *c = (struct admin_call *)op;

	(void)flags, (void)extra;
	c->busy = false;
	if (res <= 0 || c->gone || !c->sock) {
		conn_end(c);
		return;
	}
	c->len += (size_t)res;
	handle_line(c);
}

static int grow(struct admin_call *c)
{
	size_t cap = c->cap ? c->cap * 2 : FIRST_BUF;
	char *p;

	if (c->len < c->cap)
		return 0;
	p = malloc(cap);
	if (!p)
		return -ENOMEM;
	if (c->len)
		memcpy(p, c->buf, c->len);
	wipe_free(c->buf, c->cap);
	c->buf = p;
	c->cap = cap;
	return 0;
}

static void conn_read(struct admin_call *c)
{
	struct io_uring_sqe *sqe;

	if (grow(c)) {
		conn_end(c);
		return;
	}
	c->op.done = conn_received;
	c->busy = true;
	sqe = ring_sqe(c->ring, &c->op);
	io_uring_prep_recv(sqe, c->fd, c->buf + c->len, c->cap - c->len, 0);
}

void admin_answer(struct admin_call *c, json_t *out)
{
	static const char oom[] = "{\"ok\": false, \"error\": \"out of memory\"}\n";
	size_t need;

	json_decref(c->in);
	c->in = NULL;
	c->asked = false;
	if (c->gone || !c->sock) {
		json_decref(out);
		conn_end(c);
		return;
	}
	if (out && !json_object_get(out, "ok") && json_object_set_new(out, "ok", json_true())) {
		json_decref(out);
		out = NULL;
	}
	need = out ? json_dumpb(out, NULL, 0, JSON_COMPACT) : sizeof(oom) - 2;
	c->out_cap = need + 1;
	c->out = need ? malloc(c->out_cap) : NULL;
	if (!c->out) {
		json_decref(out);
		conn_end(c);
		return;
	}
	if (out)
		json_dumpb(out, c->out, need, JSON_COMPACT);
	else
		memcpy(c->out, oom, need);
	json_decref(out);
	c->out[need] = '\n';
	c->out_len = c->out_cap;
	c->out_sent = 0;
	conn_send(c);
}

void admin_refuse(struct admin_call *c, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	admin_answer(c, json_pack("{s:b, s:s}", "ok", 0, "error", text));
}

/* ---- the listening socket ---- */

static bool peer_allowed(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) || len != sizeof(cred))
		return false;
	if (!cred.uid || cred.uid == geteuid())
		return true;
	log_warn("administration socket: refused uid %u, pid %d", (unsigned int)cred.uid, (int)cred.pid);
	return false;
}

static void free_if_done(struct adminsock *s)
{
	if (s->closed && !s->accepting && !s->retrying)
		free(s);
}

static void retried(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	struct adminsock *s = (struct adminsock *)((char *)op - offsetof(struct adminsock, retry.op));

	(void)res, (void)flags, (void)extra;
	s->retrying = false;
	accept_next(s);
	free_if_done(s);
}

/* Whatever failed, most likely descriptors or memory, may come back; asking at once would only spin. */
static void retry_accept(struct adminsock *s, int err)
{
	log_warn("administration socket %s: accept: %s", s->path, strerror(-err));
	s->retry.op.done = retried;
	s->retrying = true;
	ring_timer_start(s->ring, &s->retry, ACCEPT_RETRY_MS);
}

static void accepted(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	struct adminsock *s = (struct adminsock *)op;
	struct admin_call *c;

	(void)flags, (void)extra;
	s->accepting = false;
	if (s->closed) {
		if (res >= 0)
			close(res);
		free_if_done(s);
		return;
	}
	if (res < 0) {
		retry_accept(s, res);
		return;
	}
	c = peer_allowed(res) ? calloc(1, sizeof(*c)) : NULL;
	if (!c) {
		close(res);
		accept_next(s);
		return;
	}
	c->sock = s;
	c->ring = s->ring;
	c->fd = res;
	c->next = s->conns;
	s->conns = c;
	s->n_conns++;
	accept_next(s);
	conn_read(c);
}

/* Further clients wait in the backlog while there are enough. */
static void accept_next(struct adminsock *s)
{
	struct io_uring_sqe *sqe;

	if (s->accepting || s->retrying || s->closed || s->n_conns >= MAX_CONNS)
		return;
	s->accept_op.done = accepted;
	s->accepting = true;
	sqe = ring_sqe(s->ring, &s->accept_op);
	io_uring_prep_accept(sqe, s->fd, NULL, NULL, SOCK_CLOEXEC);
}

/* 0 if nothing listens at the address any more and it is free to bind. */
static int clear_stale(const struct sockaddr_un *sa)
{
	struct stat st;
	int fd, err;

	if (lstat(sa->sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	err = connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) ? -errno : 0;
	close(fd);
	if (err != -ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(sa->sun_path) && errno != ENOENT ? -errno : 0;
}

int adminsock_listen(struct ring *ring, const char *path, admin_fn fn, void *arg, struct adminsock **out)
{
	unsigned int waited_ms = 0;
	struct sockaddr_un sa;
	struct adminsock *s;
	int err;

	*out = NULL;
	err = set_addr(&sa, path);
	if (err)
		return err;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->ring = ring;
	s->fn = fn;
	s->arg = arg;
	memcpy(s->path, sa.sun_path, sizeof(s->path));
	do
		err = clear_stale(&sa);
	while (err == -EADDRINUSE && predecessor_wait(&waited_ms));
	if (err)
		goto fail;
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0) {
		err = -errno;
		goto fail;
	}
	/* The file takes its mode from the socket: it is never wider, not even for a moment. */
	if (fchmod(s->fd, 0600) || bind(s->fd, (struct sockaddr *)&sa, sizeof(sa))) {
		err = -errno;
		goto fail_fd;
	}
	if (listen(s->fd, MAX_CONNS)) {
		err = -errno;
		unlink(path);
		goto fail_fd;
	}
	accept_next(s);
	*out = s;
	return 0;
fail_fd:
	close(s->fd);
fail:
	free(s);
	return err;
}

void adminsock_close(struct adminsock *s)
{
	if (!s)
		return;
	s->closed = true;
	unlink(s->path);
	while (s->conns) {
		struct admin_call *c = s->conns;

		s->conns = c->next;
		c->sock = NULL;
		shutdown(c->fd, SHUT_RDWR);
		conn_end(c);
	}
	if (s->accepting)
		ring_cancel(s->ring, &s->accept_op);
	if (s->retrying)
		ring_cancel(s->ring, &s->retry.op);
	close(s->fd);
	free_if_done(s);
}

/* ---- the client's side ---- */

static int send_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int send_object(int fd, const json_t *in)
{
	size_t need = json_dumpb(in, NULL, 0, JSON_COMPACT);
	char *p;
	int err;

	if (!need)
		return -EINVAL;
	if (need >= ADMIN_MAX_LINE)
		return -EMSGSIZE;
	p = malloc(need + 1);
	if (!p)
		return -ENOMEM;
	json_dumpb(in, p, need, JSON_COMPACT);
	p[need] = '\n';
	err = send_all(fd, p, need + 1);
	wipe_free(p, need + 1);
	return err;
}

static int recv_object(int fd, json_t **out)
{
	size_t cap = 4096, len = 0;
	char *buf = malloc(cap), *bigger;
	ssize_t n;
	int err = 0;

	if (!buf)
		return -ENOMEM;
	for (;;) {
		if (len == cap) {
			if (cap >= MAX_REPLY) {
				err = -EMSGSIZE;
				break;
			}
			bigger = malloc(cap * 2);
			if (!bigger) {
				err = -ENOMEM;
				break;
			}
			memcpy(bigger, buf, len);
			wipe_free(buf, cap);
			buf = bigger;
			cap *= 2;
		}
		n = recv(fd, buf + len, cap - len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err = !n ? -ECONNRESET : errno == EAGAIN ? -ETIMEDOUT : -errno;
			break;
		}
		len += (size_t)n;
		if (buf[len - 1] == '\n') {
			*out = json_loadb(buf, len, JSON_REJECT_DUPLICATES, NULL);
			if (!json_is_object(*out)) {
				json_decref(*out);
				*out = NULL;
				err = -EBADMSG;
			}
			break;
		}
	}
	wipe_free(buf, cap);
	return err;
}

int admin_request(const char *path, const json_t *in, json_t **out)
{
	const struct timeval wait = { .tv_sec = CLIENT_WAIT_S };
	struct sockaddr_un sa;
	int fd, err;

	*out = NULL;
	err = set_addr(&sa, path);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) ||
	    connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		err = -errno;
		goto out;
	}
	err = send_object(fd, in);
	if (!err)
		err = recv_object(fd, out);
out:
	close(fd);
	return err;
}
