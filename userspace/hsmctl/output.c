// SPDX-License-Identifier: Apache-2.0
/* Tables and JSON on stdout. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "hsmctl.h"

#define MAX_COLUMNS 12

/* Characters, not bytes: serial numbers and names may be UTF-8. */
static size_t width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

/* What came from elsewhere must not drive the terminal. */
static void put(const char *s)
{
	for (; *s; s++)
		putchar((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s);
}

/* Daemons give times, and nothing else, as fractional seconds since 1970. */
static const char *time_text(double when, char *buf, size_t cap)
{
	time_t t = (time_t)when;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(buf, cap, "%Y-%m-%dT%H:%M:%SZ", &tm))
		return "-";
	return buf;
}

/* Into buf, unless the value is a string itself. */
static const char *text_of(const json_t *v, char *buf, size_t cap)
{
	switch (json_typeof(v)) {
	case JSON_STRING:
		return json_string_value(v);
	case JSON_INTEGER:
		snprintf(buf, cap, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
		return buf;
	case JSON_REAL:
		return time_text(json_real_value(v), buf, cap);
	case JSON_TRUE:
		return "yes";
	case JSON_FALSE:
		return "no";
	case JSON_NULL:
		return "-";
	default:
		/* A list of small things: as JSON, cut off if need be. */
		cap = json_dumpb(v, buf, cap - 1, JSON_COMPACT) < cap ? json_dumpb(v, buf, cap - 1, JSON_COMPACT) : cap - 1;
		buf[cap] = '\0';
		return buf;
	}
}

static const char *cell(const json_t *row, const struct column *col, char *buf, size_t cap)
{
	const json_t *v = json_object_get(row, col->key);
	const char *s = v ? text_of(v, buf, cap) : "-";

	return *s ? s : "-";
}

static void print_table(const json_t *rows, const struct column *columns)
{
	size_t widths[MAX_COLUMNS], n, i, c;
	const json_t *row;
	char buf[512];

	for (n = 0; columns[n].title; n++)
		widths[n] = width(columns[n].title);
	json_array_foreach(rows, i, row)
		for (c = 0; c < n; c++) {
			size_t w = width(cell(row, &columns[c], buf, sizeof(buf)));

			if (w > widths[c])
				widths[c] = w;
		}
	for (c = 0; c < n; c++)
		printf(c + 1 < n ? "%-*s  " : "%.*s", c + 1 < n ? (int)widths[c] : 64, columns[c].title);
	putchar('\n');
	json_array_foreach(rows, i, row) {
		for (c = 0; c < n; c++) {
			const char *s = cell(row, &columns[c], buf, sizeof(buf));

			put(s);
			if (c + 1 < n)
				printf("%*s", (int)(widths[c] - width(s) + 2), "");
		}
		putchar('\n');
	}
}

static void print_members(json_t *out)
{
	size_t w = 0;
	const char *key;
	json_t *v;
	char buf[512];

	json_object_foreach(out, key, v)
		if (width(key) > w)
			w = width(key);
	json_object_foreach(out, key, v) {
		printf("%s:%*s ", key, (int)(w - width(key)), "");
		put(text_of(v, buf, sizeof(buf)));
		putchar('\n');
	}
}

int ctl_print(const struct ctl *c, json_t *out, const char *list, const struct column *columns)
{
	int ret = CTL_OK;

	if (!out)
		return ctl_fail("out of memory");
	if (c->json) {
		if (json_dumpf(out, stdout, JSON_INDENT(2)))
			ret = CTL_REFUSED;
		putchar('\n');
	} else if (list) {
		print_table(json_object_get(out, list), columns);
	} else {
		print_members(out);
	}
	json_decref(out);
	if (fflush(stdout) || ferror(stdout))
		ret = ctl_fail("cannot write to stdout");
	return ret;
}
