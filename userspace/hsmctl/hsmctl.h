/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands of hsmctl share: options, errors, output. */
#ifndef HSMCTL_H
#define HSMCTL_H

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

struct ctl {
	bool json, shared, with_partition;
	const char *socket, *cards, *queue_pairs, *cgroup, *partition, *depth, *card, *account, *endpoint;
	const char *name;		/* the command's argument, if it takes one */
};

enum ctl_exit {
	CTL_OK = 0,
	CTL_REFUSED = 1,
	CTL_USAGE = 2,
};

/* "hsmctl: text" on stderr.  Returns CTL_REFUSED, ctl_usage() CTL_USAGE. */
int ctl_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int ctl_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void ctl_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A whole decimal number min..max, or -EINVAL. */
int ctl_number(const char *text, uint32_t min, uint32_t max, uint32_t *out);

struct column {
	const char *title;
	const char *key;	/* member of the rows' objects */
};

/*
 * Prints, and frees, out: as JSON, or the array under `list` as a table of the columns; with list NULL its
 * members, one a line.  Returns CTL_OK, or CTL_REFUSED when out is NULL (no memory) or stdout is broken.
 */
int ctl_print(const struct ctl *c, json_t *out, const char *list, const struct column *columns);

int card_list(const struct ctl *c);
int partition_list(const struct ctl *c);
int pool_create(const struct ctl *c);
int pool_list(const struct ctl *c);
int pool_bind(const struct ctl *c);
int pool_delete(const struct ctl *c);

int daemon_status(const struct ctl *c);
int account_create(const struct ctl *c);
int account_import(const struct ctl *c);
int account_list(const struct ctl *c);
int instance_add(const struct ctl *c);
int instance_list(const struct ctl *c);
int credential_issue(const struct ctl *c);
int credential_list(const struct ctl *c);
int credential_revoke(const struct ctl *c);

#endif
