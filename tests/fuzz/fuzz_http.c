// SPDX-License-Identifier: Apache-2.0
/* The request reader, and that how bytes arrive does not change what they mean. */
#include <stdlib.h>
#include <string.h>

#include "http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void check_span(struct span s, const char *buf, size_t len)
{
	if (!s.len)
		return;
	check(s.p >= buf && s.len <= len && (size_t)(s.p - buf) <= len - s.len);
}

static void check_request(const struct http_request *req, const char *buf, size_t len)
{
	check_span(req->method, buf, len);
	check_span(req->path, buf, len);
	check_span(req->query, buf, len);
	check_span(req->body, buf, len);
	check(req->method.len && req->path.len && req->path.p[0] == '/');
	check(req->n_headers && req->n_headers <= HTTP_MAX_HEADERS);
	check(req->body.len <= HTTP_MAX_BODY);
	check(http_get(req, "host").len);
	check(!http_get(req, "transfer-encoding").p);
	for (unsigned int i = 0; i < req->n_headers; i++) {
		check_span(req->headers[i].name, buf, len);
		check_span(req->headers[i].value, buf, len);
		check(req->headers[i].name.len);
		check(!memchr(req->headers[i].name.p, ':', req->headers[i].name.len));
		for (size_t k = 0; k < req->headers[i].value.len; k++)
			check((unsigned char)req->headers[i].value.p[k] >= 0x20 ||
			      req->headers[i].value.p[k] == '\t');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct http_request req;
	size_t need, part, got;
	int whole, ret;
	char *copy;

	whole = http_parse((const char *)data, size, &req, &need);
	check(whole <= (int)size);
	if (whole > 0)
		check_request(&req, (const char *)data, (size_t)whole);
	if (need)
		check(!whole && need > size && need <= HTTP_MAX_HEAD + HTTP_MAX_BODY);

	/* As if a part had come first, in memory of its own. */
	part = size ? data[size / 2] * size / 256 : 0;
	copy = malloc(part + 1);
	check(copy);
	memcpy(copy, data, part);
	ret = http_parse(copy, part, &req, &got);
	free(copy);
	if (whole > 0 && part < (size_t)whole)
		check(!ret && (!got || got == (size_t)whole));
	if (whole > 0 && part >= (size_t)whole)
		check(ret == whole);
	/* What is bad stays bad; what is unfinished was not bad before. */
	if (ret < 0)
		check(whole == ret);
	if (!whole)
		check(!ret);
	return 0;
}
