/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations of the AWS KMS API (API Reference, version 2014-11-01): every name that
 * an SDK may send and its class, for the gateway's policy and the KMS's dialect.
 * Which of them a KMS serves is the KMS's affair.
 */
#ifndef HSM_AWSOPS_H
#define HSM_AWSOPS_H

#include <stdint.h>
#include "cursor.h"

struct aws_op {
	const char *name;
	uint8_t class;		/* enum hsm_class */
};

/* target: the value of X-Amz-Target, "TrentService.<name>".  NULL: no operation of KMS. */
const struct aws_op *aws_op_find(struct span target);

#endif
