// SPDX-License-Identifier: Apache-2.0
/* The firmware's derivations against OpenSSL's own, and self-tests that can fail. */
#include <errno.h>
#include <endian.h>
#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>

#include "card.h"
#include "../../qemu-hsm/firmware/fw.h"

static struct fw_algs algs;
static struct fw_ctx *ctx;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(fw_algs_get(&algs), 0);
	ctx = fw_ctx_new(&algs);
	assert_non_null(ctx);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fw_ctx_free(ctx);
	fw_algs_put(&algs);
	return 0;
}

static void openssl_kbkdf(const uint8_t *key, const char *label, const uint8_t *context,
			  uint8_t out[32])
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "KBKDF", NULL);
	EVP_KDF_CTX *k = EVP_KDF_CTX_new(kdf);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MODE, (char *)"counter", 0),
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MAC, (char *)"HMAC", 0),
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)key, 32),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)label, strlen(label)),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)context, 16),
		OSSL_PARAM_construct_end(),
	};

	assert_int_equal(EVP_KDF_derive(k, out, 32, params), 1);
	EVP_KDF_CTX_free(k);
	EVP_KDF_free(kdf);
}

static void test_kbkdf(void **state)
{
	static const char *const labels[] = { "hsm token v1", "hsm data v1", "hsm check v1", "" };
	uint8_t key[32], context[16], a[32], b[32];

	(void)state;
	for (int i = 0; i < 64; i++) {
		assert_int_equal(RAND_bytes(key, sizeof(key)), 1);
		assert_int_equal(RAND_bytes(context, sizeof(context)), 1);
		assert_int_equal(fw_kbkdf(ctx, key, labels[i % 4], context, a), 0);
		openssl_kbkdf(key, labels[i % 4], context, b);
		assert_memory_equal(a, b, 32);
	}
	assert_int_equal(fw_kbkdf(ctx, key, "a label that is far too long for the firmware's block",
				  context, a), -EIO);
}

/* Token and ciphertext by the text of hsm_cmd.h, outside the card. */
static void test_formats(void **state)
{
	struct card c = { 0 };
	uint8_t token[128], ct[100], key[32], wrap[32], msg[32], plain[32];
	struct hsm_token h;
	size_t len;

	(void)state;
	card_make(&c);
	assert_int_equal(part_op(&c, HSM_OP_PARTITION_CREATE, part_a), 0);
	assert_int_equal(generate(&c, part_a, HSM_USAGE_ENCRYPT, token), 0);
	assert_int_equal(crypt_token(&c, part_a, HSM_OP_ENCRYPT, token, 128, "aad", 3, "message", 7,
				     ct, sizeof(ct), &len), 0);
	memcpy(&h, token, sizeof(h));
	openssl_kbkdf(c.fw->partitions[0].rec.key, "hsm token v1", h.key_id, wrap);
	assert_int_equal(fw_gcm_open(ctx, wrap, h.iv, token, 80, token + 80, 32, key, token + 112), 0);
	openssl_kbkdf(key, "hsm data v1", ct, msg);
	assert_int_equal(fw_gcm_open(ctx, msg, ct + 16, "aad", 3, ct + 28, 7, plain, ct + 35), 0);
	assert_memory_equal(plain, "message", 7);
	card_destroy(&c);
}

static void test_gcm_wipes(void **state)
{
	static const uint8_t key[32], iv[12];
	uint8_t in[100], out[100], tag[16];

	(void)state;
	memset(in, 7, sizeof(in));
	assert_int_equal(fw_gcm_seal(ctx, key, iv, NULL, 0, in, sizeof(in), out, tag), 0);
	memcpy(in, out, sizeof(in));
	tag[15] ^= 1;
	assert_int_equal(fw_gcm_open(ctx, key, iv, NULL, 0, in, sizeof(in), out, tag), -EBADMSG);
	assert_true(fw_is_zero(out, sizeof(out)));
}

static void test_selftest(void **state)
{
	struct fw_selftest_vectors v = fw_selftest_vectors;

	(void)state;
	assert_int_equal(fw_selftest(&algs, &v), 0);
	/* Each byte of each vector matters. */
	for (size_t i = 0; i < sizeof(v); i++) {
		((uint8_t *)&v)[i] ^= 0x20;
		assert_int_equal(fw_selftest(&algs, &v), -EIO);
		((uint8_t *)&v)[i] ^= 0x20;
	}
	assert_int_equal(fw_selftest(&algs, &v), 0);
}

/* More commands at once than the pool has contexts. */
static void test_pool(void **state)
{
	struct fw_pool pool = { .algs = &algs };
	struct fw_ctx *got[FW_POOL_SLOTS + 2];
	unsigned int slot[FW_POOL_SLOTS + 2];

	(void)state;
	for (unsigned int i = 0; i < FW_POOL_SLOTS + 2; i++) {
		got[i] = fw_pool_get(&pool, &slot[i]);
		assert_non_null(got[i]);
		for (unsigned int j = 0; j < i; j++)
			assert_ptr_not_equal(got[i], got[j]);
	}
	for (unsigned int i = 0; i < FW_POOL_SLOTS + 2; i++)
		fw_pool_put(&pool, got[i], slot[i]);
	assert_ptr_equal(fw_pool_get(&pool, &slot[0]), got[0]);
	fw_pool_put(&pool, got[0], slot[0]);
	fw_pool_purge(&pool);
	for (unsigned int i = 0; i < FW_POOL_SLOTS; i++)
		assert_null(pool.slots[i].ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kbkdf),	  cmocka_unit_test(test_formats),
		cmocka_unit_test(test_gcm_wipes), cmocka_unit_test(test_selftest),
		cmocka_unit_test(test_pool),
	};

	return cmocka_run_group_tests_name("firmware crypto", tests, setup, teardown);
}
