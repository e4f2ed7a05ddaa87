// SPDX-License-Identifier: Apache-2.0
#include "driver.h"

#include <errno.h>
#include <string.h>

#include "hsmctl.h"

#define DUMP_TRIES	20

int driver_open(struct genl *g)
{
	int err = genl_open(g);

	if (err == -ENOENT)
		return ctl_fail("the kernel has no netlink family '%s': load hsm.ko (modprobe hsm)", HSM_GENL_NAME);
	if (err)
		return ctl_fail("netlink: %s", strerror(-err));
	return CTL_OK;
}

static int say(int err, const char *what, const char *why)
{
	ctl_fail("%s: %s%s%s", what, strerror(-err), why[0] ? ": " : "", why);
	return err;
}

int driver_request(struct genl *g, struct nl_msg *msg, genl_fn fn, void *arg, const char *what)
{
	char why[256];
	int err;

	err = genl_request(g, msg, fn, arg, why, sizeof(why));
	return err ? say(err, what, why) : 0;
}

int driver_dump(struct genl *g, uint8_t cmd, genl_fn fn, void (*again)(void *arg), void *arg, const char *what)
{
	char why[256];
	int err, tries = DUMP_TRIES;

	while ((err = genl_request(g, genl_msg(g, cmd, NLM_F_DUMP, DRIVER_SEQ, 64), fn, arg, why, sizeof(why))) ==
	       -EAGAIN && --tries)
		again(arg);
	return err ? say(err, what, why) : 0;
}
