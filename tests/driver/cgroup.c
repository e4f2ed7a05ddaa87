// SPDX-License-Identifier: GPL-2.0
/*
 *	/sys/fs/cgroup --+-- kt-in --- kt-sub	the pool "kcg" is bound to kt-in
 *			 +-- kt-out
 *
 * Who may open the pool, and what a file is worth in the hands of another.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "hsmlib.h"
#include "tap.h"

#define RING_FLAGS (IORING_SETUP_SQE128 | IORING_SETUP_CQE32)

static struct nl nl;

/* Runs fn in a child inside the cgroup; its value, as -errno or small number. */
static int in_cgroup(const char *name, int (*fn)(void *), void *arg)
{
	int p[2], ret = -EPROTO;
	pid_t pid;

	if (pipe(p))
		tap_bail("pipe");
	pid = fork();
	if (!pid) {
		ret = cgroup_enter(name);
		if (!ret)
			ret = fn(arg);
		if (write(p[1], &ret, sizeof(ret)) != sizeof(ret))
			_exit(1);
		_exit(0);
	}
	close(p[1]);
	if (read(p[0], &ret, sizeof(ret)) != sizeof(ret))
		ret = -EPROTO;
	close(p[0]);
	waitpid(pid, NULL, 0);
	return ret;
}

static int try_open(void *arg)
{
	int fd = pool_open("kcg");

	(void)arg;
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static int try_ioctl(void *arg)
{
	return node_exec(*(int *)arg, HSM_OP_NOP, NULL, 0, NULL, 0, 0, NULL);
}

static int try_info(void *arg)
{
	struct hsm_ioc_info info = { .size = sizeof(info) };

	return ioctl(*(int *)arg, HSM_IOC_INFO, &info) ? -errno : 0;
}

static int uring(int fd, int async)
{
	struct io_uring ring;
	int ret = ring_open(&ring, 4, RING_FLAGS);

	if (ret)
		return ret;
	ring_exec(&ring, fd, HSM_OP_NOP, NULL, 0, NULL, 0, 0, 0)->flags |= async ? IOSQE_ASYNC : 0;
	ret = ring_one(&ring, NULL);
	io_uring_queue_exit(&ring);
	return ret;
}

static int try_uring(void *arg) { return uring(*(int *)arg, 0); }
static int try_async(void *arg) { return uring(*(int *)arg, 1); }

/* A ring made inside, with the pool as fixed file, entered from outside. */
static int try_ring(void *arg)
{
	struct io_uring *ring = arg;
	struct io_uring_sqe *sqe = ring_exec(ring, 0, HSM_OP_NOP, NULL, 0, NULL, 0, 0, 0);

	sqe->flags |= IOSQE_FIXED_FILE;
	return ring_one(ring, NULL);
}

static int try_register(void *arg)
{
	struct msg *m = calloc(1, sizeof(*m));
	struct nl *own = calloc(1, sizeof(*own));
	int ret = nl_open(own);

	if (ret)
		return ret;
	msg_init(m, own, HSM_CMD_OWNER_REGISTER, 0);
	msg_u32(m, HSM_A_POOL_FD, *(int *)arg);
	return nl_call(own, m);
}

int main(void)
{
	struct io_uring ring;
	int fd, cg;

	if (access("/dev/hsm/card0", F_OK))
		tap_skip_all("no card");
	close(cgroup_open("kt-in"));
	close(cgroup_open("kt-in/kt-sub"));
	close(cgroup_open("kt-out"));
	pool_setup(&nl, "kcg", 3, "kt-in", 16, 0);

	tap_eq(pool_open("kcg"), -EPERM, "open by root outside the cgroup");
	tap_eq(in_cgroup("kt-in", try_open, NULL), 0, "open inside");
	tap_eq(in_cgroup("kt-in/kt-sub", try_open, NULL), 0, "open below");
	tap_eq(in_cgroup("kt-out", try_open, NULL), -EPERM, "open in a sibling");

	tap_eq(cgroup_enter("kt-in"), 0, "enter the cgroup");
	fd = pool_open("kcg");
	tap(fd >= 0, "open");
	if (ring_open(&ring, 4, RING_FLAGS) || io_uring_register_files(&ring, &fd, 1))
		tap_bail("ring");
	tap_eq(uring(fd, 0), 0, "uring_cmd inside");
	tap_eq(uring(fd, 1), 0, "uring_cmd inside, by io-wq");
	tap_eq(try_ring(&ring), 0, "uring_cmd inside, fixed file");
	tap_eq(in_cgroup("kt-out", try_ioctl, &fd), -EPERM, "inherited file outside: ioctl");
	tap_eq(in_cgroup("kt-out", try_info, &fd), -EPERM, "inherited file outside: info");
	tap_eq(in_cgroup("kt-out", try_uring, &fd), -EPERM, "inherited file outside: uring_cmd");
	tap_eq(in_cgroup("kt-out", try_async, &fd), -EPERM,
	       "inherited file outside: uring_cmd by io-wq");
	tap_eq(in_cgroup("kt-out", try_ring, &ring), -EPERM,
	       "inherited ring with the file registered");
	tap_eq(in_cgroup("kt-out", try_register, &fd), -EPERM, "inherited file outside: owner");
	tap_eq(in_cgroup("kt-in", try_register, &fd), 0, "owner inside");
	io_uring_queue_exit(&ring);

	cg = cgroup_open("kt-in");
	tap_eq(pool_bind(&nl, "kcg", cg), 0, "bound again, to the same cgroup");
	close(cg);
	tap_eq(try_ioctl(&fd), -ESTALE, "open file is stale: ioctl");
	tap_eq(uring(fd, 0), -ESTALE, "open file is stale: uring_cmd");
	tap_eq(try_register(&fd), -ESTALE, "open file is stale: owner");
	close(fd);
	fd = pool_open("kcg");
	tap_eq(try_ioctl(&fd), 0, "a new one works");

	tap_eq(cgroup_enter("kt-out"), 0, "leave the cgroup");
	tap_eq(try_ioctl(&fd), -EPERM, "own file is useless outside");
	cg = cgroup_open("kt-in");
	tap(!rmdir(CGROOT "/kt-in/kt-sub") && !rmdir(CGROOT "/kt-in"), "the cgroup is removed");
	tap_eq(try_ioctl(&fd), -EPERM, "own file stays useless");
	tap_eq(pool_bind(&nl, "kcg", cg), -EBADF, "bound to what was removed: %s", nl.extack);
	close(cg);
	close(cgroup_open("kt-in"));
	tap_eq(in_cgroup("kt-in", try_open, NULL), -EPERM,
	       "a cgroup of the same name is another cgroup");
	close(fd);
	cgroup_enter("");
	rmdir(CGROOT "/kt-in");
	rmdir(CGROOT "/kt-out");
	pool_teardown(&nl, "kcg", 3);
	return tap_end();
}
