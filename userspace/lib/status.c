// SPDX-License-Identifier: Apache-2.0
/* The card status table.  Apart from the pools, so that a tool has it without a provider. */
#include <errno.h>

#include <hsm_cmd.h>

#include "pool.h"

const char *hsm_status_text(uint16_t status)
{
	switch (status) {
#define HSM_X(name, value, err, text)	\
	case value:			\
		return text;
	HSM_STATUSES(HSM_X)
#undef HSM_X
	default:
		return "unknown card status";
	}
}

int hsm_status_errno(uint16_t status)
{
	switch (status) {
#define HSM_X(name, value, err, text)	\
	case value:			\
		return -(err);
	HSM_STATUSES(HSM_X)
#undef HSM_X
	default:
		return -EREMOTEIO;
	}
}
