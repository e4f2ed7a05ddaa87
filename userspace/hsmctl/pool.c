// SPDX-License-Identifier: Apache-2.0
/* Pools: a partition on each of their cards, then queue pairs bound to it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "card.h"
#include "driver.h"
#include "hsmctl.h"
#include "route.h"
#include "uuid.h"

#define MAX_CARDS	16
#define FILEID_KERNFS	0xfe	/* type of a cgroup's file handle: its 64-bit id */

/* ---- list ---- */

/* The cgroup of that id (open_by_handle_at(2)); "" if it is gone, or not for us to see. */
static void cgroup_path(uint64_t id, char *out, size_t cap)
{
	struct {
		struct file_handle head;
		uint64_t id;
	} h = { .head = { .handle_bytes = sizeof(uint64_t), .handle_type = FILEID_KERNFS } };
	char link[64];
	int mount, fd;
	ssize_t n;

	out[0] = '\0';
	memcpy(h.head.f_handle, &id, sizeof(id));
	mount = open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mount < 0)
		return;
	fd = open_by_handle_at(mount, &h.head, O_PATH | O_CLOEXEC);
	close(mount);
	if (fd < 0)
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, out, cap - 1);
	out[n > 0 ? n : 0] = '\0';
	close(fd);
}

/* [{card, queue_pairs}], and "0:2 1:2" for the table. */
static json_t *members(const struct nlmsghdr *h, char *text, size_t cap)
{
	struct genlmsghdr *gh = genlmsg_hdr((struct nlmsghdr *)h);
	struct nlattr *a, *m[HSM_A_MAX + 1];
	json_t *list = json_array();
	size_t len = 0;
	int rem;

	text[0] = '\0';
	nla_for_each_attr(a, genlmsg_attrdata(gh, 0), genlmsg_attrlen(gh, 0), rem) {
		if (nla_type(a) != HSM_A_MEMBER || nla_parse_nested(m, HSM_A_MAX, a, NULL) || !m[HSM_A_CARD_ID] ||
		    !m[HSM_A_MEMBER_QPS] || nla_len(m[HSM_A_CARD_ID]) < 4 || nla_len(m[HSM_A_MEMBER_QPS]) < 4)
			continue;
		json_array_append_new(list, json_pack("{s:I, s:I}",
			"card", (json_int_t)nla_get_u32(m[HSM_A_CARD_ID]),
			"queue_pairs", (json_int_t)nla_get_u32(m[HSM_A_MEMBER_QPS])));
		if (len < cap)
			len += (size_t)snprintf(text + len, cap - len, "%s%u:%u", len ? " " : "",
						nla_get_u32(m[HSM_A_CARD_ID]), nla_get_u32(m[HSM_A_MEMBER_QPS]));
	}
	return list;
}

struct found {
	const struct genl *g;
	json_t *list;		/* of pool list */
	bool any;
	uint8_t partition[HSM_UUID_LEN];
};

static void add_pool(void *arg, const struct nlmsghdr *h)
{
	char uuid[UUID_TEXT + 1] = "", cgroup[512] = "", text[256];
	struct nlattr *a[HSM_A_MAX + 1];
	struct found *f = arg;
	uint32_t flags, owner;
	json_t *list;
	uint8_t cmd;

	if (genl_parse(f->g, h, &cmd, a) || cmd != HSM_CMD_POOL_GET || !a[HSM_A_POOL_NAME] || !a[HSM_A_PARTITION])
		return;
	f->any = true;
	memcpy(f->partition, nla_data(a[HSM_A_PARTITION]), HSM_UUID_LEN);
	if (!f->list)
		return;
	uuid_format(f->partition, uuid);
	if (a[HSM_A_CGROUP_ID])
		cgroup_path(nla_get_u64(a[HSM_A_CGROUP_ID]), cgroup, sizeof(cgroup));
	flags = a[HSM_A_POOL_FLAGS] ? nla_get_u32(a[HSM_A_POOL_FLAGS]) : 0;
	owner = a[HSM_A_OWNER_PORTID] ? nla_get_u32(a[HSM_A_OWNER_PORTID]) : 0;
	list = members(h, text, sizeof(text));
	json_array_append_new(f->list, json_pack("{s:s, s:s, s:b, s:I, s:I, s:b, s:s, s:s, s:o}",
		"name", nla_get_string(a[HSM_A_POOL_NAME]),
		"partition", uuid,
		"shared", !!(flags & HSM_POOL_F_SHARED),
		"depth", (json_int_t)(a[HSM_A_DEPTH] ? nla_get_u32(a[HSM_A_DEPTH]) : 0),
		"queue_pairs", (json_int_t)(a[HSM_A_POOL_QPS] ? nla_get_u32(a[HSM_A_POOL_QPS]) : 0),
		"owned", owner != 0,
		"cgroup", cgroup,
		"cards", text,
		"members", list));
}

static void forget(void *arg)
{
	struct found *f = arg;

	json_array_clear(f->list);
}

int pool_list(const struct ctl *c)
{
	static const struct column columns[] = {
		{ "POOL", "name" },
		{ "QPS", "queue_pairs" },
		{ "CARD:QPS", "cards" },
		{ "DEPTH", "depth" },
		{ "SHARED", "shared" },
		{ "OWNED", "owned" },
		{ "PARTITION", "partition" },
		{ "CGROUP", "cgroup" },
		{ 0 },
	};
	struct found f = { 0 };
	struct genl g;
	int err;

	if (driver_open(&g))
		return CTL_REFUSED;
	f.g = &g;
	f.list = json_array();
	err = f.list ? driver_dump(&g, HSM_CMD_POOL_GET, add_pool, forget, &f, "list pools") : -ENOMEM;
	genl_close(&g);
	if (err) {
		json_decref(f.list);
		return CTL_REFUSED;
	}
	if (c->json) {
		size_t i;
		json_t *pool;

		/* That was for the table; "members" says it better. */
		json_array_foreach(f.list, i, pool)
			json_object_del(pool, "cards");
	}
	return ctl_print(c, json_pack("{s:o}", "pools", f.list), "pools", columns);
}

/* ---- create ---- */

struct member {
	struct card card;
	bool made;		/* by us: undone on failure */
	bool has;
	struct card_partition part;
};

struct creation {
	struct genl g;
	int cgroup;
	uint32_t queue_pairs, depth;
	uint8_t uuid[HSM_UUID_LEN];
	char uuid_text[UUID_TEXT + 1];
	struct member members[MAX_CARDS];
	size_t n;
};

static int parse_cards(const char *text, struct creation *cr)
{
	char word[16];
	uint32_t id;
	size_t len;

	for (;; text += len + 1) {
		len = strcspn(text, ",");
		if (!len || len >= sizeof(word) || cr->n == MAX_CARDS)
			return -EINVAL;
		memcpy(word, text, len);
		word[len] = '\0';
		if (ctl_number(word, 0, 1023, &id))
			return -EINVAL;
		for (size_t i = 0; i < cr->n; i++)
			if (cr->members[i].card.id == id)
				return -EINVAL;
		cr->members[cr->n++].card = (struct card){ .id = id, .fd = -1 };
		if (!text[len])
			return 0;
	}
}

static int parse_create(const struct ctl *c, struct creation *cr)
{
	if (!route_name_valid(c->name))
		return ctl_usage("pool name '%s': up to %d characters of a-z 0-9 _ -, the first a letter or digit, not card<N>",
				 c->name, ROUTE_NAME_LEN - 1);
	if (parse_cards(c->cards, cr))
		return ctl_usage("--cards '%s': give numbers of different cards, at most %d, as in 0,1", c->cards, MAX_CARDS);
	if (ctl_number(c->queue_pairs, 1, 64, &cr->queue_pairs))
		return ctl_usage("--queue-pairs '%s': give a number from 1 to 64, of each card", c->queue_pairs);
	if (c->depth && (ctl_number(c->depth, 2, 1024, &cr->depth) || (cr->depth & (cr->depth - 1))))
		return ctl_usage("--depth '%s': give a power of two from 2 to 1024", c->depth);
	if (c->partition && !uuid_parse((struct span){ c->partition, strlen(c->partition) }, cr->uuid))
		return ctl_usage("--partition '%s': give a UUID", c->partition);
	if (!c->partition)
		uuid_make(cr->uuid);
	uuid_format(cr->uuid, cr->uuid_text);
	return CTL_OK;
}

/* Opens the cards and sees which have the partition. */
static int look(struct creation *cr)
{
	for (size_t i = 0; i < cr->n; i++) {
		struct member *m = &cr->members[i];
		int err = card_open(&m->card, m->card.id);

		if (!err)
			err = card_partition(&m->card, cr->uuid, &m->part);
		if (err && err != -ENOENT)
			return err;
		/* Of opening, -ENOENT has been said. */
		if (m->card.fd < 0)
			return err;
		m->has = !err;
	}
	return 0;
}

/* The partition on every card, with one domain key. */
static int spread(const struct ctl *c, struct creation *cr)
{
	struct member *source = NULL;
	int err;

	for (size_t i = 0; i < cr->n && !source; i++)
		if (cr->members[i].has)
			source = &cr->members[i];
	if (!source) {
		if (c->partition)
			ctl_note("no card has partition %s: it is made anew; what was sealed in an earlier one of that name stays sealed",
				 cr->uuid_text);
		source = &cr->members[0];
		err = card_partition_create(&source->card, cr->uuid);
		if (err)
			return err;
		source->made = true;
	}
	for (size_t i = 0; i < cr->n; i++) {
		struct member *m = &cr->members[i];

		if (m->has || m == source)
			continue;
		err = card_partition_clone(&source->card, &m->card, cr->uuid);
		if (err)
			return err;
		m->made = true;
	}
	for (size_t i = 0; i < cr->n; i++) {
		struct member *m = &cr->members[i];

		err = card_partition(&m->card, cr->uuid, &m->part);
		if (err == -ENOENT)
			ctl_fail("card %u lost partition %s just now", m->card.id, cr->uuid_text);
		if (err)
			return err;
		if (memcmp(m->part.check, cr->members[0].part.check, sizeof(m->part.check))) {
			ctl_fail("cards %u and %u hold different domain keys under partition %s; delete the wrong one ('partition list' shows both)",
				 cr->members[0].card.id, m->card.id, cr->uuid_text);
			return -EKEYREJECTED;
		}
	}
	return 0;
}

static int put_members(struct nl_msg *msg, const struct creation *cr)
{
	for (size_t i = 0; i < cr->n; i++) {
		struct nlattr *nest = nla_nest_start(msg, HSM_A_MEMBER | NLA_F_NESTED);

		if (!nest || nla_put_u32(msg, HSM_A_CARD_ID, cr->members[i].card.id) ||
		    nla_put_u32(msg, HSM_A_MEMBER_QPS, cr->queue_pairs))
			return -ENOMEM;
		nla_nest_end(msg, nest);
	}
	return 0;
}

static int make(const struct ctl *c, struct creation *cr)
{
	struct nl_msg *msg = genl_msg(&cr->g, HSM_CMD_POOL_NEW, 0, DRIVER_SEQ, 1024);

	if (!msg || nla_put_string(msg, HSM_A_POOL_NAME, c->name) ||
	    nla_put(msg, HSM_A_PARTITION, HSM_UUID_LEN, cr->uuid) || nla_put_s32(msg, HSM_A_CGROUP_FD, cr->cgroup) ||
	    put_members(msg, cr) || (c->shared && nla_put_u32(msg, HSM_A_POOL_FLAGS, HSM_POOL_F_SHARED)) ||
	    (cr->depth && nla_put_u32(msg, HSM_A_DEPTH, cr->depth))) {
		nlmsg_free(msg);
		ctl_fail("out of memory");
		return -ENOMEM;
	}
	return driver_request(&cr->g, msg, NULL, NULL, "create pool");
}

static void undo(struct creation *cr)
{
	for (size_t i = cr->n; i-- > 0;)
		if (cr->members[i].made)
			card_partition_delete(&cr->members[i].card, cr->uuid);
}

/* The pool of that name: f->any.  Silent when there is none. */
static int find_pool(struct genl *g, const char *name, struct found *f)
{
	struct nl_msg *msg = genl_msg(g, HSM_CMD_POOL_GET, 0, DRIVER_SEQ, 64);
	char why[256];
	int err;

	if (!msg || nla_put_string(msg, HSM_A_POOL_NAME, name)) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	*f = (struct found){ .g = g };
	err = genl_request(g, msg, add_pool, f, why, sizeof(why));
	return err == -ENOENT ? 0 : err;
}

static int open_cgroup(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		ctl_fail("cgroup %s: %s; make it first: mkdir %s", dir, strerror(errno), dir);
	return fd;
}

static int created(const struct ctl *c, const struct creation *cr)
{
	json_t *cards = json_array();

	for (size_t i = 0; i < cr->n; i++)
		json_array_append_new(cards, json_integer(cr->members[i].card.id));
	return ctl_print(c, json_pack("{s:s, s:s, s:s+, s:o, s:I}", "pool", c->name, "partition", cr->uuid_text,
				      "device", "/dev/hsm/", c->name, "cards", cards, "queue_pairs",
				      (json_int_t)(cr->queue_pairs * cr->n)), NULL, NULL);
}

int pool_create(const struct ctl *c)
{
	struct creation cr = { .cgroup = -1 };
	struct found f;
	int ret, err;

	ret = parse_create(c, &cr);
	if (ret)
		return ret;
	if (driver_open(&cr.g))
		return CTL_REFUSED;
	ret = CTL_REFUSED;
	err = find_pool(&cr.g, c->name, &f);
	if (err) {
		ctl_fail("look for pool %s: %s", c->name, strerror(-err));
		goto out;
	}
	if (f.any) {
		ctl_fail("pool %s exists; 'hsmctl pool delete %s' first", c->name, c->name);
		goto out;
	}
	cr.cgroup = open_cgroup(c->cgroup);
	if (cr.cgroup < 0)
		goto out;
	err = look(&cr);
	if (!err)
		err = spread(c, &cr);
	if (!err)
		err = make(c, &cr);
	if (err)
		undo(&cr);
	else
		ret = created(c, &cr);
out:
	for (size_t i = 0; i < cr.n; i++)
		card_close(&cr.members[i].card);
	if (cr.cgroup >= 0)
		close(cr.cgroup);
	genl_close(&cr.g);
	return ret;
}

/* ---- bind, delete ---- */

int pool_bind(const struct ctl *c)
{
	struct nl_msg *msg;
	struct genl g;
	int cgroup, err = -ENOMEM;

	cgroup = open_cgroup(c->cgroup);
	if (cgroup < 0)
		return CTL_REFUSED;
	if (driver_open(&g)) {
		close(cgroup);
		return CTL_REFUSED;
	}
	msg = genl_msg(&g, HSM_CMD_POOL_BIND, 0, DRIVER_SEQ, 128);
	if (!msg || nla_put_string(msg, HSM_A_POOL_NAME, c->name) || nla_put_s32(msg, HSM_A_CGROUP_FD, cgroup)) {
		nlmsg_free(msg);
		ctl_fail("out of memory");
	} else {
		err = driver_request(&g, msg, NULL, NULL, "bind pool");
	}
	genl_close(&g);
	close(cgroup);
	if (err)
		return CTL_REFUSED;
	return ctl_print(c, json_pack("{s:s, s:s}", "pool", c->name, "cgroup", c->cgroup), NULL, NULL);
}

/* From every card that has it. */
static int delete_partition(struct genl *g, const uint8_t uuid[HSM_UUID_LEN])
{
	uint32_t ids[64];
	size_t n = 64;
	int err, first = 0;

	err = card_ids(g, ids, &n);
	if (err)
		return err;
	for (size_t i = 0; i < n; i++) {
		struct card_partition part;
		struct card card;

		err = card_open(&card, ids[i]);
		if (!err) {
			err = card_partition(&card, uuid, &part);
			if (!err)
				err = card_partition_delete(&card, uuid);
			else if (err == -ENOENT)
				err = 0;
			card_close(&card);
		}
		if (err && !first)
			first = err;
	}
	return first;
}

int pool_delete(const struct ctl *c)
{
	struct nl_msg *msg;
	struct found f;
	struct genl g;
	int err;

	if (driver_open(&g))
		return CTL_REFUSED;
	err = find_pool(&g, c->name, &f);
	if (!err && !f.any)
		err = -ENOENT;
	if (err) {
		ctl_fail("pool %s: %s", c->name, err == -ENOENT ? "there is none of that name" : strerror(-err));
		goto out;
	}
	msg = genl_msg(&g, HSM_CMD_POOL_DEL, 0, DRIVER_SEQ, 64);
	if (!msg || nla_put_string(msg, HSM_A_POOL_NAME, c->name)) {
		nlmsg_free(msg);
		err = -ENOMEM;
		ctl_fail("out of memory");
		goto out;
	}
	err = driver_request(&g, msg, NULL, NULL, "delete pool");
	if (!err && c->with_partition)
		err = delete_partition(&g, f.partition);
out:
	genl_close(&g);
	if (err)
		return CTL_REFUSED;
	return ctl_print(c, json_pack("{s:s, s:b, s:b}", "pool", c->name, "deleted", 1, "partition_deleted",
				      c->with_partition), NULL, NULL);
}
