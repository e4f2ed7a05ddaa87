/* SPDX-License-Identifier: Apache-2.0 */
/* Which class each operation of the AWS KMS API is of: what the gateway lets through depends on that alone. */
#ifndef GATEWAY_POLICY_H
#define GATEWAY_POLICY_H

#include <stdbool.h>
#include <hsm_cmd.h>

#include "cursor.h"

struct policy_op {
	const char *name;
	enum hsm_class class;
	bool creates_key;	/* takes the key id that the directory assigned */
};

/* The operation of that name.  Never NULL: a name that AWS does not know is of class manage, for a KMS to refuse. */
const struct policy_op *policy_find(struct span name);

/* Whether the gateway forwards the class to a dedicated instance. */
bool policy_forwards(enum hsm_class class);

/* Why not, for the client. */
void policy_refusal(const struct policy_op *op, struct span instance, struct span endpoint, char *out, size_t cap);

#endif
