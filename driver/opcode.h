/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The opcode and status tables of uapi/hsm_cmd.h, as lookups. */
#ifndef HSM_OPCODE_H
#define HSM_OPCODE_H

#include <linux/types.h>
#include "hsm_cmd.h"

struct hsm_opcode_info {
	const char *name;
	u8 class;		/* enum hsm_class */
	bool idempotent;	/* may be repeated on another card of the partition */
};

/* NULL: no such opcode. */
const struct hsm_opcode_info *hsm_opcode_info(u8 opcode);

/* 0 or a negative errno; a status outside the table is -EREMOTEIO. */
int hsm_status_errno(u16 status);

/* A constant string, never NULL. */
const char *hsm_status_text(u16 status);

#endif /* HSM_OPCODE_H */
