/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the driver's selftests share: TAP, netlink with the text of refusals,
 * admin commands, partitions, pools and cgroups.  Everything that can't fail in
 * a sane VM ends the program with exit status 1 and a reason when it does.
 */
#ifndef HSM_FIXTURE_H
#define HSM_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "hsm.h"

/* ---- TAP ---- */

void tap_ok(bool good, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void tap_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
int tap_end(void);	/* prints the plan; exit status: 0, 1, or 4 if all was skipped */

/* Tests that a value is what was wanted, and says what it was. */
#define EXPECT(got, want, text) do {						\
	long got_ = (got), want_ = (want);					\
	tap_ok(got_ == want_, "%s (got %ld, want %ld)", text, got_, want_);	\
} while (0)

/* ---- generic netlink ---- */

struct nl {
	int fd;
	uint32_t portid;
	uint16_t family;
	uint32_t seq;
	char extack[256];	/* text of the last refusal; "" if it had none */
	/* the request being built; bytes that it holds */
	size_t len;
	uint8_t buf[68 * 1024];
	/* the message last received */
	size_t rlen;
	uint8_t rbuf[68 * 1024];
};

void nl_open(struct nl *nl);
void nl_close(struct nl *nl);
void nl_begin(struct nl *nl, uint8_t cmd, uint16_t flags);	/* flags: NLM_F_* besides REQUEST and ACK */
void nl_put(struct nl *nl, uint16_t type, const void *data, size_t len);
void nl_put_u32(struct nl *nl, uint16_t type, uint32_t v);
void nl_put_u64(struct nl *nl, uint16_t type, uint64_t v);
void nl_put_str(struct nl *nl, uint16_t type, const char *s);
size_t nl_nest(struct nl *nl, uint16_t type);
void nl_nest_end(struct nl *nl, size_t start);
/* Sends and waits for the acknowledgement: 0 or -errno.  Messages before it go to rbuf (the last one stays). */
int nl_talk(struct nl *nl);
/* Waits for one message of the family: its command, or -ETIMEDOUT. */
int nl_recv(struct nl *nl, int timeout_ms);
/* Attribute of the message in rbuf; NULL: none. */
const void *nl_attr(const struct nl *nl, uint16_t type, size_t *len);
uint32_t nl_attr_u32(const struct nl *nl, uint16_t type);	/* 0xffffffff: none */
uint64_t nl_attr_u64(const struct nl *nl, uint16_t type);

/* ---- cards, partitions, pools ---- */

int open_card(unsigned int card);
/* HSM_IOC_EXEC: bytes of output or -errno; *status may be NULL. */
int exec_ioctl(int fd, uint8_t opcode, const void *in, uint32_t in_len, void *out, uint32_t out_len,
	       uint32_t timeout_ms, uint32_t *status);
/* Makes a partition on card 0 and clones it to card 1 unless only_first. */
void make_partition(const uint8_t uuid[16], bool only_first);
void drop_partition(const uint8_t uuid[16]);	/* from both; absence is fine */
void random_uuid(uint8_t uuid[16]);

/* POOL_NEW with qps queue pairs on card 0 and on card 1 (0: not a member). */
int pool_new(struct nl *nl, const char *name, const uint8_t uuid[16], int cgroup_fd,
	     unsigned int qps0, unsigned int qps1, uint32_t flags);
int pool_del(struct nl *nl, const char *name);
int pool_open(const char *name);		/* descriptor or -errno; waits for the node to appear */

/* ---- cgroups (v2 at /sys/fs/cgroup) ---- */

int cgroup_make(const char *name);		/* O_DIRECTORY descriptor */
void cgroup_remove(const char *name);
void cgroup_enter(const char *name);		/* this process; "" is the root */

#endif /* HSM_FIXTURE_H */
