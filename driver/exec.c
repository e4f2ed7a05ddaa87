// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/uaccess.h>
#include "cmd.h"
#include "exec.h"

/* The size of the structure as the caller knows it, `least` or more; or -errno. */
static int size_get(const void __user *arg, u32 least)
{
	u32 size;

	if (get_user(size, (const u32 __user *)arg))
		return -EFAULT;
	if (size < least || size > PAGE_SIZE)
		return -EINVAL;
	return size;
}

int hsm_exec_get(struct hsm_ioc_exec *ioc, const void __user *arg)
{
	int size = size_get(arg, sizeof(*ioc));
	int ret;

	if (size < 0)
		return size;
	ret = copy_struct_from_user(ioc, sizeof(*ioc), arg, size);
	if (ret)
		return ret;
	/* status and reply_len are outputs: whatever they held is ignored. */
	return ioc->rsvd ? -EINVAL : 0;
}

int hsm_exec_put(struct hsm_ioc_exec __user *arg, const struct hsm_cmd *cmd, int ret)
{
	u32 len = ret > 0 ? ret : 0;
	u32 status = 0;

	/* A command that was never submitted has no answer, only zeroes. */
	if (cmd->answered)
		status = cmd->status;
	if (len && copy_to_user(u64_to_user_ptr(cmd->out_addr), cmd->out, len))
		return -EFAULT;
	if (put_user(status, &arg->status) || put_user(len, &arg->reply_len))
		return -EFAULT;
	return ret < 0 ? ret : 0;
}

int hsm_info_put(void __user *arg, struct hsm_ioc_info *info)
{
	int size = size_get(arg, sizeof(*info));

	if (size < 0)
		return size;
	if (size > sizeof(*info)) {
		int ret = check_zeroed_user(arg + sizeof(*info), size - sizeof(*info));

		if (ret <= 0)
			return ret ?: -E2BIG;
	}
	info->size = sizeof(*info);
	return copy_to_user(arg, info, sizeof(*info)) ? -EFAULT : 0;
}
