// SPDX-License-Identifier: Apache-2.0
#include "driver.h"

#include <errno.h>
#include <string.h>

#include "hsmctl.h"

int driver_open(struct genl *g)
{
	int err = genl_open(g);

	if (err == -ENOENT)
		return ctl_fail("the kernel has no netlink family '%s': load hsm.ko (modprobe hsm)", HSM_GENL_NAME);
	if (err)
		return ctl_fail("netlink: %s", strerror(-err));
	return CTL_OK;
}

int driver_request(struct genl *g, struct nl_msg *msg, genl_fn fn, void *arg, const char *what)
{
	char why[256];
	int err;

	err = genl_request(g, msg, fn, arg, why, sizeof(why));
	if (err)
		ctl_fail("%s: %s%s%s", what, strerror(-err), why[0] ? ": " : "", why);
	return err;
}
