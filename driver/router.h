/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Request router: from gateways to the owners of pools, and back.
 *
 * A request that was accepted (0 in its acknowledgment) is answered exactly
 * once: by the owner's first reply, or by a synthetic error when the owner
 * dies or the time is up.  Nothing here waits for a reply.
 *
 * An answer that finds the gateway's socket full is tried again until 2 s after
 * the request's deadline, so that no owner can make others' answers get lost.
 */
#ifndef HSM_ROUTER_H
#define HSM_ROUTER_H

#include <linux/types.h>

struct genl_info;
struct hsm_pool;
struct sk_buff;

/* Before and after the netlink family is registered. */
int hsm_router_init(void);
/* Drops everybody, with answers to what is outstanding; refuses all from then on. */
void hsm_router_shut(void);
void hsm_router_exit(void);

/* ->doit of the family. */
int hsm_router_owner_register(struct sk_buff *skb, struct genl_info *info);
int hsm_router_gateway_register(struct sk_buff *skb, struct genl_info *info);
int hsm_router_request(struct sk_buff *skb, struct genl_info *info);
int hsm_router_reply(struct sk_buff *skb, struct genl_info *info);

/*
 * The pool was bound anew, or is going (generation 0): an owner of another
 * generation is none any more.
 */
void hsm_router_drop_pool(struct hsm_pool *pool, u64 generation);

/* 0: none. */
u32 hsm_router_owner_portid(struct hsm_pool *pool);

#endif /* HSM_ROUTER_H */
