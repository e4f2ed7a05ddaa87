// SPDX-License-Identifier: Apache-2.0
/* Encrypt, Decrypt, ReEncrypt, data keys and random numbers. */
#include <endian.h>
#include <string.h>

#include "ops.h"

/* Command header, token and AAD of one key, as ENCRYPT, DECRYPT and DATA_KEY* start alike. */
struct card_input {
	uint8_t *buf;
	size_t len;		/* so far */
	size_t cap;
};

_Static_assert(sizeof(struct hsm_crypt_in) == sizeof(struct hsm_data_key_in), "one header size");

static bool input_begin(struct op *op, struct card_input *in, const struct op_key *key,
			const struct op_context *ctx, size_t data_len, size_t data_cap)
{
	struct hsm_crypt_in head = { .token_len = htole16(key->token_len), .data_len = htole32((uint32_t)data_len) };
	int aad;

	in->cap = sizeof(head) + key->token_len + BLOB_AAD_MAX + data_cap;
	in->buf = op_alloc(op, in->cap);
	if (!in->buf)
		return false;
	memcpy(in->buf + sizeof(head), key->token, key->token_len);
	in->len = sizeof(head) + key->token_len;
	aad = op_aad(op, key, ctx, in->buf + in->len);
	if (aad < 0)
		return false;
	head.aad_len = htole32((uint32_t)aad);
	memcpy(in->buf, &head, sizeof(head));
	in->len += (size_t)aad;
	return true;
}

static void input_data(struct op *op, struct card_input *in, const void *data, size_t len)
{
	memcpy(in->buf + in->len, data, len);
	in->len += len;
	arena_trim(op->arena, in->buf, in->len);
}

/* ---- Encrypt ---- */

static void encrypted(struct op *op)
{
	op->encrypt.blob.p = (uint8_t *)op->cmd.out - BLOB_HEADER;
	op->encrypt.blob.len = BLOB_HEADER + op->card_len;
	op_end(op);
}

static void encrypt_located(struct op *op)
{
	const struct op_bytes *data = &op->encrypt.plaintext;
	struct card_input in;
	uint8_t *blob;

	if (!input_begin(op, &in, &op->key, &op->encrypt.context, data->len, data->len) || op_dry_run_ends(op))
		return;
	input_data(op, &in, data->p, data->len);
	blob = op_alloc(op, BLOB_HEADER + HSM_CIPHERTEXT_OVERHEAD + data->len);
	if (!blob)
		return;
	blob_header(op->key.id, blob);
	op_card(op, HSM_OP_ENCRYPT, in.buf, in.len, blob + BLOB_HEADER, HSM_CIPHERTEXT_OVERHEAD + data->len,
		encrypted);
}

void op_encrypt(struct op *op)
{
	op_locate(op, &op->key, encrypt_located);
}

/* ---- Decrypt ---- */

/*
 * Locates the key that made the blob.  A key that the client names as well must be the same:
 * it is located first, so that one that does not exist is told apart from a wrong one.
 */
static void locate_blob_key(struct op *op, const struct op_bytes *blob, uint8_t id[16], void (*then)(struct op *op))
{
	if (blob_parse(blob->p, blob->len, id) < 0) {
		op_fail(op, API_INVALID_CIPHERTEXT, "The ciphertext is not one of this service.");
		return;
	}
	if (!op->key.name.len) {
		memcpy(op->key.id, id, 16);
		op->key.from_blob = true;
	}
	op_locate(op, &op->key, then);
}

static bool is_blob_key(struct op *op, const struct op_bytes *blob)
{
	uint8_t id[16];

	if (!blob_parse(blob->p, blob->len, id) && !memcmp(id, op->key.id, 16))
		return true;
	op_fail(op, API_INCORRECT_KEY,
		"The key ID in the request does not identify a CMK that can perform this operation.");
	return false;
}

static void decrypted(struct op *op)
{
	op->decrypt.plaintext.p = op->cmd.out;
	op->decrypt.plaintext.len = op->card_len;
	op_end(op);
}

static void decrypt_located(struct op *op)
{
	const struct op_bytes *blob = &op->decrypt.blob;
	size_t len = blob->len - BLOB_HEADER;
	struct card_input in;
	void *out;

	if (!is_blob_key(op, blob))
		return;
	if (!input_begin(op, &in, &op->key, &op->decrypt.context, len, len) || op_dry_run_ends(op))
		return;
	input_data(op, &in, blob->p + BLOB_HEADER, len);
	out = op_alloc(op, len);
	if (!out)
		return;
	op_card(op, HSM_OP_DECRYPT, in.buf, in.len, out, len, decrypted);
}

/* Shorter than any ciphertext of the card: not worth asking it. */
static bool too_short(struct op *op, const struct op_bytes *blob)
{
	if (blob->len > BLOB_HEADER + HSM_CIPHERTEXT_OVERHEAD)
		return false;
	op_fail(op, API_INVALID_CIPHERTEXT, "The ciphertext is not one of this service.");
	return true;
}

void op_decrypt(struct op *op)
{
	uint8_t id[16];

	if (!too_short(op, &op->decrypt.blob))
		locate_blob_key(op, &op->decrypt.blob, id, decrypt_located);
}

/* ---- ReEncrypt ---- */

static void reencrypted(struct op *op)
{
	op->reencrypt.out.p = (uint8_t *)op->cmd.out - BLOB_HEADER;
	op->reencrypt.out.len = BLOB_HEADER + op->card_len;
	op_end(op);
}

static void reencrypt_destination(struct op *op)
{
	const struct op_bytes *blob = &op->reencrypt.blob;
	size_t data_len = blob->len - BLOB_HEADER, len;
	struct hsm_reencrypt_in head = {
		.src_token_len = htole16(op->key.token_len),
		.dst_token_len = htole16(op->key2.token_len),
		.data_len = htole32((uint32_t)data_len),
	};
	uint8_t *buf, *out;
	int aad;

	buf = op_alloc(op, sizeof(head) + 2 * (HSM_MAX_TOKEN + BLOB_AAD_MAX) + data_len);
	if (!buf)
		return;
	len = sizeof(head);
	memcpy(buf + len, op->key.token, op->key.token_len);
	len += op->key.token_len;
	memcpy(buf + len, op->key2.token, op->key2.token_len);
	len += op->key2.token_len;
	aad = op_aad(op, &op->key, &op->reencrypt.src_context, buf + len);
	if (aad < 0)
		return;
	head.src_aad_len = htole32((uint32_t)aad);
	len += (size_t)aad;
	aad = op_aad(op, &op->key2, &op->reencrypt.dst_context, buf + len);
	if (aad < 0 || op_dry_run_ends(op))
		return;
	head.dst_aad_len = htole32((uint32_t)aad);
	len += (size_t)aad;
	memcpy(buf + len, blob->p + BLOB_HEADER, data_len);
	len += data_len;
	memcpy(buf, &head, sizeof(head));
	arena_trim(op->arena, buf, len);
	out = op_alloc(op, BLOB_HEADER + data_len);
	if (!out)
		return;
	blob_header(op->key2.id, out);
	op_card(op, HSM_OP_REENCRYPT, buf, len, out + BLOB_HEADER, data_len, reencrypted);
}

static void reencrypt_source(struct op *op)
{
	if (is_blob_key(op, &op->reencrypt.blob))
		op_locate(op, &op->key2, reencrypt_destination);
}

void op_reencrypt(struct op *op)
{
	uint8_t id[16];

	if (!too_short(op, &op->reencrypt.blob))
		locate_blob_key(op, &op->reencrypt.blob, id, reencrypt_source);
}

/* ---- data keys ---- */

static void data_key_made(struct op *op)
{
	struct op_data_key *d = &op->data_key;
	const uint8_t *out = op->cmd.out;
	struct hsm_data_key_out head;
	size_t plain, cipher;
	uint8_t *blob;

	if (op->card_len < sizeof(head)) {
		op_fail(op, API_INTERNAL, "The HSM's answer is malformed.");
		return;
	}
	memcpy(&head, out, sizeof(head));
	plain = le32toh(head.plain_len);
	cipher = le32toh(head.cipher_len);
	if (plain != (d->sealed_only ? 0 : d->len) || cipher > HSM_MAX_DATA ||
	    sizeof(head) + plain + cipher != op->card_len) {
		op_fail(op, API_INTERNAL, "The HSM's answer is malformed.");
		return;
	}
	blob = op_alloc(op, BLOB_HEADER + cipher);
	if (!blob)
		return;
	blob_header(op->key.id, blob);
	memcpy(blob + BLOB_HEADER, out + sizeof(head) + plain, cipher);
	d->plaintext = (struct op_bytes){ out + sizeof(head), plain };
	d->blob = (struct op_bytes){ blob, BLOB_HEADER + cipher };
	op_end(op);
}

static void data_key_located(struct op *op)
{
	const struct op_data_key *d = &op->data_key;
	size_t cap = sizeof(struct hsm_data_key_out) + 2 * (size_t)d->len + HSM_CIPHERTEXT_OVERHEAD;
	struct card_input in;
	void *out;

	/* key_len stands where data_len does. */
	_Static_assert(offsetof(struct hsm_data_key_in, key_len) == offsetof(struct hsm_crypt_in, data_len), "");
	if (!input_begin(op, &in, &op->key, &d->context, d->len, 0) || op_dry_run_ends(op))
		return;
	input_data(op, &in, "", 0);
	out = op_alloc(op, cap);
	if (!out)
		return;
	op_card(op, d->sealed_only ? HSM_OP_DATA_KEY_SEALED : HSM_OP_DATA_KEY, in.buf, in.len, out, cap,
		data_key_made);
}

void op_data_key(struct op *op)
{
	op_locate(op, &op->key, data_key_located);
}

/* ---- random numbers ---- */

static void random_made(struct op *op)
{
	op->random.bytes.p = op->cmd.out;
	op->random.bytes.len = op->card_len;
	op_end(op);
}

static void random_elsewhere(struct op *op)
{
	op->redirected = true;
	op_end(op);
}

void op_random(struct op *op)
{
	struct hsm_random_in *in;
	void *out;

	if (op->random.instance.len && op->env->shared) {
		op_redirect_instance(op, op->random.instance, random_elsewhere);
		return;
	}
	if (op->random.instance.len && !span_eq(op->random.instance, op->env->name)) {
		op_fail(op, API_KEY_STORE_NOT_FOUND, "This is the endpoint of key store '%s'.", op->env->name);
		return;
	}
	in = op_alloc(op, sizeof(*in));
	if (!in)
		return;
	out = op_alloc(op, op->random.len);
	if (!out)
		return;
	*in = (struct hsm_random_in){ .len = htole32(op->random.len) };
	op_card(op, HSM_OP_RANDOM, in, sizeof(*in), out, op->random.len, random_made);
}
