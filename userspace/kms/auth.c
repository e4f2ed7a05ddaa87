// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>

#include "cursor.h"
#include "auth.h"
#include "log.h"

#define SLOTS	256
#define DATE	8	/* YYYYMMDD */

struct slot {
	char access_key_id[STORE_AKID_MAX + 1];	/* "": free */
	char date[DATE];
	uint8_t kind;
	char account[STORE_ACCOUNT_LEN + 1];
	uint8_t key[32];
};

struct auth {
	struct auth_config cfg;
	uint64_t generation;	/* of every slot */
	unsigned int used;
	struct slot slots[SLOTS];
};

int auth_open(const struct auth_config *cfg, struct auth **out)
{
	struct auth *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->cfg = *cfg;
	a->generation = store_generation(cfg->store);
	*out = a;
	return 0;
}

void auth_close(struct auth *a)
{
	if (!a)
		return;
	OPENSSL_cleanse(a, sizeof(*a));
	free(a);
}

unsigned int auth_cached(const struct auth *a)
{
	return a->used;
}

static void forget_if_changed(struct auth *a)
{
	uint64_t now = store_generation(a->cfg.store);

	if (now == a->generation)
		return;
	OPENSSL_cleanse(a->slots, sizeof(a->slots));
	a->used = 0;
	a->generation = now;
}

/* FNV-1a; only credentials that exist ever take a slot, so nobody can choose collisions. */
static struct slot *slot_of(struct auth *a, const char *id)
{
	uint32_t h = 2166136261u;

	for (; *id; id++)
		h = (h ^ (unsigned char)*id) * 16777619u;
	return &a->slots[h % SLOTS];
}

static void refuse(struct auth_check *c, enum api_error e, const char *why)
{
	snprintf(c->why, sizeof(c->why), "%s", why);
	c->done(c, e);
}

static void check_signature(struct auth_check *c, const char *account, const uint8_t key[32])
{
	int res = sigv4_verify(c->http, &c->sig, key);

	if (res < 0) {
		refuse(c, API_INTERNAL, "The signature could not be checked.");
		return;
	}
	if (res != SIGV4_OK) {
		refuse(c, API_INVALID_SIGNATURE, "The request signature we calculated does not match the signature"
		       " you provided. Check your secret access key and signing method.");
		return;
	}
	c->caller.any_key = c->kind == STORE_CRED_INSTANCE;
	STR_COPY(c->caller.account, account);
	STR_COPY(c->caller.access_key_id, c->sig.access_key_id);
	c->done(c, API_OK);
}

static void secret_opened(struct seal_job *job, int err, size_t len)
{
	struct auth_check *c = from_member(job, struct auth_check, job);
	struct auth *a = c->auth;
	struct slot *s;
	uint8_t key[32];

	if (!err && sigv4_key((const char *)job->out, len, c->sig.date, c->sig.region, c->sig.service, key))
		err = -EIO;
	seal_wipe(job);
	if (err) {
		enum api_error e = api_error_of_card(err, 0);

		refuse(c, e, "The credential could not be opened by the HSM; try again.");
		return;
	}
	forget_if_changed(a);
	if (c->generation == a->generation && c->sig.date.len == DATE) {
		s = slot_of(a, c->cred.access_key_id);
		a->used += !s->access_key_id[0];
		STR_COPY(s->access_key_id, c->cred.access_key_id);
		memcpy(s->date, c->sig.date.p, DATE);
		s->kind = c->cred.kind;
		STR_COPY(s->account, c->cred.account);
		memcpy(s->key, key, sizeof(key));
	}
	check_signature(c, c->cred.account, key);
	OPENSSL_cleanse(key, sizeof(key));
}

static void credential_read(struct store_read *r, int err, const void *row)
{
	struct auth_check *c = from_member(r, struct auth_check, read);
	struct auth *a = c->auth;

	if (err == -ENOENT || (!err && ((const struct store_credential *)row)->kind != c->kind)) {
		refuse(c, API_UNRECOGNIZED_CLIENT, "The security token included in the request is invalid.");
		return;
	}
	if (err) {
		log_err("credential store: %s", strerror(-err));
		refuse(c, API_INTERNAL, "The credential store failed.");
		return;
	}
	c->cred = *(const struct store_credential *)row;
	c->job.done = secret_opened;
	seal_open(&c->job, a->cfg.pool, a->cfg.sealer, &c->cred);
}

static enum api_error error_of(enum sigv4_result res)
{
	switch (res) {
	case SIGV4_OK:
		return API_OK;
	case SIGV4_MISSING:
		return API_MISSING_AUTH;
	case SIGV4_INCOMPLETE:
		return API_INCOMPLETE_SIGNATURE;
	default:
		return API_INVALID_SIGNATURE;
	}
}

void auth_verify(struct auth *a, struct auth_check *c)
{
	const char *why = NULL;
	enum sigv4_result res;
	struct slot *s;

	c->auth = a;
	res = sigv4_parse(c->http, a->cfg.region, time(NULL), &c->sig, &why);
	if (res != SIGV4_OK) {
		refuse(c, error_of(res), why ? why : "Missing Authentication Token");
		return;
	}
	forget_if_changed(a);
	c->generation = a->generation;
	s = slot_of(a, c->sig.access_key_id);
	if (s->kind == c->kind && !strcmp(s->access_key_id, c->sig.access_key_id) && c->sig.date.len == DATE &&
	    !memcmp(s->date, c->sig.date.p, DATE)) {
		check_signature(c, s->account, s->key);
		return;
	}
	c->read.done = credential_read;
	c->read.description = NULL;
	store_credential_get(a->cfg.port, c->sig.access_key_id, &c->read);
}
