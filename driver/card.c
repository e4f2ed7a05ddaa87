// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/ctype.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/idr.h>
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include "card.h"
#include "cmd.h"
#include "debugfs.h"
#include "main.h"
#include "netlink.h"
#include "opcode.h"
#include "pool.h"
#include "qp.h"
#include "trace.h"

#define ADMIN_DEPTH	32u

/* Below the default time-out of commands, so that these are moved before they time out. */
static unsigned int hang_ms = 3000;
module_param(hang_ms, uint, 0644);
MODULE_PARM_DESC(hang_ms, "milliseconds after which a queue pair that answers nothing makes its card dead");

/* Admin commands write the card's flash, and administrators wait for 30 s. */
#define ADMIN_HANG_MS	35000u

/* Which cards, pools and queue pairs exist; outermost, see qp.h. */
DEFINE_MUTEX(hsm_topology);
unsigned int hsm_topology_seq = 1;
LIST_HEAD(hsm_cards);
static DEFINE_IDA(card_ids);

struct hsm_card *hsm_card_find(u32 id)
{
	struct hsm_card *card;

	lockdep_assert_held(&hsm_topology);

	list_for_each_entry(card, &hsm_cards, node)
		if (card->id == id)
			return card;
	return NULL;
}

/* ---- enable and disable ---- */

/* A card that is gone reads as all ones: it does no DMA either. */
static int card_wait_ready(struct hsm_card *card, bool ready)
{
	unsigned long limit = jiffies + msecs_to_jiffies(card->ready_ms) + 1;

	for (;;) {
		bool late = time_after(jiffies, limit);
		u32 status = readl(card->regs + HSM_REG_STATUS);

		if (status == ~0u)
			return ready ? -ENODEV : 0;
		if (ready && (status & HSM_STATUS_FATAL))
			return -EIO;
		if (!!(status & HSM_STATUS_READY) == ready)
			return 0;
		if (late)
			return -ETIMEDOUT;
		usleep_range(100, 500);
	}
}

static void card_write_addr(struct hsm_card *card, unsigned int reg, dma_addr_t addr)
{
	writel(lower_32_bits(addr), card->regs + reg);
	writel(upper_32_bits(addr), card->regs + reg + 4);
}

static int card_enable(struct hsm_card *card)
{
	struct hsm_qp *admin = card->admin;
	int ret;

	writel(0, card->regs + HSM_REG_CONTROL);
	ret = card_wait_ready(card, false);
	if (ret)
		return ret;

	/* Not before: a card that was left running would reach memory of the past. */
	pci_set_master(card->pdev);
	writel(admin->depth, card->regs + HSM_REG_ADMIN_SIZE);
	card_write_addr(card, HSM_REG_ADMIN_SQ_LO, admin->sq_dma);
	card_write_addr(card, HSM_REG_ADMIN_CQ_LO, admin->cq_dma);
	card_write_addr(card, HSM_REG_ADMIN_SHADOW_LO, admin->shadow_dma);
	writel(HSM_CONTROL_ENABLE, card->regs + HSM_REG_CONTROL);
	ret = card_wait_ready(card, true);
	if (ret)
		return ret;
	hsm_qp_start(admin);
	return 0;
}

static void card_disable(struct hsm_card *card)
{
	writel(0, card->regs + HSM_REG_CONTROL);
	if (card_wait_ready(card, false))
		dev_err(&card->pdev->dev, "does not stop in %u ms\n", card->ready_ms);
	/* Whatever it says: from here on it can't reach memory. */
	pci_clear_master(card->pdev);
}

void hsm_card_stop(struct hsm_card *card, u32 state, const char *why)
{
	struct hsm_qp *qp;
	LIST_HEAD(lost);
	u32 old;

	mutex_lock(&card->lock);
	old = card->state;
	if (old != HSM_CARD_GONE) {
		WRITE_ONCE(card->state, state);
		trace_hsm_card_state(card, state);
	}
	if (old != HSM_CARD_PROBING && old != HSM_CARD_LIVE)
		goto unlock;

	if (why)
		dev_err(&card->pdev->dev, "card%u is dead: %s\n", card->id, why);
	if (card->admin)
		hsm_qp_freeze(card->admin);
	list_for_each_entry(qp, &card->qps, card_node)
		hsm_qp_freeze(qp);

	card_disable(card);

	/* Still under the lock: it keeps the pools of these commands in place. */
	if (card->admin)
		hsm_qp_drain(card->admin, &lost);
	hsm_pool_move(NULL, &lost, -ENODEV);
	list_for_each_entry(qp, &card->qps, card_node) {
		hsm_qp_drain(qp, &lost);
		hsm_pool_move(qp, &lost, -EIO);
	}
unlock:
	mutex_unlock(&card->lock);
}

static void card_fail_work(struct work_struct *work)
{
	struct hsm_card *card = container_of(work, struct hsm_card, fail_work);

	hsm_card_stop(card, HSM_CARD_DEAD, READ_ONCE(card->why));

	mutex_lock(&hsm_topology);
	hsm_pools_drop_card(card);
	/* In the list: it was said to be live, and not yet to be gone. */
	if (!list_empty(&card->node))
		hsm_netlink_card_event(card->id, HSM_CARD_DEAD);
	mutex_unlock(&hsm_topology);
}

void hsm_card_fail(struct hsm_card *card, const char *why)
{
	if (!cmpxchg(&card->why, NULL, why))
		queue_work(hsm_wq, &card->fail_work);
}

/* As hsm_card_fail(), and when it returns the card makes no DMA any more. */
static void card_fail_now(struct hsm_card *card, const char *why)
{
	hsm_card_fail(card, why);
	hsm_card_stop(card, HSM_CARD_DEAD, READ_ONCE(card->why));
}

static void card_watchdog(struct work_struct *work)
{
	struct hsm_card *card = container_of(to_delayed_work(work),
					     struct hsm_card, watchdog);
	unsigned int hang = max(READ_ONCE(hang_ms), 100u);
	unsigned long since = jiffies - msecs_to_jiffies(hang);
	unsigned long admin_since = jiffies - msecs_to_jiffies(max(hang, ADMIN_HANG_MS));
	u32 status = readl(card->regs + HSM_REG_STATUS);
	struct hsm_qp *qp;
	bool stuck;

	if (status == ~0u) {
		hsm_card_fail(card, "it does not answer on the bus");
		return;
	}
	if (status & HSM_STATUS_FATAL) {
		hsm_card_fail(card, "it reports a fatal condition");
		return;
	}
	if (!(status & HSM_STATUS_READY)) {
		hsm_card_fail(card, "it was reset");
		return;
	}

	mutex_lock(&card->lock);
	stuck = hsm_qp_stuck(card->admin, admin_since);
	list_for_each_entry(qp, &card->qps, card_node)
		stuck = hsm_qp_stuck(qp, since) || stuck;
	mutex_unlock(&card->lock);
	if (stuck) {
		hsm_card_fail(card, "a command was not answered in time");
		return;
	}
	queue_delayed_work(hsm_wq, &card->watchdog,
			   msecs_to_jiffies(clamp(hang / 4, 50u, 1000u)));
}

/* ---- admin commands ---- */

/* The caller waits, if this returns 0. */
static int card_admin_submit(struct hsm_card *card, struct hsm_cmd *cmd)
{
	int ret;

	init_completion(&cmd->done);
	cmd->complete = hsm_cmd_wake;
	/* hsm_cmd_wake() drops it. */
	refcount_inc(&cmd->ref);
	/* card->admin is freed only after the node and the pools are gone. */
	ret = hsm_qp_submit(card->admin, cmd);
	if (ret)
		hsm_cmd_put(cmd);
	return ret;
}

int hsm_card_admin(struct hsm_card *card, struct hsm_cmd *cmd)
{
	return card_admin_submit(card, cmd) ?: hsm_cmd_wait(cmd);
}

/*
 * The driver's own: made here, and not given up when the caller is killed.
 * *status is the card's if it answered, else HSM_ST_OK.
 */
static int card_admin_own(struct hsm_card *card, u8 opcode, const void *in, u32 in_len,
			  void *out, u32 out_len, u16 *status)
{
	struct hsm_cmd *cmd;
	int ret;

	*status = HSM_ST_OK;
	cmd = hsm_cmd_alloc(opcode, in_len, out_len, HSM_TIMEOUT_DEFAULT_MS);
	if (!cmd)
		return -ENOMEM;
	if (in_len)
		memcpy(cmd->in, in, in_len);
	ret = card_admin_submit(card, cmd);
	if (!ret) {
		wait_for_completion(&cmd->done);
		ret = cmd->result;
		*status = cmd->status;
		if (ret > 0)
			memcpy(out, cmd->out, ret);
	}
	hsm_cmd_put(cmd);
	return ret;
}

/* It goes to the log, to sysfs and to terminals: nothing but text.  `to` ends with a NUL. */
static void card_text(char *to, const char *from, size_t len)
{
	size_t i;

	for (i = 0; i < len && from[i]; i++)
		to[i] = isascii(from[i]) && isprint(from[i]) ? from[i] : '?';
}

static int card_identify(struct hsm_card *card)
{
	struct hsm_identify_out id = {};
	u16 status;
	int ret;

	ret = card_admin_own(card, HSM_OP_IDENTIFY, NULL, 0, &id, sizeof(id), &status);
	if (ret < 0)
		return ret;
	if (ret != sizeof(id))
		return -EIO;
	card_text(card->serial, id.serial, sizeof(id.serial));
	card_text(card->model, id.model, sizeof(id.model));
	card_text(card->firmware, id.firmware, sizeof(id.firmware));
	return 0;
}

/* ---- queue pairs ---- */

static int card_qid_get(struct hsm_card *card)
{
	unsigned int qid;

	lockdep_assert_held(&card->lock);

	qid = find_next_zero_bit(card->qids, card->max_qps + 1, 1);
	if (qid > card->max_qps)
		return -ENOSPC;
	__set_bit(qid, card->qids);
	card->qps_used++;
	return qid;
}

static void card_qid_put(struct hsm_card *card, u16 qid)
{
	lockdep_assert_held(&card->lock);

	__clear_bit(qid, card->qids);
	card->qps_used--;
}

struct hsm_qp *hsm_card_qp_create(struct hsm_card *card, struct hsm_pool *pool,
				  u16 depth, u16 *status)
{
	struct hsm_create_qp_in in = {};
	struct hsm_qp *qp;
	int ret, qid;

	lockdep_assert_held(&hsm_topology);

	*status = HSM_ST_OK;
	mutex_lock(&card->lock);
	qid = card->state == HSM_CARD_LIVE ? card_qid_get(card) : -ENODEV;
	mutex_unlock(&card->lock);
	if (qid < 0)
		return ERR_PTR(qid);

	qp = hsm_qp_alloc(card, pool, qid, depth);
	if (IS_ERR(qp)) {
		mutex_lock(&card->lock);
		card_qid_put(card, qid);
		mutex_unlock(&card->lock);
		return qp;
	}

	in.qid = cpu_to_le16(qid);
	in.entries = cpu_to_le16(depth);
	in.vector = cpu_to_le16(qid);
	in.sq_addr = cpu_to_le64(qp->sq_dma);
	in.cq_addr = cpu_to_le64(qp->cq_dma);
	in.shadow_addr = cpu_to_le64(qp->shadow_dma);
	memcpy(in.partition, pool->partition, HSM_UUID_LEN);
	ret = card_admin_own(card, HSM_OP_CREATE_QP, &in, sizeof(in), NULL, 0, status);
	/* Without an answer the card may have it or not: stop it to be sure. */
	if (ret == -ETIME)
		card_fail_now(card, "CREATE_QP was not answered");

	mutex_lock(&card->lock);
	if (!ret && card->state == HSM_CARD_LIVE) {
		list_add_tail(&qp->card_node, &card->qps);
		hsm_qp_start(qp);
		mutex_unlock(&card->lock);
		return qp;
	}
	card_qid_put(card, qid);
	mutex_unlock(&card->lock);
	hsm_qp_free(qp);
	return ERR_PTR(ret ?: -ENODEV);
}

void hsm_card_qp_destroy(struct hsm_qp *qp)
{
	struct hsm_delete_qp_in in = { .qid = cpu_to_le16(qp->qid) };
	struct hsm_card *card = qp->card;
	unsigned int tries = 100;
	LIST_HEAD(lost);
	u16 status;
	int ret;

	lockdep_assert_held(&hsm_topology);

	hsm_qp_freeze(qp);
	if (READ_ONCE(card->state) == HSM_CARD_LIVE) {
		/* A full admin queue or short memory is no reason to stop the card. */
		while ((ret = card_admin_own(card, HSM_OP_DELETE_QP, &in, sizeof(in), NULL, 0,
					     &status)) &&
		       (ret == -EBUSY || ret == -ENOMEM) && status == HSM_ST_OK && --tries)
			msleep(50);
		/* -ENODEV, too: the admin queue may be frozen long before the card is stopped. */
		if (ret)
			card_fail_now(card, "DELETE_QP failed");
	}

	/* If the card is being stopped right now, this waits until it has. */
	mutex_lock(&card->lock);
	hsm_qp_drain(qp, &lost);
	hsm_pool_move(NULL, &lost, -ENODEV);
	list_del_init(&qp->card_node);
	card_qid_put(card, qp->qid);
	mutex_unlock(&card->lock);
	hsm_qp_free(qp);
}

/* ---- device ---- */

static ssize_t state_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	static const char * const names[] = {
		[HSM_CARD_PROBING] = "probing", [HSM_CARD_LIVE] = "live",
		[HSM_CARD_DEAD] = "dead", [HSM_CARD_GONE] = "gone",
	};
	struct hsm_card *card = container_of(dev, struct hsm_card, dev);

	return sysfs_emit(buf, "%s\n", names[READ_ONCE(card->state)]);
}
static DEVICE_ATTR_RO(state);

#define HSM_CARD_ATTR(_name, _format, _value)					\
static ssize_t _name##_show(struct device *dev, struct device_attribute *attr,	\
			    char *buf)						\
{										\
	struct hsm_card *card = container_of(dev, struct hsm_card, dev);	\
										\
	return sysfs_emit(buf, _format "\n", _value);				\
}										\
static DEVICE_ATTR_RO(_name)

HSM_CARD_ATTR(serial, "%s", card->serial);
HSM_CARD_ATTR(model, "%s", card->model);
HSM_CARD_ATTR(firmware, "%s", card->firmware);
HSM_CARD_ATTR(queue_pairs_max, "%u", card->max_qps);
HSM_CARD_ATTR(queue_pairs_used, "%u", READ_ONCE(card->qps_used));

static struct attribute *card_attrs[] = {
	&dev_attr_state.attr,
	&dev_attr_serial.attr,
	&dev_attr_model.attr,
	&dev_attr_firmware.attr,
	&dev_attr_queue_pairs_max.attr,
	&dev_attr_queue_pairs_used.attr,
	NULL
};
ATTRIBUTE_GROUPS(card);

static void card_release(struct device *dev)
{
	struct hsm_card *card = container_of(dev, struct hsm_card, dev);

	ida_free(&card_ids, card->id);
	mutex_destroy(&card->lock);
	kfree(card);
}

static struct hsm_card *card_alloc(struct pci_dev *pdev)
{
	struct hsm_card *card;
	int ret;

	card = kzalloc(sizeof(*card), GFP_KERNEL);
	if (!card)
		return ERR_PTR(-ENOMEM);
	ret = ida_alloc_max(&card_ids, HSM_CARD_MINORS - 1, GFP_KERNEL);
	if (ret < 0) {
		kfree(card);
		return ERR_PTR(ret);
	}
	card->id = ret;
	card->pdev = pdev;
	card->state = HSM_CARD_PROBING;
	strscpy(card->bus, pci_name(pdev), sizeof(card->bus));
	mutex_init(&card->lock);
	init_rwsem(&card->node_lock);
	INIT_LIST_HEAD(&card->node);
	INIT_LIST_HEAD(&card->qps);
	INIT_WORK(&card->fail_work, card_fail_work);
	INIT_DELAYED_WORK(&card->watchdog, card_watchdog);

	device_initialize(&card->dev);
	card->dev.class = hsm_class;
	card->dev.parent = &pdev->dev;
	card->dev.groups = card_groups;
	card->dev.release = card_release;
	card->dev.devt = MKDEV(MAJOR(hsm_devt), card->id);
	cdev_init(&card->cdev, &hsm_card_fops);
	card->cdev.owner = THIS_MODULE;
	ret = dev_set_name(&card->dev, "card%u", card->id);
	if (ret) {
		put_device(&card->dev);
		return ERR_PTR(ret);
	}
	return card;
}

static int card_check_registers(struct hsm_card *card)
{
	struct device *dev = &card->pdev->dev;
	u32 magic = readl(card->regs + HSM_REG_MAGIC);
	u32 version = readl(card->regs + HSM_REG_VERSION);
	u32 cap = readl(card->regs + HSM_REG_CAP);

	if (magic != HSM_MAGIC || version >> 16 != HSM_VERSION >> 16) {
		dev_err(dev, "magic %#x, version %#x: not a card this driver knows\n",
			magic, version);
		return -ENODEV;
	}
	card->max_depth = min_t(u32, cap & 0xffff, HSM_MAX_RING);
	card->max_qps = min_t(u32, cap >> 16, HSM_MAX_QPS);
	card->ready_ms = min_t(u32, readl(card->regs + HSM_REG_TIMEOUT), 30000);
	if (card->max_depth < 2 || !card->max_qps) {
		dev_err(dev, "capabilities %#x make no sense\n", cap);
		return -ENODEV;
	}
	card->max_depth = rounddown_pow_of_two(card->max_depth);
	return 0;
}

static int card_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct hsm_card *card;
	struct hsm_qp *admin;
	int ret, vectors;

	card = card_alloc(pdev);
	if (IS_ERR(card))
		return PTR_ERR(card);
	pci_set_drvdata(pdev, card);

	ret = pci_enable_device_mem(pdev);
	if (ret)
		goto put;
	ret = pci_request_mem_regions(pdev, "hsm");
	if (ret)
		goto disable;
	ret = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (ret)
		goto regions;
	ret = -ENODEV;
	if (pci_resource_len(pdev, HSM_BAR_REGS) < HSM_BAR_REGS_SIZE)
		goto regions;
	ret = -ENOMEM;
	card->regs = pci_iomap(pdev, HSM_BAR_REGS, HSM_BAR_REGS_SIZE);
	if (!card->regs)
		goto regions;
	ret = card_check_registers(card);
	if (ret)
		goto unmap;

	/* One for the admin queue, one for each queue pair. */
	vectors = pci_alloc_irq_vectors(pdev, 2, card->max_qps + 1, PCI_IRQ_MSIX);
	if (vectors < 0) {
		ret = vectors;
		goto unmap;
	}
	card->max_qps = vectors - 1;

	admin = hsm_qp_alloc(card, NULL, 0, min(ADMIN_DEPTH, card->max_depth));
	if (IS_ERR(admin)) {
		ret = PTR_ERR(admin);
		goto vectors;
	}
	card->admin = admin;

	ret = card_enable(card);
	if (!ret)
		ret = card_identify(card);
	if (ret)
		goto stop;

	mutex_lock(&hsm_topology);
	mutex_lock(&card->lock);
	/* It may have failed since. */
	if (card->state == HSM_CARD_PROBING)
		WRITE_ONCE(card->state, HSM_CARD_LIVE);
	else
		ret = -EIO;
	mutex_unlock(&card->lock);
	if (!ret)
		ret = cdev_device_add(&card->cdev, &card->dev);
	if (!ret) {
		list_add_tail(&card->node, &hsm_cards);
		hsm_topology_seq++;
		hsm_netlink_card_event(card->id, HSM_CARD_LIVE);
	}
	mutex_unlock(&hsm_topology);
	if (ret)
		goto stop;

	hsm_debugfs_card_add(card);
	queue_delayed_work(hsm_wq, &card->watchdog, HZ);
	dev_info(&pdev->dev, "card%u: %s, serial %s, %u queue pairs\n", card->id,
		 card->model, card->serial, card->max_qps);
	return 0;

stop:
	hsm_card_stop(card, HSM_CARD_GONE, NULL);
	cancel_work_sync(&card->fail_work);
	hsm_qp_free(admin);
vectors:
	pci_free_irq_vectors(pdev);
unmap:
	pci_iounmap(pdev, card->regs);
regions:
	pci_release_mem_regions(pdev);
disable:
	pci_disable_device(pdev);
put:
	put_device(&card->dev);
	return dev_err_probe(&pdev->dev, ret, "no working card\n");
}

static void card_remove(struct pci_dev *pdev)
{
	struct hsm_card *card = pci_get_drvdata(pdev);
	struct hsm_qp *admin = card->admin;

	/* First of all: whoever waits for this card holds locks needed below. */
	hsm_card_stop(card, HSM_CARD_GONE, NULL);
	cancel_delayed_work_sync(&card->watchdog);
	hsm_debugfs_card_del(card);

	mutex_lock(&hsm_topology);
	list_del_init(&card->node);
	hsm_topology_seq++;
	hsm_pools_drop_card(card);
	mutex_unlock(&hsm_topology);
	/* It takes hsm_topology, and only what holds that lock could queue it now. */
	cancel_work_sync(&card->fail_work);

	cdev_device_del(&card->cdev, &card->dev);
	hsm_card_dev_shut(card);
	hsm_qp_free(admin);
	pci_free_irq_vectors(pdev);
	pci_iounmap(pdev, card->regs);
	pci_release_mem_regions(pdev);
	pci_disable_device(pdev);
	hsm_netlink_card_event(card->id, HSM_CARD_GONE);
	put_device(&card->dev);
}

/* Before kexec or power off: no DMA into the next kernel. */
static void card_shutdown(struct pci_dev *pdev)
{
	struct hsm_card *card = pci_get_drvdata(pdev);

	cancel_delayed_work_sync(&card->watchdog);
	hsm_card_stop(card, HSM_CARD_DEAD, NULL);
}

static const struct pci_device_id card_table[] = {
	{ PCI_DEVICE(HSM_PCI_VENDOR_ID, HSM_PCI_DEVICE_ID) },
	{}
};
MODULE_DEVICE_TABLE(pci, card_table);

static struct pci_driver card_driver = {
	.name = "hsm",
	.id_table = card_table,
	.probe = card_probe,
	.remove = card_remove,
	.shutdown = card_shutdown,
};

int hsm_card_driver_register(void)
{
	return pci_register_driver(&card_driver);
}

void hsm_card_driver_unregister(void)
{
	pci_unregister_driver(&card_driver);
}
