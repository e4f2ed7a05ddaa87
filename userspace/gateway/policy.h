/* SPDX-License-Identifier: Apache-2.0 */
/* What the gateway lets through: it depends on the class of the operation alone (claim 3 of the design). */
#ifndef GATEWAY_POLICY_H
#define GATEWAY_POLICY_H

#include <stdbool.h>
#include <hsm_cmd.h>

#include "awsops.h"

/* The operation that X-Amz-Target names.  A name that AWS does not know is of class manage, for a KMS to refuse. */
const struct aws_op *policy_op(struct span target);

/* Whether the operation takes a key id that the shared KMS assigns, and its key is recorded there. */
bool policy_creates_key(const struct aws_op *op);

/* The class under which the shared KMS is asked: finding out who owns a key is management. */
enum hsm_class policy_resolve_class(const struct aws_op *op);

/* Whether the gateway forwards the operation to a dedicated instance; and if not, why, for the client. */
bool policy_forwards(const struct aws_op *op);
void policy_refusal(const struct aws_op *op, struct span instance, struct span endpoint, char *out, size_t cap);

#endif
