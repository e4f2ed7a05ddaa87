/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carrying requests from the gateway to the KMS that owns an instance.  Two carriers:
 *
 *   "genl"		the driver's router (family "hsm"); the kernel checks, times out
 *			and answers for owners that are gone
 *   "usersock:<dir>"	NETLINK_USERSOCK between processes, no module needed; <dir>/<instance>
 *			names the owner's port.  The client side times out, and a dead owner
 *			shows as ECONNREFUSED at send.
 *
 * Payloads are opaque here (callmsg.h gives them meaning), 1..ROUTE_MAX_PAYLOAD bytes.
 */
#ifndef HSM_ROUTE_H
#define HSM_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "ring.h"

#define ROUTE_MAX_PAYLOAD 61440u
#define ROUTE_NAME_LEN 32	/* instance (= pool) name with its NUL */

/* [a-z0-9][a-z0-9_-]*, shorter than ROUTE_NAME_LEN: it becomes a file name and a netlink string. */
bool route_name_valid(const char *name);

/* ---- the KMS's side ---- */

struct route_server;

struct route_request {
	uint8_t class;			/* enum hsm_class, as checked by the carrier */
	uint64_t xid;
	uint32_t from;			/* carrier's address of the sender (usersock: its port) */
	uid_t uid;			/* of the sender, as the kernel says */
	pid_t pid;
	bool refused;			/* the sender's uid is not accepted: answer an error; payload is NULL */
	const void *payload;		/* valid during the callback */
	size_t len;
};

typedef void (*route_request_fn)(void *arg, const struct route_request *req);

/*
 * Serves instance `name`; pool_fd as of hsm_pool_fd() (genl: proves ownership).  accept_uid: the only uid
 * whose requests are taken, besides root and our own; (uid_t)-1: no other.
 * Errors: -ENOENT (no module / family), -EBUSY (someone owns it), -EPERM, ...; logged with what to do.
 */
int route_serve(const char *spec, const char *name, int pool_fd, uid_t accept_uid, struct ring *ring,
		route_request_fn fn, void *arg, struct route_server **srv);
/* Once per request; payload is copied.  0 or -errno (-ENOENT: too late). */
int route_reply(struct route_server *srv, uint64_t xid, uint32_t to, const void *payload, size_t len);
void route_server_close(struct route_server *srv);
/* Logs that a request was refused; at most one line in 10 s, for whoever may send can send many. */
void route_log_refused(struct route_server *srv, uid_t uid, pid_t pid, const char *why);

/* ---- the gateway's side ---- */

struct route_client;	/* one per worker */

/* spec as above.  Opened with privileges (CAP_NET_ADMIN for genl); they may be dropped afterwards. */
int route_client_open(const char *spec, struct ring *ring, struct route_client **cli);
void route_client_close(struct route_client *cli);

/*
 * err: 0 with a payload (valid during the call); or -ENOENT no such instance, -ECONNREFUSED not running,
 * -ECONNRESET died while serving, -ETIMEDOUT, -EBUSY, -EACCES class refused, -EMSGSIZE.
 * Runs exactly once, never from inside route_call().
 */
typedef void (*route_reply_fn)(void *arg, int err, const void *payload, size_t len);

void route_call(struct route_client *cli, const char *instance, uint8_t class,
		const void *payload, size_t len, unsigned int timeout_ms,
		route_reply_fn fn, void *arg);

#endif
