// SPDX-License-Identifier: Apache-2.0
/*
 * Drives a card from userspace in the VM, without the driver: registers, admin
 * queue, queue pairs, shadow doorbells, bad input.  TAP on stdout.
 *
 *	hwtest PCI-ADDRESS [MS | keep | iommu]	e.g. 0000:01:00.0; no driver may be bound to it
 *
 * MS: the card was told to delay commands that long; then only this is tested.
 * keep: a key is made last, and its partition stays.
 * iommu: the card is behind one; then only that it refuses this.
 *
 * Memory is mlocked; its bus addresses come from /proc/self/pagemap.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hsm_hw.h"

#define ENTRIES	16
#define PAGE	4096

struct ring {
	uint16_t qid, tail, seen;
	struct hsm_sqe *sq;
	volatile struct hsm_cqe *cq;
	volatile struct hsm_shadow *shadow;
	unsigned long doorbells;
};

static volatile uint32_t *regs;
static uint8_t *in, *out;
static int tests, failures, config_fd;
static const uint8_t uuid[HSM_UUID_LEN] = "hwtest partition";

static void check(bool ok, const char *what)
{
	printf("%sok %d - %s\n", ok ? "" : "not ", ++tests, what);
	fflush(stdout);
	failures += !ok;
}

static void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static uint64_t bus(const volatile void *p)
{
	static int fd = -1;
	uint64_t entry = 0;

	if (fd < 0)
		fd = open("/proc/self/pagemap", O_RDONLY);
	if (pread(fd, &entry, 8, (uintptr_t)p / PAGE * 8) != 8 || !(entry >> 63))
		die("pagemap");
	return (entry & ((1ull << 55) - 1)) * PAGE + (uintptr_t)p % PAGE;
}

static void *page(void)
{
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	memset(p, 0, PAGE);
	return p;
}

static uint32_t rd(uint32_t reg) { return regs[reg / 4]; }
static void wr(uint32_t reg, uint32_t val) { regs[reg / 4] = val; }

static void ring_init(struct ring *r, uint16_t qid)
{
	memset(r, 0, sizeof(*r));
	r->qid = qid;
	r->sq = page();
	r->cq = page();
	r->shadow = page();
}

static bool wait_status(uint32_t mask, uint32_t want)
{
	uint64_t end = now_ns() + rd(HSM_REG_TIMEOUT) * 1000000ull;

	while (now_ns() < end)
		if ((rd(HSM_REG_STATUS) & mask) == want)
			return true;
	return false;
}

static bool disable(void)
{
	wr(HSM_REG_CONTROL, 0);
	return wait_status(HSM_STATUS_READY | HSM_STATUS_FATAL, 0);
}

static void set_admin(const struct ring *r, uint64_t sq)
{
	wr(HSM_REG_ADMIN_SIZE, ENTRIES);
	wr(HSM_REG_ADMIN_SQ_LO, sq);
	wr(HSM_REG_ADMIN_SQ_HI, sq >> 32);
	wr(HSM_REG_ADMIN_CQ_LO, bus(r->cq));
	wr(HSM_REG_ADMIN_CQ_HI, bus(r->cq) >> 32);
	wr(HSM_REG_ADMIN_SHADOW_LO, bus(r->shadow));
	wr(HSM_REG_ADMIN_SHADOW_HI, bus(r->shadow) >> 32);
	wr(HSM_REG_CONTROL, HSM_CONTROL_ENABLE);
}

static void put(struct ring *r, uint8_t op, uint32_t in_len, uint32_t out_len)
{
	struct hsm_sqe *sqe = &r->sq[r->tail % ENTRIES];

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = op;
	sqe->cid = r->tail ^ 0x5a00;
	sqe->in_len = in_len;
	sqe->out_len = out_len;
	sqe->in_addr = in_len ? bus(in) : 0;
	sqe->out_addr = out_len ? bus(out) : 0;
	r->tail++;
}

/* Shows the card all entries made since `old`. */
static void publish(struct ring *r, uint16_t old)
{
	__atomic_store_n(&r->shadow->sq_tail, r->tail, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if ((uint16_t)(r->tail - r->shadow->sq_event - 1) < (uint16_t)(r->tail - old)) {
		wr(HSM_REG_DOORBELL + 4 * r->qid, r->tail);
		r->doorbells++;
	}
}

/* The next completion, or NULL after ms. */
static volatile struct hsm_cqe *reap(struct ring *r, int ms)
{
	volatile struct hsm_cqe *c = &r->cq[r->seen % ENTRIES];
	uint16_t phase = !((r->seen / ENTRIES) & 1);
	uint64_t end = now_ns() + ms * 1000000ull;

	while ((__atomic_load_n(&c->phase, __ATOMIC_ACQUIRE) & 1) != phase)
		if (now_ns() > end)
			return NULL;
	r->seen++;
	return c;
}

/* One command; its status, or -1 if no answer came or the answer is not its own. */
static int run(struct ring *r, uint8_t op, uint32_t in_len, uint32_t out_len, uint32_t *len)
{
	uint16_t old = r->tail;
	volatile struct hsm_cqe *c;

	put(r, op, in_len, out_len);
	publish(r, old);
	c = reap(r, 3000);
	if (!c || c->cid != (old ^ 0x5a00) || c->sq_head != r->tail)
		return -1;
	if (len)
		*len = c->out_len;
	return c->status;
}

static int create(struct ring *admin, const struct ring *r, uint16_t entries, uint64_t sq)
{
	struct hsm_create_qp_in c = { .qid = r->qid, .entries = entries, .vector = r->qid,
				      .sq_addr = sq, .cq_addr = bus(r->cq),
				      .shadow_addr = bus(r->shadow) };

	memcpy(c.partition, uuid, sizeof(uuid));
	memcpy(in, &c, sizeof(c));
	return run(admin, HSM_OP_CREATE_QP, sizeof(c), 0, NULL);
}

static int delete(struct ring *admin, uint16_t qid)
{
	struct hsm_delete_qp_in d = { .qid = qid };

	memcpy(in, &d, sizeof(d));
	return run(admin, HSM_OP_DELETE_QP, sizeof(d), 0, NULL);
}

static void test_crypt(struct ring *r)
{
	struct hsm_key_generate_in gen = { .type = HSM_KEY_AES256,
					   .usage = HSM_USAGE_ENCRYPT | HSM_USAGE_DECRYPT };
	struct hsm_crypt_in c = { .aad_len = 3, .data_len = 5 };
	uint8_t token[HSM_MAX_TOKEN];
	uint32_t tlen = 0, len = 0;
	bool ok;

	memcpy(in, &gen, sizeof(gen));
	ok = run(r, HSM_OP_KEY_GENERATE, sizeof(gen), PAGE, &tlen) == HSM_ST_OK &&
	     tlen == HSM_TOKEN_AES256_LEN;
	check(ok, "KEY_GENERATE returns a token");
	if (!ok)
		return;
	memcpy(token, out, tlen);
	c.token_len = tlen;
	memcpy(in, &c, sizeof(c));
	memcpy(in + sizeof(c), token, tlen);
	memcpy(in + sizeof(c) + tlen, "aadhello", 8);
	ok = run(r, HSM_OP_ENCRYPT, sizeof(c) + tlen + 8, PAGE, &len) == HSM_ST_OK &&
	     len == 5 + HSM_CIPHERTEXT_OVERHEAD;
	check(ok, "ENCRYPT");
	c.data_len = len;
	memcpy(in, &c, sizeof(c));
	memcpy(in + sizeof(c) + tlen + 3, out, len);
	ok = run(r, HSM_OP_DECRYPT, sizeof(c) + tlen + 3 + len, PAGE, &len) == HSM_ST_OK &&
	     len == 5 && !memcmp(out, "hello", 5);
	check(ok, "DECRYPT gives the plaintext back");
	in[sizeof(c) + tlen + 3 + 20] ^= 1;
	check(run(r, HSM_OP_DECRYPT, sizeof(c) + tlen + 3 + c.data_len, PAGE, &len) ==
	      HSM_ST_BAD_CIPHERTEXT, "an altered ciphertext is refused");
}

static void test_bad(struct ring *r)
{
	uint16_t old = r->tail;
	volatile struct hsm_cqe *c;

	put(r, HSM_OP_RANDOM, 8, 64);
	r->sq[old % ENTRIES].in_addr = 1ull << 50;
	publish(r, old);
	c = reap(r, 3000);
	check(c && c->status == HSM_ST_DMA && !c->out_len, "an input buffer out of reach: DMA");
	old = r->tail;
	put(r, HSM_OP_NOP, 0, 0);
	r->sq[old % ENTRIES].flags = 1;
	publish(r, old);
	c = reap(r, 3000);
	check(c && c->status == HSM_ST_INVALID_FIELD, "reserved bits: INVALID_FIELD");
	check(run(r, HSM_OP_NOP, HSM_MAX_PAYLOAD + 1, 0, NULL) == HSM_ST_INVALID_LENGTH,
	      "too long an input: INVALID_LENGTH");
	check(run(r, HSM_OP_IDENTIFY, 0, 128, NULL) == HSM_ST_INVALID_OPCODE,
	      "an admin command on a queue pair: INVALID_OPCODE");
}

static void bench(struct ring *r)
{
	enum { N = 20000 };
	unsigned long before = r->doorbells;
	uint64_t t = now_ns();
	bool ok = true;
	int i, j;

	for (i = 0; i < N && ok; i++)
		ok = run(r, HSM_OP_NOP, 0, 0, NULL) == HSM_ST_OK;
	printf("# NOP depth 1, polled: %.2f us, %lu doorbells for %d commands\n",
	       (now_ns() - t) / 1e3 / N, r->doorbells - before, N);
	check(ok, "20000 NOPs over many laps of the ring");
	t = now_ns();
	for (i = 0; i < N / ENTRIES && ok; i++) {
		uint16_t old = r->tail;

		for (j = 0; j < ENTRIES; j++)
			put(r, HSM_OP_NOP, 0, 0);
		publish(r, old);
		for (j = 0; j < ENTRIES && ok; j++) {
			volatile struct hsm_cqe *c = reap(r, 3000);

			ok = c && c->status == HSM_ST_OK;
		}
	}
	printf("# NOP in batches of %d: %.2f us each\n", ENTRIES, (now_ns() - t) / 1e3 / N);
	check(ok, "batches that fill the ring");
	usleep(20000);
	check(run(r, HSM_OP_NOP, 0, 0, NULL) == HSM_ST_OK, "a NOP after an idle while");
}

static void test_late(struct ring *r, int ms)
{
	uint64_t t = now_ns();
	uint16_t old;

	check(run(r, HSM_OP_NOP, 0, 0, NULL) == HSM_ST_OK && now_ns() - t >= ms * 1000000ull,
	      "a delayed NOP completes late");
	old = r->tail;
	put(r, HSM_OP_NOP, 0, 0);
	publish(r, old);
	usleep(ms * 100);
	t = now_ns();
	check(disable() && now_ns() - t < ms * 500000ull, "ENABLE 1 -> 0 does not wait for it");
	check(!reap(r, 2 * ms), "nothing is written after READY went");
}

/* ---- a card that is reset, or loses bus mastering, with commands in flight ---- */

#define IN_FLIGHT 8

static void config(int fd, void *buf, int len, int off)
{
	if (pread(fd, buf, len, off) != len)
		die("config read");
}

static void set_command(uint16_t command)
{
	if (pwrite(config_fd, &command, 2, 4) != 2)
		die("config write");
}

static bool enable(struct ring *admin)
{
	memset(admin->sq, 0, PAGE);
	memset((void *)admin->cq, 0, PAGE);
	memset((void *)admin->shadow, 0, PAGE);
	admin->tail = 0;
	admin->seen = 0;
	set_admin(admin, bus(admin->sq));
	return wait_status(HSM_STATUS_READY, HSM_STATUS_READY);
}

/* Each waits for the disk of the host. */
static void put_slow(struct ring *admin, uint8_t op)
{
	uint16_t old = admin->tail;
	int i;

	for (i = 0; i < IN_FLIGHT; i++) {
		snprintf((char *)in + 64 * i, HSM_UUID_LEN, "in flight %d", i);
		put(admin, op, HSM_UUID_LEN, 0);
		admin->sq[(admin->tail - 1) % ENTRIES].in_addr += 64 * i;
	}
	publish(admin, old);
}

/* The last of what put_slow() left is gone. */
static bool clean_up(struct ring *admin)
{
	int i;

	put_slow(admin, HSM_OP_PARTITION_DELETE);
	for (i = 0; i < IN_FLIGHT; i++)
		if (!reap(admin, 3000))
			return false;
	return true;
}

static void soil(struct ring *admin)
{
	memset((void *)admin->cq, 0x5a, PAGE);
	memset((void *)admin->shadow, 0x5a, PAGE);
}

/* Is asked while the card works, and once it has stopped. */
static bool soiled(const struct ring *admin)
{
	static uint8_t want[PAGE];

	memset(want, 0x5a, PAGE);
	return !memcmp((void *)admin->cq, want, PAGE) &&
	       !memcmp((void *)admin->shadow, want, PAGE);
}

static void test_bus_master(struct ring *admin)
{
	uint16_t command;
	bool ok = enable(admin);

	config(config_fd, &command, 2, 4);
	put_slow(admin, HSM_OP_PARTITION_CREATE);
	ok = ok && reap(admin, 3000);
	set_command(command & ~4);
	soil(admin);
	check(ok && (rd(HSM_REG_STATUS) & HSM_STATUS_FATAL),
	      "bus mastering disabled under commands: FATAL");
	wr(HSM_REG_DOORBELL, 1);
	usleep(300000);
	check(soiled(admin), "nothing is written without bus mastering");
	set_command(command);
	check(disable() && soiled(admin), "nor after it comes back, until enabled anew");
	check(enable(admin) && clean_up(admin) && disable(), "the card works again");
}

/* The place that an IDENTIFY behind eight changes of partitions has among the completions. */
static int overtakes(struct ring *admin)
{
	volatile struct hsm_cqe *c;
	uint16_t old;
	int i, place = 0;

	put_slow(admin, HSM_OP_PARTITION_CREATE);
	old = admin->tail;
	put(admin, HSM_OP_IDENTIFY, 0, sizeof(struct hsm_identify_out));
	publish(admin, old);
	for (i = 1; i <= IN_FLIGHT + 1; i++) {
		c = reap(admin, 3000);
		if (c && c->cid == (old ^ 0x5a00))
			place = i;
	}
	return place;
}

/* A disk that syncs in no time can win against a thread that has to wake up: five times. */
static void test_slow(struct ring *admin)
{
	bool ok = enable(admin), overtook = false;
	int i;

	for (i = 0; i < 5 && ok && !overtook; i++) {
		int place = overtakes(admin);

		ok = place && clean_up(admin);
		overtook = place < IN_FLIGHT;
	}
	check(ok && overtook && disable(), "changes of partitions hold up no other command");
}

struct reads {
	volatile bool stop;
	volatile unsigned long all, wrong;
};

/* The first word of bus 0's device 0, as memory: the files of sysfs share a lock. */
static volatile uint32_t *host_bridge(void)
{
	FILE *f = fopen("/proc/iomem", "r");
	unsigned long base = 0;
	char line[128];
	void *p;
	int fd;

	while (f && !base && fgets(line, sizeof(line), f))
		if (strstr(line, "PCI MMCONFIG"))
			base = strtoul(line, NULL, 16);
	fd = open("/dev/mem", O_RDONLY | O_SYNC);
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, base);
	if (!base || fd < 0 || p == MAP_FAILED)
		die("configuration space (boot with iomem=relaxed)");
	fclose(f);
	close(fd);
	return p;
}

/* Reads configuration space for as long as it is not told to stop. */
static pid_t read_config(struct reads *reads)
{
	volatile uint32_t *id = host_bridge();
	uint32_t first = *id;
	pid_t pid = fork();

	if (pid)
		return pid;
	while (!reads->stop) {
		reads->wrong += *id != first;
		reads->all++;
	}
	_exit(0);
}

static void flr(void)
{
	uint16_t control, cap = 0;
	uint32_t header[16];
	uint8_t id = 0;
	int i;

	config(config_fd, header, sizeof(header), 0);
	for (config(config_fd, &cap, 1, 0x34); cap; config(config_fd, &cap, 1, cap + 1)) {
		config(config_fd, &id, 1, cap);
		if (id == 0x10)
			break;
	}
	config(config_fd, &control, 2, cap + 8);
	control |= 0x8000;
	if (pwrite(config_fd, &control, 2, cap + 8) != 2)
		die("reset");
	for (i = 15; i > 0; i--)
		if (pwrite(config_fd, &header[i], 4, 4 * i) != 4)
			die("restore");
}

static void test_flr(struct ring *admin)
{
	struct reads *reads = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				   -1, 0);
	pid_t pid = read_config(reads);
	bool ok = true, clean = true;
	int i;

	for (i = 0; i < 20 && ok; i++) {
		ok = enable(admin);
		put_slow(admin, HSM_OP_PARTITION_CREATE);
		/* With the first in flight; or with its completion on the way. */
		if (i % 2)
			usleep(100 * i);
		flr();
		soil(admin);
		ok = ok && wait_status(HSM_STATUS_READY | HSM_STATUS_FATAL, 0) &&
		     rd(HSM_REG_ADMIN_SIZE) == 0;
		clean = clean && soiled(admin);
		ok = ok && enable(admin) && clean_up(admin) && disable();
	}
	reads->stop = true;
	waitpid(pid, NULL, 0);
	printf("# %lu reads of configuration space, %lu wrong\n", reads->all, reads->wrong);
	check(ok, "function level resets with commands in flight");
	check(clean, "nothing is written after a reset");
	check(reads->all && !reads->wrong, "a reset holds up no other access to configuration space");
}

int main(int argc, char **argv)
{
	struct ring admin, qp;
	struct hsm_identify_out id;
	uint32_t len = 0, cap;
	uint16_t command;
	char path[128];
	int fd;

	if (argc < 2)
		return 2;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/enable", argv[1]);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, "1", 1) != 1)
		die("enable");
	close(fd);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", argv[1]);
	config_fd = open(path, O_RDWR);
	if (config_fd < 0 || pread(config_fd, &command, 2, 4) != 2)
		die("config");
	command |= 6;
	if (pwrite(config_fd, &command, 2, 4) != 2)
		die("bus mastering");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource0", argv[1]);
	fd = open(path, O_RDWR | O_SYNC);
	regs = mmap(NULL, HSM_BAR_REGS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || regs == MAP_FAILED)
		die("resource0");
	in = page();
	out = page();
	ring_init(&admin, 0);
	ring_init(&qp, 1);

	check(rd(HSM_REG_MAGIC) == HSM_MAGIC && rd(HSM_REG_VERSION) == HSM_VERSION, "identity");
	cap = rd(HSM_REG_CAP);
	check((cap & 0xffff) >= ENTRIES && cap >> 16 >= 1, "capabilities");
	check(disable(), "READY is clear while disabled");
	set_admin(&admin, 1ull << 50);
	check(wait_status(HSM_STATUS_FATAL, HSM_STATUS_FATAL), "an admin ring out of reach: FATAL");
	check(disable(), "disabling clears FATAL");
	set_admin(&admin, bus(admin.sq));
	if (argc > 2 && !strcmp(argv[2], "iommu")) {
		check(wait_status(HSM_STATUS_FATAL | HSM_STATUS_READY, HSM_STATUS_FATAL),
		      "behind an IOMMU: FATAL");
		printf("1..%d\n", tests);
		return failures != 0;
	}
	check(wait_status(HSM_STATUS_READY, HSM_STATUS_READY), "READY follows ENABLE");
	wr(HSM_REG_ADMIN_SIZE, 2);
	check(rd(HSM_REG_ADMIN_SIZE) == ENTRIES, "admin registers are fixed while enabled");

	check(run(&admin, HSM_OP_IDENTIFY, 0, sizeof(id), &len) == HSM_ST_OK && len == sizeof(id),
	      "IDENTIFY");
	if (failures)
		die("the card does not answer");
	memcpy(&id, out, sizeof(id));
	printf("# serial %.32s model %.32s firmware %.16s\n", id.serial, id.model, id.firmware);
	check(create(&admin, &qp, ENTRIES, bus(qp.sq)) == HSM_ST_NO_PARTITION,
	      "no queue pair without its partition");
	memcpy(in, uuid, sizeof(uuid));
	check(run(&admin, HSM_OP_PARTITION_CREATE, sizeof(uuid), 0, NULL) == HSM_ST_OK,
	      "PARTITION_CREATE");
	check(create(&admin, &qp, 3, bus(qp.sq)) == HSM_ST_INVALID_FIELD, "entries: power of two");
	check(create(&admin, &qp, ENTRIES, bus(qp.sq) + 64) == HSM_ST_INVALID_FIELD, "alignment");
	check(create(&admin, &qp, ENTRIES, 1ull << 50) == HSM_ST_DMA, "a ring out of reach: DMA");
	check(create(&admin, &qp, ENTRIES, bus(qp.sq)) == HSM_ST_OK, "CREATE_QP");
	check(create(&admin, &qp, ENTRIES, bus(qp.sq)) == HSM_ST_NO_RESOURCES, "a qid once only");
	if (argc > 2 && !strcmp(argv[2], "keep")) {
		test_crypt(&qp);
		printf("1..%d\n", tests);
		return failures != 0;
	}
	if (argc > 2) {
		test_late(&qp, atoi(argv[2]));
		printf("1..%d\n", tests);
		return failures != 0;
	}
	check(run(&qp, HSM_OP_NOP, 0, 0, NULL) == HSM_ST_OK, "NOP");
	test_crypt(&qp);
	test_bad(&qp);
	bench(&qp);

	memcpy(in, uuid, sizeof(uuid));
	check(run(&admin, HSM_OP_PARTITION_DELETE, sizeof(uuid), 0, NULL) == HSM_ST_PARTITION_BUSY,
	      "a bound partition can't be deleted");
	check(delete(&admin, 1) == HSM_ST_OK, "DELETE_QP");
	check(delete(&admin, 1) == HSM_ST_INVALID_FIELD, "DELETE_QP once only");
	memcpy(in, uuid, sizeof(uuid));
	check(run(&admin, HSM_OP_PARTITION_DELETE, sizeof(uuid), 0, NULL) == HSM_ST_OK,
	      "PARTITION_DELETE");
	admin.tail += ENTRIES + 1;
	publish(&admin, admin.tail - ENTRIES - 1);
	check(wait_status(HSM_STATUS_FATAL, HSM_STATUS_FATAL), "a tail beyond the ring: FATAL");
	check(disable(), "ENABLE 1 -> 0");
	test_slow(&admin);
	test_bus_master(&admin);
	test_flr(&admin);
	printf("1..%d\n", tests);
	return failures != 0;
}
