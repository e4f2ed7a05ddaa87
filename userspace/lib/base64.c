// SPDX-License-Identifier: Apache-2.0
#include "base64.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>

/* All ones if lo <= c <= hi, else 0; arguments below 256. */
static uint32_t in_range(uint32_t c, uint32_t lo, uint32_t hi)
{
	return (((c - lo) | (hi - c)) >> 31) - 1;
}

/* Value of a character, or a value with bit 31 set. */
static uint32_t value_of(unsigned char ch)
{
	uint32_t c = ch, v = 0, hit;

	hit = in_range(c, 'A', 'Z');
	v |= hit & (c - 'A' + 1);
	hit = in_range(c, 'a', 'z');
	v |= hit & (c - 'a' + 27);
	hit = in_range(c, '0', '9');
	v |= hit & (c - '0' + 53);
	hit = in_range(c, '+', '+');
	v |= hit & 63;
	hit = in_range(c, '/', '/');
	v |= hit & 64;
	return v - 1;
}

static char char_of(uint32_t v)
{
	uint32_t c;

	c = in_range(v, 0, 25) & ('A' + v);
	c |= in_range(v, 26, 51) & ('a' + v - 26);
	c |= in_range(v, 52, 61) & ('0' + v - 52);
	c |= in_range(v, 62, 62) & '+';
	c |= in_range(v, 63, 63) & '/';
	return (char)c;
}

size_t base64_encode(const void *in, size_t len, char *out)
{
	const uint8_t *p = in;
	char *start = out;

	for (; len >= 3; len -= 3, p += 3) {
		uint32_t w = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];

		*out++ = char_of(w >> 18);
		*out++ = char_of(w >> 12 & 63);
		*out++ = char_of(w >> 6 & 63);
		*out++ = char_of(w & 63);
	}
	if (len) {
		uint32_t w = (uint32_t)p[0] << 16 | (len == 2 ? (uint32_t)p[1] << 8 : 0);

		*out++ = char_of(w >> 18);
		*out++ = char_of(w >> 12 & 63);
		*out++ = len == 2 ? char_of(w >> 6 & 63) : '=';
		*out++ = '=';
	}
	return (size_t)(out - start);
}

ssize_t base64_decode(const char *in, size_t len, void *out, size_t cap)
{
	const unsigned char *p = (const unsigned char *)in;
	uint8_t *o = out;
	size_t pad = 0, size;
	uint32_t bad = 0;

	if (len % 4 || len > SSIZE_MAX)
		return -EINVAL;
	if (!len)
		return 0;
	if (p[len - 1] == '=')
		pad = p[len - 2] == '=' ? 2 : 1;
	size = len / 4 * 3 - pad;
	if (size > cap)
		return -ENOSPC;

	for (size_t full = len / 4 - !!pad; full; full--, p += 4) {
		uint32_t a = value_of(p[0]), b = value_of(p[1]), c = value_of(p[2]), d = value_of(p[3]);
		uint32_t w = a << 18 | b << 12 | c << 6 | d;

		bad |= a | b | c | d;
		*o++ = (uint8_t)(w >> 16);
		*o++ = (uint8_t)(w >> 8);
		*o++ = (uint8_t)w;
	}
	if (pad) {
		uint32_t a = value_of(p[0]), b = value_of(p[1]), c = pad == 1 ? value_of(p[2]) : 0;
		uint32_t w = a << 18 | b << 12 | c << 6;

		bad |= a | b | c;
		/* The bits that padding leaves over must be zero, else one value has two texts. */
		bad |= (w & (pad == 1 ? 0xffu : 0xffffu)) ? 1u << 31 : 0;
		*o++ = (uint8_t)(w >> 16);
		if (pad == 1)
			*o++ = (uint8_t)(w >> 8);
	}
	return bad >> 31 ? -EINVAL : (ssize_t)size;
}
