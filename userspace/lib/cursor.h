/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounds-checked cursors: the only way in which this tree reads or writes a
 * wire format.  A reader that runs past its end, or a writer past its capacity,
 * goes bad and stays bad; every later call is harmless (reads give 0 / NULL), so
 * callers check once, at the end.  Integers are little-endian on the wire.
 * A cursor does not own the memory under it.
 */
#ifndef HSM_CURSOR_H
#define HSM_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rcur {
	const uint8_t *p;
	size_t left;
	bool bad;
};

struct wcur {
	uint8_t *p;		/* next byte */
	size_t left;
	size_t len;		/* written */
	bool bad;
};

void rcur_init(struct rcur *c, const void *buf, size_t len);
uint8_t rcur_u8(struct rcur *c);
uint16_t rcur_u16(struct rcur *c);
uint32_t rcur_u32(struct rcur *c);
uint64_t rcur_u64(struct rcur *c);
const void *rcur_bytes(struct rcur *c, size_t len);	/* a view, valid as long as the buffer */
bool rcur_done(const struct rcur *c);			/* not bad, nothing left */

void wcur_init(struct wcur *c, void *buf, size_t cap);
void wcur_u8(struct wcur *c, uint8_t v);
void wcur_u16(struct wcur *c, uint16_t v);
void wcur_u32(struct wcur *c, uint32_t v);
void wcur_u64(struct wcur *c, uint64_t v);
void wcur_bytes(struct wcur *c, const void *src, size_t len);

/* A view of bytes that someone else owns; not NUL-terminated. */
struct span {
	const char *p;
	size_t len;
};

bool span_eq(struct span a, const char *b);	/* exact */
bool span_ieq(struct span a, const char *b);	/* ASCII case folded */

/* Copies a string into an array: never past its end, always with a NUL; what does not fit is cut. */
void str_copy(char *dst, size_t cap, const char *src);
#define STR_COPY(array, src) do {							\
	_Static_assert(!__builtin_types_compatible_p(__typeof__(array), char *), "an array");	\
	str_copy(array, sizeof(array), src);						\
} while (0)

#endif
