/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON into a fixed buffer.  A writer that runs out of room goes bad and stays
 * so; callers check once, at the end.  Commas are its own affair.
 */
#ifndef KMS_JSONW_H
#define KMS_JSONW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jsonw {
	char *p;
	size_t len, cap;
	bool comma;		/* a value precedes at this level */
	bool bad;
};

void jsonw_init(struct jsonw *w, char *buf, size_t cap);
/* name NULL: an element of an array. */
void jsonw_open(struct jsonw *w, const char *name, char bracket);	/* '{' or '[' */
void jsonw_close(struct jsonw *w, char bracket);			/* '}' or ']' */
void jsonw_text(struct jsonw *w, const char *name, const char *s, size_t len);	/* UTF-8 */
void jsonw_str(struct jsonw *w, const char *name, const char *s);
void jsonw_base64(struct jsonw *w, const char *name, const void *data, size_t len);
void jsonw_bool(struct jsonw *w, const char *name, bool v);
void jsonw_seconds(struct jsonw *w, const char *name, int64_t ms);	/* 1700000000.123 */
int jsonw_end(const struct jsonw *w);	/* length, or -ENOSPC */

#endif
