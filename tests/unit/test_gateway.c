// SPDX-License-Identifier: Apache-2.0
/*
 * The gateway's way of a request, with real TLS and the usersock carrier:
 *
 *   this process (client) --TLS--> thread (gateway) --usersock--> child "shared"
 *                                                   \-----------> child "acme"
 *
 * The body of a request says what the owners do with it.
 */
#include "unit.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hsm_cmd.h>

#include "../../userspace/gateway/policy.h"
#include "../../userspace/gateway/serve.h"
#include "callmsg.h"

#define KEY_ID "12345678-1111-4222-8333-444444444444"
#define ENDPOINT "https://acme.example:8501"

static char top[] = "/tmp/test_gateway.XXXXXX", spec[80], cert[64], key[64];
static struct gateway *gw;
static struct gateway_config cfg;
static pthread_t thread;
static pid_t shared, acme;

/* ---- owners ---- */

struct owner {
	const char *name;
	struct ring *ring;
	struct route_server *srv;
};

static struct span str(const char *s)
{
	return (struct span){ s, strlen(s) };
}

static void send_reply(struct owner *o, const struct route_request *req, const struct call_reply *rep)
{
	static uint8_t buf[ROUTE_MAX_PAYLOAD];
	int len = call_reply_encode(rep, buf, sizeof(buf));

	if (len < 0 || route_reply(o->srv, req->xid, req->from, buf, (size_t)len))
		_exit(9);
}

static void redirect_to(struct owner *o, const struct route_request *req, const char *instance)
{
	send_reply(o, req, &(struct call_reply){
		.kind = CALL_REDIRECT,
		.instance = str(instance),
		.account = str("000000000001"),
		.key_id = str(KEY_ID),
		.endpoint = str(ENDPOINT),
	});
}

/* What arrived, for the client to see. */
static void report(struct owner *o, const struct route_request *req, const struct call_request *call)
{
	struct span sig = http_get(&call->http, "authorization");
	char text[512];
	int len;

	len = snprintf(text, sizeof(text), "{\"by\":\"%s\",\"class\":%u,\"assigned\":\"%.*s\",\"sig\":\"%.*s\",\"n\":%zu,\"id\":\"%.*s\"}",
		       o->name, req->class, (int)call->assigned_key_id.len, call->assigned_key_id.p, (int)sig.len,
		       sig.p ? sig.p : "", call->http.body.len, (int)call->request_id.len, call->request_id.p);
	send_reply(o, req, &(struct call_reply){
		.kind = CALL_ANSWER, .status = 200, .body = { text, (size_t)len },
	});
}

static bool is_acmes(struct span body)
{
	return span_eq(body, "acme") || span_eq(body, "acme-dies") || span_eq(body, "not-made") ||
	       span_eq(body, "not-recorded") || span_eq(body, "recorder-dies");
}

static void asked(void *arg, const struct route_request *req)
{
	struct owner *o = arg;
	bool is_shared = !strcmp(o->name, "shared"), recording;
	struct call_request call;

	if (call_request_decode(req->payload, req->len, &call))
		_exit(8);
	recording = call.assigned_key_id.len > 0;
	if (is_shared && recording && !span_eq(call.assigned_key_id, KEY_ID))
		_exit(4);
	if (span_eq(call.http.body, "die"))
		_exit(0);
	if (span_eq(call.http.body, "junk"))
		route_reply(o->srv, req->xid, req->from, "junk", 4);
	else if (span_eq(call.http.body, "loop"))
		redirect_to(o, req, "shared");
	else if (span_eq(call.http.body, "nowhere"))
		redirect_to(o, req, "globex");
	else if (is_shared && recording && span_eq(call.http.body, "not-made"))
		_exit(5);
	else if (is_shared && recording && span_eq(call.http.body, "not-recorded"))
		send_reply(o, req, &(struct call_reply){
			.kind = CALL_ANSWER, .status = 400, .body = str("{\"__type\":\"Full\"}"),
		});
	else if (is_shared && recording && span_eq(call.http.body, "recorder-dies"))
		_exit(0);
	else if (span_eq(call.http.body, "twice") || (is_shared && is_acmes(call.http.body)))
		redirect_to(o, req, "acme");
	else if (span_eq(call.http.body, "acme-dies"))
		_exit(0);
	else if (span_eq(call.http.body, "refuse") || span_eq(call.http.body, "not-made"))
		send_reply(o, req, &(struct call_reply){
			.kind = CALL_ANSWER, .status = 418, .body = str("{\"__type\":\"X\"}"),
		});
	else
		report(o, req, &call);
}

static pid_t start_owner(const char *name)
{
	struct owner o = { .name = name };
	int ready[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (ring_create(64, &o.ring) || route_serve(spec, name, -1, (uid_t)-1, o.ring, asked, &o, &o.srv) ||
		    write(ready[1], "", 1) != 1)
			_exit(7);
		_exit(ring_run(o.ring) ? 6 : 0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static void stop_owner(pid_t *pid)
{
	if (!*pid)
		return;
	kill(*pid, SIGKILL);
	assert_int_equal(waitpid(*pid, NULL, 0), *pid);
	*pid = 0;
}

/* ---- gateway ---- */

static int make_cert(void)
{
	EVP_PKEY *pkey = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	FILE *f;

	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, pkey);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_sign(x, pkey, EVP_sha256());
	f = fopen(cert, "w");
	if (!f || !PEM_write_X509(f, x) || fclose(f))
		return -1;
	f = fopen(key, "w");
	if (!f || !PEM_write_PrivateKey(f, pkey, NULL, NULL, 0, NULL, NULL) || fclose(f))
		return -1;
	X509_free(x);
	EVP_PKEY_free(pkey);
	return 0;
}

static void *run(void *arg)
{
	(void)arg;
	return (void *)(intptr_t)gateway_run(gw);
}

static int setup(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	(void)state;
	/* Before the thread: what is forked must be whole. */
	shared = start_owner("shared");
	acme = start_owner("acme");
	cfg = (struct gateway_config){
		.httpd = { .addr_len = sizeof(a), .max_conns = 16, .idle_ms = 10000, .request_ms = 10000 },
		.route = spec,
		.shared = "shared",
	};
	memcpy(&cfg.httpd.addr, &a, sizeof(a));
	if (tls_server_ctx(cert, key, &cfg.httpd.tls) || gateway_open(&cfg, &gw) ||
	    pthread_create(&thread, NULL, run, NULL))
		return -1;
	return 0;
}

static int teardown(void **state)
{
	void *ret;

	(void)state;
	gateway_stop(gw);
	pthread_join(thread, &ret);
	gateway_close(gw);
	SSL_CTX_free(cfg.httpd.tls);
	stop_owner(&shared);
	stop_owner(&acme);
	return ret ? -1 : 0;
}

/* ---- client ---- */

static char answer[70000];

/* Sends the text as it is; the status, with the body of the answer in `answer`. */
static int send_raw(const char *text, size_t len)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	char where[32], *body;
	size_t got = 0;
	int n, status;
	BIO *bio;

	snprintf(where, sizeof(where), "127.0.0.1:%u", gateway_port(gw));
	bio = BIO_new_ssl_connect(ctx);
	BIO_set_conn_hostname(bio, where);
	assert_int_equal(BIO_do_connect(bio), 1);
	assert_int_equal(BIO_write(bio, text, (int)len), len);
	while (got < sizeof(answer) - 1 && (n = BIO_read(bio, answer + got, (int)(sizeof(answer) - 1 - got))) > 0) {
		got += (size_t)n;
		answer[got] = '\0';
		body = strstr(answer, "\r\n\r\n");
		if (body && strstr(answer, "Connection: close"))
			continue;
	}
	answer[got] = '\0';
	BIO_free_all(bio);
	SSL_CTX_free(ctx);
	assert_int_equal(sscanf(answer, "HTTP/1.1 %d", &status), 1);
	assert_non_null(strstr(answer, "x-amzn-RequestId: "));
	body = strstr(answer, "\r\n\r\n");
	assert_non_null(body);
	memmove(answer, body + 4, strlen(body + 4) + 1);
	return status;
}

static int ask(const char *op, const char *body)
{
	static char text[66000];
	int len;

	len = snprintf(text, sizeof(text),
		       "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Amz-Target: TrentService.%s\r\n"
		       "Authorization: AWS4 probe\r\nContent-Length: %zu\r\n\r\n%s", op, strlen(body), body);
	return send_raw(text, (size_t)len);
}

static void expect(const char *part)
{
	if (!strstr(answer, part))
		fail_msg("no '%s' in '%s'", part, answer);
}

/* ---- tests ---- */

static void test_own_answers(void **state)
{
	static const char ping[] = "GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	static const char get[] = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	static const char path[] = "POST /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
	static const char bare[] = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
	static const char twice[] = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n"
				    "X-Amz-Target: TrentService.ListKeys\r\nX-Amz-Target: TrentService.Encrypt\r\n\r\n";
	static const char other[] = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n"
				    "X-Amz-Target: DynamoDB.GetItem\r\n\r\n";

	(void)state;
	assert_int_equal(send_raw(ping, sizeof(ping) - 1), 200);
	assert_string_equal(answer, "{\"status\":\"healthy\"}");
	assert_int_equal(send_raw(get, sizeof(get) - 1), 400);
	expect("UnknownOperationException");
	assert_int_equal(send_raw(path, sizeof(path) - 1), 400);
	expect("UnknownOperationException");
	assert_int_equal(send_raw(bare, sizeof(bare) - 1), 400);
	expect("UnknownOperationException");
	assert_int_equal(send_raw(twice, sizeof(twice) - 1), 400);
	expect("UnknownOperationException");
	assert_int_equal(send_raw(other, sizeof(other) - 1), 400);
	expect("UnknownOperationException");
}

static void test_shared(void **state)
{
	(void)state;
	assert_int_equal(ask("Encrypt", "{}"), 200);
	expect("{\"by\":\"shared\",\"class\":2,\"assigned\":\"\",\"sig\":\"AWS4 probe\",\"n\":2,");
	assert_int_equal(ask("ListKeys", "{}"), 200);
	expect("\"class\":1,");
	/* Resolving is management; so is what nobody knows. */
	assert_int_equal(ask("ImportKeyMaterial", "{}"), 200);
	expect("\"class\":1,");
	assert_int_equal(ask("NoSuchThing", "{}"), 200);
	expect("\"class\":1,");
	assert_int_equal(ask("ListKeys", "refuse"), 418);
	assert_string_equal(answer, "{\"__type\":\"X\"}");
}

static void test_redirect(void **state)
{
	(void)state;
	assert_int_equal(ask("DescribeKey", "acme"), 200);
	expect("{\"by\":\"acme\",\"class\":1,\"assigned\":\"\",\"sig\":\"AWS4 probe\",\"n\":4,");
}

/* The client hears of a key when the instance has made it and then the shared KMS has recorded it. */
static void test_create(void **state)
{
	(void)state;
	assert_int_equal(ask("CreateKey", "acme"), 200);
	expect("\"by\":\"acme\",\"class\":1,\"assigned\":\"" KEY_ID "\"");
	/* Nothing is recorded of a key that was not made; the shared KMS of this test would die. */
	assert_int_equal(ask("CreateKey", "not-made"), 418);
	assert_int_equal(ask("CreateKey", "not-recorded"), 400);
	assert_string_equal(answer, "{\"__type\":\"Full\"}");
	assert_int_equal(ask("CreateKey", "recorder-dies"), 503);
	expect("The shared KMS stopped while it served");
}

static void test_policy(void **state)
{
	(void)state;
	assert_int_equal(ask("Encrypt", "acme"), 400);
	assert_string_equal(answer, "{\"__type\":\"AccessDeniedException\",\"message\":\"Encrypt is a key computation; "
			    "send it to the private endpoint of instance acme (" ENDPOINT ")\"}");
	assert_int_equal(ask("GenerateDataKeyWithoutPlaintext", "acme"), 400);
	expect("GenerateDataKeyWithoutPlaintext is a key computation");
	assert_int_equal(ask("ImportKeyMaterial", "acme"), 400);
	expect("ImportKeyMaterial moves key material");
}

static void test_bad_owners(void **state)
{
	(void)state;
	assert_int_equal(ask("ListKeys", "junk"), 500);
	expect("KMSInternalException");
	assert_int_equal(ask("ListKeys", "loop"), 500);
	expect("KMSInternalException");
	assert_int_equal(ask("ListKeys", "twice"), 500);
	expect("KMSInternalException");
	assert_int_equal(ask("ListKeys", "nowhere"), 503);
	expect("ServiceUnavailableException");
	expect("The instance that owns the key is not running");
}

static void test_owners_die(void **state)
{
	struct timespec t, now;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &t);
	assert_int_equal(ask("CreateKey", "acme-dies"), 503);
	expect("ServiceUnavailableException");
	expect("stopped while it served");
	assert_int_equal(ask("DescribeKey", "acme"), 503);
	expect("The instance that owns the key is not running");
	assert_int_equal(ask("ListKeys", "die"), 503);
	expect("The shared KMS stopped while it served");
	assert_int_equal(ask("ListKeys", "{}"), 503);
	expect("The shared KMS is not running");
	clock_gettime(CLOCK_MONOTONIC, &now);
	assert_true(now.tv_sec - t.tv_sec < 5);
}

static void test_too_large(void **state)
{
	static char body[49001], text[66000];
	int len;

	(void)state;
	memset(body, 'x', sizeof(body) - 1);
	assert_int_equal(ask("ListKeys", body), 200);
	expect("\"n\":49000,");
	/* Each is within HTTP's limits; together they are more than one message holds. */
	len = snprintf(text, sizeof(text),
		       "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Amz-Target: TrentService.ListKeys\r\n"
		       "X-Long: %.13000s\r\nContent-Length: %zu\r\n\r\n%s", body, strlen(body), body);
	assert_int_equal(send_raw(text, (size_t)len), 413);
	expect("RequestEntityTooLargeException");
}

static void test_ops(void **state)
{
	(void)state;
	assert_int_equal(policy_op(str("TrentService.Decrypt"))->class, HSM_CLASS_CRYPTO);
	assert_int_equal(policy_op(str("TrentService.ReEncrypt"))->class, HSM_CLASS_CRYPTO);
	assert_int_equal(policy_op(str("TrentService.ScheduleKeyDeletion"))->class, HSM_CLASS_MANAGE);
	assert_int_equal(policy_op(str("TrentService.ImportKeyMaterial"))->class, HSM_CLASS_STORAGE);
	assert_int_equal(policy_op(str("TrentService.decrypt"))->class, HSM_CLASS_MANAGE);
	assert_true(policy_creates_key(policy_op(str("TrentService.CreateKey"))));
	assert_false(policy_creates_key(policy_op(str("TrentService.CreateAlias"))));
	assert_false(policy_forwards(policy_op(str("TrentService.Sign"))));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_own_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shared, setup, teardown),
		cmocka_unit_test_setup_teardown(test_redirect, setup, teardown),
		cmocka_unit_test_setup_teardown(test_create, setup, teardown),
		cmocka_unit_test_setup_teardown(test_policy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_owners, setup, teardown),
		cmocka_unit_test_setup_teardown(test_owners_die, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_large, setup, teardown),
		cmocka_unit_test(test_ops),
	};
	char cmd[96];
	int failed;

	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(top))
		return 1;
	snprintf(spec, sizeof(spec), "usersock:%s/route", top);
	snprintf(cert, sizeof(cert), "%s/cert.pem", top);
	snprintf(key, sizeof(key), "%s/key.pem", top);
	failed = make_cert() ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", top);
	return system(cmd) || failed;
}
