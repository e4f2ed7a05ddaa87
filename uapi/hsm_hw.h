/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * HSM card: PCI identity, registers, rings and the commands that make queue
 * pairs.  Shared by the driver and the device model; the normative text is
 * Documentation/hardware.rst.  Everything is little-endian.
 */
#ifndef _UAPI_HSM_HW_H
#define _UAPI_HSM_HW_H

#include <linux/types.h>
#include "hsm_cmd.h"

#define HSM_PCI_VENDOR_ID	0x1b36	/* Red Hat, Inc.: the QEMU project's range */
#define HSM_PCI_DEVICE_ID	0x00f5
#define HSM_PCI_CLASS		0x1080	/* encryption controller, other */

/* BAR 0: registers and doorbells, 16 KiB.  BAR 4: MSI-X table and PBA. */
#define HSM_BAR_REGS		0
#define HSM_BAR_MSIX		4
#define HSM_BAR_REGS_SIZE	0x4000

/*
 * Registers: 32-bit accesses, naturally aligned.  A read of all ones: the card
 * is gone.  "disabled": written only while CONTROL.ENABLE and STATUS.READY are 0.
 */
#define HSM_REG_MAGIC		0x00	/* RO HSM_MAGIC */
#define HSM_REG_VERSION		0x04	/* RO major << 16 | minor */
#define HSM_REG_CAP		0x08	/* RO 15:0 largest ring, entries; 31:16 I/O queue pairs */
#define HSM_REG_TIMEOUT		0x0c	/* RO time to wait for a change of READY, ms */
#define HSM_REG_CONTROL		0x10	/* RW HSM_CONTROL_* */
#define HSM_REG_STATUS		0x14	/* RO HSM_STATUS_* */
#define HSM_REG_ADMIN_SIZE	0x18	/* RW admin ring entries, 2^n, 2..CAP; disabled */
#define HSM_REG_ADMIN_SQ_LO	0x20	/* RW bus address, 4 KiB aligned; disabled */
#define HSM_REG_ADMIN_SQ_HI	0x24
#define HSM_REG_ADMIN_CQ_LO	0x28
#define HSM_REG_ADMIN_CQ_HI	0x2c
#define HSM_REG_ADMIN_SHADOW_LO	0x30	/* RW bus address, 128-byte aligned; disabled */
#define HSM_REG_ADMIN_SHADOW_HI	0x34
#define HSM_REG_DOORBELL	0x1000	/* WO, + 4 * qid: new submission tail; 0 is the admin queue */

#define HSM_MAGIC		0x314d5348u	/* "HSM1" */
#define HSM_VERSION		0x00010000u

#define HSM_CONTROL_ENABLE	(1u << 0)	/* 1 -> 0: queue pairs cease to exist, DMA stops */

#define HSM_STATUS_READY	(1u << 0)	/* follows ENABLE; clear: no DMA, no vector */
#define HSM_STATUS_FATAL	(1u << 1)	/* a ring is out of reach or its tail wrong, or no bus master */
#define HSM_STATUS_TAMPER	(1u << 2)	/* reserved */

#define HSM_MAX_RING		1024u	/* entries */
#define HSM_MAX_QPS		64u	/* I/O queue pairs of one card: qid 1..64 */

/* Submission queue entry. */
struct hsm_sqe {
	__u8	opcode;		/* enum hsm_opcode */
	__u8	flags;		/* none defined */
	__le16	cid;		/* command identifier, returned in the completion */
	__le32	in_len;		/* 0..HSM_MAX_PAYLOAD */
	__le64	in_addr;	/* bus address of one contiguous buffer; ignored if in_len is 0 */
	__le64	out_addr;	/* likewise */
	__le32	out_len;	/* capacity, 0..HSM_MAX_PAYLOAD */
	__le32	rsvd;
	__le64	rsvd2[4];
};						/* 64 bytes */

/* Completion queue entry.  The card writes the last 8 bytes last, as one store. */
struct hsm_cqe {
	__le32	out_len;	/* bytes written to the output buffer; 0 unless status is OK */
	__le32	rsvd;
	__le64	rsvd2[2];
	__le16	sq_head;	/* free-running count of submission entries taken, mod 2^16 */
	__le16	cid;
	__le16	status;		/* enum hsm_status */
	__le16	phase;		/* bit 0: 1 on the first pass over the ring, then alternating */
};						/* 32 bytes */

/*
 * Shadow doorbell, one per queue pair, 128-byte aligned host memory.  Indices
 * are free-running 16-bit counts.  The rules are those of virtio's event index
 * (Virtual I/O Device 1.2, section 2.7.10): after it moved an index from `old`
 * to `new`, a side notifies the other iff
 *	(u16)(new - event - 1) < (u16)(new - old)
 * with a full memory barrier between the store of the index and the load of
 * the event, on both sides.
 *
 * The completion ring has as many entries as the submission ring, and the host
 * never has more commands outstanding than entries: a completion entry is
 * therefore always free, and there is no completion doorbell.
 */
struct hsm_shadow {
	/* Written by the host. */
	__le16	sq_tail;	/* submission entries made */
	__le16	cq_event;	/* raise the vector when the completion count passes this */
	__u8	rsvd[60];
	/* Written by the card. */
	__le16	sq_event;	/* write the doorbell when sq_tail passes this */
	__u8	rsvd2[62];
};						/* 128 bytes */

/* CREATE_QP (0x02), admin queue.  No output. */
struct hsm_create_qp_in {
	__le16	qid;		/* 1..CAP.queue pairs, not in use */
	__le16	entries;	/* power of two, 2..CAP.ring; both rings */
	__le16	vector;		/* MSI-X vector, below the function's table size */
	__le16	rsvd;
	__le64	sq_addr;	/* bus addresses, 4 KiB aligned, entries * 64 bytes contiguous */
	__le64	cq_addr;	/* entries * 32 bytes, zeroed by the host */
	__le64	shadow_addr;	/* 128-byte aligned, zeroed by the host */
	__u8	partition[HSM_UUID_LEN];
	__u8	rsvd2[16];
};						/* 64 bytes */

/* DELETE_QP (0x03), admin queue.  No output.  When it completes, every command of
 * the pair has completed or never will, and the card touches none of its memory.
 */
struct hsm_delete_qp_in {
	__le16	qid;
	__le16	rsvd[3];
};						/* 8 bytes */

#ifndef __cplusplus
_Static_assert(sizeof(struct hsm_sqe) == 64, "struct hsm_sqe");
_Static_assert(sizeof(struct hsm_cqe) == 32, "struct hsm_cqe");
_Static_assert(sizeof(struct hsm_shadow) == 128, "struct hsm_shadow");
_Static_assert(sizeof(struct hsm_create_qp_in) == 64, "struct hsm_create_qp_in");
_Static_assert(sizeof(struct hsm_delete_qp_in) == 8, "struct hsm_delete_qp_in");
_Static_assert(__builtin_offsetof(struct hsm_sqe, in_addr) == 8, "hsm_sqe.in_addr");
_Static_assert(__builtin_offsetof(struct hsm_sqe, out_len) == 24, "hsm_sqe.out_len");
_Static_assert(__builtin_offsetof(struct hsm_cqe, sq_head) == 24, "hsm_cqe.sq_head");
_Static_assert(__builtin_offsetof(struct hsm_cqe, phase) == 30, "hsm_cqe.phase");
_Static_assert(__builtin_offsetof(struct hsm_shadow, sq_event) == 64, "hsm_shadow.sq_event");
_Static_assert(__builtin_offsetof(struct hsm_create_qp_in, partition) == 32,
	       "hsm_create_qp_in.partition");
#endif

#endif /* _UAPI_HSM_HW_H */
