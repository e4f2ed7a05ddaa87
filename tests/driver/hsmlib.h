/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the driver's tests share: raw generic netlink (so that malformed
 * messages can be sent and extack texts be read), the card's admin commands,
 * partitions and pools, control groups, rings.  -errno everywhere.
 */
#ifndef HSMLIB_H
#define HSMLIB_H

#include <liburing.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "hsm.h"

/* ---- generic netlink ---- */

struct nl {
	int fd;
	uint16_t family;
	uint32_t seq;
	char extack[256];		/* of the last refusal; "" if none */
	unsigned char rx[1 << 17];	/* the last message received */
	struct nlattr *attr[HSM_A_MAX + 1];
	uint8_t cmd;			/* of it */
};

struct msg {
	size_t len;
	unsigned char buf[1 << 17];
};

int nl_open(struct nl *nl);
void nl_close(struct nl *nl);

void msg_init(struct msg *m, struct nl *nl, uint8_t cmd, uint16_t flags);
void msg_put(struct msg *m, uint16_t type, const void *data, size_t len);
void msg_u32(struct msg *m, uint16_t type, uint32_t v);
void msg_u64(struct msg *m, uint16_t type, uint64_t v);
void msg_str(struct msg *m, uint16_t type, const char *s);
size_t msg_nest(struct msg *m, uint16_t type);
void msg_nest_end(struct msg *m, size_t at);

/* Sends without waiting. */
int nl_send(struct nl *nl, struct msg *m);
/*
 * Takes one message: 1 if it is of the family (then ->cmd and ->attr), 0 for an
 * acknowledgement, -errno for a refusal, -EAGAIN after timeout_ms.
 */
int nl_recv(struct nl *nl, int timeout_ms);
/* Sends and waits for the acknowledgement, passing over other messages. */
int nl_call(struct nl *nl, struct msg *m);

uint32_t attr_u32(struct nl *nl, int type);
uint64_t attr_u64(struct nl *nl, int type);

/* ---- cards, partitions, pools ---- */

/* exec on an open node; the reply length, or -errno with *status. */
int node_exec(int fd, uint8_t opcode, const void *in, uint32_t in_len, void *out,
	      uint32_t out_len, uint32_t timeout_ms, uint32_t *status);
/* Number of live cards. */
int cards_live(struct nl *nl);

/* Makes the partition on card 0 and clones it to card 1 if there is one. */
int partition_make(const uint8_t uuid[16], int cards);
int partition_drop(const uint8_t uuid[16], int cards);

int pool_new(struct nl *nl, const char *name, const uint8_t uuid[16], int cgroup_fd, int cards,
	     int qps, int depth, uint32_t flags);
int pool_del(struct nl *nl, const char *name);
int pool_bind(struct nl *nl, const char *name, int cgroup_fd);
int pool_open(const char *name);

/* The usual: both cards, partition and pool of this name, bound to cgroup dir. */
void pool_setup(struct nl *nl, const char *name, uint8_t tag, const char *cgroup, int depth,
		uint32_t flags);
void pool_teardown(struct nl *nl, const char *name, uint8_t tag);
void uuid_of(uint8_t tag, uint8_t uuid[16]);

/* An AES key's token that may encrypt and decrypt; its length. */
int key_make(int fd, void *token, size_t cap);
/* Input of ENCRYPT; its length. */
size_t encrypt_input(void *buf, const void *token, size_t token_len, const void *data, size_t len);

/* ---- control groups ---- */

#define CGROOT "/sys/fs/cgroup"
/* Opens (made if needed) CGROOT/name; "" is the root. */
int cgroup_open(const char *name);
int cgroup_enter(const char *name);

/* ---- rings ---- */

int ring_open(struct io_uring *ring, unsigned int entries, unsigned int flags);
/* Queues one command; in and out as of struct hsm_exec. */
struct io_uring_sqe *ring_exec(struct io_uring *ring, int fd, uint8_t opcode, const void *in,
			       uint32_t in_len, void *out, uint32_t out_len, uint32_t timeout_ms,
			       uint64_t user_data);
/* Submits, waits for one completion: its res. */
int ring_one(struct io_uring *ring, uint64_t *status);

uint64_t now_ms(void);

#endif
