// SPDX-License-Identifier: Apache-2.0
/*
 * The soft card: the firmware in this process.  Commands run on the worker's own
 * thread, when it is next back in its loop: one posted work drains all that
 * were submitted meanwhile.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <hsm_fw.h>

#include "log.h"
#include "pool_priv.h"
#include "uuid.h"

struct soft_pool {
	struct hsm_pool pool;
	struct hsm_fw *fw;
	bool bound;
};

struct soft_port {
	struct hsm_port port;
	struct ring_work work;
	struct ring_work *head, **tail;	/* hsm_cmd.work of what waits */
	bool closed;
};

static struct soft_pool *to_soft(struct hsm_pool *pool)
{
	return (struct soft_pool *)pool;
}

static uint16_t run(struct soft_pool *sp, uint8_t opcode, const void *in, uint32_t in_len,
		    void *out, uint32_t *out_len)
{
	size_t len = *out_len;
	uint16_t st;

	st = hsm_fw_exec(sp->fw, sp->pool.partition, opcode, in, in_len, out, &len);
	*out_len = (uint32_t)len;
	return st;
}

static void drain(struct ring_work *work)
{
	struct soft_port *port = (struct soft_port *)((char *)work - offsetof(struct soft_port, work));
	struct soft_pool *sp = to_soft(port->port.pool);
	struct ring_work *w = port->head, *next;

	port->head = NULL;
	port->tail = &port->head;
	if (port->closed) {
		free(port);
		return;
	}
	for (; w; w = next) {
		struct hsm_cmd *cmd = (struct hsm_cmd *)((char *)w - offsetof(struct hsm_cmd, work));
		uint32_t len = cmd->out_cap;
		uint16_t st;

		next = w->next;
		st = run(sp, cmd->opcode, cmd->in, cmd->in_len, cmd->out, &len);
		cmd->done(cmd, hsm_status_errno(st), st, len);
	}
}

static void soft_submit(struct hsm_port *p, struct hsm_cmd *cmd)
{
	struct soft_port *port = (struct soft_port *)p;

	if (!port->head)
		ring_post(p->ring, &port->work);
	cmd->work.next = NULL;
	*port->tail = &cmd->work;
	port->tail = &cmd->work.next;
}

static int soft_call(struct hsm_pool *pool, uint8_t opcode, const void *in, uint32_t in_len,
		     void *out, uint32_t *out_len, uint16_t *status)
{
	*status = run(to_soft(pool), opcode, in, in_len, out, out_len);
	return hsm_status_errno(*status);
}

static int soft_port_open(struct hsm_pool *pool, struct ring *ring, struct hsm_port **out)
{
	struct soft_port *port = calloc(1, sizeof(*port));

	if (!port)
		return -ENOMEM;
	port->port.pool = pool;
	port->port.ring = ring;
	port->work.fn = drain;
	port->tail = &port->head;
	*out = &port->port;
	return 0;
}

static void soft_port_close(struct hsm_port *p)
{
	struct soft_port *port = (struct soft_port *)p;

	/* Still posted: the ring holds a pointer to it. */
	if (port->head)
		port->closed = true;
	else
		free(port);
}

static void soft_close(struct hsm_pool *pool)
{
	struct soft_pool *sp = to_soft(pool);

	if (sp->bound)
		hsm_fw_unbind(sp->fw, pool->partition);
	hsm_fw_close(sp->fw);
	free(sp);
}

static const struct pool_ops soft_ops = {
	.close = soft_close,
	.port_open = soft_port_open,
	.port_close = soft_port_close,
	.submit = soft_submit,
	.call = soft_call,
};

/* The NVRAM's only partition, made on the first start. */
static int find_partition(struct soft_pool *sp, const char *dir)
{
	struct {
		struct hsm_partition_list_out head;
		struct hsm_partition_entry entries[HSM_MAX_PARTITIONS];
	} list;
	size_t len = sizeof(list);
	uint16_t st;

	st = hsm_fw_exec(sp->fw, NULL, HSM_OP_PARTITION_LIST, NULL, 0, &list, &len);
	if (st)
		return hsm_status_errno(st);
	if (len < sizeof(list.head))
		return -EREMOTEIO;
	switch (le32toh(list.head.count)) {
	case 0:
		uuid_make(sp->pool.partition);
		len = 0;
		st = hsm_fw_exec(sp->fw, NULL, HSM_OP_PARTITION_CREATE, sp->pool.partition,
				 HSM_UUID_LEN, NULL, &len);
		return hsm_status_errno(st);
	case 1:
		if (len < sizeof(list.head) + sizeof(list.entries[0]))
			return -EREMOTEIO;
		memcpy(sp->pool.partition, list.entries[0].uuid, HSM_UUID_LEN);
		return 0;
	default:
		log_err("soft card %s/nvram holds several partitions: it was made for a device, not for a soft pool; use another directory",
			dir);
		return -EINVAL;
	}
}

int pool_soft_open(const char *dir, struct hsm_pool **out)
{
	struct hsm_fw_config cfg = { 0 };
	struct soft_pool *sp;
	char path[4096];
	int err;

	if (snprintf(path, sizeof(path), "%s/nvram", dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	if (mkdir(dir, 0700) && errno != EEXIST) {
		err = -errno;
		log_err("soft card: cannot make folder %s: %s", dir, strerror(-err));
		return err;
	}
	sp = calloc(1, sizeof(*sp));
	if (!sp)
		return -ENOMEM;
	sp->pool.ops = &soft_ops;
	sp->pool.fd = -1;
	cfg.nvram = path;
	err = hsm_fw_open(&cfg, &sp->fw);
	if (err) {
		log_err("soft card %s: %s%s", path, strerror(-err),
			err == -EBUSY ? "; another process uses it" : "");
		goto fail;
	}
	err = find_partition(sp, dir);
	if (err)
		goto fail;
	err = hsm_status_errno(hsm_fw_bind(sp->fw, sp->pool.partition));
	if (err)
		goto fail;
	sp->bound = true;
	log_warn("SOFT CARD in %s: no HSM is used. Keys are protected by the permissions of files only. Not for production.",
		 path);
	*out = &sp->pool;
	return 0;
fail:
	soft_close(&sp->pool);
	return err;
}
