// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/jiffies.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "cmd.h"
#include "opcode.h"
#include "trace.h"

static struct kmem_cache *cmd_cache;

int hsm_cmd_init(void)
{
	cmd_cache = KMEM_CACHE(hsm_cmd, SLAB_ACCOUNT);
	return cmd_cache ? 0 : -ENOMEM;
}

void hsm_cmd_exit(void)
{
	kmem_cache_destroy(cmd_cache);
}

static void cmd_free(struct hsm_cmd *cmd)
{
	kfree_sensitive(cmd->in);
	kfree_sensitive(cmd->out);
	kmem_cache_free(cmd_cache, cmd);
}

struct hsm_cmd *hsm_cmd_alloc(u8 opcode, u32 in_len, u32 out_len, u32 timeout_ms)
{
	struct hsm_cmd *cmd = kmem_cache_zalloc(cmd_cache, GFP_KERNEL);

	if (!cmd)
		return NULL;
	cmd->info = hsm_opcode_info(opcode);
	cmd->opcode = opcode;
	cmd->in_len = in_len;
	cmd->out_len = out_len;
	cmd->deadline = jiffies + msecs_to_jiffies(timeout_ms);
	refcount_set(&cmd->ref, 1);
	INIT_LIST_HEAD(&cmd->node);
	INIT_LIST_HEAD(&cmd->done_node);
	if (in_len) {
		cmd->in = kmalloc(in_len, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
		if (!cmd->in)
			goto free;
	}
	if (out_len) {
		/* A card that claims more than it wrote must not reveal old memory. */
		cmd->out = kzalloc(out_len, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
		if (!cmd->out)
			goto free;
	}
	return cmd;

free:
	cmd_free(cmd);
	return NULL;
}

struct hsm_cmd *hsm_cmd_from_exec(const struct hsm_exec *x, unsigned int classes)
{
	const struct hsm_opcode_info *info;
	struct hsm_cmd *cmd;

	if (x->flags || x->rsvd || x->timeout_ms > HSM_TIMEOUT_MAX_MS)
		return ERR_PTR(-EINVAL);
	if (x->in_len > HSM_MAX_PAYLOAD || x->out_len > HSM_MAX_PAYLOAD)
		return ERR_PTR(-EINVAL);
	if ((!x->in_len && x->in_addr) || (!x->out_len && x->out_addr))
		return ERR_PTR(-EINVAL);
	info = hsm_opcode_info(x->opcode);
	if (!info || !(classes & BIT(info->class)))
		return ERR_PTR(-EOPNOTSUPP);

	cmd = hsm_cmd_alloc(x->opcode, x->in_len, x->out_len,
			    x->timeout_ms ?: HSM_TIMEOUT_DEFAULT_MS);
	if (!cmd)
		return ERR_PTR(-ENOMEM);
	cmd->out_addr = x->out_addr;
	if (x->in_len &&
	    copy_from_user(cmd->in, u64_to_user_ptr(x->in_addr), x->in_len)) {
		hsm_cmd_put(cmd);
		return ERR_PTR(-EFAULT);
	}
	return cmd;
}

void hsm_cmd_put(struct hsm_cmd *cmd)
{
	if (refcount_dec_and_test(&cmd->ref))
		cmd_free(cmd);
}

void hsm_cmd_answer(struct hsm_cmd *cmd, int result, u16 status, struct list_head *list)
{
	if (cmd->answered)
		return;
	cmd->answered = true;
	cmd->result = result;
	cmd->status = status;
	trace_hsm_complete(cmd);
	list_add_tail(&cmd->done_node, list);
}

void hsm_cmd_complete_list(struct list_head *list)
{
	struct hsm_cmd *cmd, *next;

	list_for_each_entry_safe(cmd, next, list, done_node) {
		list_del_init(&cmd->done_node);
		cmd->complete(cmd);
	}
}

void hsm_cmd_wake(struct hsm_cmd *cmd)
{
	complete(&cmd->done);
	hsm_cmd_put(cmd);
}

int hsm_cmd_wait(struct hsm_cmd *cmd)
{
	if (wait_for_completion_killable(&cmd->done))
		return -EINTR;
	return cmd->result;
}
