// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * HSM card: PCI function, registers, life cycle.  Guest-visible behaviour:
 * Documentation/hardware.rst.  Use: Documentation/qemu.rst.
 */
#include "hsm.h"
#include "hw/pci/msi.h"
#include "hw/pci/msix.h"
#include "hw/pci/pcie.h"
#include "hw/pci/pcie_aer.h"
#include "qapi/visitor.h"
#include "qemu/error-report.h"
#include "qemu/lockable.h"
#include "qemu/log.h"
#include "qemu/module.h"

/* For READY to follow ENABLE, as the guest is told; and until an unplug that waits complains. */
#define TIMEOUT_MS	5000
#define EXP_CAP		0x80
#define AER_CAP		0x100

/* ---- state machine, ring thread ---- */

void hsm_fatal(HsmState *s, const char *why)
{
	if (!qatomic_xchg(&s->fatal, true))
		qemu_log_mask(LOG_GUEST_ERROR, "hsm: fatal: %s\n", why);
}

static void set_run_state(HsmState *s, HsmRunState state)
{
	qemu_mutex_lock(&s->lock);
	qatomic_set(&s->run_state, state);
	qemu_cond_broadcast(&s->changed);
	qemu_mutex_unlock(&s->lock);
}

static bool bus_master(HsmState *s)
{
	return pci_get_word(s->pci.config + PCI_COMMAND) & PCI_COMMAND_MASTER;
}

static bool start(HsmState *s)
{
	uint64_t sq, cq, shadow;
	uint32_t size;
	bool iommu;

	qemu_mutex_lock(&s->lock);
	iommu = s->iommu;
	size = s->admin_size;
	sq = s->admin_sq;
	cq = s->admin_cq;
	shadow = s->admin_shadow;
	/* Who mutes has cleared one of these before it takes the lock. */
	qatomic_set(&s->mute, !s->enable || qatomic_read(&s->gone) || !bus_master(s));
	qemu_mutex_unlock(&s->lock);

	/* Rings stay mapped: what the guest takes out of the IOMMU would stay in reach. */
	if (iommu) {
		error_report_once("hsm: the card is behind an IOMMU, which it does not support");
		hsm_fatal(s, "behind an IOMMU");
		return false;
	}
	if (size < 2 || size > HSM_MAX_RING || !is_power_of_2(size) || sq % 4096 || cq % 4096 ||
	    shadow % sizeof(struct hsm_shadow)) {
		hsm_fatal(s, "admin queue registers");
		return false;
	}
	if (hsm_qp_start(&s->qps[0], size, 0, sq, cq, shadow) != HSM_ST_OK) {
		hsm_fatal(s, "admin queue out of reach");
		return false;
	}
	return true;
}

static bool drained(HsmState *s)
{
	uint32_t i;

	for (i = 0; i <= s->max_qps; i++) {
		if (s->qps[i].live && !hsm_qp_drained(&s->qps[i]))
			return false;
	}
	return true;
}

static void for_each_live(HsmState *s, void (*fn)(HsmQp *qp))
{
	uint32_t i;

	for (i = 0; i <= s->max_qps; i++) {
		if (s->qps[i].live)
			fn(&s->qps[i]);
	}
}

/* Moves run_state towards what ENABLE asks for.  Bottom half: called when anything changed. */
static void reconcile(void *opaque)
{
	HsmState *s = opaque;

	for (;;) {
		bool enable = qatomic_read(&s->enable) && !qatomic_read(&s->gone);

		switch (qatomic_read(&s->run_state)) {
		case HSM_STOPPED:
			if (!enable) {
				qatomic_set(&s->fatal, false);
				return;
			}
			if (qatomic_read(&s->fatal) || !start(s))
				return;
			set_run_state(s, HSM_RUNNING);
			break;
		case HSM_RUNNING:
			/* A muted card was reset, even if ENABLE is set again by now. */
			if (enable && !qatomic_read(&s->mute)) {
				hsm_delay_run(s);
				hsm_admin_run(s);
				return;
			}
			for_each_live(s, hsm_qp_stop);
			set_run_state(s, HSM_STOPPING);
			break;
		case HSM_STOPPING:
			hsm_admin_drop(s);
			if (!drained(s))
				return;
			for_each_live(s, hsm_qp_release);
			if (!enable)
				qatomic_set(&s->fatal, false);
			set_run_state(s, HSM_STOPPED);
			break;
		}
	}
}

/* ---- vectors ---- */

/* BQL.  Who has read that READY is clear sees no vector any more. */
static bool may_raise(HsmState *s)
{
	return !qatomic_read(&s->mute) && qatomic_read(&s->run_state) != HSM_STOPPED;
}

/* Where x86 has its interrupt controllers, and nothing else can be mapped. */
static bool is_interrupt(MSIMessage msg)
{
	return msg.address >> 20 == 0xfee;
}

void hsm_raise(HsmState *s, uint16_t vector)
{
	bool locked = bql_locked();

	/* Before the look at mute: hsm_exit() does the reverse. */
	qatomic_inc(&s->raising);
	if (!qatomic_read(&s->mute)) {
		if (!locked)
			bql_lock();
		if (!may_raise(s)) {
			/* Too late. */
		} else if (is_interrupt(msix_get_message(&s->pci, vector))) {
			msix_notify(&s->pci, vector);
		} else {
			set_bit(vector, s->vectors);
			qemu_bh_schedule(s->vector_bh);
		}
		if (!locked)
			bql_unlock();
	}
	qatomic_dec(&s->raising);
}

static void raise_vectors(void *opaque)
{
	HsmState *s = opaque;
	uint32_t i;

	/* A message may be aimed at the slot, and eject the card. */
	object_ref(OBJECT(s));
	for (i = 0; i <= s->max_qps; i++) {
		if (test_and_clear_bit(i, s->vectors) && may_raise(s))
			msix_notify(&s->pci, i);
	}
	object_unref(OBJECT(s));
}

/* ---- waiting for the ring thread, BQL held ---- */

void hsm_mute(HsmState *s)
{
	uint32_t i;

	qemu_mutex_lock(&s->lock);
	qatomic_set(&s->mute, true);
	qemu_mutex_unlock(&s->lock);
	/* Whoever found it clear writes under the lock of a pair: wait for that. */
	for (i = 0; i <= s->max_qps; i++) {
		qemu_mutex_lock(&s->qps[i].lock);
		qemu_mutex_unlock(&s->qps[i].lock);
	}
}

static bool own_context(HsmState *s)
{
	return s->ctx != qemu_get_aio_context();
}

/* Of a card that is gone, which nothing starts again. */
static void wait_stopped(HsmState *s)
{
	int64_t end = qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + TIMEOUT_MS;

	for (;;) {
		if (own_context(s))
			qemu_bh_schedule(s->bh);
		else
			reconcile(s);
		if (qatomic_read(&s->run_state) == HSM_STOPPED)
			return;
		if (qemu_clock_get_ms(QEMU_CLOCK_REALTIME) >= end) {
			/* A slow disk; or somebody else's use of the IOThread wants the BQL. */
			error_report("hsm: unplug waits for the card to drain");
			bql_unlock();
			g_usleep(1000);
			bql_lock();
			end += TIMEOUT_MS;
		}
		qemu_mutex_lock(&s->lock);
		/* Bounded, since workers signal without the lock. */
		if (s->run_state != HSM_STOPPED)
			qemu_cond_timedwait(&s->changed, &s->lock, 10);
		qemu_mutex_unlock(&s->lock);
	}
}

typedef struct RingCall {
	HsmState *s;
	void (*fn)(void *opaque);
	bool done;
} RingCall;

static void ring_call_bh(void *opaque)
{
	RingCall *call = opaque;
	HsmState *s = call->s;

	call->fn(s);
	qemu_mutex_lock(&s->lock);
	call->done = true;
	qemu_cond_broadcast(&s->changed);
	qemu_mutex_unlock(&s->lock);
}

/* Runs fn in the ring thread: afterwards no earlier callback runs there any more. */
static void ring_call(HsmState *s, void (*fn)(void *opaque))
{
	RingCall call = { .s = s, .fn = fn };

	if (!own_context(s)) {
		fn(s);
		return;
	}
	aio_bh_schedule_oneshot(s->ctx, ring_call_bh, &call);
	qemu_mutex_lock(&s->lock);
	while (!call.done)
		qemu_cond_wait(&s->changed, &s->lock);
	qemu_mutex_unlock(&s->lock);
}

/* ---- registers, BQL held ---- */

static uint32_t status(HsmState *s)
{
	uint32_t val = 0;

	if (qatomic_read(&s->run_state) != HSM_STOPPED)
		val |= HSM_STATUS_READY;
	if (qatomic_read(&s->fatal))
		val |= HSM_STATUS_FATAL;
	return val;
}

static uint64_t regs_read(void *opaque, hwaddr addr, unsigned int size)
{
	HsmState *s = opaque;

	if (qatomic_read(&s->gone))
		return UINT32_MAX;
	switch (addr) {
	case HSM_REG_MAGIC:		return HSM_MAGIC;
	case HSM_REG_VERSION:		return HSM_VERSION;
	case HSM_REG_CAP:		return HSM_MAX_RING | s->max_qps << 16;
	case HSM_REG_TIMEOUT:		return TIMEOUT_MS;
	case HSM_REG_CONTROL:		return s->enable ? HSM_CONTROL_ENABLE : 0;
	case HSM_REG_STATUS:		return status(s);
	case HSM_REG_ADMIN_SIZE:	return s->admin_size;
	case HSM_REG_ADMIN_SQ_LO:	return extract64(s->admin_sq, 0, 32);
	case HSM_REG_ADMIN_SQ_HI:	return extract64(s->admin_sq, 32, 32);
	case HSM_REG_ADMIN_CQ_LO:	return extract64(s->admin_cq, 0, 32);
	case HSM_REG_ADMIN_CQ_HI:	return extract64(s->admin_cq, 32, 32);
	case HSM_REG_ADMIN_SHADOW_LO:	return extract64(s->admin_shadow, 0, 32);
	case HSM_REG_ADMIN_SHADOW_HI:	return extract64(s->admin_shadow, 32, 32);
	default:			return 0;
	}
}

static void regs_write(void *opaque, hwaddr addr, uint64_t val, unsigned int size)
{
	HsmState *s = opaque;

	if (qatomic_read(&s->gone))
		return;
	QEMU_LOCK_GUARD(&s->lock);
	if (addr == HSM_REG_CONTROL) {
		/* Not in realize(): the IOMMU may be made after the card. */
		s->iommu = pci_device_iommu_address_space(&s->pci) != &address_space_memory;
		qatomic_set(&s->enable, !!(val & HSM_CONTROL_ENABLE));
		qemu_bh_schedule(s->bh);
		return;
	}
	if (s->enable || s->run_state != HSM_STOPPED) {
		qemu_log_mask(LOG_GUEST_ERROR, "hsm: write to 0x%" HWADDR_PRIx " while enabled\n",
			      addr);
		return;
	}
	switch (addr) {
	case HSM_REG_ADMIN_SIZE:
		s->admin_size = val;
		break;
	case HSM_REG_ADMIN_SQ_LO:
		s->admin_sq = deposit64(s->admin_sq, 0, 32, val);
		break;
	case HSM_REG_ADMIN_SQ_HI:
		s->admin_sq = deposit64(s->admin_sq, 32, 32, val);
		break;
	case HSM_REG_ADMIN_CQ_LO:
		s->admin_cq = deposit64(s->admin_cq, 0, 32, val);
		break;
	case HSM_REG_ADMIN_CQ_HI:
		s->admin_cq = deposit64(s->admin_cq, 32, 32, val);
		break;
	case HSM_REG_ADMIN_SHADOW_LO:
		s->admin_shadow = deposit64(s->admin_shadow, 0, 32, val);
		break;
	case HSM_REG_ADMIN_SHADOW_HI:
		s->admin_shadow = deposit64(s->admin_shadow, 32, 32, val);
		break;
	}
}

static const MemoryRegionOps regs_ops = {
	.read = regs_read,
	.write = regs_write,
	.endianness = DEVICE_LITTLE_ENDIAN,
	.valid = { .min_access_size = 4, .max_access_size = 4 },
	.impl = { .min_access_size = 4, .max_access_size = 4 },
};

/*
 * Without the BQL.  Doorbells of existing queue pairs have an eventfd and never
 * come here; with KVM they don't even leave the kernel.  The value is not
 * needed: the tail in the shadow doorbell says the same.
 */
static uint64_t doorbell_read(void *opaque, hwaddr addr, unsigned int size)
{
	HsmState *s = opaque;

	return qatomic_read(&s->gone) ? UINT32_MAX : 0;
}

static void doorbell_write(void *opaque, hwaddr addr, uint64_t val, unsigned int size)
{
}

static const MemoryRegionOps doorbell_ops = {
	.read = doorbell_read,
	.write = doorbell_write,
	.endianness = DEVICE_LITTLE_ENDIAN,
	.valid = { .min_access_size = 4, .max_access_size = 4 },
	.impl = { .min_access_size = 4, .max_access_size = 4 },
};

/* ---- configuration space ---- */

static uint32_t config_read(PCIDevice *pci, uint32_t addr, int len)
{
	HsmState *s = HSM(pci);

	if (qatomic_read(&s->gone))
		return UINT32_MAX >> (32 - 8 * len);
	return pci_default_read_config(pci, addr, len);
}

static void config_write(PCIDevice *pci, uint32_t addr, uint32_t val, int len)
{
	HsmState *s = HSM(pci);

	if (qatomic_read(&s->gone))
		return;
	pci_default_write_config(pci, addr, val, len);
	pcie_cap_flr_write_config(pci, addr, val, len);
	pcie_aer_write_config(pci, addr, val, len);
	/* The rings stay mapped, so that a cleared bus master enable has to stop them here. */
	if (bus_master(s) || qatomic_read(&s->mute))
		return;
	if (qatomic_read(&s->enable))
		hsm_fatal(s, "bus mastering disabled under running rings");
	hsm_mute(s);
	qemu_bh_schedule(s->bh);
}

/* ---- fault injection: properties that qom-set may change at run time ---- */

static bool get_hang(Object *obj, Error **errp)
{
	return qatomic_read(&HSM(obj)->hang);
}

static void set_hang(Object *obj, bool value, Error **errp)
{
	HsmState *s = HSM(obj);
	uint32_t i;

	qatomic_set(&s->hang, value);
	for (i = 0; !value && s->qps && i <= s->max_qps; i++)
		event_notifier_set(&s->qps[i].kick);
}

static void get_delay(Object *obj, Visitor *v, const char *name, void *opaque, Error **errp)
{
	uint32_t value = qatomic_read(&HSM(obj)->delay_ms);

	visit_type_uint32(v, name, &value, errp);
}

static void set_delay(Object *obj, Visitor *v, const char *name, void *opaque, Error **errp)
{
	uint32_t value;

	if (visit_type_uint32(v, name, &value, errp))
		qatomic_set(&HSM(obj)->delay_ms, value);
}

static bool get_gone(Object *obj, Error **errp)
{
	return qatomic_read(&HSM(obj)->gone);
}

static void set_gone(Object *obj, bool value, Error **errp)
{
	HsmState *s = HSM(obj);

	if (!DEVICE(obj)->realized) {
		error_setg(errp, "the card is not plugged in");
		return;
	}
	if (!value) {
		if (s->gone)
			error_setg(errp, "a card that was pulled out comes back by device_del and device_add");
		return;
	}
	if (qatomic_xchg(&s->gone, true))
		return;
	hsm_mute(s);
	/* Stops by itself: reconcile() takes a card that is gone as disabled. */
	qemu_bh_schedule(s->bh);
	hsm_slot_empty(&s->pci);
}

/* ---- device ---- */

static void hsm_reset(DeviceState *dev)
{
	HsmState *s = HSM(dev);

	/* What hsm_exit() takes down may not be touched either. */
	if (qatomic_read(&s->gone))
		return;
	qatomic_set(&s->enable, false);
	hsm_mute(s);
	qemu_mutex_lock(&s->lock);
	s->admin_size = 0;
	s->admin_sq = 0;
	s->admin_cq = 0;
	s->admin_shadow = 0;
	qemu_mutex_unlock(&s->lock);
	qemu_bh_schedule(s->bh);
}

static void delay_expired(void *opaque)
{
	HsmState *s = opaque;

	qemu_bh_schedule(s->bh);
}

static void free_ring_side(void *opaque)
{
	HsmState *s = opaque;

	qemu_bh_delete(s->bh);
	s->bh = NULL;
}

/* A QEMU that quits does not unplug its devices. */
static void power_off(Notifier *n, void *opaque)
{
	hsm_fw_sync(container_of(n, HsmState, exit)->fw);
}

static int init_pci(HsmState *s, Error **errp)
{
	PCIDevice *pci = &s->pci;
	uint32_t i;
	int ret;

	pci_config_set_prog_interface(pci->config, 0);
	ret = pcie_endpoint_cap_init(pci, EXP_CAP);
	if (ret < 0) {
		error_setg_errno(errp, -ret, "PCI Express capability");
		return ret;
	}
	pcie_cap_deverr_init(pci);
	pcie_cap_flr_init(pci);
	ret = pcie_aer_init(pci, PCI_ERR_VER, AER_CAP, PCI_ERR_SIZEOF, errp);
	if (ret < 0)
		goto exp;
	ret = msix_init_exclusive_bar(pci, s->max_qps + 1, HSM_BAR_MSIX, errp);
	if (ret < 0)
		goto aer;
	for (i = 0; i <= s->max_qps; i++)
		msix_vector_use(pci, i);

	memory_region_init(&s->bar, OBJECT(s), "hsm", HSM_BAR_REGS_SIZE);
	memory_region_init_io(&s->regs, OBJECT(s), &regs_ops, s, "hsm-registers", HSM_REG_DOORBELL);
	memory_region_init_io(&s->doorbells, OBJECT(s), &doorbell_ops, s, "hsm-doorbells",
			      HSM_BAR_REGS_SIZE - HSM_REG_DOORBELL);
	hsm_region_lockless(&s->doorbells);
	memory_region_add_subregion(&s->bar, 0, &s->regs);
	memory_region_add_subregion(&s->bar, HSM_REG_DOORBELL, &s->doorbells);
	for (i = 0; i <= s->max_qps; i++)
		memory_region_add_eventfd(&s->doorbells, 4 * i, 4, false, 0, &s->qps[i].kick);
	pci_register_bar(pci, HSM_BAR_REGS,
			 PCI_BASE_ADDRESS_SPACE_MEMORY | PCI_BASE_ADDRESS_MEM_TYPE_64, &s->bar);
	return 0;
aer:
	pcie_aer_exit(pci);
exp:
	pcie_cap_exit(pci);
	return ret;
}

static void exit_pci(HsmState *s)
{
	uint32_t i;

	for (i = 0; i <= s->max_qps; i++)
		memory_region_del_eventfd(&s->doorbells, 4 * i, 4, false, 0, &s->qps[i].kick);
	/* A subregion in its container holds a reference to the device. */
	memory_region_del_subregion(&s->bar, &s->doorbells);
	memory_region_del_subregion(&s->bar, &s->regs);
	msix_unuse_all_vectors(&s->pci);
	msix_uninit_exclusive_bar(&s->pci);
	pcie_aer_exit(&s->pci);
	pcie_cap_exit(&s->pci);
}

static void free_qps(HsmState *s, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		event_notifier_cleanup(&s->qps[i].kick);
		qemu_mutex_destroy(&s->qps[i].lock);
	}
	g_free(s->qps);
	s->qps = NULL;
}

static int make_qps(HsmState *s, Error **errp)
{
	uint32_t i;
	int ret;

	s->qps = g_new0(HsmQp, s->max_qps + 1);
	for (i = 0; i <= s->max_qps; i++) {
		HsmQp *qp = &s->qps[i];

		qp->s = s;
		qp->qid = i;
		ret = event_notifier_init(&qp->kick, 0);
		if (ret < 0) {
			error_setg_errno(errp, -ret, "event notifier");
			free_qps(s, i);
			return ret;
		}
		qemu_mutex_init(&qp->lock);
	}
	return 0;
}

static void hsm_realize(PCIDevice *pci, Error **errp)
{
	HsmState *s = HSM(pci);
	struct hsm_fw_config cfg = { .nvram = s->nvram, .serial = s->serial };
	int ret;

	if (!s->nvram) {
		error_setg(errp, "property 'nvram' (a file) is required");
		return;
	}
	if (!s->max_qps || s->max_qps > HSM_MAX_QPS) {
		error_setg(errp, "property 'max-qps' must be 1..%u", HSM_MAX_QPS);
		return;
	}
	if (!s->num_workers || s->num_workers > HSM_MAX_WORKERS) {
		error_setg(errp, "property 'workers' must be 1..%u", HSM_MAX_WORKERS);
		return;
	}

	ret = hsm_fw_open(&cfg, &s->fw);
	if (ret < 0) {
		error_setg_errno(errp, -ret, "NVRAM '%s' is unusable", s->nvram);
		return;
	}
	error_setg(&s->blocker, "device 'hsm' can't migrate: its keys never leave the card");
	if (hsm_block_migration(&s->blocker, errp) < 0)
		goto fw;
	if (make_qps(s, errp) < 0)
		goto blocker;
	if (init_pci(s, errp) < 0)
		goto qps;

	QSIMPLEQ_INIT(&s->delayed);
	qemu_mutex_init(&s->lock);
	qemu_cond_init(&s->changed);
	s->run_state = HSM_STOPPED;
	s->mute = true;
	s->ctx = qemu_get_aio_context();
	if (s->iothread)
		s->ctx = iothread_get_aio_context(s->iothread);
	s->bh = aio_bh_new(s->ctx, reconcile, s);
	s->vector_bh = aio_bh_new(qemu_get_aio_context(), raise_vectors, s);
	/*
	 * A timer of the AioContext would do without the detour, but is reached by
	 * an offset into a structure that depends on how QEMU was configured.
	 */
	s->delay_timer = timer_new_ns(QEMU_CLOCK_REALTIME, delay_expired, s);
	hsm_workers_start(s);
	s->exit.notify = power_off;
	qemu_add_exit_notifier(&s->exit);
	return;
qps:
	free_qps(s, s->max_qps + 1);
blocker:
	hsm_unblock_migration(&s->blocker);
fw:
	hsm_fw_close(s->fw);
	s->fw = NULL;
}

static void hsm_exit(PCIDevice *pci)
{
	HsmState *s = HSM(pci);

	qemu_remove_exit_notifier(&s->exit);
	/* Register writes that wait for the BQL now come to nothing. */
	qatomic_set(&s->gone, true);
	hsm_mute(s);
	smp_mb();
	/* From here on no thread begins to wait for the BQL: let go of it for those that do. */
	while (qatomic_read(&s->raising)) {
		bql_unlock();
		g_usleep(10);
		bql_lock();
	}
	/* Memory that a worker uses can't go: better a late unplug than a wild write. */
	wait_stopped(s);
	/* The ring thread may have been on its way to start: it is through after this. */
	ring_call(s, reconcile);
	hsm_workers_stop(s);
	/* Both run under the BQL, which is held: not running now, or below us. */
	timer_free(s->delay_timer);
	qemu_bh_delete(s->vector_bh);
	ring_call(s, free_ring_side);
	exit_pci(s);
	free_qps(s, s->max_qps + 1);
	qemu_cond_destroy(&s->changed);
	qemu_mutex_destroy(&s->lock);
	hsm_unblock_migration(&s->blocker);
	hsm_fw_close(s->fw);
	s->fw = NULL;
}

static HSM_PROPERTY hsm_properties[] = {
	DEFINE_PROP_STRING("nvram", HsmState, nvram),
	DEFINE_PROP_STRING("serial", HsmState, serial),
	DEFINE_PROP_LINK("iothread", HsmState, iothread, TYPE_IOTHREAD, IOThread *),
	DEFINE_PROP_UINT32("workers", HsmState, num_workers, 2),
	DEFINE_PROP_UINT32("max-qps", HsmState, max_qps, 16),
	HSM_PROPERTY_END
};

static void hsm_class_init(ObjectClass *oc, HSM_CLASS_DATA data)
{
	DeviceClass *dc = DEVICE_CLASS(oc);
	PCIDeviceClass *pc = PCI_DEVICE_CLASS(oc);

	pc->realize = hsm_realize;
	pc->exit = hsm_exit;
	pc->config_read = config_read;
	pc->config_write = config_write;
	pc->vendor_id = HSM_PCI_VENDOR_ID;
	pc->device_id = HSM_PCI_DEVICE_ID;
	pc->class_id = HSM_PCI_CLASS;
	pc->revision = 1;
	dc->desc = "Hardware security module";
	dc->user_creatable = true;
	set_bit(DEVICE_CATEGORY_MISC, dc->categories);
	device_class_set_legacy_reset(dc, hsm_reset);
	device_class_set_props(dc, hsm_properties);

	object_class_property_add_bool(oc, "hang", get_hang, set_hang);
	object_class_property_set_description(oc, "hang", "take no commands (fault injection)");
	object_class_property_add(oc, "delay-ms", "uint32", get_delay, set_delay, NULL, NULL);
	object_class_property_set_description(oc, "delay-ms",
					      "run each I/O command that late (fault injection)");
	object_class_property_add_bool(oc, "surprise-remove", get_gone, set_gone);
	object_class_property_set_description(oc, "surprise-remove",
					      "pull the card out of its slot (fault injection)");
}

static HSM_INTERFACES hsm_interfaces[] = {
	{ INTERFACE_PCIE_DEVICE },
	{ }
};

static const TypeInfo hsm_info = {
	.name = TYPE_HSM,
	.parent = TYPE_PCI_DEVICE,
	.instance_size = sizeof(HsmState),
	.class_init = hsm_class_init,
	.interfaces = hsm_interfaces,
};

void hsm_register_types(void)
{
	type_register_static(&hsm_info);
}
