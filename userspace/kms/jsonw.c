// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base64.h"
#include "jsonw.h"

void jsonw_init(struct jsonw *w, char *buf, size_t cap)
{
	*w = (struct jsonw){ .p = buf, .cap = cap };
}

static char *room(struct jsonw *w, size_t len)
{
	char *at = w->p + w->len;

	if (w->bad || len > w->cap - w->len) {
		w->bad = true;
		return NULL;
	}
	w->len += len;
	return at;
}

static void raw(struct jsonw *w, const char *s, size_t len)
{
	char *at = room(w, len);

	if (at)
		memcpy(at, s, len);
}

static void name_it(struct jsonw *w, const char *name)
{
	if (w->comma)
		raw(w, ",", 1);
	w->comma = true;
	if (name) {
		raw(w, "\"", 1);
		raw(w, name, strlen(name));
		raw(w, "\":", 2);
	}
}

void jsonw_open(struct jsonw *w, const char *name, char bracket)
{
	name_it(w, name);
	raw(w, &bracket, 1);
	w->comma = false;
}

void jsonw_close(struct jsonw *w, char bracket)
{
	raw(w, &bracket, 1);
	w->comma = true;
}

void jsonw_text(struct jsonw *w, const char *name, const char *s, size_t len)
{
	char esc[8];
	size_t from = 0;

	name_it(w, name);
	raw(w, "\"", 1);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
			continue;
		raw(w, s + from, i - from);
		from = i + 1;
		if (c == '"' || c == '\\')
			snprintf(esc, sizeof(esc), "\\%c", c);
		else
			snprintf(esc, sizeof(esc), "\\u%04x", c);
		raw(w, esc, strlen(esc));
	}
	raw(w, s + from, len - from);
	raw(w, "\"", 1);
}

void jsonw_str(struct jsonw *w, const char *name, const char *s)
{
	jsonw_text(w, name, s, strlen(s));
}

void jsonw_base64(struct jsonw *w, const char *name, const void *data, size_t len)
{
	char *at;

	name_it(w, name);
	raw(w, "\"", 1);
	at = room(w, BASE64_ENCODED(len));
	if (at)
		base64_encode(data, len, at);
	raw(w, "\"", 1);
}

void jsonw_bool(struct jsonw *w, const char *name, bool v)
{
	name_it(w, name);
	raw(w, v ? "true" : "false", v ? 4 : 5);
}

void jsonw_seconds(struct jsonw *w, const char *name, int64_t ms)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%" PRId64 ".%03d", ms / 1000, (int)(ms % 1000));

	name_it(w, name);
	raw(w, text, (size_t)n);
}

int jsonw_end(const struct jsonw *w)
{
	return w->bad || w->len > INT_MAX ? -ENOSPC : (int)w->len;
}
