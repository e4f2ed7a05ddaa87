// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include "card.h"
#include "cmd.h"
#include "compat.h"
#include "debugfs.h"
#include "main.h"
#include "netlink.h"
#include "pool.h"
#include "router.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

struct class *hsm_class;
dev_t hsm_devt;
struct workqueue_struct *hsm_wq;

static char *hsm_devnode(HSM_DEVNODE_CONST struct device *dev, umode_t *mode)
{
	if (mode)
		*mode = 0600;
	return kasprintf(GFP_KERNEL, "hsm/%s", dev_name(dev));
}

static int __init hsm_init(void)
{
	int ret;

	ret = hsm_cmd_init();
	if (ret)
		return ret;
	ret = -ENOMEM;
	hsm_wq = alloc_workqueue("hsm", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!hsm_wq)
		goto cmd;
	hsm_class = hsm_class_create("hsm");
	ret = PTR_ERR_OR_ZERO(hsm_class);
	if (ret)
		goto wq;
	hsm_class->devnode = hsm_devnode;
	ret = alloc_chrdev_region(&hsm_devt, 0, HSM_CARD_MINORS + HSM_POOL_MINORS, "hsm");
	if (ret)
		goto class;
	hsm_debugfs_init();
	ret = hsm_netlink_init();
	if (ret)
		goto chrdev;
	ret = hsm_card_driver_register();
	if (ret)
		goto netlink;
	return 0;

netlink:
	hsm_netlink_exit();
chrdev:
	hsm_debugfs_exit();
	unregister_chrdev_region(hsm_devt, HSM_CARD_MINORS + HSM_POOL_MINORS);
class:
	class_destroy(hsm_class);
wq:
	destroy_workqueue(hsm_wq);
cmd:
	hsm_cmd_exit();
	return ret;
}

static void __exit hsm_exit(void)
{
	/* No file is open: files hold the module.  First, nobody makes new pools. */
	hsm_netlink_exit();
	hsm_pools_destroy();
	hsm_card_driver_unregister();
	hsm_debugfs_exit();
	unregister_chrdev_region(hsm_devt, HSM_CARD_MINORS + HSM_POOL_MINORS);
	class_destroy(hsm_class);
	destroy_workqueue(hsm_wq);
	hsm_cmd_exit();
}

module_init(hsm_init);
module_exit(hsm_exit);

MODULE_DESCRIPTION("Pools of HSM card queue pairs");
MODULE_LICENSE("GPL");
