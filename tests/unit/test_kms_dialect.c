// SPDX-License-Identifier: Apache-2.0
/* AWS JSON 1.1: bodies to typed requests, typed answers and values to bodies. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "dialect.h"
#include "jsonw.h"
#include "unit.h"

static struct arena arena;
static struct op op;
static const struct op_env shared_env = { .shared = true, .name = "shared", .region = "local-1" };
static const struct op_env acme_env = { .name = "acme", .region = "local-1" };

static const struct dialect_op *find(const char *name)
{
	char target[128];
	struct http_request req = {
		.method = { "POST", 4 }, .path = { "/", 1 }, .n_headers = 1,
		.headers = { { { "X-Amz-Target", 12 }, { target, 0 } } },
	};

	snprintf(target, sizeof(target), "TrentService.%s", name);
	req.headers[0].value.len = strlen(target);
	return dialect_awsjson.find(&req);
}

static int decode(const char *name, const char *body)
{
	arena_reset(&arena);
	memset(&op, 0, sizeof(op));
	op.arena = &arena;
	op.env = &shared_env;
	return dialect_awsjson.decode(find(name), (struct span){ body, strlen(body) }, &op);
}

static void refuse(const char *name, const char *body, enum api_error e)
{
	assert_int_equal(decode(name, body), -1);
	if (op.error != e)
		print_error("%s %.80s: %s: %s\n", name, body, api_error_name(op.error), op.message);
	assert_int_equal(op.error, e);
	assert_true(op.message[0]);
}

static void names(void **state)
{
	static const char *const served[] = { "CreateKey", "DescribeKey", "ListKeys", "Encrypt", "Decrypt", "ReEncrypt",
					      "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GenerateRandom" };
	static const char *const known[] = { "CancelKeyDeletion", "GetPublicKey", "ListAliases", "Sign", "VerifyMac" };
	static const char *const unknown[] = { "", "Encryp", "Encryptt", "encrypt", "CreateKey ", "A", "Zz" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(served); i++) {
		assert_non_null(find(served[i]));
		assert_string_equal(find(served[i])->name, served[i]);
		assert_non_null(find(served[i])->run);
	}
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		assert_non_null(find(known[i]));
		assert_null(find(known[i])->run);
	}
	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
		assert_null(find(unknown[i]));
}

static void encrypt(void **state)
{
	(void)state;
	assert_int_equal(decode("Encrypt", "{\"KeyId\":\"k\",\"Plaintext\":\"aGVsbG8=\",\"EncryptionContext\":"
				"{\"b\":\"2\",\"a\":\"\\u00e4\"},\"GrantTokens\":[],\"Unknown\":[{}]}"), 0);
	assert_true(span_eq(op.key.name, "k"));
	assert_int_equal(op.encrypt.plaintext.len, 5);
	assert_memory_equal(op.encrypt.plaintext.p, "hello", 5);
	assert_int_equal(op.encrypt.context.n, 2);
	assert_false(op.dry_run);
	assert_int_equal(decode("Encrypt", "{\"KeyId\":\"k\",\"Plaintext\":\"AA==\",\"DryRun\":true}"), 0);
	assert_true(op.dry_run);
	refuse("Encrypt", "{\"KeyId\":\"k\"}", API_VALIDATION);
	refuse("Encrypt", "{\"KeyId\":null,\"Plaintext\":\"AA==\"}", API_VALIDATION);
	refuse("Encrypt", "{\"KeyId\":\"\",\"Plaintext\":\"AA==\"}", API_VALIDATION);
	refuse("Encrypt", "{\"KeyId\":\"k\",\"Plaintext\":\"\"}", API_VALIDATION);
	refuse("Encrypt", "{\"KeyId\":\"k\",\"Plaintext\":\"AA=\"}", API_SERIALIZATION);
	refuse("Encrypt", "{\"KeyId\":\"k\",\"Plaintext\":\"A A=\"}", API_SERIALIZATION);
	refuse("Encrypt", "{\"KeyId\":5,\"Plaintext\":\"AA==\"}", API_SERIALIZATION);
	refuse("Encrypt", "{\"KeyId\":\"k\",\"Plaintext\":\"AA==\",\"EncryptionContext\":[]}", API_SERIALIZATION);
	refuse("Encrypt", "{\"KeyId\":\"k\",\"Plaintext\":\"AA==\",\"EncryptionContext\":{\"a\":1}}", API_SERIALIZATION);
	refuse("Encrypt", "{\"KeyId\":\"k\",\"Plaintext\":\"AA==\",\"EncryptionAlgorithm\":\"RSAES_OAEP_SHA_1\"}",
	       API_UNSUPPORTED);
	refuse("Encrypt", "{\"KeyId\":\"k\",\"Plaintext\":\"AA==\",\"DryRun\":1}", API_SERIALIZATION);
}

static void plaintext_limit(void **state)
{
	char *body = malloc(8192);
	int n;

	(void)state;
	assert_non_null(body);
	n = sprintf(body, "{\"KeyId\":\"k\",\"Plaintext\":\"");
	memset(body + n, 'A', 5464);		/* 4096 bytes: 5462 characters and two of padding */
	strcpy(body + n + 5462, "==\"}");
	assert_int_equal(decode("Encrypt", body), 0);
	assert_int_equal(op.encrypt.plaintext.len, 4096);
	strcpy(body + n + 5462, "A=\"}");
	refuse("Encrypt", body, API_VALIDATION);	/* 4097 */
	free(body);
}

static void malformed(void **state)
{
	static const char *const bad[] = {
		"", " ", "{", "[]", "\"x\"", "null", "{\"a\":1,}", "{'a':1}", "{\"KeyId\":\"a\",\"KeyId\":\"b\"}", "{} {}",
		"{\"KeyId\":\"\\u0000\"}", "{\"KeyId\":\"\xff\"}", "{\"KeyId\":\"\\ud800\"}", "{\"x\":[[[[[[[[]]]]]]]]}",
	};
	char *deep = malloc(40001);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		refuse("DescribeKey", bad[i], API_SERIALIZATION);
	assert_non_null(deep);
	memset(deep, '[', 40000);
	deep[40000] = '\0';
	refuse("DescribeKey", deep, API_SERIALIZATION);
	free(deep);
	/* Brackets inside strings are no nesting. */
	assert_int_equal(decode("DescribeKey", "{\"KeyId\":\"k\",\"x\":\"[[[[[[[[[[\\\"[[[\"}"), 0);
	assert_int_equal(op.arena->base != NULL, 1);
}

/* A body as large as may come, made of as many values as fit: answered, whatever the answer. */
static void many_values(void **state)
{
	char *body = malloc(HTTP_MAX_BODY + 1);
	size_t n;

	(void)state;
	assert_non_null(body);
	n = (size_t)sprintf(body, "{\"KeyId\":\"k\",\"x\":[");
	while (n < HTTP_MAX_BODY - 8)
		n += (size_t)sprintf(body + n, "{},");
	sprintf(body + n, "1]}");
	refuse("DescribeKey", body, API_SERIALIZATION);
	assert_int_equal(decode("DescribeKey", "{\"KeyId\":\"k\"}"), 0);
	free(body);
}

static void numbers(void **state)
{
	(void)state;
	assert_int_equal(decode("GenerateRandom", "{\"NumberOfBytes\":1024}"), 0);
	assert_int_equal(op.random.len, 1024);
	refuse("GenerateRandom", "{}", API_VALIDATION);
	refuse("GenerateRandom", "{\"NumberOfBytes\":0}", API_VALIDATION);
	refuse("GenerateRandom", "{\"NumberOfBytes\":-1}", API_VALIDATION);
	refuse("GenerateRandom", "{\"NumberOfBytes\":1025}", API_VALIDATION);
	refuse("GenerateRandom", "{\"NumberOfBytes\":4294967297}", API_VALIDATION);
	refuse("GenerateRandom", "{\"NumberOfBytes\":1.5}", API_SERIALIZATION);
	refuse("GenerateRandom", "{\"NumberOfBytes\":\"1\"}", API_SERIALIZATION);
	refuse("GenerateRandom", "{\"NumberOfBytes\":99999999999999999999}", API_SERIALIZATION);
	assert_int_equal(decode("ListKeys", "{}"), 0);
	assert_int_equal(op.list_keys.limit, OP_PAGE_DEFAULT);
	refuse("ListKeys", "{\"Limit\":1001}", API_VALIDATION);
}

static void data_keys(void **state)
{
	(void)state;
	assert_int_equal(decode("GenerateDataKey", "{\"KeyId\":\"k\",\"KeySpec\":\"AES_128\"}"), 0);
	assert_int_equal(op.data_key.len, 16);
	assert_false(op.data_key.sealed_only);
	assert_int_equal(decode("GenerateDataKeyWithoutPlaintext", "{\"KeyId\":\"k\",\"NumberOfBytes\":7}"), 0);
	assert_int_equal(op.data_key.len, 7);
	assert_true(op.data_key.sealed_only);
	refuse("GenerateDataKey", "{\"KeyId\":\"k\"}", API_VALIDATION);
	refuse("GenerateDataKey", "{\"KeyId\":\"k\",\"KeySpec\":\"AES_256\",\"NumberOfBytes\":32}", API_VALIDATION);
	refuse("GenerateDataKey", "{\"KeyId\":\"k\",\"KeySpec\":\"AES_512\"}", API_VALIDATION);
	refuse("GenerateDataKey", "{\"KeyId\":\"k\",\"KeySpec\":\"AES_256\",\"Recipient\":{}}", API_UNSUPPORTED);
}

static void create_key(void **state)
{
	(void)state;
	assert_int_equal(decode("CreateKey", "{}"), 0);
	assert_int_equal(decode("CreateKey", "{\"Description\":\"d\",\"CustomKeyStoreId\":\"acme\",\"Origin\":"
				"\"AWS_CLOUDHSM\",\"KeyUsage\":\"ENCRYPT_DECRYPT\",\"Tags\":[],\"MultiRegion\":false,"
				"\"KeySpec\":\"SYMMETRIC_DEFAULT\",\"BypassPolicyLockoutSafetyCheck\":true}"), 0);
	assert_true(span_eq(op.create_key.instance, "acme"));
	assert_true(span_eq(op.create_key.description, "d"));
	refuse("CreateKey", "{\"KeySpec\":\"RSA_2048\"}", API_UNSUPPORTED);
	refuse("CreateKey", "{\"KeyUsage\":\"SIGN_VERIFY\"}", API_UNSUPPORTED);
	refuse("CreateKey", "{\"Policy\":\"{}\"}", API_UNSUPPORTED);
	refuse("CreateKey", "{\"Tags\":[{}]}", API_UNSUPPORTED);
	refuse("CreateKey", "{\"MultiRegion\":true}", API_UNSUPPORTED);
	refuse("CreateKey", "{\"Origin\":\"EXTERNAL\"}", API_UNSUPPORTED);
	refuse("CreateKey", "{\"Origin\":\"AWS_KMS\",\"CustomKeyStoreId\":\"acme\"}", API_UNSUPPORTED);
	refuse("CreateKey", "{\"CustomKeyStoreId\":\"\"}", API_VALIDATION);
}

static json_t *encode(const char *name, const struct op_env *env)
{
	static char out[65536];
	json_error_t why;
	json_t *doc;
	int len;

	op.env = env;
	len = find(name)->encode(&op, out, sizeof(out));
	assert_true(len > 0);
	assert_int_equal(find(name)->encode(&op, out, (size_t)len - 1), -ENOSPC);
	assert_int_equal(find(name)->encode(&op, out, (size_t)len), len);
	doc = json_loadb(out, (size_t)len, JSON_REJECT_DUPLICATES, &why);
	assert_non_null(doc);
	return doc;
}

static const char *str(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	assert_non_null(s);
	return s;
}

static void answers(void **state)
{
	static const char tricky[] = "q\"b\\s\n\x01\x7f \xc3\xa4 end";
	json_t *doc, *md;

	(void)state;
	memset(&op, 0, sizeof(op));
	strcpy(op.key.account, "123456789012");
	memset(op.key.id, 0xab, 16);
	op.key.created_ms = 1700000000123;
	op.key.description = (struct span){ tricky, sizeof(tricky) - 1 };
	doc = encode("DescribeKey", &acme_env);
	md = json_object_get(doc, "KeyMetadata");
	assert_string_equal(str(md, "Arn"), "arn:aws:kms:local-1:123456789012:key/abababab-abab-abab-abab-abababababab");
	assert_string_equal(str(md, "Description"), tricky);
	assert_string_equal(str(md, "CustomKeyStoreId"), "acme");
	assert_string_equal(str(md, "Origin"), "AWS_CLOUDHSM");
	assert_float_equal(json_real_value(json_object_get(md, "CreationDate")), 1700000000.123, 1e-4);
	json_decref(doc);
	doc = encode("DescribeKey", &shared_env);
	md = json_object_get(doc, "KeyMetadata");
	assert_string_equal(str(md, "Origin"), "AWS_KMS");
	assert_null(json_object_get(md, "CustomKeyStoreId"));
	json_decref(doc);

	op.encrypt.blob = (struct op_bytes){ (const uint8_t *)"abcd", 4 };
	doc = encode("Encrypt", &acme_env);
	assert_string_equal(str(doc, "CiphertextBlob"), "YWJjZA==");
	json_decref(doc);

	memset(&op.list_keys, 0, sizeof(op.list_keys));
	doc = encode("ListKeys", &acme_env);
	assert_int_equal(json_array_size(json_object_get(doc, "Keys")), 0);
	assert_null(json_object_get(doc, "NextMarker"));
	json_decref(doc);
}

/* The longest page and the longest description fit what a route carries. */
static void longest(void **state)
{
	static struct store_page_row rows[OP_PAGE_CAP];
	static const struct op_env env = { .name = "abcdefghijklmnopqrstuvwxyzabcde",
					   .region = "abcdefghijklmnopqrstuvwxyz-12345" };
	static char out[61440 - 64], description[OP_MAX_DESCRIPTION];

	(void)state;
	memset(&op, 0, sizeof(op));
	op.env = &env;
	for (size_t i = 0; i < OP_PAGE_CAP; i++)
		strcpy(rows[i].account, "123456789012");
	op.list_keys.rows = rows;
	op.list_keys.n = OP_PAGE_CAP;
	op.list_keys.truncated = true;
	assert_true(find("ListKeys")->encode(&op, out, sizeof(out)) > 0);
	memset(description, 1, sizeof(description));
	op.key.description = (struct span){ description, sizeof(description) };
	assert_true(find("DescribeKey")->encode(&op, out, sizeof(out)) > 0);
}

static int setup(void **state)
{
	(void)state;
	arena_json_init();
	return arena_open(&arena);
}

static int teardown(void **state)
{
	(void)state;
	arena_close(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(encrypt),
		cmocka_unit_test(plaintext_limit),
		cmocka_unit_test(malformed),
		cmocka_unit_test(many_values),
		cmocka_unit_test(numbers),
		cmocka_unit_test(data_keys),
		cmocka_unit_test(create_key),
		cmocka_unit_test(answers),
		cmocka_unit_test(longest),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
