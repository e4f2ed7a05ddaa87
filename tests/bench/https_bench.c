// SPDX-License-Identifier: Apache-2.0
/*
 * Requests per second over HTTPS keep-alive, two servers alternating.
 *
 *	https_bench --ca PEM [--threads N] [--connections N] [--seconds S] [--rounds N]
 *		    --target NAME,HOST,PORT,FILE[,PID...] --target ...
 *
 * FILE holds the requests to replay, each as "<bytes>\n<request>".  Requests are
 * signed beforehand, so that the loop costs the same for either server.  Each
 * connection has one request under way; connections and their handshakes are
 * made before a round's clock starts.  PIDs are the server's processes: their
 * processor time per request is printed too.  An answer other than 200 ends the
 * program.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "stats.h"

#define MAX_PIDS	16
#define MAX_REPLY	8192
#define WARM_UP_S	0.3

struct request {
	char *p;
	size_t len;
};

struct target {
	const char *name, *host, *port;
	struct request *requests;
	unsigned int n_requests;
	pid_t pids[MAX_PIDS];
	unsigned int n_pids;
	double rate[MAX_ROUNDS], cpu[MAX_ROUNDS];	/* requests/s; seconds per request */
	size_t reply_len;
};

struct conn {
	SSL *ssl;
	int fd;
	unsigned int next;		/* request to send */
	size_t have;
	char buf[MAX_REPLY];
};

struct worker {
	pthread_t thread;
	struct target *target;
	struct conn *conns;
	unsigned int n_conns;
	double seconds, rate;
	size_t reply_len;
};

static SSL_CTX *tls;
static pthread_barrier_t ready;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void tls_fail(const struct target *t, const char *what)
{
	fprintf(stderr, "https_bench: %s: %s\n", t->name, what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static void load_requests(struct target *t, const char *path)
{
	FILE *f = fopen(path, "re");
	size_t len;

	if (!f)
		err(1, "%s", path);
	while (fscanf(f, "%zu", &len) == 1 && fgetc(f) == '\n') {
		struct request *r;

		if (!len || len > 65536)
			errx(1, "%s: a request of %zu bytes", path, len);
		t->requests = realloc(t->requests, (t->n_requests + 1) * sizeof(*r));
		if (!t->requests)
			errx(1, "out of memory");
		r = &t->requests[t->n_requests++];
		r->len = len;
		r->p = malloc(len);
		if (!r->p || fread(r->p, 1, len, f) != len)
			errx(1, "%s: cut short", path);
	}
	fclose(f);
	if (!t->n_requests)
		errx(1, "%s: no requests", path);
}

static void parse_target(struct target *t, char *spec)
{
	char *part[4], *s = spec;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		part[i] = strsep(&s, ",");
		if (!part[i] || !*part[i])
			errx(2, "--target wants NAME,HOST,PORT,FILE[,PID...]");
	}
	t->name = part[0];
	t->host = part[1];
	t->port = part[2];
	load_requests(t, part[3]);
	while (s && t->n_pids < MAX_PIDS)
		t->pids[t->n_pids++] = atoi(strsep(&s, ","));
}

/* Processor seconds that the server has used so far. */
static double cpu_of(const struct target *t)
{
	double sum = 0;
	unsigned int i;

	for (i = 0; i < t->n_pids; i++) {
		unsigned long user = 0, sys = 0;
		char path[64];
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/stat", t->pids[i]);
		f = fopen(path, "re");
		/* Fields 14 and 15 of proc(5); the names that are measured have no blanks. */
		if (!f || fscanf(f, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys) != 2)
			errx(1, "no processor time of process %d", t->pids[i]);
		fclose(f);
		sum += (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
	}
	return sum;
}

static void open_conn(struct conn *c, const struct target *t)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *ai, *a;
	int rc = getaddrinfo(t->host, t->port, &hints, &ai), one = 1;

	if (rc)
		errx(1, "%s: %s", t->host, gai_strerror(rc));
	c->fd = -1;
	for (a = ai; a; a = a->ai_next) {
		c->fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (c->fd >= 0 && !connect(c->fd, a->ai_addr, a->ai_addrlen))
			break;
		if (c->fd >= 0)
			close(c->fd);
		c->fd = -1;
	}
	freeaddrinfo(ai);
	if (c->fd < 0)
		err(1, "%s: %s:%s", t->name, t->host, t->port);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->ssl = SSL_new(tls);
	if (!c->ssl || !SSL_set_fd(c->ssl, c->fd) || !SSL_set1_host(c->ssl, t->host) || SSL_connect(c->ssl) != 1)
		tls_fail(t, "TLS handshake");
	if (fcntl(c->fd, F_SETFL, O_NONBLOCK))
		err(1, "fcntl");
	c->have = 0;
}

static void close_conn(struct conn *c)
{
	SSL_shutdown(c->ssl);
	SSL_free(c->ssl);
	close(c->fd);
}

static void send_next(struct conn *c, const struct target *t)
{
	const struct request *r = &t->requests[c->next];

	c->next = (c->next + 1) % t->n_requests;
	/* A request is far smaller than an empty socket buffer: it never blocks. */
	if (SSL_write(c->ssl, r->p, (int)r->len) != (int)r->len)
		tls_fail(t, "send");
}

/* Length of the whole response at the start of the buffer, 0 if it is not all there. */
static size_t whole_reply(const struct conn *c, const struct target *t)
{
	const char *end = memmem(c->buf, c->have, "\r\n\r\n", 4), *p;
	size_t head, body = 0;

	if (!end)
		return 0;
	if (strncmp(c->buf, "HTTP/1.1 200 ", 13)) {
		fprintf(stderr, "https_bench: %s answers:\n%.*s\n", t->name, (int)c->have, c->buf);
		exit(1);
	}
	head = (size_t)(end - c->buf) + 4;
	for (p = c->buf; p < end; p = (const char *)memchr(p, '\n', head) + 1)
		if (!strncasecmp(p, "content-length:", 15)) {
			body = strtoul(p + 15, NULL, 10);
			break;
		}
	if (head + body >= MAX_REPLY)
		errx(1, "%s: a response of %zu bytes", t->name, head + body);
	return c->have >= head + body ? head + body : 0;
}

/* Takes what has come.  Number of responses (0 or 1). */
static unsigned int receive(struct conn *c, struct worker *w)
{
	for (;;) {
		int n = SSL_read(c->ssl, c->buf + c->have, (int)(MAX_REPLY - 1 - c->have));
		size_t len;

		if (n <= 0) {
			if (SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ)
				return 0;
			tls_fail(w->target, "the server closed a connection");
		}
		c->have += (size_t)n;
		c->buf[c->have] = '\0';
		len = whole_reply(c, w->target);
		if (len) {
			if (len != c->have)
				errx(1, "%s: more bytes than the response", w->target->name);
			w->reply_len = len;
			c->have = 0;
			return 1;
		}
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct epoll_event ev, evs[64];
	double start, t1;
	uint64_t done = 0;
	unsigned int i;
	bool warm = false;
	int ep = epoll_create1(EPOLL_CLOEXEC);

	if (ep < 0)
		err(1, "epoll_create1");
	for (i = 0; i < w->n_conns; i++) {
		open_conn(&w->conns[i], w->target);
		ev.events = EPOLLIN;
		ev.data.ptr = &w->conns[i];
		if (epoll_ctl(ep, EPOLL_CTL_ADD, w->conns[i].fd, &ev))
			err(1, "epoll_ctl");
	}
	pthread_barrier_wait(&ready);
	for (i = 0; i < w->n_conns; i++)
		send_next(&w->conns[i], w->target);
	start = now();
	for (;;) {
		int n = epoll_wait(ep, evs, 64, 5000), k;

		if (n == 0)
			errx(1, "%s: no answer in 5 s", w->target->name);
		if (n < 0 && errno != EINTR)
			err(1, "epoll_wait");
		for (k = 0; k < n; k++) {
			struct conn *c = evs[k].data.ptr;

			if (receive(c, w)) {
				done++;
				send_next(c, w->target);
			}
		}
		t1 = now();
		if (!warm && t1 - start >= WARM_UP_S) {
			warm = true;
			done = 0;
			start = t1;
		}
		if (warm && t1 - start >= w->seconds)
			break;
	}
	w->rate = (double)done / (t1 - start);
	for (i = 0; i < w->n_conns; i++)
		close_conn(&w->conns[i]);
	close(ep);
	return NULL;
}

static void round_of(struct target *t, unsigned int threads, unsigned int connections, double seconds, unsigned int r)
{
	struct worker *w = calloc(threads, sizeof(*w));
	double rate = 0, cpu;
	unsigned int i, k;

	if (!w || pthread_barrier_init(&ready, NULL, threads))
		errx(1, "out of memory");
	cpu = cpu_of(t);
	for (i = 0; i < threads; i++) {
		w[i].target = t;
		w[i].seconds = seconds;
		w[i].n_conns = connections / threads + (i < connections % threads);
		w[i].conns = calloc(w[i].n_conns, sizeof(*w[i].conns));
		if (!w[i].conns)
			errx(1, "out of memory");
		for (k = 0; k < w[i].n_conns; k++)
			w[i].conns[k].next = (i * 37 + k) % t->n_requests;
		if (pthread_create(&w[i].thread, NULL, work, &w[i]))
			errx(1, "pthread_create");
	}
	for (i = 0; i < threads; i++) {
		pthread_join(w[i].thread, NULL);
		rate += w[i].rate;
		t->reply_len = w[i].reply_len;
		free(w[i].conns);
	}
	t->rate[r] = rate;
	/* Handshakes and warm-up are in the processor time, so the warm-up's requests are counted. */
	t->cpu[r] = (cpu_of(t) - cpu) / (rate * (seconds + WARM_UP_S));
	pthread_barrier_destroy(&ready);
	free(w);
}

int main(int argc, char **argv)
{
	static const struct option opts[] = {
		{ "ca", required_argument, NULL, 'a' },
		{ "threads", required_argument, NULL, 't' },
		{ "connections", required_argument, NULL, 'c' },
		{ "seconds", required_argument, NULL, 's' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "target", required_argument, NULL, 'g' },
		{ 0 },
	};
	static struct target targets[2];
	unsigned int n = 0, threads = 1, connections = 32, rounds = 5, r, i;
	const char *ca = NULL;
	double seconds = 3, m, ratio;
	int c;

	while ((c = getopt_long(argc, argv, "", opts, NULL)) != -1) {
		switch (c) {
		case 'a':
			ca = optarg;
			break;
		case 't':
			threads = (unsigned int)atoi(optarg);
			break;
		case 'c':
			connections = (unsigned int)atoi(optarg);
			break;
		case 's':
			seconds = strtod(optarg, NULL);
			break;
		case 'r':
			rounds = (unsigned int)atoi(optarg);
			break;
		case 'g':
			if (n == 2)
				errx(2, "at most two targets");
			parse_target(&targets[n++], optarg);
			break;
		default:
			return 2;
		}
	}
	if (!ca || !n || !threads || connections < threads || !rounds || rounds > MAX_ROUNDS || seconds <= 0)
		errx(2, "usage: https_bench --ca PEM [--threads N] [--connections N] [--seconds S] [--rounds N] "
			"--target NAME,HOST,PORT,FILE[,PID...] ...");
	tls = SSL_CTX_new(TLS_client_method());
	if (!tls || !SSL_CTX_load_verify_locations(tls, ca, NULL))
		errx(1, "%s: no certificates", ca);
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(tls, SSL_MODE_AUTO_RETRY);

	for (r = 0; r < rounds; r++)
		for (i = 0; i < n; i++)
			round_of(&targets[(i + r) % n], threads, connections, seconds, r);
	ratio = median_ratio(targets[0].rate, targets[1].rate, rounds);
	for (i = 0; i < n; i++) {
		struct target *t = &targets[i];

		m = median(t->rate, rounds);
		printf("%-10s %9.0f requests/s (%.0f..%.0f), request %zu bytes, response %zu bytes", t->name, m,
		       t->rate[0], t->rate[rounds - 1], t->requests[0].len, t->reply_len);
		if (t->n_pids)
			printf(", server %.1f us of processor each", 1e6 * median(t->cpu, rounds));
		putchar('\n');
	}
	if (n == 2)
		printf("%s / %s: %.2f x requests/s\n", targets[0].name, targets[1].name, ratio);
	SSL_CTX_free(tls);
	return 0;
}
