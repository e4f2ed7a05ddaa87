// SPDX-License-Identifier: Apache-2.0
#include "uuid.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* At most 256: that much getrandom(2) gives whole, signals or not. */
#define POOL_BYTES 256

static _Thread_local uint8_t pool[POOL_BYTES];
static _Thread_local unsigned int pool_left;

static pthread_once_t pool_once = PTHREAD_ONCE_INIT;

static void forget_pool(void)
{
	pool_left = 0;
}

static void pool_init(void)
{
	/* Parent and child must not make the same identifiers. */
	if (pthread_atfork(NULL, NULL, forget_pool))
		abort();
}

void uuid_make(uint8_t id[16])
{
	if (!pool_left) {
		pthread_once(&pool_once, pool_init);
		while (getrandom(pool, sizeof(pool), 0) != (ssize_t)sizeof(pool))
			if (errno != EINTR)
				abort();
		pool_left = sizeof(pool);
	}
	pool_left -= 16;
	memcpy(id, pool + pool_left, 16);
	id[6] = (uint8_t)((id[6] & 0x0f) | 0x40);
	id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
}

void uuid_make_text(char text[UUID_TEXT + 1])
{
	uint8_t id[16];

	uuid_make(id);
	uuid_format(id, text);
}

static bool dash_at(size_t i)
{
	return i == 8 || i == 13 || i == 18 || i == 23;
}

void uuid_format(const uint8_t id[16], char text[UUID_TEXT + 1])
{
	static const char hex[] = "0123456789abcdef";
	char *o = text;

	for (size_t i = 0; i < 16; i++) {
		if (dash_at((size_t)(o - text)))
			*o++ = '-';
		*o++ = hex[id[i] >> 4];
		*o++ = hex[id[i] & 15];
	}
	*o = '\0';
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool uuid_parse(struct span text, uint8_t id[16])
{
	uint8_t out[16];
	size_t n = 0;

	if (!text.p || text.len != UUID_TEXT)
		return false;
	for (size_t i = 0; i < UUID_TEXT;) {
		int hi, lo;

		if (dash_at(i)) {
			if (text.p[i++] != '-')
				return false;
			continue;
		}
		hi = nibble(text.p[i]);
		lo = nibble(text.p[i + 1]);
		if (hi < 0 || lo < 0)
			return false;
		out[n++] = (uint8_t)(hi << 4 | lo);
		i += 2;
	}
	memcpy(id, out, sizeof(out));
	return true;
}
