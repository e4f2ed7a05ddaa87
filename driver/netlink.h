/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Generic netlink family "hsm": administration and events.  Requests and replies: router.h. */
#ifndef HSM_NETLINK_H
#define HSM_NETLINK_H

#include <linux/types.h>

struct genl_info;

int hsm_netlink_init(void);
void hsm_netlink_exit(void);

/* Multicast in the initial network namespace; may sleep; does nothing before init or after exit. */
void hsm_netlink_card_event(u32 id, u32 state);
void hsm_netlink_pool_event(const char *name, u32 qps);

extern struct genl_family hsm_genl_family;

/* True if attr is there; else sets the extack text. */
bool hsm_netlink_need(struct genl_info *info, int attr, const char *text);

#endif /* HSM_NETLINK_H */
