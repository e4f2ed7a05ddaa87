// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/nospec.h>
#include "opcode.h"

static const struct hsm_opcode_info opcodes[256] = {
#define HSM_X(_name, _value, _class, _idem)			\
	[_value] = {						\
		.name = #_name,					\
		.class = HSM_CLASS_##_class,			\
		.idempotent = _idem,				\
	},
	HSM_OPCODES(HSM_X)
#undef HSM_X
};

static const struct {
	int err;
	const char *text;
} statuses[] = {
#define HSM_X(_name, _value, _err, _text)			\
	[_value] = {						\
		.err = _err,					\
		.text = _text,					\
	},
	HSM_STATUSES(HSM_X)
#undef HSM_X
};

const struct hsm_opcode_info *hsm_opcode_info(u8 opcode)
{
	const struct hsm_opcode_info *info = &opcodes[opcode];

	return info->name ? info : NULL;
}

int hsm_status_errno(u16 status)
{
	if (status >= ARRAY_SIZE(statuses))
		return -EREMOTEIO;
	return -statuses[array_index_nospec(status, ARRAY_SIZE(statuses))].err;
}

const char *hsm_status_text(u16 status)
{
	if (status >= ARRAY_SIZE(statuses))
		return "the card answered with an unknown status";
	return statuses[array_index_nospec(status, ARRAY_SIZE(statuses))].text;
}
