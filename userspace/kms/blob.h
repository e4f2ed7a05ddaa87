/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ciphertext that clients get, and the data that the card authenticates with it.
 *
 *   blob    = header || the card's ciphertext (hsm_cmd.h)
 *   header  = "HKB1" || u8 version 1 || u8[3] zero || key id[16]		24 bytes
 *   AAD     = header || context
 *   context = u32 count || count * (u16 len || key || u16 len || value), little-endian,
 *             pairs in ascending order of their keys' bytes, no key twice
 *
 * The context's form is canonical: equal contexts give equal bytes, whatever order the client named them in.
 */
#ifndef KMS_BLOB_H
#define KMS_BLOB_H

#include <stddef.h>
#include <stdint.h>

#include "cursor.h"

#define BLOB_HEADER	24
#define CONTEXT_MAX	8192	/* bytes, canonical */
#define BLOB_AAD_MAX	(BLOB_HEADER + CONTEXT_MAX)

struct context_pair {
	struct span key, value;
};

void blob_header(const uint8_t key_id[16], uint8_t out[BLOB_HEADER]);

/* The key id in a blob; 0 or -EBADMSG (not a blob of ours, or nothing follows its header). */
int blob_parse(const void *blob, size_t len, uint8_t key_id[16]);

/* Sorts pairs in place.  Length, or -EMSGSIZE (over cap or CONTEXT_MAX), or -EINVAL (a key twice, or empty). */
int context_canon(struct context_pair *pairs, size_t n, void *out, size_t cap);

/* Header of key_id and canonical context; out holds BLOB_AAD_MAX bytes.  Length or as above. */
int blob_aad(const uint8_t key_id[16], struct context_pair *pairs, size_t n, void *out);

#endif
