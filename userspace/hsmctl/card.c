// SPDX-License-Identifier: Apache-2.0
#include "card.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "driver.h"
#include "hsmctl.h"
#include "pool.h"

#define TIMEOUT_MS	30000
#define BUSY_TRIES	100	/* of 20 ms, while queue pairs are being taken down */

int card_open(struct card *card, uint32_t id)
{
	char path[64];
	int err;

	snprintf(path, sizeof(path), "/dev/hsm/card%u", id);
	*card = (struct card){ .id = id, .fd = open(path, O_RDWR | O_CLOEXEC) };
	if (card->fd >= 0)
		return 0;
	err = -errno;
	ctl_fail("%s: %s%s", path, strerror(-err),
		 err == -ENOENT ? "; 'hsmctl card list' shows the cards there are" : "");
	return err;
}

void card_close(struct card *card)
{
	if (card->fd >= 0)
		close(card->fd);
	card->fd = -1;
}

/* *out_len: in capacity, out length; NULL: no output.  Says nothing. */
static int exec_quiet(const struct card *card, uint8_t opcode, const void *in, size_t in_len, void *out,
		      size_t *out_len, uint16_t *status)
{
	struct hsm_ioc_exec ioc = {
		.size = sizeof(ioc),
		.exec = {
			.opcode = opcode,
			.timeout_ms = TIMEOUT_MS,
			.in_addr = in_len ? (uintptr_t)in : 0,
			.in_len = (uint32_t)in_len,
			.out_addr = out_len ? (uintptr_t)out : 0,
			.out_len = out_len ? (uint32_t)*out_len : 0,
		},
	};
	int err;

	err = ioctl(card->fd, HSM_IOC_EXEC, &ioc) ? -errno : 0;
	*status = (uint16_t)ioc.status;
	if (!err && *status)
		err = hsm_status_errno(*status);
	if (out_len)
		*out_len = err ? 0 : ioc.reply_len;
	return err;
}

static int say(const struct card *card, const char *what, int err, uint16_t status)
{
	ctl_fail("card %u: %s: %s", card->id, what, status ? hsm_status_text(status) : strerror(-err));
	return err;
}

static int exec(const struct card *card, const char *what, uint8_t opcode, const void *in, size_t in_len,
		void *out, size_t *out_len)
{
	uint16_t status;
	int err;

	err = exec_quiet(card, opcode, in, in_len, out, out_len, &status);
	return err ? say(card, what, err, status) : 0;
}

int card_partitions(const struct card *card, struct card_partition *list, size_t *n)
{
	struct {
		struct hsm_partition_list_out head;
		struct hsm_partition_entry entries[HSM_MAX_PARTITIONS];
	} reply;
	size_t len = sizeof(reply), count;
	int err;

	err = exec(card, "list partitions", HSM_OP_PARTITION_LIST, NULL, 0, &reply, &len);
	if (err)
		return err;
	count = len < sizeof(reply.head) ? SIZE_MAX : le32toh(reply.head.count);
	if (count > HSM_MAX_PARTITIONS || len != sizeof(reply.head) + count * sizeof(reply.entries[0]))
		return say(card, "list partitions: malformed answer", -EBADMSG, 0);
	if (count > *n)
		return say(card, "list partitions", -EMSGSIZE, 0);
	for (size_t i = 0; i < count; i++) {
		memcpy(list[i].uuid, reply.entries[i].uuid, HSM_UUID_LEN);
		memcpy(list[i].check, reply.entries[i].check, sizeof(list[i].check));
		list[i].created = le64toh(reply.entries[i].created);
		list[i].queue_pairs = le32toh(reply.entries[i].queue_pairs);
	}
	*n = count;
	return 0;
}

int card_partition(const struct card *card, const uint8_t uuid[HSM_UUID_LEN], struct card_partition *out)
{
	struct card_partition list[HSM_MAX_PARTITIONS];
	size_t n = HSM_MAX_PARTITIONS;
	int err;

	err = card_partitions(card, list, &n);
	if (err)
		return err;
	for (size_t i = 0; i < n; i++)
		if (!memcmp(list[i].uuid, uuid, HSM_UUID_LEN)) {
			*out = list[i];
			return 0;
		}
	return -ENOENT;
}

int card_partition_create(const struct card *card, const uint8_t uuid[HSM_UUID_LEN])
{
	return exec(card, "create partition", HSM_OP_PARTITION_CREATE, uuid, HSM_UUID_LEN, NULL, NULL);
}

int card_partition_delete(const struct card *card, const uint8_t uuid[HSM_UUID_LEN])
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	uint16_t status;
	int err, tries = 0;

	for (;;) {
		err = exec_quiet(card, HSM_OP_PARTITION_DELETE, uuid, HSM_UUID_LEN, NULL, NULL, &status);
		if (status != HSM_ST_PARTITION_BUSY || ++tries > BUSY_TRIES)
			break;
		nanosleep(&pause, NULL);
	}
	return err ? say(card, "delete partition", err, status) : 0;
}

int card_partition_clone(const struct card *from, const struct card *to, const uint8_t uuid[HSM_UUID_LEN])
{
	struct hsm_clone_export_in ask = { 0 };
	struct hsm_clone_import_in give = { 0 };
	size_t len = sizeof(ask.offer);
	int err;

	memcpy(ask.uuid, uuid, HSM_UUID_LEN);
	memcpy(give.uuid, uuid, HSM_UUID_LEN);
	err = exec(to, "offer to take the domain key", HSM_OP_CLONE_OFFER, uuid, HSM_UUID_LEN, &ask.offer, &len);
	if (err)
		return err;
	if (len != sizeof(ask.offer))
		return say(to, "clone offer: malformed answer", -EBADMSG, 0);
	len = sizeof(give.blob);
	err = exec(from, "export the domain key to another card", HSM_OP_CLONE_EXPORT, &ask, sizeof(ask), &give.blob, &len);
	if (err)
		return err;
	if (len != sizeof(give.blob))
		return say(from, "clone export: malformed answer", -EBADMSG, 0);
	return exec(to, "import the domain key", HSM_OP_CLONE_IMPORT, &give, sizeof(give), NULL, NULL);
}

/* ---- cards of the driver ---- */

struct ids {
	const struct genl *g;
	uint32_t *ids;
	size_t n, room;
	json_t *list;
};

static const char *state_name(uint32_t state)
{
	static const char *const names[] = {
		[HSM_CARD_PROBING] = "probing",
		[HSM_CARD_LIVE] = "live",
		[HSM_CARD_DEAD] = "dead",
		[HSM_CARD_GONE] = "gone",
	};

	return state < sizeof(names) / sizeof(names[0]) ? names[state] : "unknown";
}

static uint32_t u32_of(struct nlattr *a)
{
	return a ? nla_get_u32(a) : 0;
}

static const char *string_of(struct nlattr *a)
{
	return a ? nla_get_string(a) : "";
}

static void collect(void *arg, const struct nlmsghdr *h)
{
	struct nlattr *a[HSM_A_MAX + 1];
	struct ids *ids = arg;
	uint8_t cmd;

	if (genl_parse(ids->g, h, &cmd, a) || cmd != HSM_CMD_CARD_GET || !a[HSM_A_CARD_ID])
		return;
	if (ids->list)
		json_array_append_new(ids->list, json_pack("{s:I, s:s, s:s, s:s, s:I, s:I}",
			"id", (json_int_t)u32_of(a[HSM_A_CARD_ID]),
			"state", state_name(u32_of(a[HSM_A_CARD_STATE])),
			"serial", string_of(a[HSM_A_CARD_SERIAL]),
			"bus", string_of(a[HSM_A_CARD_BUS]),
			"queue_pairs_used", (json_int_t)u32_of(a[HSM_A_CARD_QPS_USED]),
			"queue_pairs_max", (json_int_t)u32_of(a[HSM_A_CARD_QPS_MAX])));
	else if (ids->n < ids->room)
		ids->ids[ids->n++] = nla_get_u32(a[HSM_A_CARD_ID]);
}

static void forget(void *arg)
{
	struct ids *ids = arg;

	ids->n = 0;
	json_array_clear(ids->list);
}

int card_ids(struct genl *g, uint32_t *list, size_t *n)
{
	struct ids ids = { .g = g, .ids = list, .room = *n };
	int err;

	err = driver_dump(g, HSM_CMD_CARD_GET, collect, forget, &ids, "list cards");
	*n = ids.n;
	return err;
}

int card_list(const struct ctl *c)
{
	static const struct column columns[] = {
		{ "CARD", "id" },
		{ "STATE", "state" },
		{ "SERIAL", "serial" },
		{ "BUS", "bus" },
		{ "QPS USED", "queue_pairs_used" },
		{ "QPS", "queue_pairs_max" },
		{ 0 },
	};
	struct ids ids = { 0 };
	struct genl g;
	int err;

	if (driver_open(&g))
		return CTL_REFUSED;
	ids.g = &g;
	ids.list = json_array();
	err = ids.list ? driver_dump(&g, HSM_CMD_CARD_GET, collect, forget, &ids, "list cards") : -ENOMEM;
	genl_close(&g);
	if (err) {
		json_decref(ids.list);
		return CTL_REFUSED;
	}
	return ctl_print(c, json_pack("{s:o}", "cards", ids.list), "cards", columns);
}
