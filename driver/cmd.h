/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One command, from the validated copy of what the caller asked to the one
 * answer that the caller gets.
 *
 * Life: hsm_cmd_alloc() -> hsm_pool_submit() or hsm_qp_submit() -> in flight on
 * a queue pair -> answered, once -> ->complete() -> hsm_cmd_put().
 *
 * Two references: the caller's, and the queue pair's while the command holds a
 * slot.  A caller whose time is up gets its answer while the card still owns
 * the slot: the command stays there, answered, until the card is done with it.
 *
 * Payloads live in kernel memory that belongs to the command.  The card never
 * sees user memory: a tenant can't change a command after it was checked, the
 * card can't write into memory whose owner already got -ETIME, and a fault on
 * a user address never holds up a ring.
 */
#ifndef HSM_CMD_H
#define HSM_CMD_H

#include <linux/completion.h>
#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/types.h>
#include "hsm.h"

#define HSM_TIMEOUT_DEFAULT_MS	5000
#define HSM_TIMEOUT_MAX_MS	60000

/* Times that a command may be moved to another card. */
#define HSM_CMD_MOVES		2

struct hsm_pool;
struct hsm_opcode_info;
struct io_uring_cmd;

struct hsm_cmd {
	/* The request; constant once submitted. */
	const struct hsm_opcode_info *info;
	u8 opcode;
	u32 in_len;
	u32 out_len;			/* capacity */
	void *in;
	void *out;			/* zeroed at allocation */
	unsigned long deadline;		/* jiffies */
	struct hsm_pool *pool;		/* NULL: an admin command; never moved */

	/*
	 * Runs exactly once, when the command is answered, in any context, with
	 * no lock of the driver held; the caller's reference is its to drop.
	 */
	void (*complete)(struct hsm_cmd *cmd);
	union {
		struct completion done;
		struct io_uring_cmd *ioucmd;
	};
	u64 out_addr;			/* the caller's, user address */

	/* The answer; constant once ->answered. */
	int result;			/* bytes of output, or -errno */
	u16 status;			/* enum hsm_status */

	refcount_t ref;

	/*
	 * Under the lock of the queue pair that holds the command; between two
	 * queue pairs, the mover's alone.
	 */
	bool answered;
	u8 moves;
	u16 cid;
	unsigned long issued;		/* jiffies */
	dma_addr_t in_dma;		/* of payloads larger than a slot */
	dma_addr_t out_dma;
	struct list_head node;		/* in flight, oldest first; or waiting to be moved */
	struct list_head done_node;	/* answered, to be completed after unlock */
};

int hsm_cmd_init(void);
void hsm_cmd_exit(void);

/*
 * Checks x and makes the command for a node that takes the classes in the mask
 * `classes`.  x is a copy in kernel memory.
 * ERR_PTR: -EINVAL, -EOPNOTSUPP, -ENOMEM, -EFAULT.
 */
struct hsm_cmd *hsm_cmd_from_exec(const struct hsm_exec *x, unsigned int classes);

/* For the driver's own commands; the caller fills ->in.  NULL: no memory. */
struct hsm_cmd *hsm_cmd_alloc(u8 opcode, u32 in_len, u32 out_len, u32 timeout_ms);

void hsm_cmd_put(struct hsm_cmd *cmd);

/*
 * Decides the answer and puts the command on list; hsm_cmd_complete_list() then
 * runs ->complete() of each.  Does nothing if it was answered before.
 */
void hsm_cmd_answer(struct hsm_cmd *cmd, int result, u16 status, struct list_head *list);
void hsm_cmd_complete_list(struct list_head *list);

/* ->complete of a caller that waits. */
void hsm_cmd_wake(struct hsm_cmd *cmd);
/* Waits for the answer: ->result, or -EINTR if the caller is being killed. */
int hsm_cmd_wait(struct hsm_cmd *cmd);

/* Bytes of output, or 0 if the command failed. */
static inline u32 hsm_cmd_reply_len(const struct hsm_cmd *cmd)
{
	return cmd->result > 0 ? cmd->result : 0;
}

#endif /* HSM_CMD_H */
