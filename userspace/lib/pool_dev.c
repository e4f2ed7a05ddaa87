// SPDX-License-Identifier: Apache-2.0
/* The driver's pool device, /dev/hsm/<pool>. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <hsm.h>

#include "log.h"
#include "pool_priv.h"

#define RETRY_MS 1	/* between two tries while every queue pair is full */

_Static_assert(sizeof(struct hsm_exec) == 32, "struct hsm_exec");
_Static_assert(sizeof(struct hsm_ioc_exec) == 48, "struct hsm_ioc_exec");
_Static_assert(sizeof(struct hsm_ioc_info) == 64, "struct hsm_ioc_info");

struct dev_port {
	struct hsm_port port;
	/*
	 * Commands that found the pool full, oldest first (hsm_cmd.work).  Newer ones queue
	 * behind them; each completion lets one go, and the timer all of them.
	 */
	struct ring_work *head, **tail;
	struct ring_timer retry;
	bool armed, closed;
};

static struct hsm_cmd *cmd_of_work(struct ring_work *w)
{
	return (struct hsm_cmd *)((char *)w - offsetof(struct hsm_cmd, work));
}

static struct hsm_cmd *cmd_of_op(struct ring_op *op)
{
	return (struct hsm_cmd *)((char *)op - offsetof(struct hsm_cmd, op));
}

static unsigned int timeout_of(const struct hsm_cmd *cmd)
{
	return cmd->timeout_ms ? cmd->timeout_ms : POOL_TIMEOUT_MS;
}

static struct hsm_cmd *dequeue(struct dev_port *port)
{
	struct ring_work *w = port->head;

	if (!w)
		return NULL;
	port->head = w->next;
	if (!port->head)
		port->tail = &port->head;
	return cmd_of_work(w);
}

static void retry_arm(struct dev_port *port)
{
	if (port->armed)
		return;
	port->armed = true;
	ring_timer_start(port->port.ring, &port->retry, RETRY_MS);
}

static void enqueue(struct dev_port *port, struct hsm_cmd *cmd)
{
	cmd->work.next = NULL;
	*port->tail = &cmd->work;
	port->tail = &cmd->work.next;
	retry_arm(port);
}

static void cmd_done(struct ring_op *op, int res, uint32_t flags, uint64_t extra);

static void send_cmd(struct dev_port *port, struct hsm_cmd *cmd)
{
	struct hsm_exec exec = {
		.opcode = cmd->opcode,
		.timeout_ms = cmd->timeout_ms,
		.in_addr = cmd->in_len ? (uintptr_t)cmd->in : 0,
		.out_addr = cmd->out_cap ? (uintptr_t)cmd->out : 0,
		.in_len = cmd->in_len,
		.out_len = cmd->out_cap,
	};
	struct io_uring_sqe *sqe;

	cmd->op.done = cmd_done;
	sqe = ring_sqe(port->port.ring, &cmd->op);
	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, port->port.pool->fd, NULL, 0, 0);
	sqe->cmd_op = HSM_URING_CMD_EXEC;
	memcpy(sqe->cmd, &exec, sizeof(exec));
}

static void cmd_done(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	struct hsm_cmd *cmd = cmd_of_op(op), *next;
	struct dev_port *port = (struct dev_port *)cmd->port;

	(void)flags;
	if (res == -EBUSY && !extra) {
		if (ring_now(port->port.ring) < cmd->deadline) {
			enqueue(port, cmd);
			return;
		}
	} else {
		/* What completed left a slot. */
		next = dequeue(port);
		if (next)
			send_cmd(port, next);
	}
	cmd->done(cmd, res < 0 ? res : 0, (uint16_t)extra, res < 0 ? 0 : (uint32_t)res);
}

static void retry_fire(struct ring_op *op, int res, uint32_t flags, uint64_t extra)
{
	struct dev_port *port = (struct dev_port *)((char *)op - offsetof(struct dev_port, retry.op));
	struct ring_work *w, *next;

	(void)res, (void)flags, (void)extra;
	port->armed = false;
	if (port->closed) {
		free(port);
		return;
	}
	w = port->head;
	port->head = NULL;
	port->tail = &port->head;
	for (; w; w = next) {
		next = w->next;
		send_cmd(port, cmd_of_work(w));
	}
}

static void dev_submit(struct hsm_port *p, struct hsm_cmd *cmd)
{
	struct dev_port *port = (struct dev_port *)p;

	cmd->deadline = ring_now(p->ring) + timeout_of(cmd);
	if (port->head)
		enqueue(port, cmd);
	else
		send_cmd(port, cmd);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int dev_call(struct hsm_pool *pool, uint8_t opcode, const void *in, uint32_t in_len,
		    void *out, uint32_t *out_len, uint16_t *status)
{
	const struct timespec pause = { .tv_nsec = RETRY_MS * 1000000L };
	uint64_t deadline = now_ms() + POOL_TIMEOUT_MS;
	struct hsm_ioc_exec ioc = {
		.size = sizeof(ioc),
		.exec = {
			.opcode = opcode,
			.in_addr = in_len ? (uintptr_t)in : 0,
			.out_addr = *out_len ? (uintptr_t)out : 0,
			.in_len = in_len,
			.out_len = *out_len,
		},
	};
	int err;

	for (;;) {
		err = ioctl(pool->fd, HSM_IOC_EXEC, &ioc) ? -errno : 0;
		if (err != -EBUSY || ioc.status || now_ms() >= deadline)
			break;
		nanosleep(&pause, NULL);
	}
	*status = (uint16_t)ioc.status;
	/* The driver may answer a card's refusal as success of the ioctl. */
	if (!err && *status)
		err = hsm_status_errno(*status);
	if (!err)
		*out_len = ioc.reply_len;
	return err;
}

static int dev_port_open(struct hsm_pool *pool, struct ring *ring, struct hsm_port **out)
{
	struct dev_port *port = calloc(1, sizeof(*port));

	if (!port)
		return -ENOMEM;
	port->port.pool = pool;
	port->port.ring = ring;
	port->tail = &port->head;
	port->retry.op.done = retry_fire;
	*out = &port->port;
	return 0;
}

static void dev_port_close(struct hsm_port *p)
{
	struct dev_port *port = (struct dev_port *)p;

	if (port->armed) {
		port->closed = true;
		ring_cancel(p->ring, &port->retry.op);
	} else {
		free(port);
	}
}

static void dev_close(struct hsm_pool *pool)
{
	close(pool->fd);
	free(pool);
}

static const struct pool_ops dev_ops = {
	.close = dev_close,
	.port_open = dev_port_open,
	.port_close = dev_port_close,
	.submit = dev_submit,
	.call = dev_call,
};

static const char *open_hint(int err)
{
	switch (err) {
	case -ENOENT:
		return "; is hsm.ko loaded, and was the pool made with 'hsmctl pool create'?";
	case -EPERM:
		return "; start this process inside the pool's cgroup ('hsmctl pool list' shows it)";
	case -EACCES:
		return "; the device file's permissions do not admit this user";
	case -ENODEV:
	case -ENXIO:
		return "; the pool was deleted or its cards are gone";
	default:
		return "";
	}
}

int pool_dev_open(const char *path, struct hsm_pool **out)
{
	struct hsm_ioc_info info = { .size = sizeof(info) };
	struct hsm_pool *pool;
	int err;

	pool = calloc(1, sizeof(*pool));
	if (!pool)
		return -ENOMEM;
	pool->ops = &dev_ops;
	pool->fd = open(path, O_RDWR | O_CLOEXEC);
	if (pool->fd < 0) {
		err = -errno;
		log_err("pool %s: %s%s", path, strerror(-err), open_hint(err));
		goto fail;
	}
	if (ioctl(pool->fd, HSM_IOC_INFO, &info)) {
		err = -errno;
		log_err("pool %s: not a pool device: %s", path, strerror(-err));
		goto fail_fd;
	}
	memcpy(pool->partition, info.partition, HSM_UUID_LEN);
	log_info("pool %s: %u queue pairs, depth %u", path, info.queue_pairs, info.depth);
	*out = pool;
	return 0;
fail_fd:
	close(pool->fd);
fail:
	free(pool);
	return err;
}
