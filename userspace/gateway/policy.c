// SPDX-License-Identifier: Apache-2.0
#include "policy.h"

#include <stdio.h>
#include <string.h>

static const struct aws_op unknown = { "(unknown)", HSM_CLASS_MANAGE };

const struct aws_op *policy_op(struct span target)
{
	const struct aws_op *op = aws_op_find(target);

	return op ? op : &unknown;
}

bool policy_creates_key(const struct aws_op *op)
{
	return !strcmp(op->name, "CreateKey");
}

enum hsm_class policy_resolve_class(const struct aws_op *op)
{
	return op->class == HSM_CLASS_CRYPTO ? HSM_CLASS_CRYPTO : HSM_CLASS_MANAGE;
}

bool policy_forwards(const struct aws_op *op)
{
	return op->class == HSM_CLASS_MANAGE;
}

void policy_refusal(const struct aws_op *op, struct span instance, struct span endpoint, char *out, size_t cap)
{
	const char *is = op->class == HSM_CLASS_STORAGE ? "moves key material" : "is a key computation";

	snprintf(out, cap, "%s %s; send it to the private endpoint of instance %.*s (%.*s)", op->name, is,
		 (int)instance.len, instance.p, (int)endpoint.len, endpoint.p);
}
