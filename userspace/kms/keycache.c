// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "keycache.h"

/* Ids are random, or random enough: a client that shapes its own ids slows its own lookups only. */
static unsigned int set_of(const uint8_t id[16])
{
	return (unsigned int)(id[0] ^ id[5] ^ id[10] ^ id[15]) % KEYCACHE_SETS;
}

const struct cached_key *keycache_get(struct keycache *c, const uint8_t id[16], uint64_t generation)
{
	struct cached_key **set = c->ways[set_of(id)];

	for (int i = 0; i < KEYCACHE_WAYS; i++)
		if (set[i] && !memcmp(set[i]->id, id, 16) && set[i]->generation == generation)
			return set[i];
	return NULL;
}

void keycache_put(struct keycache *c, const struct store_key *row, uint64_t generation)
{
	unsigned int s = set_of(row->id);
	struct cached_key **slot = NULL, *e;

	for (int i = 0; i < KEYCACHE_WAYS && !slot; i++)
		if (!c->ways[s][i] || !memcmp(c->ways[s][i]->id, row->id, 16))
			slot = &c->ways[s][i];
	if (!slot)
		slot = &c->ways[s][c->victim[s]++ % KEYCACHE_WAYS];
	e = malloc(sizeof(*e) + row->token_len);
	if (!e)
		return;
	e->generation = generation;
	memcpy(e->id, row->id, 16);
	memcpy(e->account, row->account, sizeof(e->account));
	e->created_ms = row->created_ms;
	e->token_len = row->token_len;
	memcpy(e->token, row->token, row->token_len);
	free(*slot);
	*slot = e;
}

void keycache_clear(struct keycache *c)
{
	for (int s = 0; s < KEYCACHE_SETS; s++)
		for (int i = 0; i < KEYCACHE_WAYS; i++) {
			free(c->ways[s][i]);
			c->ways[s][i] = NULL;
		}
}
