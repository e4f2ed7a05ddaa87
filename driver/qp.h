/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A queue pair: submission and completion ring, shadow doorbell, interrupt
 * vector, and the table of commands in flight.  The admin queue is one too.
 *
 * Locks, outermost first:
 *	hsm_topology	(mutex)    which cards, pools and queue pairs exist
 *	card->lock	(mutex)    state of one card, its list of queue pairs
 *	qp->lock	(spinlock) taken with interrupts off; two are never nested
 * pool->retry_lock nests in both mutexes, the router's lock in hsm_topology.
 */
#ifndef HSM_QP_H
#define HSM_QP_H

#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/types.h>
#include "hsm_hw.h"

/* Payload up to this many bytes goes through the slot, larger ones are mapped. */
#define HSM_SLOT_PAYLOAD	4096u

struct hsm_card;
struct hsm_cmd;
struct hsm_pool;
struct seq_file;

/* Place of one command; its number is the command identifier. */
struct hsm_slot {
	void *in;		/* HSM_SLOT_PAYLOAD bytes each, coherent; zero while free */
	void *out;
	dma_addr_t dma;		/* of in; out follows */
	struct hsm_cmd *cmd;	/* NULL: free */
	u16 next;		/* in the free list */
};

struct hsm_qp {
	/* Constant while the queue pair can be reached. */
	struct hsm_card *card;
	struct hsm_pool *pool;		/* NULL: the admin queue */
	struct list_head card_node;	/* card->qps, under card->lock */
	u16 qid;			/* 0: the admin queue; also the vector */
	u16 depth;			/* power of two */
	unsigned int order;		/* log2 of depth */
	int cpu;			/* where the vector fires */
	int irq;			/* 0: not requested */
	char irq_name[32];
	void __iomem *doorbell;
	struct hsm_sqe *sq;
	struct hsm_cqe *cq;
	struct hsm_shadow *shadow;
	dma_addr_t sq_dma;
	dma_addr_t cq_dma;
	dma_addr_t shadow_dma;
	struct hsm_slot *slots;

	spinlock_t lock;		/* of what follows; interrupts off */
	/* Under lock; live and inflight are also read without it, as hints. */
	bool live;			/* takes commands */
	u16 sq_tail;			/* free-running */
	u16 cq_head;			/* free-running */
	u16 free;			/* first free slot; depth: none */
	u16 inflight;
	struct list_head cmds;		/* in flight, oldest first */
	struct timer_list timer;	/* at the earliest caller's deadline, or earlier */
	unsigned long timer_at;		/* jiffies; meaningful while pending */
	u64 submitted;
	u64 completed;
	u64 watched;			/* completed, when the watchdog last looked */
	u64 timeouts;
	u64 doorbells;
	u64 interrupts;
};

/*
 * Rings, slots and vector of a queue pair; the card doesn't know it yet.
 * qid 0..card's maximum.  ERR_PTR: -ENOMEM or of request_irq().
 */
struct hsm_qp *hsm_qp_alloc(struct hsm_card *card, struct hsm_pool *pool, u16 qid, u16 depth);

/* The card must not know it any more, nothing may be in flight. */
void hsm_qp_free(struct hsm_qp *qp);

/* From now on commands are taken. */
void hsm_qp_start(struct hsm_qp *qp);

/*
 * Publishes cmd to the card.
 * 0: the card owns it, it will be answered.  Else it was not submitted: -EBUSY
 * (full), -ENODEV (not live), -ENOMEM (no mapping).  Any context.
 */
int hsm_qp_submit(struct hsm_qp *qp, struct hsm_cmd *cmd);

/* No further command is taken. */
void hsm_qp_freeze(struct hsm_qp *qp);

/*
 * After the card stopped using the queue pair: takes the last answers and moves
 * every unanswered command to `lost`; the caller has their queue reference.
 */
void hsm_qp_drain(struct hsm_qp *qp, struct list_head *lost);

/* Has the card left a command unanswered since before `since` (jiffies)? */
bool hsm_qp_stuck(struct hsm_qp *qp, unsigned long since);

void hsm_qp_show(struct hsm_qp *qp, struct seq_file *m);

#endif /* HSM_QP_H */
