/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the ioctls of pool and card nodes have in common; see card_dev.c, pool_dev.c. */
#ifndef HSM_EXEC_H
#define HSM_EXEC_H

#include "hsm.h"

struct hsm_cmd;

/* Copies and checks the frame of HSM_IOC_EXEC: 0, -EFAULT, -EINVAL, -E2BIG. */
int hsm_exec_get(struct hsm_ioc_exec *ioc, const void __user *arg);

/* Copies the answer ret of cmd out: 0, the error in ret, or -EFAULT. */
int hsm_exec_put(struct hsm_ioc_exec __user *arg, const struct hsm_cmd *cmd, int ret);

/* Checks the size at arg and copies info there: 0, -EFAULT, -EINVAL, -E2BIG. */
int hsm_info_put(void __user *arg, struct hsm_ioc_info *info);

#endif /* HSM_EXEC_H */
