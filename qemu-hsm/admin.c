// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CREATE_QP and DELETE_QP.  A worker reads and checks the input and takes the
 * partition, which may wait for the firmware; the ring thread does the rest.
 */
#include "hsm.h"

static uint16_t check_create(HsmState *s, const struct hsm_create_qp_in *in)
{
	uint16_t qid = le16_to_cpu(in->qid);
	uint16_t entries = le16_to_cpu(in->entries);

	if (!qid || qid > s->max_qps)
		return HSM_ST_INVALID_FIELD;
	if (entries < 2 || entries > HSM_MAX_RING || !is_power_of_2(entries))
		return HSM_ST_INVALID_FIELD;
	if (le16_to_cpu(in->vector) > s->max_qps)
		return HSM_ST_INVALID_FIELD;
	if (le64_to_cpu(in->sq_addr) % 4096 || le64_to_cpu(in->cq_addr) % 4096 ||
	    le64_to_cpu(in->shadow_addr) % sizeof(struct hsm_shadow))
		return HSM_ST_INVALID_FIELD;
	if (in->rsvd || !buffer_is_zero(in->rsvd2, sizeof(in->rsvd2)))
		return HSM_ST_INVALID_FIELD;
	return HSM_ST_OK;
}

static uint16_t check_delete(HsmState *s, const struct hsm_delete_qp_in *in)
{
	uint16_t qid = le16_to_cpu(in->qid);

	if (!qid || qid > s->max_qps || !buffer_is_zero(in->rsvd, sizeof(in->rsvd)))
		return HSM_ST_INVALID_FIELD;
	return HSM_ST_OK;
}

static uint16_t prepare(HsmState *s, HsmCmd *cmd)
{
	bool create = cmd->sqe.opcode == HSM_OP_CREATE_QP;
	size_t len = create ? sizeof(cmd->create) : sizeof(cmd->del);
	uint16_t status;

	if (le32_to_cpu(cmd->sqe.in_len) != len)
		return HSM_ST_INVALID_LENGTH;
	if (hsm_dma(s, le64_to_cpu(cmd->sqe.in_addr), &cmd->create, len, DMA_DIRECTION_TO_DEVICE))
		return HSM_ST_DMA;
	if (!create)
		return check_delete(s, &cmd->del);
	status = check_create(s, &cmd->create);
	if (status != HSM_ST_OK)
		return status;
	status = hsm_fw_bind(s->fw, cmd->create.partition);
	cmd->bound = status == HSM_ST_OK;
	return status;
}

void hsm_admin_prepare(HsmCmd *cmd)
{
	HsmState *s = cmd->qp->s;

	cmd->bound = false;
	cmd->status = prepare(s, cmd);
	qemu_mutex_lock(&s->work_lock);
	QSIMPLEQ_INSERT_TAIL(&s->ring_work, cmd, next);
	qemu_mutex_unlock(&s->work_lock);
	qemu_bh_schedule(s->bh);
	qemu_cond_broadcast(&s->changed);
}

static void finish(HsmCmd *cmd, uint16_t status)
{
	hsm_cmd_complete(cmd, status, NULL, 0);
	hsm_cmd_put(cmd);
}

static void create(HsmState *s, HsmCmd *cmd)
{
	const struct hsm_create_qp_in *in = &cmd->create;
	HsmQp *qp = &s->qps[le16_to_cpu(in->qid)];
	uint16_t status = HSM_ST_NO_RESOURCES;

	if (!qp->live) {
		memcpy(qp->partition, in->partition, sizeof(qp->partition));
		qp->has_partition = true;
		status = hsm_qp_start(qp, le16_to_cpu(in->entries), le16_to_cpu(in->vector),
				      le64_to_cpu(in->sq_addr), le64_to_cpu(in->cq_addr),
				      le64_to_cpu(in->shadow_addr));
	}
	if (status == HSM_ST_OK)
		qp->bound = true;
	else
		hsm_fw_unbind(s->fw, in->partition);
	finish(cmd, status);
}

static void delete(HsmState *s, HsmCmd *cmd)
{
	HsmQp *qp = &s->qps[le16_to_cpu(cmd->del.qid)];

	if (!qp->live || qp->stopping) {
		finish(cmd, HSM_ST_INVALID_FIELD);
		return;
	}
	hsm_qp_stop(qp);
	qp->deleting = cmd;
}

static HsmCmd *next_ring_work(HsmState *s)
{
	HsmCmd *cmd;

	qemu_mutex_lock(&s->work_lock);
	cmd = QSIMPLEQ_FIRST(&s->ring_work);
	if (cmd)
		QSIMPLEQ_REMOVE_HEAD(&s->ring_work, next);
	qemu_mutex_unlock(&s->work_lock);
	return cmd;
}

void hsm_admin_run(HsmState *s)
{
	HsmCmd *cmd;
	uint32_t i;

	while ((cmd = next_ring_work(s))) {
		if (cmd->status != HSM_ST_OK)
			finish(cmd, cmd->status);
		else if (cmd->sqe.opcode == HSM_OP_CREATE_QP)
			create(s, cmd);
		else
			delete(s, cmd);
	}
	for (i = 1; i <= s->max_qps; i++) {
		HsmQp *qp = &s->qps[i];

		cmd = qp->deleting;
		if (!cmd || !hsm_qp_drained(qp))
			continue;
		qp->deleting = NULL;
		hsm_qp_release(qp);
		finish(cmd, HSM_ST_OK);
	}
}

void hsm_admin_drop(HsmState *s)
{
	HsmCmd *cmd;
	uint32_t i;

	while ((cmd = next_ring_work(s))) {
		if (cmd->bound)
			hsm_fw_unbind(s->fw, cmd->create.partition);
		hsm_cmd_put(cmd);
	}
	for (i = 1; i <= s->max_qps; i++) {
		cmd = s->qps[i].deleting;
		s->qps[i].deleting = NULL;
		if (cmd)
			hsm_cmd_put(cmd);
	}
}
