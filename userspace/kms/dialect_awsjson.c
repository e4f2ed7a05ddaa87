// SPDX-License-Identifier: Apache-2.0
/*
 * AWS JSON 1.1 as AWS KMS speaks it (AWS KMS API Reference, 2014-11-01).  Members
 * that are not known are ignored, as there; those that would change what the
 * operation means and are not supported are refused by name.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "awsops.h"
#include "base64.h"
#include "dialect.h"
#include "hsm_cmd.h"
#include "jsonw.h"
#include "uuid.h"

#define MAX_DEPTH	8
#define MAX_KEY_NAME	2048	/* characters of KeyId */

/* ---- members ---- */

static const char *type_text(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return "a structure";
	case JSON_ARRAY:
		return "a list";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	default:
		return "a literal";
	}
}

/* The member, or NULL if absent or null.  -1 after a refusal if it has another type. */
static int member(struct op *op, const json_t *o, const char *name, json_type type, const json_t **v)
{
	*v = json_object_get(o, name);
	if (json_is_null(*v))
		*v = NULL;
	if (!*v || json_typeof(*v) == type || (type == JSON_TRUE && json_is_false(*v)))
		return 0;
	return op_refuse(op, API_SERIALIZATION, "%s can not be %s", name, type_text(*v));
}

static int text(struct op *op, const json_t *o, const char *name, struct span *s)
{
	const json_t *v;

	*s = (struct span){ NULL, 0 };
	if (member(op, o, name, JSON_STRING, &v) < 0)
		return -1;
	if (v)
		*s = (struct span){ json_string_value(v), json_string_length(v) };
	return 0;
}

static int missing(struct op *op, const char *name)
{
	return op_refuse(op, API_VALIDATION, "1 validation error detected: Value null at '%s' failed to satisfy"
			 " constraint: Member must not be null", name);
}

static int length_wrong(struct op *op, const char *name, size_t min, size_t max)
{
	return op_refuse(op, API_VALIDATION, "1 validation error detected: Value at '%s' failed to satisfy"
			 " constraint: Member must have length between %zu and %zu", name, min, max);
}

static int key_name(struct op *op, const json_t *o, const char *name, bool required, struct span *s)
{
	if (text(op, o, name, s) < 0)
		return -1;
	if (!s->p)
		return required ? missing(op, name) : 0;
	return s->len < 1 || s->len > MAX_KEY_NAME ? length_wrong(op, name, 1, MAX_KEY_NAME) : 0;
}

static int blob(struct op *op, const json_t *o, const char *name, size_t max, struct op_bytes *b)
{
	struct span s;
	ssize_t len;
	void *buf;

	if (text(op, o, name, &s) < 0)
		return -1;
	if (!s.p)
		return missing(op, name);
	if (!s.len || s.len > BASE64_ENCODED(max))
		return length_wrong(op, name, 1, max);
	buf = arena_alloc(op->arena, BASE64_DECODED(s.len));
	if (!buf)
		return op_refuse(op, API_INTERNAL, "The request needs too much memory.");
	len = base64_decode(s.p, s.len, buf, BASE64_DECODED(s.len));
	if (len < 0)
		return op_refuse(op, API_SERIALIZATION, "%s is not base64", name);
	if (len < 1 || (size_t)len > max)
		return length_wrong(op, name, 1, max);
	*b = (struct op_bytes){ buf, (size_t)len };
	return 0;
}

static int number(struct op *op, const json_t *o, const char *name, unsigned int max, unsigned int *n)
{
	const json_t *v;
	json_int_t i;

	*n = 0;
	if (member(op, o, name, JSON_INTEGER, &v) < 0)
		return -1;
	if (!v)
		return 0;
	i = json_integer_value(v);
	if (i < 1 || i > (json_int_t)max)
		return op_refuse(op, API_VALIDATION, "1 validation error detected: Value '%lld' at '%s' failed to"
				 " satisfy constraint: Member must have value between 1 and %u",
				 (long long)i, name, max);
	*n = (unsigned int)i;
	return 0;
}

static int context(struct op *op, const json_t *o, const char *name, struct op_context *c)
{
	const json_t *v;
	json_t *value;
	const char *key;
	size_t n;

	*c = (struct op_context){ 0 };
	if (member(op, o, name, JSON_OBJECT, &v) < 0)
		return -1;
	n = v ? json_object_size(v) : 0;
	if (!n)
		return 0;
	if (n > CONTEXT_MAX / 4)
		return op_refuse(op, API_VALIDATION, "The encryption context is larger than %u bytes.", CONTEXT_MAX);
	c->pairs = arena_alloc(op->arena, n * sizeof(*c->pairs));
	if (!c->pairs)
		return op_refuse(op, API_INTERNAL, "The request needs too much memory.");
	json_object_foreach((json_t *)v, key, value) {
		if (!json_is_string(value))
			return op_refuse(op, API_SERIALIZATION, "A value of %s can not be %s", name,
					 type_text(value));
		c->pairs[c->n++] = (struct context_pair){
			.key = { key, strlen(key) },
			.value = { json_string_value(value), json_string_length(value) },
		};
	}
	return 0;
}

static int dry_run(struct op *op, const json_t *o)
{
	const json_t *v;

	if (member(op, o, "DryRun", JSON_TRUE, &v) < 0)
		return -1;
	op->dry_run = v && json_is_true(v);
	return 0;
}

/* A member that may only have the one value that this service has. */
static int only(struct op *op, const json_t *o, const char *name, const char *value)
{
	struct span s;

	if (text(op, o, name, &s) < 0)
		return -1;
	if (!s.p || span_eq(s, value))
		return 0;
	return op_refuse(op, API_UNSUPPORTED, "%s '%.*s' is not supported; this service has %s.", name,
			 (int)(s.len < 64 ? s.len : 64), s.p, value);
}

static int refused_if_present(struct op *op, const json_t *o, const char *name)
{
	const json_t *v = json_object_get(o, name);

	if (!v || json_is_null(v) || (json_is_array(v) && !json_array_size(v)) || json_is_false(v))
		return 0;
	return op_refuse(op, API_UNSUPPORTED, "%s is not supported yet; leave it out.", name);
}

/* ---- decoders ---- */

static size_t characters(struct span s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

static int decode_create_key(struct op *op, const void *doc)
{
	static const char *const refused[] = { "Policy", "Tags", "MultiRegion", "XksKeyId" };
	struct op_create_key *c = &op->create_key;
	struct span origin;

	if (text(op, doc, "Description", &c->description) < 0 ||
	    only(op, doc, "KeyUsage", "ENCRYPT_DECRYPT") < 0 ||
	    only(op, doc, "KeySpec", "SYMMETRIC_DEFAULT") < 0 ||
	    only(op, doc, "CustomerMasterKeySpec", "SYMMETRIC_DEFAULT") < 0 ||
	    text(op, doc, "CustomKeyStoreId", &c->instance) < 0 ||
	    text(op, doc, "Origin", &origin) < 0)
		return -1;
	if (characters(c->description) > OP_MAX_DESCRIPTION)
		return length_wrong(op, "description", 0, OP_MAX_DESCRIPTION);
	if (c->instance.p && (c->instance.len < 1 || c->instance.len > 64))
		return length_wrong(op, "customKeyStoreId", 1, 64);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (refused_if_present(op, doc, refused[i]) < 0)
			return -1;
	if (origin.p && !span_eq(origin, c->instance.len ? "AWS_CLOUDHSM" : "AWS_KMS"))
		return op_refuse(op, API_UNSUPPORTED, "Origin '%.*s' is not supported here; it is %s.",
				 (int)(origin.len < 64 ? origin.len : 64), origin.p,
				 c->instance.len ? "AWS_CLOUDHSM with a CustomKeyStoreId" :
						   "AWS_KMS without a CustomKeyStoreId");
	return 0;
}

static int decode_describe_key(struct op *op, const void *doc)
{
	return key_name(op, doc, "KeyId", true, &op->key.name);
}

static int decode_list_keys(struct op *op, const void *doc)
{
	struct op_list_keys *l = &op->list_keys;

	if (number(op, doc, "Limit", OP_PAGE_MAX, &l->limit) < 0 || text(op, doc, "Marker", &l->marker) < 0)
		return -1;
	if (!l->limit)
		l->limit = OP_PAGE_DEFAULT;
	if (l->marker.p && (l->marker.len < 1 || l->marker.len > 1024))
		return length_wrong(op, "marker", 1, 1024);
	return 0;
}

static int decode_encrypt(struct op *op, const void *doc)
{
	struct op_encrypt *e = &op->encrypt;

	return key_name(op, doc, "KeyId", true, &op->key.name) < 0 ||
	       blob(op, doc, "Plaintext", OP_MAX_PLAINTEXT, &e->plaintext) < 0 ||
	       context(op, doc, "EncryptionContext", &e->context) < 0 ||
	       only(op, doc, "EncryptionAlgorithm", "SYMMETRIC_DEFAULT") < 0 || dry_run(op, doc) < 0 ? -1 : 0;
}

static int decode_decrypt(struct op *op, const void *doc)
{
	struct op_decrypt *d = &op->decrypt;

	return key_name(op, doc, "KeyId", false, &op->key.name) < 0 ||
	       blob(op, doc, "CiphertextBlob", OP_MAX_BLOB, &d->blob) < 0 ||
	       context(op, doc, "EncryptionContext", &d->context) < 0 ||
	       only(op, doc, "EncryptionAlgorithm", "SYMMETRIC_DEFAULT") < 0 ||
	       refused_if_present(op, doc, "Recipient") < 0 || dry_run(op, doc) < 0 ? -1 : 0;
}

static int decode_reencrypt(struct op *op, const void *doc)
{
	struct op_reencrypt *r = &op->reencrypt;

	return key_name(op, doc, "SourceKeyId", false, &op->key.name) < 0 ||
	       key_name(op, doc, "DestinationKeyId", true, &op->key2.name) < 0 ||
	       blob(op, doc, "CiphertextBlob", OP_MAX_BLOB, &r->blob) < 0 ||
	       context(op, doc, "SourceEncryptionContext", &r->src_context) < 0 ||
	       context(op, doc, "DestinationEncryptionContext", &r->dst_context) < 0 ||
	       only(op, doc, "SourceEncryptionAlgorithm", "SYMMETRIC_DEFAULT") < 0 ||
	       only(op, doc, "DestinationEncryptionAlgorithm", "SYMMETRIC_DEFAULT") < 0 ||
	       dry_run(op, doc) < 0 ? -1 : 0;
}

static int decode_data_key(struct op *op, const void *doc)
{
	struct op_data_key *d = &op->data_key;
	struct span spec;

	if (key_name(op, doc, "KeyId", true, &op->key.name) < 0 ||
	    number(op, doc, "NumberOfBytes", OP_MAX_DATA_KEY, &d->len) < 0 ||
	    text(op, doc, "KeySpec", &spec) < 0 || context(op, doc, "EncryptionContext", &d->context) < 0 ||
	    refused_if_present(op, doc, "Recipient") < 0 || dry_run(op, doc) < 0)
		return -1;
	if (!spec.p == !d->len)
		return op_refuse(op, API_VALIDATION, "Please specify either number of bytes or key spec.");
	if (spec.p && span_eq(spec, "AES_256"))
		d->len = 32;
	else if (spec.p && span_eq(spec, "AES_128"))
		d->len = 16;
	else if (spec.p)
		return op_refuse(op, API_VALIDATION, "1 validation error detected: Value at 'keySpec' failed to satisfy"
				 " constraint: Member must satisfy enum value set: [AES_256, AES_128]");
	return 0;
}

static int decode_data_key_sealed(struct op *op, const void *doc)
{
	op->data_key.sealed_only = true;
	return decode_data_key(op, doc);
}

static int decode_random(struct op *op, const void *doc)
{
	if (number(op, doc, "NumberOfBytes", OP_MAX_RANDOM, &op->random.len) < 0 ||
	    text(op, doc, "CustomKeyStoreId", &op->random.instance) < 0 ||
	    refused_if_present(op, doc, "Recipient") < 0)
		return -1;
	return op->random.len ? 0 : missing(op, "NumberOfBytes");
}

/* ---- encoders ---- */

static void arn_member(const struct op *op, struct jsonw *w, const char *name, const char *account, const uint8_t id[16])
{
	char arn[OP_ARN_MAX];

	op_arn(op->env, account, id, arn);
	jsonw_str(w, name, arn);
}

static void algorithm(struct jsonw *w, const char *name)
{
	jsonw_str(w, name, "SYMMETRIC_DEFAULT");
}

static int encode_metadata(const struct op *op, char *out, size_t cap)
{
	const struct op_key *k = &op->key;
	char id[UUID_TEXT + 1];
	struct jsonw w;

	uuid_format(k->id, id);
	jsonw_init(&w, out, cap);
	jsonw_open(&w, NULL, '{');
	jsonw_open(&w, "KeyMetadata", '{');
	jsonw_str(&w, "AWSAccountId", k->account);
	arn_member(op, &w, "Arn", k->account, k->id);
	jsonw_seconds(&w, "CreationDate", k->created_ms);
	if (!op->env->shared)
		jsonw_str(&w, "CustomKeyStoreId", op->env->name);
	jsonw_str(&w, "CustomerMasterKeySpec", "SYMMETRIC_DEFAULT");
	jsonw_text(&w, "Description", k->description.p ? k->description.p : "", k->description.len);
	jsonw_bool(&w, "Enabled", true);
	jsonw_open(&w, "EncryptionAlgorithms", '[');
	algorithm(&w, NULL);
	jsonw_close(&w, ']');
	jsonw_str(&w, "KeyId", id);
	jsonw_str(&w, "KeyManager", "CUSTOMER");
	jsonw_str(&w, "KeySpec", "SYMMETRIC_DEFAULT");
	jsonw_str(&w, "KeyState", "Enabled");
	jsonw_str(&w, "KeyUsage", "ENCRYPT_DECRYPT");
	jsonw_bool(&w, "MultiRegion", false);
	jsonw_str(&w, "Origin", op->env->shared ? "AWS_KMS" : "AWS_CLOUDHSM");
	jsonw_close(&w, '}');
	jsonw_close(&w, '}');
	return jsonw_end(&w);
}

static int encode_list_keys(const struct op *op, char *out, size_t cap)
{
	const struct op_list_keys *l = &op->list_keys;
	char id[UUID_TEXT + 1];
	struct jsonw w;

	jsonw_init(&w, out, cap);
	jsonw_open(&w, NULL, '{');
	jsonw_open(&w, "Keys", '[');
	for (unsigned int i = 0; i < l->n; i++) {
		uuid_format(l->rows[i].id, id);
		jsonw_open(&w, NULL, '{');
		arn_member(op, &w, "KeyArn", l->rows[i].account, l->rows[i].id);
		jsonw_str(&w, "KeyId", id);
		jsonw_close(&w, '}');
	}
	jsonw_close(&w, ']');
	if (l->truncated)
		jsonw_str(&w, "NextMarker", id);
	jsonw_bool(&w, "Truncated", l->truncated);
	jsonw_close(&w, '}');
	return jsonw_end(&w);
}

static int encode_encrypt(const struct op *op, char *out, size_t cap)
{
	struct jsonw w;

	jsonw_init(&w, out, cap);
	jsonw_open(&w, NULL, '{');
	jsonw_base64(&w, "CiphertextBlob", op->encrypt.blob.p, op->encrypt.blob.len);
	algorithm(&w, "EncryptionAlgorithm");
	arn_member(op, &w, "KeyId", op->key.account, op->key.id);
	jsonw_close(&w, '}');
	return jsonw_end(&w);
}

static int encode_decrypt(const struct op *op, char *out, size_t cap)
{
	struct jsonw w;

	jsonw_init(&w, out, cap);
	jsonw_open(&w, NULL, '{');
	algorithm(&w, "EncryptionAlgorithm");
	arn_member(op, &w, "KeyId", op->key.account, op->key.id);
	jsonw_base64(&w, "Plaintext", op->decrypt.plaintext.p, op->decrypt.plaintext.len);
	jsonw_close(&w, '}');
	return jsonw_end(&w);
}

static int encode_reencrypt(const struct op *op, char *out, size_t cap)
{
	struct jsonw w;

	jsonw_init(&w, out, cap);
	jsonw_open(&w, NULL, '{');
	jsonw_base64(&w, "CiphertextBlob", op->reencrypt.out.p, op->reencrypt.out.len);
	algorithm(&w, "DestinationEncryptionAlgorithm");
	arn_member(op, &w, "KeyId", op->key2.account, op->key2.id);
	algorithm(&w, "SourceEncryptionAlgorithm");
	arn_member(op, &w, "SourceKeyId", op->key.account, op->key.id);
	jsonw_close(&w, '}');
	return jsonw_end(&w);
}

static int encode_data_key(const struct op *op, char *out, size_t cap)
{
	struct jsonw w;

	jsonw_init(&w, out, cap);
	jsonw_open(&w, NULL, '{');
	jsonw_base64(&w, "CiphertextBlob", op->data_key.blob.p, op->data_key.blob.len);
	arn_member(op, &w, "KeyId", op->key.account, op->key.id);
	if (!op->data_key.sealed_only)
		jsonw_base64(&w, "Plaintext", op->data_key.plaintext.p, op->data_key.plaintext.len);
	jsonw_close(&w, '}');
	return jsonw_end(&w);
}

static int encode_random(const struct op *op, char *out, size_t cap)
{
	struct jsonw w;

	jsonw_init(&w, out, cap);
	jsonw_open(&w, NULL, '{');
	jsonw_base64(&w, "Plaintext", op->random.bytes.p, op->random.bytes.len);
	jsonw_close(&w, '}');
	return jsonw_end(&w);
}

/* ---- the dialect ---- */

#define MANAGE HSM_CLASS_MANAGE
#define CRYPTO HSM_CLASS_CRYPTO

static const struct dialect_op table[] = {
	{ "Encrypt", CRYPTO, true, decode_encrypt, op_encrypt, encode_encrypt },
	{ "Decrypt", CRYPTO, true, decode_decrypt, op_decrypt, encode_decrypt },
	{ "GenerateDataKey", CRYPTO, true, decode_data_key, op_data_key, encode_data_key },
	{ "GenerateDataKeyWithoutPlaintext", CRYPTO, true, decode_data_key_sealed, op_data_key, encode_data_key },
	{ "ReEncrypt", CRYPTO, true, decode_reencrypt, op_reencrypt, encode_reencrypt },
	{ "GenerateRandom", CRYPTO, true, decode_random, op_random, encode_random },
	{ "CreateKey", MANAGE, false, decode_create_key, op_create_key, encode_metadata },
	{ "DescribeKey", MANAGE, true, decode_describe_key, op_describe_key, encode_metadata },
	{ "ListKeys", MANAGE, true, decode_list_keys, op_list_keys, encode_list_keys },
};

static const struct dialect_op not_served = { .name = "(not served)", .class = MANAGE };

static const struct dialect_op *find(const struct http_request *req)
{
	const struct aws_op *a = aws_op_find(http_get(req, "x-amz-target"));

	if (!a || !span_eq(req->method, "POST") || !span_eq(req->path, "/"))
		return NULL;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (!strcmp(a->name, table[i].name))
			return &table[i];
	return &not_served;
}

/* Nesting is bounded before the parser, which recurses, sees the text. */
static bool too_deep(struct span body)
{
	bool quoted = false;
	int depth = 0;

	for (size_t i = 0; i < body.len; i++) {
		switch (body.p[i]) {
		case '"':
			quoted = !quoted;
			break;
		case '\\':
			i += quoted;
			break;
		case '{':
		case '[':
			if (!quoted && ++depth > MAX_DEPTH)
				return true;
			break;
		case '}':
		case ']':
			depth -= !quoted;
			break;
		}
	}
	return false;
}

static int decode(const struct dialect_op *d, struct span body, struct op *op)
{
	json_error_t why;
	json_t *doc;
	int err;

	if (body.len > HTTP_MAX_BODY)
		return op_refuse(op, API_TOO_LARGE, "The request is larger than %u bytes.", HTTP_MAX_BODY);
	if (too_deep(body))
		return op_refuse(op, API_SERIALIZATION, "The request is nested too deeply.");
	/* The document lives in the arena as long as op does; it is never released by itself. */
	arena_json_use(op->arena);
	doc = json_loadb(body.p ? body.p : "", body.len, JSON_REJECT_DUPLICATES, &why);
	if (!doc)
		err = op_refuse(op, API_SERIALIZATION, "The request is not JSON: line %d, column %d", why.line,
				why.column);
	else if (!json_is_object(doc))
		err = op_refuse(op, API_SERIALIZATION, "The request must be a structure.");
	else
		err = d->decode(op, doc);
	arena_json_use(NULL);
	return err;
}

const struct dialect dialect_awsjson = { .find = find, .decode = decode };
