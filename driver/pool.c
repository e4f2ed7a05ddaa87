// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/cgroup.h>
#include <linux/ctype.h>
#include <linux/idr.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include "card.h"
#include "cmd.h"
#include "compat.h"
#include "main.h"
#include "netlink.h"
#include "opcode.h"
#include "pool.h"
#include "qp.h"
#include "router.h"
#include "trace.h"

#define DEPTH_DEFAULT	64u

static LIST_HEAD(pools);
static DEFINE_IDA(pool_minors);

#define topology_dereference(p) \
	rcu_dereference_protected(p, lockdep_is_held(&hsm_topology))

struct hsm_pool *hsm_pool_find(const char *name)
{
	struct hsm_pool *pool;

	list_for_each_entry_rcu(pool, &pools, node, lockdep_is_held(&hsm_topology))
		if (!strcmp(pool->name, name))
			return pool;
	return NULL;
}

struct hsm_pool *hsm_pool_nth(unsigned int n)
{
	struct hsm_pool *pool;

	list_for_each_entry_rcu(pool, &pools, node, lockdep_is_held(&hsm_topology))
		if (!n--)
			return pool;
	return NULL;
}

unsigned int hsm_pool_live_qps(struct hsm_pool *pool)
{
	unsigned int i, n = 0;

	for (i = 0; i < pool->nqps; i++) {
		struct hsm_qp *qp = rcu_dereference_check(pool->qps[i],
							  lockdep_is_held(&hsm_topology));

		if (qp && READ_ONCE(qp->live))
			n++;
	}
	return n;
}

/* ---- who may use it ---- */

static struct hsm_binding *binding_alloc(int cgroup_fd, struct netlink_ext_ack *extack)
{
	static atomic64_t generations = ATOMIC64_INIT(0);
	struct hsm_binding *binding;

	binding = kzalloc(sizeof(*binding), GFP_KERNEL);
	if (!binding)
		return ERR_PTR(-ENOMEM);
	binding->cgrp = cgroup_get_from_fd(cgroup_fd);
	if (IS_ERR(binding->cgrp)) {
		int ret = PTR_ERR(binding->cgrp);

		if (ret == -ENOENT) {
			hsm_extack(extack, "cgroup_fd is the directory of a removed group");
			ret = -EBADF;
		} else {
			hsm_extack(extack,
				   "cgroup_fd is not a directory of the cgroup v2 hierarchy");
		}
		kfree(binding);
		return ERR_PTR(ret);
	}
	/* Never 0, and never the same for two bindings of any pool. */
	binding->generation = atomic64_inc_return(&generations);
	return binding;
}

/* No reader may see it any more. */
static void binding_free(struct hsm_binding *binding)
{
	if (!binding)
		return;
	cgroup_put(binding->cgrp);
	kfree(binding);
}

u64 hsm_pool_cgroup_id(struct hsm_pool *pool)
{
	u64 id;

	rcu_read_lock();
	id = cgroup_id(rcu_dereference(pool->binding)->cgrp);
	rcu_read_unlock();
	return id;
}

int hsm_pool_check(struct hsm_pool *pool, u64 *generation)
{
	const struct hsm_binding *binding;
	int ret = 0;

	rcu_read_lock();
	binding = rcu_dereference(pool->binding);
	if (READ_ONCE(pool->dead))
		ret = -ENODEV;
	else if (*generation && *generation != binding->generation)
		ret = -ESTALE;
	/* A removed cgroup has no tasks, so nobody passes. */
	else if (!task_under_cgroup_hierarchy(current, binding->cgrp))
		ret = -EPERM;
	else
		*generation = binding->generation;
	rcu_read_unlock();
	return ret;
}

/* ---- scheduler ---- */

/*
 * Loads within this many commands count as equal.  A burst then stays on the
 * submitting CPU's queue pair, where one doorbell and one interrupt serve
 * several commands, and spills over when it is longer.
 */
#define SCHED_GRAIN	8

/*
 * Least loaded; of those, one whose vector fires on this CPU.  A full one only
 * if all are: submitting to it takes its answers, which may make room.  Under RCU.
 */
static struct hsm_qp *pool_pick(struct hsm_pool *pool)
{
	int cpu = raw_smp_processor_id();
	struct hsm_qp *best = NULL;
	unsigned int i, inflight, load, best_load = 0;

	for (i = 0; i < pool->nqps; i++) {
		struct hsm_qp *qp = rcu_dereference(pool->qps[i]);

		if (!qp || !READ_ONCE(qp->live))
			continue;
		inflight = READ_ONCE(qp->inflight);
		load = 2 * (inflight / SCHED_GRAIN) + (qp->cpu != cpu);
		if (inflight >= qp->depth)
			load = UINT_MAX;
		if (!best || load < best_load) {
			best = qp;
			best_load = load;
		}
	}
	return best;
}

static int pool_try(struct hsm_pool *pool, struct hsm_cmd *cmd)
{
	unsigned int tries = pool->nqps;
	int ret = -ENODEV;

	rcu_read_lock();
	do {
		struct hsm_qp *qp = pool_pick(pool);

		if (!qp) {
			ret = -ENODEV;
			break;
		}
		ret = hsm_qp_submit(qp, cmd);
		/* -ENODEV: the card died between the two; look again. */
	} while (ret == -ENODEV && --tries);
	rcu_read_unlock();
	return ret;
}

int hsm_pool_submit(struct hsm_pool *pool, u64 *generation, struct hsm_cmd *cmd)
{
	int ret;

	/*
	 * In one section with the check: copying the payload may have taken as
	 * long as the caller liked, and hsm_pool_bind() waits for sections that
	 * saw the old group.
	 */
	rcu_read_lock();
	ret = hsm_pool_check(pool, generation);
	/* Commands that were moved go first. */
	if (!ret)
		ret = unlikely(READ_ONCE(pool->retries)) ? -EBUSY : pool_try(pool, cmd);
	rcu_read_unlock();
	return ret;
}

/* ---- failover ---- */

static void pool_retry_later(struct hsm_pool *pool, struct hsm_cmd *cmd)
{
	spin_lock(&pool->retry_lock);
	list_add_tail(&cmd->node, &pool->retry);
	WRITE_ONCE(pool->retries, pool->retries + 1);
	spin_unlock(&pool->retry_lock);
	queue_delayed_work(hsm_wq, &pool->retry_work, 1);
}

/* Its queue reference goes to the new queue pair, or ends with the answer. */
static void pool_resubmit(struct hsm_pool *pool, struct hsm_cmd *cmd, struct list_head *done)
{
	int ret = -ETIME;

	if (time_before(jiffies, cmd->deadline))
		ret = pool_try(pool, cmd);
	if (ret == -EBUSY) {
		pool_retry_later(pool, cmd);
		return;
	}
	if (ret)
		hsm_cmd_answer(cmd, ret, 0, done);
	hsm_cmd_put(cmd);
}

static void pool_retry_work(struct work_struct *work)
{
	struct hsm_pool *pool = container_of(to_delayed_work(work),
					     struct hsm_pool, retry_work);
	struct hsm_cmd *cmd, *next;
	LIST_HEAD(batch);
	LIST_HEAD(done);

	spin_lock(&pool->retry_lock);
	list_splice_init(&pool->retry, &batch);
	WRITE_ONCE(pool->retries, 0);
	spin_unlock(&pool->retry_lock);

	list_for_each_entry_safe(cmd, next, &batch, node) {
		list_del_init(&cmd->node);
		pool_resubmit(pool, cmd, &done);
	}
	hsm_cmd_complete_list(&done);
}

void hsm_pool_move(struct hsm_qp *qp, struct list_head *lost, int err)
{
	struct hsm_cmd *cmd, *next;
	LIST_HEAD(done);

	list_for_each_entry_safe(cmd, next, lost, node) {
		list_del_init(&cmd->node);
		if (!qp || !cmd->pool || !cmd->info->idempotent ||
		    cmd->moves >= HSM_CMD_MOVES) {
			hsm_cmd_answer(cmd, err, 0, &done);
			hsm_cmd_put(cmd);
			continue;
		}
		cmd->moves++;
		trace_hsm_failover(qp, cmd);
		pool_resubmit(cmd->pool, cmd, &done);
	}
	hsm_cmd_complete_list(&done);
}

/* Takes the queue pairs on card (NULL: all) out of the pool and frees them. */
static unsigned int pool_drop_qps(struct hsm_pool *pool, const struct hsm_card *card)
{
	struct hsm_qp **dropped;
	unsigned int i, n = 0, freed;

	lockdep_assert_held(&hsm_topology);

	/* A handful of pointers, and there is no way to put this off. */
	dropped = kcalloc(pool->nqps, sizeof(*dropped), GFP_KERNEL | __GFP_NOFAIL);
	for (i = 0; i < pool->nqps; i++) {
		struct hsm_qp *qp = topology_dereference(pool->qps[i]);

		if (!qp || (card && qp->card != card))
			continue;
		hsm_qp_freeze(qp);
		dropped[n++] = qp;
		RCU_INIT_POINTER(pool->qps[i], NULL);
	}
	/* pool_try() and those who count queue pairs. */
	if (n)
		synchronize_rcu();
	for (freed = 0; freed < n; freed++)
		hsm_card_qp_destroy(dropped[freed]);
	kfree(dropped);
	return n;
}

void hsm_pools_drop_card(struct hsm_card *card)
{
	struct hsm_pool *pool;

	lockdep_assert_held(&hsm_topology);

	list_for_each_entry(pool, &pools, node)
		if (pool_drop_qps(pool, card))
			hsm_netlink_pool_event(pool->name, hsm_pool_live_qps(pool));
}

/* ---- device ---- */

static ssize_t partition_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct hsm_pool *pool = container_of(dev, struct hsm_pool, dev);

	return sysfs_emit(buf, "%pUb\n", pool->partition);
}
static DEVICE_ATTR_RO(partition);

static ssize_t queue_pairs_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct hsm_pool *pool = container_of(dev, struct hsm_pool, dev);
	unsigned int n;

	rcu_read_lock();
	n = hsm_pool_live_qps(pool);
	rcu_read_unlock();
	return sysfs_emit(buf, "%u\n", n);
}
static DEVICE_ATTR_RO(queue_pairs);

static ssize_t depth_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct hsm_pool *pool = container_of(dev, struct hsm_pool, dev);

	return sysfs_emit(buf, "%u\n", pool->depth);
}
static DEVICE_ATTR_RO(depth);

static struct attribute *pool_attrs[] = {
	&dev_attr_partition.attr,
	&dev_attr_queue_pairs.attr,
	&dev_attr_depth.attr,
	NULL
};
ATTRIBUTE_GROUPS(pool);

static void pool_release(struct device *dev)
{
	struct hsm_pool *pool = container_of(dev, struct hsm_pool, dev);

	/* All readers hold a reference on the device. */
	binding_free(rcu_dereference_protected(pool->binding, true));
	if (pool->minor >= 0)
		ida_free(&pool_minors, pool->minor);
	kfree(pool);
}

static struct hsm_pool *pool_alloc(const struct hsm_pool_params *params, unsigned int nqps,
				   struct netlink_ext_ack *extack)
{
	struct hsm_pool *pool;
	int ret;

	pool = kzalloc(struct_size(pool, qps, nqps), GFP_KERNEL);
	if (!pool)
		return ERR_PTR(-ENOMEM);
	pool->nqps = nqps;
	strscpy(pool->name, params->name, sizeof(pool->name));
	memcpy(pool->partition, params->partition, HSM_UUID_LEN);
	pool->flags = params->flags;
	pool->depth = params->depth ?: DEPTH_DEFAULT;
	INIT_LIST_HEAD(&pool->node);
	spin_lock_init(&pool->retry_lock);
	INIT_LIST_HEAD(&pool->retry);
	INIT_DELAYED_WORK(&pool->retry_work, pool_retry_work);

	device_initialize(&pool->dev);
	pool->dev.class = hsm_class;
	pool->dev.groups = pool_groups;
	pool->dev.release = pool_release;
	cdev_init(&pool->cdev, &hsm_pool_fops);
	pool->cdev.owner = THIS_MODULE;
	pool->minor = ida_alloc_max(&pool_minors, HSM_POOL_MINORS - 1, GFP_KERNEL);
	if (pool->minor == -ENOSPC)
		hsm_extack(extack, "there are too many pools");
	ret = pool->minor < 0 ? pool->minor : dev_set_name(&pool->dev, "%s", pool->name);
	if (ret) {
		put_device(&pool->dev);
		return ERR_PTR(ret);
	}
	pool->dev.devt = MKDEV(MAJOR(hsm_devt), HSM_CARD_MINORS + pool->minor);
	return pool;
}

/* ---- administration ---- */

static int pool_check_name(const char *name, struct netlink_ext_ack *extack)
{
	const char *c;
	unsigned int id;
	char end;

	for (c = name; *c; c++) {
		bool first = islower(*c) || isdigit(*c);

		if (!isascii(*c) || !(first || (c > name && (*c == '-' || *c == '_'))))
			goto bad;
	}
	if (c == name)
		goto bad;
	if (sscanf(name, "card%u%c", &id, &end) == 1) {
		hsm_extack(extack, "pool_name is that of a card's node");
		return -EINVAL;
	}
	return 0;
bad:
	hsm_extack(extack, "pool_name is not [a-z0-9][a-z0-9_-]*, at most 31 bytes");
	return -EINVAL;
}

/* Sum of the members' queue pairs, or -errno. */
static int pool_check_members(const struct hsm_pool_params *params,
			      struct netlink_ext_ack *extack)
{
	unsigned int i, j, sum = 0;

	for (i = 0; i < params->nmembers; i++) {
		const struct hsm_pool_member *member = &params->members[i];
		struct hsm_card *card = hsm_card_find(member->card);

		for (j = 0; j < i; j++) {
			if (params->members[j].card == member->card) {
				hsm_extack(extack, "a card is named by two members");
				return -EINVAL;
			}
		}
		if (!card) {
			hsm_extack(extack, "no card has this card_id");
			return -ENODEV;
		}
		if (READ_ONCE(card->state) != HSM_CARD_LIVE) {
			hsm_extack(extack, "a member's card is not live");
			return -ENODEV;
		}
		if (!member->qps || member->qps > card->max_qps) {
			hsm_extack(extack, "member_qps is 0 or more than the card has");
			return -EINVAL;
		}
		if (params->depth > card->max_depth) {
			hsm_extack(extack, "depth is more than a member's card can do");
			return -EINVAL;
		}
		sum += member->qps;
	}
	return sum;
}

static int pool_add_qps(struct hsm_pool *pool, const struct hsm_pool_params *params,
			struct netlink_ext_ack *extack)
{
	unsigned int i, j, n = 0;

	/* The default may be more than a card can do; what was asked for is not. */
	for (i = 0; i < params->nmembers; i++)
		pool->depth = min(pool->depth,
				  hsm_card_find(params->members[i].card)->max_depth);

	for (i = 0; i < params->nmembers; i++) {
		struct hsm_card *card = hsm_card_find(params->members[i].card);

		for (j = 0; j < params->members[i].qps; j++) {
			struct hsm_qp *qp;
			u16 status;

			qp = hsm_card_qp_create(card, pool, pool->depth, &status);
			if (IS_ERR(qp)) {
				const char *why = "a queue pair could not be made";

				if (status)
					why = hsm_status_text(status);
				else if (PTR_ERR(qp) == -ENOSPC)
					why = "a card has too few queue pairs left";
				hsm_extack(extack, why);
				return PTR_ERR(qp);
			}
			rcu_assign_pointer(pool->qps[n++], qp);
		}
	}
	return 0;
}

static void pool_remove_qps(struct hsm_pool *pool)
{
	struct hsm_cmd *cmd, *next;
	LIST_HEAD(done);

	pool_drop_qps(pool, NULL);
	/* What is left was taken off a card that was lost before. */
	cancel_delayed_work_sync(&pool->retry_work);
	list_for_each_entry_safe(cmd, next, &pool->retry, node) {
		list_del_init(&cmd->node);
		hsm_cmd_answer(cmd, -ENODEV, 0, &done);
		hsm_cmd_put(cmd);
	}
	hsm_cmd_complete_list(&done);
}

/* A partition is one tenant's: two pools on it would share the keys. */
static bool pool_of_partition(const u8 *uuid)
{
	struct hsm_pool *pool;

	lockdep_assert_held(&hsm_topology);
	list_for_each_entry(pool, &pools, node)
		if (!memcmp(pool->partition, uuid, HSM_UUID_LEN))
			return true;
	return false;
}

int hsm_pool_create(const struct hsm_pool_params *params, struct netlink_ext_ack *extack)
{
	struct hsm_binding *binding;
	struct hsm_pool *pool;
	int ret;

	ret = pool_check_name(params->name, extack);
	if (ret)
		return ret;
	if (params->depth && !is_power_of_2(params->depth)) {
		hsm_extack(extack, "depth is not a power of two");
		return -EINVAL;
	}
	if (!memchr_inv(params->partition, 0, HSM_UUID_LEN)) {
		hsm_extack(extack, "partition is the nil UUID");
		return -EINVAL;
	}

	mutex_lock(&hsm_topology);
	ret = -EEXIST;
	if (hsm_pool_find(params->name)) {
		hsm_extack(extack, "a pool of this name exists");
		goto unlock;
	}
	if (pool_of_partition(params->partition)) {
		hsm_extack(extack, "another pool has this partition");
		goto unlock;
	}
	ret = pool_check_members(params, extack);
	if (ret < 0)
		goto unlock;
	pool = pool_alloc(params, ret, extack);
	ret = PTR_ERR_OR_ZERO(pool);
	if (ret)
		goto unlock;
	binding = binding_alloc(params->cgroup_fd, extack);
	ret = PTR_ERR_OR_ZERO(binding);
	if (ret)
		goto put;
	RCU_INIT_POINTER(pool->binding, binding);
	ret = pool_add_qps(pool, params, extack);
	if (ret)
		goto remove;
	ret = cdev_device_add(&pool->cdev, &pool->dev);
	if (ret) {
		hsm_extack(extack, "the pool's device node could not be made");
		goto remove;
	}
	list_add_tail_rcu(&pool->node, &pools);
	hsm_topology_seq++;
	/* Under the lock: before the event of its loss or its end. */
	hsm_netlink_pool_event(params->name, hsm_pool_live_qps(pool));
	mutex_unlock(&hsm_topology);
	return 0;

remove:
	pool_remove_qps(pool);
put:
	put_device(&pool->dev);
unlock:
	mutex_unlock(&hsm_topology);
	return ret;
}

static void pool_destroy(struct hsm_pool *pool)
{
	lockdep_assert_held(&hsm_topology);

	WRITE_ONCE(pool->dead, true);
	list_del_rcu(&pool->node);
	hsm_topology_seq++;
	/* Submitters and the router that still saw it alive. */
	synchronize_rcu();
	hsm_router_drop_pool(pool, 0);
	cdev_device_del(&pool->cdev, &pool->dev);
	pool_remove_qps(pool);
	hsm_netlink_pool_event(pool->name, 0);
	put_device(&pool->dev);
}

int hsm_pool_delete(const char *name, struct netlink_ext_ack *extack)
{
	struct hsm_pool *pool;

	mutex_lock(&hsm_topology);
	pool = hsm_pool_find(name);
	if (pool)
		pool_destroy(pool);
	else
		hsm_extack(extack, "no pool has this name");
	mutex_unlock(&hsm_topology);
	return pool ? 0 : -ENOENT;
}

void hsm_pools_destroy(void)
{
	struct hsm_pool *pool, *next;

	mutex_lock(&hsm_topology);
	list_for_each_entry_safe(pool, next, &pools, node)
		pool_destroy(pool);
	mutex_unlock(&hsm_topology);
}

int hsm_pool_bind(const char *name, int cgroup_fd, struct netlink_ext_ack *extack)
{
	struct hsm_binding *binding;
	struct hsm_pool *pool;
	u64 generation;

	binding = binding_alloc(cgroup_fd, extack);
	if (IS_ERR(binding))
		return PTR_ERR(binding);
	generation = binding->generation;

	mutex_lock(&hsm_topology);
	pool = hsm_pool_find(name);
	if (pool) {
		binding = rcu_replace_pointer(pool->binding, binding,
					      lockdep_is_held(&hsm_topology));
		/* The owner proved itself to the old cgroup. */
		hsm_router_drop_pool(pool, generation);
	} else {
		hsm_extack(extack, "no pool has this name");
	}
	mutex_unlock(&hsm_topology);

	synchronize_rcu();
	binding_free(binding);
	return pool ? 0 : -ENOENT;
}
