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
/* Of its answers that wait for room in a gateway's socket, as truesize. */
#define OWNER_UNSENT_BYTES	(2u << 20)
#define TIMEOUT_DEFAULT_MS	10000u

/* Answers that find no room are sent again this often, until so long after the deadline. */
#define RESEND_MS		10u
#define UNSENT_MS		2000u

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
	unsigned int unsent;		/* truesize of its replies that wait for room */
};

/* An accepted request: until its answer is in the gateway's socket, or nobody is there. */
struct hsm_xact {
	u64 xid;
	u64 cookie;
	unsigned long deadline;		/* jiffies */
	struct hsm_owner *owner;	/* NULL: gone */
	struct hsm_gateway *gateway;
	struct hlist_node hash_node;
	struct list_head owner_node;
	struct list_head gateway_node;
	/* The answer, once there is one: */
	struct list_head unsent_node;	/* empty: no answer yet */
	struct sk_buff *reply;		/* the owner's; NULL: a synthetic one, of: */
	u32 error;			/* errno */
};

/*
 * Everything here is process context.  The lock nests in hsm_topology and RCU.
 * Messages are sent under it, with softirqs off as nfnetlink_queue does: sending
 * doesn't sleep then, and a peer stays what it is.
 */
static DEFINE_SPINLOCK(router_lock);
/* Under router_lock: */
static DEFINE_HASHTABLE(xacts, 10);
static LIST_HEAD(owners);
static LIST_HEAD(gateways);
static LIST_HEAD(unsent);		/* hsm_xact.unsent_node */
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

/*
 * Takes msg: 0, -EAGAIN (no room now), -ECONNREFUSED (closed).
 *
 * A socket that overruns loses whatever comes until it was read empty, also what
 * concerns others.  So the router stops before, and leaves a quarter of the buffer
 * to acknowledgments.
 */
static int peer_send(const struct hsm_peer *peer, struct sk_buff *msg)
{
	struct sock *sk = peer->sk;
	unsigned int rmem = atomic_read(&sk->sk_rmem_alloc);
	int ret;

	lockdep_assert_held(&router_lock);

	/*
	 * Its port may already be another socket's.  One that closes between here
	 * and the look-up of the port is missed: nothing sends to a socket.
	 */
	if (sock_flag(sk, SOCK_DEAD))
		ret = -ECONNREFUSED;
	else if (rmem && rmem + msg->truesize > READ_ONCE(sk->sk_rcvbuf) / 4 * 3)
		ret = -EAGAIN;
	else
		return genlmsg_unicast(peer->net, msg, peer->portid);
	nlmsg_free(msg);
	return ret;
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

static void xact_link(struct hsm_xact *xact)
{
	lockdep_assert_held(&router_lock);

	xact->owner->outstanding++;
	hash_add(xacts, &xact->hash_node, xact->xid);
	list_add_tail(&xact->owner_node, &xact->owner->peer.xacts);
	list_add_tail(&xact->gateway_node, &xact->gateway->peer.xacts);
	INIT_LIST_HEAD(&xact->unsent_node);
}

static void expire_arm(unsigned long at)
{
	lockdep_assert_held(&router_lock);

	if (expire_armed && !time_before(at, expire_at))
		return;
	expire_armed = true;
	expire_at = at;
	mod_delayed_work(hsm_wq, &expire_work, time_after(at, jiffies) ? at - jiffies : 0);
}

static void xact_disown(struct hsm_xact *xact)
{
	xact->owner->outstanding--;
	if (xact->reply)
		xact->owner->unsent -= xact->reply->truesize;
	list_del(&xact->owner_node);
	xact->owner = NULL;
}

static void xact_end(struct hsm_xact *xact)
{
	lockdep_assert_held(&router_lock);

	if (xact->owner)
		xact_disown(xact);
	hash_del(&xact->hash_node);
	list_del(&xact->gateway_node);
	list_del(&xact->unsent_node);
	nlmsg_free(xact->reply);
	kfree(xact);
}

static struct sk_buff *error_make(const struct hsm_xact *xact)
{
	struct sk_buff *msg = genlmsg_new(nla_total_size_64bit(sizeof(u64)) +
					  nla_total_size(sizeof(u32)), GFP_ATOMIC);
	void *hdr;

	if (!msg)
		return NULL;
	hdr = genlmsg_put(msg, 0, 0, &hsm_genl_family, 0, HSM_CMD_ROUTE_REPLY);
	if (!hdr || nla_put_u64_64bit(msg, HSM_A_COOKIE, xact->cookie, HSM_A_PAD) ||
	    nla_put_u32(msg, HSM_A_ERROR, xact->error)) {
		nlmsg_free(msg);
		return NULL;
	}
	genlmsg_end(msg, hdr);
	return msg;
}

/* Sends the answer.  False: there was no room; else the request has ended. */
static bool xact_send(struct hsm_xact *xact)
{
	struct sk_buff *msg;

	/* A clone: sending takes the message, also when it fails. */
	msg = xact->reply ? skb_clone(xact->reply, GFP_ATOMIC) : error_make(xact);
	if (!msg || peer_send(&xact->gateway->peer, msg) == -EAGAIN)
		return false;
	xact_end(xact);
	return true;
}

/* The answer is ->reply or ->error: sends it, now or later. */
static void xact_answer(struct hsm_xact *xact)
{
	lockdep_assert_held(&router_lock);

	trace_hsm_route_reply(xact->xid, xact->error);
	if (xact_send(xact))
		return;
	list_add_tail(&xact->unsent_node, &unsent);
	expire_arm(jiffies + msecs_to_jiffies(RESEND_MS));
}

static void xact_fail(struct hsm_xact *xact, u32 error)
{
	xact->error = error;
	xact_answer(xact);
}

static void router_expire(struct work_struct *work)
{
	struct hsm_xact *xact, *next;
	struct hlist_node *tmp;
	unsigned int i;

	spin_lock_bh(&router_lock);
	expire_armed = false;
	list_for_each_entry_safe(xact, next, &unsent, unsent_node)
		if (!xact_send(xact) &&
		    time_after(jiffies, xact->deadline + msecs_to_jiffies(UNSENT_MS)))
			xact_end(xact);
	if (!list_empty(&unsent))
		expire_arm(jiffies + msecs_to_jiffies(RESEND_MS));
	hash_for_each_safe(xacts, i, tmp, xact, hash_node) {
		if (!list_empty(&xact->unsent_node))
			continue;
		if (time_after_eq(jiffies, xact->deadline))
			xact_fail(xact, ETIMEDOUT);
		else
			expire_arm(xact->deadline);
	}
	spin_unlock_bh(&router_lock);
}

/* ---- dropping peers ---- */

static void owner_drop(struct hsm_owner *owner, struct list_head *dropped)
{
	struct hsm_xact *xact, *next;

	lockdep_assert_held(&router_lock);

	list_for_each_entry_safe(xact, next, &owner->peer.xacts, owner_node) {
		xact_disown(xact);
		if (list_empty(&xact->unsent_node)) {
			xact_fail(xact, ECONNRESET);
		} else if (xact->reply) {
			/* It would hold memory that is nobody's. */
			nlmsg_free(xact->reply);
			xact->reply = NULL;
			xact->error = ECONNRESET;
		}
	}
	owner->pool->owner = NULL;
	list_move(&owner->peer.node, dropped);
}

/* Nobody is left to answer: the requests are forgotten, late replies find nothing. */
static void gateway_drop(struct hsm_gateway *gateway, struct list_head *dropped)
{
	struct hsm_xact *xact, *next;

	lockdep_assert_held(&router_lock);

	list_for_each_entry_safe(xact, next, &gateway->peer.xacts, gateway_node)
		xact_end(xact);
	list_move(&gateway->peer.node, dropped);
}

/* After unlock: the last reference on a socket may sleep. */
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

void hsm_router_drop_pool(struct hsm_pool *pool, u64 generation)
{
	LIST_HEAD(dropped);
	LIST_HEAD(none);

	spin_lock_bh(&router_lock);
	if (pool->owner && pool->owner->generation != generation)
		owner_drop(pool->owner, &dropped);
	spin_unlock_bh(&router_lock);
	peers_free(&dropped, &none);
}

u32 hsm_router_owner_portid(struct hsm_pool *pool)
{
	u32 portid;

	spin_lock_bh(&router_lock);
	portid = pool->owner ? pool->owner->peer.portid : 0;
	spin_unlock_bh(&router_lock);
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

	if (event != NETLINK_URELEASE || notify->protocol != NETLINK_GENERIC)
		return NOTIFY_DONE;

	spin_lock_bh(&router_lock);
	list_for_each_entry_safe(gateway, next_gateway, &gateways, peer.node)
		if (peer_closed(&gateway->peer, notify))
			gateway_drop(gateway, &dropped_gateways);
	list_for_each_entry_safe(owner, next_owner, &owners, peer.node)
		if (peer_closed(&owner->peer, notify))
			owner_drop(owner, &dropped_owners);
	spin_unlock_bh(&router_lock);
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

	spin_lock_bh(&router_lock);
	if (shut) {
		ret = -ESHUTDOWN;
		GENL_SET_ERR_MSG(info, "the module is being unloaded");
	} else if (gateway_find(gateway->peer.sk)) {
		ret = -EALREADY;
		GENL_SET_ERR_MSG(info, "this socket is registered as a gateway");
	} else {
		list_add_tail(&gateway->peer.node, &gateways);
	}
	spin_unlock_bh(&router_lock);
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

	spin_lock_bh(&router_lock);
	ret = owner_add(owner, pool, info);
	spin_unlock_bh(&router_lock);
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

/* Finds gateway and owner. */
static int request_check(struct hsm_xact *xact, struct sk_buff *skb, struct genl_info *info)
{
	struct hsm_pool *pool;

	RCU_LOCKDEP_WARN(!rcu_read_lock_held(), "pools are found under RCU");
	lockdep_assert_held(&router_lock);

	xact->gateway = gateway_find(NETLINK_CB(skb).sk);
	if (!xact->gateway) {
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
	xact->owner = pool->owner;
	if (!xact->owner) {
		GENL_SET_ERR_MSG(info, "nobody serves this pool");
		return -ECONNREFUSED;
	}
	if (xact->owner->outstanding >= OWNER_CREDIT) {
		GENL_SET_ERR_MSG(info, "the owner has too many requests before it");
		return -EBUSY;
	}
	return 0;
}

/* Takes msg. */
static int request_send(struct hsm_xact *xact, struct sk_buff *msg, struct genl_info *info)
{
	int ret = peer_send(&xact->owner->peer, msg);

	if (ret == -EAGAIN) {
		GENL_SET_ERR_MSG(info, "the owner's receive buffer is full");
		return -EBUSY;
	}
	if (ret) {
		GENL_SET_ERR_MSG(info, "nobody serves this pool");
		return -ECONNREFUSED;
	}
	xact_link(xact);
	expire_arm(xact->deadline);
	return 0;
}

int hsm_router_request(struct sk_buff *skb, struct genl_info *info)
{
	u32 timeout_ms = TIMEOUT_DEFAULT_MS;
	struct hsm_xact *xact;
	struct sk_buff *msg;
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
	spin_lock_bh(&router_lock);
	ret = request_check(xact, skb, info);
	if (ret)
		nlmsg_free(msg);
	else
		ret = request_send(xact, msg, info);
	spin_unlock_bh(&router_lock);
	rcu_read_unlock();
	/* If it was accepted, xact may be gone. */
	trace_hsm_route_request(xid, nla_get_u32(info->attrs[HSM_A_CLASS]),
				nla_len(info->attrs[HSM_A_PAYLOAD]), ret);
	if (ret)
		kfree(xact);
	return ret;
}

/* ---- replies ---- */

/* The request that this socket may answer with so many bytes. */
static struct hsm_xact *reply_check(u64 xid, unsigned int truesize, struct sk_buff *skb,
				    struct genl_info *info, int *err)
{
	struct hsm_xact *xact;

	lockdep_assert_held(&router_lock);

	*err = -ENOENT;
	xact = xact_find(xid);
	if (!xact || !xact->owner || xact->owner->peer.sk != NETLINK_CB(skb).sk ||
	    !list_empty(&xact->unsent_node)) {
		GENL_SET_ERR_MSG(info, "no request with this xid waits for this socket");
		return NULL;
	}
	*err = hsm_pool_check(xact->owner->pool, &xact->owner->generation);
	if (*err) {
		GENL_SET_ERR_MSG(info, "the caller may not use the pool");
		return NULL;
	}
	if (xact->owner->unsent + truesize > OWNER_UNSENT_BYTES) {
		GENL_SET_ERR_MSG(info, "too many replies wait for the gateway to read");
		*err = -EBUSY;
		return NULL;
	}
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

	spin_lock_bh(&router_lock);
	xact = reply_check(nla_get_u64(info->attrs[HSM_A_XID]), msg->truesize, skb, info, &ret);
	if (xact) {
		memcpy(nla_data(cookie), &xact->cookie, sizeof(xact->cookie));
		xact->reply = msg;
		xact->owner->unsent += msg->truesize;
		xact_answer(xact);
	}
	spin_unlock_bh(&router_lock);
	if (!xact)
		goto free;
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

	spin_lock_bh(&router_lock);
	shut = true;
	list_for_each_entry_safe(owner, next_owner, &owners, peer.node)
		owner_drop(owner, &dropped_owners);
	list_for_each_entry_safe(gateway, next_gateway, &gateways, peer.node)
		gateway_drop(gateway, &dropped_gateways);
	spin_unlock_bh(&router_lock);
	peers_free(&dropped_owners, &dropped_gateways);
}

void hsm_router_exit(void)
{
	netlink_unregister_notifier(&router_notifier);
	cancel_delayed_work_sync(&expire_work);
}
