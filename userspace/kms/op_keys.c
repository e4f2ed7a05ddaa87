// SPDX-License-Identifier: Apache-2.0
/*
 * CreateKey, DescribeKey, ListKeys.
 *
 * A key of an instance is made in three steps, all carried by the gateway with the client's own request:
 * the shared KMS chooses an id (and writes nothing), the instance makes the key under exactly that id, and the
 * shared KMS records it in its directory.  The client is answered after the third.  Whatever fails before it leaves
 * the directory as it was; a failure of the third leaves a key that only the instance lists and that nobody was told of.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "cursor.h"
#include "log.h"
#include "ops.h"
#include "replay.h"
#include "uuid.h"

/* ---- CreateKey ---- */

static void key_stored(struct store_write *w, int err)
{
	struct op *op = from_member(w, struct op, write);
	const struct store_key *k = &op->new_key;
	char text[UUID_TEXT + 1];

	if (err == -EEXIST) {
		uuid_format(k->id, text);
		op_fail(op, API_VALIDATION, "Key %s already exists.", text);
		return;
	}
	if (err) {
		op_fail_store(op, err);
		return;
	}
	memcpy(op->key.account, k->account, sizeof(op->key.account));
	op->key.created_ms = k->created_ms;
	op->key.description = op->create_key.description;
	op_end(op);
}

static void key_generated(struct op *op)
{
	struct store_key *k = &op->new_key;

	if (!op->card_len) {
		op_fail(op, API_INTERNAL, "The HSM's answer is malformed.");
		return;
	}
	k->token_len = (uint16_t)op->card_len;
	memcpy(k->id, op->key.id, 16);
	STR_COPY(k->account, op->caller.account);
	k->created_ms = op_now_ms();
	k->description = op->create_key.description.p;
	k->description_len = op->create_key.description.len;
	op->write.changes[0] = (struct store_change){ .kind = STORE_KEY_PUT, .key = k };
	op->write.n = 1;
	if (op->env->shared) {
		memcpy(op->new_dir.id, k->id, 16);
		STR_COPY(op->new_dir.account, k->account);
		op->new_dir.instance[0] = '\0';
		op->new_dir.created_ms = k->created_ms;
		op->write.changes[1] = (struct store_change){ .kind = STORE_DIR_PUT, .dir = &op->new_dir };
		op->write.n = 2;
	}
	op->write.ring = op->env->ring;
	op->write.done = key_stored;
	store_submit(op->env->store, &op->write);
}

static void generate(struct op *op)
{
	struct hsm_key_generate_in *in = op_alloc(op, sizeof(*in));

	if (!in)
		return;
	*in = (struct hsm_key_generate_in){
		.type = HSM_KEY_AES256,
		.usage = htole32(HSM_USAGE_ENCRYPT | HSM_USAGE_DECRYPT),
	};
	op_card(op, HSM_OP_KEY_GENERATE, in, sizeof(*in), op->new_key.token, sizeof(op->new_key.token),
		key_generated);
}

static void key_recorded(struct store_write *w, int err)
{
	struct op *op = from_member(w, struct op, write);

	if (err) {
		log_err("store: %s", strerror(-err));
		op_fail(op, err == -ENOSPC ? API_LIMIT_EXCEEDED : API_INTERNAL,
			"The key directory could not record the new key%s; only key store %s lists it.",
			err == -ENOSPC ? ", its disk is full" : "", op->target.instance);
		return;
	}
	op->redirected = true;
	op_end(op);
}

static void record_key(struct op *op)
{
	struct store_dir *d = &op->new_dir;

	if (!uuid_parse(op->assigned_key_id, op->target.key_id)) {
		op_fail(op, API_INTERNAL, "The gateway's message is malformed.");
		return;
	}
	memcpy(d->id, op->target.key_id, 16);
	STR_COPY(d->account, op->caller.account);
	STR_COPY(d->instance, op->target.instance);
	d->created_ms = op_now_ms();
	op->write.changes[0] = (struct store_change){ .kind = STORE_DIR_PUT, .dir = d };
	op->write.n = 1;
	op->write.ring = op->env->ring;
	op->write.done = key_recorded;
	store_submit(op->env->store, &op->write);
}

static void assign_id(struct op *op)
{
	uuid_make(op->target.key_id);
	op->redirected = true;
	op_end(op);
}

void op_create_key(struct op *op)
{
	struct span instance = op->create_key.instance;

	if (op->env->shared && instance.len) {
		op_redirect_instance(op, instance, op->assigned_key_id.len ? record_key : assign_id);
		return;
	}
	if (op->env->shared) {
		uuid_make(op->key.id);
		generate(op);
		return;
	}
	if (!op->via_route) {
		op_fail(op, API_ACCESS_DENIED, "CreateKey is management; send it to the gateway, with"
			" CustomKeyStoreId %s and your account's credential.", op->env->name);
		return;
	}
	if (!span_eq(instance, op->env->name)) {
		op_fail(op, API_KEY_STORE_NOT_FOUND, "This is key store '%s'.", op->env->name);
		return;
	}
	if (!uuid_parse(op->assigned_key_id, op->key.id)) {
		op_fail(op, API_ACCESS_DENIED, "The gateway assigned no key id.");
		return;
	}
	/* A client that is told to slow down signs again; whoever only carries the request can't. */
	if (op->env->seen && !replay_accept(op->env->seen, op->signature, ring_now(op->env->ring))) {
		op_fail(op, API_THROTTLING, "This request made a key already; sign it again to make another.");
		return;
	}
	generate(op);
}

/* ---- DescribeKey ---- */

void op_describe_key(struct op *op)
{
	op->describe = true;
	op_locate(op, &op->key, op_end);
}

/* ---- ListKeys ---- */

static void listed(struct store_page *page, int err)
{
	struct op *op = from_member(page, struct op, page);

	if (err) {
		op_fail_store(op, err);
		return;
	}
	op->list_keys.rows = page->rows;
	op->list_keys.n = page->n;
	op->list_keys.truncated = page->more;
	op_end(op);
}

void op_list_keys(struct op *op)
{
	struct op_list_keys *l = &op->list_keys;
	struct store_page *page = &op->page;
	uint8_t *after = NULL;

	if (l->marker.len) {
		after = op_alloc(op, 16);
		if (!after)
			return;
		if (!uuid_parse(l->marker, after)) {
			op_fail(op, API_INVALID_MARKER, "The marker is not one that this service gave.");
			return;
		}
	}
	page->account = op->caller.any_key ? "" : op->caller.account;
	page->after = after;
	page->limit = l->limit < OP_PAGE_CAP ? l->limit : OP_PAGE_CAP;
	page->rows = op_alloc(op, (page->limit + 1) * sizeof(*page->rows));
	if (!page->rows)
		return;
	page->done = listed;
	store_key_list(op->env->port, page);
}
