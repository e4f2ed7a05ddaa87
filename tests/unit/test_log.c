// SPDX-License-Identifier: Apache-2.0
#include "unit.h"

#include <string.h>
#include <unistd.h>

#include "log.h"

/* What the calls write on stderr, when it is a pipe. */
static size_t capture(void (*fn)(void), char *out, size_t cap)
{
	int pipes[2], saved = dup(STDERR_FILENO);
	ssize_t len;

	assert_int_equal(pipe(pipes), 0);
	dup2(pipes[1], STDERR_FILENO);
	close(pipes[1]);
	fn();
	dup2(saved, STDERR_FILENO);
	close(saved);
	len = read(pipes[0], out, cap - 1);
	close(pipes[0]);
	if (len < 0)
		len = 0;
	out[len] = '\0';
	return (size_t)len;
}

static void quiet(void)
{
	log_init("prog", 0);
	log_err("bad %d", 1);
	log_debug("not shown");
	log_info("from \x1b[31m client\n<3>prog: forged");
}

static void verbose(void)
{
	log_init("prog", 1);
	log_debug("shown");
	log_warn("%s", "");
}

static void too_long(void)
{
	char text[5000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_init("prog", 0);
	log_err("%s", text);
}

static void lines(void **state)
{
	char out[8192];
	size_t len;

	(void)state;
	capture(quiet, out, sizeof(out));
	assert_string_equal(out, "<3>prog: bad 1\n<6>prog: from ?[31m client?<3>prog: forged\n");
	capture(verbose, out, sizeof(out));
	assert_string_equal(out, "<7>prog: shown\n<4>prog: \n");
	len = capture(too_long, out, sizeof(out));
	assert_in_range(len, 900, 1024);
	assert_int_equal(out[len - 1], '\n');
	assert_ptr_equal(strchr(out, '\n'), out + len - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
