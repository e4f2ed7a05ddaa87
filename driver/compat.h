/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What differs between kernels, in one place.  The HSM_HAVE_* macros come from
 * Kbuild, which looks for the declarations themselves: stable kernels take
 * interfaces from later releases, so a version number says little.
 */
#ifndef HSM_COMPAT_H
#define HSM_COMPAT_H

#include <linux/device.h>
#include <linux/io_uring_types.h>
#include <linux/netlink.h>
#include <linux/timer.h>
#ifdef HSM_HAVE_URING_CMD_H
#include <linux/io_uring/cmd.h>
#else
#include <linux/io_uring.h>
#endif

#ifndef CONFIG_CGROUPS
#error "hsm isolates tenants by control group: CONFIG_CGROUPS is needed"
#endif

/* The command area of the SQE; shared with userspace, so read each field once. */
static inline const void *hsm_uring_payload(const struct io_uring_cmd *ioucmd)
{
#if defined(HSM_HAVE_URING_SQE128_CMD)
	return io_uring_sqe128_cmd(ioucmd->sqe, u8 [80]);
#elif defined(HSM_HAVE_URING_SQE_CMD)
	return io_uring_sqe_cmd(ioucmd->sqe);
#else
	return ioucmd->cmd;
#endif
}

#ifdef HSM_HAVE_URING_DONE32
#define hsm_uring_done(ioucmd, ret, extra, issue_flags) \
	io_uring_cmd_done32(ioucmd, ret, extra, issue_flags)
#else
#define hsm_uring_done(ioucmd, ret, extra, issue_flags) \
	io_uring_cmd_done(ioucmd, ret, extra, issue_flags)
#endif

/* Task-work callbacks get either the issue flags or a token that implies them. */
#ifdef HSM_HAVE_URING_TW_REQ
#define HSM_URING_TW_ARGS	struct io_tw_req tw_req, io_tw_token_t tw
#define hsm_uring_tw_cmd()	io_uring_cmd_from_tw(tw_req)
#define hsm_uring_tw_flags()	IO_URING_CMD_TASK_WORK_ISSUE_FLAGS
#else
#define HSM_URING_TW_ARGS	struct io_uring_cmd *ioucmd_, unsigned int issue_flags_
#define hsm_uring_tw_cmd()	(ioucmd_)
#define hsm_uring_tw_flags()	(issue_flags_)
#endif

static inline struct class *hsm_class_create(const char *name)
{
#ifdef HSM_HAVE_CLASS_CREATE_OWNER
	return class_create(THIS_MODULE, name);
#else
	return class_create(name);
#endif
}

#ifdef HSM_HAVE_DEVNODE_CONST
#define HSM_DEVNODE_CONST	const
#else
#define HSM_DEVNODE_CONST
#endif

static inline void hsm_timer_delete_sync(struct timer_list *timer)
{
#ifdef HSM_HAVE_TIMER_DELETE
	timer_delete_sync(timer);
#else
	del_timer_sync(timer);
#endif
}

/* As NL_SET_ERR_MSG(), which takes string literals only; text lives forever. */
static inline void hsm_extack(struct netlink_ext_ack *extack, const char *text)
{
	if (extack)
		extack->_msg = text;
}

#endif /* HSM_COMPAT_H */
