// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blob.h"

static const uint8_t magic[8] = { 'H', 'K', 'B', '1', 1, 0, 0, 0 };

void blob_header(const uint8_t key_id[16], uint8_t out[BLOB_HEADER])
{
	memcpy(out, magic, sizeof(magic));
	memcpy(out + sizeof(magic), key_id, 16);
}

int blob_parse(const void *blob, size_t len, uint8_t key_id[16])
{
	struct rcur c;
	const void *head, *id;

	rcur_init(&c, blob, len);
	head = rcur_bytes(&c, sizeof(magic));
	id = rcur_bytes(&c, 16);
	if (c.bad || rcur_done(&c) || memcmp(head, magic, sizeof(magic)))
		return -EBADMSG;
	memcpy(key_id, id, 16);
	return 0;
}

static int by_key(const void *pa, const void *pb)
{
	const struct span a = ((const struct context_pair *)pa)->key;
	const struct span b = ((const struct context_pair *)pb)->key;
	int c = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);

	return c ? c : (a.len > b.len) - (a.len < b.len);
}

int context_canon(struct context_pair *pairs, size_t n, void *out, size_t cap)
{
	struct wcur w;

	if (n > CONTEXT_MAX / 4)
		return -EMSGSIZE;
	if (n > 1)
		qsort(pairs, n, sizeof(*pairs), by_key);
	wcur_init(&w, out, cap < CONTEXT_MAX ? cap : CONTEXT_MAX);
	wcur_u32(&w, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		const struct context_pair *p = &pairs[i];

		if (!p->key.len || (i && !by_key(&pairs[i - 1], p)))
			return -EINVAL;
		if (p->key.len > CONTEXT_MAX || p->value.len > CONTEXT_MAX)
			return -EMSGSIZE;
		wcur_u16(&w, (uint16_t)p->key.len);
		wcur_bytes(&w, p->key.p, p->key.len);
		wcur_u16(&w, (uint16_t)p->value.len);
		if (p->value.len)
			wcur_bytes(&w, p->value.p, p->value.len);
	}
	return w.bad ? -EMSGSIZE : (int)w.len;
}

int blob_aad(const uint8_t key_id[16], struct context_pair *pairs, size_t n, void *out)
{
	int len = context_canon(pairs, n, (uint8_t *)out + BLOB_HEADER, CONTEXT_MAX);

	if (len < 0)
		return len;
	blob_header(key_id, out);
	return BLOB_HEADER + len;
}
