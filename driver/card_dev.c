// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * /dev/hsm/card<N>: admin commands for the administrator, except those that
 * make and unmake queue pairs, which name memory by bus address.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/uaccess.h>
#include "card.h"
#include "cmd.h"
#include "exec.h"
#include "pool.h"
#include "qp.h"

static int card_open(struct inode *inode, struct file *file)
{
	struct hsm_card *card = container_of(inode->i_cdev, struct hsm_card, cdev);

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	/* The inode's reference on the cdev ends with the last file. */
	get_device(&card->dev);
	file->private_data = card;
	return nonseekable_open(inode, file);
}

static int card_release(struct inode *inode, struct file *file)
{
	struct hsm_card *card = file->private_data;

	put_device(&card->dev);
	return 0;
}

static long card_exec(struct hsm_card *card, void __user *arg)
{
	struct hsm_ioc_exec ioc;
	struct hsm_cmd *cmd;
	int ret;

	ret = hsm_exec_get(&ioc, arg);
	if (ret)
		return ret;
	if (ioc.exec.opcode == HSM_OP_CREATE_QP || ioc.exec.opcode == HSM_OP_DELETE_QP)
		return -EOPNOTSUPP;
	cmd = hsm_cmd_from_exec(&ioc.exec, BIT(HSM_CLASS_ADMIN));
	if (IS_ERR(cmd))
		return PTR_ERR(cmd);

	down_read(&card->node_lock);
	ret = card->admin ? hsm_card_admin(card, cmd) : -ENODEV;
	up_read(&card->node_lock);
	if (ret != -EINTR)
		ret = hsm_exec_put(arg, cmd, ret);
	hsm_cmd_put(cmd);
	return ret;
}

static long card_info(struct hsm_card *card, void __user *arg)
{
	struct hsm_ioc_info info = {};

	down_read(&card->node_lock);
	if (!card->admin) {
		up_read(&card->node_lock);
		return -ENODEV;
	}
	info.queue_pairs = READ_ONCE(card->qps_used);
	info.depth = card->max_depth;
	up_read(&card->node_lock);
	snprintf(info.name, sizeof(info.name), "card%u", card->id);
	return hsm_info_put(arg, &info);
}

static long card_ioctl(struct file *file, unsigned int op, unsigned long arg)
{
	struct hsm_card *card = file->private_data;

	/* A passed file gives its receiver nothing. */
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;

	switch (op) {
	case HSM_IOC_EXEC:
		return card_exec(card, (void __user *)arg);
	case HSM_IOC_INFO:
		return card_info(card, (void __user *)arg);
	default:
		return -ENOTTY;
	}
}

void hsm_card_dev_shut(struct hsm_card *card)
{
	down_write(&card->node_lock);
	card->admin = NULL;
	up_write(&card->node_lock);
}

const struct file_operations hsm_card_fops = {
	.owner = THIS_MODULE,
	.open = card_open,
	.release = card_release,
	.unlocked_ioctl = card_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
