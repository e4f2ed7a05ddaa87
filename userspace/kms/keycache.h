/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's cache of key rows, so that a request on a known key does not touch
 * the store.  An entry is good as long as the store's generation is the one it was read under.
 */
#ifndef KMS_KEYCACHE_H
#define KMS_KEYCACHE_H

#include "store.h"

#define KEYCACHE_SETS 256	/* times KEYCACHE_WAYS keys */
#define KEYCACHE_WAYS 4

struct cached_key {
	uint64_t generation;
	uint8_t id[16];
	char account[STORE_ACCOUNT_LEN + 1];
	int64_t created_ms;
	uint16_t token_len;
	uint8_t token[];
};

struct keycache {
	struct cached_key *ways[KEYCACHE_SETS][KEYCACHE_WAYS];
	uint8_t victim[KEYCACHE_SETS];
};

/* Valid until the next keycache_put().  NULL: not there. */
const struct cached_key *keycache_get(struct keycache *c, const uint8_t id[16], uint64_t generation);
/* Remembers row, read when the generation was the given one.  Failure to do so is harmless. */
void keycache_put(struct keycache *c, const struct store_key *row, uint64_t generation);
void keycache_clear(struct keycache *c);

#endif
