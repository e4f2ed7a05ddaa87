/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /sys/kernel/debug/hsm/card<N>: the queue pairs of a card and their counters. */
#ifndef HSM_DEBUGFS_H
#define HSM_DEBUGFS_H

struct hsm_card;

void hsm_debugfs_init(void);
void hsm_debugfs_exit(void);
void hsm_debugfs_card_add(struct hsm_card *card);
void hsm_debugfs_card_del(struct hsm_card *card);

#endif /* HSM_DEBUGFS_H */
