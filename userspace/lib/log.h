/* SPDX-License-Identifier: Apache-2.0 */
/* Lines on stderr, "<level> program: text"; levels as sd-daemon(3) "<N>" prefixes when not on a terminal.  Never secrets. */
#ifndef HSM_LOG_H
#define HSM_LOG_H

void log_init(const char *program, int verbose);
void log_err(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
