// SPDX-License-Identifier: Apache-2.0
/* Key tokens: customer keys at rest, sealed with the partition's domain key. */
#include <endian.h>
#include <errno.h>
#include <time.h>

#include <openssl/crypto.h>

#include "fw.h"

#define LABEL "hsm token v1"

_Static_assert(sizeof(struct hsm_token) + FW_KEY_LEN + FW_TAG_LEN == HSM_TOKEN_AES256_LEN,
	       "AES-256 token");

/* Combinations that hardware.rst, "Key usage", permits for AES-256. */
static bool usage_permitted(uint32_t usage)
{
	return usage && !(usage & ~(HSM_USAGE_ENCRYPT | HSM_USAGE_DECRYPT));
}

static uint16_t unseal(struct fw_cmd *cmd, const struct fw_partition *p, const uint8_t *token,
		       uint8_t key[FW_KEY_LEN], uint32_t *usage)
{
	const uint8_t *sealed = token + sizeof(struct hsm_token);
	uint8_t wrap[FW_KEY_LEN];
	struct hsm_token h;
	int err;

	memcpy(&h, token, sizeof(h));
	if (le32toh(h.magic) != HSM_TOKEN_MAGIC || h.version != 1 || h.type != HSM_KEY_AES256 ||
	    h.flags || le32toh(h.material_len) != FW_KEY_LEN || h.rsvd ||
	    !fw_is_zero(h.rsvd2, sizeof(h.rsvd2)) || !usage_permitted(le32toh(h.usage)) ||
	    memcmp(h.partition, p->rec.uuid, sizeof(h.partition)))
		return HSM_ST_BAD_TOKEN;
	err = fw_kbkdf(cmd->ctx, p->rec.key, LABEL, h.key_id, wrap);
	if (!err)
		err = fw_gcm_open(cmd->ctx, wrap, h.iv, token, sizeof(h), sealed, FW_KEY_LEN, key,
				  sealed + FW_KEY_LEN);
	OPENSSL_cleanse(wrap, sizeof(wrap));
	if (err)
		return err == -EBADMSG ? HSM_ST_BAD_TOKEN : HSM_ST_INTERNAL;
	*usage = le32toh(h.usage);
	return HSM_ST_OK;
}

uint16_t fw_token_open(struct fw_cmd *cmd, const uint8_t *token, size_t len, uint32_t need,
		       uint8_t key[FW_KEY_LEN])
{
	struct hsm_fw *fw = cmd->fw;
	uint8_t copy[HSM_TOKEN_AES256_LEN];
	const struct fw_partition *p;
	uint16_t st = HSM_ST_OK;
	uint32_t usage = 0;

	if (len != sizeof(copy))
		return HSM_ST_BAD_TOKEN;
	memcpy(copy, token, sizeof(copy));

	/*
	 * The lock spans unsealing and caching: a partition that is deleted
	 * meanwhile finds all its keys in the cache and wipes them.
	 */
	pthread_rwlock_rdlock(&fw->rwlock);
	p = fw_partition_find(fw, cmd->partition);
	if (!p) {
		st = HSM_ST_NO_PARTITION;
	} else if (!fw_cache_get(&fw->cache, cmd->partition, copy, key, &usage)) {
		st = unseal(cmd, p, copy, key, &usage);
		if (st == HSM_ST_OK)
			fw_cache_put(&fw->cache, cmd->partition, copy, key, usage);
	}
	pthread_rwlock_unlock(&fw->rwlock);

	if (st == HSM_ST_OK && (usage & need) != need) {
		OPENSSL_cleanse(key, FW_KEY_LEN);
		st = HSM_ST_KEY_USAGE;
	}
	return st;
}

uint16_t fw_key_generate(struct fw_cmd *cmd)
{
	struct hsm_fw *fw = cmd->fw;
	uint8_t domain[FW_KEY_LEN], wrap[FW_KEY_LEN], key[FW_KEY_LEN];
	uint8_t token[HSM_TOKEN_AES256_LEN];
	uint8_t *sealed = token + sizeof(struct hsm_token);
	struct hsm_key_generate_in in;
	struct hsm_token h = { 0 };
	const struct fw_partition *p;
	uint16_t st = HSM_ST_INTERNAL;

	if (!fw_copy(&cmd->in, &in, sizeof(in)) || cmd->in.left)
		return HSM_ST_INVALID_LENGTH;
	if (in.type != HSM_KEY_AES256 || in.rsvd || in.flags || in.rsvd2)
		return HSM_ST_INVALID_FIELD;
	if (!usage_permitted(le32toh(in.usage)))
		return HSM_ST_KEY_USAGE;
	if (cmd->cap < sizeof(token))
		return HSM_ST_INVALID_LENGTH;

	pthread_rwlock_rdlock(&fw->rwlock);
	p = fw_partition_find(fw, cmd->partition);
	if (p)
		memcpy(domain, p->rec.key, sizeof(domain));
	pthread_rwlock_unlock(&fw->rwlock);
	if (!p)
		return HSM_ST_NO_PARTITION;

	h.magic = htole32(HSM_TOKEN_MAGIC);
	h.version = 1;
	h.type = in.type;
	h.usage = in.usage;
	h.material_len = htole32(FW_KEY_LEN);
	memcpy(h.partition, cmd->partition, sizeof(h.partition));
	h.created = htole64((uint64_t)time(NULL));
	if (fw_random(h.key_id, sizeof(h.key_id)) || fw_random(h.iv, sizeof(h.iv)) ||
	    fw_random_secret(key, sizeof(key)))
		goto wipe;
	memcpy(token, &h, sizeof(h));
	if (fw_kbkdf(cmd->ctx, domain, LABEL, h.key_id, wrap) ||
	    fw_gcm_seal(cmd->ctx, wrap, h.iv, token, sizeof(h), key, sizeof(key), sealed,
			sealed + FW_KEY_LEN))
		goto wipe;
	memcpy(cmd->out, token, sizeof(token));
	cmd->out_len = sizeof(token);
	atomic_fetch_add_explicit(&fw->keys_generated, 1, memory_order_relaxed);
	st = HSM_ST_OK;
wipe:
	OPENSSL_cleanse(domain, sizeof(domain));
	OPENSSL_cleanse(wrap, sizeof(wrap));
	OPENSSL_cleanse(key, sizeof(key));
	return st;
}
