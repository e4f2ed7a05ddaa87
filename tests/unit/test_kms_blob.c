// SPDX-License-Identifier: Apache-2.0
/* Ciphertext header and the canonical form of encryption contexts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blob.h"
#include "unit.h"

#define PAIR(k, v) { { k, sizeof(k) - 1 }, { v, sizeof(v) - 1 } }

static const uint8_t id[16] = { 0xa0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xaf };

static void header(void **state)
{
	static const uint8_t want[8] = { 'H', 'K', 'B', '1', 1, 0, 0, 0 };
	uint8_t blob[BLOB_HEADER + 1] = { 0 }, got[16];

	(void)state;
	blob_header(id, blob);
	assert_memory_equal(blob, want, 8);
	assert_int_equal(blob_parse(blob, sizeof(blob), got), 0);
	assert_memory_equal(got, id, 16);
	for (size_t len = 0; len <= BLOB_HEADER; len++)
		assert_int_equal(blob_parse(blob, len, got), -EBADMSG);
	for (size_t i = 0; i < 8; i++) {
		blob[i] ^= 1;
		assert_int_equal(blob_parse(blob, sizeof(blob), got), -EBADMSG);
		blob[i] ^= 1;
	}
}

static void empty_context(void **state)
{
	uint8_t out[CONTEXT_MAX];

	(void)state;
	assert_int_equal(context_canon(NULL, 0, out, sizeof(out)), 4);
	assert_memory_equal(out, "\0\0\0\0", 4);
}

static void order_does_not_matter(void **state)
{
	struct context_pair a[] = { PAIR("b", "2"), PAIR("a", ""), PAIR("ab", "3"), PAIR("\xc3\xa4", "4") };
	struct context_pair b[] = { a[3], a[2], a[1], a[0] };
	static const char want[] = "\4\0\0\0" "\1\0a\0\0" "\2\0ab\1\0" "3" "\1\0b\1\0" "2" "\2\0\xc3\xa4\1\0" "4";
	uint8_t one[CONTEXT_MAX], two[CONTEXT_MAX];

	(void)state;
	assert_int_equal(context_canon(a, 4, one, sizeof(one)), sizeof(want) - 1);
	assert_memory_equal(one, want, sizeof(want) - 1);
	assert_int_equal(context_canon(b, 4, two, sizeof(two)), sizeof(want) - 1);
	assert_memory_equal(two, want, sizeof(want) - 1);
}

/* Moving bytes between a key and its value, or between pairs, gives another form. */
static void not_ambiguous(void **state)
{
	struct context_pair a[] = { PAIR("ab", "c") }, b[] = { PAIR("a", "bc") };
	uint8_t one[64], two[64];

	(void)state;
	assert_int_equal(context_canon(a, 1, one, sizeof(one)), context_canon(b, 1, two, sizeof(two)));
	assert_memory_not_equal(one, two, 11);
}

static void refused(void **state)
{
	struct context_pair twice[] = { PAIR("a", "1"), PAIR("b", "2"), PAIR("a", "3") };
	struct context_pair empty[] = { PAIR("", "1") };
	uint8_t out[CONTEXT_MAX];

	(void)state;
	assert_int_equal(context_canon(twice, 3, out, sizeof(out)), -EINVAL);
	assert_int_equal(context_canon(empty, 1, out, sizeof(out)), -EINVAL);
}

static void limits(void **state)
{
	char *big = malloc(70000);
	struct context_pair p = PAIR("k", "");
	uint8_t out[CONTEXT_MAX], aad[BLOB_AAD_MAX];

	(void)state;
	assert_non_null(big);
	memset(big, 'x', 70000);
	p.value = (struct span){ big, CONTEXT_MAX - 4 - 2 - 1 - 2 };
	assert_int_equal(context_canon(&p, 1, out, sizeof(out)), CONTEXT_MAX);
	assert_int_equal(blob_aad(id, &p, 1, aad), BLOB_AAD_MAX);
	p.value.len++;
	assert_int_equal(context_canon(&p, 1, out, sizeof(out)), -EMSGSIZE);
	assert_int_equal(blob_aad(id, &p, 1, aad), -EMSGSIZE);
	/* 65537 must not pass as the 1 that fits the length field. */
	p.value.len = 65537;
	assert_int_equal(context_canon(&p, 1, out, sizeof(out)), -EMSGSIZE);
	p.value.len = 10;
	assert_int_equal(context_canon(&p, 1, out, 18), -EMSGSIZE);
	assert_int_equal(context_canon(&p, 1, out, 19), 19);
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header),
		cmocka_unit_test(empty_context),
		cmocka_unit_test(order_does_not_matter),
		cmocka_unit_test(not_ambiguous),
		cmocka_unit_test(refused),
		cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
