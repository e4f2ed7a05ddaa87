// SPDX-License-Identifier: Apache-2.0
/* From a route's name to its carrier. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "route_priv.h"

#define REFUSED_LOG_MS 10000u

static const char *usersock_dir(const char *spec)
{
	return !strncmp(spec, "usersock:", 9) && spec[9] ? spec + 9 : NULL;
}

static int bad_spec(const char *spec)
{
	log_err("route '%s': give genl or usersock:DIRECTORY", spec);
	return -EINVAL;
}

bool route_uid_allowed(uid_t uid, uid_t accept_uid)
{
	return !uid || uid == geteuid() || (accept_uid != (uid_t)-1 && uid == accept_uid);
}

void route_log_refused(struct route_server *srv, uid_t uid, pid_t pid, const char *why)
{
	struct timespec ts;
	uint64_t now;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	if (now < srv->quiet_until) {
		srv->untold++;
		return;
	}
	log_warn("route: refused a request of uid %u, pid %d: %s (%u others before)", (unsigned int)uid, (int)pid, why,
		 srv->untold);
	srv->quiet_until = now + REFUSED_LOG_MS;
	srv->untold = 0;
}

int route_serve(const char *spec, const char *name, int pool_fd, uid_t accept_uid, struct ring *ring,
		route_request_fn fn, void *arg, struct route_server **srv)
{
	const char *dir = usersock_dir(spec);

	*srv = NULL;
	if (!route_name_valid(name)) {
		log_err("instance name '%s': use up to %u characters of a-z 0-9 _ -, the first a letter or digit",
			name, ROUTE_NAME_LEN - 1);
		return -EINVAL;
	}
	if (dir)
		return route_usersock_serve(dir, name, accept_uid, ring, fn, arg, srv);
	if (!strcmp(spec, "genl"))
		return route_genl_serve(name, pool_fd, accept_uid, ring, fn, arg, srv);
	return bad_spec(spec);
}

int route_reply(struct route_server *srv, uint64_t xid, uint32_t to, const void *payload, size_t len)
{
	if (!len || len > ROUTE_MAX_PAYLOAD)
		return -EMSGSIZE;
	return srv->ops->reply(srv, xid, to, payload, len);
}

void route_server_close(struct route_server *srv)
{
	if (srv)
		srv->ops->close(srv);
}

int route_client_open(const char *spec, struct ring *ring, struct route_client **cli)
{
	const char *dir = usersock_dir(spec);

	*cli = NULL;
	if (dir)
		return route_usersock_open(dir, ring, cli);
	if (!strcmp(spec, "genl"))
		return route_genl_open(ring, cli);
	return bad_spec(spec);
}

void route_client_close(struct route_client *cli)
{
	if (cli)
		cli->ops->close(cli);
}

void route_call(struct route_client *cli, const char *instance, uint8_t class, const void *payload,
		size_t len, unsigned int timeout_ms, route_reply_fn fn, void *arg)
{
	cli->ops->call(cli, instance, class, payload, len, timeout_ms, fn, arg);
}
