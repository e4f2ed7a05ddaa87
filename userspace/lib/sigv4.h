/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS Signature Version 4, server side (AWS General Reference, "Create a signed
 * AWS API request"; header form only, service "kms").
 */
#ifndef HSM_SIGV4_H
#define HSM_SIGV4_H

#include <time.h>
#include "http.h"

#define SIGV4_MAX_ID 64
#define SIGV4_SKEW_S 300	/* largest accepted difference of clocks, seconds */

/* What the request claims about its signature; spans into the request. */
struct sigv4 {
	char access_key_id[SIGV4_MAX_ID + 1];
	struct span date;		/* YYYYMMDD of the scope */
	struct span region, service;
	struct span amz_date;		/* X-Amz-Date */
	struct span signed_headers;
	uint8_t signature[32];
	time_t time;			/* of X-Amz-Date */
};

enum sigv4_result {
	SIGV4_OK,
	SIGV4_MISSING,		/* no Authorization header: MissingAuthenticationTokenException */
	SIGV4_INCOMPLETE,	/* malformed Authorization, host/x-amz-date/x-amz-target not signed: IncompleteSignatureException */
	SIGV4_EXPIRED,		/* clock skew: InvalidSignatureException "Signature expired: ..." / "not yet current" */
	SIGV4_SCOPE,		/* wrong region, service or date in scope: InvalidSignatureException */
	SIGV4_MISMATCH,		/* InvalidSignatureException */
};

/* Parses and checks everything that needs no secret.  why: NULL or a static sentence for the caller. */
enum sigv4_result sigv4_parse(const struct http_request *req, const char *region, time_t now,
			      struct sigv4 *sig, const char **why);

/* Signing key for (secret, date, region, service): HMAC chain.  The caller wipes it. */
int sigv4_key(const char *secret, size_t secret_len, struct span date, struct span region,
	      struct span service, uint8_t key[32]);

/* Canonical request of req, compared in constant time.  SIGV4_OK or SIGV4_MISMATCH; -errno on failure of the library. */
int sigv4_verify(const struct http_request *req, const struct sigv4 *sig, const uint8_t key[32]);

#endif
