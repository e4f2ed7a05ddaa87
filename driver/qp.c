// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/cpumask.h>
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/log2.h>
#include <linux/pci.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include "card.h"
#include "cmd.h"
#include "compat.h"
#include "opcode.h"
#include "qp.h"
#include "trace.h"

static bool notify_needed(u16 event, u16 new, u16 old)
{
	/* Virtual I/O Device 1.2, section 2.7.10 */
	return (u16)(new - event - 1) < (u16)(new - old);
}

static void slot_push(struct hsm_qp *qp, u16 cid)
{
	qp->slots[cid].next = qp->free;
	qp->free = cid;
}

/* Undoes slot_load(): the card is done with the memory. */
static void slot_unload(struct hsm_qp *qp, struct hsm_cmd *cmd)
{
	struct device *dev = &qp->card->pdev->dev;
	struct hsm_slot *slot = &qp->slots[cmd->cid];

	if (cmd->in_len > HSM_SLOT_PAYLOAD)
		dma_unmap_single(dev, cmd->in_dma, cmd->in_len, DMA_TO_DEVICE);
	else
		memzero_explicit(slot->in, cmd->in_len);

	if (cmd->out_len > HSM_SLOT_PAYLOAD)
		dma_unmap_single(dev, cmd->out_dma, cmd->out_len, DMA_FROM_DEVICE);
	else
		memzero_explicit(slot->out, cmd->out_len);
}

static int slot_load(struct hsm_qp *qp, struct hsm_slot *slot, struct hsm_cmd *cmd)
{
	struct device *dev = &qp->card->pdev->dev;

	cmd->in_dma = slot->dma;
	cmd->out_dma = slot->dma + HSM_SLOT_PAYLOAD;

	if (cmd->in_len > HSM_SLOT_PAYLOAD) {
		cmd->in_dma = dma_map_single(dev, cmd->in, cmd->in_len, DMA_TO_DEVICE);
		if (dma_mapping_error(dev, cmd->in_dma))
			return -ENOMEM;
	}
	if (cmd->out_len > HSM_SLOT_PAYLOAD) {
		cmd->out_dma = dma_map_single(dev, cmd->out, cmd->out_len,
					      DMA_FROM_DEVICE);
		if (dma_mapping_error(dev, cmd->out_dma)) {
			if (cmd->in_len > HSM_SLOT_PAYLOAD)
				dma_unmap_single(dev, cmd->in_dma, cmd->in_len,
						 DMA_TO_DEVICE);
			return -ENOMEM;
		}
	}
	if (cmd->in_len <= HSM_SLOT_PAYLOAD)
		memcpy(slot->in, cmd->in, cmd->in_len);
	return 0;
}

/* Takes the command off its slot. */
static void slot_release(struct hsm_qp *qp, struct hsm_cmd *cmd)
{
	lockdep_assert_held(&qp->lock);

	slot_unload(qp, cmd);
	qp->slots[cmd->cid].cmd = NULL;
	slot_push(qp, cmd->cid);
	list_del_init(&cmd->node);
	WRITE_ONCE(qp->inflight, qp->inflight - 1);
}

/* One completion entry.  False: it makes no sense, the card is broken. */
static bool qp_complete(struct hsm_qp *qp, u16 cid, u16 status, u32 out_len,
			struct list_head *done)
{
	struct hsm_slot *slot;
	struct hsm_cmd *cmd;
	int result;

	if (cid >= qp->depth)
		return false;
	slot = &qp->slots[cid];
	cmd = slot->cmd;
	if (!cmd || out_len > cmd->out_len)
		return false;

	result = hsm_status_errno(status) ?: out_len;
	if (!cmd->answered && result > 0 && cmd->out_len <= HSM_SLOT_PAYLOAD)
		memcpy(cmd->out, slot->out, out_len);
	slot_release(qp, cmd);
	qp->completed++;
	hsm_cmd_answer(cmd, result, status, done);
	hsm_cmd_put(cmd);
	return true;
}

/* True if there was anything. */
static bool qp_reap(struct hsm_qp *qp, struct list_head *done)
{
	u16 old = qp->cq_head;

	lockdep_assert_held(&qp->lock);

	/* The card may stay busy, but cannot add more than it owes. */
	while (qp->inflight) {
		const struct hsm_cqe *cqe = &qp->cq[qp->cq_head & (qp->depth - 1)];
		bool phase = !((qp->cq_head >> qp->order) & 1);
		u64 tail = READ_ONCE(*(const u64 *)&cqe->sq_head);
		__le16 word[4];	/* sq_head, cid, status, phase */

		memcpy(word, &tail, sizeof(word));
		if ((le16_to_cpu(word[3]) & 1) != phase)
			break;
		dma_rmb();
		qp->cq_head++;
		if (!qp_complete(qp, le16_to_cpu(word[1]), le16_to_cpu(word[2]),
				 le32_to_cpu(READ_ONCE(cqe->out_len)), done)) {
			hsm_card_fail(qp->card, "a completion entry makes no sense");
			WRITE_ONCE(qp->live, false);
			break;
		}
	}
	return qp->cq_head != old;
}

/* As qp_reap(), and asks for an interrupt at the next completion. */
static void qp_reap_and_arm(struct hsm_qp *qp, struct list_head *done)
{
	do {
		qp_reap(qp, done);
		WRITE_ONCE(qp->shadow->cq_event, cpu_to_le16(qp->cq_head));
		/* The card stores its entry, then loads cq_event; we the reverse. */
		mb();
	} while (qp->live && qp_reap(qp, done));
}

/* Takes what the card has answered. */
static void qp_poll(struct hsm_qp *qp, unsigned int interrupts)
{
	unsigned long flags;
	LIST_HEAD(done);

	spin_lock_irqsave(&qp->lock, flags);
	qp->interrupts += interrupts;
	if (qp->live)
		qp_reap_and_arm(qp, &done);
	spin_unlock_irqrestore(&qp->lock, flags);
	hsm_cmd_complete_list(&done);
}

static irqreturn_t qp_irq(int irq, void *data)
{
	struct hsm_qp *qp = data;

	qp_poll(qp, 1);
	/* Submitters reap too: an interrupt that finds nothing is no stray. */
	return IRQ_HANDLED;
}

static void qp_timer(struct timer_list *timer)
{
	struct hsm_qp *qp = container_of(timer, struct hsm_qp, timer);
	unsigned long flags, now, next;
	struct hsm_cmd *cmd;
	bool again = false;
	LIST_HEAD(done);

	spin_lock_irqsave(&qp->lock, flags);
	if (qp->live)
		qp_reap_and_arm(qp, &done);
	now = jiffies;
	next = now;
	list_for_each_entry(cmd, &qp->cmds, node) {
		if (cmd->answered)
			continue;
		if (time_after_eq(now, cmd->deadline)) {
			qp->timeouts++;
			trace_hsm_timeout(qp, cmd);
			hsm_cmd_answer(cmd, -ETIME, 0, &done);
		} else if (!again || time_before(cmd->deadline, next)) {
			again = true;
			next = cmd->deadline;
		}
	}
	if (again) {
		qp->timer_at = next;
		mod_timer(&qp->timer, next);
	}
	spin_unlock_irqrestore(&qp->lock, flags);
	hsm_cmd_complete_list(&done);
}

int hsm_qp_submit(struct hsm_qp *qp, struct hsm_cmd *cmd)
{
	struct hsm_slot *slot;
	struct hsm_sqe *sqe;
	unsigned long flags;
	LIST_HEAD(done);
	u16 cid, event;
	int ret;

	spin_lock_irqsave(&qp->lock, flags);
	ret = -ENODEV;
	if (!qp->live)
		goto unlock;
	ret = -EBUSY;
	if (qp->free == qp->depth && !qp_reap(qp, &done))
		goto unlock;
	cid = qp->free;
	if (cid == qp->depth)
		goto unlock;
	slot = &qp->slots[cid];
	ret = slot_load(qp, slot, cmd);
	if (ret)
		goto unlock;

	qp->free = slot->next;
	slot->cmd = cmd;
	cmd->cid = cid;
	cmd->issued = jiffies;
	refcount_inc(&cmd->ref);
	list_add_tail(&cmd->node, &qp->cmds);
	WRITE_ONCE(qp->inflight, qp->inflight + 1);
	qp->submitted++;
	trace_hsm_submit(qp, cmd);

	sqe = &qp->sq[qp->sq_tail & (qp->depth - 1)];
	*sqe = (struct hsm_sqe){
		.opcode = cmd->opcode,
		.cid = cpu_to_le16(cid),
		.in_len = cpu_to_le32(cmd->in_len),
		.in_addr = cpu_to_le64(cmd->in_len ? cmd->in_dma : 0),
		.out_addr = cpu_to_le64(cmd->out_len ? cmd->out_dma : 0),
		.out_len = cpu_to_le32(cmd->out_len),
	};
	/* The entry before the index that covers it. */
	dma_wmb();
	qp->sq_tail++;
	WRITE_ONCE(qp->shadow->sq_tail, cpu_to_le16(qp->sq_tail));

	/* Take what is there: it saves an interrupt.  Its barrier orders us, too. */
	qp_reap_and_arm(qp, &done);
	event = le16_to_cpu(READ_ONCE(qp->shadow->sq_event));
	if (notify_needed(event, qp->sq_tail, qp->sq_tail - 1)) {
		qp->doorbells++;
		writel(qp->sq_tail, qp->doorbell);
	}
	if (!timer_pending(&qp->timer) || time_before(cmd->deadline, qp->timer_at)) {
		qp->timer_at = cmd->deadline;
		mod_timer(&qp->timer, cmd->deadline);
	}
	ret = 0;
unlock:
	spin_unlock_irqrestore(&qp->lock, flags);
	hsm_cmd_complete_list(&done);
	return ret;
}

void hsm_qp_start(struct hsm_qp *qp)
{
	spin_lock_irq(&qp->lock);
	WRITE_ONCE(qp->live, true);
	spin_unlock_irq(&qp->lock);
}

void hsm_qp_freeze(struct hsm_qp *qp)
{
	spin_lock_irq(&qp->lock);
	WRITE_ONCE(qp->live, false);
	spin_unlock_irq(&qp->lock);
}

void hsm_qp_drain(struct hsm_qp *qp, struct list_head *lost)
{
	struct hsm_cmd *cmd, *next;
	LIST_HEAD(done);

	spin_lock_irq(&qp->lock);
	WRITE_ONCE(qp->live, false);
	qp_reap(qp, &done);
	list_for_each_entry_safe(cmd, next, &qp->cmds, node) {
		slot_release(qp, cmd);
		if (cmd->answered)
			hsm_cmd_put(cmd);
		else
			list_add_tail(&cmd->node, lost);
	}
	spin_unlock_irq(&qp->lock);
	hsm_cmd_complete_list(&done);
}

bool hsm_qp_stuck(struct hsm_qp *qp, unsigned long since)
{
	struct hsm_cmd *oldest;
	bool stuck;

	/* An interrupt may have been lost: that is no hung card. */
	qp_poll(qp, 0);

	spin_lock_irq(&qp->lock);
	oldest = list_first_entry_or_null(&qp->cmds, struct hsm_cmd, node);
	/*
	 * A frozen queue pair takes no answers any more; deleting it will tell.
	 * One that still answers others is slow, not stuck, unless nobody waits
	 * for the oldest command any longer.
	 */
	stuck = qp->live && oldest && time_before(oldest->issued, since) &&
		(qp->completed == qp->watched ||
		 time_before(oldest->issued,
			     jiffies - msecs_to_jiffies(HSM_TIMEOUT_MAX_MS)));
	qp->watched = qp->completed;
	spin_unlock_irq(&qp->lock);
	return stuck;
}

void hsm_qp_show(struct hsm_qp *qp, struct seq_file *m)
{
	spin_lock_irq(&qp->lock);
	seq_printf(m, "%3u %5u %4s %8u %12llu %12llu %8llu %12llu %12llu\n",
		   qp->qid, qp->depth, qp->live ? "live" : "dead", qp->inflight,
		   qp->submitted, qp->completed, qp->timeouts, qp->doorbells,
		   qp->interrupts);
	spin_unlock_irq(&qp->lock);
}

static void qp_free_memory(struct hsm_qp *qp)
{
	struct device *dev = &qp->card->pdev->dev;
	unsigned int i;

	for (i = 0; qp->slots && i < qp->depth && qp->slots[i].in; i++)
		dma_free_coherent(dev, 2 * HSM_SLOT_PAYLOAD, qp->slots[i].in,
				  qp->slots[i].dma);
	kvfree(qp->slots);
	if (qp->shadow)
		dma_free_coherent(dev, sizeof(*qp->shadow), qp->shadow, qp->shadow_dma);
	if (qp->cq)
		dma_free_coherent(dev, qp->depth * sizeof(*qp->cq), qp->cq, qp->cq_dma);
	if (qp->sq)
		dma_free_coherent(dev, qp->depth * sizeof(*qp->sq), qp->sq, qp->sq_dma);
	kfree(qp);
}

static int qp_alloc_memory(struct hsm_qp *qp)
{
	struct device *dev = &qp->card->pdev->dev;
	unsigned int i;

	/* Coherent memory comes zeroed, aligned to its size or to pages. */
	qp->sq = dma_alloc_coherent(dev, qp->depth * sizeof(*qp->sq), &qp->sq_dma,
				    GFP_KERNEL);
	qp->cq = dma_alloc_coherent(dev, qp->depth * sizeof(*qp->cq), &qp->cq_dma,
				    GFP_KERNEL);
	qp->shadow = dma_alloc_coherent(dev, sizeof(*qp->shadow), &qp->shadow_dma,
					GFP_KERNEL);
	qp->slots = kvcalloc(qp->depth, sizeof(*qp->slots), GFP_KERNEL);
	if (!qp->sq || !qp->cq || !qp->shadow || !qp->slots)
		return -ENOMEM;

	qp->free = qp->depth;
	for (i = 0; i < qp->depth; i++) {
		struct hsm_slot *slot = &qp->slots[i];

		slot->in = dma_alloc_coherent(dev, 2 * HSM_SLOT_PAYLOAD, &slot->dma,
					      GFP_KERNEL);
		if (!slot->in)
			return -ENOMEM;
		slot->out = slot->in + HSM_SLOT_PAYLOAD;
		slot_push(qp, i);
	}
	return 0;
}

struct hsm_qp *hsm_qp_alloc(struct hsm_card *card, struct hsm_pool *pool, u16 qid, u16 depth)
{
	struct hsm_qp *qp;
	int irq, ret;

	qp = kzalloc(sizeof(*qp), GFP_KERNEL);
	if (!qp)
		return ERR_PTR(-ENOMEM);
	qp->card = card;
	qp->pool = pool;
	qp->qid = qid;
	qp->depth = depth;
	qp->order = ilog2(depth);
	qp->doorbell = card->regs + HSM_REG_DOORBELL + 4 * qid;
	qp->cpu = cpumask_local_spread(qid ? qid - 1 : 0, dev_to_node(&card->pdev->dev));
	spin_lock_init(&qp->lock);
	INIT_LIST_HEAD(&qp->cmds);
	INIT_LIST_HEAD(&qp->card_node);
	timer_setup(&qp->timer, qp_timer, 0);
	snprintf(qp->irq_name, sizeof(qp->irq_name), "hsm-card%u-%u", card->id, qid);

	ret = qp_alloc_memory(qp);
	if (ret)
		goto free;

	irq = pci_irq_vector(card->pdev, qid);
	ret = irq < 0 ? irq : request_irq(irq, qp_irq, 0, qp->irq_name, qp);
	if (ret)
		goto free;
	qp->irq = irq;
	irq_set_affinity_and_hint(irq, cpumask_of(qp->cpu));
	return qp;

free:
	qp_free_memory(qp);
	return ERR_PTR(ret);
}

void hsm_qp_free(struct hsm_qp *qp)
{
	WARN_ON_ONCE(qp->live || qp->inflight);
	irq_update_affinity_hint(qp->irq, NULL);
	free_irq(qp->irq, qp);
	hsm_timer_delete_sync(&qp->timer);
	qp_free_memory(qp);
}
