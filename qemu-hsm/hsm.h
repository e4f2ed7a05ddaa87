/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HSM card as a QEMU PCI device: what its files share.
 *
 * Threads.  "Ring thread" is the thread that runs the AioContext of the
 * `iothread` property, or the main loop under the big lock (BQL) without one.
 * It owns the life cycle of the queue pairs and takes submission entries.
 * Worker threads run firmware commands and post their completions.  vCPU
 * threads only touch registers (under the BQL) and event notifiers (without).
 *
 * A function may be reset or ejected by a vCPU's write to configuration space,
 * or by a vector of the card itself whose message is aimed there.  While such a
 * write lasts QEMU refuses every other access to configuration space, and the
 * BQL is all that keeps the other vCPUs from trying.  So:
 *
 * - A reset waits for nobody.  It mutes the card, which ends every access to
 *   guest memory, and leaves it to the ring thread to drain what is in flight.
 * - An eject waits for ring thread and workers with the BQL held.  Hence none of
 *   them may wait for it: their memory accesses never reach a device's registers,
 *   and on a muted card no vector is raised.  Whoever was at it when the card was
 *   muted is counted in `raising`, and let through once before the wait.
 * - Nor may one of them run the eject, which would wait for itself.  They raise a
 *   vector only if its message goes to the interrupt controller; the main loop does
 *   the others.
 *
 * Locks: s->lock, qp->lock and work_lock are never held together, nor is one of
 * them held while the BQL is waited for.
 */
#ifndef HSM_DEVICE_H
#define HSM_DEVICE_H

#include "compat.h"
#include "hsm_hw.h"
#include "firmware/hsm_fw.h"

#define TYPE_HSM "hsm"
OBJECT_DECLARE_SIMPLE_TYPE(HsmState, HSM)

#define HSM_MAX_WORKERS	16

typedef struct HsmQp HsmQp;

/* One command between its submission entry and its completion. */
typedef struct HsmCmd {
	QSIMPLEQ_ENTRY(HsmCmd) next;	/* free list, work queue, delay list or ring-thread list */
	HsmQp *qp;
	struct hsm_sqe sqe;		/* the copy that is validated; guest memory is read once */
	int64_t due_ns;			/* delay list only */
	uint16_t status;		/* CREATE_QP, DELETE_QP: found out by the worker */
	bool bound;			/* the worker took a reference to the partition */
	union {
		struct hsm_create_qp_in create;
		struct hsm_delete_qp_in del;
	};
} HsmCmd;

typedef QSIMPLEQ_HEAD(, HsmCmd) HsmCmdList;

/* A piece of guest RAM that the card keeps mapped. */
typedef struct HsmMap {
	void *host;
	dma_addr_t len;
	DMADirection dir;
} HsmMap;

struct HsmQp {
	HsmState *s;
	uint16_t qid;
	EventNotifier kick;		/* doorbell; exists as long as the device */

	/* Ring thread. */
	bool live;
	bool polling;			/* the AioContext watches the tail: no doorbell wanted */
	uint16_t entries;
	uint16_t vector;
	HsmMap sq_map, cq_map, shadow_map;
	HsmCmd *slots;
	HsmCmd *deleting;		/* DELETE_QP that waits for this pair to drain */
	uint8_t partition[HSM_UUID_LEN];
	bool has_partition;		/* not the admin queue */
	bool bound;			/* counted in by hsm_fw_bind() */

	/* Ring thread writes, workers read: atomic. */
	uint16_t head;			/* submission entries taken */
	bool stopping;
	int inflight;			/* commands taken and not yet let go of */

	/* Under lock. */
	QemuMutex lock;
	uint16_t done;			/* completions posted */
	bool starved;			/* the ring thread waits for a slot */
	HsmCmdList free;
};

typedef enum HsmRunState {
	HSM_STOPPED,			/* no ring, no DMA, no vector */
	HSM_RUNNING,
	HSM_STOPPING,			/* workers drain */
} HsmRunState;

/* Commands that wait for a worker.  Everything is under work_lock. */
typedef struct HsmWork {
	HsmState *s;
	QemuCond cond;
	HsmCmdList list;
} HsmWork;

struct HsmState {
	PCIDevice pci;

	/* Properties. */
	char *nvram;
	char *serial;
	IOThread *iothread;
	uint32_t max_qps;
	uint32_t num_workers;

	MemoryRegion bar, regs, doorbells, msix_bar;
	AioContext *ctx;
	QEMUBH *bh;			/* reconcile() in the ring thread */
	QEMUBH *vector_bh;		/* raises `vectors`, in the main loop */
	Error *blocker;
	struct hsm_fw *fw;
	Notifier exit;

	/* Written under lock by vCPU threads; enable is also read without. */
	QemuMutex lock;
	uint32_t admin_size;
	uint64_t admin_sq, admin_cq, admin_shadow;
	bool enable;
	bool iommu;			/* behind one when ENABLE was written */

	/* Written under lock by the ring thread, read by all: HsmRunState. */
	int run_state;
	QemuCond changed;		/* with lock: run_state or a RingCall changed */

	bool fatal;			/* atomic */
	/* Written under lock and tested under qp->lock before guest memory is written. */
	bool mute;
	unsigned int raising;		/* threads that wait for the BQL, or have it; atomic */
	DECLARE_BITMAP(vectors, HSM_MAX_QPS + 1);	/* for the main loop to raise; BQL */

	/* Fault injection, atomic. */
	bool hang;
	bool gone;
	uint32_t delay_ms;

	/* Ring thread. */
	HsmQp *qps;			/* max_qps + 1; [0] is the admin queue */
	HsmCmdList delayed;
	QEMUTimer *delay_timer;		/* of the main loop; only wakes bh */

	/* Worker threads.  Everything below is under work_lock. */
	QemuMutex work_lock;
	HsmWork work;
	HsmWork slow_work;		/* what waits for the NVRAM file: one thread's own */
	HsmCmdList ring_work;		/* CREATE_QP and DELETE_QP on their way to the ring thread */
	bool quit;
	QemuThread workers[HSM_MAX_WORKERS + 1];	/* the first does slow_work */
	unsigned int workers_up;
};

/* ---- hsm.c: function, registers, life cycle ---- */

/* Registers the QOM type; called once by whatever brings the device into QEMU. */
void hsm_register_types(void);

/* Any thread.  A ring is out of reach: no more commands are taken until ENABLE 1 -> 0. */
void hsm_fatal(HsmState *s, const char *why);

/*
 * BQL.  On return the card writes no guest memory and raises no vector any more,
 * until the ring thread starts it anew.
 */
void hsm_mute(HsmState *s);
/* Any thread, no lock held but the BQL. */
void hsm_raise(HsmState *s, uint16_t vector);

/* ---- qp.c: rings; ring thread unless said otherwise ---- */

/* Maps and starts a pair.  Returns a card status; on failure nothing is left mapped. */
uint16_t hsm_qp_start(HsmQp *qp, uint16_t entries, uint16_t vector, uint64_t sq, uint64_t cq,
		      uint64_t shadow);
/* Takes no more commands, drops those that no worker has begun. */
void hsm_qp_stop(HsmQp *qp);
/* True once no thread uses the pair's memory any more. */
bool hsm_qp_drained(HsmQp *qp);
/* Unmaps a drained pair. */
void hsm_qp_release(HsmQp *qp);
/*
 * Any thread, not under qp->lock.  Writes a command's output, if any, posts its
 * completion and raises the vector if wanted; nothing of it on a muted card.
 */
void hsm_cmd_complete(HsmCmd *cmd, uint16_t status, void *out, uint32_t out_len);
/* Any thread.  The command is over: its slot is free. */
void hsm_cmd_put(HsmCmd *cmd);
/*
 * Any thread.  Copies between guest RAM and a host buffer.  Anything but RAM is
 * refused: a guest can't make the card write another device's registers, nor
 * have its thread wait for the BQL.  0 or -EFAULT.
 */
int hsm_dma(HsmState *s, uint64_t addr, void *buf, size_t len, DMADirection dir);
/* Lets go of the delayed commands that are due. */
void hsm_delay_run(HsmState *s);

/* ---- admin.c: commands that the device does itself ---- */

/* Worker: checks CREATE_QP or DELETE_QP and hands it to the ring thread. */
void hsm_admin_prepare(HsmCmd *cmd);
/* Ring thread: carries out what hsm_admin_prepare() handed over, finishes drained deletes. */
void hsm_admin_run(HsmState *s);
/* Ring thread, while stopping: lets go of what hsm_admin_run() would have carried out. */
void hsm_admin_drop(HsmState *s);

/* ---- worker.c ---- */

void hsm_workers_start(HsmState *s);
/* No command is in flight any more. */
void hsm_workers_stop(HsmState *s);
/* Any thread. */
void hsm_workers_push(HsmState *s, HsmCmd *cmd);

/* ---- slot.c ---- */

/* BQL.  Makes the port above report an empty slot, as if the card was pulled out. */
void hsm_slot_empty(PCIDevice *pci);

#endif /* HSM_DEVICE_H */
