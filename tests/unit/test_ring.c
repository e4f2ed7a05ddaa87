// SPDX-License-Identifier: Apache-2.0
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ring.h"

static struct ring *ring;

static int set_up(void **state)
{
	(void)state;
	return ring_create(16, &ring);
}

static int tear_down(void **state)
{
	(void)state;
	ring_destroy(ring);
	return 0;
}

/* ---- more operations than entries ---- */

#define N_NOPS 5000

static struct ring_op nops[N_NOPS];
static unsigned int seen[N_NOPS], n_seen;

static void nop_done(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	(void)flags, (void)extra;
	assert_int_equal(res, 0);
	seen[op - nops]++;
	if (++n_seen == N_NOPS)
		ring_stop(ring);
}

static void submit_nops(void)
{
	for (unsigned int i = 0; i < N_NOPS; i++) {
		nops[i].done = nop_done;
		io_uring_prep_nop(ring_sqe(ring, &nops[i]));
	}
}

static void check_nops(void)
{
	for (unsigned int i = 0; i < N_NOPS; i++)
		assert_int_equal(seen[i], 1);
}

static void submit_work(struct ring_work *w)
{
	(void)w;
	submit_nops();
}

static void nothing_lost_before_run(void **state)
{
	(void)state;
	memset(seen, 0, sizeof(seen));
	n_seen = 0;
	submit_nops();
	assert_int_equal(ring_run(ring), 0);
	check_nops();
}

static void nothing_lost_while_running(void **state)
{
	struct ring_work w = { .fn = submit_work };

	(void)state;
	memset(seen, 0, sizeof(seen));
	n_seen = 0;
	ring_post(ring, &w);
	assert_int_equal(ring_run(ring), 0);
	check_nops();
}

/* ---- posting from other threads ---- */

#define N_POSTERS 4
#define N_POSTS 20000

struct poster {
	struct ring_work works[N_POSTS];
	unsigned int next;	/* expected: posts of one thread run in order */
};

static struct poster posters[N_POSTERS];
static unsigned int n_ran;

static void posted(struct ring_work *w)
{
	for (unsigned int i = 0; i < N_POSTERS; i++) {
		struct poster *p = &posters[i];

		if (w < p->works || w >= p->works + N_POSTS)
			continue;
		assert_int_equal(w - p->works, p->next);
		p->next++;
	}
	if (++n_ran == N_POSTERS * N_POSTS)
		ring_stop(ring);
}

static void *poster_main(void *arg)
{
	struct poster *p = arg;

	for (unsigned int i = 0; i < N_POSTS; i++) {
		p->works[i].fn = posted;
		ring_post(ring, &p->works[i]);
		/* Let the ring fall asleep now and then. */
		if (i % 1000 == 0)
			usleep(1000);
	}
	return NULL;
}

static void posts_arrive_once_in_order(void **state)
{
	pthread_t threads[N_POSTERS];

	(void)state;
	for (unsigned int i = 0; i < N_POSTERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, poster_main, &posters[i]), 0);
	assert_int_equal(ring_run(ring), 0);
	for (unsigned int i = 0; i < N_POSTERS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(posters[i].next, N_POSTS);
	}
}

static int self_runs;

static void post_again(struct ring_work *w)
{
	if (++self_runs == 1000)
		ring_stop(ring);
	else
		ring_post(ring, w);
}

static void posts_to_itself(void **state)
{
	struct ring_work w = { .fn = post_again };

	(void)state;
	ring_post(ring, &w);
	assert_int_equal(ring_run(ring), 0);
	assert_int_equal(self_runs, 1000);
}

/* ---- the thread that runs it owns it, not the one that made it ---- */

static void *run_main(void *arg)
{
	*(int *)arg = ring_run(ring);
	return NULL;
}

static void runs_in_another_thread(void **state)
{
	pthread_t thread;
	int err = -1;

	(void)state;
	memset(seen, 0, sizeof(seen));
	n_seen = 0;
	submit_nops();
	assert_int_equal(pthread_create(&thread, NULL, run_main, &err), 0);
	pthread_join(thread, NULL);
	assert_int_equal(err, 0);
	check_nops();
	assert_int_equal(ring_run(ring), -EEXIST);
}

/* ---- timers ---- */

static int timer_res[2];

static struct ring_timer timers[2];

static void timer_done(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	(void)flags, (void)extra;
	timer_res[op == &timers[1].op] = res;
	if (op == &timers[0].op)
		ring_cancel(ring, &timers[1].op);
	else
		ring_stop(ring);
}

static void timers_fire_and_cancel(void **state)
{
	uint64_t start = ring_now(ring);

	(void)state;
	timers[0].op.done = timers[1].op.done = timer_done;
	ring_timer_start(ring, &timers[0], 50);
	ring_timer_start(ring, &timers[1], 60000);
	assert_int_equal(ring_run(ring), 0);
	assert_int_equal(timer_res[0], -ETIME);
	assert_int_equal(timer_res[1], -ECANCELED);
	assert_in_range(ring_now(ring) - start, 50, 5000);
}

/* ---- drain ---- */

static void ignore_done(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	(void)op, (void)res, (void)flags, (void)extra;
}

static void drains(void **state)
{
	struct ring_timer t = { .op.done = ignore_done };

	(void)state;
	assert_int_equal(ring_drain(ring, 1000), 0);
	ring_timer_start(ring, &t, 20);
	assert_int_equal(ring_drain(ring, 5000), 0);
	ring_timer_start(ring, &t, 60000);
	assert_int_equal(ring_drain(ring, 20), -ETIMEDOUT);
	ring_cancel(ring, &t.op);
	assert_int_equal(ring_drain(ring, 5000), 0);
}

/* ---- shared buffers ---- */

#define N_RECVS 6	/* more than buffers */

static struct ring_bufs *bufs;
static struct ring_op recvs[N_RECVS];
static int pairs[N_RECVS][2];
static unsigned int n_received;

static void arm_recv(struct ring_op *op)
{
	struct io_uring_sqe *sqe = ring_sqe(ring, op);

	io_uring_prep_recv(sqe, pairs[op - recvs][0], NULL, 0, 0);
	ring_bufs_select(bufs, sqe);
}

static void recv_done(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	char expect = (char)('a' + (op - recvs));

	(void)extra;
	if (res == -ENOBUFS) {
		arm_recv(op);
		return;
	}
	assert_int_equal(res, 1);
	assert_true(flags & IORING_CQE_F_BUFFER);
	assert_int_equal(*(char *)ring_bufs_get(bufs, flags), expect);
	ring_bufs_put(bufs, flags);
	if (++n_received == N_RECVS)
		ring_stop(ring);
}

static void buffers_are_shared(void **state)
{
	(void)state;
	assert_int_equal(ring_bufs_create(ring, 2, 64, &bufs), 0);
	for (unsigned int i = 0; i < N_RECVS; i++) {
		char c = (char)('a' + i);

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
		recvs[i].done = recv_done;
		assert_int_equal(write(pairs[i][1], &c, 1), 1);
		arm_recv(&recvs[i]);
	}
	assert_int_equal(ring_run(ring), 0);
	for (unsigned int i = 0; i < N_RECVS; i++) {
		close(pairs[i][0]);
		close(pairs[i][1]);
	}
	ring_bufs_destroy(bufs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_lost_before_run, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_lost_while_running, set_up, tear_down),
		cmocka_unit_test_setup_teardown(posts_arrive_once_in_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(posts_to_itself, set_up, tear_down),
		cmocka_unit_test_setup_teardown(runs_in_another_thread, set_up, tear_down),
		cmocka_unit_test_setup_teardown(timers_fire_and_cancel, set_up, tear_down),
		cmocka_unit_test_setup_teardown(drains, set_up, tear_down),
		cmocka_unit_test_setup_teardown(buffers_are_shared, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
