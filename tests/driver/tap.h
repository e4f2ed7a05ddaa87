/* SPDX-License-Identifier: GPL-2.0 */
/* Test Anything Protocol, as little of it as the tests here need. */
#ifndef HSM_TAP_H
#define HSM_TAP_H

#include <stdarg.h>
#include <stdbool.h>

#define TAP_PASS	0
#define TAP_FAIL	1
#define TAP_SKIP	4

/* One test point; returns cond. */
bool tap(bool cond, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A test point that got == want, which says both if not. */
bool tap_eq(long got, long want, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Ends the program: something that the test stands on is missing or broke. */
void tap_bail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
void tap_skip_all(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Prints the plan; the value for main() to return. */
int tap_end(void);

#endif
