// SPDX-License-Identifier: Apache-2.0
/* Tokens: altered, foreign, outlived; and the cache that holds them unsealed. */
#include <endian.h>
#include <stdlib.h>

#include "card.h"
#include "../../qemu-hsm/firmware/fw.h"

#define BOTH (HSM_USAGE_ENCRYPT | HSM_USAGE_DECRYPT)

static uint8_t out[256];

static uint16_t enc(struct card *c, const uint8_t *part, const void *token, size_t len)
{
	return crypt_token(c, part, HSM_OP_ENCRYPT, token, len, NULL, 0, "data", 4, out,
			   sizeof(out), NULL);
}

static void test_flipped(void **state)
{
	struct card *c = *state;
	uint8_t token[128], ct[100];
	size_t len;

	/* First with a cold cache, then with the genuine token in it. */
	for (int warm = 0; warm < 2; warm++) {
		assert_int_equal(generate(c, part_a, BOTH, token), 0);
		if (warm)
			assert_int_equal(crypt_token(c, part_a, HSM_OP_ENCRYPT, token, 128, NULL, 0,
						     "data", 4, ct, sizeof(ct), &len), 0);
		for (size_t i = 0; i < sizeof(token); i++)
			for (int bit = 0; bit < 8; bit++) {
				token[i] ^= 1 << bit;
				assert_int_equal(enc(c, part_a, token, 128), HSM_ST_BAD_TOKEN);
				if (warm)
					assert_int_equal(crypt_token(c, part_a, HSM_OP_DECRYPT, token,
								     128, NULL, 0, ct, len, out,
								     sizeof(out), NULL),
							 HSM_ST_BAD_TOKEN);
				token[i] ^= 1 << bit;
			}
		assert_int_equal(enc(c, part_a, token, 128), HSM_ST_OK);
	}
}

static void test_length(void **state)
{
	struct card *c = *state;
	uint8_t token[HSM_MAX_TOKEN] = { 0 };

	assert_int_equal(generate(c, part_a, BOTH, token), 0);
	for (size_t i = 0; i <= HSM_MAX_TOKEN; i++)
		assert_int_equal(enc(c, part_a, token, i), i == 128 ? HSM_ST_OK : HSM_ST_BAD_TOKEN);
}

static void test_other_partition(void **state)
{
	struct card *c = *state;
	uint8_t a[128], b[128], forged[128];

	assert_int_equal(part_op(c, HSM_OP_PARTITION_CREATE, part_b), 0);
	assert_int_equal(generate(c, part_a, BOTH, a), 0);
	assert_int_equal(generate(c, part_b, BOTH, b), 0);
	for (int warm = 0; warm < 2; warm++) {
		assert_int_equal(enc(c, part_b, a, 128), HSM_ST_BAD_TOKEN);
		assert_int_equal(enc(c, part_a, b, 128), HSM_ST_BAD_TOKEN);
		memcpy(forged, a, 128);
		memcpy(forged + offsetof(struct hsm_token, partition), part_b, 16);
		assert_int_equal(enc(c, part_b, forged, 128), HSM_ST_BAD_TOKEN);
		assert_int_equal(enc(c, part_a, a, 128), HSM_ST_OK);
		assert_int_equal(enc(c, part_b, b, 128), HSM_ST_OK);
	}
	/* Even if two partitions had the same domain key: the token says whose it is. */
	memcpy(c->fw->partitions[1].rec.key, c->fw->partitions[0].rec.key, 32);
	assert_int_equal(enc(c, part_b, a, 128), HSM_ST_BAD_TOKEN);
	assert_int_equal(reencrypt(c, a, b, NULL, 0, NULL, 0, out, 60, out, 60, NULL),
			 HSM_ST_BAD_TOKEN);
}

static void test_deleted_partition(void **state)
{
	struct card *c = *state;
	uint8_t a[128], b[128], key[32];
	uint32_t usage;

	assert_int_equal(part_op(c, HSM_OP_PARTITION_CREATE, part_b), 0);
	assert_int_equal(generate(c, part_a, BOTH, a), 0);
	assert_int_equal(generate(c, part_b, BOTH, b), 0);
	assert_int_equal(enc(c, part_a, a, 128), HSM_ST_OK);
	assert_int_equal(enc(c, part_b, b, 128), HSM_ST_OK);
	assert_true(fw_cache_get(&c->fw->cache, part_a, a, key, &usage));
	assert_int_equal(usage, BOTH);
	assert_int_equal(part_op(c, HSM_OP_PARTITION_DELETE, part_a), 0);
	assert_int_equal(enc(c, part_a, a, 128), HSM_ST_NO_PARTITION);
	assert_false(fw_cache_get(&c->fw->cache, part_a, a, key, &usage));
	assert_true(fw_cache_get(&c->fw->cache, part_b, b, key, &usage));
	/* The same name again, but the key that sealed the token is gone. */
	assert_int_equal(part_op(c, HSM_OP_PARTITION_CREATE, part_a), 0);
	assert_int_equal(enc(c, part_a, a, 128), HSM_ST_BAD_TOKEN);
	assert_int_equal(enc(c, part_b, b, 128), HSM_ST_OK);
}

/* More tokens than the cache holds: each still works, and the bound holds. */
static void test_cache_bound(void **state)
{
	enum { N = 3 * FW_CACHE_SHARDS * FW_CACHE_PER_SHARD };
	struct card *c = *state;
	uint8_t (*tokens)[128] = malloc(N * 128), key[32];
	unsigned int cached = 0;
	uint32_t usage;

	for (int i = 0; i < N; i++) {
		assert_int_equal(generate(c, part_a, BOTH, tokens[i]), 0);
		assert_int_equal(enc(c, part_a, tokens[i], 128), HSM_ST_OK);
	}
	for (int i = 0; i < N; i++)
		cached += fw_cache_get(&c->fw->cache, part_a, tokens[i], key, &usage);
	assert_int_equal(cached, FW_CACHE_SHARDS * FW_CACHE_PER_SHARD);
	for (int i = 0; i < N; i++)
		assert_int_equal(enc(c, part_a, tokens[i], 128), HSM_ST_OK);
	free(tokens);
}

/* What was used last stays, what was used longest ago goes, and nothing of it remains. */
static void test_cache_lru(void **state)
{
	struct fw_cache *cache = fw_secret_alloc(sizeof(*cache));
	struct fw_cache_shard *s = &cache->shards[0];
	uint8_t token[128] = { 0 }, key[32], got[32], gone[32];
	uint32_t usage;

	(void)state;
	assert_int_equal(fw_cache_init(cache), 0);
	for (unsigned int i = 0; i <= FW_CACHE_PER_SHARD; i++) {
		if (i == FW_CACHE_PER_SHARD) {
			token[0] = 0;
			assert_true(fw_cache_get(cache, part_a, token, got, &usage));
		}
		token[0] = i;
		memset(key, i + 1, sizeof(key));
		fw_cache_put(cache, part_a, token, key, i + 1);
	}
	token[0] = 0;
	assert_true(fw_cache_get(cache, part_a, token, got, &usage));
	assert_int_equal(usage, 1);
	assert_int_equal(got[31], 1);
	assert_false(fw_cache_get(cache, part_b, token, got, &usage));
	token[0] = 1;
	assert_false(fw_cache_get(cache, part_a, token, got, &usage));
	memset(gone, 2, sizeof(gone));
	for (unsigned int i = 0; i < FW_CACHE_PER_SHARD; i++)
		assert_memory_not_equal(s->entries[i].key, gone, sizeof(gone));
	fw_cache_purge(cache, part_b);
	assert_int_not_equal(s->newest, FW_CACHE_NONE);
	fw_cache_purge(cache, part_a);
	assert_int_equal(s->newest, FW_CACHE_NONE);
	assert_int_equal(s->oldest, FW_CACHE_NONE);
	for (unsigned int i = 0; i < FW_CACHE_PER_SHARD; i++)
		assert_true(fw_is_zero(s->entries[i].key, 32) && fw_is_zero(&s->entries[i].id, 144));
	fw_cache_destroy(cache);
	fw_secret_free(cache, sizeof(*cache));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, card_setup, card_teardown)
	const struct CMUnitTest tests[] = {
		T(test_flipped),	   T(test_length),	T(test_other_partition),
		T(test_deleted_partition), T(test_cache_bound),
		cmocka_unit_test(test_cache_lru),
	};

	return cmocka_run_group_tests_name("firmware tokens", tests, NULL, NULL);
}
