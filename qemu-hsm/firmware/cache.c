// SPDX-License-Identifier: Apache-2.0
/*
 * Least recently used cache of unsealed tokens, in shards by the token's tag.
 * Only tokens that were authenticated get in, so the tags that choose shard and
 * bucket are the card's own pseudo-random bytes.
 */
#include <openssl/crypto.h>

#include "fw.h"

#define NONE FW_CACHE_NONE

static const uint8_t *tag_of(const uint8_t token[HSM_TOKEN_AES256_LEN])
{
	return token + HSM_TOKEN_AES256_LEN - FW_TAG_LEN;
}

static struct fw_cache_shard *shard_of(struct fw_cache *cache, const uint8_t *token)
{
	return &cache->shards[tag_of(token)[0] % FW_CACHE_SHARDS];
}

static void lru_unlink(struct fw_cache_shard *s, uint16_t i)
{
	struct fw_cache_entry *e = &s->entries[i];

	if (e->newer == NONE)
		s->newest = e->older;
	else
		s->entries[e->newer].older = e->older;
	if (e->older == NONE)
		s->oldest = e->newer;
	else
		s->entries[e->older].newer = e->newer;
}

static void lru_push(struct fw_cache_shard *s, uint16_t i)
{
	struct fw_cache_entry *e = &s->entries[i];

	e->newer = NONE;
	e->older = s->newest;
	if (s->newest == NONE)
		s->oldest = i;
	else
		s->entries[s->newest].newer = i;
	s->newest = i;
}

static void evict(struct fw_cache_shard *s, uint16_t i)
{
	struct fw_cache_entry *e = &s->entries[i];
	uint16_t *link = &s->buckets[e->bucket];

	while (*link != i)
		link = &s->entries[*link].chain;
	*link = e->chain;
	lru_unlink(s, i);
	OPENSSL_cleanse(e, sizeof(*e));
	e->chain = s->free;
	s->free = i;
}

static uint16_t find(struct fw_cache_shard *s, const uint8_t *partition, const uint8_t *token)
{
	uint16_t i = s->buckets[tag_of(token)[1]];

	while (i != NONE) {
		const struct fw_cache_entry *e = &s->entries[i];

		if (!(CRYPTO_memcmp(e->id.token, token, sizeof(e->id.token)) |
		      CRYPTO_memcmp(e->id.partition, partition, sizeof(e->id.partition))))
			break;
		i = e->chain;
	}
	return i;
}

int fw_cache_init(struct fw_cache *cache)
{
	for (unsigned int i = 0; i < FW_CACHE_SHARDS; i++) {
		struct fw_cache_shard *s = &cache->shards[i];
		int err = pthread_mutex_init(&s->lock, NULL);

		if (err)
			return -err;
		s->newest = s->oldest = NONE;
		memset(s->buckets, 0xff, sizeof(s->buckets));
		s->free = 0;
		for (unsigned int j = 0; j < FW_CACHE_PER_SHARD; j++)
			s->entries[j].chain = j + 1 < FW_CACHE_PER_SHARD ? j + 1 : NONE;
	}
	return 0;
}

void fw_cache_destroy(struct fw_cache *cache)
{
	for (unsigned int i = 0; i < FW_CACHE_SHARDS; i++)
		pthread_mutex_destroy(&cache->shards[i].lock);
	OPENSSL_cleanse(cache, sizeof(*cache));
}

bool fw_cache_get(struct fw_cache *cache, const uint8_t partition[HSM_UUID_LEN],
		  const uint8_t token[HSM_TOKEN_AES256_LEN], uint8_t key[FW_KEY_LEN],
		  uint32_t *usage)
{
	struct fw_cache_shard *s = shard_of(cache, token);
	uint16_t i;

	pthread_mutex_lock(&s->lock);
	i = find(s, partition, token);
	if (i != NONE) {
		memcpy(key, s->entries[i].key, FW_KEY_LEN);
		*usage = s->entries[i].usage;
		if (s->newest != i) {
			lru_unlink(s, i);
			lru_push(s, i);
		}
	}
	pthread_mutex_unlock(&s->lock);
	return i != NONE;
}

void fw_cache_put(struct fw_cache *cache, const uint8_t partition[HSM_UUID_LEN],
		  const uint8_t token[HSM_TOKEN_AES256_LEN], const uint8_t key[FW_KEY_LEN],
		  uint32_t usage)
{
	struct fw_cache_shard *s = shard_of(cache, token);
	struct fw_cache_entry *e;
	uint16_t i;

	pthread_mutex_lock(&s->lock);
	/* Another thread may have unsealed the same token meanwhile. */
	if (find(s, partition, token) != NONE)
		goto out;
	if (s->free == NONE)
		evict(s, s->oldest);
	i = s->free;
	e = &s->entries[i];
	s->free = e->chain;
	memcpy(e->id.partition, partition, sizeof(e->id.partition));
	memcpy(e->id.token, token, sizeof(e->id.token));
	memcpy(e->key, key, sizeof(e->key));
	e->usage = usage;
	e->bucket = tag_of(token)[1];
	e->chain = s->buckets[e->bucket];
	s->buckets[e->bucket] = i;
	lru_push(s, i);
out:
	pthread_mutex_unlock(&s->lock);
}

void fw_cache_purge(struct fw_cache *cache, const uint8_t partition[HSM_UUID_LEN])
{
	for (unsigned int n = 0; n < FW_CACHE_SHARDS; n++) {
		struct fw_cache_shard *s = &cache->shards[n];
		uint16_t i, next;

		pthread_mutex_lock(&s->lock);
		for (i = s->newest; i != NONE; i = next) {
			next = s->entries[i].older;
			if (!memcmp(s->entries[i].id.partition, partition, HSM_UUID_LEN))
				evict(s, i);
		}
		pthread_mutex_unlock(&s->lock);
	}
}
