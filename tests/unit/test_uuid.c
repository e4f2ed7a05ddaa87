// SPDX-License-Identifier: Apache-2.0
#include "unit.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "uuid.h"

static struct span text_of(const char *s)
{
	return (struct span){ s, strlen(s) };
}

static void text(void **state)
{
	static const uint8_t id[16] = { 0xf8, 0x1d, 0x4f, 0xae, 0x7d, 0xec, 0x11, 0xd0,
					0xa7, 0x65, 0x00, 0xa0, 0xc9, 0x1e, 0x6b, 0xf6 };
	char t[UUID_TEXT + 1];
	uint8_t out[16];

	(void)state;
	uuid_format(id, t);
	assert_string_equal(t, "f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
	assert_true(uuid_parse(text_of(t), out));
	assert_memory_equal(id, out, 16);
	assert_true(uuid_parse(text_of("F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6"), out));
	assert_memory_equal(id, out, 16);
}

static void refused(void **state)
{
	static const char *const bad[] = {
		"", "f81d4fae-7dec-11d0-a765-00a0c91e6bf", "f81d4fae-7dec-11d0-a765-00a0c91e6bf60",
		"f81d4fae07dec-11d0-a765-00a0c91e6bf6", "f81d4fae-7dec-11d0-a765-00a0c91e6bfg",
		"f81d4fae-7dec-11d0-a76-500a0c91e6bf6", "{81d4fae-7dec-11d0-a765-00a0c91e6bf6",
		"f81d4fae-7dec-11d0-a765- 0a0c91e6bf6",
	};
	uint8_t out[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(uuid_parse(text_of(bad[i]), out));
	assert_false(uuid_parse((struct span){ 0 }, out));
}

static void random_ones(void **state)
{
	static uint8_t ids[1000][16];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		uuid_make(ids[i]);
		assert_int_equal(ids[i][6] >> 4, 4);
		assert_int_equal(ids[i][8] >> 6, 2);
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(ids[i], ids[k], 16);
	}
}

static void fork_makes_others(void **state)
{
	uint8_t ours[16], theirs[16];
	int pipes[2], status;
	pid_t pid;

	(void)state;
	uuid_make(ours);
	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		uuid_make(theirs);
		_exit(write(pipes[1], theirs, 16) != 16);
	}
	uuid_make(ours);
	assert_int_equal(read(pipes[0], theirs, 16), 16);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_memory_not_equal(ours, theirs, 16);
	close(pipes[0]);
	close(pipes[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text),
		cmocka_unit_test(refused),
		cmocka_unit_test(random_ones),
		cmocka_unit_test(fork_makes_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
