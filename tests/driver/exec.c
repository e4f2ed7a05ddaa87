// SPDX-License-Identifier: GPL-2.0
/* Commands through both doors of a pool, well-formed and not. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "hsm_hw.h"
#include "hsmlib.h"
#include "tap.h"

#define RING_FLAGS (IORING_SETUP_SQE128 | IORING_SETUP_CQE32)
#define DEPTH 8	/* small, so that it can be filled */

static struct nl nl;
static struct io_uring ring;
static uint8_t token[HSM_MAX_TOKEN];
static int token_len, fd;

static struct hsm_exec *last;

static struct io_uring_sqe *nop(void)
{
	struct io_uring_sqe *sqe = ring_exec(&ring, fd, HSM_OP_NOP, NULL, 0, NULL, 0, 0, 0);

	last = (struct hsm_exec *)sqe->cmd;
	return sqe;
}

static void refused(int want, const char *what)
{
	tap_eq(ring_one(&ring, NULL), want, "uring_cmd, %s", what);
}

static void round_trip(size_t len)
{
	static uint8_t data[HSM_MAX_DATA], in[HSM_MAX_PAYLOAD], ct[HSM_MAX_PAYLOAD], pt[HSM_MAX_PAYLOAD];
	uint64_t status;
	size_t i, n;
	int ret;

	for (i = 0; i < len; i++)
		data[i] = i * 7 + len;
	n = encrypt_input(in, token, token_len, data, len);
	ring_exec(&ring, fd, HSM_OP_ENCRYPT, in, n, ct, len + HSM_CIPHERTEXT_OVERHEAD, 0, 1);
	ret = ring_one(&ring, &status);
	if (!tap_eq(ret, len + HSM_CIPHERTEXT_OVERHEAD, "encrypt %zu bytes by uring_cmd", len))
		return;
	n = encrypt_input(in, token, token_len, ct, ret);
	ret = node_exec(fd, HSM_OP_DECRYPT, in, n, pt, sizeof(pt), 0, NULL);
	tap(ret == (int)len && !memcmp(pt, data, len), "decrypt them by ioctl");
}

static void good(void)
{
	uint8_t rnd[64] = {}, zero[64] = {};
	struct hsm_random_in rin = { .len = 64 };
	struct hsm_ioc_info info = { .size = sizeof(info) };
	uint64_t status = 99;

	nop();
	tap_eq(ring_one(&ring, &status), 0, "no-op by uring_cmd");
	tap_eq(status, 0, "card status is 0");
	tap_eq(node_exec(fd, HSM_OP_NOP, NULL, 0, NULL, 0, 0, NULL), 0, "no-op by ioctl");
	tap_eq(node_exec(fd, HSM_OP_RANDOM, &rin, sizeof(rin), rnd, 64, 0, NULL), 64, "random");
	tap(memcmp(rnd, zero, 64), "random is not zero");
	tap_eq(ioctl(fd, HSM_IOC_INFO, &info), 0, "info");
	tap(!strcmp(info.name, "kexec") && info.queue_pairs >= 2 && info.depth == DEPTH,
	    "info is right");
	round_trip(0);
	round_trip(1);
	round_trip(3000);
	round_trip(4096);
	round_trip(HSM_MAX_DATA);
}

static void bad_uring(void)
{
	struct io_uring_sqe *sqe;
	struct io_uring small;
	uint64_t status;
	uint8_t buf[16];
	void *ro;

	nop();
	last->flags = 1;
	refused(-EINVAL, "flags");
	nop();
	last->rsvd = 1;
	refused(-EINVAL, "reserved bits");
	nop();
	last->timeout_ms = 60001;
	refused(-EINVAL, "time-out too long");
	nop();
	last->in_len = HSM_MAX_PAYLOAD + 1;
	refused(-EINVAL, "input too long");
	nop();
	last->out_len = ~0u;
	refused(-EINVAL, "output too long");
	nop();
	last->in_addr = (uintptr_t)buf;
	refused(-EINVAL, "address without length");
	nop();
	last->opcode = 0xff;
	refused(-EOPNOTSUPP, "unknown opcode");
	nop();
	last->opcode = HSM_OP_CREATE_QP;
	refused(-EOPNOTSUPP, "CREATE_QP");
	nop();
	last->opcode = HSM_OP_PARTITION_LIST;
	refused(-EOPNOTSUPP, "admin class");
	sqe = nop();
	sqe->cmd_op = HSM_IOC_EXEC;
	refused(-ENOTTY, "unknown operation");
	sqe = nop();
	sqe->uring_cmd_flags = IORING_URING_CMD_FIXED;
	if (io_uring_register_buffers(&ring, &(struct iovec){ buf, sizeof(buf) }, 1))
		tap_bail("buffers");
	refused(-EINVAL, "registered buffer");
	io_uring_unregister_buffers(&ring);
	ring_exec(&ring, fd, HSM_OP_RANDOM, (void *)8, 8, buf, 16, 0, 0);
	refused(-EFAULT, "input faults");
	ring_exec(&ring, fd, HSM_OP_RANDOM, (void *)(1ul << 63), 8, buf, 16, 0, 0);
	refused(-EFAULT, "input is kernel memory");

	struct hsm_random_in rin = { .len = 16 };

	ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ring_exec(&ring, fd, HSM_OP_RANDOM, &rin, sizeof(rin), ro, 16, 0, 0);
	refused(-EFAULT, "output faults");
	munmap(ro, 4096);
	ring_exec(&ring, fd, HSM_OP_RANDOM, &rin, sizeof(rin), buf, 8, 0, 0);
	tap_eq(ring_one(&ring, &status), -EMSGSIZE, "output does not fit");
	tap_eq(status, HSM_ST_INVALID_LENGTH, "the card says so");

	if (ring_open(&small, 4, IORING_SETUP_CQE32))
		tap_bail("ring");
	ring_exec(&small, fd, HSM_OP_NOP, NULL, 0, NULL, 0, 0, 0);
	tap_eq(ring_one(&small, NULL), -EINVAL, "ring without SQE128");
	io_uring_queue_exit(&small);
	if (ring_open(&small, 4, IORING_SETUP_SQE128))
		tap_bail("ring");
	ring_exec(&small, fd, HSM_OP_NOP, NULL, 0, NULL, 0, 0, 0);
	tap_eq(ring_one(&small, NULL), -EINVAL, "ring without CQE32");
	io_uring_queue_exit(&small);
	if (ring_open(&small, 4, RING_FLAGS | IORING_SETUP_SQPOLL))
		tap_bail("ring");
	ring_exec(&small, fd, HSM_OP_NOP, NULL, 0, NULL, 0, 0, 0);
	tap_eq(ring_one(&small, NULL), -EOPNOTSUPP, "SQPOLL: the submitter is not known");
	sqe = ring_exec(&small, fd, HSM_OP_NOP, NULL, 0, NULL, 0, 0, 0);
	sqe->flags |= IOSQE_ASYNC;
	tap_eq(ring_one(&small, NULL), -EOPNOTSUPP, "SQPOLL through io-wq: nor here");
	io_uring_queue_exit(&small);
	sqe = nop();
	sqe->flags |= IOSQE_ASYNC;
	tap_eq(ring_one(&ring, NULL), 0, "no-op through io-wq");
}

static void bad_ioctl(void)
{
	struct hsm_ioc_exec x = { .size = sizeof(x) - 1, .exec.opcode = HSM_OP_NOP };
	struct { struct hsm_ioc_exec x; uint64_t more; } big = {
		.x = { .size = sizeof(big), .exec.opcode = HSM_OP_NOP },
	};
	uint8_t buf[16];

	tap(ioctl(fd, HSM_IOC_EXEC, &x) < 0 && errno == EINVAL, "ioctl, too small");
	x.size = 1u << 20;
	tap(ioctl(fd, HSM_IOC_EXEC, &x) < 0 && errno == EINVAL, "ioctl, absurd size");
	x.size = sizeof(x);
	x.rsvd = 1;
	tap(ioctl(fd, HSM_IOC_EXEC, &x) < 0 && errno == EINVAL, "ioctl, reserved field");
	tap(ioctl(fd, HSM_IOC_EXEC, NULL) < 0 && errno == EFAULT, "ioctl, no argument");
	tap_eq(ioctl(fd, HSM_IOC_EXEC, &big), 0, "ioctl, larger and zero");
	big.more = 1;
	tap(ioctl(fd, HSM_IOC_EXEC, &big) < 0 && errno == E2BIG, "ioctl, larger and not zero");
	tap(ioctl(fd, _IO('H', 0x33)) < 0 && errno == ENOTTY, "ioctl, unknown");
	tap_eq(node_exec(fd, HSM_OP_RANDOM, (void *)8, 8, buf, 16, 0, NULL), -EFAULT,
	       "ioctl, input faults");
}

/* More at once than the rings hold: each is answered, the excess with -EBUSY. */
static void overflow(void)
{
	unsigned int i, n = 256, ok = 0, busy = 0, other = 0;
	struct io_uring_cqe *cqe;
	struct io_uring big;
	static uint8_t in[16384], out[256][4096];
	size_t len;

	if (ring_open(&big, n, RING_FLAGS))
		tap_bail("ring");
	len = encrypt_input(in, token, token_len, out[0], 4000);
	for (i = 0; i < n; i++)
		ring_exec(&big, fd, HSM_OP_ENCRYPT, in, len, out[i], 4096, 0, i);
	io_uring_submit(&big);
	for (i = 0; i < n && !io_uring_wait_cqe(&big, &cqe); i++) {
		ok += cqe->res == 4000 + HSM_CIPHERTEXT_OVERHEAD;
		busy += cqe->res == -EBUSY;
		other += cqe->res != 4000 + HSM_CIPHERTEXT_OVERHEAD && cqe->res != -EBUSY;
		io_uring_cqe_seen(&big, cqe);
	}
	tap_eq(ok + busy, n, "%u submitted, %u done, %u busy, %u other", n, ok, busy, other);
	tap(ok >= DEPTH, "and does what fits");
	io_uring_queue_exit(&big);
	nop();
	tap_eq(ring_one(&ring, NULL), 0, "and goes on");
}

static void admin_node(void)
{
	static uint8_t out[4096];
	struct hsm_create_qp_in qp = { .qid = 60, .entries = 16, .vector = 1 };
	int card = open("/dev/hsm/card0", O_RDWR);

	tap_eq(node_exec(card, HSM_OP_IDENTIFY, NULL, 0, out, sizeof(out), 0, NULL),
	       sizeof(struct hsm_identify_out), "IDENTIFY on the card's node");
	tap_eq(node_exec(card, HSM_OP_CREATE_QP, &qp, sizeof(qp), NULL, 0, 0, NULL), -EOPNOTSUPP,
	       "no CREATE_QP there");
	tap_eq(node_exec(card, HSM_OP_DELETE_QP, &qp, 8, NULL, 0, 0, NULL), -EOPNOTSUPP,
	       "no DELETE_QP there");
	tap_eq(node_exec(card, HSM_OP_NOP, NULL, 0, NULL, 0, 0, NULL), -EOPNOTSUPP,
	       "no other class there");
	close(card);
}

static void deleted(void)
{
	nop();
	tap_eq(ring_one(&ring, NULL), -ENODEV, "uring_cmd after the pool was deleted");
	tap_eq(node_exec(fd, HSM_OP_NOP, NULL, 0, NULL, 0, 0, NULL), -ENODEV, "ioctl after that");
	tap_eq(pool_open("kexec"), -ENOENT, "its node is gone");
}

int main(void)
{
	if (access("/dev/hsm/card0", F_OK))
		tap_skip_all("no card");
	pool_setup(&nl, "kexec", 1, "", DEPTH, 0);
	fd = pool_open("kexec");
	if (fd < 0 || ring_open(&ring, 32, RING_FLAGS))
		tap_bail("pool or ring");
	token_len = key_make(fd, token, sizeof(token));
	tap(token_len > 0, "a key");
	good();
	bad_uring();
	bad_ioctl();
	overflow();
	admin_node();
	pool_teardown(&nl, "kexec", 1);
	deleted();
	io_uring_queue_exit(&ring);
	close(fd);
	return tap_end();
}
