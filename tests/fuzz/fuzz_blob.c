// SPDX-License-Identifier: Apache-2.0
/*
 * Ciphertext blobs and encryption contexts.  The input is read as pairs, each
 * u8 key length, key, u8 value length, value; and as a blob.  The canonical form must
 * not depend on the pairs' order, and must say exactly the pairs that went in.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blob.h"

#define MAX_PAIRS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int ok)
{
	if (!ok)
		abort();
}

/* Each pair of the canonical form is one of those that went in, in ascending order of keys. */
static void read_back(const uint8_t *form, size_t len, const struct context_pair *pairs, size_t n)
{
	struct rcur c;

	rcur_init(&c, form, len);
	require(rcur_u32(&c) == n);
	for (size_t i = 0; i < n; i++) {
		size_t key_len = rcur_u16(&c), value_len;
		const void *key = rcur_bytes(&c, key_len), *value;

		value_len = rcur_u16(&c);
		value = value_len ? rcur_bytes(&c, value_len) : "";
		require(!c.bad && key_len == pairs[i].key.len && value_len == pairs[i].value.len);
		require(!memcmp(key, pairs[i].key.p, key_len) && !memcmp(value, pairs[i].value.p, value_len));
	}
	require(rcur_done(&c));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct context_pair a[MAX_PAIRS], b[MAX_PAIRS];
	uint8_t one[CONTEXT_MAX], two[CONTEXT_MAX], id[16], head[BLOB_HEADER];
	struct rcur c;
	size_t n = 0;
	int len;

	if (!blob_parse(data, size, id)) {
		blob_header(id, head);
		require(size > sizeof(head) && !memcmp(head, data, sizeof(head)));
	}
	rcur_init(&c, data, size);
	while (n < MAX_PAIRS && c.left) {
		struct span key, value;

		key.len = rcur_u8(&c);
		key.p = key.len ? rcur_bytes(&c, key.len) : "";
		value.len = rcur_u8(&c);
		value.p = value.len ? rcur_bytes(&c, value.len) : "";
		if (c.bad)
			break;
		a[n++] = (struct context_pair){ key, value };
	}
	for (size_t i = 0; i < n; i++)
		b[i] = a[n - 1 - i];
	len = context_canon(a, n, one, sizeof(one));
	require(len == context_canon(b, n, two, sizeof(two)));
	if (len < 0) {
		require(len == -EINVAL || len == -EMSGSIZE);
		return 0;
	}
	require(!memcmp(one, two, (size_t)len));
	read_back(one, (size_t)len, a, n);
	return 0;
}
