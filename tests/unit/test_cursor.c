// SPDX-License-Identifier: Apache-2.0
#include "unit.h"

#include <string.h>

#include "cursor.h"

static void round_trip(void **state)
{
	static const uint8_t wire[] = { 1, 0x34, 0x12, 0x78, 0x56, 0x34, 0x12,
					0xf0, 0xde, 0xbc, 0x9a, 0x78, 0x56, 0x34, 0x12, 'a', 'b', 'c' };
	uint8_t buf[32];
	struct wcur w;
	struct rcur r;

	(void)state;
	wcur_init(&w, buf, sizeof(buf));
	wcur_u8(&w, 1);
	wcur_u16(&w, 0x1234);
	wcur_u32(&w, 0x12345678);
	wcur_u64(&w, 0x123456789abcdef0);
	wcur_bytes(&w, "abc", 3);
	wcur_bytes(&w, NULL, 0);
	assert_false(w.bad);
	assert_int_equal(w.len, sizeof(wire));
	assert_memory_equal(buf, wire, sizeof(wire));

	rcur_init(&r, wire, sizeof(wire));
	assert_int_equal(rcur_u8(&r), 1);
	assert_int_equal(rcur_u16(&r), 0x1234);
	assert_int_equal(rcur_u32(&r), 0x12345678);
	assert_true(rcur_u64(&r) == 0x123456789abcdef0);
	assert_false(rcur_done(&r));
	assert_memory_equal(rcur_bytes(&r, 3), "abc", 3);
	assert_true(rcur_done(&r));
}

static void stays_bad(void **state)
{
	uint8_t buf[4] = { 1, 2, 3, 4 };
	struct rcur r;
	struct wcur w;

	(void)state;
	rcur_init(&r, buf, 3);
	assert_int_equal(rcur_u32(&r), 0);
	assert_true(r.bad);
	assert_int_equal(rcur_u8(&r), 0);
	assert_null(rcur_bytes(&r, 0));
	assert_false(rcur_done(&r));

	rcur_init(&r, buf, 4);
	assert_null(rcur_bytes(&r, SIZE_MAX));
	assert_true(r.bad);

	wcur_init(&w, buf, 3);
	wcur_u16(&w, 0xffff);
	wcur_u16(&w, 0);
	assert_true(w.bad);
	wcur_u8(&w, 0);
	assert_int_equal(w.len, 2);
	assert_int_equal(buf[2], 3);
}

static void spans(void **state)
{
	(void)state;
	assert_true(span_eq((struct span){ "host", 4 }, "host"));
	assert_false(span_eq((struct span){ "host", 3 }, "host"));
	assert_false(span_eq((struct span){ "Host", 4 }, "host"));
	assert_true(span_ieq((struct span){ "HoSt", 4 }, "hOsT"));
	assert_false(span_ieq((struct span){ "[", 1 }, "{"));
	assert_false(span_eq((struct span){ NULL, 0 }, ""));
	assert_true(span_eq((struct span){ "x", 0 }, ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(stays_bad),
		cmocka_unit_test(spans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
