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

#define DRIVER_SEQ 1u

#endif
