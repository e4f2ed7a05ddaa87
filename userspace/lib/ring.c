// SPDX-License-Identifier: Apache-2.0
#include "ring.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SQE_BYTES 128	/* IORING_SETUP_SQE128 */

struct ring {
	struct io_uring uring;
	bool enabled;		/* belongs to a thread now */
	bool stop;
	uint64_t now;		/* ms */
	unsigned long in_flight; /* ops without a final completion; not the ring's own */

	/* SQEs for which the queue had no room, in order; they go in before any later one. */
	uint8_t (*spill)[SQE_BYTES];
	unsigned int n_spill, cap_spill;

	_Atomic(struct ring_work *) posted;	/* stack, newest first */
	atomic_bool asleep;	/* a poster that clears this must write the eventfd */
	int wake_fd;
	uint64_t wake_count;
	struct ring_op wake_op;

	uint16_t n_groups;	/* buffer groups given out */
};

struct ring_bufs {
	struct ring *ring;
	struct io_uring_buf_ring *queue;
	uint8_t *mem;
	unsigned int count, size;
	uint16_t group;
};

static _Thread_local struct ring *running;	/* by this thread */

static uint64_t monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static bool usable(const struct ring *r)
{
	return r->enabled && running == r;
}

static struct io_uring_sqe *spill_sqe(struct ring *r)
{
	if (r->n_spill == r->cap_spill) {
		unsigned int cap = r->cap_spill ? 2 * r->cap_spill : 16;
		void *mem = realloc(r->spill, (size_t)cap * SQE_BYTES);

		/* A lost operation would hang its owner for ever; dying is the honest end. */
		if (!mem)
			abort();
		r->spill = mem;
		r->cap_spill = cap;
	}
	return (struct io_uring_sqe *)r->spill[r->n_spill++];
}

static void unspill(struct ring *r)
{
	unsigned int n = 0;

	while (n < r->n_spill) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&r->uring);

		if (!sqe)
			break;
		memcpy(sqe, r->spill[n++], SQE_BYTES);
	}
	if (!n)
		return;
	r->n_spill -= n;
	memmove(r->spill, r->spill + n, (size_t)r->n_spill * SQE_BYTES);
}

static struct io_uring_sqe *raw_sqe(struct ring *r, struct ring_op *op)
{
	struct io_uring_sqe *sqe = NULL;

	if (!r->n_spill)
		sqe = io_uring_get_sqe(&r->uring);
	if (!sqe && usable(r)) {
		/* Failure here only means that the spill grows. */
		io_uring_submit(&r->uring);
		unspill(r);
		if (!r->n_spill)
			sqe = io_uring_get_sqe(&r->uring);
	}
	if (!sqe)
		sqe = spill_sqe(r);
	memset(sqe, 0, SQE_BYTES);
	sqe->user_data = (uintptr_t)op;
	return sqe;
}

struct io_uring_sqe *ring_sqe(struct ring *ring, struct ring_op *op)
{
	ring->in_flight++;
	return raw_sqe(ring, op);
}

void ring_cancel(struct ring *ring, struct ring_op *op)
{
	struct io_uring_sqe *sqe = raw_sqe(ring, NULL);

	io_uring_prep_cancel(sqe, op, 0);
	sqe->user_data = 0;
}

void ring_timer_start(struct ring *ring, struct ring_timer *t, unsigned int ms)
{
	struct io_uring_sqe *sqe = ring_sqe(ring, &t->op);

	t->ts.tv_sec = ms / 1000;
	t->ts.tv_nsec = (long long)(ms % 1000) * 1000000;
	io_uring_prep_timeout(sqe, &t->ts, 0, 0);
}

static void arm_wake(struct ring *r)
{
	struct io_uring_sqe *sqe = raw_sqe(r, &r->wake_op);

	io_uring_prep_read(sqe, r->wake_fd, &r->wake_count, sizeof(r->wake_count), 0);
}

static struct ring *ring_of_wake(struct ring_op *op)
{
	return (struct ring *)((char *)op - offsetof(struct ring, wake_op));
}

static void woken(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	(void)flags, (void)extra;
	if (res != -ECANCELED)
		arm_wake(ring_of_wake(op));
}

int ring_create(unsigned int entries, struct ring **ring)
{
	/*
	 * Disabled at first: with SINGLE_ISSUER the ring binds to the thread that
	 * enables it, and that is to be the one that runs it, not the one that sets it up.
	 */
	struct io_uring_params p = {
		.flags = IORING_SETUP_SQE128 | IORING_SETUP_CQE32 | IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED |
			 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
		.cq_entries = 4 * entries,
	};
	struct ring *r;
	int err;

	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->wake_op.done = woken;
	r->now = monotonic_ms();
	r->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (r->wake_fd < 0) {
		err = -errno;
		goto err_free;
	}
	err = io_uring_queue_init_params(entries, &r->uring, &p);
	if (err)
		goto err_close;
	arm_wake(r);
	*ring = r;
	return 0;
err_close:
	close(r->wake_fd);
err_free:
	free(r);
	return err;
}

void ring_destroy(struct ring *ring)
{
	if (!ring)
		return;
	io_uring_queue_exit(&ring->uring);
	close(ring->wake_fd);
	free(ring->spill);
	free(ring);
}

/*
 * The poster pushes, then looks at `asleep`; the ring's thread sets `asleep`, then looks
 * at the stack.  Both sequentially consistent: one of them sees the other.
 */
void ring_post(struct ring *ring, struct ring_work *w)
{
	static const uint64_t one = 1;
	struct ring_work *head = atomic_load_explicit(&ring->posted, memory_order_relaxed);

	do {
		w->next = head;
	} while (!atomic_compare_exchange_weak(&ring->posted, &head, w));
	if (running == ring || !atomic_load(&ring->asleep) || !atomic_exchange(&ring->asleep, false))
		return;
	while (write(ring->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void run_posted(struct ring *r)
{
	struct ring_work *w = atomic_exchange(&r->posted, NULL), *prev = NULL;

	while (w) {
		struct ring_work *next = w->next;

		w->next = prev;
		prev = w;
		w = next;
	}
	while (prev) {
		struct ring_work *next = prev->next;

		prev->fn(prev);
		prev = next;
	}
}

static void reap(struct ring *r)
{
	struct io_uring_cqe *cqe;
	unsigned int head;

	io_uring_for_each_cqe(&r->uring, head, cqe) {
		struct ring_op *op = (struct ring_op *)(uintptr_t)cqe->user_data;
		uint64_t extra = cqe->big_cqe[0];
		uint32_t flags = cqe->flags;
		int res = cqe->res;

		/* The slot is copied: give it back before the callback submits more. */
		io_uring_cq_advance(&r->uring, 1);
		if (!op)
			continue;
		if (!(flags & IORING_CQE_F_MORE) && op != &r->wake_op)
			r->in_flight--;
		op->done(op, res, flags, extra);
	}
}

static int turn(struct ring *r)
{
	bool wait;
	int ret;

	run_posted(r);
	unspill(r);
	wait = !r->stop && !r->n_spill && !io_uring_cq_ready(&r->uring);
	if (wait) {
		atomic_store(&r->asleep, true);
		wait = !atomic_load(&r->posted);
	}
	if (wait)
		ret = io_uring_submit_and_wait(&r->uring, 1);
	else
		ret = io_uring_submit_and_get_events(&r->uring);
	atomic_store_explicit(&r->asleep, false, memory_order_relaxed);
	if (ret < 0 && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY)
		return ret;
	r->now = monotonic_ms();
	reap(r);
	return 0;
}

/* liburing 2.3's shared library leaves out io_uring_enable_rings(). */
static int enable(struct ring *r)
{
	return syscall(SYS_io_uring_register, r->uring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0 ?
	       -errno : 0;
}

/* Makes this thread the ring's.  A second run must be the same thread's. */
static int enter(struct ring *r)
{
	r->stop = false;
	if (!r->enabled) {
		int err = enable(r);

		if (err)
			return err;
		r->enabled = true;
	}
	running = r;
	/* Saves looking up the descriptor at each turn; only that, so failure is no matter. */
	io_uring_register_ring_fd(&r->uring);
	return 0;
}

static void leave(struct ring *r)
{
	io_uring_unregister_ring_fd(&r->uring);
	running = NULL;
}

int ring_run(struct ring *ring)
{
	int err = enter(ring);

	if (err)
		return err;
	while (!err && !ring->stop)
		err = turn(ring);
	leave(ring);
	return err;
}

struct drain {
	struct ring_timer timer;
	bool over;
};

static void drain_over(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	(void)res, (void)flags, (void)extra;
	((struct drain *)op)->over = true;
}

int ring_drain(struct ring *ring, unsigned int ms)
{
	struct drain d = { .timer.op.done = drain_over };
	bool empty;
	int err = enter(ring);

	if (err)
		return err;
	ring_timer_start(ring, &d.timer, ms);
	while (!err && !d.over && (ring->in_flight > 1 || atomic_load(&ring->posted))) {
		ring->stop = false;
		err = turn(ring);
	}
	empty = ring->in_flight == !d.over && !atomic_load(&ring->posted);
	if (!d.over)
		ring_cancel(ring, &d.timer.op);
	while (!err && !d.over)
		err = turn(ring);
	leave(ring);
	if (err)
		return err;
	return empty ? 0 : -ETIMEDOUT;
}

void ring_stop(struct ring *ring)
{
	ring->stop = true;
}

uint64_t ring_now(const struct ring *ring)
{
	return ring->now;
}

/* ---- shared receive buffers ---- */

int ring_bufs_create(struct ring *ring, unsigned int count, unsigned int size, struct ring_bufs **bufs)
{
	struct io_uring_buf_reg reg = { .ring_entries = count };
	struct ring_bufs *b;
	int err;

	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->ring = ring;
	b->count = count;
	b->size = size;
	b->group = ring->n_groups++;
	b->mem = malloc((size_t)count * size);
	if (!b->mem) {
		err = -ENOMEM;
		goto err_free;
	}
	/* The kernel wants whole pages for the queue. */
	b->queue = mmap(NULL, count * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (b->queue == MAP_FAILED) {
		err = -errno;
		goto err_mem;
	}
	reg.ring_addr = (uintptr_t)b->queue;
	reg.bgid = b->group;
	err = io_uring_register_buf_ring(&ring->uring, &reg, 0);
	if (err)
		goto err_unmap;
	io_uring_buf_ring_init(b->queue);
	for (unsigned int i = 0; i < count; i++)
		io_uring_buf_ring_add(b->queue, b->mem + (size_t)i * size, size, (unsigned short)i,
				      io_uring_buf_ring_mask(count), (int)i);
	io_uring_buf_ring_advance(b->queue, (int)count);
	*bufs = b;
	return 0;
err_unmap:
	munmap(b->queue, count * sizeof(struct io_uring_buf));
err_mem:
	free(b->mem);
err_free:
	free(b);
	return err;
}

void ring_bufs_destroy(struct ring_bufs *bufs)
{
	if (!bufs)
		return;
	io_uring_unregister_buf_ring(&bufs->ring->uring, bufs->group);
	munmap(bufs->queue, bufs->count * sizeof(struct io_uring_buf));
	free(bufs->mem);
	free(bufs);
}

void ring_bufs_select(const struct ring_bufs *bufs, struct io_uring_sqe *sqe)
{
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = bufs->group;
}

void *ring_bufs_get(const struct ring_bufs *bufs, uint32_t flags)
{
	return bufs->mem + (size_t)(flags >> IORING_CQE_BUFFER_SHIFT) * bufs->size;
}

void ring_bufs_put(struct ring_bufs *bufs, uint32_t flags)
{
	unsigned int i = flags >> IORING_CQE_BUFFER_SHIFT;

	io_uring_buf_ring_add(bufs->queue, bufs->mem + (size_t)i * bufs->size, bufs->size, (unsigned short)i,
			      io_uring_buf_ring_mask(bufs->count), 0);
	io_uring_buf_ring_advance(bufs->queue, 1);
}
