// SPDX-License-Identifier: Apache-2.0
/* hsm-gateway: options, workers, start and end. */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "log.h"
#include "serve.h"

#define MAX_CONNS	1024	/* of one worker */
#define IDLE_MS		60000
#define REQUEST_MS	15000

struct options {
	const char *listen, *cert, *key, *route, *shared, *user, *workers;
};

struct worker {
	pthread_t thread;
	struct gateway *gw;
	bool running;
};

static const char usage[] =
	"usage: hsm-gateway --listen HOST:PORT --cert PEM --key PEM --route genl|usersock:DIR\n"
	"                   [--shared NAME] [--user USER] [--workers N] [--verbose]\n"
	"\n"
	"Takes AWS KMS requests over HTTPS and forwards each to the KMS that owns its key.\n"
	"\n"
	"  --listen HOST:PORT   where to listen\n"
	"  --cert PEM           certificate chain\n"
	"  --key PEM            its private key\n"
	"  --route CARRIER      genl (the driver's router) or usersock:DIR\n"
	"  --shared NAME        instance that keeps the key directory (default: shared)\n"
	"  --user USER          give up root for this user once everything is open\n"
	"  --workers N          threads (default: one per CPU, at most 8)\n"
	"  --verbose            one line per request\n"
	"  --help, --version\n";

static int parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "cert", required_argument, NULL, 'c' },
		{ "key", required_argument, NULL, 'k' },
		{ "route", required_argument, NULL, 'r' },
		{ "shared", required_argument, NULL, 's' },
		{ "user", required_argument, NULL, 'u' },
		{ "workers", required_argument, NULL, 'w' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	int c, verbose = 0;

	*o = (struct options){ .shared = "shared" };
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'l': o->listen = optarg; break;
		case 'c': o->cert = optarg; break;
		case 'k': o->key = optarg; break;
		case 'r': o->route = optarg; break;
		case 's': o->shared = optarg; break;
		case 'u': o->user = optarg; break;
		case 'w': o->workers = optarg; break;
		case 'v': verbose = 1; break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		case 'V':
			puts("hsm-gateway " HSM_RELEASE);
			exit(0);
		default:
			fputs("Try 'hsm-gateway --help'.\n", stderr);
			return -EINVAL;
		}
	}
	log_init("hsm-gateway", verbose);
	if (optind < argc) {
		log_err("'%s' is not an option; see --help", argv[optind]);
		return -EINVAL;
	}
	if (!o->listen || !o->cert || !o->key || !o->route) {
		log_err("--listen, --cert, --key and --route are needed; see --help");
		return -EINVAL;
	}
	return 0;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	int err = gateway_run(w->gw);

	if (err) {
		log_err("io_uring: %s", strerror(-err));
		exit(1);
	}
	return NULL;
}

static int run(struct worker *workers, int n)
{
	int err = 0;

	for (int i = 0; i < n && !err; i++) {
		err = -pthread_create(&workers[i].thread, NULL, work, &workers[i]);
		workers[i].running = !err;
	}
	if (err) {
		log_err("cannot start a thread: %s", strerror(-err));
	} else {
		log_info("ready on port %u", gateway_port(workers[0].gw));
		daemon_wait_stop();
	}
	for (int i = 0; i < n; i++) {
		if (!workers[i].running)
			continue;
		gateway_stop(workers[i].gw);
		pthread_join(workers[i].thread, NULL);
	}
	return err;
}

int main(int argc, char **argv)
{
	struct worker workers[DAEMON_MAX_WORKERS] = { 0 };
	struct gateway_config cfg = { 0 };
	struct options o;
	SSL_CTX *tls = NULL;
	int n, err;

	if (parse(argc, argv, &o))
		return 2;
	n = daemon_parse_workers(o.workers);
	if (n < 0 || daemon_parse_listen(o.listen, &cfg.httpd.addr, &cfg.httpd.addr_len))
		return 2;
	/* Each arena that a thread makes its own costs resident memory. */
	mallopt(M_ARENA_MAX, n);
	err = daemon_begin();
	if (err) {
		log_err("start: %s", strerror(-err));
		return 1;
	}
	err = tls_server_ctx(o.cert, o.key, &tls);
	if (err) {
		log_err("certificate %s, key %s: %s", o.cert, o.key, strerror(-err));
		return 1;
	}
	cfg.route = o.route;
	cfg.shared = o.shared;
	cfg.httpd.tls = tls;
	cfg.httpd.max_conns = daemon_max_conns(n, MAX_CONNS);
	cfg.httpd.idle_ms = IDLE_MS;
	cfg.httpd.request_ms = REQUEST_MS;
	for (int i = 0; i < n && !err; i++) {
		err = gateway_open(&cfg, &workers[i].gw);
		if (!err)
			daemon_set_port(&cfg.httpd.addr, gateway_port(workers[i].gw));
	}
	if (!err)
		err = daemon_drop_user(o.user);
	if (!err)
		err = run(workers, n);
	for (int i = 0; i < n; i++)
		if (workers[i].gw)
			gateway_close(workers[i].gw);
	SSL_CTX_free(tls);
	return err ? 1 : 0;
}
