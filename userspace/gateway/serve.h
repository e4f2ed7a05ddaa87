/* SPDX-License-Identifier: Apache-2.0 */
/* One worker of the gateway: its ring, its listener, its end of the route. */
#ifndef GATEWAY_SERVE_H
#define GATEWAY_SERVE_H

#include "httpd.h"
#include "ring.h"
#include "route.h"

struct gateway_config {
	struct httpd_config httpd;
	const char *route;	/* carrier */
	const char *shared;	/* instance that keeps the directory */
};

struct gateway;

/* cfg: borrowed for the gateway's life.  0 or -errno, logged.  Opens everything; nothing runs yet. */
int gateway_open(const struct gateway_config *cfg, struct gateway **gw);
unsigned int gateway_port(const struct gateway *gw);
/* Serves in the calling thread until gateway_stop().  0 or -errno of the ring. */
int gateway_run(struct gateway *gw);
void gateway_stop(struct gateway *gw);	/* from any thread, once */
void gateway_close(struct gateway *gw);	/* after gateway_run() has returned, or instead of it */

#endif
