// SPDX-License-Identifier: Apache-2.0
/*
 * HSM no-op against NVMe passthrough: one loop, two devices, alternating.
 *
 *	uring_bench --hsm /dev/hsm/POOL --nvme /dev/ng0n1 [--cgroup DIR] [--rounds N] [--seconds S]
 *
 * Both are driven through uring_cmd on the same kind of ring (SQE128, CQE32): at
 * depth 1, and at depth 32 submitted in batches of 16, reaping at least 8 at a
 * time.  The device is the only difference.  Either may be left out.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <liburing.h>
#include <linux/nvme_ioctl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include "stats.h"

#include "hsm.h"

#define MAX_DEPTH	64
#define BLOCK		512		/* bytes of one NVMe read */
#define NVME_READ	0x02		/* NVM Command Set Specification, section 3.2.4 */
#define NVME_LBAS	65536u		/* reads are spread over so many blocks */

struct target {
	const char *name, *path;
	int fd;
	uint32_t nsid;
	void (*prep)(const struct target *t, struct io_uring_sqe *sqe, unsigned int slot);
	bool (*good)(const struct io_uring_cqe *cqe);
};

struct shape {
	const char *name;
	unsigned int depth, batch, reap;
};

static const struct shape shapes[] = {
	{ "depth 1", 1, 1, 1 },
	{ "depth 32, batches of 16", 32, 16, 8 },
};

#define N_SHAPES (sizeof(shapes) / sizeof(shapes[0]))

static uint8_t *blocks;			/* MAX_DEPTH read buffers */
static uint32_t seed = 1;

static void prep_common(const struct target *t, struct io_uring_sqe *sqe, uint32_t op)
{
	memset(sqe, 0, 2 * sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = t->fd;
	sqe->cmd_op = op;
}

static void prep_hsm(const struct target *t, struct io_uring_sqe *sqe, unsigned int slot)
{
	const struct hsm_exec exec = { .opcode = HSM_OP_NOP };

	prep_common(t, sqe, HSM_URING_CMD_EXEC);
	sqe->user_data = slot;
	memcpy(sqe->cmd, &exec, sizeof(exec));
}

static bool good_hsm(const struct io_uring_cqe *cqe)
{
	return cqe->res >= 0 && cqe->big_cqe[0] == HSM_ST_OK;
}

static void prep_nvme(const struct target *t, struct io_uring_sqe *sqe, unsigned int slot)
{
	struct nvme_uring_cmd cmd = { 0 };

	seed = seed * 1664525u + 1013904223u;
	cmd.opcode = NVME_READ;
	cmd.nsid = t->nsid;
	cmd.addr = (uintptr_t)(blocks + slot * BLOCK);
	cmd.data_len = BLOCK;
	cmd.cdw10 = (seed >> 8) % NVME_LBAS;
	prep_common(t, sqe, NVME_URING_CMD_IO);
	sqe->user_data = slot;
	memcpy(sqe->cmd, &cmd, sizeof(cmd));
}

static bool good_nvme(const struct io_uring_cqe *cqe)
{
	return cqe->res == 0;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void make_ring(struct io_uring *ring)
{
	struct io_uring_params p = {
		.flags = IORING_SETUP_SQE128 | IORING_SETUP_CQE32 | IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN,
	};
	int rc = io_uring_queue_init_params(MAX_DEPTH, ring, &p);

	if (rc)
		errx(1, "io_uring_queue_init: %s (SQE128, CQE32 and DEFER_TASKRUN need Linux 6.1)", strerror(-rc));
}

/* Takes what has completed, puts the slots back.  Returns their number. */
static unsigned int reap(struct io_uring *ring, const struct target *t, unsigned int *slots, unsigned int *free_slots)
{
	struct io_uring_cqe *cqe;
	unsigned int head, n = 0;

	io_uring_for_each_cqe(ring, head, cqe) {
		if (!t->good(cqe))
			errx(1, "%s: result %d, status %" PRIu64, t->path, cqe->res, (uint64_t)cqe->big_cqe[0]);
		slots[(*free_slots)++] = (unsigned int)cqe->user_data;
		n++;
	}
	io_uring_cq_advance(ring, n);
	return n;
}

/* Operations per second of one round. */
static double measure(struct io_uring *ring, const struct target *t, const struct shape *s, double seconds)
{
	unsigned int slots[MAX_DEPTH], free_slots = 0, i;
	double start = now(), stop = start + seconds, t1 = start;
	uint64_t done = 0;

	for (i = 0; i < s->depth; i++)
		slots[free_slots++] = i;
	while (t1 < stop) {
		unsigned int inflight, want;
		int rc;

		while (free_slots >= s->batch) {
			for (i = 0; i < s->batch; i++)
				t->prep(t, io_uring_get_sqe(ring), slots[--free_slots]);
			if (free_slots >= s->batch) {
				rc = io_uring_submit(ring);
				if (rc < 0)
					errx(1, "io_uring_submit: %s", strerror(-rc));
			}
		}
		inflight = s->depth - free_slots;
		want = inflight < s->reap ? inflight : s->reap;
		rc = io_uring_submit_and_wait(ring, want);
		if (rc < 0 && rc != -EINTR)
			errx(1, "io_uring_submit_and_wait: %s", strerror(-rc));
		done += reap(ring, t, slots, &free_slots);
		t1 = now();
	}
	while (free_slots < s->depth) {
		int rc = io_uring_submit_and_wait(ring, 1);

		if (rc < 0 && rc != -EINTR)
			errx(1, "io_uring_submit_and_wait: %s", strerror(-rc));
		reap(ring, t, slots, &free_slots);
	}
	return (double)done / (t1 - start);
}

static void open_target(struct target *t)
{
	t->fd = open(t->path, O_RDWR | O_CLOEXEC);
	if (t->fd < 0)
		err(1, "%s", t->path);
	if (t->prep == prep_nvme) {
		int id = ioctl(t->fd, NVME_IOCTL_ID);

		if (id < 0)
			err(1, "%s: no NVMe namespace", t->path);
		t->nsid = (uint32_t)id;
	}
}

/* The pool answers only to its cgroup. */
static void join_cgroup(const char *dir)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		err(1, "%s", path);
	close(fd);
}

static void usage(FILE *to)
{
	fputs("usage: uring_bench [--hsm /dev/hsm/POOL] [--nvme /dev/ngXn1] [--cgroup DIR] [--rounds N] [--seconds S]\n",
	      to);
}

int main(int argc, char **argv)
{
	static const struct option opts[] = {
		{ "hsm", required_argument, NULL, 'h' },
		{ "nvme", required_argument, NULL, 'n' },
		{ "cgroup", required_argument, NULL, 'c' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'H' },
		{ 0 },
	};
	static double rate[N_SHAPES][2][MAX_ROUNDS];
	struct target targets[2];
	unsigned int n = 0, rounds = 15, r, k, i;
	double seconds = 0.5;
	struct io_uring ring;
	int c;

	while ((c = getopt_long(argc, argv, "", opts, NULL)) != -1) {
		switch (c) {
		case 'h':
		case 'n':
			if (n == 2)
				errx(2, "at most two devices");
			targets[n++] = c == 'h' ?
				(struct target){ "hsm no-op", optarg, -1, 0, prep_hsm, good_hsm } :
				(struct target){ "nvme read", optarg, -1, 0, prep_nvme, good_nvme };
			break;
		case 'c':
			join_cgroup(optarg);
			break;
		case 'r':
			rounds = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 's':
			seconds = strtod(optarg, NULL);
			break;
		case 'H':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (!n || !rounds || rounds > MAX_ROUNDS || seconds <= 0) {
		usage(stderr);
		return 2;
	}
	if (posix_memalign((void **)&blocks, 4096, MAX_DEPTH * BLOCK))
		errx(1, "out of memory");
	memset(blocks, 0, MAX_DEPTH * BLOCK);
	for (i = 0; i < n; i++)
		open_target(&targets[i]);
	make_ring(&ring);

	for (k = 0; k < N_SHAPES; k++) {
		for (i = 0; i < n; i++)
			measure(&ring, &targets[i], &shapes[k], seconds / 2);
		for (r = 0; r < rounds; r++)
			/* Whoever goes first in a round changes from round to round. */
			for (i = 0; i < n; i++) {
				unsigned int who = (i + r) % n;

				rate[k][who][r] = measure(&ring, &targets[who], &shapes[k], seconds);
			}
	}

	for (k = 0; k < N_SHAPES; k++) {
		double m, ratio = median_ratio(rate[k][0], rate[k][1], rounds);

		for (i = 0; i < n; i++) {
			m = median(rate[k][i], rounds);
			printf("%-24s %-10s %9.0f op/s (%.0f..%.0f)  %7.2f us\n", shapes[k].name, targets[i].name,
			       m, rate[k][i][0], rate[k][i][rounds - 1], 1e6 / m * shapes[k].depth);
		}
		if (n == 2)
			printf("%-24s %s / %s: %.2f x op/s, %.2f x latency\n", shapes[k].name, targets[0].name,
			       targets[1].name, ratio, 1 / ratio);
	}
	io_uring_queue_exit(&ring);
	for (i = 0; i < n; i++)
		close(targets[i].fd);
	free(blocks);
	return 0;
}
