/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Device numbers, class and workqueue of the module. */
#ifndef HSM_MAIN_H
#define HSM_MAIN_H

#include <linux/types.h>

#define HSM_CARD_MINORS	64	/* minors 0.. */
#define HSM_POOL_MINORS	960	/* the following ones */

extern struct class *hsm_class;
extern dev_t hsm_devt;
extern struct workqueue_struct *hsm_wq;

#endif /* HSM_MAIN_H */
