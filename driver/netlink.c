// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/capability.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <net/genetlink.h>
#include <net/sock.h>
#include "card.h"
#include "cmd.h"
#include "compat.h"
#include "netlink.h"
#include "pool.h"
#include "qp.h"
#include "router.h"

#define MEMBERS_MAX	16u

static bool family_up;

bool hsm_netlink_need(struct genl_info *info, int attr, const char *text)
{
	if (!GENL_REQ_ATTR_CHECK(info, attr))
		return true;
	hsm_extack(info->extack, text);
	return false;
}

/* Cards and pools belong to the appliance, not to a tenant's namespace. */
static int check_admin(struct sk_buff *skb, struct genl_info *info)
{
	if (!net_eq(genl_info_net(info), &init_net)) {
		GENL_SET_ERR_MSG(info, "only in the initial network namespace");
		return -EPERM;
	}
	if (!netlink_capable(skb, CAP_SYS_ADMIN)) {
		GENL_SET_ERR_MSG(info, "CAP_SYS_ADMIN is needed");
		return -EPERM;
	}
	return 0;
}

static int check_reader(struct net *net, struct netlink_ext_ack *extack)
{
	if (net_eq(net, &init_net))
		return 0;
	NL_SET_ERR_MSG(extack, "only in the initial network namespace");
	return -EPERM;
}

/* cb: of a dump, else NULL. */
static void *fill_start(struct sk_buff *msg, u32 portid, u32 seq, struct netlink_callback *cb,
			u8 cmd)
{
	void *hdr = genlmsg_put(msg, portid, seq, &hsm_genl_family, cb ? NLM_F_MULTI : 0, cmd);

	if (hdr && cb)
		genl_dump_check_consistent(cb, hdr);
	return hdr;
}

/* ---- frames ---- */

/* The answer to a request that names something by attr, empty; ERR_PTR: refused. */
static struct sk_buff *get_start(struct genl_info *info, int attr, const char *missing)
{
	struct sk_buff *msg;
	int ret = check_reader(genl_info_net(info), info->extack);

	if (ret)
		return ERR_PTR(ret);
	if (!hsm_netlink_need(info, attr, missing))
		return ERR_PTR(-EINVAL);
	msg = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	return msg ?: ERR_PTR(-ENOMEM);
}

/* Sends it, unless ret says why not. */
static int get_end(struct sk_buff *msg, struct genl_info *info, int ret)
{
	if (!ret)
		return genlmsg_reply(msg, info);
	nlmsg_free(msg);
	return ret;
}

/* NULL: no memory, or nobody can listen yet or any more. */
static struct sk_buff *event_start(u8 cmd)
{
	struct sk_buff *msg;

	if (!READ_ONCE(family_up))
		return NULL;
	msg = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (msg && !genlmsg_put(msg, 0, 0, &hsm_genl_family, 0, cmd)) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

static void event_end(struct sk_buff *msg, bool incomplete)
{
	if (incomplete) {
		nlmsg_free(msg);
		return;
	}
	nlmsg_end(msg, nlmsg_hdr(msg));
	genlmsg_multicast(&hsm_genl_family, msg, 0, 0, GFP_KERNEL);
}

/* ---- cards ---- */

static int card_fill(struct sk_buff *msg, struct hsm_card *card, u32 portid, u32 seq,
		     struct netlink_callback *cb)
{
	void *hdr = fill_start(msg, portid, seq, cb, HSM_CMD_CARD_GET);

	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_u32(msg, HSM_A_CARD_ID, card->id) ||
	    nla_put_u32(msg, HSM_A_CARD_STATE, READ_ONCE(card->state)) ||
	    nla_put_string(msg, HSM_A_CARD_SERIAL, card->serial) ||
	    nla_put_string(msg, HSM_A_CARD_BUS, card->bus) ||
	    nla_put_u32(msg, HSM_A_CARD_QPS_MAX, card->max_qps) ||
	    nla_put_u32(msg, HSM_A_CARD_QPS_USED, READ_ONCE(card->qps_used))) {
		genlmsg_cancel(msg, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(msg, hdr);
	return 0;
}

static int card_get(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *msg = get_start(info, HSM_A_CARD_ID, "card_id is missing");
	struct hsm_card *card;
	int ret;

	if (IS_ERR(msg))
		return PTR_ERR(msg);
	mutex_lock(&hsm_topology);
	card = hsm_card_find(nla_get_u32(info->attrs[HSM_A_CARD_ID]));
	ret = card ? card_fill(msg, card, info->snd_portid, info->snd_seq, NULL) : -ENODEV;
	mutex_unlock(&hsm_topology);
	if (!card)
		GENL_SET_ERR_MSG(info, "no card has this card_id");
	return get_end(msg, info, ret);
}

static int card_dump(struct sk_buff *msg, struct netlink_callback *cb)
{
	struct hsm_card *card;
	long n = 0;
	int ret;

	ret = check_reader(sock_net(cb->skb->sk), cb->extack);
	if (ret)
		return ret;

	mutex_lock(&hsm_topology);
	/* Going on by number is wrong once the list has changed: NLM_F_DUMP_INTR tells. */
	cb->seq = hsm_topology_seq;
	list_for_each_entry(card, &hsm_cards, node) {
		if (n >= cb->args[0] &&
		    card_fill(msg, card, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq, cb))
			break;
		n++;
	}
	mutex_unlock(&hsm_topology);
	cb->args[0] = n;
	return msg->len;
}

void hsm_netlink_card_event(u32 id, u32 state)
{
	struct sk_buff *msg = event_start(HSM_CMD_CARD_NTF);

	if (msg)
		event_end(msg, nla_put_u32(msg, HSM_A_CARD_ID, id) ||
			  nla_put_u32(msg, HSM_A_CARD_STATE, state));
}

/* ---- pools ---- */

static int pool_fill_members(struct sk_buff *msg, struct hsm_pool *pool)
{
	unsigned int i, n;
	struct hsm_card *card;

	list_for_each_entry(card, &hsm_cards, node) {
		struct nlattr *nest;

		for (i = 0, n = 0; i < pool->nqps; i++) {
			struct hsm_qp *qp =
				rcu_dereference_protected(pool->qps[i],
							  lockdep_is_held(&hsm_topology));

			if (qp && qp->card == card && READ_ONCE(qp->live))
				n++;
		}
		if (!n)
			continue;
		nest = nla_nest_start(msg, HSM_A_MEMBER);
		if (!nest || nla_put_u32(msg, HSM_A_CARD_ID, card->id) ||
		    nla_put_u32(msg, HSM_A_MEMBER_QPS, n))
			return -EMSGSIZE;
		nla_nest_end(msg, nest);
	}
	return 0;
}

static int pool_fill(struct sk_buff *msg, struct hsm_pool *pool, u32 portid, u32 seq,
		     struct netlink_callback *cb)
{
	void *hdr = fill_start(msg, portid, seq, cb, HSM_CMD_POOL_GET);

	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_string(msg, HSM_A_POOL_NAME, pool->name) ||
	    nla_put(msg, HSM_A_PARTITION, HSM_UUID_LEN, pool->partition) ||
	    nla_put_u32(msg, HSM_A_POOL_FLAGS, pool->flags) ||
	    nla_put_u32(msg, HSM_A_DEPTH, pool->depth) ||
	    nla_put_u64_64bit(msg, HSM_A_CGROUP_ID, hsm_pool_cgroup_id(pool), HSM_A_PAD) ||
	    nla_put_u32(msg, HSM_A_POOL_QPS, hsm_pool_live_qps(pool)) ||
	    nla_put_u32(msg, HSM_A_OWNER_PORTID, hsm_router_owner_portid(pool)) ||
	    pool_fill_members(msg, pool)) {
		genlmsg_cancel(msg, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(msg, hdr);
	return 0;
}

static int pool_get(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *msg = get_start(info, HSM_A_POOL_NAME, "pool_name is missing");
	struct hsm_pool *pool;
	int ret;

	if (IS_ERR(msg))
		return PTR_ERR(msg);
	mutex_lock(&hsm_topology);
	pool = hsm_pool_find(nla_data(info->attrs[HSM_A_POOL_NAME]));
	ret = pool ? pool_fill(msg, pool, info->snd_portid, info->snd_seq, NULL) : -ENOENT;
	mutex_unlock(&hsm_topology);
	if (!pool)
		GENL_SET_ERR_MSG(info, "no pool has this name");
	return get_end(msg, info, ret);
}

static int pool_dump(struct sk_buff *msg, struct netlink_callback *cb)
{
	struct hsm_pool *pool;
	int ret;

	ret = check_reader(sock_net(cb->skb->sk), cb->extack);
	if (ret)
		return ret;

	mutex_lock(&hsm_topology);
	cb->seq = hsm_topology_seq;
	while ((pool = hsm_pool_nth(cb->args[0]))) {
		if (pool_fill(msg, pool, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq, cb))
			break;
		cb->args[0]++;
	}
	mutex_unlock(&hsm_topology);
	return msg->len;
}

void hsm_netlink_pool_event(const char *name, u32 qps)
{
	struct sk_buff *msg = event_start(HSM_CMD_POOL_NTF);

	if (msg)
		event_end(msg, nla_put_string(msg, HSM_A_POOL_NAME, name) ||
			  nla_put_u32(msg, HSM_A_POOL_QPS, qps));
}

static const struct nla_policy member_policy[HSM_A_MEMBER_QPS + 1] = {
	[HSM_A_CARD_ID]		= { .type = NLA_U32 },
	[HSM_A_MEMBER_QPS]	= { .type = NLA_U32 },
};

/* Number of members, or -errno. */
static int parse_members(struct genl_info *info, struct hsm_pool_member *members)
{
	struct nlattr *tb[HSM_A_MEMBER_QPS + 1];
	struct nlattr *attr;
	unsigned int n = 0;
	int rem, ret;

	nla_for_each_attr(attr, genlmsg_data(info->genlhdr), genlmsg_len(info->genlhdr), rem) {
		if (nla_type(attr) != HSM_A_MEMBER)
			continue;
		if (n == MEMBERS_MAX) {
			NL_SET_ERR_MSG_ATTR(info->extack, attr, "more than 16 members");
			return -EINVAL;
		}
		ret = nla_parse_nested(tb, HSM_A_MEMBER_QPS, attr, member_policy,
				       info->extack);
		if (ret)
			return ret;
		if (!tb[HSM_A_CARD_ID] || !tb[HSM_A_MEMBER_QPS]) {
			NL_SET_ERR_MSG_ATTR(info->extack, attr,
					    "a member needs card_id and member_qps");
			return -EINVAL;
		}
		members[n].card = nla_get_u32(tb[HSM_A_CARD_ID]);
		members[n].qps = nla_get_u32(tb[HSM_A_MEMBER_QPS]);
		n++;
	}
	return n;
}

static int pool_new(struct sk_buff *skb, struct genl_info *info)
{
	struct hsm_pool_member members[MEMBERS_MAX];
	struct hsm_pool_params params = { .members = members };
	int ret;

	ret = check_admin(skb, info);
	if (ret)
		return ret;
	if (!hsm_netlink_need(info, HSM_A_POOL_NAME, "pool_name is missing") ||
	    !hsm_netlink_need(info, HSM_A_PARTITION, "partition is missing") ||
	    !hsm_netlink_need(info, HSM_A_CGROUP_FD, "cgroup_fd is missing") ||
	    !hsm_netlink_need(info, HSM_A_MEMBER, "a pool needs at least one member"))
		return -EINVAL;
	ret = parse_members(info, members);
	if (ret < 0)
		return ret;
	params.nmembers = ret;
	params.name = nla_data(info->attrs[HSM_A_POOL_NAME]);
	params.partition = nla_data(info->attrs[HSM_A_PARTITION]);
	params.cgroup_fd = nla_get_s32(info->attrs[HSM_A_CGROUP_FD]);
	if (info->attrs[HSM_A_POOL_FLAGS])
		params.flags = nla_get_u32(info->attrs[HSM_A_POOL_FLAGS]);
	if (info->attrs[HSM_A_DEPTH])
		params.depth = nla_get_u32(info->attrs[HSM_A_DEPTH]);
	return hsm_pool_create(&params, info->extack);
}

static int pool_del(struct sk_buff *skb, struct genl_info *info)
{
	int ret = check_admin(skb, info);

	if (ret)
		return ret;
	if (!hsm_netlink_need(info, HSM_A_POOL_NAME, "pool_name is missing"))
		return -EINVAL;
	return hsm_pool_delete(nla_data(info->attrs[HSM_A_POOL_NAME]), info->extack);
}

static int pool_bind(struct sk_buff *skb, struct genl_info *info)
{
	int ret = check_admin(skb, info);

	if (ret)
		return ret;
	if (!hsm_netlink_need(info, HSM_A_POOL_NAME, "pool_name is missing") ||
	    !hsm_netlink_need(info, HSM_A_CGROUP_FD, "cgroup_fd is missing"))
		return -EINVAL;
	return hsm_pool_bind(nla_data(info->attrs[HSM_A_POOL_NAME]),
			     nla_get_s32(info->attrs[HSM_A_CGROUP_FD]), info->extack);
}

/* ---- family ---- */

#define POOL_NAME_POLICY	{ .type = NLA_NUL_STRING, .len = HSM_POOL_NAME_LEN - 1 }

/* NLA_POLICY_RANGE() holds its bounds in 16 signed bits.  Not const: 6.1 wants it so. */
static struct netlink_range_validation payload_range = {
	.min = 1,
	.max = HSM_ROUTE_MAX_PAYLOAD,
};

static struct netlink_range_validation timeout_range = {
	.min = 1,
	.max = HSM_TIMEOUT_MAX_MS,
};

#define PAYLOAD_POLICY		NLA_POLICY_FULL_RANGE(NLA_BINARY, &payload_range)

static const struct nla_policy card_policy[] = {
	[HSM_A_CARD_ID]		= { .type = NLA_U32 },
};

static const struct nla_policy name_policy[] = {
	[HSM_A_POOL_NAME]	= POOL_NAME_POLICY,
};

static const struct nla_policy pool_new_policy[] = {
	[HSM_A_POOL_NAME]	= POOL_NAME_POLICY,
	[HSM_A_PARTITION]	= NLA_POLICY_EXACT_LEN(HSM_UUID_LEN),
	[HSM_A_POOL_FLAGS]	= NLA_POLICY_MASK(NLA_U32, HSM_POOL_F_SHARED),
	[HSM_A_DEPTH]		= NLA_POLICY_RANGE(NLA_U32, 2, HSM_MAX_RING),
	[HSM_A_CGROUP_FD]	= { .type = NLA_S32 },
	[HSM_A_MEMBER]		= NLA_POLICY_NESTED(member_policy),
};

static const struct nla_policy pool_bind_policy[] = {
	[HSM_A_POOL_NAME]	= POOL_NAME_POLICY,
	[HSM_A_CGROUP_FD]	= { .type = NLA_S32 },
};

static const struct nla_policy owner_policy[] = {
	[HSM_A_POOL_FD]		= { .type = NLA_S32 },
};

static const struct nla_policy request_policy[] = {
	[HSM_A_POOL_NAME]	= POOL_NAME_POLICY,
	[HSM_A_CLASS]		= NLA_POLICY_MAX(NLA_U32, HSM_CLASS_COUNT - 1),
	[HSM_A_COOKIE]		= { .type = NLA_U64 },
	[HSM_A_PAYLOAD]		= PAYLOAD_POLICY,
	[HSM_A_TIMEOUT_MS]	= NLA_POLICY_FULL_RANGE(NLA_U32, &timeout_range),
};

static const struct nla_policy reply_policy[] = {
	[HSM_A_XID]		= { .type = NLA_U64 },
	[HSM_A_PAYLOAD]		= PAYLOAD_POLICY,
};

#define WITH_POLICY(_policy) .policy = _policy, .maxattr = ARRAY_SIZE(_policy) - 1

static const struct genl_ops hsm_genl_ops[] = {
	{
		.cmd = HSM_CMD_CARD_GET,
		.doit = card_get,
		.dumpit = card_dump,
		WITH_POLICY(card_policy),
	}, {
		.cmd = HSM_CMD_POOL_NEW,
		.doit = pool_new,
		WITH_POLICY(pool_new_policy),
	}, {
		.cmd = HSM_CMD_POOL_DEL,
		.doit = pool_del,
		WITH_POLICY(name_policy),
	}, {
		.cmd = HSM_CMD_POOL_GET,
		.doit = pool_get,
		.dumpit = pool_dump,
		WITH_POLICY(name_policy),
	}, {
		.cmd = HSM_CMD_POOL_BIND,
		.doit = pool_bind,
		WITH_POLICY(pool_bind_policy),
	}, {
		.cmd = HSM_CMD_OWNER_REGISTER,
		.doit = hsm_router_owner_register,
		WITH_POLICY(owner_policy),
	}, {
		/* Without a policy generic netlink refuses every attribute. */
		.cmd = HSM_CMD_GATEWAY_REGISTER,
		.doit = hsm_router_gateway_register,
	}, {
		.cmd = HSM_CMD_ROUTE_REQUEST,
		.doit = hsm_router_request,
		WITH_POLICY(request_policy),
	}, {
		.cmd = HSM_CMD_ROUTE_REPLY,
		.doit = hsm_router_reply,
		WITH_POLICY(reply_policy),
	},
};

static const struct genl_multicast_group hsm_genl_groups[] = {
	{ .name = HSM_GENL_GROUP_EVENTS },
};

struct genl_family hsm_genl_family __ro_after_init = {
	.name = HSM_GENL_NAME,
	.version = HSM_GENL_VERSION,
	.module = THIS_MODULE,
	.netnsok = true,
	/*
	 * Making a pool waits for cards: the commands of other families must not
	 * wait with it.  Whoever (un)registers a family does, and commands that
	 * come after that as well: it waits for all that run.
	 */
	.parallel_ops = true,
	.ops = hsm_genl_ops,
	.n_ops = ARRAY_SIZE(hsm_genl_ops),
	.mcgrps = hsm_genl_groups,
	.n_mcgrps = ARRAY_SIZE(hsm_genl_groups),
};

int hsm_netlink_init(void)
{
	int ret = hsm_router_init();

	if (ret)
		return ret;
	ret = genl_register_family(&hsm_genl_family);
	if (ret) {
		hsm_router_exit();
		return ret;
	}
	WRITE_ONCE(family_up, true);
	return 0;
}

void hsm_netlink_exit(void)
{
	hsm_router_shut();
	WRITE_ONCE(family_up, false);
	genl_unregister_family(&hsm_genl_family);
	hsm_router_exit();
}
