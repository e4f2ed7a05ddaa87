// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "awsops.h"
#include "callmsg.h"
#include "route.h"

#define ID1 "00000000-1111-4222-8333-444444444444"
#define ID2 "99999999-1111-4222-8333-444444444444"

static struct span str(const char *s)
{
	return (struct span){ s, strlen(s) };
}

static void fill(struct call_request *req)
{
	*req = (struct call_request){
		.assigned_key_id = str(ID2),
		.request_id = str(ID1),
		.peer = str("192.0.2.1:4711"),
		.http = {
			.method = str("POST"),
			.path = str("/"),
			.n_headers = 3,
			.headers = {
				{ str("Host"), str("kms.local") },
				{ str("X-Amz-Target"), str("TrentService.CreateKey") },
				{ str("X-Empty"), str("") },
			},
			.body = { "{\"a\":\0 1}", 9 },
		},
	};
}

static void assert_span(struct span a, struct span b)
{
	assert_int_equal(a.len, b.len);
	if (a.len)
		assert_memory_equal(a.p, b.p, a.len);
}

static void test_request(void **state)
{
	struct call_request in, out;
	uint8_t buf[4096];
	int len;

	(void)state;
	fill(&in);
	len = call_request_encode(&in, buf, sizeof(buf));
	assert_true(len > 0);
	assert_int_equal(call_request_decode(buf, (size_t)len, &out), 0);
	assert_span(out.assigned_key_id, in.assigned_key_id);
	assert_span(out.request_id, in.request_id);
	assert_span(out.peer, in.peer);
	assert_span(out.http.method, in.http.method);
	assert_span(out.http.path, in.http.path);
	assert_span(out.http.query, in.http.query);
	assert_span(out.http.body, in.http.body);
	assert_int_equal(out.http.n_headers, 3);
	for (unsigned int i = 0; i < 3; i++) {
		assert_span(out.http.headers[i].name, in.http.headers[i].name);
		assert_span(out.http.headers[i].value, in.http.headers[i].value);
	}
	assert_true(span_eq(http_get(&out.http, "x-amz-target"), "TrentService.CreateKey"));
}

static void test_request_truncated_or_longer(void **state)
{
	struct call_request in, out;
	uint8_t buf[4096];
	uint8_t *copy;
	int len;

	(void)state;
	fill(&in);
	len = call_request_encode(&in, buf, sizeof(buf));
	for (int n = 0; n < len; n++) {
		/* On the heap, so that a sanitizer sees a read past the end. */
		copy = malloc((size_t)n + 1);
		memcpy(copy, buf, (size_t)n);
		assert_int_equal(call_request_decode(copy, (size_t)n, &out), -EBADMSG);
		free(copy);
	}
	assert_int_equal(call_request_decode(buf, (size_t)len + 1, &out), -EBADMSG);
	for (size_t cap = 0; cap < (size_t)len; cap++)
		assert_int_equal(call_request_encode(&in, buf, cap), -EMSGSIZE);
}

static void test_request_bad(void **state)
{
	struct call_request in, out;
	uint8_t buf[4096];
	int len;

	(void)state;
	fill(&in);
	len = call_request_encode(&in, buf, sizeof(buf));
	buf[0] = 2;
	assert_int_equal(call_request_decode(buf, (size_t)len, &out), -EBADMSG);
	buf[0] = 1;
	buf[1] = 2;
	assert_int_equal(call_request_decode(buf, (size_t)len, &out), -EBADMSG);
	buf[1] = 1;
	buf[2] = HTTP_MAX_HEADERS + 1;
	assert_int_equal(call_request_decode(buf, (size_t)len, &out), -EBADMSG);

	fill(&in);
	in.request_id.len--;
	len = call_request_encode(&in, buf, sizeof(buf));
	assert_int_equal(call_request_decode(buf, (size_t)len, &out), -EBADMSG);
	fill(&in);
	in.assigned_key_id.len = 1;
	len = call_request_encode(&in, buf, sizeof(buf));
	assert_int_equal(call_request_decode(buf, (size_t)len, &out), -EBADMSG);
	fill(&in);
	in.http.method.len = 0;
	len = call_request_encode(&in, buf, sizeof(buf));
	assert_int_equal(call_request_decode(buf, (size_t)len, &out), -EBADMSG);
}

/* NUL, CR and LF are refused wherever HTTP has none, or a log; the body may hold anything. */
static void test_request_control(void **state)
{
	static const char bad[] = { '\0', '\r', '\n' };
	uint8_t buf[4096];

	(void)state;
	for (unsigned int where = 0; where < 7; where++) {
		for (unsigned int i = 0; i < sizeof(bad); i++) {
			char text[] = "TrentService.List_Keys-as-long-as-id";	/* CALLMSG_ID_LEN */
			struct span s = { text, sizeof(text) - 1 };
			struct call_request in, out;
			int len;

			fill(&in);
			switch (where) {
			case 0: in.http.method = s; break;
			case 1: in.http.path = s; break;
			case 2: in.http.query = s; break;
			case 3: in.http.headers[1].name = s; break;
			case 4: in.http.headers[2].value = s; break;
			case 5: in.request_id = s; break;
			case 6: in.peer = s; break;
			}
			len = call_request_encode(&in, buf, sizeof(buf));
			assert_int_equal(call_request_decode(buf, (size_t)len, &out), 0);
			text[17] = bad[i];
			len = call_request_encode(&in, buf, sizeof(buf));
			assert_int_equal(call_request_decode(buf, (size_t)len, &out), -EBADMSG);
		}
	}
}

static void test_aws_op(void **state)
{
	static const char nul[] = "TrentService.Sign\0garbage that is longer than any name of an operation";

	(void)state;
	assert_non_null(aws_op_find(str("TrentService.CancelKeyDeletion")));
	assert_non_null(aws_op_find(str("TrentService.GenerateDataKey")));
	assert_non_null(aws_op_find(str("TrentService.VerifyMac")));
	assert_null(aws_op_find(str("TrentService.GenerateDataKe")));
	assert_null(aws_op_find(str("TrentService.Signs")));
	assert_null(aws_op_find(str("TrentService.zzz")));
	assert_null(aws_op_find(str("TrentService.")));
	assert_null(aws_op_find((struct span){ nul, sizeof(nul) - 1 }));
}

static void test_request_large(void **state)
{
	static char body[HTTP_MAX_BODY + 1], value[UINT16_MAX + 1];
	static uint8_t buf[ROUTE_MAX_PAYLOAD];
	struct call_request in, out;
	int len;

	(void)state;
	fill(&in);
	in.http.body = (struct span){ body, HTTP_MAX_BODY };
	len = call_request_encode(&in, buf, sizeof(buf));
	assert_true(len > (int)HTTP_MAX_BODY);
	assert_int_equal(call_request_decode(buf, (size_t)len, &out), 0);
	assert_int_equal(out.http.body.len, HTTP_MAX_BODY);
	in.http.body.len++;
	assert_int_equal(call_request_encode(&in, buf, sizeof(buf)), -EMSGSIZE);
	fill(&in);
	in.http.headers[0].value = (struct span){ value, sizeof(value) };
	assert_int_equal(call_request_encode(&in, buf, sizeof(buf)), -EMSGSIZE);
}

static void test_answer(void **state)
{
	struct call_reply in = { .kind = CALL_ANSWER, .status = 200, .body = str("{}") }, out;
	uint8_t buf[256];
	int len;

	(void)state;
	len = call_reply_encode(&in, buf, sizeof(buf));
	assert_int_equal(len, 4 + 8 + 2);
	assert_int_equal(call_reply_decode(buf, (size_t)len, &out), 0);
	assert_int_equal(out.kind, CALL_ANSWER);
	assert_int_equal(out.status, 200);
	assert_span(out.body, in.body);
	for (int n = 0; n < len; n++)
		assert_int_equal(call_reply_decode(buf, (size_t)n, &out), -EBADMSG);
	assert_int_equal(call_reply_decode(buf, (size_t)len + 1, &out), -EBADMSG);
	buf[6] = 1;
	assert_int_equal(call_reply_decode(buf, (size_t)len, &out), -EBADMSG);
	in.status = 99;
	len = call_reply_encode(&in, buf, sizeof(buf));
	assert_int_equal(call_reply_decode(buf, (size_t)len, &out), -EBADMSG);
}

static void test_redirect(void **state)
{
	struct call_reply in = {
		.kind = CALL_REDIRECT,
		.instance = str("acme"),
		.account = str("000000000042"),
		.key_id = str(ID1),
		.endpoint = str("https://localhost:9443"),
	}, out;
	uint8_t buf[256];
	int len;

	(void)state;
	len = call_reply_encode(&in, buf, sizeof(buf));
	assert_true(len > 0);
	assert_int_equal(call_reply_decode(buf, (size_t)len, &out), 0);
	assert_int_equal(out.kind, CALL_REDIRECT);
	assert_span(out.instance, in.instance);
	assert_span(out.account, in.account);
	assert_span(out.key_id, in.key_id);
	assert_span(out.endpoint, in.endpoint);
	for (int n = 0; n < len; n++)
		assert_int_equal(call_reply_decode(buf, (size_t)n, &out), -EBADMSG);
	buf[2] = 3;
	assert_int_equal(call_reply_decode(buf, (size_t)len, &out), -EBADMSG);
	in.instance.len = 0;
	len = call_reply_encode(&in, buf, sizeof(buf));
	assert_int_equal(call_reply_decode(buf, (size_t)len, &out), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_request_truncated_or_longer),
		cmocka_unit_test(test_request_bad),
		cmocka_unit_test(test_request_control),
		cmocka_unit_test(test_aws_op),
		cmocka_unit_test(test_request_large),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_redirect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
