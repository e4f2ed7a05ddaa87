/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Administration socket of a daemon: a Unix stream socket (0600, in the daemon's
 * run folder), checked by peer credentials: root and the daemon's own uid.  A daemon that gives up
 * root has bound it before, so it is root's alone then, and the next start removes it.  One JSON
 * object per line each way: {"op": "...", ...} -> {"ok": true, ...} or {"ok": false, "error": "what was wrong and what to do"}.
 */
#ifndef HSM_ADMINSOCK_H
#define HSM_ADMINSOCK_H

#include <jansson.h>
#include "ring.h"

#define ADMIN_MAX_LINE 65536

struct adminsock;
struct admin_call;	/* one line that waits for its answer */

/* in: borrowed, valid until admin_answer().  Exactly one answer is owed, now or later, from the ring's thread. */
typedef void (*admin_fn)(void *arg, struct admin_call *call, const json_t *in);

int adminsock_listen(struct ring *ring, const char *path, admin_fn fn, void *arg, struct adminsock **s);
void adminsock_close(struct adminsock *s);
void admin_answer(struct admin_call *call, json_t *out);	/* takes the reference; out NULL: out of memory */
void admin_refuse(struct admin_call *call, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The client's side (hsmctl): connects, sends one object, reads one.  -errno, or 0 with *out to json_decref(). */
int admin_request(const char *path, const json_t *in, json_t **out);

#endif
