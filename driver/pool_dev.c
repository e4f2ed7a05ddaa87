// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * /dev/hsm/<pool>: commands of its pool, as uring_cmd or as ioctl.
 *
 * The file mode and the device cgroup are looked at when the path is opened
 * and so don't help against a file that was passed on: the pool's own cgroup
 * is checked at open and again at every call.
 */
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "cmd.h"
#include "compat.h"
#include "exec.h"
#include "pool.h"

#define POOL_CLASSES \
	(BIT(HSM_CLASS_MANAGE) | BIT(HSM_CLASS_CRYPTO) | BIT(HSM_CLASS_STORAGE))

struct hsm_file {
	struct hsm_pool *pool;	/* with a reference */
	u64 generation;		/* of the binding at open */
};

static int pool_open(struct inode *inode, struct file *file)
{
	struct hsm_pool *pool = container_of(inode->i_cdev, struct hsm_pool, cdev);
	struct hsm_file *hf;
	int ret;

	hf = kzalloc(sizeof(*hf), GFP_KERNEL_ACCOUNT);
	if (!hf)
		return -ENOMEM;
	ret = hsm_pool_check(pool, &hf->generation);
	if (ret) {
		kfree(hf);
		return ret;
	}
	get_device(&pool->dev);
	hf->pool = pool;
	file->private_data = hf;
	return nonseekable_open(inode, file);
}

static int pool_release(struct inode *inode, struct file *file)
{
	struct hsm_file *hf = file->private_data;

	put_device(&hf->pool->dev);
	kfree(hf);
	return 0;
}

struct hsm_pool *hsm_pool_from_file(struct file *file, u64 *generation)
{
	struct hsm_file *hf = file->private_data;

	if (file->f_op != &hsm_pool_fops)
		return NULL;
	*generation = hf->generation;
	get_device(&hf->pool->dev);
	return hf->pool;
}

/* ---- uring_cmd ---- */

static struct hsm_cmd **uring_pdu(struct io_uring_cmd *ioucmd)
{
	BUILD_BUG_ON(sizeof(struct hsm_cmd *) > sizeof(ioucmd->pdu));
	return (struct hsm_cmd **)ioucmd->pdu;
}

static void pool_uring_finish(HSM_URING_TW_ARGS)
{
	struct io_uring_cmd *ioucmd = hsm_uring_tw_cmd();
	struct hsm_cmd *cmd = *uring_pdu(ioucmd);
	u32 len = hsm_cmd_reply_len(cmd);
	u16 status = cmd->status;
	int ret = cmd->result;

	/*
	 * If the submitter is going away this runs in a kernel worker, whose
	 * notion of user memory is somebody else's.
	 */
	if (!current->mm || (current->flags & (PF_KTHREAD | PF_EXITING))) {
		ret = -ECANCELED;
		status = 0;
	} else if (len && copy_to_user(u64_to_user_ptr(cmd->out_addr), cmd->out, len)) {
		ret = -EFAULT;
	}
	hsm_cmd_put(cmd);
	hsm_uring_done(ioucmd, ret, status, hsm_uring_tw_flags());
}

static void pool_uring_complete(struct hsm_cmd *cmd)
{
	io_uring_cmd_complete_in_task(cmd->ioucmd, pool_uring_finish);
}

static int pool_uring_cmd(struct io_uring_cmd *ioucmd, unsigned int issue_flags)
{
	const struct hsm_file *hf = ioucmd->file->private_data;
	u64 generation = hf->generation;
	const struct hsm_exec *shared;
	struct hsm_exec x;
	struct hsm_cmd *cmd;
	int ret;

	if (!(issue_flags & IO_URING_F_SQE128) || !(issue_flags & IO_URING_F_CQE32))
		return -EINVAL;
	if (ioucmd->cmd_op != HSM_URING_CMD_EXEC)
		return -ENOTTY;
	/* No registered buffers: payloads are copied. */
	if (ioucmd->flags)
		return -EINVAL;
	/*
	 * A ring that is polled by a kernel thread can be driven by any process
	 * that maps it, and current is the thread or a worker of its: the
	 * submitter is not known.
	 */
	if (cmd_to_io_kiocb(ioucmd)->ctx->flags & IORING_SETUP_SQPOLL)
		return -EOPNOTSUPP;
	/* Outsiders get no further; hsm_pool_submit() is what counts. */
	ret = hsm_pool_check(hf->pool, &generation);
	if (ret)
		return ret;

	shared = hsm_uring_payload(ioucmd);
	x.opcode = READ_ONCE(shared->opcode);
	x.flags = READ_ONCE(shared->flags);
	x.rsvd = READ_ONCE(shared->rsvd);
	x.timeout_ms = READ_ONCE(shared->timeout_ms);
	x.in_addr = READ_ONCE(shared->in_addr);
	x.out_addr = READ_ONCE(shared->out_addr);
	x.in_len = READ_ONCE(shared->in_len);
	x.out_len = READ_ONCE(shared->out_len);

	cmd = hsm_cmd_from_exec(&x, POOL_CLASSES);
	if (IS_ERR(cmd))
		return PTR_ERR(cmd);
	cmd->pool = hf->pool;
	cmd->ioucmd = ioucmd;
	cmd->complete = pool_uring_complete;
	*uring_pdu(ioucmd) = cmd;

	ret = hsm_pool_submit(hf->pool, &generation, cmd);
	if (ret) {
		hsm_cmd_put(cmd);
		return ret;
	}
	return -EIOCBQUEUED;
}

/* ---- ioctl ---- */

static int pool_exec(const struct hsm_file *hf, void __user *arg)
{
	u64 generation = hf->generation;
	struct hsm_ioc_exec ioc;
	struct hsm_cmd *cmd;
	int ret;

	ret = hsm_exec_get(&ioc, arg);
	if (ret)
		return ret;
	cmd = hsm_cmd_from_exec(&ioc.exec, POOL_CLASSES);
	if (IS_ERR(cmd))
		return PTR_ERR(cmd);
	cmd->pool = hf->pool;
	cmd->complete = hsm_cmd_wake;
	init_completion(&cmd->done);

	/* hsm_cmd_wake() drops one, the end of this function the other. */
	refcount_inc(&cmd->ref);
	ret = hsm_pool_submit(hf->pool, &generation, cmd);
	if (ret)
		hsm_cmd_put(cmd);
	else
		ret = hsm_cmd_wait(cmd);
	if (ret != -EINTR)
		ret = hsm_exec_put(arg, cmd, ret);
	hsm_cmd_put(cmd);
	return ret;
}

static int pool_info(const struct hsm_file *hf, void __user *arg)
{
	struct hsm_pool *pool = hf->pool;
	struct hsm_ioc_info info = {
		.flags = pool->flags,
		.depth = pool->depth,
	};

	rcu_read_lock();
	info.queue_pairs = hsm_pool_live_qps(pool);
	rcu_read_unlock();
	memcpy(info.partition, pool->partition, sizeof(info.partition));
	strscpy(info.name, pool->name, sizeof(info.name));
	return hsm_info_put(arg, &info);
}

static long pool_ioctl(struct file *file, unsigned int op, unsigned long arg)
{
	const struct hsm_file *hf = file->private_data;
	u64 generation = hf->generation;
	int ret;

	ret = hsm_pool_check(hf->pool, &generation);
	if (ret)
		return ret;

	switch (op) {
	case HSM_IOC_EXEC:
		return pool_exec(hf, (void __user *)arg);
	case HSM_IOC_INFO:
		return pool_info(hf, (void __user *)arg);
	default:
		return -ENOTTY;
	}
}

const struct file_operations hsm_pool_fops = {
	.owner = THIS_MODULE,
	.open = pool_open,
	.release = pool_release,
	.uring_cmd = pool_uring_cmd,
	.unlocked_ioctl = pool_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
