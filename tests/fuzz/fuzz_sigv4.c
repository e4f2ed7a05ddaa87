// SPDX-License-Identifier: Apache-2.0
/*
 * Signature checks.  First byte: whether the rest is an HTTP request, or fields
 * as a route might bring them, cut at new lines with no reader's checks behind them.
 */
#include <stdlib.h>
#include <string.h>

#include "sigv4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct span next_field(const char **p, size_t *left)
{
	const char *at = *left ? memchr(*p, '\n', *left) : NULL;
	struct span s = { *p, at ? (size_t)(at - *p) : *left };

	*p += s.len + (at ? 1 : 0);
	*left -= s.len + (at ? 1 : 0);
	return s;
}

static void from_fields(struct http_request *req, const char *p, size_t left)
{
	req->n_headers = 0;
	req->method = next_field(&p, &left);
	req->path = next_field(&p, &left);
	req->query = next_field(&p, &left);
	req->body = next_field(&p, &left);
	while (left && req->n_headers < HTTP_MAX_HEADERS) {
		req->headers[req->n_headers].name = next_field(&p, &left);
		req->headers[req->n_headers++].value = next_field(&p, &left);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[32] = "not known to any client at all!";
	static struct http_request req;
	enum sigv4_result res;
	struct sigv4 sig;
	const char *why, *text;
	size_t need;

	if (!size)
		return 0;
	text = (const char *)data + 1;
	size--;
	if (data[0] & 1)
		from_fields(&req, text, size);
	else if (http_parse(text, size, &req, &need) <= 0)
		return 0;
	res = sigv4_parse(&req, "local-1", 1440938160, &sig, &why);
	if (!!why != (res != SIGV4_OK))
		abort();
	/* Only parts that were parsed may be used. */
	if (res != SIGV4_OK && res != SIGV4_EXPIRED && res != SIGV4_SCOPE)
		return 0;
	if (strlen(sig.access_key_id) > SIGV4_MAX_ID || sig.date.len != 8 || sig.amz_date.len != 16)
		abort();
	/* A signature under this key cannot be found. */
	if (sigv4_verify(&req, &sig, key) != SIGV4_MISMATCH)
		abort();
	return 0;
}
