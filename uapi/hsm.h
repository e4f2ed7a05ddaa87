/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Userspace interface of the hsm driver: the pool's character device
 * /dev/hsm/<pool>, the card's node /dev/hsm/card<N>, and the generic netlink
 * family "hsm".  Text: Documentation/uapi.rst and Documentation/netlink.rst.
 */
#ifndef _UAPI_HSM_H
#define _UAPI_HSM_H

#include <linux/types.h>
#include <linux/ioctl.h>
#include "hsm_cmd.h"

#define HSM_POOL_NAME_LEN	32	/* with its NUL; [a-z0-9][a-z0-9_-]*, not "card<N>" */

/* ------------------------------------------------------------------ */
/* Character devices							*/

/*
 * One command.  As uring_cmd it is the cmd area of a 128-byte SQE
 * (IORING_SETUP_SQE128 and IORING_SETUP_CQE32 are required); as ioctl it is
 * part of struct hsm_ioc_exec.
 *
 * The input is copied before the call returns to userspace and may be reused
 * then; the output is written before the completion is posted.
 */
struct hsm_exec {
	__u8	opcode;		/* of class manage, crypto or storage; on a card node: admin */
	__u8	flags;		/* 0 */
	__u16	rsvd;		/* 0 */
	__u32	timeout_ms;	/* 0: the driver's default (5000); at most 60000 */
	__u64	in_addr;	/* user address; 0 if in_len is 0 */
	__u64	out_addr;	/* user address; 0 if out_len is 0 */
	__u32	in_len;		/* bytes, at most HSM_MAX_PAYLOAD */
	__u32	out_len;	/* capacity in bytes, at most HSM_MAX_PAYLOAD */
};						/* 32 bytes */

/*
 * uring_cmd operations (sqe->cmd_op).
 *
 * cqe->res:         length of the output (>= 0), or -errno
 * cqe->big_cqe[0]:  card status (enum hsm_status); 0 if the error is the host's
 *
 * Errors before the card saw the command: -EINVAL (a field, reserved bits, not
 * SQE128 and CQE32), -ENOTTY (cmd_op), -EPERM (the caller is outside the pool's
 * cgroup), -ESTALE (the pool was bound anew since open), -ENODEV (pool deleted,
 * driver unbound, no card left), -EBUSY (every queue pair is full: submit again
 * later), -EFAULT, -ENOMEM, -EOPNOTSUPP (opcode or class not for this device;
 * SQPOLL).
 * Errors after: -ETIME (not answered in timeout_ms), -EIO (the card was lost
 * and the command may not be repeated), -ENODEV (lost, and no card is left),
 * -ECANCELED (the submitter is exiting), and the errno of the card status.
 */
#define HSM_URING_CMD_EXEC	_IOWR('H', 0x80, struct hsm_exec)

struct hsm_ioc_exec {
	__u32	size;		/* sizeof(struct hsm_ioc_exec); larger is taken if the rest is 0 */
	__u32	status;		/* out: card status */
	__u32	reply_len;	/* out: bytes of output */
	__u32	rsvd;		/* 0 */
	struct hsm_exec exec;
};						/* 48 bytes */

struct hsm_ioc_info {
	__u32	size;		/* as above */
	__u32	flags;		/* HSM_POOL_F_*; 0 on a card node */
	__u32	queue_pairs;	/* healthy now; on a card node: in use */
	__u32	depth;		/* entries of one queue pair; on a card node: at most */
	__u8	partition[HSM_UUID_LEN];
	char	name[HSM_POOL_NAME_LEN];
};						/* 64 bytes */

#define HSM_IOC_EXEC	_IOWR('H', 0x00, struct hsm_ioc_exec)
#define HSM_IOC_INFO	_IOWR('H', 0x01, struct hsm_ioc_info)

/* ------------------------------------------------------------------ */
/* Generic netlink family						*/

#define HSM_GENL_NAME		"hsm"
#define HSM_GENL_VERSION	1
#define HSM_GENL_GROUP_EVENTS	"events"	/* multicast: *_NTF commands */

/* Largest HSM_A_PAYLOAD, bytes. */
#define HSM_ROUTE_MAX_PAYLOAD	61440u

enum hsm_genl_cmd {
	HSM_CMD_UNSPEC,
	HSM_CMD_CARD_GET,	/* do (CARD_ID) and dump */
	HSM_CMD_POOL_NEW,	/* POOL_NAME, PARTITION, CGROUP_FD, MEMBER+, [POOL_FLAGS],
				 * [DEPTH]; CAP_SYS_ADMIN
				 */
	HSM_CMD_POOL_DEL,	/* POOL_NAME; CAP_SYS_ADMIN; open files: -ENODEV from then on */
	HSM_CMD_POOL_GET,	/* do (POOL_NAME) and dump */
	HSM_CMD_POOL_BIND,	/* POOL_NAME, CGROUP_FD; CAP_SYS_ADMIN; open files: -ESTALE from
				 * then on, and the pool has no owner
				 */
	HSM_CMD_OWNER_REGISTER,	/* POOL_FD: this socket serves the pool until it closes */
	HSM_CMD_GATEWAY_REGISTER, /* CAP_NET_ADMIN: it may send ROUTE_REQUEST until it closes */
	HSM_CMD_ROUTE_REQUEST,	/* to kernel: POOL_NAME, CLASS, COOKIE, PAYLOAD, [TIMEOUT_MS];
				 * what is wrong at once is refused with an errno: no reply
				 * to owner:  XID, CLASS, PAYLOAD, SENDER_UID, SENDER_PID,
				 * TIMEOUT_MS
				 */
	HSM_CMD_ROUTE_REPLY,	/* to kernel: XID, PAYLOAD
				 * to gateway: COOKIE, and PAYLOAD or ERROR
				 */
	HSM_CMD_CARD_NTF,	/* event: CARD_ID, CARD_STATE */
	HSM_CMD_POOL_NTF,	/* event: POOL_NAME, POOL_QPS (0: deleted or all cards lost) */
	__HSM_CMD_MAX,
};
#define HSM_CMD_MAX (__HSM_CMD_MAX - 1)

enum hsm_genl_attr {
	HSM_A_UNSPEC,
	HSM_A_PAD,
	HSM_A_CARD_ID,		/* u32: N of /dev/hsm/card<N> */
	HSM_A_CARD_STATE,	/* u32: enum hsm_card_state */
	HSM_A_CARD_SERIAL,	/* string */
	HSM_A_CARD_BUS,		/* string: PCI address */
	HSM_A_CARD_QPS_MAX,	/* u32 */
	HSM_A_CARD_QPS_USED,	/* u32 */
	HSM_A_POOL_NAME,	/* string */
	HSM_A_PARTITION,	/* 16 bytes */
	HSM_A_POOL_FLAGS,	/* u32: HSM_POOL_F_* */
	HSM_A_DEPTH,		/* u32: ring entries of each queue pair, power of two, default 64 */
	HSM_A_CGROUP_FD,	/* s32: a directory of the cgroup v2 hierarchy */
	HSM_A_CGROUP_ID,	/* u64: out */
	HSM_A_POOL_FD,		/* s32: open /dev/hsm/<pool> */
	HSM_A_MEMBER,		/* nest: CARD_ID, MEMBER_QPS; more than one allowed */
	HSM_A_MEMBER_QPS,	/* u32: queue pairs of that card; 1.. */
	HSM_A_POOL_QPS,		/* u32: out, healthy queue pairs */
	HSM_A_OWNER_PORTID,	/* u32: out, 0 if none */
	HSM_A_CLASS,		/* u32: enum hsm_class */
	HSM_A_COOKIE,		/* u64: the gateway's, returned with the reply */
	HSM_A_XID,		/* u64: the kernel's transaction id */
	HSM_A_PAYLOAD,		/* binary, 1..HSM_ROUTE_MAX_PAYLOAD */
	HSM_A_TIMEOUT_MS,	/* u32: 1..60000, default 10000 */
	HSM_A_SENDER_UID,	/* u32 */
	HSM_A_SENDER_PID,	/* u32: thread group, in the initial pid namespace */
	HSM_A_ERROR,		/* u32: positive errno of a synthetic reply to an accepted
				 * request: ECONNRESET owner died, ETIMEDOUT
				 */
	__HSM_A_MAX,
};
#define HSM_A_MAX (__HSM_A_MAX - 1)

enum hsm_card_state {
	HSM_CARD_PROBING	= 0,
	HSM_CARD_LIVE		= 1,
	HSM_CARD_DEAD		= 2,	/* hung or failed; stays so until it is probed again */
	HSM_CARD_GONE		= 3,	/* removed; only in events */
};

/* The router lets class crypto, too, through to this pool's owner; otherwise only manage. */
#define HSM_POOL_F_SHARED	(1u << 0)

#ifndef __cplusplus
_Static_assert(sizeof(struct hsm_exec) == 32, "struct hsm_exec");
_Static_assert(sizeof(struct hsm_ioc_exec) == 48, "struct hsm_ioc_exec");
_Static_assert(sizeof(struct hsm_ioc_info) == 64, "struct hsm_ioc_info");
_Static_assert(__builtin_offsetof(struct hsm_exec, in_addr) == 8, "hsm_exec.in_addr");
_Static_assert(__builtin_offsetof(struct hsm_exec, out_len) == 28, "hsm_exec.out_len");
_Static_assert(__builtin_offsetof(struct hsm_ioc_exec, exec) == 16, "hsm_ioc_exec.exec");
_Static_assert(__builtin_offsetof(struct hsm_ioc_info, name) == 32, "hsm_ioc_info.name");
#endif

#endif /* _UAPI_HSM_H */
