/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds-checked reading of a byte string that came from outside. */
#ifndef FW_CURSOR_H
#define FW_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct fw_cursor {
	const uint8_t *p;
	size_t left;
};

/* The next n bytes, or NULL if fewer are left.  Not NULL when n is 0. */
static inline const uint8_t *fw_take(struct fw_cursor *c, size_t n)
{
	static const uint8_t nothing;
	const uint8_t *p = c->p;

	if (n > c->left)
		return NULL;
	if (!n)
		return &nothing;
	c->p += n;
	c->left -= n;
	return p;
}

/* Copies the next n bytes: what is validated later is the copy. */
static inline bool fw_copy(struct fw_cursor *c, void *to, size_t n)
{
	const uint8_t *p = fw_take(c, n);

	if (!p)
		return false;
	memcpy(to, p, n);
	return true;
}

static inline bool fw_is_zero(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint8_t acc = 0;

	while (n--)
		acc |= *b++;
	return !acc;
}

#endif /* FW_CURSOR_H */
