// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include "tap.h"

static int points, failed;

static bool point(bool cond, const char *fmt, va_list ap)
{
	points++;
	failed += !cond;
	printf("%sok %d - ", cond ? "" : "not ", points);
	vprintf(fmt, ap);
	putchar('\n');
	fflush(stdout);
	return cond;
}

bool tap(bool cond, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	point(cond, fmt, ap);
	va_end(ap);
	return cond;
}

bool tap_eq(long got, long want, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	point(got == want, fmt, ap);
	va_end(ap);
	if (got != want) {
		printf("# got %ld, want %ld\n", got, want);
		fflush(stdout);
	}
	return got == want;
}

void tap_bail(const char *fmt, ...)
{
	va_list ap;

	printf("Bail out! ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	exit(TAP_FAIL);
}

void tap_skip_all(const char *fmt, ...)
{
	va_list ap;

	printf("1..0 # SKIP ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	exit(TAP_SKIP);
}

int tap_end(void)
{
	printf("1..%d\n", points);
	return failed ? TAP_FAIL : TAP_PASS;
}
