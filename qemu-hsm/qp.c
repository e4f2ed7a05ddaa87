// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Queue pairs: rings in guest memory, shadow doorbells, completions.
 *
 * The guest is hostile: every field is loaded once, into memory that it can't
 * reach, and judged there.
 */
#include "hsm.h"
#include "exec/cpu-common.h"

/* Passes over the ring before other descriptors of the ring thread get a turn. */
#define PASSES 8

/* @written: bytes that may have been stored to; what isn't RAM gets just these. */
static void unmap(HsmState *s, HsmMap *map, dma_addr_t written)
{
	if (map->host)
		dma_memory_unmap(pci_get_address_space(&s->pci), map->host, map->len, map->dir,
				 written);
	map->host = NULL;
}

/*
 * Maps guest RAM: @len bytes of it, or what is in one piece.  The mapping holds a
 * reference to the memory behind it.  What isn't RAM would come back as a bounce
 * buffer: refused.
 */
static bool map_ram(HsmState *s, HsmMap *map, uint64_t addr, dma_addr_t len, DMADirection dir)
{
	/* A bounce buffer must not be filled from a device's registers. */
	const MemTxAttrs attrs = { .memory = 1 };
	bool ram = false;
	ram_addr_t offset;

	map->len = len;
	map->dir = dir;
	map->host = dma_memory_map(pci_get_address_space(&s->pci), addr, &map->len, dir,
				   attrs);
	if (map->host) {
		WITH_RCU_READ_LOCK_GUARD() {
			ram = qemu_ram_block_from_host(map->host, false, &offset);
		}
		/* A bounce buffer holds old memory of ours: nothing of it may be written back. */
		if (!ram)
			unmap(s, map, 0);
	}
	return ram;
}

/* As a whole, for as long as a pair lives. */
static bool map_ring(HsmState *s, HsmMap *map, uint64_t addr, dma_addr_t len, DMADirection dir)
{
	if (!map_ram(s, map, addr, len, dir))
		return false;
	if (map->len == len)
		return true;
	unmap(s, map, 0);
	return false;
}

int hsm_dma(HsmState *s, uint64_t addr, void *buf, size_t len, DMADirection dir)
{
	HsmMap map;

	if (addr + len < addr || qatomic_read(&s->mute))
		return -EFAULT;
	while (len) {
		if (!map_ram(s, &map, addr, len, dir))
			return -EFAULT;
		if (dir == DMA_DIRECTION_TO_DEVICE)
			memcpy(buf, map.host, map.len);
		else
			memcpy(map.host, buf, map.len);
		addr += map.len;
		buf = (uint8_t *)buf + map.len;
		len -= map.len;
		unmap(s, &map, map.len);
	}
	return 0;
}

static struct hsm_shadow *shadow(HsmQp *qp)
{
	return qp->shadow_map.host;
}

static uint16_t load_tail(HsmQp *qp)
{
	/* Pairs with the host's release of the index: the entries below it are there. */
	return le16_to_cpu(qatomic_load_acquire(&shadow(qp)->sq_tail));
}

static void store_sq_event(HsmQp *qp, uint16_t event)
{
	qemu_mutex_lock(&qp->lock);
	if (!qatomic_read(&qp->s->mute))
		qatomic_set(&shadow(qp)->sq_event, cpu_to_le16(event));
	qemu_mutex_unlock(&qp->lock);
}

/*
 * While the card polls, no tail may reach the event: a ring's length behind,
 * since the host reads the event after it has moved the tail, and the card may
 * have taken that entry by then.
 */
static void store_sq_event_polling(HsmQp *qp)
{
	store_sq_event(qp, qp->head - 1 - HSM_MAX_RING);
}

static bool may_take(HsmQp *qp)
{
	HsmState *s = qp->s;

	return !qp->stopping && !qatomic_read(&qp->starved) && !qatomic_read(&s->hang) &&
	       !qatomic_read(&s->fatal) && !qatomic_read(&s->mute);
}

/* ---- completions ---- */

/* Under qp->lock. */
static void post(HsmQp *qp, uint16_t cid, uint16_t status, uint32_t out_len)
{
	struct hsm_cqe *cqe = qp->cq_map.host;
	uint16_t phase = !((qp->done / qp->entries) & 1);
	uint64_t last = qatomic_read(&qp->head) | (uint64_t)cid << 16 | (uint64_t)status << 32 |
			(uint64_t)phase << 48;

	QEMU_BUILD_BUG_ON(offsetof(struct hsm_cqe, sq_head) != 24 || sizeof(*cqe) != 32);
	if (qatomic_read(&qp->s->mute))
		return;
	cqe += qp->done & (qp->entries - 1);
	memset(cqe, 0, 24);
	cqe->out_len = cpu_to_le32(out_len);
	/* One store, after the rest of the entry and the output buffer: the host polls the phase. */
	qatomic_store_release((uint64_t *)((uint8_t *)cqe + 24), cpu_to_le64(last));
	qp->done++;
}

/* Raises the vector if the host asked for it within (old, new]. */
static void notify(HsmQp *qp, uint16_t old, uint16_t new)
{
	uint16_t event;

	/* The index, that is the phase, before the event: the host does the reverse. */
	smp_mb();
	event = le16_to_cpu(qatomic_read(&shadow(qp)->cq_event));
	if ((uint16_t)(new - event - 1) < (uint16_t)(new - old))
		hsm_raise(qp->s, qp->vector);
}

void hsm_cmd_complete(HsmCmd *cmd, uint16_t status, void *out, uint32_t out_len)
{
	HsmQp *qp = cmd->qp;
	uint16_t old, new;

	/* Output and completion under the lock: hsm_mute() comes before them or after. */
	qemu_mutex_lock(&qp->lock);
	if (out_len && hsm_dma(qp->s, le64_to_cpu(cmd->sqe.out_addr), out, out_len,
			       DMA_DIRECTION_FROM_DEVICE)) {
		status = HSM_ST_DMA;
		out_len = 0;
	}
	old = qp->done;
	post(qp, le16_to_cpu(cmd->sqe.cid), status, out_len);
	new = qp->done;
	qemu_mutex_unlock(&qp->lock);
	notify(qp, old, new);
}

/* ---- command slots ---- */

static HsmCmd *get_slot(HsmQp *qp)
{
	HsmCmd *cmd;

	qemu_mutex_lock(&qp->lock);
	cmd = QSIMPLEQ_FIRST(&qp->free);
	if (cmd)
		QSIMPLEQ_REMOVE_HEAD(&qp->free, next);
	else
		qatomic_set(&qp->starved, true);
	qemu_mutex_unlock(&qp->lock);
	if (cmd)
		qatomic_inc(&qp->inflight);
	return cmd;
}

void hsm_cmd_put(HsmCmd *cmd)
{
	HsmQp *qp = cmd->qp;
	HsmState *s = qp->s;

	qemu_mutex_lock(&qp->lock);
	QSIMPLEQ_INSERT_HEAD(&qp->free, cmd, next);
	if (qp->starved) {
		qatomic_set(&qp->starved, false);
		event_notifier_set(&qp->kick);
	}
	qemu_mutex_unlock(&qp->lock);
	/* The slots may be gone after this; the pair and the device stay. */
	if (qatomic_fetch_dec(&qp->inflight) == 1 && qatomic_read(&qp->stopping)) {
		qemu_bh_schedule(s->bh);
		qemu_cond_broadcast(&s->changed);
	}
}

/* ---- fault injection: late completions ---- */

static int64_t now_ns(void)
{
	return qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
}

void hsm_delay_run(HsmState *s)
{
	HsmCmdList keep = QSIMPLEQ_HEAD_INITIALIZER(keep);
	int64_t first = INT64_MAX;
	HsmCmd *cmd;

	while ((cmd = QSIMPLEQ_FIRST(&s->delayed))) {
		QSIMPLEQ_REMOVE_HEAD(&s->delayed, next);
		if (cmd->due_ns <= now_ns()) {
			hsm_workers_push(s, cmd);
			continue;
		}
		QSIMPLEQ_INSERT_TAIL(&keep, cmd, next);
		first = MIN(first, cmd->due_ns);
	}
	QSIMPLEQ_CONCAT(&s->delayed, &keep);
	if (first != INT64_MAX)
		timer_mod(s->delay_timer, first);
}

static void delay(HsmState *s, HsmCmd *cmd, uint32_t ms)
{
	cmd->due_ns = now_ns() + ms * (int64_t)SCALE_MS;
	QSIMPLEQ_INSERT_TAIL(&s->delayed, cmd, next);
	timer_mod_anticipate(s->delay_timer, cmd->due_ns);
}

static void drop_delayed(HsmQp *qp)
{
	HsmState *s = qp->s;
	HsmCmdList keep = QSIMPLEQ_HEAD_INITIALIZER(keep);
	HsmCmd *cmd;

	while ((cmd = QSIMPLEQ_FIRST(&s->delayed))) {
		QSIMPLEQ_REMOVE_HEAD(&s->delayed, next);
		if (cmd->qp == qp)
			hsm_cmd_put(cmd);
		else
			QSIMPLEQ_INSERT_TAIL(&keep, cmd, next);
	}
	QSIMPLEQ_CONCAT(&s->delayed, &keep);
}

/* ---- submissions ---- */

static uint16_t check_sqe(const struct hsm_sqe *sqe)
{
	if (sqe->flags || sqe->rsvd || !buffer_is_zero(sqe->rsvd2, sizeof(sqe->rsvd2)))
		return HSM_ST_INVALID_FIELD;
	if (le32_to_cpu(sqe->in_len) > HSM_MAX_PAYLOAD ||
	    le32_to_cpu(sqe->out_len) > HSM_MAX_PAYLOAD)
		return HSM_ST_INVALID_LENGTH;
	return HSM_ST_OK;
}

/*
 * A no-op touches no key and no buffer: handing it to a worker would cost more
 * than running it here.  Nothing that computes may take this way.
 */
static bool is_inline(HsmQp *qp, const struct hsm_sqe *sqe)
{
	return sqe->opcode == HSM_OP_NOP && qp->qid && !sqe->in_len &&
	       !qatomic_read(&qp->s->delay_ms);
}

/*
 * Takes what the tail promises.  Sets *@posted if it completed something, and then
 * *@first to the index of the first completion unless there was one before.
 */
static void take(HsmQp *qp, bool *posted, uint16_t *first)
{
	HsmState *s = qp->s;
	struct hsm_sqe *ring = qp->sq_map.host;
	uint16_t tail = load_tail(qp);
	uint16_t n = tail - qp->head;
	uint32_t delay_ms;
	HsmCmd *cmd;

	if (n > qp->entries) {
		hsm_fatal(s, "submission tail beyond the ring");
		return;
	}
	while (n && may_take(qp)) {
		struct hsm_sqe sqe;
		uint16_t status;
		size_t none = 0;

		memcpy(&sqe, &ring[qp->head & (qp->entries - 1)], sizeof(sqe));
		status = check_sqe(&sqe);
		if (status == HSM_ST_OK && !is_inline(qp, &sqe)) {
			cmd = get_slot(qp);
			if (!cmd)
				break;
			qatomic_set(&qp->head, qp->head + 1);
			n--;
			cmd->sqe = sqe;
			delay_ms = qp->qid ? qatomic_read(&s->delay_ms) : 0;
			if (delay_ms)
				delay(s, cmd, delay_ms);
			else
				hsm_workers_push(s, cmd);
			continue;
		}
		qatomic_set(&qp->head, qp->head + 1);
		n--;
		if (status == HSM_ST_OK)
			status = hsm_fw_exec(s->fw, qp->partition, sqe.opcode, NULL, 0, NULL, &none);
		qemu_mutex_lock(&qp->lock);
		if (!*posted)
			*first = qp->done;
		post(qp, le16_to_cpu(sqe.cid), status, 0);
		*posted = true;
		qemu_mutex_unlock(&qp->lock);
	}
}

static void process(HsmQp *qp)
{
	uint16_t first = 0, done;
	bool posted = false;
	int pass;

	if (!qp->live)
		return;
	for (pass = 0; pass < PASSES; pass++) {
		if (may_take(qp))
			take(qp, &posted, &first);
		if (qp->polling)
			store_sq_event_polling(qp);
		else
			store_sq_event(qp, qp->head);
		/* The event before the tail: the host does the reverse. */
		smp_mb();
		if (!may_take(qp) || load_tail(qp) == qp->head)
			break;
	}
	if (pass == PASSES)
		event_notifier_set(&qp->kick);
	if (!posted)
		return;
	qemu_mutex_lock(&qp->lock);
	done = qp->done;
	qemu_mutex_unlock(&qp->lock);
	notify(qp, first, done);
}

static void kicked(EventNotifier *e)
{
	HsmQp *qp = container_of(e, HsmQp, kick);

	if (event_notifier_test_and_clear(e))
		process(qp);
}

static bool poll(void *opaque)
{
	HsmQp *qp = container_of(opaque, HsmQp, kick);

	return may_take(qp) && load_tail(qp) != qp->head;
}

static void poll_ready(EventNotifier *e)
{
	process(container_of(e, HsmQp, kick));
}

static void poll_begin(EventNotifier *e)
{
	HsmQp *qp = container_of(e, HsmQp, kick);

	qp->polling = true;
	store_sq_event_polling(qp);
}

static void poll_end(EventNotifier *e)
{
	HsmQp *qp = container_of(e, HsmQp, kick);

	qp->polling = false;
	store_sq_event(qp, qp->head);
	/* Before the last look at the tail, which the AioContext takes now. */
	smp_mb();
}

/* ---- life cycle ---- */

uint16_t hsm_qp_start(HsmQp *qp, uint16_t entries, uint16_t vector, uint64_t sq, uint64_t cq,
		      uint64_t shadow_addr)
{
	HsmState *s = qp->s;
	uint16_t i;

	if (!map_ring(s, &qp->sq_map, sq, entries * sizeof(struct hsm_sqe),
		     DMA_DIRECTION_TO_DEVICE) ||
	    !map_ring(s, &qp->cq_map, cq, entries * sizeof(struct hsm_cqe),
		     DMA_DIRECTION_FROM_DEVICE) ||
	    !map_ring(s, &qp->shadow_map, shadow_addr, sizeof(struct hsm_shadow),
		     DMA_DIRECTION_FROM_DEVICE)) {
		unmap(s, &qp->sq_map, 0);
		unmap(s, &qp->cq_map, 0);
		unmap(s, &qp->shadow_map, 0);
		return HSM_ST_DMA;
	}

	qp->entries = entries;
	qp->vector = vector;
	qp->polling = false;
	qp->deleting = NULL;
	qp->starved = false;
	qp->done = 0;
	qatomic_set(&qp->head, 0);
	qp->slots = g_new0(HsmCmd, entries);
	QSIMPLEQ_INIT(&qp->free);
	for (i = 0; i < entries; i++) {
		qp->slots[i].qp = qp;
		QSIMPLEQ_INSERT_TAIL(&qp->free, &qp->slots[i], next);
	}
	qatomic_set(&qp->stopping, false);
	qp->live = true;
	hsm_set_event_notifier(s->ctx, &qp->kick, kicked, poll, poll_ready);
	aio_set_event_notifier_poll(s->ctx, &qp->kick, poll_begin, poll_end);
	/* The host may have submitted already. */
	event_notifier_set(&qp->kick);
	return HSM_ST_OK;
}

void hsm_qp_stop(HsmQp *qp)
{
	if (!qp->live || qp->stopping)
		return;
	hsm_set_event_notifier(qp->s->ctx, &qp->kick, NULL, NULL, NULL);
	qatomic_set(&qp->stopping, true);
	/* Pairs with the decrement in hsm_cmd_put(): one of the two sees the other. */
	smp_mb();
	drop_delayed(qp);
}

bool hsm_qp_drained(HsmQp *qp)
{
	return qatomic_read(&qp->inflight) == 0;
}

void hsm_qp_release(HsmQp *qp)
{
	HsmState *s = qp->s;

	unmap(s, &qp->sq_map, 0);
	unmap(s, &qp->cq_map, qp->cq_map.len);
	unmap(s, &qp->shadow_map, qp->shadow_map.len);
	g_free(qp->slots);
	qp->slots = NULL;
	qp->live = false;
	if (qp->bound)
		hsm_fw_unbind(s->fw, qp->partition);
	qp->bound = false;
	qp->has_partition = false;
}
