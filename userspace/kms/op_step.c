// SPDX-License-Identifier: Apache-2.0
/* The steps that operations are made of: finding keys, asking the card, ending. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cursor.h"
#include "log.h"
#include "ops.h"
#include "uuid.h"

int64_t op_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void op_end(struct op *op)
{
	op->done(op);
}

static void note(struct op *op, enum api_error e, const char *fmt, va_list ap)
{
	op->error = e;
	vsnprintf(op->message, sizeof(op->message), fmt, ap);
}

int op_refuse(struct op *op, enum api_error e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(op, e, fmt, ap);
	va_end(ap);
	return -1;
}

void op_fail(struct op *op, enum api_error e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(op, e, fmt, ap);
	va_end(ap);
	op_end(op);
}

void op_fail_store(struct op *op, int err)
{
	switch (err) {
	case -ENOSPC:
		op_fail(op, API_LIMIT_EXCEEDED, "The key store's disk is full; nothing was changed.");
		break;
	default:
		log_err("store: %s", strerror(-err));
		op_fail(op, API_INTERNAL, "The key store failed; nothing was changed.");
	}
}

void *op_alloc(struct op *op, size_t len)
{
	void *p = arena_alloc(op->arena, len);

	if (!p)
		op_fail(op, API_INTERNAL, "The request needs too much memory.");
	return p;
}

void op_arn(const struct op_env *env, const char *account, const uint8_t id[16], char *out)
{
	char text[UUID_TEXT + 1];

	uuid_format(id, text);
	snprintf(out, OP_ARN_MAX, "arn:aws:kms:%.64s:%s:key/%s", env->region, account, text);
}

bool op_dry_run_ends(struct op *op)
{
	if (!op->dry_run)
		return false;
	op_fail(op, API_DRY_RUN, "The request would have succeeded, but the DryRun option is set.");
	return true;
}

/* ---- keys ---- */

static void not_found(struct op *op, const struct op_key *key)
{
	char arn[OP_ARN_MAX], text[UUID_TEXT + 1];

	if (key->from_blob) {
		op_fail(op, API_INVALID_CIPHERTEXT, "The ciphertext names no key that you can use here.");
		return;
	}
	uuid_format(key->id, text);
	if (key->arn_account[0])
		op_arn(op->env, key->arn_account, key->id, arn);
	else
		snprintf(arn, sizeof(arn), "%s", text);
	op_fail(op, API_NOT_FOUND, "Key '%s' does not exist", arn);
}

/* Next ':' separated part of an ARN. */
static struct span part(struct span *rest)
{
	const char *colon = memchr(rest->p, ':', rest->len);
	struct span s = { rest->p, colon ? (size_t)(colon - rest->p) : rest->len };
	size_t skip = s.len + (colon ? 1 : 0);

	rest->p += skip;
	rest->len -= skip;
	return s;
}

/* The forms of KeyId: an id, or arn:<partition>:kms:<region>:<account>:key/<id>.  0, or -1 after op_refuse(). */
static int parse_name(struct op *op, struct op_key *key)
{
	struct span rest = key->name, region, account;
	int shown = (int)(rest.len < 128 ? rest.len : 128);

	if (rest.len < 4 || memcmp(rest.p, "arn:", 4)) {
		if (rest.len >= 6 && !memcmp(rest.p, "alias/", 6))
			return op_refuse(op, API_NOT_FOUND, "Alias %.*s is not found; aliases are not supported yet,"
					 " name the key by its id or ARN.", shown, rest.p);
		if (!uuid_parse(rest, key->id))
			return op_refuse(op, API_NOT_FOUND, "Invalid keyId '%.*s'", shown, rest.p);
		return 0;
	}
	part(&rest);
	part(&rest);
	if (!span_eq(part(&rest), "kms"))
		goto invalid;
	region = part(&rest);
	account = part(&rest);
	if (rest.len < 4 || memcmp(rest.p, "key/", 4) || account.len != STORE_ACCOUNT_LEN ||
	    memchr(account.p, '\0', account.len))
		goto invalid;
	rest.p += 4;
	rest.len -= 4;
	if (!uuid_parse(rest, key->id))
		goto invalid;
	if (!span_eq(region, op->env->region))
		return op_refuse(op, API_NOT_FOUND, "Invalid arn %.*s: it is of another region than %s",
				 (int)region.len, region.p, op->env->region);
	memcpy(key->arn_account, account.p, account.len);
	key->arn_account[account.len] = '\0';
	return 0;
invalid:
	return op_refuse(op, API_INVALID_ARN, "Invalid arn %.*s", shown, key->name.p);
}

static bool visible(const struct op *op, const struct op_key *key, const char *account)
{
	return (op->caller.any_key || !strcmp(op->caller.account, account)) &&
	       (!key->arn_account[0] || !strcmp(key->arn_account, account));
}

static void located(struct op *op)
{
	if (!visible(op, op->locating, op->locating->account))
		not_found(op, op->locating);
	else
		op->then(op);
}

static void instance_read(struct store_read *r, int err, const void *row)
{
	struct op *op = from_member(r, struct op, read);
	const struct store_instance *in = row;

	if (err == -ENOENT) {
		op_fail(op, API_UNAVAILABLE, "The key's instance %s is not registered here.", op->target.instance);
		return;
	}
	if (err) {
		op_fail_store(op, err);
		return;
	}
	STR_COPY(op->target.endpoint, in->endpoint);
	op->redirected = true;
	op_end(op);
}

static void dir_read(struct store_read *r, int err, const void *row)
{
	struct op *op = from_member(r, struct op, read);
	const struct store_dir *dir = row;

	if (err && err != -ENOENT) {
		op_fail_store(op, err);
		return;
	}
	if (err || !visible(op, op->locating, dir->account) || !dir->instance[0]) {
		not_found(op, op->locating);
		return;
	}
	STR_COPY(op->target.instance, dir->instance);
	STR_COPY(op->target.account, dir->account);
	memcpy(op->target.key_id, dir->id, 16);
	op->read.done = instance_read;
	store_instance_get(op->env->port, op->target.instance, &op->read);
}

static void key_read(struct store_read *r, int err, const void *row)
{
	struct op *op = from_member(r, struct op, read);
	struct op_key *key = op->locating;
	const struct store_key *k = row;

	if (err == -ENOENT && op->env->shared) {
		op->read.done = dir_read;
		store_dir_get(op->env->port, key->id, &op->read);
		return;
	}
	if (err == -ENOENT) {
		not_found(op, key);
		return;
	}
	if (err) {
		op_fail_store(op, err);
		return;
	}
	keycache_put(op->env->keys, k, op->generation);
	memcpy(key->account, k->account, sizeof(key->account));
	key->created_ms = k->created_ms;
	key->token_len = k->token_len;
	memcpy(key->token, k->token, k->token_len);
	if (op->describe)
		key->description = (struct span){ k->description, k->description_len };
	located(op);
}

void op_locate(struct op *op, struct op_key *key, void (*then)(struct op *op))
{
	const struct cached_key *c;

	if (key->name.len && parse_name(op, key) < 0) {
		op_end(op);
		return;
	}
	op->locating = key;
	op->then = then;
	op->generation = store_generation(op->env->store);
	c = op->describe ? NULL : keycache_get(op->env->keys, key->id, op->generation);
	if (c) {
		memcpy(key->account, c->account, sizeof(key->account));
		key->created_ms = c->created_ms;
		key->token_len = c->token_len;
		memcpy(key->token, c->token, c->token_len);
		located(op);
		return;
	}
	op->read.done = key_read;
	op->read.description = NULL;
	if (op->describe) {
		op->read.description = op_alloc(op, STORE_DESCRIPTION_MAX);
		if (!op->read.description)
			return;
	}
	store_key_get(op->env->port, key->id, &op->read);
}

/* ---- instances ---- */

static void owner_read(struct store_read *r, int err, const void *row)
{
	struct op *op = from_member(r, struct op, read);
	const struct store_instance *in = row;

	if (err && err != -ENOENT) {
		op_fail_store(op, err);
		return;
	}
	if (err || strcmp(in->account, op->caller.account)) {
		op_fail(op, API_KEY_STORE_NOT_FOUND, "Your account owns no key store '%s'.", op->target.instance);
		return;
	}
	STR_COPY(op->target.account, in->account);
	STR_COPY(op->target.endpoint, in->endpoint);
	op->then(op);
}

void op_redirect_instance(struct op *op, struct span instance, void (*then)(struct op *op))
{
	if (instance.len > STORE_INSTANCE_MAX) {
		op_fail(op, API_KEY_STORE_NOT_FOUND, "Your account owns no key store '%.*s'.",
			(int)(instance.len < 64 ? instance.len : 64), instance.p);
		return;
	}
	memcpy(op->target.instance, instance.p, instance.len);
	op->target.instance[instance.len] = '\0';
	op->then = then;
	op->read.done = owner_read;
	store_instance_get(op->env->port, op->target.instance, &op->read);
}

/* ---- the card ---- */

static void card_done(struct hsm_cmd *cmd, int err, uint16_t status, uint32_t out_len)
{
	struct op *op = from_member(cmd, struct op, cmd);
	enum api_error e = api_error_of_card(err, status);

	if (!err && !status) {
		op->card_len = out_len;
		op->then(op);
		return;
	}
	/* Before op_fail(): it ends the request, and cmd with it. */
	if (e != API_INVALID_CIPHERTEXT)
		log_warn("card command 0x%02x: %s", cmd->opcode, status ? hsm_status_text(status) : strerror(-err));
	switch (e) {
	case API_INVALID_CIPHERTEXT:
		op_fail(op, e, "The ciphertext was altered, or its encryption context is another.");
		break;
	case API_UNAVAILABLE:
	case API_DEPENDENCY_TIMEOUT:
		op_fail(op, e, "No HSM of the pool answered; try again.");
		break;
	case API_THROTTLING:
		op_fail(op, e, "Every queue of the HSM pool is full; try again.");
		break;
	default:
		op_fail(op, e == API_OK ? API_INTERNAL : e, "The HSM refused the command.");
	}
}

void op_card(struct op *op, uint8_t opcode, const void *in, size_t in_len, void *out, size_t out_cap,
	     void (*then)(struct op *op))
{
	op->then = then;
	op->cmd.opcode = opcode;
	op->cmd.timeout_ms = 0;
	op->cmd.in = in;
	op->cmd.in_len = (uint32_t)in_len;
	op->cmd.out = out;
	op->cmd.out_cap = (uint32_t)out_cap;
	op->cmd.done = card_done;
	hsm_submit(op->env->pool, &op->cmd);
}

int op_aad(struct op *op, const struct op_key *key, const struct op_context *ctx, void *out)
{
	int len = blob_aad(key->id, ctx->pairs, ctx->n, out);

	if (len == -EMSGSIZE)
		op_fail(op, API_VALIDATION, "The encryption context is larger than %u bytes.", CONTEXT_MAX);
	else if (len < 0)
		op_fail(op, API_VALIDATION, "The encryption context has an empty key or names a key twice.");
	return len < 0 ? -1 : len;
}
