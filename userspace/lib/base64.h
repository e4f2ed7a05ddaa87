/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base64 (RFC 4648, section 4), strict: no white space, padding required, unused
 * bits zero.  Time depends on lengths only, as both ends may be key material.
 */
#ifndef HSM_BASE64_H
#define HSM_BASE64_H

#include <stddef.h>
#include <sys/types.h>

#define BASE64_ENCODED(n) (((size_t)(n) + 2) / 3 * 4)	/* characters, without a NUL */
#define BASE64_DECODED(n) ((size_t)(n) / 4 * 3)		/* upper bound, bytes */

/* Writes BASE64_ENCODED(len) characters and no NUL; out must hold them.  Returns their number. */
size_t base64_encode(const void *in, size_t len, char *out);

/*
 * Bytes written, or -EINVAL (not strict base64), or -ENOSPC (does not fit cap; nothing written).
 * After -EINVAL, out[0..cap) may hold part of the text: wiping it is the caller's task.
 */
ssize_t base64_decode(const char *in, size_t len, void *out, size_t cap);

#endif
