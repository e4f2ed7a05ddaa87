// SPDX-License-Identifier: Apache-2.0
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base64.h"

/* RFC 4648, section 10; and all 64 characters. */
static const struct {
	const char *plain, *text;
} good[] = {
	{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
	{ "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
	{ "\x00\x10\x83\x10\x51\x87\x20\x92\x8b\x30\xd3\x8f\x41\x14\x93\x51\x55\x97\x61\x96\x9b\x71\xd7\x9f"
	  "\x82\x18\xa3\x92\x59\xa7\xa2\x9a\xab\xb2\xdb\xaf\xc3\x1c\xb3\xd3\x5d\xb7\xe3\x9e\xbb\xf3\xdf\xbf",
	  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" },
};

static void known(void **state)
{
	char text[80];
	char out[80];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		size_t len = i == ARRAY_SIZE(good) - 1 ? 48 : strlen(good[i].plain);
		size_t n = strlen(good[i].text);

		assert_int_equal(BASE64_ENCODED(len), n);
		assert_int_equal(base64_encode(good[i].plain, len, text), n);
		assert_memory_equal(text, good[i].text, n);
		assert_int_equal(base64_decode(text, n, out, len), len);
		assert_memory_equal(out, good[i].plain, len);
		if (len)
			assert_int_equal(base64_decode(text, n, out, len - 1), -ENOSPC);
	}
}

static void refused(void **state)
{
	static const char *const bad[] = {
		"Zg=", "Zg", "Z", "=", "==", "====", "Z===", "Zg==Zg==", "Zm8=Zm8=", "Zm9v\n", " Zm9v", "Zm9 v",
		"Zm9v====", "Zh==", "Zm9=", "Zm-_", "Zm9\x80", "Zg=a", "=Zg=", "Zm9v=Zm9", "\xffm9v",
	};
	char out[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(base64_decode(bad[i], strlen(bad[i]), out, sizeof(out)), -EINVAL);
	assert_int_equal(base64_decode("Zm\0v", 4, out, sizeof(out)), -EINVAL);
}

/* Of all values of one character, exactly the alphabet decodes, and to itself. */
static void every_character(void **state)
{
	int n = 0;

	(void)state;
	for (int c = 0; c < 256; c++) {
		char in[4] = { 'A', 'A', 'A', (char)c }, again[4];
		uint8_t out[3];
		ssize_t len = base64_decode(in, 4, out, 3);

		if (len == 2)
			assert_int_equal(c, '=');
		if (len != 3)
			continue;
		n++;
		base64_encode(out, 3, again);
		assert_memory_equal(again, in, 4);
	}
	assert_int_equal(n, 64);
}

static void every_length(void **state)
{
	uint8_t in[200], out[200];
	char text[BASE64_ENCODED(200)];

	(void)state;
	for (size_t len = 0; len <= sizeof(in); len++) {
		size_t n;

		for (size_t i = 0; i < len; i++)
			in[i] = (uint8_t)(i * 37 + len);
		n = base64_encode(in, len, text);
		assert_int_equal(n, BASE64_ENCODED(len));
		assert_int_equal(base64_decode(text, n, out, sizeof(out)), len);
		assert_memory_equal(in, out, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known),
		cmocka_unit_test(refused),
		cmocka_unit_test(every_character),
		cmocka_unit_test(every_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
