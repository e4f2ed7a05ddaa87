// SPDX-License-Identifier: Apache-2.0
/* Verification of signatures: the cache of signing keys, revocation, and rows that were tampered with. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sqlite3.h>

#include "auth.h"
#include "unit.h"

#define REGION "local-1"
#define SECRET "0123456789012345678901234567890123456789"

static const uint8_t body_text[] = "{}";
static char top[64], dir[128], spec[128];
static struct ring *ring;
static struct hsm_pool *pool;
static struct hsm_port *hsm;
static struct store *store;
static struct store_port *port;
static struct sealer sealer;
static struct auth *auth;

static void open_all(void)
{
	struct auth_config cfg = { .region = REGION, .sealer = &sealer };

	assert_int_equal(ring_create(64, &ring), 0);
	assert_int_equal(hsm_pool_open(spec, &pool), 0);
	assert_int_equal(hsm_port_open(pool, ring, &hsm), 0);
	assert_int_equal(store_open(dir, hsm_pool_partition(pool), 'd', &store), 0);
	assert_int_equal(store_port_open(store, ring, &port), 0);
	assert_int_equal(sealer_open(pool, store, &sealer), 0);
	cfg.pool = hsm;
	cfg.store = store;
	cfg.port = port;
	assert_int_equal(auth_open(&cfg, &auth), 0);
}

static void close_all(void)
{
	auth_close(auth);
	store_port_close(port);
	store_close(store);
	hsm_port_close(hsm);
	ring_drain(ring, 1000);
	hsm_pool_close(pool);
	ring_destroy(ring);
}

static int setup(void **state)
{
	(void)state;
	strcpy(top, "/tmp/test_kms_auth.XXXXXX");
	if (!mkdtemp(top))
		return -1;
	snprintf(dir, sizeof(dir), "%s/store", top);
	snprintf(spec, sizeof(spec), "soft:%s/card", top);
	open_all();
	return 0;
}

static int teardown(void **state)
{
	char cmd[128];

	(void)state;
	close_all();
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", top);
	return system(cmd);
}

/* ---- credentials ---- */

struct issue {
	struct seal_job job;
	struct store_write w;
	struct store_credential cred;
	int err;
};

static void stored(struct store_write *w, int err)
{
	struct issue *i = (struct issue *)((char *)w - offsetof(struct issue, w));

	i->err = err;
	ring_stop(w->ring);
}

static void sealed(struct seal_job *job, int err, size_t len)
{
	struct issue *i = (struct issue *)job;

	assert_int_equal(err, 0);
	/* Sealed, that is not in clear. */
	assert_null(memmem(job->out, len, SECRET, 8));
	i->cred.secret_len = (uint16_t)len;
	memcpy(i->cred.secret, job->out, len);
	i->w.changes[0] = (struct store_change){ .kind = STORE_CREDENTIAL_PUT, .credential = &i->cred };
	store_submit(store, &i->w);
}

static void issue(const char *akid, enum store_credential_kind kind)
{
	static struct issue i;

	memset(&i, 0, sizeof(i));
	strcpy(i.cred.access_key_id, akid);
	strcpy(i.cred.account, kind == STORE_CRED_ACCOUNT ? "123456789012" : "");
	i.cred.kind = (uint8_t)kind;
	i.w.n = 1;
	i.w.ring = ring;
	i.w.done = stored;
	i.job.done = sealed;
	seal_secret(&i.job, hsm, &sealer, &i.cred, SECRET, strlen(SECRET));
	assert_int_equal(ring_run(ring), 0);
	assert_int_equal(i.err, 0);
}

static void revoke_it(const char *akid, struct ring *on)
{
	static struct issue i;

	memset(&i, 0, sizeof(i));
	i.w.changes[0] = (struct store_change){ .kind = STORE_CREDENTIAL_DELETE, .access_key_id = akid };
	i.w.n = 1;
	i.w.ring = on;
	i.w.done = stored;
	store_submit(store, &i.w);
	assert_int_equal(ring_run(on), 0);
	assert_int_equal(i.err, 0);
}

/* ---- a client: AWS General Reference, "Create a signed AWS API request" ---- */

struct message {
	struct http_request http;
	char date[32], authorization[512];
};

static void hex(const uint8_t *in, size_t len, char *out)
{
	for (size_t i = 0; i < len; i++)
		sprintf(out + 2 * i, "%02x", in[i]);
}

static void sign(struct message *m, const char *akid, const char *secret, time_t when)
{
	char hash[65], canonical[1024], to_sign[512], day[9];
	struct span scope_day = { day, 8 }, region = { REGION, sizeof(REGION) - 1 }, service = { "kms", 3 };
	uint8_t md[32], key[32];
	unsigned int n = 32;
	struct tm tm;

	memset(m, 0, sizeof(*m));
	gmtime_r(&when, &tm);
	strftime(m->date, sizeof(m->date), "%Y%m%dT%H%M%SZ", &tm);
	memcpy(day, m->date, 8);
	day[8] = '\0';
	EVP_Digest(body_text, sizeof(body_text) - 1, md, NULL, EVP_sha256(), NULL);
	hex(md, 32, hash);
	snprintf(canonical, sizeof(canonical), "POST\n/\n\nhost:localhost\nx-amz-date:%s\n"
		 "x-amz-target:TrentService.ListKeys\n\nhost;x-amz-date;x-amz-target\n%s", m->date, hash);
	EVP_Digest(canonical, strlen(canonical), md, NULL, EVP_sha256(), NULL);
	hex(md, 32, hash);
	snprintf(to_sign, sizeof(to_sign), "AWS4-HMAC-SHA256\n%s\n%s/" REGION "/kms/aws4_request\n%s", m->date, day,
		 hash);
	assert_int_equal(sigv4_key(secret, strlen(secret), scope_day, region, service, key), 0);
	HMAC(EVP_sha256(), key, 32, (uint8_t *)to_sign, strlen(to_sign), md, &n);
	hex(md, 32, hash);
	snprintf(m->authorization, sizeof(m->authorization), "AWS4-HMAC-SHA256 Credential=%s/%s/" REGION
		 "/kms/aws4_request, SignedHeaders=host;x-amz-date;x-amz-target, Signature=%s", akid, day, hash);
	m->http = (struct http_request){
		.method = { "POST", 4 }, .path = { "/", 1 }, .n_headers = 4,
		.headers = {
			{ { "Host", 4 }, { "localhost", 9 } },
			{ { "X-Amz-Date", 10 }, { m->date, strlen(m->date) } },
			{ { "X-Amz-Target", 12 }, { "TrentService.ListKeys", 21 } },
			{ { "Authorization", 13 }, { m->authorization, strlen(m->authorization) } },
		},
		.body = { (const char *)body_text, sizeof(body_text) - 1 },
	};
}

static struct auth_check check;
static enum api_error result;
static bool inside, answered, answered_inside;

static void checked(struct auth_check *c, enum api_error e)
{
	assert_ptr_equal(c, &check);
	assert_false(answered);
	result = e;
	answered = true;
	answered_inside = inside;
	if (!inside)
		ring_stop(ring);
}

static enum api_error verify(const struct message *m, enum store_credential_kind kind)
{
	memset(&check, 0, sizeof(check));
	check.http = &m->http;
	check.kind = kind;
	check.done = checked;
	answered = false;
	inside = true;
	auth_verify(auth, &check);
	inside = false;
	if (!answered)
		assert_int_equal(ring_run(ring), 0);
	assert_true(answered);
	return result;
}

#define A "AKIAAAAAAAAAAAAAAAAA"
#define B "AKIABBBBBBBBBBBBBBBB"

static void cached(void **state)
{
	struct message m;

	(void)state;
	issue(A, STORE_CRED_ACCOUNT);
	sign(&m, A, SECRET, time(NULL));
	assert_int_equal(verify(&m, STORE_CRED_ACCOUNT), API_OK);
	assert_false(answered_inside);		/* the card was asked */
	assert_string_equal(check.caller.account, "123456789012");
	assert_string_equal(check.caller.access_key_id, A);
	assert_false(check.caller.any_key);
	assert_int_equal(auth_cached(auth), 1);
	assert_int_equal(verify(&m, STORE_CRED_ACCOUNT), API_OK);
	assert_true(answered_inside);		/* it was not */
	assert_string_equal(check.caller.account, "123456789012");
}

static void kinds(void **state)
{
	struct message m;

	(void)state;
	issue(A, STORE_CRED_ACCOUNT);
	issue(B, STORE_CRED_INSTANCE);
	sign(&m, A, SECRET, time(NULL));
	assert_int_equal(verify(&m, STORE_CRED_INSTANCE), API_UNRECOGNIZED_CLIENT);
	assert_int_equal(verify(&m, STORE_CRED_ACCOUNT), API_OK);
	/* Cached, and still of one kind only. */
	assert_int_equal(verify(&m, STORE_CRED_INSTANCE), API_UNRECOGNIZED_CLIENT);
	sign(&m, B, SECRET, time(NULL));
	assert_int_equal(verify(&m, STORE_CRED_ACCOUNT), API_UNRECOGNIZED_CLIENT);
	assert_int_equal(verify(&m, STORE_CRED_INSTANCE), API_OK);
	assert_true(check.caller.any_key);
}

static void refusals(void **state)
{
	struct message m;

	(void)state;
	issue(A, STORE_CRED_ACCOUNT);
	for (int round = 0; round < 2; round++) {
		sign(&m, A, "another secret", time(NULL));
		assert_int_equal(verify(&m, STORE_CRED_ACCOUNT), API_INVALID_SIGNATURE);
		sign(&m, A, SECRET, time(NULL) - SIGV4_SKEW_S - 5);
		assert_int_equal(verify(&m, STORE_CRED_ACCOUNT), API_INVALID_SIGNATURE);
		sign(&m, A, SECRET, time(NULL) + SIGV4_SKEW_S + 5);
		assert_int_equal(verify(&m, STORE_CRED_ACCOUNT), API_INVALID_SIGNATURE);
		sign(&m, B, SECRET, time(NULL));
		assert_int_equal(verify(&m, STORE_CRED_ACCOUNT), API_UNRECOGNIZED_CLIENT);
		sign(&m, A, SECRET, time(NULL));
		m.http.body = (struct span){ "{ }", 3 };
		assert_int_equal(verify(&m, STORE_CRED_ACCOUNT), API_INVALID_SIGNATURE);
		m.http.n_headers = 3;
		assert_int_equal(verify(&m, STORE_CRED_ACCOUNT), API_MISSING_AUTH);
		assert_true(check.why[0]);
	}
}

static void revoked_at_once(void **state)
{
	struct message a, b;

	(void)state;
	issue(A, STORE_CRED_ACCOUNT);
	issue(B, STORE_CRED_ACCOUNT);
	sign(&a, A, SECRET, time(NULL));
	sign(&b, B, SECRET, time(NULL));
	assert_int_equal(verify(&a, STORE_CRED_ACCOUNT), API_OK);
	assert_int_equal(verify(&b, STORE_CRED_ACCOUNT), API_OK);
	assert_int_equal(auth_cached(auth), 2);
	revoke_it(A, ring);
	assert_int_equal(verify(&a, STORE_CRED_ACCOUNT), API_UNRECOGNIZED_CLIENT);
	assert_int_equal(auth_cached(auth), 0);
	assert_int_equal(verify(&b, STORE_CRED_ACCOUNT), API_OK);
}

/* Revoked while the card still works on the secret: the answer may be either, the cache must not keep it. */
static void revoked_meanwhile(void **state)
{
	struct ring *other;
	struct message a;

	(void)state;
	issue(A, STORE_CRED_ACCOUNT);
	sign(&a, A, SECRET, time(NULL));
	memset(&check, 0, sizeof(check));
	check.http = &a.http;
	check.kind = STORE_CRED_ACCOUNT;
	check.done = checked;
	answered = false;
	inside = false;
	auth_verify(auth, &check);
	assert_false(answered);
	/* The card's answer waits on our ring; the revocation completes on another. */
	assert_int_equal(ring_create(64, &other), 0);
	revoke_it(A, other);
	ring_destroy(other);
	assert_false(answered);
	assert_int_equal(ring_run(ring), 0);
	assert_true(answered);
	assert_int_equal(verify(&a, STORE_CRED_ACCOUNT), API_UNRECOGNIZED_CLIENT);
}

/* Whoever can write the store can't make a secret work for another name. */
static void swapped_rows(void **state)
{
	struct message m;
	char path[256];
	sqlite3 *db;

	(void)state;
	issue(A, STORE_CRED_ACCOUNT);
	close_all();
	snprintf(path, sizeof(path), "%s/kms.db", dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "UPDATE credential SET account='999999999999'", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	open_all();
	sign(&m, A, SECRET, time(NULL));
	assert_int_not_equal(verify(&m, STORE_CRED_ACCOUNT), API_OK);
}

static void restart(void **state)
{
	struct message m;

	(void)state;
	issue(A, STORE_CRED_ACCOUNT);
	close_all();
	open_all();
	sign(&m, A, SECRET, time(NULL));
	assert_int_equal(verify(&m, STORE_CRED_ACCOUNT), API_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(cached, setup, teardown),
		cmocka_unit_test_setup_teardown(kinds, setup, teardown),
		cmocka_unit_test_setup_teardown(refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(revoked_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(revoked_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(swapped_rows, setup, teardown),
		cmocka_unit_test_setup_teardown(restart, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
