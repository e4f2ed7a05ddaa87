// SPDX-License-Identifier: Apache-2.0
#include <endian.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "fw.h"

int fw_algs_get(struct fw_algs *algs)
{
	/*
	 * Without this OpenSSL takes itself apart in exit(), under the feet of
	 * worker threads that still run commands.
	 */
	if (!OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL))
		return -EIO;
	algs->gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	algs->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	algs->hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	return algs->gcm && algs->hmac && algs->hkdf ? 0 : -EIO;
}

void fw_algs_put(struct fw_algs *algs)
{
	EVP_CIPHER_free(algs->gcm);
	EVP_MAC_free(algs->hmac);
	EVP_KDF_free(algs->hkdf);
	*algs = (struct fw_algs){ 0 };
}

static size_t page_round(size_t size)
{
	return (size + 4095) & ~(size_t)4095;
}

void *fw_secret_alloc(size_t size)
{
	void *p;

	if (posix_memalign(&p, 4096, page_round(size)))
		return NULL;
	memset(p, 0, page_round(size));
	/* Best effort: a kernel that can't is no reason to refuse service. */
	madvise(p, page_round(size), MADV_DONTDUMP);
	return p;
}

void fw_secret_free(void *p, size_t size)
{
	if (!p)
		return;
	OPENSSL_cleanse(p, size);
	madvise(p, page_round(size), MADV_DODUMP);
	free(p);
}

struct fw_ctx *fw_ctx_new(const struct fw_algs *algs)
{
	OSSL_PARAM digest[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_end(),
	};
	struct fw_ctx *ctx = fw_secret_alloc(sizeof(*ctx));

	if (!ctx)
		return NULL;
	ctx->enc = EVP_CIPHER_CTX_new();
	ctx->dec = EVP_CIPHER_CTX_new();
	ctx->mac = EVP_MAC_CTX_new(algs->hmac);
	if (!ctx->enc || !ctx->dec || !ctx->mac ||
	    !EVP_EncryptInit_ex2(ctx->enc, algs->gcm, NULL, NULL, NULL) ||
	    !EVP_DecryptInit_ex2(ctx->dec, algs->gcm, NULL, NULL, NULL) ||
	    !EVP_MAC_CTX_set_params(ctx->mac, digest)) {
		fw_ctx_free(ctx);
		return NULL;
	}
	return ctx;
}

void fw_ctx_free(struct fw_ctx *ctx)
{
	if (!ctx)
		return;
	EVP_CIPHER_CTX_free(ctx->enc);
	EVP_CIPHER_CTX_free(ctx->dec);
	EVP_MAC_CTX_free(ctx->mac);
	fw_secret_free(ctx, sizeof(*ctx));
}

struct fw_ctx *fw_pool_get(struct fw_pool *pool, unsigned int *slot)
{
	/* A thread starts where it likely was before: its context is in its core's cache. */
	unsigned int first = (uint32_t)((uint64_t)pthread_self() >> 12) * 0x9e3779b1u >> 16;

	for (unsigned int i = 0; i < FW_POOL_SLOTS; i++) {
		struct fw_pool_slot *s = &pool->slots[(first + i) % FW_POOL_SLOTS];

		if (atomic_load_explicit(&s->busy, memory_order_relaxed) ||
		    atomic_exchange_explicit(&s->busy, true, memory_order_acquire))
			continue;
		if (!s->ctx)
			s->ctx = fw_ctx_new(pool->algs);
		if (!s->ctx) {
			atomic_store_explicit(&s->busy, false, memory_order_release);
			return NULL;
		}
		*slot = (first + i) % FW_POOL_SLOTS;
		return s->ctx;
	}
	*slot = FW_POOL_SLOTS;
	return fw_ctx_new(pool->algs);
}

void fw_pool_put(struct fw_pool *pool, struct fw_ctx *ctx, unsigned int slot)
{
	if (slot == FW_POOL_SLOTS)
		fw_ctx_free(ctx);
	else
		atomic_store_explicit(&pool->slots[slot].busy, false, memory_order_release);
}

void fw_pool_purge(struct fw_pool *pool)
{
	for (unsigned int i = 0; i < FW_POOL_SLOTS; i++) {
		struct fw_pool_slot *s = &pool->slots[i];

		while (atomic_exchange_explicit(&s->busy, true, memory_order_acquire))
			sched_yield();
		fw_ctx_free(s->ctx);
		s->ctx = NULL;
		atomic_store_explicit(&s->busy, false, memory_order_release);
	}
}

int fw_random(void *out, size_t len)
{
	return RAND_bytes_ex(NULL, out, len, 0) == 1 ? 0 : -EIO;
}

int fw_random_secret(void *out, size_t len)
{
	return RAND_priv_bytes_ex(NULL, out, len, 0) == 1 ? 0 : -EIO;
}

int fw_hmac(struct fw_ctx *ctx, const uint8_t *key, size_t key_len, const void *msg, size_t len,
	    uint8_t out[32])
{
	size_t n;

	if (!EVP_MAC_init(ctx->mac, key, key_len, NULL) || !EVP_MAC_update(ctx->mac, msg, len) ||
	    !EVP_MAC_final(ctx->mac, out, &n, 32) || n != 32)
		return -EIO;
	return 0;
}

int fw_kbkdf(struct fw_ctx *ctx, const uint8_t key[FW_KEY_LEN], const char *label,
	     const uint8_t context[16], uint8_t out[FW_KEY_LEN])
{
	static const uint8_t counter[4] = { 0, 0, 0, 1 }, bits[4] = { 0, 0, 1, 0 };
	size_t n = strlen(label);
	uint8_t msg[64], *p = msg;

	if (n > sizeof(msg) - 4 - 1 - 16 - 4)
		return -EIO;
	p = memcpy(p, counter, 4) + 4;
	p = memcpy(p, label, n) + n;
	*p++ = 0;
	p = memcpy(p, context, 16) + 16;
	p = memcpy(p, bits, 4) + 4;
	return fw_hmac(ctx, key, FW_KEY_LEN, msg, p - msg, out);
}

int fw_gcm_seal(struct fw_ctx *ctx, const uint8_t key[FW_KEY_LEN], const uint8_t iv[FW_IV_LEN],
		const void *aad, size_t aad_len, const void *in, size_t len, void *out,
		uint8_t tag[FW_TAG_LEN])
{
	uint8_t none[FW_TAG_LEN];
	int n;

	if (!EVP_EncryptInit_ex2(ctx->enc, NULL, key, iv, NULL) ||
	    (aad_len && !EVP_EncryptUpdate(ctx->enc, NULL, &n, aad, aad_len)) ||
	    (len && !EVP_EncryptUpdate(ctx->enc, out, &n, in, len)) ||
	    !EVP_EncryptFinal_ex(ctx->enc, none, &n) ||
	    !EVP_CIPHER_CTX_ctrl(ctx->enc, EVP_CTRL_AEAD_GET_TAG, FW_TAG_LEN, tag)) {
		OPENSSL_cleanse(out, len);
		return -EIO;
	}
	return 0;
}

int fw_gcm_open(struct fw_ctx *ctx, const uint8_t key[FW_KEY_LEN], const uint8_t iv[FW_IV_LEN],
		const void *aad, size_t aad_len, const void *in, size_t len, void *out,
		const uint8_t tag[FW_TAG_LEN])
{
	uint8_t expect[FW_TAG_LEN], none[FW_TAG_LEN];
	int n, ret = -EIO;

	memcpy(expect, tag, sizeof(expect));
	if (!EVP_DecryptInit_ex2(ctx->dec, NULL, key, iv, NULL) ||
	    !EVP_CIPHER_CTX_ctrl(ctx->dec, EVP_CTRL_AEAD_SET_TAG, FW_TAG_LEN, expect) ||
	    (aad_len && !EVP_DecryptUpdate(ctx->dec, NULL, &n, aad, aad_len)) ||
	    (len && !EVP_DecryptUpdate(ctx->dec, out, &n, in, len)))
		goto wipe;
	if (EVP_DecryptFinal_ex(ctx->dec, none, &n))
		return 0;
	ret = -EBADMSG;
wipe:
	OPENSSL_cleanse(out, len);
	return ret;
}
