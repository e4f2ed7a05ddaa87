// SPDX-License-Identifier: Apache-2.0
#include "cursor.h"

#include <string.h>

void rcur_init(struct rcur *c, const void *buf, size_t len)
{
	*c = (struct rcur){ .p = buf, .left = len };
}

const void *rcur_bytes(struct rcur *c, size_t len)
{
	const uint8_t *p = c->p;

	if (c->bad || len > c->left) {
		c->bad = true;
		c->left = 0;
		return NULL;
	}
	c->p += len;
	c->left -= len;
	return p;
}

static uint64_t read_le(struct rcur *c, size_t len)
{
	const uint8_t *p = rcur_bytes(c, len);
	uint64_t v = 0;

	if (!p)
		return 0;
	while (len--)
		v = v << 8 | p[len];
	return v;
}

uint8_t rcur_u8(struct rcur *c)
{
	return (uint8_t)read_le(c, 1);
}

uint16_t rcur_u16(struct rcur *c)
{
	return (uint16_t)read_le(c, 2);
}

uint32_t rcur_u32(struct rcur *c)
{
	return (uint32_t)read_le(c, 4);
}

uint64_t rcur_u64(struct rcur *c)
{
	return read_le(c, 8);
}

bool rcur_done(const struct rcur *c)
{
	return !c->bad && !c->left;
}

void wcur_init(struct wcur *c, void *buf, size_t cap)
{
	*c = (struct wcur){ .p = buf, .left = cap };
}

void wcur_bytes(struct wcur *c, const void *src, size_t len)
{
	if (c->bad || len > c->left) {
		c->bad = true;
		c->left = 0;
		return;
	}
	if (!len)
		return;
	memcpy(c->p, src, len);
	c->p += len;
	c->left -= len;
	c->len += len;
}

static void write_le(struct wcur *c, uint64_t v, size_t len)
{
	uint8_t b[8];

	for (size_t i = 0; i < len; i++)
		b[i] = (uint8_t)(v >> (8 * i));
	wcur_bytes(c, b, len);
}

void wcur_u8(struct wcur *c, uint8_t v)
{
	write_le(c, v, 1);
}

void wcur_u16(struct wcur *c, uint16_t v)
{
	write_le(c, v, 2);
}

void wcur_u32(struct wcur *c, uint32_t v)
{
	write_le(c, v, 4);
}

void wcur_u64(struct wcur *c, uint64_t v)
{
	write_le(c, v, 8);
}

bool span_eq(struct span a, const char *b)
{
	size_t len = strlen(b);

	return a.p && a.len == len && !memcmp(a.p, b, len);
}

static unsigned char fold(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

bool span_ieq(struct span a, const char *b)
{
	size_t len = strlen(b);

	if (!a.p || a.len != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (fold((unsigned char)a.p[i]) != fold((unsigned char)b[i]))
			return false;
	return true;
}

void str_copy(char *dst, size_t cap, const char *src)
{
	size_t len = strnlen(src, cap - 1);

	memcpy(dst, src, len);
	dst[len] = '\0';
}
