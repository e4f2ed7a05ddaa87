// SPDX-License-Identifier: Apache-2.0
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "log.h"
#include "seal.h"

#define META_KEY "internal-key"

_Static_assert(SEAL_SECRET_MAX + HSM_CIPHERTEXT_OVERHEAD <= STORE_SECRET_MAX, "a sealed secret fits its row");

int sealer_open(struct hsm_pool *pool, struct store *store, struct sealer *s)
{
	struct hsm_key_generate_in in = {
		.type = HSM_KEY_AES256,
		.usage = htole32(HSM_USAGE_ENCRYPT | HSM_USAGE_DECRYPT),
	};
	uint32_t len = sizeof(s->token);
	uint16_t status = 0;
	int err;

	err = store_meta_get(store, META_KEY, s->token, sizeof(s->token));
	if (err > 0) {
		s->token_len = (uint16_t)err;
		return 0;
	}
	if (err != -ENOENT)
		return err < 0 ? err : -EUCLEAN;
	err = hsm_call(pool, HSM_OP_KEY_GENERATE, &in, sizeof(in), s->token, &len, &status);
	if (err) {
		log_err("the pool can't make a key: %s", status ? hsm_status_text(status) : strerror(-err));
		return err;
	}
	s->token_len = (uint16_t)len;
	return store_meta_put(store, META_KEY, s->token, s->token_len);
}

static void job_done(struct hsm_cmd *cmd, int err, uint16_t status, uint32_t out_len)
{
	struct seal_job *job = (struct seal_job *)((char *)cmd - offsetof(struct seal_job, cmd));

	if (err || status) {
		log_err("credential store: %s", status ? hsm_status_text(status) : strerror(-err));
		if (!err)
			err = -EIO;
	}
	OPENSSL_cleanse(job->in, sizeof(job->in));
	job->done(job, err, err ? 0 : out_len);
}

static void start(struct seal_job *job, struct hsm_port *port, const struct sealer *s, uint8_t opcode,
		  const struct store_credential *cred, const void *data, size_t len)
{
	struct hsm_crypt_in head = { .token_len = htole16(s->token_len), .data_len = htole32((uint32_t)len) };
	size_t at = sizeof(head);
	int aad;

	memcpy(job->in + at, s->token, s->token_len);
	at += s->token_len;
	aad = snprintf((char *)job->in + at, 128, "kms credential 1|%u|%s|%s", cred->kind, cred->account,
		       cred->access_key_id);
	head.aad_len = htole32((uint32_t)aad);
	at += (size_t)aad;
	memcpy(job->in + at, data, len);
	at += len;
	memcpy(job->in, &head, sizeof(head));
	job->cmd.opcode = opcode;
	job->cmd.timeout_ms = 0;
	job->cmd.in = job->in;
	job->cmd.in_len = (uint32_t)at;
	job->cmd.out = job->out;
	job->cmd.out_cap = sizeof(job->out);
	job->cmd.done = job_done;
	hsm_submit(port, &job->cmd);
}

void seal_secret(struct seal_job *job, struct hsm_port *port, const struct sealer *s,
		 const struct store_credential *cred, const void *secret, size_t len)
{
	start(job, port, s, HSM_OP_ENCRYPT, cred, secret, len);
}

void seal_open(struct seal_job *job, struct hsm_port *port, const struct sealer *s,
	       const struct store_credential *cred)
{
	start(job, port, s, HSM_OP_DECRYPT, cred, cred->secret, cred->secret_len);
}

void seal_wipe(struct seal_job *job)
{
	OPENSSL_cleanse(job->in, sizeof(job->in));
	OPENSSL_cleanse(job->out, sizeof(job->out));
}
