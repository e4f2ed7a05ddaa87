/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's io_uring.  One ring per worker thread does everything: accept,
 * receive, send, timers, netlink, and HSM commands (128-byte SQEs, 32-byte
 * CQEs).  Linux 6.1 or newer.
 *
 * Threads: any thread may create a ring and set things up on it; nothing is
 * submitted yet.  The first thread that calls ring_run() or ring_drain() owns the
 * ring, and everything attached to it, from then on (the kernel enforces it:
 * SINGLE_ISSUER).  The only call that another thread may make is ring_post().
 */
#ifndef HSM_RING_H
#define HSM_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <liburing.h>

struct ring;
struct ring_op;

/* The struct whose member an operation, a timer or posted work is. */
#define from_member(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

/*
 * res: as in the CQE (>= 0 or -errno); extra: big_cqe[0]; flags: cqe->flags.
 * Called from ring_run() only.  With IORING_CQE_F_MORE in flags the op stays armed;
 * otherwise it is no longer in use when the callback runs and may be freed or resubmitted in it.
 */
typedef void (*ring_done_fn)(struct ring_op *op, int res, uint32_t flags, uint64_t extra);

struct ring_op {
	ring_done_fn done;
};

/* entries: submission entries; a full queue is submitted and retried, never lost.  -ENOSYS, -EINVAL: kernel too old. */
int ring_create(unsigned int entries, struct ring **ring);
void ring_destroy(struct ring *ring);		/* NULL is ignored; nothing may be in flight that matters */

/*
 * An SQE to fill with io_uring_prep_*(); ring_op goes with it.  Never NULL.  It is
 * submitted, with all others, before the ring next waits.  The SQE is zeroed, its 80 command bytes too.
 * Fill it before the next call into the ring; leave user_data alone; IOSQE_CQE_SKIP_SUCCESS is not for use here.
 */
struct io_uring_sqe *ring_sqe(struct ring *ring, struct ring_op *op);

/* Asks the kernel to cancel op; its done still runs, with -ECANCELED or its own result. */
void ring_cancel(struct ring *ring, struct ring_op *op);

/* One-shot timer.  done gets -ETIME when it fires, -ECANCELED after ring_cancel(). */
struct ring_timer {
	struct ring_op op;
	struct __kernel_timespec ts;
};
void ring_timer_start(struct ring *ring, struct ring_timer *t, unsigned int ms);

/*
 * Work posted to the ring's thread from any thread (or from itself: it then runs
 * after the current callbacks, before the ring waits).  The struct is the caller's until fn runs.
 */
struct ring_work {
	void (*fn)(struct ring_work *w);
	struct ring_work *next;		/* the ring's */
};
void ring_post(struct ring *ring, struct ring_work *w);

/* Runs callbacks until ring_stop().  Returns 0 or -errno of io_uring itself. */
int ring_run(struct ring *ring);
void ring_stop(struct ring *ring);	/* from the ring's thread */

/*
 * For after the *_close() calls, outside ring_run(): runs callbacks until no operation is in flight and
 * no work is posted, or -ETIMEDOUT after ms.  Then ring_destroy() leaves nothing dangling.
 */
int ring_drain(struct ring *ring, unsigned int ms);

/*
 * Buffers that receives of many connections share: the kernel takes one when data is
 * there, so that an idle connection holds none.  count: a power of two.
 */
struct ring_bufs;
int ring_bufs_create(struct ring *ring, unsigned int count, unsigned int size, struct ring_bufs **bufs);
void ring_bufs_destroy(struct ring_bufs *bufs);	/* no receive may be in flight; before ring_destroy() */
/* On a prepared receive.  Its completion may be -ENOBUFS: try again once others gave theirs back. */
void ring_bufs_select(const struct ring_bufs *bufs, struct io_uring_sqe *sqe);
/* The buffer of a completion with IORING_CQE_F_BUFFER; owed back with ring_bufs_put(). */
void *ring_bufs_get(const struct ring_bufs *bufs, uint32_t flags);
void ring_bufs_put(struct ring_bufs *bufs, uint32_t flags);

/* Milliseconds of CLOCK_MONOTONIC, read once per turn of the loop. */
uint64_t ring_now(const struct ring *ring);

#endif
