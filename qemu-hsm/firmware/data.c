// SPDX-License-Identifier: Apache-2.0
/* Key computation: what a customer key does with data. */
#include <endian.h>
#include <errno.h>

#include <openssl/crypto.h>

#include "fw.h"

#define LABEL "hsm data v1"

_Static_assert(FW_NONCE_LEN + FW_IV_LEN + FW_TAG_LEN == HSM_CIPHERTEXT_OVERHEAD, "ciphertext");

struct bytes {
	const uint8_t *p;
	size_t len;
};

static bool take(struct fw_cursor *c, struct bytes *b, size_t len)
{
	b->len = len;
	b->p = fw_take(c, len);
	return b->p;
}

/* Writes plain.len + HSM_CIPHERTEXT_OVERHEAD bytes to out. */
static uint16_t seal(struct fw_cmd *cmd, const uint8_t key[FW_KEY_LEN], struct bytes aad,
		     struct bytes plain, uint8_t *out)
{
	uint8_t head[FW_NONCE_LEN + FW_IV_LEN], msg_key[FW_KEY_LEN];
	uint8_t *body = out + sizeof(head);
	int err;

	err = fw_random(head, sizeof(head));
	if (!err)
		err = fw_kbkdf(cmd->ctx, key, LABEL, head, msg_key);
	if (!err)
		err = fw_gcm_seal(cmd->ctx, msg_key, head + FW_NONCE_LEN, aad.p, aad.len, plain.p,
				  plain.len, body, body + plain.len);
	OPENSSL_cleanse(msg_key, sizeof(msg_key));
	if (err)
		return HSM_ST_INTERNAL;
	memcpy(out, head, sizeof(head));
	return HSM_ST_OK;
}

/* Plaintext goes to the context's scratch, nowhere else before it is authentic. */
static uint16_t open(struct fw_cmd *cmd, const uint8_t key[FW_KEY_LEN], struct bytes aad,
		     struct bytes cipher, size_t *plain_len)
{
	uint8_t head[FW_NONCE_LEN + FW_IV_LEN], msg_key[FW_KEY_LEN];
	struct fw_cursor c = { cipher.p, cipher.len };
	struct bytes body, tag;
	int err;

	if (cipher.len < HSM_CIPHERTEXT_OVERHEAD || !fw_copy(&c, head, sizeof(head)) ||
	    !take(&c, &body, cipher.len - HSM_CIPHERTEXT_OVERHEAD) || !take(&c, &tag, FW_TAG_LEN))
		return HSM_ST_BAD_CIPHERTEXT;
	err = fw_kbkdf(cmd->ctx, key, LABEL, head, msg_key);
	if (!err)
		err = fw_gcm_open(cmd->ctx, msg_key, head + FW_NONCE_LEN, aad.p, aad.len, body.p,
				  body.len, cmd->ctx->scratch, tag.p);
	OPENSSL_cleanse(msg_key, sizeof(msg_key));
	if (err)
		return err == -EBADMSG ? HSM_ST_BAD_CIPHERTEXT : HSM_ST_INTERNAL;
	*plain_len = body.len;
	return HSM_ST_OK;
}

uint16_t fw_nop(struct fw_cmd *cmd)
{
	(void)cmd;
	return HSM_ST_OK;
}

uint16_t fw_random_cmd(struct fw_cmd *cmd)
{
	struct hsm_random_in in;
	uint32_t len;

	if (!fw_copy(&cmd->in, &in, sizeof(in)) || cmd->in.left)
		return HSM_ST_INVALID_LENGTH;
	len = le32toh(in.len);
	if (in.rsvd || !len || len > HSM_MAX_RANDOM)
		return HSM_ST_INVALID_FIELD;
	if (cmd->cap < len)
		return HSM_ST_INVALID_LENGTH;
	/* Callers make secrets of it. */
	if (fw_random_secret(cmd->out, len))
		return HSM_ST_INTERNAL;
	cmd->out_len = len;
	return HSM_ST_OK;
}

struct crypt {
	struct bytes token, aad, data;
};

static uint16_t crypt_take(struct fw_cmd *cmd, size_t max_data, struct crypt *c)
{
	struct hsm_crypt_in in;

	if (!fw_copy(&cmd->in, &in, sizeof(in)))
		return HSM_ST_INVALID_LENGTH;
	if (in.rsvd || in.rsvd2 || le16toh(in.token_len) > HSM_MAX_TOKEN ||
	    le32toh(in.aad_len) > HSM_MAX_AAD || le32toh(in.data_len) > max_data)
		return HSM_ST_INVALID_FIELD;
	if (!take(&cmd->in, &c->token, le16toh(in.token_len)) ||
	    !take(&cmd->in, &c->aad, le32toh(in.aad_len)) ||
	    !take(&cmd->in, &c->data, le32toh(in.data_len)) || cmd->in.left)
		return HSM_ST_INVALID_LENGTH;
	return HSM_ST_OK;
}

uint16_t fw_encrypt(struct fw_cmd *cmd)
{
	uint8_t key[FW_KEY_LEN];
	struct crypt c;
	uint16_t st;

	st = crypt_take(cmd, HSM_MAX_DATA, &c);
	if (st)
		return st;
	if (cmd->cap < c.data.len + HSM_CIPHERTEXT_OVERHEAD)
		return HSM_ST_INVALID_LENGTH;
	st = fw_token_open(cmd, c.token.p, c.token.len, HSM_USAGE_ENCRYPT, key);
	if (st)
		return st;
	st = seal(cmd, key, c.aad, c.data, cmd->out);
	OPENSSL_cleanse(key, sizeof(key));
	if (!st)
		cmd->out_len = c.data.len + HSM_CIPHERTEXT_OVERHEAD;
	return st;
}

uint16_t fw_decrypt(struct fw_cmd *cmd)
{
	uint8_t key[FW_KEY_LEN];
	struct crypt c;
	uint16_t st;
	size_t len;

	st = crypt_take(cmd, HSM_MAX_DATA + HSM_CIPHERTEXT_OVERHEAD, &c);
	if (st)
		return st;
	if (c.data.len > HSM_CIPHERTEXT_OVERHEAD &&
	    cmd->cap < c.data.len - HSM_CIPHERTEXT_OVERHEAD)
		return HSM_ST_INVALID_LENGTH;
	st = fw_token_open(cmd, c.token.p, c.token.len, HSM_USAGE_DECRYPT, key);
	if (st)
		return st;
	st = open(cmd, key, c.aad, c.data, &len);
	OPENSSL_cleanse(key, sizeof(key));
	if (st)
		return st;
	if (len)
		memcpy(cmd->out, cmd->ctx->scratch, len);
	OPENSSL_cleanse(cmd->ctx->scratch, len);
	cmd->out_len = len;
	return HSM_ST_OK;
}

static uint16_t data_key(struct fw_cmd *cmd, bool with_plain)
{
	struct hsm_data_key_out head = { 0 };
	struct bytes token, aad, plain;
	struct hsm_data_key_in in;
	uint8_t key[FW_KEY_LEN];
	uint32_t key_len;
	size_t need;
	uint8_t *out;
	uint16_t st;

	if (!fw_copy(&cmd->in, &in, sizeof(in)))
		return HSM_ST_INVALID_LENGTH;
	key_len = le32toh(in.key_len);
	if (in.rsvd || in.rsvd2 || le16toh(in.token_len) > HSM_MAX_TOKEN ||
	    le32toh(in.aad_len) > HSM_MAX_AAD || !key_len || key_len > HSM_MAX_DATA_KEY)
		return HSM_ST_INVALID_FIELD;
	if (!take(&cmd->in, &token, le16toh(in.token_len)) ||
	    !take(&cmd->in, &aad, le32toh(in.aad_len)) || cmd->in.left)
		return HSM_ST_INVALID_LENGTH;
	need = sizeof(head) + (with_plain ? key_len : 0) + key_len + HSM_CIPHERTEXT_OVERHEAD;
	if (cmd->cap < need)
		return HSM_ST_INVALID_LENGTH;
	st = fw_token_open(cmd, token.p, token.len, HSM_USAGE_ENCRYPT, key);
	if (st)
		return st;

	plain = (struct bytes){ cmd->ctx->scratch, key_len };
	out = cmd->out + sizeof(head) + (with_plain ? key_len : 0);
	st = HSM_ST_INTERNAL;
	if (!fw_random_secret(cmd->ctx->scratch, key_len))
		st = seal(cmd, key, aad, plain, out);
	if (!st) {
		head.plain_len = htole32(with_plain ? key_len : 0);
		head.cipher_len = htole32(key_len + HSM_CIPHERTEXT_OVERHEAD);
		memcpy(cmd->out, &head, sizeof(head));
		if (with_plain)
			memcpy(cmd->out + sizeof(head), plain.p, key_len);
		cmd->out_len = need;
	}
	OPENSSL_cleanse(cmd->ctx->scratch, key_len);
	OPENSSL_cleanse(key, sizeof(key));
	return st;
}

uint16_t fw_data_key(struct fw_cmd *cmd)
{
	return data_key(cmd, true);
}

uint16_t fw_data_key_sealed(struct fw_cmd *cmd)
{
	return data_key(cmd, false);
}

uint16_t fw_reencrypt(struct fw_cmd *cmd)
{
	struct bytes src_token, dst_token, src_aad, dst_aad, data, plain;
	uint8_t src[FW_KEY_LEN], dst[FW_KEY_LEN];
	struct hsm_reencrypt_in in;
	uint16_t st;

	if (!fw_copy(&cmd->in, &in, sizeof(in)))
		return HSM_ST_INVALID_LENGTH;
	if (le16toh(in.src_token_len) > HSM_MAX_TOKEN || le16toh(in.dst_token_len) > HSM_MAX_TOKEN ||
	    le32toh(in.src_aad_len) > HSM_MAX_AAD || le32toh(in.dst_aad_len) > HSM_MAX_AAD ||
	    le32toh(in.data_len) > HSM_MAX_DATA + HSM_CIPHERTEXT_OVERHEAD)
		return HSM_ST_INVALID_FIELD;
	if (!take(&cmd->in, &src_token, le16toh(in.src_token_len)) ||
	    !take(&cmd->in, &dst_token, le16toh(in.dst_token_len)) ||
	    !take(&cmd->in, &src_aad, le32toh(in.src_aad_len)) ||
	    !take(&cmd->in, &dst_aad, le32toh(in.dst_aad_len)) ||
	    !take(&cmd->in, &data, le32toh(in.data_len)) || cmd->in.left)
		return HSM_ST_INVALID_LENGTH;
	/* As long as what came in: nonce, IV and tag replace nonce, IV and tag. */
	if (cmd->cap < data.len)
		return HSM_ST_INVALID_LENGTH;

	st = fw_token_open(cmd, src_token.p, src_token.len, HSM_USAGE_DECRYPT, src);
	if (st)
		return st;
	st = fw_token_open(cmd, dst_token.p, dst_token.len, HSM_USAGE_ENCRYPT, dst);
	if (st)
		goto wipe_src;
	st = open(cmd, src, src_aad, data, &plain.len);
	if (st)
		goto wipe_dst;
	plain.p = cmd->ctx->scratch;
	st = seal(cmd, dst, dst_aad, plain, cmd->out);
	OPENSSL_cleanse(cmd->ctx->scratch, plain.len);
	if (!st)
		cmd->out_len = data.len;
wipe_dst:
	OPENSSL_cleanse(dst, sizeof(dst));
wipe_src:
	OPENSSL_cleanse(src, sizeof(src));
	return st;
}
