// SPDX-License-Identifier: Apache-2.0
#include "unit.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sigv4.h"
#include "sigv4_vectors.h"

static enum sigv4_result parse(const char *text, size_t len, const char *region, long long skew,
			       struct http_request *req, struct sigv4 *sig)
{
	const char *why;
	enum sigv4_result res;
	size_t need;

	assert_int_equal(http_parse(text, len, req, &need), len);
	res = sigv4_parse(req, region, VECTOR_TIME + skew, sig, &why);
	if (res == SIGV4_OK)
		assert_null(why);
	else
		assert_non_null(why);
	return res;
}

static int verify(const struct http_request *req, const struct sigv4 *sig, const char *secret)
{
	uint8_t key[32];

	assert_int_equal(sigv4_key(secret, strlen(secret), sig->date, sig->region, sig->service, key), 0);
	return sigv4_verify(req, sig, key);
}

static void known_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		const struct vector *v = &vectors[i];
		struct http_request req;
		struct sigv4 sig;
		enum sigv4_result res = parse(v->text, strlen(v->text), v->region, 0, &req, &sig);

		assert_int_equal(res, span_eq(sig.service, "kms") ? SIGV4_OK : SIGV4_SCOPE);
		assert_string_equal(sig.access_key_id, "AKIDEXAMPLE");
		assert_int_equal(sig.time, VECTOR_TIME);
		res = (enum sigv4_result)verify(&req, &sig, VECTOR_SECRET);
		if (res)
			print_error("%s\n", v->name);
		assert_int_equal(res, SIGV4_OK);
		assert_int_equal(verify(&req, &sig, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY "), SIGV4_MISMATCH);
	}
}

/* AWS General Reference, "Examples of how to derive a signing key": 20150830, us-east-1, iam. */
static void signing_key(void **state)
{
	static const uint8_t expect[32] = {
		0xc4, 0xaf, 0xb1, 0xcc, 0x57, 0x71, 0xd8, 0x71, 0x76, 0x3a, 0x39, 0x3e, 0x44, 0xb7, 0x03, 0x57,
		0x1b, 0x55, 0xcc, 0x28, 0x42, 0x4d, 0x1a, 0x5e, 0x86, 0xda, 0x6e, 0xd3, 0xc1, 0x54, 0xa4, 0xb9,
	};
	uint8_t key[32];
	char longest[257];

	(void)state;
	assert_int_equal(sigv4_key(VECTOR_SECRET, strlen(VECTOR_SECRET), (struct span){ "20150830", 8 },
				   (struct span){ "us-east-1", 9 }, (struct span){ "iam", 3 }, key), 0);
	assert_memory_equal(key, expect, 32);
	memset(longest, 'x', sizeof(longest));
	assert_int_not_equal(sigv4_key(longest, sizeof(longest), (struct span){ "20150830", 8 },
				       (struct span){ "us-east-1", 9 }, (struct span){ "iam", 3 }, key), 0);
}

/* In a line that the signature does not cover. */
static bool unsigned_at(const char *text, size_t i)
{
	static const char *const lines[] = { "Content-Length:", "User-Agent:" };

	for (size_t k = 0; k < ARRAY_SIZE(lines); k++) {
		const char *at = strstr(text, lines[k]);

		if (at && text + i >= at && text + i < strstr(at, "\r\n") + 2)
			return true;
	}
	return false;
}

/* In the name of a header. */
static bool name_at(const char *text, size_t i)
{
	size_t k = i;

	if (strstr(text, "\r\n\r\n") < text + i)
		return false;
	while (k && text[k - 1] != '\n')
		k--;
	return k && !memchr(text + k, ':', i - k);
}

/* Every bit of every byte: a request that differs in anything signed must not pass. */
static void every_bit_counts(void **state)
{
	unsigned int parsed = 0, verified = 0;

	(void)state;
	for (size_t v = ARRAY_SIZE(vectors) - 3; v < ARRAY_SIZE(vectors); v++) {
		const char *text = vectors[v].text;
		size_t len = strlen(text);
		char *copy = malloc(len + 1);

		assert_non_null(copy);
		for (size_t i = 0; i < len; i++) {
			for (int bit = 0; bit < 8; bit++) {
				struct http_request req;
				struct sigv4 sig;
				const char *why;
				size_t need;

				memcpy(copy, text, len + 1);
				copy[i] = (char)(copy[i] ^ 1 << bit);
				if (http_parse(copy, len, &req, &need) != (int)len)
					continue;
				parsed++;
				if (sigv4_parse(&req, vectors[v].region, VECTOR_TIME, &sig, &why))
					continue;
				verified++;
				if (verify(&req, &sig, VECTOR_SECRET) || unsigned_at(text, i))
					continue;
				/*
				 * The same request by the rules: another case of a header's name.  And
				 * the access key's identifier, which only selects the secret.
				 */
				if ((bit == 5 && name_at(text, i)) || memcmp(sig.access_key_id, "AKIDEXAMPLE", 11))
					continue;
				fail_msg("byte %zu ('%c') bit %d of %s", i, text[i], bit, vectors[v].name);
			}
		}
		free(copy);
	}
	assert_true(parsed > 1000);
	assert_true(verified > 1000);
}

#define DATE "X-Amz-Date: 20150830T123600Z\r\n"
#define TARGET "X-Amz-Target: TrentService.ListKeys\r\n"
#define SIG "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
#define CRED "Credential=AKIDEXAMPLE/20150830/local-1/kms/aws4_request"
#define AUTH(cred, headers, sig) "Authorization: AWS4-HMAC-SHA256 " cred ", SignedHeaders=" headers ", Signature=" sig "\r\n"

static const struct {
	const char *headers;
	enum sigv4_result res;
} claims[] = {
	{ DATE AUTH(CRED, "host;x-amz-date", SIG), SIGV4_OK },
	{ DATE TARGET AUTH(CRED, "host;x-amz-date;x-amz-target", SIG), SIGV4_OK },
	{ DATE "Authorization: AWS4-HMAC-SHA256 Signature=" SIG ",SignedHeaders=host;x-amz-date," CRED "\r\n", SIGV4_OK },
	{ DATE, SIGV4_MISSING },
	{ DATE AUTH(CRED, "host;x-amz-date", SIG) AUTH(CRED, "host;x-amz-date", SIG), SIGV4_INCOMPLETE },
	{ DATE "Authorization: Basic dXNlcjpwYXNz\r\n", SIGV4_INCOMPLETE },
	{ DATE "Authorization:\r\n", SIGV4_INCOMPLETE },
	{ DATE "Authorization: AWS4-HMAC-SHA256\r\n", SIGV4_INCOMPLETE },
	{ DATE "Authorization: AWS4-HMAC-SHA256 " CRED ", SignedHeaders=host;x-amz-date\r\n", SIGV4_INCOMPLETE },
	{ DATE "Authorization: AWS4-HMAC-SHA256 " CRED ", Signature=" SIG "\r\n", SIGV4_INCOMPLETE },
	{ DATE "Authorization: AWS4-HMAC-SHA256 SignedHeaders=host;x-amz-date, Signature=" SIG "\r\n", SIGV4_INCOMPLETE },
	{ DATE AUTH(CRED ", " CRED, "host;x-amz-date", SIG), SIGV4_INCOMPLETE },
	{ DATE AUTH(CRED ", Other=1", "host;x-amz-date", SIG), SIGV4_INCOMPLETE },
	{ DATE AUTH("Credential=/20150830/local-1/kms/aws4_request", "host;x-amz-date", SIG), SIGV4_INCOMPLETE },
	{ DATE AUTH("Credential=AK/20150830/local-1/kms", "host;x-amz-date", SIG), SIGV4_INCOMPLETE },
	{ DATE AUTH("Credential=AK/20150830/local-1/kms/aws4_request/x", "host;x-amz-date", SIG), SIGV4_INCOMPLETE },
	{ DATE AUTH("Credential=AK/2015083/local-1/kms/aws4_request", "host;x-amz-date", SIG), SIGV4_INCOMPLETE },
	{ DATE AUTH("Credential=A K/20150830/local-1/kms/aws4_request", "host;x-amz-date", SIG), SIGV4_INCOMPLETE },
	{ DATE AUTH("Credential=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		    "/20150830/local-1/kms/aws4_request", "host;x-amz-date", SIG), SIGV4_INCOMPLETE },
	{ DATE AUTH(CRED, "host;x-amz-date", "5da7"), SIGV4_INCOMPLETE },
	{ DATE AUTH(CRED, "host;x-amz-date", SIG "00"), SIGV4_INCOMPLETE },
	{ DATE AUTH(CRED, "host;x-amz-date", "5DA7C1A2ACD57CEE7505FC6676E4E544621C30862966E37DDDB68E92EFBE5D6B"),
	  SIGV4_INCOMPLETE },
	{ DATE AUTH(CRED, "", SIG), SIGV4_INCOMPLETE },
	{ DATE AUTH(CRED, "x-amz-date", SIG), SIGV4_INCOMPLETE },
	{ DATE AUTH(CRED, "host", SIG), SIGV4_INCOMPLETE },
	{ DATE TARGET AUTH(CRED, "host;x-amz-date", SIG), SIGV4_INCOMPLETE },
	{ DATE TARGET TARGET AUTH(CRED, "host;x-amz-date", SIG), SIGV4_INCOMPLETE },
	{ DATE AUTH(CRED, "x-amz-date;host", SIG), SIGV4_INCOMPLETE },
	{ DATE AUTH(CRED, "host;host;x-amz-date", SIG), SIGV4_INCOMPLETE },
	{ DATE AUTH(CRED, "host;x-amz-date;", SIG), SIGV4_INCOMPLETE },
	{ DATE AUTH(CRED, "host;;x-amz-date", SIG), SIGV4_INCOMPLETE },
	{ DATE AUTH(CRED, "Host;x-amz-date", SIG), SIGV4_INCOMPLETE },
	{ DATE AUTH(CRED, "host;x-absent;x-amz-date", SIG), SIGV4_INCOMPLETE },
	{ AUTH(CRED, "host;x-amz-date", SIG), SIGV4_INCOMPLETE },
	{ DATE DATE AUTH(CRED, "host;x-amz-date", SIG), SIGV4_INCOMPLETE },
	{ "X-Amz-Date: 20150830T123600\r\n" AUTH(CRED, "host;x-amz-date", SIG), SIGV4_INCOMPLETE },
	{ "X-Amz-Date: 20150830 123600Z\r\n" AUTH(CRED, "host;x-amz-date", SIG), SIGV4_INCOMPLETE },
	{ "X-Amz-Date: 20150230T123600Z\r\n" AUTH(CRED, "host;x-amz-date", SIG), SIGV4_INCOMPLETE },
	{ "X-Amz-Date: 20150830T243600Z\r\n" AUTH(CRED, "host;x-amz-date", SIG), SIGV4_INCOMPLETE },
	{ "X-Amz-Date: 2015083-T123600Z\r\n" AUTH(CRED, "host;x-amz-date", SIG), SIGV4_INCOMPLETE },
	{ DATE AUTH("Credential=AK/20150829/local-1/kms/aws4_request", "host;x-amz-date", SIG), SIGV4_SCOPE },
	{ DATE AUTH("Credential=AK/20150830/local-2/kms/aws4_request", "host;x-amz-date", SIG), SIGV4_SCOPE },
	{ DATE AUTH("Credential=AK/20150830/local-1/s3/aws4_request", "host;x-amz-date", SIG), SIGV4_SCOPE },
	{ "X-Amz-Date: 20150830T123100Z\r\n" AUTH(CRED, "host;x-amz-date", SIG), SIGV4_OK },
	{ "X-Amz-Date: 20150830T123059Z\r\n" AUTH(CRED, "host;x-amz-date", SIG), SIGV4_EXPIRED },
	{ "X-Amz-Date: 20150830T124100Z\r\n" AUTH(CRED, "host;x-amz-date", SIG), SIGV4_OK },
	{ "X-Amz-Date: 20150830T124101Z\r\n" AUTH(CRED, "host;x-amz-date", SIG), SIGV4_EXPIRED },
};

static void claims_are_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(claims); i++) {
		struct http_request req;
		struct sigv4 sig;
		enum sigv4_result res;
		char text[2048];
		int len = snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nHost: h\r\n%s\r\n", claims[i].headers);

		res = parse(text, (size_t)len, "local-1", 0, &req, &sig);
		if (res != claims[i].res)
			print_error("%s", claims[i].headers);
		assert_int_equal(res, claims[i].res);
	}
}

static void dates(void **state)
{
	static const struct {
		const char *text;
		long long time;
	} known[] = {
		{ "19700101T000000Z", 0 }, { "20000229T235959Z", 951868799 }, { "20000301T000000Z", 951868800 },
		{ "20261123T200000Z", 1795464000 }, { "21000301T000000Z", 4107542400 }, { "99991231T235959Z", 253402300799 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		struct http_request req;
		struct sigv4 sig;
		const char *why;
		char text[512];
		size_t need;
		int len = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: h\r\nX-Amz-Date: %s\r\nAuthorization: "
				   "AWS4-HMAC-SHA256 Credential=AK/%.8s/r/kms/aws4_request, "
				   "SignedHeaders=host;x-amz-date, Signature=" SIG "\r\n\r\n",
				   known[i].text, known[i].text);

		assert_int_equal(http_parse(text, (size_t)len, &req, &need), len);
		assert_int_equal(sigv4_parse(&req, "r", known[i].time, &sig, &why), SIGV4_OK);
		assert_true(sig.time == known[i].time);
	}
}

static const struct vector *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++)
		if (!strcmp(vectors[i].name, name))
			return &vectors[i];
	fail_msg("no vector %s", name);
	return NULL;
}

/* The signature holds for the claimed hash, the body is another; and the client that claims none. */
static void body_must_match_signed_hash(void **state)
{
	const struct vector *v = find("kms, hash of the body signed");
	struct http_request req;
	struct sigv4 sig;

	(void)state;
	parse(v->text, strlen(v->text), v->region, 0, &req, &sig);
	for (unsigned int i = 0; i < req.n_headers; i++)
		if (span_ieq(req.headers[i].name, "x-amz-content-sha256"))
			req.headers[i].value = (struct span){ "UNSIGNED-PAYLOAD", 16 };
	assert_int_equal(verify(&req, &sig, VECTOR_SECRET), SIGV4_MISMATCH);
	parse(v->text, strlen(v->text), v->region, 0, &req, &sig);
	req.body = (struct span){ "[]", 2 };
	assert_int_equal(verify(&req, &sig, VECTOR_SECRET), SIGV4_MISMATCH);
}

static void hash_hex(const char *text, char out[65])
{
	uint8_t md[32];

	assert_int_equal(EVP_Digest(text, strlen(text), md, NULL, EVP_sha256(), NULL), 1);
	for (int i = 0; i < 32; i++)
		snprintf(out + 2 * i, 3, "%02x", md[i]);
}

/* Signed here, by hand; method as given. */
static int verify_own(const char *method)
{
	char canonical[512], hash[65], body_hash[65], to_sign[512];
	struct http_request req = { .method = { method, strlen(method) }, .path = { "/", 1 } };
	struct sigv4 sig = {
		.date = { "20150830", 8 }, .region = { "r", 1 }, .service = { "kms", 3 },
		.amz_date = { "20150830T123600Z", 16 }, .signed_headers = { "host", 4 },
	};
	uint8_t key[32] = { 7 };

	req.headers[0].name = (struct span){ "Host", 4 };
	req.headers[0].value = (struct span){ "h", 1 };
	req.n_headers = 1;
	hash_hex("", body_hash);
	snprintf(canonical, sizeof(canonical), "%s\n/\n\nhost:h\n\nhost\n%s", method, body_hash);
	hash_hex(canonical, hash);
	snprintf(to_sign, sizeof(to_sign), "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/r/kms/aws4_request\n%s", hash);
	assert_non_null(HMAC(EVP_sha256(), key, 32, (uint8_t *)to_sign, strlen(to_sign), sig.signature, NULL));
	return sigv4_verify(&req, &sig, key);
}

/* A request that came over a route need not have been through http_parse(). */
static void new_lines_are_refused(void **state)
{
	(void)state;
	assert_int_equal(verify_own("POST"), SIGV4_OK);
	assert_int_equal(verify_own("POST\nX"), SIGV4_MISMATCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers),
		cmocka_unit_test(signing_key),
		cmocka_unit_test(every_bit_counts),
		cmocka_unit_test(claims_are_checked),
		cmocka_unit_test(dates),
		cmocka_unit_test(body_must_match_signed_hash),
		cmocka_unit_test(new_lines_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
