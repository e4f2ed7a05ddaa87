/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who sent a request: verification of its signature against the credentials of
 * this store.  Per worker.
 *
 * A secret is opened by the card when its credential is first seen on a day; what stays
 * in memory is the SigV4 signing key of that day, good for this region and service only.  When the store's
 * generation moves (a credential was revoked) the whole cache is wiped before its next use: the revocation
 * holds on every worker for each request that starts after it was answered.
 */
#ifndef KMS_AUTH_H
#define KMS_AUTH_H

#include "apierr.h"
#include "ops.h"
#include "seal.h"
#include "sigv4.h"

struct auth;

struct auth_config {
	const char *region;
	struct hsm_port *pool;
	struct store *store;
	struct store_port *port;
	const struct sealer *sealer;
};

int auth_open(const struct auth_config *cfg, struct auth **a);
void auth_close(struct auth *a);	/* wipes; NULL is ignored */

/* One verification; the caller's memory, used until done. */
struct auth_check {
	const struct http_request *http;	/* in: borrowed */
	enum store_credential_kind kind;	/* in: the only kind that is taken here */
	/*
	 * Exactly once, perhaps before auth_verify() returns.  e: API_OK with caller filled, or the refusal
	 * with its text in why.
	 */
	void (*done)(struct auth_check *c, enum api_error e);
	struct op_caller caller;
	char why[160];

	struct auth *auth;			/* auth's from here */
	struct sigv4 sig;
	uint64_t generation;
	struct store_read read;
	struct store_credential cred;
	struct seal_job job;
};

void auth_verify(struct auth *a, struct auth_check *c);

/* Signing keys held now; for tests. */
unsigned int auth_cached(const struct auth *a);

#endif
