/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets of credentials at rest: encrypted by the card under an AES key of the daemon's
 * own, whose token is in the store.  The access key id, kind and account are authenticated with
 * them, so that a row that was altered or swapped in the store does not open.
 */
#ifndef KMS_SEAL_H
#define KMS_SEAL_H

#include "pool.h"
#include "store.h"

#define SEAL_SECRET_MAX 128	/* bytes, in clear */

struct sealer {
	uint16_t token_len;
	uint8_t token[HSM_MAX_TOKEN];
};

/* Loads the daemon's key, or makes and stores it on the first start.  Synchronous.  -errno, logged. */
int sealer_open(struct hsm_pool *pool, struct store *store, struct sealer *s);

/* One sealing or opening under way; the caller's memory. */
struct seal_job {
	/* err as of hsm_cmd.done; out is in job->out, len bytes.  seal_wipe() when it was used. */
	void (*done)(struct seal_job *job, int err, size_t len);

	struct hsm_cmd cmd;
	uint8_t in[sizeof(struct hsm_crypt_in) + HSM_MAX_TOKEN + 128 + STORE_SECRET_MAX];
	uint8_t out[STORE_SECRET_MAX];
};

/* cred names the row; its secret is the sealed one for opening.  Both end in exactly one done. */
void seal_secret(struct seal_job *job, struct hsm_port *port, const struct sealer *s,
		 const struct store_credential *cred, const void *secret, size_t len);
void seal_open(struct seal_job *job, struct hsm_port *port, const struct sealer *s,
	       const struct store_credential *cred);
void seal_wipe(struct seal_job *job);

#endif
