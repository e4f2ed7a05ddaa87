// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Worker threads: firmware commands run here, so that real cryptography holds
 * up neither the rings nor a vCPU.
 */
#include "hsm.h"
#include "qemu/rcu.h"

#include <openssl/crypto.h>

static void run(HsmCmd *cmd, uint8_t *in, uint8_t *out)
{
	HsmQp *qp = cmd->qp;
	HsmState *s = qp->s;
	uint32_t in_len = le32_to_cpu(cmd->sqe.in_len);
	size_t out_len = le32_to_cpu(cmd->sqe.out_len);
	size_t wipe = out_len;
	uint16_t status;

	if (hsm_dma(s, le64_to_cpu(cmd->sqe.in_addr), in, in_len, DMA_DIRECTION_TO_DEVICE)) {
		status = HSM_ST_DMA;
		out_len = 0;
		goto post;
	}
	status = hsm_fw_exec(s->fw, qp->has_partition ? qp->partition : NULL, cmd->sqe.opcode, in,
			     in_len, out, &out_len);
	if (status != HSM_ST_OK)
		out_len = 0;
post:
	hsm_cmd_complete(cmd, status, out, out_len);
	OPENSSL_cleanse(in, in_len);
	OPENSSL_cleanse(out, wipe);
	hsm_cmd_put(cmd);
}

static void *worker(void *opaque)
{
	HsmWork *work = opaque;
	HsmState *s = work->s;
	uint8_t *in = g_malloc(HSM_MAX_PAYLOAD);
	uint8_t *out = g_malloc(HSM_MAX_PAYLOAD);

	rcu_register_thread();
	qemu_mutex_lock(&s->work_lock);
	for (;;) {
		HsmCmd *cmd;

		while (!s->quit && QSIMPLEQ_EMPTY(&work->list))
			qemu_cond_wait(&work->cond, &s->work_lock);
		if (s->quit)
			break;
		cmd = QSIMPLEQ_FIRST(&work->list);
		QSIMPLEQ_REMOVE_HEAD(&work->list, next);
		qemu_mutex_unlock(&s->work_lock);

		if (qatomic_read(&cmd->qp->stopping) || qatomic_read(&s->mute))
			hsm_cmd_put(cmd);
		else if (cmd->qp->qid == 0 &&
			 (cmd->sqe.opcode == HSM_OP_CREATE_QP || cmd->sqe.opcode == HSM_OP_DELETE_QP))
			hsm_admin_prepare(cmd);
		else
			run(cmd, in, out);

		qemu_mutex_lock(&s->work_lock);
	}
	qemu_mutex_unlock(&s->work_lock);
	rcu_unregister_thread();
	g_free(in);
	g_free(out);
	return NULL;
}

static void work_init(HsmState *s, HsmWork *work)
{
	work->s = s;
	qemu_cond_init(&work->cond);
	QSIMPLEQ_INIT(&work->list);
}

void hsm_workers_start(HsmState *s)
{
	QSIMPLEQ_INIT(&s->ring_work);
	qemu_mutex_init(&s->work_lock);
	work_init(s, &s->work);
	work_init(s, &s->slow_work);
	for (; s->workers_up <= s->num_workers; s->workers_up++)
		qemu_thread_create(&s->workers[s->workers_up], "hsm-worker", worker,
				   s->workers_up ? &s->work : &s->slow_work, QEMU_THREAD_JOINABLE);
}

void hsm_workers_stop(HsmState *s)
{
	qemu_mutex_lock(&s->work_lock);
	s->quit = true;
	qemu_cond_broadcast(&s->work.cond);
	qemu_cond_broadcast(&s->slow_work.cond);
	qemu_mutex_unlock(&s->work_lock);
	while (s->workers_up)
		qemu_thread_join(&s->workers[--s->workers_up]);
	qemu_cond_destroy(&s->work.cond);
	qemu_cond_destroy(&s->slow_work.cond);
	qemu_mutex_destroy(&s->work_lock);
}

/* Changes of partitions: they wait for the file and for each other, and may hold up nothing else. */
static bool is_slow(const HsmCmd *cmd)
{
	if (cmd->qp->qid)
		return false;
	switch (cmd->sqe.opcode) {
	case HSM_OP_PARTITION_CREATE:
	case HSM_OP_PARTITION_DELETE:
	case HSM_OP_CLONE_OFFER:
	case HSM_OP_CLONE_IMPORT:
		return true;
	default:
		return false;
	}
}

void hsm_workers_push(HsmState *s, HsmCmd *cmd)
{
	HsmWork *work = is_slow(cmd) ? &s->slow_work : &s->work;

	qemu_mutex_lock(&s->work_lock);
	QSIMPLEQ_INSERT_TAIL(&work->list, cmd, next);
	qemu_mutex_unlock(&s->work_lock);
	qemu_cond_signal(&work->cond);
}
