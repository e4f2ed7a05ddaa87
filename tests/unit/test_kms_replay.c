// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "replay.h"

#define LATER (REPLAY_SLOTS + REPLAY_GRACE_MS + 1)

static struct replay r;

static const uint8_t *sig(unsigned int n)
{
	static uint8_t s[32];

	memset(s, 0x5a, sizeof(s));
	memcpy(s, &n, sizeof(n));
	s[31] = (uint8_t)(n >> 11);
	return s;
}

static void test_once(void **state)
{
	(void)state;
	memset(&r, 0, sizeof(r));
	assert_true(replay_accept(&r, sig(1), 5));
	/* A second request of the same second. */
	assert_true(replay_accept(&r, sig(1), 5));
	assert_true(replay_accept(&r, sig(1), 5 + REPLAY_GRACE_MS - 1));
	assert_false(replay_accept(&r, sig(1), 5 + REPLAY_GRACE_MS));
	assert_true(replay_accept(&r, sig(2), 5 + REPLAY_GRACE_MS));
	assert_false(replay_accept(&r, sig(1), 5 + REPLAY_MS - 1));
	/* By then it is no longer valid. */
	assert_true(replay_accept(&r, sig(1), 5 + REPLAY_MS));
}

static void test_full(void **state)
{
	(void)state;
	memset(&r, 0, sizeof(r));
	for (unsigned int i = 0; i < REPLAY_SLOTS; i++)
		assert_true(replay_accept(&r, sig(i), 1 + i));
	for (unsigned int i = 0; i < REPLAY_SLOTS; i++)
		assert_false(replay_accept(&r, sig(i), LATER));
	/* One more takes the place of the oldest in its bucket. */
	assert_true(replay_accept(&r, sig(REPLAY_SLOTS), LATER));
	assert_false(replay_accept(&r, sig(REPLAY_BUCKETS), LATER));
	assert_true(replay_accept(&r, sig(0), LATER));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
