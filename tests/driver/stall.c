// SPDX-License-Identifier: GPL-2.0
/*
 * stall time-out|kill|exit|busy|dead: what happens while the cards don't
 * answer.  Prints "# hang" when the caller is to make them hang; it then writes
 * a line to stdin.  Without an argument there is nothing to do.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "hsmlib.h"
#include "tap.h"

#define RING_FLAGS (IORING_SETUP_SQE128 | IORING_SETUP_CQE32)
#define N 16

static struct nl nl;
static struct io_uring ring;
static int fd;

static void wait_for_caller(const char *what)
{
	char line[16];

	printf("# %s\n", what);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		tap_bail("nobody answers");
}

static void nops(uint32_t timeout_ms)
{
	int i;

	for (i = 0; i < N; i++)
		ring_exec(&ring, fd, HSM_OP_NOP, NULL, 0, NULL, 0, timeout_ms, i);
	io_uring_submit(&ring);
}

static int count(int want_res, int n)
{
	struct io_uring_cqe *cqe;
	int i, match = 0;

	for (i = 0; i < n && !io_uring_wait_cqe(&ring, &cqe); i++) {
		if (cqe->res == want_res)
			match++;
		else
			printf("# res %d\n", cqe->res);
		io_uring_cqe_seen(&ring, cqe);
	}
	return match;
}

static void time_out(void)
{
	uint64_t start;
	int ms;

	wait_for_caller("hang");
	start = now_ms();
	nops(500);
	tap_eq(count(-ETIME, N), N, "each times out");
	ms = now_ms() - start;
	tap(ms >= 490 && ms < 3000, "after %d ms", ms);
	start = now_ms();
	tap_eq(node_exec(fd, HSM_OP_NOP, NULL, 0, NULL, 0, 300, NULL), -ETIME, "so does an ioctl");
	ms = now_ms() - start;
	tap(ms >= 290 && ms < 2000, "after %d ms", ms);
	wait_for_caller("go on");
	sleep(1);
	tap_eq(node_exec(fd, HSM_OP_NOP, NULL, 0, NULL, 0, 0, NULL), 0, "the card is well again");
}

/* More orphans than the pool has room for. */
static void busy(void)
{
	struct hsm_ioc_exec x = {
		.size = sizeof(x), .status = 1, .reply_len = 1,
		.exec = { .opcode = HSM_OP_NOP, .timeout_ms = 200 },
	};
	struct io_uring_cqe *cqe;
	int i, full = 0, late = 0, n = 0;

	wait_for_caller("hang");
	for (i = 0; i < 8 * N; i++) {
		ring_exec(&ring, fd, HSM_OP_NOP, NULL, 0, NULL, 0, 200, i);
		io_uring_submit(&ring);
	}
	for (; n < 8 * N && !io_uring_wait_cqe(&ring, &cqe); n++) {
		full += cqe->res == -EBUSY;
		late += cqe->res == -ETIME;
		io_uring_cqe_seen(&ring, cqe);
	}
	tap_eq(full + late, 8 * N, "%d answered", n);
	tap(full >= 4 * N, "%d are too many for the rings: -EBUSY", full);
	tap_eq(node_exec(fd, HSM_OP_NOP, NULL, 0, NULL, 0, 200, NULL), -EBUSY,
	       "slots of commands that timed out are not used again");
	tap(ioctl(fd, HSM_IOC_EXEC, &x) && errno == EBUSY && !x.status && !x.reply_len,
	    "what was not submitted has neither status nor length");
	wait_for_caller("go on");
	sleep(1);
	tap_eq(node_exec(fd, HSM_OP_NOP, NULL, 0, NULL, 0, 0, NULL), 0, "they come back");
}

static void killed(void)
{
	uint64_t start;
	pid_t pid;

	wait_for_caller("hang");
	pid = fork();
	if (!pid) {
		struct io_uring own;
		int i;

		if (ring_open(&own, 16, RING_FLAGS))
			_exit(1);
		for (i = 0; i < 8; i++)
			ring_exec(&own, fd, HSM_OP_NOP, NULL, 0, NULL, 0, 1500, i);
		io_uring_submit(&own);
		node_exec(fd, HSM_OP_NOP, NULL, 0, NULL, 0, 60000, NULL);
		_exit(0);
	}
	usleep(300000);
	start = now_ms();
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	tap(now_ms() - start < 5000, "a killed process goes in %d ms", (int)(now_ms() - start));
	wait_for_caller("go on");
	sleep(2);
	tap_eq(node_exec(fd, HSM_OP_NOP, NULL, 0, NULL, 0, 0, NULL), 0, "the pool is well again");
}

static void ring_exit(void)
{
	wait_for_caller("hang");
	nops(800);
	io_uring_queue_exit(&ring);
	tap(true, "a ring ends with commands in flight");
	wait_for_caller("go on");
	sleep(2);
	if (ring_open(&ring, 8 * N, RING_FLAGS))
		tap_bail("ring");
	nops(5000);
	tap_eq(count(0, N), N, "the pool is well again");
}

/* Hung for longer than hang_ms: the cards die and with them the pool. */
static void dead(void)
{
	uint64_t start;
	int ret;

	wait_for_caller("hang");
	start = now_ms();
	ret = node_exec(fd, HSM_OP_NOP, NULL, 0, NULL, 0, 60000, NULL);
	tap(ret == -ENODEV || ret == -EIO, "the last card is lost: %d", ret);
	tap(now_ms() - start < 20000, "in %d ms", (int)(now_ms() - start));
	tap_eq(node_exec(fd, HSM_OP_NOP, NULL, 0, NULL, 0, 0, NULL), -ENODEV, "nothing is left");
	tap_eq(cards_live(&nl), 0, "no card is live");
	wait_for_caller("go on");
}

int main(int argc, char **argv)
{
	static const struct { const char *name; void (*fn)(void); } all[] = {
		{ "time-out", time_out }, { "busy", busy }, { "kill", killed },
		{ "exit", ring_exit }, { "dead", dead },
	};
	unsigned int i;

	if (argc < 2)
		tap_skip_all("needs a caller that makes cards hang");
	pool_setup(&nl, "kstall", 6, "", 16, 0);
	fd = pool_open("kstall");
	if (fd < 0 || ring_open(&ring, 8 * N, RING_FLAGS))
		tap_bail("pool or ring");
	for (i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (!strcmp(argv[1], all[i].name))
			all[i].fn();
	io_uring_queue_exit(&ring);
	close(fd);
	pool_teardown(&nl, "kstall", 6);
	return tap_end();
}
