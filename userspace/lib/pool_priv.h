/* SPDX-License-Identifier: Apache-2.0 */
/* What pool.c and the two providers share. */
#ifndef HSM_POOL_PRIV_H
#define HSM_POOL_PRIV_H

#include <hsm_cmd.h>

#include "pool.h"

#define POOL_TIMEOUT_MS 5000u	/* of a command that names none */

struct pool_ops {
	void (*close)(struct hsm_pool *pool);
	int (*port_open)(struct hsm_pool *pool, struct ring *ring, struct hsm_port **port);
	void (*port_close)(struct hsm_port *port);
	void (*submit)(struct hsm_port *port, struct hsm_cmd *cmd);
	/* *out_len: in capacity, out length.  *status is 0 when called. */
	int (*call)(struct hsm_pool *pool, uint8_t opcode, const void *in, uint32_t in_len,
		    void *out, uint32_t *out_len, uint16_t *status);
};

/* First member of each provider's own. */
struct hsm_pool {
	const struct pool_ops *ops;
	int fd;			/* device, or -1 */
	uint8_t partition[HSM_UUID_LEN];
};

struct hsm_port {
	struct hsm_pool *pool;
	struct ring *ring;
};

int pool_dev_open(const char *path, struct hsm_pool **pool);
int pool_soft_open(const char *dir, struct hsm_pool **pool);

#endif
