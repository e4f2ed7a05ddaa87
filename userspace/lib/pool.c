// SPDX-License-Identifier: Apache-2.0
/* From a pool's name to its provider. */
#include <errno.h>
#include <string.h>

#include "log.h"
#include "pool_priv.h"

int hsm_pool_open(const char *spec, struct hsm_pool **pool)
{
	*pool = NULL;
	if (!strncmp(spec, "soft:", 5) && spec[5])
		return pool_soft_open(spec + 5, pool);
	if (spec[0] == '/')
		return pool_dev_open(spec, pool);
	log_err("pool '%s': give /dev/hsm/NAME or soft:DIRECTORY", spec);
	return -EINVAL;
}

void hsm_pool_close(struct hsm_pool *pool)
{
	if (pool)
		pool->ops->close(pool);
}

const uint8_t *hsm_pool_partition(const struct hsm_pool *pool)
{
	return pool->partition;
}

int hsm_pool_fd(const struct hsm_pool *pool)
{
	return pool->fd;
}

int hsm_port_open(struct hsm_pool *pool, struct ring *ring, struct hsm_port **port)
{
	*port = NULL;
	return pool->ops->port_open(pool, ring, port);
}

void hsm_port_close(struct hsm_port *port)
{
	if (port)
		port->pool->ops->port_close(port);
}

void hsm_submit(struct hsm_port *port, struct hsm_cmd *cmd)
{
	cmd->port = port;
	port->pool->ops->submit(port, cmd);
}

int hsm_call(struct hsm_pool *pool, uint8_t opcode, const void *in, uint32_t in_len, void *out,
	     uint32_t *out_len, uint16_t *status)
{
	uint32_t no_output = 0;
	uint16_t st = 0;
	int err;

	err = pool->ops->call(pool, opcode, in, in_len, out, out_len ? out_len : &no_output, &st);
	if (err && out_len)
		*out_len = 0;
	if (status)
		*status = st;
	return err;
}
