/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Source differences between QEMU 7.2 and 11: the only place that knows them.
 * Include it first, in place of qemu/osdep.h.
 */
#ifndef HSM_COMPAT_H
#define HSM_COMPAT_H

#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qemu/main-loop.h"
#include "qapi/error.h"
#include "block/aio.h"
#include "migration/blocker.h"
#include "hw/pci/pci.h"
#if __has_include("hw/pci/pci_device.h")
#include "hw/pci/pci_device.h"
#endif
#if __has_include("hw/core/qdev-properties.h")
#include "hw/core/qdev-properties.h"
#else
#include "hw/qdev-properties.h"
#endif
#if __has_include("system/iothread.h")
#include "system/iothread.h"
#include "system/dma.h"
#include "system/system.h"
#else
#include "sysemu/iothread.h"
#include "sysemu/dma.h"
#include "sysemu/sysemu.h"
#endif

#define HSM_QEMU_AT_LEAST(major, minor)					\
	(QEMU_VERSION_MAJOR > (major) ||				\
	 (QEMU_VERSION_MAJOR == (major) && QEMU_VERSION_MINOR >= (minor)))

#if !HSM_QEMU_AT_LEAST(9, 0)
#define bql_lock()		qemu_mutex_lock_iothread()
#define bql_unlock()		qemu_mutex_unlock_iothread()
#define bql_locked()		qemu_mutex_iothread_locked()
#define qemu_cond_timedwait_bql	qemu_cond_timedwait_iothread
#endif

#if !HSM_QEMU_AT_LEAST(9, 2)
static inline void device_class_set_legacy_reset(DeviceClass *dc, void (*reset)(DeviceState *dev))
{
	dc->reset = reset;
}
#endif

#if HSM_QEMU_AT_LEAST(10, 0)
#define HSM_PROPERTY		const Property
#define HSM_PROPERTY_END
#else
#define HSM_PROPERTY		Property
#define HSM_PROPERTY_END	DEFINE_PROP_END_OF_LIST(),
#endif

#if HSM_QEMU_AT_LEAST(10, 1)
#define HSM_CLASS_DATA		const void *
#define HSM_INTERFACES		const InterfaceInfo
#else
#define HSM_CLASS_DATA		void *
#define HSM_INTERFACES		InterfaceInfo
#endif

static inline void hsm_set_event_notifier(AioContext *ctx, EventNotifier *e,
					  EventNotifierHandler *read, AioPollFn *poll,
					  EventNotifierHandler *poll_ready)
{
#if HSM_QEMU_AT_LEAST(8, 1)
	aio_set_event_notifier(ctx, e, read, poll, poll_ready);
#else
	aio_set_event_notifier(ctx, e, false, read, poll, poll_ready);
#endif
}

/*
 * MMIO handlers of the region need no big lock.  Before 10.2 a vCPU under TCG
 * takes it all the same.
 */
static inline void hsm_region_lockless(MemoryRegion *mr)
{
#if HSM_QEMU_AT_LEAST(10, 2)
	memory_region_enable_lockless_io(mr);
#endif
}

/*
 * 0, or -errno with @errp set and @reason freed.  Else it is the caller's until
 * hsm_unblock_migration().
 */
static inline int hsm_block_migration(Error **reason, Error **errp)
{
#if HSM_QEMU_AT_LEAST(8, 2)
	return migrate_add_blocker(reason, errp);
#else
	int ret = migrate_add_blocker(*reason, errp);

	if (ret < 0) {
		error_free(*reason);
		*reason = NULL;
	}
	return ret;
#endif
}

static inline void hsm_unblock_migration(Error **reason)
{
	if (!*reason)
		return;
#if HSM_QEMU_AT_LEAST(8, 2)
	migrate_del_blocker(reason);
#else
	migrate_del_blocker(*reason);
	error_free(*reason);
	*reason = NULL;
#endif
}

#endif /* HSM_COMPAT_H */
