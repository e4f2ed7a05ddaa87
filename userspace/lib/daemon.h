/* SPDX-License-Identifier: Apache-2.0 */
/* What every daemon does the same way at its start and at its end. */
#ifndef HSM_DAEMON_H
#define HSM_DAEMON_H

#include <netinet/in.h>

#define HSM_RELEASE "0.1.0"
#define DAEMON_MAX_WORKERS 8u

/*
 * Before any thread: no core dumps and no debugger of the same user, SIGPIPE ignored,
 * SIGTERM and SIGINT blocked (for daemon_wait_stop()), as many open files as the hard limit allows.
 * 0 or -errno.
 */
int daemon_begin(void);

/*
 * Connections that each of the workers may have: max, or fewer (logged, at least 1) so that all of them
 * together leave some of the open files of the process to others.
 */
unsigned int daemon_max_conns(int workers, unsigned int max);

/* Waits for SIGTERM or SIGINT. */
void daemon_wait_stop(void);

/* "HOST:PORT", "[::1]:8443"; names are resolved.  0 or -EINVAL, logged. */
int daemon_parse_listen(const char *text, struct sockaddr_storage *addr, socklen_t *len);

void daemon_set_port(struct sockaddr_storage *addr, unsigned int port);

/* "1".."8", or NULL for one per online CPU, at most 8.  -EINVAL, logged. */
int daemon_parse_workers(const char *text);

/*
 * Gives up root for good: groups, gid, uid, checked afterwards.  NULL: stays who we are.
 * 0; -ENOENT no such user, -EPERM not root, ...; logged.
 */
int daemon_drop_user(const char *user);

#endif
