// SPDX-License-Identifier: Apache-2.0
/* hsm-kms: options, start and end. */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <pwd.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kms.h"
#include "log.h"

#define MAX_CONNS	1024	/* of one worker */

static const char usage[] =
	"usage: hsm-kms --role dedicated|shared --name NAME --pool /dev/hsm/NAME|soft:DIR --store DIR\n"
	"               --route genl|usersock:DIR --admin SOCKET --region REGION\n"
	"               [--listen HOST:PORT --cert PEM --key PEM] [--gateway-uid UID] [--user USER]\n"
	"               [--workers N] [--verbose]\n"
	"\n"
	"Keeps keys in an HSM pool and serves the AWS KMS API: management through the gateway,\n"
	"and, for a dedicated instance, key computation at a data listener of its own.\n"
	"\n"
	"  --role ROLE          dedicated: one tenant's instance; shared: the key directory, and\n"
	"                       the keys of accounts without an instance\n"
	"  --name NAME          of the instance, the same as its pool's\n"
	"  --pool POOL          /dev/hsm/NAME, or soft:DIR for keys that files protect\n"
	"  --store DIR          where keys (sealed) and credentials (sealed) are kept; mode 0700\n"
	"  --route CARRIER      genl (the driver's router) or usersock:DIR\n"
	"  --admin SOCKET       administration socket, for hsmctl\n"
	"  --region REGION      region of the service, as in local-1\n"
	"  --listen HOST:PORT   data listener (dedicated only)\n"
	"  --cert PEM           its certificate chain\n"
	"  --key PEM            its private key\n"
	"  --gateway-uid UID    user that the gateway runs as\n"
	"  --user USER          give up root for this user once everything is open\n"
	"  --workers N          threads (default: one per CPU, at most 8)\n"
	"  --verbose            one line per request\n"
	"  --help, --version\n";

static int refuse(const char *what)
{
	log_err("%s; see --help", what);
	return -EINVAL;
}

static int check(struct kms_config *c, const char *role, const char *uid, const char *workers)
{
	char *end;
	unsigned long n;

	if (!role || !c->name || !c->pool || !c->store || !c->route || !c->admin || !c->region)
		return refuse("--role, --name, --pool, --store, --route, --admin and --region are needed");
	if (strcmp(role, "shared") && strcmp(role, "dedicated"))
		return refuse("--role is dedicated or shared");
	c->shared = !strcmp(role, "shared");
	if (!route_name_valid(c->name))
		return refuse("--name is a pool's name: at most 31 of a-z, 0-9, '_', '-'");
	if (!strlen(c->region) || strlen(c->region) > 32 ||
	    strspn(c->region, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(c->region))
		return refuse("--region has at most 32 of a-z, 0-9, '-'");
	if (c->shared && c->listen)
		return refuse("--listen is for a dedicated KMS; a shared one is reached through the gateway");
	if (!!c->listen != !!c->cert || !!c->listen != !!c->key)
		return refuse("--listen, --cert and --key go together");
	c->gateway_uid = (uid_t)-1;
	if (uid) {
		errno = 0;
		n = strtoul(uid, &end, 10);
		if (errno || *end || end == uid || n >= (uid_t)-1)
			return refuse("--gateway-uid is a number");
		c->gateway_uid = (uid_t)n;
	}
	c->workers = daemon_parse_workers(workers);
	if (c->workers < 0)
		return -EINVAL;
	/* The route is worker 0's; without a listener more workers would have nothing to do. */
	if (!c->listen)
		c->workers = 1;
	return 0;
}

static int parse(int argc, char **argv, struct kms_config *cfg)
{
	static const struct option longs[] = {
		{ "role", required_argument, NULL, 'r' },
		{ "name", required_argument, NULL, 'n' },
		{ "pool", required_argument, NULL, 'p' },
		{ "store", required_argument, NULL, 's' },
		{ "route", required_argument, NULL, 'o' },
		{ "admin", required_argument, NULL, 'a' },
		{ "region", required_argument, NULL, 'g' },
		{ "listen", required_argument, NULL, 'l' },
		{ "cert", required_argument, NULL, 'c' },
		{ "key", required_argument, NULL, 'k' },
		{ "gateway-uid", required_argument, NULL, 'U' },
		{ "user", required_argument, NULL, 'u' },
		{ "workers", required_argument, NULL, 'w' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	const char *role = NULL, *uid = NULL, *workers = NULL;
	int c, verbose = 0;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'r': role = optarg; break;
		case 'n': cfg->name = optarg; break;
		case 'p': cfg->pool = optarg; break;
		case 's': cfg->store = optarg; break;
		case 'o': cfg->route = optarg; break;
		case 'a': cfg->admin = optarg; break;
		case 'g': cfg->region = optarg; break;
		case 'l': cfg->listen = optarg; break;
		case 'c': cfg->cert = optarg; break;
		case 'k': cfg->key = optarg; break;
		case 'U': uid = optarg; break;
		case 'u': cfg->user = optarg; break;
		case 'w': workers = optarg; break;
		case 'v': verbose = 1; break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		case 'V':
			puts("hsm-kms " HSM_RELEASE);
			exit(0);
		default:
			fputs("Try 'hsm-kms --help'.\n", stderr);
			return -EINVAL;
		}
	}
	log_init("hsm-kms", verbose);
	if (optind < argc) {
		log_err("'%s' is not an option; see --help", argv[optind]);
		return -EINVAL;
	}
	return check(cfg, role, uid, workers);
}

/* The store's folder belongs to the user that will write it; its files are made by that user. */
static int make_store_folder(const struct kms_config *cfg)
{
	const struct passwd *pw;

	if (!cfg->user)
		return 0;
	if (mkdir(cfg->store, 0700) < 0)
		return errno == EEXIST ? 0 : -errno;
	pw = getpwnam(cfg->user);
	if (!pw)
		return -ENOENT;
	return chown(cfg->store, pw->pw_uid, pw->pw_gid) < 0 ? -errno : 0;
}

/* Everything that may need privileges. */
static int open_all(struct kms *kms)
{
	struct kms_config *c = &kms->cfg;
	int err;

	if (c->listen) {
		err = tls_server_ctx(c->cert, c->key, &kms->tls);
		if (err) {
			log_err("certificate %s, key %s: %s", c->cert, c->key, strerror(-err));
			return err;
		}
	}
	err = hsm_pool_open(c->pool, &kms->pool);
	if (err)
		return err;
	for (int i = 0; i < kms->n_workers; i++) {
		err = worker_open(kms, &kms->workers[i]);
		if (err)
			return err;
	}
	err = make_store_folder(c);
	if (err)
		log_err("can't make %s for %s: %s", c->store, c->user, strerror(-err));
	return err;
}

static int prepare(struct kms *kms)
{
	int err;

	err = store_open(kms->cfg.store, hsm_pool_partition(kms->pool), kms->cfg.shared ? 's' : 'd', &kms->store);
	if (err) {
		log_err("can't open the store in %s: %s", kms->cfg.store, strerror(-err));
		return err;
	}
	err = sealer_open(kms->pool, kms->store, &kms->sealer);
	for (int i = 0; i < kms->n_workers && !err; i++)
		err = worker_prepare(&kms->workers[i]);
	return err;
}

static int serve(struct kms *kms)
{
	int err = 0;

	for (int i = 0; i < kms->n_workers && !err; i++)
		err = worker_start(&kms->workers[i]);
	if (!err) {
		if (kms->cfg.listen)
			log_info("%s: ready on port %u", kms->cfg.name, httpd_port(kms->workers[0].httpd));
		else
			log_info("%s: ready", kms->cfg.name);
		daemon_wait_stop();
	}
	for (int i = 0; i < kms->n_workers; i++)
		worker_stop(&kms->workers[i]);
	return err;
}

static void close_all(struct kms *kms)
{
	bool stuck = false;

	for (int i = 0; i < kms->n_workers; i++) {
		worker_close(&kms->workers[i]);
		stuck |= kms->workers[i].in_flight != 0;
	}
	store_close(kms->store);
	/* Commands that never came back still point into memory of the pool. */
	if (stuck)
		_exit(1);
	if (kms->pool)
		hsm_pool_close(kms->pool);
	SSL_CTX_free(kms->tls);
}

int main(int argc, char **argv)
{
	static struct kms kms;
	int err;

	if (parse(argc, argv, &kms.cfg))
		return 2;
	kms.n_workers = kms.cfg.workers;
	/* Each arena of a thread's own costs resident memory. */
	mallopt(M_ARENA_MAX, kms.n_workers);
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	arena_json_init();
	err = daemon_begin();
	if (err) {
		log_err("start: %s", strerror(-err));
		return 1;
	}
	if (kms.cfg.listen)
		kms.max_conns = daemon_max_conns(kms.n_workers, MAX_CONNS);
	err = open_all(&kms);
	if (!err)
		err = daemon_drop_user(kms.cfg.user);
	if (!err)
		err = prepare(&kms);
	if (!err)
		err = serve(&kms);
	close_all(&kms);
	return err ? 1 : 0;
}
