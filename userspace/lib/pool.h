/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool of HSM queue pairs, as a KMS uses it.  Two providers stand behind this
 * interface and nothing else knows which is in use:
 *
 *   "/dev/hsm/<pool>"	the driver's character device (uring_cmd)
 *   "soft:<dir>"	the card's firmware in this process, NVRAM in <dir>/nvram;
 *			keys are protected by files only, and the log says so loudly
 *
 * There is no fallback from one to the other.
 */
#ifndef HSM_POOL_H
#define HSM_POOL_H

#include <stddef.h>
#include <stdint.h>
#include "ring.h"

struct hsm_pool;	/* one per process */
struct hsm_port;	/* one per worker: the pool as seen from one ring */

/* -ENODEV, -EPERM, ... of the device, or those of hsm_fw_open(); logs why. */
int hsm_pool_open(const char *spec, struct hsm_pool **pool);
void hsm_pool_close(struct hsm_pool *pool);
const uint8_t *hsm_pool_partition(const struct hsm_pool *pool);	/* 16 bytes */
int hsm_pool_fd(const struct hsm_pool *pool);	/* device's descriptor, for owner registration; -1 for soft */

int hsm_port_open(struct hsm_pool *pool, struct ring *ring, struct hsm_port **port);
void hsm_port_close(struct hsm_port *port);

struct hsm_cmd {
	uint8_t opcode;			/* enum hsm_opcode */
	uint32_t timeout_ms;		/* 0: default */
	const void *in;			/* the caller's until done runs */
	void *out;			/* likewise; wiping it is the caller's task */
	uint32_t in_len, out_cap;	/* bytes, at most HSM_MAX_PAYLOAD */
	/*
	 * err: 0, or the -errno of the host or of the status; status: enum hsm_status,
	 * 0 if the card did not answer; out_len: bytes in out.  Never called from
	 * inside hsm_submit().
	 */
	void (*done)(struct hsm_cmd *cmd, int err, uint16_t status, uint32_t out_len);

	struct ring_op op;		/* the provider's */
	struct ring_work work;
	struct hsm_port *port;
	uint64_t deadline;
};

/* Always results in exactly one done.  A full pool (-EBUSY) is retried inside until the time-out. */
void hsm_submit(struct hsm_port *port, struct hsm_cmd *cmd);

/* The same, synchronously, for set-up; from any thread.  Returns err; *out_len in/out. */
int hsm_call(struct hsm_pool *pool, uint8_t opcode, const void *in, uint32_t in_len,
	     void *out, uint32_t *out_len, uint16_t *status);

/* Text of a card status, and its errno (0 or negative). */
const char *hsm_status_text(uint16_t status);
int hsm_status_errno(uint16_t status);

#endif
