/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pool: queue pairs of one or more cards, all bound to one partition, for
 * the tasks of one control group.
 *
 * A card that is lost takes its queue pairs out of the pool; the pool lives on
 * with the others, and with none it answers -ENODEV.
 */
#ifndef HSM_POOL_H
#define HSM_POOL_H

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/list.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include "hsm.h"

struct cgroup;
struct hsm_card;
struct hsm_cmd;
struct hsm_owner;
struct hsm_qp;
struct netlink_ext_ack;

/* Who may use the pool.  Replaced as a whole, under RCU. */
struct hsm_binding {
	struct cgroup *cgrp;
	u64 generation;		/* files opened under another one are stale */
};

struct hsm_pool {
	struct device dev;		/* its release frees this */
	struct cdev cdev;		/* /dev/hsm/<name> */
	struct list_head node;		/* all pools: written under hsm_topology, read under RCU */
	char name[HSM_POOL_NAME_LEN];
	u8 partition[HSM_UUID_LEN];
	u32 flags;			/* HSM_POOL_F_* */
	u32 depth;
	int minor;
	bool dead;			/* deleted; set once, under hsm_topology */
	struct hsm_binding __rcu *binding;	/* written under hsm_topology */

	struct hsm_owner *owner;	/* under the router's lock */

	/* Commands of a lost card that found every other queue pair full. */
	spinlock_t retry_lock;
	struct list_head retry;		/* hsm_cmd.node, under retry_lock */
	unsigned int retries;		/* length of retry, as above; read as a hint */
	struct delayed_work retry_work;

	unsigned int nqps;
	struct hsm_qp __rcu *qps[];	/* NULL: lost; written under hsm_topology */
};

struct hsm_pool_member {
	u32 card;
	u32 qps;
};

struct hsm_pool_params {
	const char *name;
	const u8 *partition;
	u32 flags;
	u32 depth;
	int cgroup_fd;
	unsigned int nmembers;
	const struct hsm_pool_member *members;
};

/*
 * The following take hsm_topology themselves.  Errors come with an extack text.
 *
 * hsm_pool_create(): -EEXIST, -EINVAL, -EBADF (not a cgroup v2 directory),
 * -ENODEV (no such card, or not live), -ENOSPC, -ENXIO (partition not on the
 * card), -ENOMEM, ...
 */
int hsm_pool_create(const struct hsm_pool_params *params, struct netlink_ext_ack *extack);
int hsm_pool_delete(const char *name, struct netlink_ext_ack *extack);
int hsm_pool_bind(const char *name, int cgroup_fd, struct netlink_ext_ack *extack);
void hsm_pools_destroy(void);

/* Under hsm_topology: takes out and frees the queue pairs of a stopped card. */
void hsm_pools_drop_card(struct hsm_card *card);

/* Under RCU or hsm_topology; no reference is taken.  NULL: none. */
struct hsm_pool *hsm_pool_find(const char *name);
struct hsm_pool *hsm_pool_nth(unsigned int n);

/* Healthy queue pairs; under RCU or hsm_topology. */
unsigned int hsm_pool_live_qps(struct hsm_pool *pool);

/* Id of the cgroup that the pool is bound to. */
u64 hsm_pool_cgroup_id(struct hsm_pool *pool);

/*
 * May current use the pool?  *generation: as of open, or 0 to learn it.
 * 0, -ENODEV (deleted), -ESTALE (bound anew since), -EPERM (not in the cgroup).
 */
int hsm_pool_check(struct hsm_pool *pool, u64 *generation);

/*
 * Gives cmd to the least loaded queue pair, if current may use the pool: nothing
 * comes between this and that check.  0: it will be answered.  Else it was not
 * submitted: an error of hsm_pool_check(), -EBUSY, -ENODEV, -ENOMEM.
 */
int hsm_pool_submit(struct hsm_pool *pool, u64 *generation, struct hsm_cmd *cmd);

/*
 * Disposes of commands that were lost in flight on qp, with a queue reference
 * each: moves the idempotent ones to other queue pairs of their pool and
 * answers the others with err.  qp NULL: answers all with err.
 */
void hsm_pool_move(struct hsm_qp *qp, struct list_head *lost, int err);

/* pool_dev.c: the node of a pool. */
extern const struct file_operations hsm_pool_fops;

/* The pool behind an open file of its node, with a reference; NULL: another file. */
struct hsm_pool *hsm_pool_from_file(struct file *file, u64 *generation);

#endif /* HSM_POOL_H */
