// SPDX-License-Identifier: Apache-2.0
/* Names, HTTP statuses and origins of API errors. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <hsm_cmd.h>

#include "apierr.h"

static const struct {
	const char *name;
	int status;
} errors[] = {
#define X(e, name, status) { name, status },
	API_ERRORS(X)
#undef X
};

#define N_ERRORS (sizeof(errors) / sizeof(errors[0]))

const char *api_error_name(enum api_error e)
{
	return (size_t)e < N_ERRORS ? errors[e].name : errors[API_INTERNAL].name;
}

int api_error_status(enum api_error e)
{
	return (size_t)e < N_ERRORS ? errors[e].status : errors[API_INTERNAL].status;
}

/*
 * Tokens come from the KMS's own store and headers are made by it: what the card
 * finds wrong with them is not the client's doing.
 */
static enum api_error of_status(uint16_t status)
{
	switch (status) {
	case HSM_ST_BAD_CIPHERTEXT:
		return API_INVALID_CIPHERTEXT;
	case HSM_ST_KEY_USAGE:
		return API_INVALID_KEY_USAGE;
	case HSM_ST_NO_SPACE:
		return API_LIMIT_EXCEEDED;
	case HSM_ST_NO_PARTITION:
	case HSM_ST_PARTITION_BUSY:
	case HSM_ST_NO_RESOURCES:
	case HSM_ST_SHUTDOWN:
		return API_UNAVAILABLE;
	default:
		return API_INTERNAL;
	}
}

enum api_error api_error_of_card(int err, uint16_t status)
{
	if (status)
		return of_status(status);
	switch (err) {
	case 0:
		return API_OK;
	case -ETIME:
	case -ETIMEDOUT:
		return API_DEPENDENCY_TIMEOUT;
	case -EBUSY:
		return API_THROTTLING;
	case -EIO:
	case -ENODEV:
	case -ENXIO:
	case -EPERM:
	case -ESTALE:
	case -ECANCELED:
		return API_UNAVAILABLE;
	default:
		return API_INTERNAL;
	}
}

enum api_error api_error_of_route(int err)
{
	switch (err) {
	case 0:
		return API_OK;
	case -ENOENT:
	case -ECONNREFUSED:
	case -ECONNRESET:
		return API_UNAVAILABLE;
	case -ETIMEDOUT:
		return API_DEPENDENCY_TIMEOUT;
	case -EBUSY:
		return API_THROTTLING;
	case -EACCES:
		return API_ACCESS_DENIED;
	case -EMSGSIZE:
		return API_TOO_LARGE;
	default:
		return API_INTERNAL;
	}
}

/* Length of the well-formed UTF-8 sequence at s (The Unicode Standard, table 3-7), or 0. */
static size_t utf8_len(const unsigned char *s)
{
	unsigned char lo = 0x80, hi = 0xbf;
	size_t n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf) {
		n = 2;
	} else if (s[0] >= 0xe0 && s[0] <= 0xef) {
		n = 3;
		if (s[0] == 0xe0)
			lo = 0xa0;
		else if (s[0] == 0xed)
			hi = 0x9f;
	} else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		n = 4;
		if (s[0] == 0xf0)
			lo = 0x90;
		else if (s[0] == 0xf4)
			hi = 0x8f;
	} else {
		return 0;
	}
	if (s[1] < lo || s[1] > hi)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return n;
}

struct out {
	char *p;
	size_t cap, len;
	int err;
};

static void put(struct out *o, const void *s, size_t n)
{
	if (o->err || n >= o->cap - o->len) {
		o->err = -ENOSPC;
		return;
	}
	memcpy(o->p + o->len, s, n);
	o->len += n;
}

static void put_escaped(struct out *o, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	while (*s) {
		size_t n = utf8_len(s);
		char esc[8];

		if (!n) {
			put(o, "\xef\xbf\xbd", 3);
			n = 1;
		} else if (*s == '"' || *s == '\\') {
			esc[0] = '\\';
			esc[1] = (char)*s;
			put(o, esc, 2);
		} else if (*s < 0x20 || *s == 0x7f) {
			snprintf(esc, sizeof(esc), "\\u%04x", *s);
			put(o, esc, 6);
		} else {
			put(o, s, n);
		}
		s += n;
	}
}

int api_error_body(enum api_error e, const char *message, char *out, size_t cap)
{
	struct out o = { .p = out, .cap = cap, .err = cap ? 0 : -ENOSPC };
	const char *name = api_error_name(e);

	put(&o, "{\"__type\":\"", 11);
	put(&o, name, strlen(name));
	put(&o, "\",\"message\":\"", 13);
	put_escaped(&o, message);
	put(&o, "\"}", 2);
	if (o.err)
		return o.err;
	out[o.len] = '\0';
	return (int)o.len;
}
