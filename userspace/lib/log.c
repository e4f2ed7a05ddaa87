// SPDX-License-Identifier: Apache-2.0
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syslog.h>
#include <unistd.h>

#define LOG_LINE 1024

static const char *log_program = "hsm";
static bool log_verbose, log_tty = true;

void log_init(const char *program, int verbose)
{
	log_program = program;
	log_verbose = verbose;
	log_tty = isatty(STDERR_FILENO);
}

/* One write(2) per line, so that lines of several threads do not mix. */
__attribute__((format(printf, 2, 0)))
static void log_line(int level, const char *fmt, va_list ap)
{
	static const char *const names[] = {
		[LOG_ERR] = "error", [LOG_WARNING] = "warning",
		[LOG_INFO] = "info", [LOG_DEBUG] = "debug",
	};
	int saved = errno;
	char line[LOG_LINE];
	int len, text;

	if (log_tty)
		len = snprintf(line, sizeof(line), "<%s> %s: ", names[level], log_program);
	else
		len = snprintf(line, sizeof(line), "<%d>%s: ", level, log_program);
	if (len < 0 || (size_t)len >= sizeof(line) - 1)
		goto out;
	text = vsnprintf(line + len, sizeof(line) - 1 - (size_t)len, fmt, ap);
	if (text < 0)
		goto out;
	len += text;
	if ((size_t)len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	/* Texts may quote what a client sent: it must not forge lines or drive a terminal. */
	for (int i = 0; i < len; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)len) < 0) {
		/* There is nowhere left to say so. */
	}
out:
	errno = saved;
}

#define LOG_FN(name, level, when)		\
void name(const char *fmt, ...)			\
{						\
	va_list ap;				\
						\
	if (!(when))				\
		return;				\
	va_start(ap, fmt);			\
	log_line(level, fmt, ap);		\
	va_end(ap);				\
}

LOG_FN(log_err, LOG_ERR, true)
LOG_FN(log_warn, LOG_WARNING, true)
LOG_FN(log_info, LOG_INFO, true)
LOG_FN(log_debug, LOG_DEBUG, log_verbose)
