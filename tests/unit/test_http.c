// SPDX-License-Identifier: Apache-2.0
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"

#define H "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n"

struct sample {
	const char *text;
	int ret;	/* 0: all of the text is the request; else what http_parse() gives; 1: more is needed */
	size_t len;	/* of text, when it holds a NUL; else 0 */
};

static const struct sample samples[] = {
	/* good */
	{ GET H "\r\n", 0, 0 },
	{ "POST / HTTP/1.1\r\nhOsT: localhost:8443\r\ncontent-length: 2\r\n\r\n{}", 0, 0 },
	{ GET H "Content-Length: 0\r\n\r\n", 0, 0 },
	{ GET H "Content-Length: \t 0 \t\r\n\r\n", 0, 0 },
	{ GET H "Content-Length: 0000000000000000000000000000000000\r\n\r\n", 0, 0 },
	{ GET H "Empty:\r\n\r\n", 0, 0 },
	{ GET H "Utf8: \xe1\x88\xb4\r\n\r\n", 0, 0 },
	{ GET H "Connection: keep-alive, , Close\r\n\r\n", 0, 0 },
	{ GET H "Expect: 100-Continue\r\n\r\n", 0, 0 },
	{ "GET /a%20b/..;x=1@:!$&'()*+,-._~?q=/?%ff HTTP/1.1\r\n" H "\r\n", 0, 0 },
	{ GET "Host: [::1]:80\r\n\r\n", 0, 0 },
	{ "M-SEARCH / HTTP/1.1\r\n" H "\r\n", 0, 0 },
	/* incomplete */
	{ "", 1, 0 },
	{ "GET", 1, 0 },
	{ "GET /", 1, 0 },
	{ "GET /%", 1, 0 },
	{ "GET /%4", 1, 0 },
	{ "GET / HTTP/1.1", 1, 0 },
	{ GET H "\r", 1, 0 },
	{ GET H "X", 1, 0 },
	{ GET H "X: y\r", 1, 0 },
	{ "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\n{}", 1, 0 },
	{ "POST / HTTP/1.1\r\n" H "Content-Length: 49152\r\n\r\n", 1, 0 },
	/* request line */
	{ "\r\n" GET H "\r\n", -400, 0 },
	{ " GET / HTTP/1.1\r\n" H "\r\n", -400, 0 },
	{ "GET  / HTTP/1.1\r\n" H "\r\n", -400, 0 },
	{ "GET\t/ HTTP/1.1\r\n" H "\r\n", -400, 0 },
	{ "GET /  HTTP/1.1\r\n" H "\r\n", -400, 0 },
	{ "GET / HTTP/1.1 \r\n" H "\r\n", -400, 0 },
	{ "GET / HTTP/1.1\n" H "\r\n", -400, 0 },
	{ "GET / HTTP/1.1\r" H "\r\n", -400, 0 },
	{ "GET /\r\n" H "\r\n", -400, 0 },
	{ "GET / http/1.1\r\n" H "\r\n", -400, 0 },
	{ "GET / HTTP/1.1x\r\n" H "\r\n", -400, 0 },
	{ "GET / HTTP/11\r\n" H "\r\n", -400, 0 },
	{ "GET / HTTP/x.1\r\n" H "\r\n", -400, 0 },
	{ "GET / HTTP/1.0\r\n" H "\r\n", -505, 0 },
	{ "GET / HTTP/2.0\r\n" H "\r\n", -505, 0 },
	{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", -400, 0 },
	{ "GET http://a/ HTTP/1.1\r\n" H "\r\n", -400, 0 },
	{ "CONNECT a:443 HTTP/1.1\r\n" H "\r\n", -400, 0 },
	{ "OPTIONS * HTTP/1.1\r\n" H "\r\n", -400, 0 },
	{ "GET /#f HTTP/1.1\r\n" H "\r\n", -400, 0 },
	{ "GET /\xe1\x88\xb4 HTTP/1.1\r\n" H "\r\n", -400, 0 },
	{ "GET /%4x HTTP/1.1\r\n" H "\r\n", -400, 0 },
	{ "GET /%x HTTP/1.1\r\n" H "\r\n", -400, 0 },
	{ "GET /?%zz HTTP/1.1\r\n" H "\r\n", -400, 0 },
	{ "GET /\" HTTP/1.1\r\n" H "\r\n", -400, 0 },
	{ "GET /\\ HTTP/1.1\r\n" H "\r\n", -400, 0 },
	{ "G(T / HTTP/1.1\r\n" H "\r\n", -400, 0 },
	{ "GET /\0 HTTP/1.1\r\n" H "\r\n", -400, 26 },
	{ "G\0T / HTTP/1.1\r\n" H "\r\n", -400, 27 },
	{ "METHODMETHODMETHODMETHODMETHODMETHOD / HTTP/1.1\r\n" H "\r\n", -400, 0 },
	{ "\x16\x03\x01\x02", -400, 0 },
	/* header lines */
	{ GET "\r\n", -400, 0 },
	{ GET H H "\r\n", -400, 0 },
	{ GET "Host:\r\n\r\n", -400, 0 },
	{ GET "Host: a b\r\n\r\n", -400, 0 },
	{ GET "Host: a,b\r\n\r\n", -400, 0 },
	{ GET "Host: u@a\r\n\r\n", -400, 0 },
	{ GET "Host: a/b\r\n\r\n", -400, 0 },
	{ GET "Host : a\r\n\r\n", -400, 0 },
	{ GET "Host\t: a\r\n\r\n", -400, 0 },
	{ GET " Host: a\r\n\r\n", -400, 0 },
	{ GET H "X: y\r\n z\r\n\r\n", -400, 0 },
	{ GET H "X: y\r\n\tz\r\n\r\n", -400, 0 },
	{ GET H "X: y\n\r\n", -400, 0 },
	{ GET H "X: y\r\r\n\r\n", -400, 0 },
	{ GET H "X: y\rZ: a\r\n\r\n", -400, 0 },
	{ GET H "X: y\r\n\n", -400, 0 },
	{ GET H "X: y\r\n\rz", -400, 0 },
	{ GET H ": y\r\n\r\n", -400, 0 },
	{ GET H "X\r\n\r\n", -400, 0 },
	{ GET H "X y: z\r\n\r\n", -400, 0 },
	{ GET H "X(: z\r\n\r\n", -400, 0 },
	{ GET H "X\xc3\xa4: z\r\n\r\n", -400, 0 },
	{ GET H "X: \x01\r\n\r\n", -400, 0 },
	{ GET H "X: \x7f\r\n\r\n", -400, 0 },
	{ GET H "X: a\0b\r\n\r\n", -400, 16 + 9 + 8 + 2 },
	{ GET H "X\0: ab\r\n\r\n", -400, 16 + 9 + 8 + 2 },
	{ GET H "Connection: clo se\r\n\r\n", -400, 0 },
	{ GET H "Connection: \"close\"\r\n\r\n", -400, 0 },
	{ GET H "Expect: 200-ok\r\n\r\n", -417, 0 },
	{ GET H "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n", -417, 0 },
	/* framing: where two readers could see two different requests */
	{ GET H "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", -400, 0 },
	{ GET H "Content-Length: 1\r\ncontent-length: 2\r\n\r\nxy", -400, 0 },
	{ GET H "Content-Length: 1, 1\r\n\r\nx", -400, 0 },
	{ GET H "Content-Length:\r\n\r\n", -400, 0 },
	{ GET H "Content-Length: +1\r\n\r\nx", -400, 0 },
	{ GET H "Content-Length: -1\r\n\r\nx", -400, 0 },
	{ GET H "Content-Length: 0x1\r\n\r\nx", -400, 0 },
	{ GET H "Content-Length: 1 1\r\n\r\nx", -400, 0 },
	{ GET H "Content-Length: 1e0\r\n\r\nx", -400, 0 },
	{ GET H "Content-Length : 1\r\n\r\nx", -400, 0 },
	{ GET H "Content-Length: 49153\r\n\r\n", -413, 0 },
	{ GET H "Content-Length: 4294967297\r\n\r\n", -413, 0 },
	{ GET H "Content-Length: 18446744073709551617\r\n\r\n", -413, 0 },
	{ GET H "Content-Length: 99999999999999999999999999999999999999999999\r\n\r\n", -413, 0 },
	{ GET H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", -501, 0 },
	{ GET H "Transfer-Encoding: identity\r\n\r\n", -501, 0 },
	{ GET H "Transfer-Encoding:\r\n\r\n", -501, 0 },
	{ GET H "Transfer-Encoding : chunked\r\n\r\n", -400, 0 },
	{ GET H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", -400, 0 },
	{ GET H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", -400, 0 },
	{ GET H "Transfer-Encoding: x\r\n chunked\r\n\r\n", -400, 0 },
};

/* In a buffer of exactly its size, so that ASan sees a read too far. */
static int parse(const char *text, size_t len, struct http_request *req, size_t *need, char **copy)
{
	*copy = malloc(len ? len : 1);
	assert_non_null(*copy);
	memcpy(*copy, text, len);
	return http_parse(*copy, len, req, need);
}

static void table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		const struct sample *s = &samples[i];
		size_t len = s->len ? s->len : strlen(s->text), need;
		int expect = s->ret == 0 ? (int)len : s->ret == 1 ? 0 : s->ret;
		struct http_request req;
		char *copy;
		int ret = parse(s->text, len, &req, &need, &copy);

		if (ret != expect)
			print_error("sample %zu: %s\n", i, s->text);
		assert_int_equal(ret, expect);
		free(copy);
		/* No prefix of a good request is taken for one, or for a bad one. */
		for (size_t k = 0; !s->ret && k < len; k++) {
			assert_int_equal(parse(s->text, k, &req, &need, &copy), 0);
			free(copy);
			if (need)
				assert_int_equal(need, len);
		}
	}
}

static void parts(void **state)
{
	static const char text[] = "POST /p/q?a=b HTTP/1.1\r\nHost: h:1\r\nX-One:  two  words \t\r\nx-dup: 1\r\n"
				   "X-Dup: 2\r\nConnection: x, close\r\nExpect: 100-continue\r\n"
				   "Content-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n";
	size_t head = strlen(text) - strlen("abcGET / HTTP/1.1\r\n"), need;
	struct http_request req;

	(void)state;
	assert_int_equal(http_parse(text, strlen(text), &req, &need), head + 3);
	assert_true(span_eq(req.method, "POST"));
	assert_true(span_eq(req.path, "/p/q"));
	assert_true(span_eq(req.query, "a=b"));
	assert_true(span_eq(req.body, "abc"));
	assert_int_equal(req.n_headers, 7);
	assert_true(span_eq(http_get(&req, "host"), "h:1"));
	assert_true(span_eq(http_get(&req, "x-one"), "two  words"));
	assert_null(http_get(&req, "x-dup").p);
	assert_null(http_get(&req, "x-none").p);
	assert_false(req.keep_alive);
	assert_true(req.expect_continue);

	assert_int_equal(http_parse(text, head, &req, &need), 0);
	assert_int_equal(need, head + 3);
	assert_true(req.expect_continue);
	/* Nothing of one request stays behind in the next. */
	assert_true(http_parse(GET H "\r\n", strlen(GET H "\r\n"), &req, &need) > 0);
	assert_true(req.keep_alive);
	assert_false(req.expect_continue);
	assert_int_equal(req.body.len, 0);
	assert_int_equal(req.query.len, 0);
	assert_int_equal(req.n_headers, 1);
}

static int parse_long(const char *start, char fill, size_t n, const char *end)
{
	size_t a = strlen(start), b = strlen(end), need;
	char *buf = malloc(a + n + b);
	struct http_request req;
	int ret;

	assert_non_null(buf);
	memcpy(buf, start, a);
	memset(buf + a, fill, n);
	memcpy(buf + a + n, end, b);
	ret = http_parse(buf, a + n + b, &req, &need);
	free(buf);
	return ret;
}

static void limits(void **state)
{
	char many[HTTP_MAX_HEAD];
	size_t len, need;
	struct http_request req;

	(void)state;
	assert_true(parse_long("GET /", 'a', 4095, " HTTP/1.1\r\n" H "\r\n") > 0);
	assert_int_equal(parse_long("GET /", 'a', 4096, " HTTP/1.1\r\n" H "\r\n"), -414);
	assert_int_equal(parse_long("GET /?", 'a', 4096, " HTTP/1.1\r\n" H "\r\n"), -414);
	assert_int_equal(parse_long("GET /", 'a', 20000, ""), -414);
	len = strlen(GET H "X: \r\n\r\n");
	assert_int_equal(parse_long(GET H "X: ", 'a', HTTP_MAX_HEAD - len, "\r\n\r\n"), HTTP_MAX_HEAD);
	assert_int_equal(parse_long(GET H "X: ", 'a', HTTP_MAX_HEAD - len + 1, "\r\n\r\n"), -431);
	assert_int_equal(parse_long(GET H "X: ", 'a', HTTP_MAX_HEAD, ""), -431);
	assert_int_equal(parse_long("", 'A', HTTP_MAX_HEAD, ""), -400);
	assert_int_equal(parse_long("GET / HTTP/1.1\r\n" H "Content-Length: 49152\r\n\r\n", 'b', HTTP_MAX_BODY, ""),
			 strlen("GET / HTTP/1.1\r\n" H "Content-Length: 49152\r\n\r\n") + HTTP_MAX_BODY);

	for (unsigned int n = HTTP_MAX_HEADERS - 1; n <= HTTP_MAX_HEADERS; n++) {
		len = (size_t)snprintf(many, sizeof(many), GET H);
		for (unsigned int i = 0; i < n; i++)
			len += (size_t)snprintf(many + len, sizeof(many) - len, "x%u:\r\n", i);
		len += (size_t)snprintf(many + len, sizeof(many) - len, "\r\n");
		assert_int_equal(http_parse(many, len, &req, &need), n < HTTP_MAX_HEADERS ? (int)len : -431);
	}
}

static void writes(void **state)
{
	static const char expect[] = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/x-amz-json-1.1\r\n"
				     "Content-Length: 2\r\nx-amzn-RequestId: id\r\nConnection: close\r\n\r\n{}";
	struct http_reply rep = { .status = 400, .request_id = "id", .body = "{}", .body_len = 2 };
	char out[sizeof(expect)];

	(void)state;
	assert_int_equal(http_write(&rep, out, sizeof(out)), strlen(expect));
	assert_memory_equal(out, expect, strlen(expect));
	assert_int_equal(http_write(&rep, out, strlen(expect)), strlen(expect));
	for (size_t cap = 0; cap < strlen(expect); cap++)
		assert_int_equal(http_write(&rep, out, cap), -ENOSPC);

	rep = (struct http_reply){ .status = 299, .content_type = "text/plain", .keep_alive = true };
	assert_int_equal(http_write(&rep, out, sizeof(out)),
			 strlen("HTTP/1.1 299 \r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(parts),
		cmocka_unit_test(limits),
		cmocka_unit_test(writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
