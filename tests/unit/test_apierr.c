// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <string.h>

#include <hsm_cmd.h>

#include "apierr.h"

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(api_error_name(API_NOT_FOUND), "NotFoundException");
	assert_int_equal(api_error_status(API_NOT_FOUND), 400);
	assert_int_equal(api_error_status(API_TOO_LARGE), 413);
	assert_int_equal(api_error_status(API_UNAVAILABLE), 503);
	assert_int_equal(api_error_status((enum api_error)999), 500);
	assert_string_equal(api_error_name((enum api_error)999), "KMSInternalException");
}

static void test_card(void **state)
{
	(void)state;
	assert_int_equal(api_error_of_card(0, 0), API_OK);
	assert_int_equal(api_error_of_card(-EBADMSG, HSM_ST_BAD_CIPHERTEXT), API_INVALID_CIPHERTEXT);
	assert_int_equal(api_error_of_card(-EACCES, HSM_ST_KEY_USAGE), API_INVALID_KEY_USAGE);
	assert_int_equal(api_error_of_card(-EKEYREJECTED, HSM_ST_BAD_TOKEN), API_INTERNAL);
	assert_int_equal(api_error_of_card(-ESHUTDOWN, HSM_ST_SHUTDOWN), API_UNAVAILABLE);
	assert_int_equal(api_error_of_card(-EREMOTEIO, 999), API_INTERNAL);
	assert_int_equal(api_error_of_card(-ETIME, 0), API_DEPENDENCY_TIMEOUT);
	assert_int_equal(api_error_of_card(-EBUSY, 0), API_THROTTLING);
	assert_int_equal(api_error_of_card(-ENODEV, 0), API_UNAVAILABLE);
	assert_int_equal(api_error_of_card(-EIO, 0), API_UNAVAILABLE);
	assert_int_equal(api_error_of_card(-EPERM, 0), API_UNAVAILABLE);
	assert_int_equal(api_error_of_card(-ENOMEM, 0), API_INTERNAL);
}

static void test_route(void **state)
{
	(void)state;
	assert_int_equal(api_error_of_route(0), API_OK);
	assert_int_equal(api_error_of_route(-ECONNREFUSED), API_UNAVAILABLE);
	assert_int_equal(api_error_of_route(-ECONNRESET), API_UNAVAILABLE);
	assert_int_equal(api_error_of_route(-ENOENT), API_UNAVAILABLE);
	assert_int_equal(api_error_of_route(-ETIMEDOUT), API_DEPENDENCY_TIMEOUT);
	assert_int_equal(api_error_of_route(-EBUSY), API_THROTTLING);
	assert_int_equal(api_error_of_route(-EACCES), API_ACCESS_DENIED);
	assert_int_equal(api_error_of_route(-EMSGSIZE), API_TOO_LARGE);
	assert_int_equal(api_error_of_route(-EBADMSG), API_INTERNAL);
}

static void check_message(const char *message, const char *expected)
{
	char body[512];
	json_t *o;
	int len;

	len = api_error_body(API_VALIDATION, message, body, sizeof(body));
	assert_true(len > 0);
	assert_int_equal((size_t)len, strlen(body));
	o = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(o);
	assert_int_equal(json_object_size(o), 2);
	assert_string_equal(json_string_value(json_object_get(o, "__type")), "ValidationException");
	assert_string_equal(json_string_value(json_object_get(o, "message")), expected);
	json_decref(o);
}

static void test_body(void **state)
{
	char body[64];

	(void)state;
	check_message("plain", "plain");
	check_message("quote \" back \\ tab \t newline \n", "quote \" back \\ tab \t newline \n");
	check_message("\x01\x1f\x7f", "\x01\x1f\x7f");
	check_message("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x94\x91", "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x94\x91");
	/* Not UTF-8: stray, overlong, surrogate, cut off, too large. */
	check_message("a\x80z", "a\xef\xbf\xbdz");
	check_message("\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd");
	check_message("\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	check_message("x\xe2\x82", "x\xef\xbf\xbd\xef\xbf\xbd");
	check_message("\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");

	for (size_t cap = 0; cap < strlen("{\"__type\":\"ValidationException\",\"message\":\"m\"}") + 1; cap++)
		assert_int_equal(api_error_body(API_VALIDATION, "m", body, cap), -ENOSPC);
	assert_int_equal(api_error_body(API_VALIDATION, "m", body, 48), 46);
	assert_string_equal(body, "{\"__type\":\"ValidationException\",\"message\":\"m\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_card),
		cmocka_unit_test(test_route),
		cmocka_unit_test(test_body),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
