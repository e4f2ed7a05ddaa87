// SPDX-License-Identifier: Apache-2.0
/*
 * Administration of the daemon, over its socket: accounts, instances, credentials.
 * Runs on worker 0.  A secret is shown once, in the answer that makes it; what is
 * stored is sealed by the card first.
 */
#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>

#include "cursor.h"
#include "base64.h"
#include "kms.h"
#include "log.h"
#include "uuid.h"

#define SECRET_LEN	40	/* characters, as AWS has them */
#define AKID_LEN	20

_Static_assert(STORE_INSTANCE_MAX == ROUTE_NAME_LEN - 1, "one rule for instance names");

/* An administration call that needs the card or the store. */
struct job {
	struct worker *worker;
	struct admin_call *call;
	struct store_credential cred;
	struct store_account account;
	struct store_instance instance;
	bool with_account;
	bool shows_secret;
	char secret[SECRET_LEN + 1];
	struct hsm_cmd cmd;
	struct hsm_random_in random_in;
	struct {
		uint8_t secret[SECRET_LEN / 4 * 3];
		uint8_t account[8];
		uint8_t akid[AKID_LEN - 4];
	} random;
	struct seal_job seal;
	struct store_write write;
};

static struct job *job_new(struct worker *w, struct admin_call *call)
{
	struct job *j = calloc(1, sizeof(*j));

	if (!j) {
		admin_answer(call, NULL);
		return NULL;
	}
	j->worker = w;
	j->call = call;
	w->in_flight++;
	return j;
}

static void job_end(struct job *j)
{
	struct worker *w = j->worker;

	OPENSSL_cleanse(j, sizeof(*j));
	free(j);
	worker_ended(w);
}

/* ---- members of a call ---- */

static const char *string(const json_t *in, const char *name)
{
	const char *s = json_string_value(json_object_get(in, name));

	return s ? s : "";
}

static bool is_name(const char *s)
{
	size_t len = strlen(s);

	if (!len || len > STORE_NAME_MAX || !isalnum((unsigned char)*s))
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("._-", *s))
			return false;
	return true;
}

static bool is_account(const char *s)
{
	return strlen(s) == STORE_ACCOUNT_LEN && strspn(s, "0123456789") == STORE_ACCOUNT_LEN;
}

static bool is_akid(const char *s)
{
	size_t len = strlen(s);

	return len >= 16 && len <= STORE_AKID_MAX &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == len;
}

static bool is_secret(const char *s)
{
	size_t len = strlen(s);

	for (size_t i = 0; i < len; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return false;
	return len == SECRET_LEN;
}

/* ---- accounts that are known already ---- */

struct account_search {
	const char *id, *name;		/* NULL: any */
	bool found;
	struct store_account account;
};

static void match_account(void *arg, const void *row)
{
	const struct store_account *a = row;
	struct account_search *s = arg;

	if ((s->id && strcmp(a->id, s->id)) || (s->name && strcmp(a->name, s->name)))
		return;
	s->found = true;
	s->account = *a;
}

/* false after a refusal. */
static bool search_account(struct worker *w, struct admin_call *call, struct account_search *s)
{
	int err = store_account_each(w->port, match_account, s);

	if (err)
		admin_refuse(call, "the store failed: %s", strerror(-err));
	return !err;
}

/* ---- account-create, account-import, credential-issue: make, seal, store ---- */

static void credential_stored(struct store_write *write, int err)
{
	struct job *j = from_member(write, struct job, write);
	json_t *out;

	if (err == -EEXIST && j->with_account)
		admin_refuse(j->call, "account '%s' (%s) exists already, with another id, name or credential",
			     j->account.name, j->account.id);
	else if (err == -EEXIST)
		admin_refuse(j->call, "access key id %s exists already", j->cred.access_key_id);
	else if (err)
		admin_refuse(j->call, "the store failed: %s; nothing was changed", strerror(-err));
	if (err)
		goto end;
	log_info("credential %s of '%s' is stored", j->cred.access_key_id, j->cred.name);
	out = json_pack("{s:s, s:s}", "name", j->cred.name, "access_key_id", j->cred.access_key_id);
	if (out && j->cred.account[0])
		json_object_set_new(out, "account", json_string(j->cred.account));
	if (out && j->shows_secret)
		json_object_set_new(out, "secret_access_key", json_string(j->secret));
	admin_answer(j->call, out);
end:
	job_end(j);
}

static void credential_sealed(struct seal_job *seal, int err, size_t len)
{
	struct job *j = from_member(seal, struct job, seal);
	unsigned int n = 0;

	if (err) {
		admin_refuse(j->call, "the HSM can't seal the secret: %s", strerror(-err));
		job_end(j);
		return;
	}
	j->cred.secret_len = (uint16_t)len;
	memcpy(j->cred.secret, seal->out, len);
	if (j->with_account)
		j->write.changes[n++] = (struct store_change){ .kind = STORE_ACCOUNT_PUT, .account = &j->account };
	j->write.changes[n++] = (struct store_change){ .kind = STORE_CREDENTIAL_PUT, .credential = &j->cred };
	j->write.n = n;
	j->write.ring = j->worker->ring;
	j->write.done = credential_stored;
	store_submit(j->worker->kms->store, &j->write);
}

static void seal_credential(struct job *j)
{
	j->seal.done = credential_sealed;
	seal_secret(&j->seal, j->worker->pool, &j->worker->kms->sealer, &j->cred, j->secret, SECRET_LEN);
}

static void random_made(struct hsm_cmd *cmd, int err, uint16_t status, uint32_t len)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	struct job *j = from_member(cmd, struct job, cmd);
	uint64_t n;

	if (err || status || len != sizeof(j->random)) {
		admin_refuse(j->call, "the HSM gave no random bytes: %s",
			     status ? hsm_status_text(status) : strerror(err ? -err : EIO));
		job_end(j);
		return;
	}
	base64_encode(j->random.secret, sizeof(j->random.secret), j->secret);
	memcpy(j->cred.access_key_id, "AKIA", 4);
	for (int i = 4; i < AKID_LEN; i++)
		j->cred.access_key_id[i] = alphabet[j->random.akid[i - 4] % 32];
	if (j->with_account) {
		memcpy(&n, j->random.account, sizeof(n));
		n = 100000000000 + n % 900000000000;
		for (int i = STORE_ACCOUNT_LEN - 1; i >= 0; i--, n /= 10)
			j->account.id[i] = (char)('0' + n % 10);
		STR_COPY(j->cred.account, j->account.id);
	}
	seal_credential(j);
}

static void make_credential(struct job *j)
{
	j->shows_secret = true;
	j->random_in = (struct hsm_random_in){ .len = htole32(sizeof(j->random)) };
	j->cmd.opcode = HSM_OP_RANDOM;
	j->cmd.in = &j->random_in;
	j->cmd.in_len = sizeof(j->random_in);
	j->cmd.out = &j->random;
	j->cmd.out_cap = sizeof(j->random);
	j->cmd.done = random_made;
	hsm_submit(j->worker->pool, &j->cmd);
}

static void account_create(struct worker *w, struct admin_call *call, const json_t *in)
{
	const char *name = string(in, "name");
	struct job *j;

	if (!is_name(name)) {
		admin_refuse(call, "give the account a name: letters, digits, '.', '_', '-', at most %d", STORE_NAME_MAX);
		return;
	}
	j = job_new(w, call);
	if (!j)
		return;
	j->with_account = true;
	STR_COPY(j->account.name, name);
	STR_COPY(j->cred.name, name);
	j->account.created_ms = j->cred.created_ms = op_now_ms();
	j->cred.kind = STORE_CRED_ACCOUNT;
	make_credential(j);
}

static void account_import(struct worker *w, struct admin_call *call, const json_t *in)
{
	const char *id = string(in, "account"), *name = string(in, "name");
	const char *akid = string(in, "access_key_id"), *secret = string(in, "secret_access_key");
	struct account_search known = { .id = id, .name = name };
	struct job *j;

	if (!is_account(id) || !is_name(name) || !is_akid(akid) || !is_secret(secret)) {
		admin_refuse(call, "account-import takes what account-create of the shared KMS answered:"
			     " account (12 digits), name, access_key_id, secret_access_key (%d characters)", SECRET_LEN);
		return;
	}
	/* A further credential of an account that was imported before comes without its row. */
	if (!search_account(w, call, &known))
		return;
	j = job_new(w, call);
	if (!j)
		return;
	j->with_account = !known.found;
	STR_COPY(j->account.id, id);
	STR_COPY(j->account.name, name);
	j->account.created_ms = j->cred.created_ms = op_now_ms();
	j->cred.kind = STORE_CRED_ACCOUNT;
	STR_COPY(j->cred.account, id);
	STR_COPY(j->cred.name, name);
	STR_COPY(j->cred.access_key_id, akid);
	STR_COPY(j->secret, secret);
	seal_credential(j);
}

/* Of a dedicated KMS for its private endpoint, of the shared one for an account that it has. */
static void credential_issue(struct worker *w, struct admin_call *call, const json_t *in)
{
	const char *name = string(in, "name");
	struct account_search search = { .name = name };
	struct job *j;

	if (!is_name(name)) {
		admin_refuse(call, "give the credential a name: letters, digits, '.', '_', '-', at most %d",
			     STORE_NAME_MAX);
		return;
	}
	if (w->kms->cfg.shared) {
		if (!search_account(w, call, &search))
			return;
		if (!search.found) {
			admin_refuse(call, "there is no account '%s'; account-create makes one", name);
			return;
		}
	}
	j = job_new(w, call);
	if (!j)
		return;
	STR_COPY(j->cred.name, name);
	STR_COPY(j->cred.account, search.account.id);
	j->cred.created_ms = op_now_ms();
	j->cred.kind = w->kms->cfg.shared ? STORE_CRED_ACCOUNT : STORE_CRED_INSTANCE;
	make_credential(j);
}

/* ---- instance-add, credential-revoke: one write ---- */

static void revoked(struct store_write *write, int err)
{
	struct job *j = from_member(write, struct job, write);

	if (err == -ENOENT) {
		admin_refuse(j->call, "there is no credential %s", j->cred.access_key_id);
	} else if (err) {
		admin_refuse(j->call, "the store failed: %s; nothing was changed", strerror(-err));
	} else {
		log_info("credential %s is revoked", j->cred.access_key_id);
		admin_answer(j->call, json_pack("{s:s}", "access_key_id", j->cred.access_key_id));
	}
	job_end(j);
}

static void credential_revoke(struct worker *w, struct admin_call *call, const json_t *in)
{
	const char *akid = string(in, "access_key_id");
	struct job *j;

	if (!is_akid(akid)) {
		admin_refuse(call, "name the credential by its access_key_id; credential-list shows them");
		return;
	}
	j = job_new(w, call);
	if (!j)
		return;
	STR_COPY(j->cred.access_key_id, akid);
	j->write.changes[0] = (struct store_change){
		.kind = STORE_CREDENTIAL_DELETE,
		.access_key_id = j->cred.access_key_id,
	};
	j->write.n = 1;
	j->write.ring = w->ring;
	j->write.done = revoked;
	store_submit(w->kms->store, &j->write);
}

static void instance_stored(struct store_write *write, int err)
{
	struct job *j = from_member(write, struct job, write);

	if (err == -EEXIST)
		admin_refuse(j->call, "instance '%s' belongs to another account", j->instance.name);
	else if (err)
		admin_refuse(j->call, "the store failed: %s; nothing was changed", strerror(-err));
	else
		admin_answer(j->call, json_pack("{s:s, s:s, s:s}", "name", j->instance.name, "account",
						j->instance.account, "endpoint", j->instance.endpoint));
	job_end(j);
}

static void instance_add(struct worker *w, struct admin_call *call, const json_t *in)
{
	const char *name = string(in, "name"), *endpoint = string(in, "endpoint");
	struct account_search search = { .id = string(in, "account") };
	struct job *j;

	if (!route_name_valid(name)) {
		admin_refuse(call, "name the instance as its pool: at most %d of a-z, 0-9, '_', '-', the first a letter or"
			     " digit", STORE_INSTANCE_MAX);
		return;
	}
	if (!strcmp(name, w->kms->cfg.name)) {
		admin_refuse(call, "'%s' is the shared KMS itself", name);
		return;
	}
	if (strncmp(endpoint, "https://", 8) || strlen(endpoint) > STORE_URL_MAX ||
	    strpbrk(endpoint, "\"\\ \t\r\n")) {
		admin_refuse(call, "endpoint must be the https:// URL of the instance, at most %d characters", STORE_URL_MAX);
		return;
	}
	if (!search_account(w, call, &search))
		return;
	if (!search.found) {
		admin_refuse(call, "there is no account '%s'; account-list shows them", search.id);
		return;
	}
	j = job_new(w, call);
	if (!j)
		return;
	STR_COPY(j->instance.name, name);
	STR_COPY(j->instance.account, search.id);
	STR_COPY(j->instance.endpoint, endpoint);
	j->instance.created_ms = op_now_ms();
	j->write.changes[0] = (struct store_change){ .kind = STORE_INSTANCE_PUT, .instance = &j->instance };
	j->write.n = 1;
	j->write.ring = w->ring;
	j->write.done = instance_stored;
	store_submit(w->kms->store, &j->write);
}

/* ---- lists and status ---- */

static void append_account(void *arg, const void *row)
{
	const struct store_account *a = row;

	json_array_append_new(arg, json_pack("{s:s, s:s, s:f}", "account", a->id, "name", a->name, "created",
					     (double)a->created_ms / 1000));
}

static void append_instance(void *arg, const void *row)
{
	const struct store_instance *i = row;

	json_array_append_new(arg, json_pack("{s:s, s:s, s:s, s:f}", "name", i->name, "account", i->account,
					     "endpoint", i->endpoint, "created", (double)i->created_ms / 1000));
}

static void append_credential(void *arg, const void *row)
{
	const struct store_credential *c = row;

	json_array_append_new(arg, json_pack("{s:s, s:s, s:s, s:s, s:f}", "access_key_id", c->access_key_id, "name",
					     c->name, "kind", c->kind == STORE_CRED_ACCOUNT ? "account" : "instance",
					     "account", c->account, "created", (double)c->created_ms / 1000));
}

static void list(struct worker *w, struct admin_call *call, const char *name,
		 int (*each)(struct store_port *p, store_row_fn fn, void *arg), store_row_fn append)
{
	json_t *rows = json_array();
	int err = rows ? each(w->port, append, rows) : -ENOMEM;

	if (err) {
		json_decref(rows);
		admin_refuse(call, "the store failed: %s", strerror(-err));
		return;
	}
	admin_answer(call, json_pack("{s:o}", name, rows));
}

static void account_list(struct worker *w, struct admin_call *call, const json_t *in)
{
	(void)in;
	list(w, call, "accounts", store_account_each, append_account);
}

static void instance_list(struct worker *w, struct admin_call *call, const json_t *in)
{
	(void)in;
	list(w, call, "instances", store_instance_each, append_instance);
}

static void credential_list(struct worker *w, struct admin_call *call, const json_t *in)
{
	(void)in;
	list(w, call, "credentials", store_credential_each, append_credential);
}

static void status(struct worker *w, struct admin_call *call, const json_t *in)
{
	struct kms *kms = w->kms;
	char partition[UUID_TEXT + 1];
	uint64_t served = 0, refused = 0;

	(void)in;
	for (int i = 0; i < kms->n_workers; i++) {
		served += atomic_load_explicit(&kms->workers[i].served, memory_order_relaxed);
		refused += atomic_load_explicit(&kms->workers[i].refused, memory_order_relaxed);
	}
	uuid_format(hsm_pool_partition(kms->pool), partition);
	admin_answer(call, json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:I, s:I}", "role",
				     kms->cfg.shared ? "shared" : "dedicated", "name", kms->cfg.name, "pool",
				     kms->cfg.pool, "partition", partition, "release", HSM_RELEASE, "workers",
				     kms->n_workers, "port", w->httpd ? (int)httpd_port(w->httpd) : 0, "served",
				     (json_int_t)served, "refused", (json_int_t)refused));
}

static const struct admin_op {
	const char *name;
	void (*run)(struct worker *w, struct admin_call *call, const json_t *in);
	bool shared, dedicated;		/* roles that have it */
} admin_ops[] = {
	{ "status",		status,			true,	true },
	{ "account-create",	account_create,		true,	false },
	{ "account-import",	account_import,		false,	true },
	{ "account-list",	account_list,		true,	true },
	{ "instance-add",	instance_add,		true,	false },
	{ "instance-list",	instance_list,		true,	false },
	{ "credential-issue",	credential_issue,	true,	true },
	{ "credential-list",	credential_list,	true,	true },
	{ "credential-revoke",	credential_revoke,	true,	true },
};

void admin_serve(void *arg, struct admin_call *call, const json_t *in)
{
	struct worker *w = arg;
	const char *name = string(in, "op");
	bool shared = w->kms->cfg.shared;

	for (size_t i = 0; i < sizeof(admin_ops) / sizeof(admin_ops[0]); i++) {
		const struct admin_op *op = &admin_ops[i];

		if (strcmp(op->name, name))
			continue;
		if (!(shared ? op->shared : op->dedicated))
			admin_refuse(call, "%s is for a %s KMS; this one is %s", name,
				     shared ? "dedicated" : "shared", shared ? "shared" : "dedicated");
		else
			op->run(w, call, in);
		return;
	}
	admin_refuse(call, "unknown operation '%.64s'", name);
}
