/* SPDX-License-Identifier: Apache-2.0 */
/* The driver as hsmctl uses it: its netlink family and the cards' nodes. */
#ifndef HSMCTL_DRIVER_H
#define HSMCTL_DRIVER_H

#include <netlink/genl/genl.h>

#include "genl.h"

/* 0, or CTL_REFUSED after a message. */
int driver_open(struct genl *g);

/* Sends msg, and says "what: why" if it fails.  fn: for each message that comes back.  0 or -errno. */
int driver_request(struct genl *g, struct nl_msg *msg, genl_fn fn, void *arg, const char *what);

/*
 * As driver_request(), with a dump of cmd, from the start again whenever the kernel's list changed meanwhile:
 * `again` then makes arg forget what fn put there.
 */
int driver_dump(struct genl *g, uint8_t cmd, genl_fn fn, void (*again)(void *arg), void *arg, const char *what);

#define DRIVER_SEQ 1u

#endif
