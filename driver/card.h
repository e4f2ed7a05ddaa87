/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One PCI function: its state, its admin queue, its queue pairs.
 *
 * States: PROBING -> LIVE -> DEAD; GONE from any, when the function is
 * unbound.  A card leaves LIVE through hsm_card_stop() alone, after which it
 * makes no DMA and its commands have been moved or answered.  DEAD lasts until
 * the function is probed again.
 */
#ifndef HSM_CARD_H
#define HSM_CARD_H

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include "hsm.h"
#include "hsm_hw.h"

struct dentry;
struct hsm_cmd;
struct hsm_pool;
struct hsm_qp;
struct pci_dev;

struct hsm_card {
	struct device dev;		/* its release frees this */
	struct cdev cdev;		/* /dev/hsm/card<N> */
	struct list_head node;		/* hsm_cards, under hsm_topology */
	unsigned int id;
	struct pci_dev *pdev;		/* until card_remove() returns */
	void __iomem *regs;
	u32 max_depth;
	u32 max_qps;			/* limited by vectors, too */
	u32 ready_ms;			/* HSM_REG_TIMEOUT */
	char serial[33];
	char model[33];
	char firmware[17];
	char bus[32];			/* PCI address */
	struct dentry *debugfs;

	struct mutex lock;		/* of what follows; see qp.h for its order */
	/* Under lock; state is also read without it, as a hint. */
	u32 state;			/* enum hsm_card_state */
	struct list_head qps;		/* hsm_qp.card_node; the admin queue is not in it */
	DECLARE_BITMAP(qids, HSM_MAX_QPS + 1);
	unsigned int qps_used;

	/*
	 * Admin passthrough holds it for reading around its use of admin;
	 * removal takes it for writing once, after the card was stopped.
	 */
	struct rw_semaphore node_lock;
	struct hsm_qp *admin;		/* NULL for the node, once GONE */

	const char *why;		/* of the first failure */
	struct work_struct fail_work;
	struct delayed_work watchdog;
};

/* Topology: see the lock order in qp.h.  All cards that are bound. */
extern struct mutex hsm_topology;
/* Under it: changes with the list of cards or of pools.  Never 0, which means unknown. */
extern unsigned int hsm_topology_seq;
extern struct list_head hsm_cards;

int hsm_card_driver_register(void);
void hsm_card_driver_unregister(void);

/* By number, under hsm_topology; NULL: none.  No reference is taken. */
struct hsm_card *hsm_card_find(u32 id);

/* Any context: the card is broken for the given reason, stop it soon. */
void hsm_card_fail(struct hsm_card *card, const char *why);

/*
 * Stops DMA, then moves or answers every command.  state: DEAD or GONE.
 * why: the failure, to be logged, or NULL.
 * Idempotent; sleeps for as long as the card may take to become not ready.
 */
void hsm_card_stop(struct hsm_card *card, u32 state, const char *why);

/* Runs an admin command and waits.  Bytes of output, or -errno (-EINTR: being killed). */
int hsm_card_admin(struct hsm_card *card, struct hsm_cmd *cmd);

/*
 * A queue pair of the card for a pool, bound to its partition and live.
 * ERR_PTR: -ENODEV (card not live), -ENOSPC (no queue pair left), -ENOMEM, or
 * that of the card's refusal, then *status says which.  Under hsm_topology.
 */
struct hsm_qp *hsm_card_qp_create(struct hsm_card *card, struct hsm_pool *pool,
				  u16 depth, u16 *status);

/*
 * The reverse.  Commands still in flight are answered with -ENODEV.  Nobody
 * else may reach qp any more.  Under hsm_topology.
 */
void hsm_card_qp_destroy(struct hsm_qp *qp);

/* card_dev.c: the node of a card; after hsm_card_dev_shut() its calls return -ENODEV. */
void hsm_card_dev_shut(struct hsm_card *card);
extern const struct file_operations hsm_card_fops;

#endif /* HSM_CARD_H */
