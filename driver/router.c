// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/hashtable.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <net/genetlink.h>
#include <net/sock.h>
#include "compat.h"
#include "main.h"
#include "netlink.h"
#include "pool.h"
#include "router.h"
#include "trace.h"

/* Requests that an owner may have before it, unanswered. */
#define OWNER_CREDIT		256u
#define TIMEOUT_DEFAULT_MS	10000u

/*
 * Port numbers are reused, and per namespace: a peer is its socket, which it
 * holds.  net needs no reference of its own while the socket has its port.
 */
struct hsm_peer {
	struct sock *sk;
	struct net *net;
	u32 portid;
	struct list_head node;		/* gateways or owners */
	struct list_head xacts;
};

struct hsm_gateway {
	struct hsm_peer peer;
};

struct hsm_owner {
	struct hsm_peer peer;
	struct hsm_pool *pool;		/* lives longer: see hsm_router_drop_pool() */
	u64 generation;			/* of the pool's binding */
	unsigned int outstanding;
};

/* A request on its way.  Whoever unlinks it owns it, and answers it. */
struct hsm_xact {
	u64 xid;
	u64 cookie;
	/* While linked: */
	unsigned long deadline;		/* jiffies */
	struct hsm_owner *owner;
	struct hsm_gateway *gateway;
	struct hlist_node hash_node;
	struct list_head owner_node;
	struct list_head gateway_node;
	/* Once unlinked, where the answer goes: */
	struct list_head answer_node;
	struct net *net;		/* with a reference */
	u32 portid;
	u32 error;			/* errno of a synthetic answer */
};

/* Everything here is process context.  The lock nests in hsm_topology and RCU. */
static DEFINE_SPINLOCK(router_lock);
/* Under router_lock: */
static DEFINE_HASHTABLE(xacts, 10);
static LIST_HEAD(owners);
static LIST_HEAD(gateways);
static bool shut;
static bool expire_armed;
static unsigned long expire_at;		/* jiffies; meaningful while armed */

static atomic64_t next_xid = ATOMIC64_INIT(0);

static void router_expire(struct work_struct *work);
static DECLARE_DELAYED_WORK(expire_work, router_expire);

/* ---- peers ---- */

static void peer_init(struct hsm_peer *peer, struct sk_buff *skb, struct genl_info *info)
{
	peer->sk = NETLINK_CB(skb).sk;
	sock_hold(peer->sk);
	peer->net = genl_info_net(info);
	peer->portid = info->snd_portid;
	INIT_LIST_HEAD(&peer->node);
	INIT_LIST_HEAD(&peer->xacts);
}

static struct hsm_gateway *gateway_find(const struct sock *sk)
{
	struct hsm_gateway *gateway;

	lockdep_assert_held(&router_lock);

	list_for_each_entry(gateway, &gateways, peer.node)
		if (gateway->peer.sk == sk)
			return gateway;
	return NULL;
}

static struct hsm_owner *owner_find(const struct sock *sk)
{
	struct hsm_owner *owner;

	lockdep_assert_held(&router_lock);

	list_for_each_entry(owner, &owners, peer.node)
		if (owner->peer.sk == sk)
			return owner;
	return NULL;
}

/* ---- transactions ---- */

static struct hsm_xact *xact_find(u64 xid)
{
	struct hsm_xact *xact;

	lockdep_assert_held(&router_lock);

	hash_for_each_possible(xacts, xact, hash_node, xid)
		if (xact->xid == xid)
			return xact;
	return NULL;
}

static void xact_link(struct hsm_xact *xact, struct hsm_owner *owner,
		      struct hsm_gateway *gateway)
{
	lockdep_assert_held(&router_lock);

	xact->owner = owner;
	xact->gateway = gateway;
	owner->outstanding++;
	hash_add(xacts, &xact->hash_node, xact->xid);
	list_add_tail(&xact->owner_node, &owner->peer.xacts);
	list_add_tail(&xact->gateway_node, &gateway->peer.xacts);
}

/* The caller owns it then, and ends with xact_free(). */
static void xact_unlink(struct hsm_xact *xact)
{
	lockdep_assert_held(&router_lock);

	xact->net = get_net(xact->gateway->peer.net);
	xact->portid = xact->gateway->peer.portid;
	xact->owner->outstanding--;
	hash_del(&xact->hash_node);
	list_del(&xact->owner_node);
	list_del(&xact->gateway_node);
}

static void xact_free(struct hsm_xact *xact)
{
	put_net(xact->net);
	kfree(xact);
}

/* The answer is to be sent by answers_send(), after unlock. */
static void xact_fail(struct hsm_xact *xact, u32 error, struct list_head *answers)
{
	xact_unlink(xact);
	xact->error = error;
	list_add_tail(&xact->answer_node, answers);
}

static void answers_send(struct list_head *answers)
{
	struct hsm_xact *xact, *next;

	list_for_each_entry_safe(xact, next, answers, answer_node) {
		struct sk_buff *msg = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
		void *hdr = NULL;

		if (msg)
			hdr = genlmsg_put(msg, 0, 0, &hsm_genl_family, 0,
					  HSM_CMD_ROUTE_REPLY);
		if (hdr && !nla_put_u64_64bit(msg, HSM_A_COOKIE, xact->cookie, HSM_A_PAD) &&
		    !nla_put_u32(msg, HSM_A_ERROR, xact->error)) {
			genlmsg_end(msg, hdr);
			trace_hsm_route_reply(xact->xid, xact->error);
			/* If the gateway's buffer is full its socket says so: -ENOBUFS. */
			genlmsg_unicast(xact->net, msg, xact->portid);
		} else {
			nlmsg_free(msg);
		}
		xact_free(xact);
	}
}

static void router_expire(struct work_struct *work)
{
	unsigned long now, next = 0;
	struct hlist_node *tmp;
	struct hsm_xact *xact;
	bool again = false;
	LIST_HEAD(answers);
	unsigned int i;

	spin_lock(&router_lock);
	now = jiffies;
	hash_for_each_safe(xacts, i, tmp, xact, hash_node) {
		if (time_after_eq(now, xact->deadline)) {
			xact_fail(xact, ETIMEDOUT, &answers);
		} else if (!again || time_before(xact->deadline, next)) {
			again = true;
			next = xact->deadline;
		}
	}
	/* A request that was added meanwhile waits for the lock to do the same. */
	if (again)
		mod_delayed_work(hsm_wq, &expire_work, next - now);
	expire_at = next;
	expire_armed = again;
	spin_unlock(&router_lock);
	answers_send(&answers);
}

static void expire_arm(unsigned long deadline)
{
	lockdep_assert_held(&router_lock);

	if (expire_armed && !time_before(deadline, expire_at))
		return;
	expire_armed = true;
	expire_at = deadline;
	mod_delayed_work(hsm_wq, &expire_work,
			 time_after(deadline, jiffies) ? deadline - jiffies : 0);
}

/* ---- dropping peers ---- */

static void owner_drop(struct hsm_owner *owner, struct list_head *answers,
		       struct list_head *dropped)
{
	struct hsm_xact *xact, *next;

	lockdep_assert_held(&router_lock);

	list_for_each_entry_safe(xact, next, &owner->peer.xacts, owner_node)
		xact_fail(xact, ECONNRESET, answers);
	owner->pool->owner = NULL;
	list_move(&owner->peer.node, dropped);
}

/* Nobody is left to answer: the requests are forgotten, late replies find nothing. */
static void gateway_drop(struct hsm_gateway *gateway, struct list_head *forgotten,
			 struct list_head *dropped)
{
	struct hsm_xact *xact, *next;

	lockdep_assert_held(&router_lock);

	list_for_each_entry_safe(xact, next, &gateway->peer.xacts, gateway_node)
		xact_fail(xact, 0, forgotten);
	list_move(&gateway->peer.node, dropped);
}

static void peers_free(struct list_head *dropped_owners, struct list_head *dropped_gateways)
{
	struct hsm_gateway *gateway, *next_gateway;
	struct hsm_owner *owner, *next_owner;

	list_for_each_entry_safe(owner, next_owner, dropped_owners, peer.node) {
		sock_put(owner->peer.sk);
		kfree(owner);
	}
	list_for_each_entry_safe(gateway, next_gateway, dropped_gateways, peer.node) {
		sock_put(gateway->peer.sk);
		kfree(gateway);
	}
}

static void xacts_free(struct list_head *forgotten)
{
	struct hsm_xact *xact, *next;

	list_for_each_entry_safe(xact, next, forgotten, answer_node)
		xact_free(xact);
}

void hsm_router_drop_pool(struct hsm_pool *pool, u64 generation)
{
	LIST_HEAD(dropped);
	LIST_HEAD(answers);
	LIST_HEAD(none);

	spin_lock(&router_lock);
	if (pool->owner && pool->owner->generation != generation)
		owner_drop(pool->owner, &answers, &dropped);
	spin_unlock(&router_lock);
	answers_send(&answers);
	peers_free(&dropped, &none);
}

u32 hsm_router_owner_portid(struct hsm_pool *pool)
{
	u32 portid;

	spin_lock(&router_lock);
	portid = pool->owner ? pool->owner->peer.portid : 0;
	spin_unlock(&router_lock);
	return portid;
}

static bool peer_closed(const struct hsm_peer *peer, const struct netlink_notify *notify)
{
	/* Its port may already be another socket's, that one is not orphaned. */
	return peer->net == notify->net && peer->portid == notify->portid &&
	       sock_flag(peer->sk, SOCK_DEAD);
}

static int router_notify(struct notifier_block *nb, unsigned long event, void *data)
{
	struct hsm_gateway *gateway, *next_gateway;
	struct netlink_notify *notify = data;
	struct hsm_owner *owner, *next_owner;
	LIST_HEAD(dropped_gateways);
	LIST_HEAD(dropped_owners);
	LIST_HEAD(forgotten);
	LIST_HEAD(answers);

	if (event != NETLINK_URELEASE || notify->protocol != NETLINK_GENERIC)
		return NOTIFY_DONE;

	spin_lock(&router_lock);
	list_for_each_entry_safe(gateway, next_gateway, &gateways, peer.node)
		if (peer_closed(&gateway->peer, notify))
			gateway_drop(gateway, &forgotten, &dropped_gateways);
	list_for_each_entry_safe(owner, next_owner, &owners, peer.node)
		if (peer_closed(&owner->peer, notify))
			owner_drop(owner, &answers, &dropped_owners);
	spin_unlock(&router_lock);
	answers_send(&answers);
	xacts_free(&forgotten);
	peers_free(&dropped_owners, &dropped_gateways);
	return NOTIFY_DONE;
}

static struct notifier_block router_notifier = { .notifier_call = router_notify };

/* ---- registration ---- */

int hsm_router_gateway_register(struct sk_buff *skb, struct genl_info *info)
{
	struct hsm_gateway *gateway;
	int ret = 0;

	if (!netlink_capable(skb, CAP_NET_ADMIN)) {
		GENL_SET_ERR_MSG(info, "CAP_NET_ADMIN is needed");
		return -EPERM;
	}
	gateway = kzalloc(sizeof(*gateway), GFP_KERNEL_ACCOUNT);
	if (!gateway)
		return -ENOMEM;
	peer_init(&gateway->peer, skb, info);

	spin_lock(&router_lock);
	if (shut) {
		ret = -ESHUTDOWN;
		GENL_SET_ERR_MSG(info, "the module is being unloaded");
	} else if (gateway_find(gateway->peer.sk)) {
		ret = -EALREADY;
		GENL_SET_ERR_MSG(info, "this socket is registered as a gateway");
	} else {
		list_add_tail(&gateway->peer.node, &gateways);
	}
	spin_unlock(&router_lock);
	if (ret) {
		sock_put(gateway->peer.sk);
		kfree(gateway);
	}
	return ret;
}

static int owner_add(struct hsm_owner *owner, struct hsm_pool *pool, struct genl_info *info)
{
	int ret;

	lockdep_assert_held(&router_lock);

	if (shut) {
		GENL_SET_ERR_MSG(info, "the module is being unloaded");
		return -ESHUTDOWN;
	}
	/* Under the lock: hsm_router_drop_pool() comes after a change of these. */
	ret = hsm_pool_check(pool, &owner->generation);
	if (ret) {
		if (ret == -EPERM)
			GENL_SET_ERR_MSG(info, "the caller is not in the pool's cgroup");
		else if (ret == -ESTALE)
			GENL_SET_ERR_MSG(info, "the pool was bound anew since pool_fd was opened");
		else
			GENL_SET_ERR_MSG(info, "the pool was deleted");
		return ret;
	}
	if (pool->owner) {
		GENL_SET_ERR_MSG(info, "the pool has an owner");
		return -EBUSY;
	}
	if (owner_find(owner->peer.sk)) {
		GENL_SET_ERR_MSG(info, "this socket owns another pool");
		return -EBUSY;
	}
	owner->pool = pool;
	pool->owner = owner;
	list_add_tail(&owner->peer.node, &owners);
	return 0;
}

int hsm_router_owner_register(struct sk_buff *skb, struct genl_info *info)
{
	struct hsm_pool *pool = NULL;
	struct hsm_owner *owner;
	u64 generation = 0;
	struct file *file;
	int ret;

	if (!hsm_netlink_need(info, HSM_A_POOL_FD, "pool_fd is missing"))
		return -EINVAL;
	file = fget(nla_get_s32(info->attrs[HSM_A_POOL_FD]));
	if (file) {
		pool = hsm_pool_from_file(file, &generation);
		fput(file);
	}
	if (!pool) {
		GENL_SET_ERR_MSG(info, "pool_fd is not an open file of a pool's device");
		return -EBADF;
	}

	ret = -ENOMEM;
	owner = kzalloc(sizeof(*owner), GFP_KERNEL_ACCOUNT);
	if (!owner)
		goto put_pool;
	peer_init(&owner->peer, skb, info);
	owner->generation = generation;

	spin_lock(&router_lock);
	ret = owner_add(owner, pool, info);
	spin_unlock(&router_lock);
	if (ret) {
		sock_put(owner->peer.sk);
		kfree(owner);
	}
put_pool:
	put_device(&pool->dev);
	return ret;
}

/* ---- requests ---- */

static struct sk_buff *request_make(struct genl_info *info, u64 xid, u32 timeout_ms)
{
	const struct nlattr *payload = info->attrs[HSM_A_PAYLOAD];
	struct sk_buff *msg;
	void *hdr;

	msg = genlmsg_new(nla_total_size(nla_len(payload)) + nla_total_size_64bit(sizeof(u64)) +
			  4 * nla_total_size(sizeof(u32)), GFP_KERNEL);
	if (!msg)
		return NULL;
	hdr = genlmsg_put(msg, 0, 0, &hsm_genl_family, 0, HSM_CMD_ROUTE_REQUEST);
	if (!hdr || nla_put_u64_64bit(msg, HSM_A_XID, xid, HSM_A_PAD) ||
	    nla_put_u32(msg, HSM_A_CLASS, nla_get_u32(info->attrs[HSM_A_CLASS])) ||
	    nla_put_u32(msg, HSM_A_SENDER_UID, from_kuid_munged(&init_user_ns, current_uid())) ||
	    nla_put_u32(msg, HSM_A_SENDER_PID, task_tgid_nr(current)) ||
	    nla_put_u32(msg, HSM_A_TIMEOUT_MS, timeout_ms) ||
	    nla_put(msg, HSM_A_PAYLOAD, nla_len(payload), nla_data(payload))) {
		nlmsg_free(msg);
		return NULL;
	}
	genlmsg_end(msg, hdr);
	return msg;
}

static bool class_allowed(const struct hsm_pool *pool, u32 class)
{
	if (class == HSM_CLASS_MANAGE)
		return true;
	return class == HSM_CLASS_CRYPTO && (pool->flags & HSM_POOL_F_SHARED);
}

/* Finds the owner and links xact to it: 0 with *net (referenced) and *portid. */
static int request_link(struct hsm_xact *xact, struct sk_buff *skb, struct genl_info *info,
			struct net **net, u32 *portid)
{
	struct hsm_gateway *gateway;
	struct hsm_owner *owner;
	struct hsm_pool *pool;

	RCU_LOCKDEP_WARN(!rcu_read_lock_held(), "pools are found under RCU");
	lockdep_assert_held(&router_lock);

	gateway = gateway_find(NETLINK_CB(skb).sk);
	if (!gateway) {
		GENL_SET_ERR_MSG(info, "this socket is not registered as a gateway");
		return -EPERM;
	}
	pool = hsm_pool_find(nla_data(info->attrs[HSM_A_POOL_NAME]));
	if (!pool || READ_ONCE(pool->dead)) {
		GENL_SET_ERR_MSG(info, "no pool has this name");
		return -ENOENT;
	}
	if (!class_allowed(pool, nla_get_u32(info->attrs[HSM_A_CLASS]))) {
		GENL_SET_ERR_MSG(info, "requests of this class do not pass to this pool");
		return -EACCES;
	}
	owner = pool->owner;
	if (!owner) {
		GENL_SET_ERR_MSG(info, "nobody serves this pool");
		return -ECONNREFUSED;
	}
	if (owner->outstanding >= OWNER_CREDIT) {
		GENL_SET_ERR_MSG(info, "the owner has too many requests before it");
		return -EBUSY;
	}
	xact_link(xact, owner, gateway);
	expire_arm(xact->deadline);
	*net = get_net(owner->peer.net);
	*portid = owner->peer.portid;
	return 0;
}

int hsm_router_request(struct sk_buff *skb, struct genl_info *info)
{
	u32 timeout_ms = TIMEOUT_DEFAULT_MS;
	struct hsm_xact *xact;
	struct sk_buff *msg;
	struct net *net;
	u32 portid;
	u64 xid;
	int ret;

	if (!hsm_netlink_need(info, HSM_A_POOL_NAME, "pool_name is missing") ||
	    !hsm_netlink_need(info, HSM_A_CLASS, "class is missing") ||
	    !hsm_netlink_need(info, HSM_A_COOKIE, "cookie is missing") ||
	    !hsm_netlink_need(info, HSM_A_PAYLOAD, "payload is missing"))
		return -EINVAL;
	if (info->attrs[HSM_A_TIMEOUT_MS])
		timeout_ms = nla_get_u32(info->attrs[HSM_A_TIMEOUT_MS]);

	xid = atomic64_inc_return(&next_xid);
	xact = kzalloc(sizeof(*xact), GFP_KERNEL_ACCOUNT);
	if (!xact)
		return -ENOMEM;
	xact->xid = xid;
	xact->cookie = nla_get_u64(info->attrs[HSM_A_COOKIE]);
	xact->deadline = jiffies + msecs_to_jiffies(timeout_ms);
	msg = request_make(info, xid, timeout_ms);
	if (!msg) {
		kfree(xact);
		return -ENOMEM;
	}

	rcu_read_lock();
	spin_lock(&router_lock);
	ret = request_link(xact, skb, info, &net, &portid);
	spin_unlock(&router_lock);
	rcu_read_unlock();
	trace_hsm_route_request(xid, nla_get_u32(info->attrs[HSM_A_CLASS]),
				nla_len(info->attrs[HSM_A_PAYLOAD]), ret);
	if (ret) {
		nlmsg_free(msg);
		kfree(xact);
		return ret;
	}

	/* From here on xact may be gone at any time. */
	ret = genlmsg_unicast(net, msg, portid);
	put_net(net);
	if (!ret)
		return 0;

	spin_lock(&router_lock);
	xact = xact_find(xid);
	if (xact)
		xact_unlink(xact);
	spin_unlock(&router_lock);
	/* Somebody was faster and gave the gateway its answer. */
	if (!xact)
		return 0;
	xact_free(xact);
	if (ret == -EAGAIN) {
		GENL_SET_ERR_MSG(info, "the owner's receive buffer is full");
		return -EBUSY;
	}
	GENL_SET_ERR_MSG(info, "nobody serves this pool");
	return -ECONNREFUSED;
}

/* ---- replies ---- */

/* The request that this socket may answer, unlinked. */
static struct hsm_xact *reply_take(u64 xid, struct sk_buff *skb, struct genl_info *info,
				   int *err)
{
	struct hsm_xact *xact;

	lockdep_assert_held(&router_lock);

	*err = -ENOENT;
	xact = xact_find(xid);
	if (!xact || xact->owner->peer.sk != NETLINK_CB(skb).sk) {
		GENL_SET_ERR_MSG(info, "no request with this xid waits for this socket");
		return NULL;
	}
	*err = hsm_pool_check(xact->owner->pool, &xact->owner->generation);
	if (*err) {
		GENL_SET_ERR_MSG(info, "the caller may not use the pool");
		return NULL;
	}
	xact_unlink(xact);
	return xact;
}

int hsm_router_reply(struct sk_buff *skb, struct genl_info *info)
{
	const struct nlattr *payload;
	struct nlattr *cookie;
	struct hsm_xact *xact;
	struct sk_buff *msg;
	void *hdr;
	int ret;

	if (!hsm_netlink_need(info, HSM_A_XID, "xid is missing") ||
	    !hsm_netlink_need(info, HSM_A_PAYLOAD, "payload is missing"))
		return -EINVAL;

	/* Before the request is taken: without memory it is still there to be answered. */
	payload = info->attrs[HSM_A_PAYLOAD];
	msg = genlmsg_new(nla_total_size(nla_len(payload)) + nla_total_size_64bit(sizeof(u64)),
			  GFP_KERNEL);
	if (!msg)
		return -ENOMEM;
	ret = -EMSGSIZE;
	hdr = genlmsg_put(msg, 0, 0, &hsm_genl_family, 0, HSM_CMD_ROUTE_REPLY);
	if (!hdr)
		goto free;
	cookie = nla_reserve_64bit(msg, HSM_A_COOKIE, sizeof(u64), HSM_A_PAD);
	if (!cookie || nla_put(msg, HSM_A_PAYLOAD, nla_len(payload), nla_data(payload)))
		goto free;
	genlmsg_end(msg, hdr);

	spin_lock(&router_lock);
	xact = reply_take(nla_get_u64(info->attrs[HSM_A_XID]), skb, info, &ret);
	spin_unlock(&router_lock);
	if (!xact)
		goto free;
	memcpy(nla_data(cookie), &xact->cookie, sizeof(xact->cookie));
	trace_hsm_route_reply(xact->xid, 0);
	/* If the gateway's buffer is full its socket says so: -ENOBUFS. */
	genlmsg_unicast(xact->net, msg, xact->portid);
	xact_free(xact);
	return 0;

free:
	nlmsg_free(msg);
	return ret;
}

/* ---- module ---- */

int hsm_router_init(void)
{
	return netlink_register_notifier(&router_notifier);
}

void hsm_router_shut(void)
{
	struct hsm_gateway *gateway, *next_gateway;
	struct hsm_owner *owner, *next_owner;
	LIST_HEAD(dropped_gateways);
	LIST_HEAD(dropped_owners);
	LIST_HEAD(forgotten);
	LIST_HEAD(answers);

	spin_lock(&router_lock);
	shut = true;
	list_for_each_entry_safe(owner, next_owner, &owners, peer.node)
		owner_drop(owner, &answers, &dropped_owners);
	list_for_each_entry_safe(gateway, next_gateway, &gateways, peer.node)
		gateway_drop(gateway, &forgotten, &dropped_gateways);
	spin_unlock(&router_lock);
	answers_send(&answers);
	xacts_free(&forgotten);
	peers_free(&dropped_owners, &dropped_gateways);
}

void hsm_router_exit(void)
{
	netlink_unregister_notifier(&router_notifier);
	cancel_delayed_work_sync(&expire_work);
}
