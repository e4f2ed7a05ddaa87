// SPDX-License-Identifier: Apache-2.0
/* Every command's lengths, fields and statuses, and what it gives back. */
#include <endian.h>
#include <stdlib.h>

#include "card.h"

#define ENC HSM_USAGE_ENCRYPT
#define DEC HSM_USAGE_DECRYPT

static uint8_t big[HSM_MAX_PAYLOAD + 1], out[HSM_MAX_PAYLOAD];

static void test_opcodes(void **state)
{
	struct card *c = *state;

	for (int op = 0; op < 256; op++) {
		int class = -1;
		uint16_t admin, queue;

		switch (op) {
#define HSM_X(name, value, cls, idem) case value: class = HSM_CLASS_##cls; break;
		HSM_OPCODES(HSM_X)
#undef HSM_X
		}
		if (op == HSM_OP_CREATE_QP || op == HSM_OP_DELETE_QP)
			class = -1;
		admin = run(c, NULL, op, big, 3, out, sizeof(out), NULL);
		queue = run(c, part_a, op, big, 3, out, sizeof(out), NULL);
		assert_int_equal(admin == HSM_ST_INVALID_OPCODE, class != HSM_CLASS_ADMIN);
		assert_int_equal(queue == HSM_ST_INVALID_OPCODE,
				 class == HSM_CLASS_ADMIN || class < 0);
		/* Known, on the right queue, with an input of 3 bytes: only NOP takes that. */
		if (class >= 0)
			assert_int_equal(class == HSM_CLASS_ADMIN ? admin : queue,
					 op == HSM_OP_NOP ? HSM_ST_OK : HSM_ST_INVALID_LENGTH);
	}
}

static void test_no_partition(void **state)
{
	static const uint8_t ops[] = {
		HSM_OP_KEY_GENERATE, HSM_OP_NOP,      HSM_OP_RANDOM,	      HSM_OP_ENCRYPT,
		HSM_OP_DECRYPT,	     HSM_OP_DATA_KEY, HSM_OP_DATA_KEY_SEALED, HSM_OP_REENCRYPT,
	};

	for (size_t i = 0; i < sizeof(ops); i++)
		assert_int_equal(run(*state, part_b, ops[i], big, 16, out, sizeof(out), NULL),
				 HSM_ST_NO_PARTITION);
}

/* One command with a valid input, the output it needs, and where it has reserved bytes. */
static void check_shape(struct card *c, const uint8_t *part, uint8_t op, const uint8_t *in,
			size_t in_len, size_t need, const uint8_t *rsvd, size_t rsvd_count)
{
	uint8_t *copy = malloc(in_len + 1);

	if (in_len)
		memcpy(copy, in, in_len);
	copy[in_len] = 0;
	for (size_t n = 0; n < in_len; n++)
		assert_int_equal(run(c, part, op, copy, n, out, sizeof(out), NULL),
				 HSM_ST_INVALID_LENGTH);
	assert_int_equal(run(c, part, op, copy, in_len + 1, out, sizeof(out), NULL),
			 HSM_ST_INVALID_LENGTH);
	for (size_t n = 0; n < need; n++)
		assert_int_equal(run(c, part, op, copy, in_len, out, n, NULL),
				 HSM_ST_INVALID_LENGTH);
	for (size_t i = 0; i < rsvd_count; i++)
		for (int bit = 0; bit < 8; bit++) {
			copy[rsvd[i]] ^= 1 << bit;
			assert_int_equal(run(c, part, op, copy, in_len, out, sizeof(out), NULL),
					 HSM_ST_INVALID_FIELD);
			copy[rsvd[i]] ^= 1 << bit;
		}
	if (need) {
		size_t len;

		assert_int_equal(run(c, part, op, copy, in_len, out, need, &len), HSM_ST_OK);
		assert_int_equal(len, need);
	}
	free(copy);
}

static void test_identify(void **state)
{
	struct hsm_identify_out id;

	check_shape(*state, NULL, HSM_OP_IDENTIFY, NULL, 0, sizeof(id), NULL, 0);
	identify(*state, &id);
	assert_int_equal(strlen((char *)id.serial), 16);
	assert_true(id.model[0] && !id.model[31] && id.firmware[0] && !id.firmware[15]);
	assert_int_equal(le32toh(id.max_partitions), HSM_MAX_PARTITIONS);
	assert_int_equal(le32toh(id.partitions), 1);
	assert_int_equal(le64toh(id.keys_generated), 0);
	assert_true(le64toh(id.time) > 1700000000);
	for (size_t i = 0; i < sizeof(id.rsvd); i++)
		assert_int_equal(id.rsvd[i], 0);
}

static void test_partitions(void **state)
{
	struct hsm_partition_entry a, b, e;
	struct card *c = *state;
	static const uint8_t nil[16];
	struct hsm_identify_out id;
	uint8_t uuid[16] = { 9 };

	check_shape(c, NULL, HSM_OP_PARTITION_CREATE, part_b, 16, 0, NULL, 0);
	check_shape(c, NULL, HSM_OP_PARTITION_DELETE, part_b, 16, 0, NULL, 0);
	check_shape(c, NULL, HSM_OP_PARTITION_LIST, NULL, 0, 48, NULL, 0);
	assert_int_equal(part_op(c, HSM_OP_PARTITION_CREATE, nil), HSM_ST_INVALID_FIELD);
	assert_int_equal(part_op(c, HSM_OP_PARTITION_DELETE, nil), HSM_ST_INVALID_FIELD);
	assert_int_equal(part_op(c, HSM_OP_PARTITION_CREATE, part_a), HSM_ST_PARTITION_EXISTS);
	assert_int_equal(part_op(c, HSM_OP_PARTITION_DELETE, part_b), HSM_ST_NO_PARTITION);
	assert_int_equal(part_op(c, HSM_OP_PARTITION_CREATE, part_b), HSM_ST_OK);
	partition_entry(c, part_a, &a);
	partition_entry(c, part_b, &b);
	assert_memory_not_equal(a.check, b.check, sizeof(a.check));
	assert_true(le64toh(a.created) > 1700000000);
	assert_int_equal(a.rsvd, 0);

	for (unsigned int i = 2; i < HSM_MAX_PARTITIONS; i++) {
		uuid[1] = i;
		assert_int_equal(part_op(c, HSM_OP_PARTITION_CREATE, uuid), HSM_ST_OK);
	}
	uuid[1] = 200;
	assert_int_equal(part_op(c, HSM_OP_PARTITION_CREATE, uuid), HSM_ST_NO_SPACE);
	identify(c, &id);
	assert_int_equal(le32toh(id.partitions), HSM_MAX_PARTITIONS);
	assert_int_equal(part_op(c, HSM_OP_PARTITION_DELETE, part_b), HSM_ST_OK);
	assert_int_equal(part_op(c, HSM_OP_PARTITION_DELETE, part_b), HSM_ST_NO_PARTITION);
	/* A partition of the same name is another one. */
	assert_int_equal(part_op(c, HSM_OP_PARTITION_CREATE, part_b), HSM_ST_OK);
	partition_entry(c, part_b, &e);
	assert_memory_not_equal(e.check, b.check, sizeof(b.check));
	partition_entry(c, part_a, &e);
	assert_memory_equal(e.check, a.check, sizeof(a.check));
}

static void test_bind(void **state)
{
	struct hsm_partition_entry e;
	struct card *c = *state;

	assert_int_equal(hsm_fw_bind(c->fw, part_b), HSM_ST_NO_PARTITION);
	assert_int_equal(hsm_fw_bind(c->fw, part_a), HSM_ST_OK);
	assert_int_equal(hsm_fw_bind(c->fw, part_a), HSM_ST_OK);
	partition_entry(c, part_a, &e);
	assert_int_equal(le32toh(e.queue_pairs), 2);
	assert_int_equal(part_op(c, HSM_OP_PARTITION_DELETE, part_a), HSM_ST_PARTITION_BUSY);
	hsm_fw_unbind(c->fw, part_a);
	assert_int_equal(part_op(c, HSM_OP_PARTITION_DELETE, part_a), HSM_ST_PARTITION_BUSY);
	hsm_fw_unbind(c->fw, part_a);
	assert_int_equal(part_op(c, HSM_OP_PARTITION_DELETE, part_a), HSM_ST_OK);
}

static void test_key_generate(void **state)
{
	static const uint8_t rsvd[] = { 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15 };
	struct hsm_key_generate_in in = { .type = HSM_KEY_AES256, .usage = htole32(ENC | DEC) };
	struct card *c = *state;
	struct hsm_identify_out id;
	struct hsm_token t;
	uint8_t token[HSM_TOKEN_AES256_LEN], other[HSM_TOKEN_AES256_LEN];

	check_shape(c, part_a, HSM_OP_KEY_GENERATE, (uint8_t *)&in, sizeof(in), sizeof(token),
		    rsvd, sizeof(rsvd));
	for (int type = 0; type < 256; type++) {
		in.type = type;
		assert_int_equal(run(c, part_a, HSM_OP_KEY_GENERATE, &in, sizeof(in), out,
				     sizeof(token), NULL),
				 type == HSM_KEY_AES256 ? HSM_ST_OK : HSM_ST_INVALID_FIELD);
	}
	for (uint32_t usage = 0; usage < 256; usage++)
		assert_int_equal(generate(c, part_a, usage, token),
				 usage && usage <= (ENC | DEC) ? HSM_ST_OK : HSM_ST_KEY_USAGE);
	assert_int_equal(generate(c, part_a, ENC | 1u << 31, token), HSM_ST_KEY_USAGE);
	identify(c, &id);
	assert_int_equal(le64toh(id.keys_generated), 5);

	assert_int_equal(generate(c, part_a, DEC, token), HSM_ST_OK);
	assert_int_equal(generate(c, part_a, DEC, other), HSM_ST_OK);
	memcpy(&t, token, sizeof(t));
	assert_int_equal(le32toh(t.magic), HSM_TOKEN_MAGIC);
	assert_int_equal(t.version, 1);
	assert_int_equal(t.type, HSM_KEY_AES256);
	assert_int_equal(t.flags, 0);
	assert_int_equal(le32toh(t.usage), DEC);
	assert_int_equal(le32toh(t.material_len), 32);
	assert_memory_equal(t.partition, part_a, 16);
	assert_true(le64toh(t.created) > 1700000000);
	assert_true(!t.rsvd && !t.rsvd2[0] && !t.rsvd2[1] && !t.rsvd2[2] && !t.rsvd2[3]);
	assert_memory_not_equal(t.key_id, other + offsetof(struct hsm_token, key_id), 16);
	assert_memory_not_equal(t.iv, other + offsetof(struct hsm_token, iv), 12);
}

static void test_nop(void **state)
{
	size_t len;

	assert_int_equal(run(*state, part_a, HSM_OP_NOP, NULL, 0, NULL, 0, &len), HSM_ST_OK);
	assert_int_equal(run(*state, part_a, HSM_OP_NOP, big, HSM_MAX_PAYLOAD, out, 100, &len), 0);
	assert_int_equal(len, 0);
	assert_int_equal(run(*state, part_a, HSM_OP_NOP, big, sizeof(big), out, 100, &len),
			 HSM_ST_INVALID_LENGTH);
}

static void test_random(void **state)
{
	static const uint8_t rsvd[] = { 4, 5, 6, 7 };
	struct hsm_random_in in = { .len = htole32(64) };
	uint8_t a[64], b[64];

	check_shape(*state, part_a, HSM_OP_RANDOM, (uint8_t *)&in, sizeof(in), 64, rsvd, 4);
	assert_int_equal(run(*state, part_a, HSM_OP_RANDOM, &in, sizeof(in), a, 64, NULL), 0);
	assert_int_equal(run(*state, part_a, HSM_OP_RANDOM, &in, sizeof(in), b, 64, NULL), 0);
	assert_memory_not_equal(a, b, 64);
	in.len = htole32(HSM_MAX_RANDOM);
	check_shape(*state, part_a, HSM_OP_RANDOM, (uint8_t *)&in, sizeof(in), HSM_MAX_RANDOM, NULL, 0);
	in.len = htole32(HSM_MAX_RANDOM + 1);
	assert_int_equal(run(*state, part_a, HSM_OP_RANDOM, &in, sizeof(in), out, sizeof(out), NULL),
			 HSM_ST_INVALID_FIELD);
	in.len = 0;
	assert_int_equal(run(*state, part_a, HSM_OP_RANDOM, &in, sizeof(in), out, sizeof(out), NULL),
			 HSM_ST_INVALID_FIELD);
}

static void test_crypt_shape(void **state)
{
	static const uint8_t rsvd[] = { 2, 3, 12, 13, 14, 15 };
	struct hsm_crypt_in h = { .token_len = htole16(128), .aad_len = htole32(5),
				  .data_len = htole32(9) };
	struct card *c = *state;
	uint8_t in[16 + 128 + 5 + 9 + OVERHEAD], token[128], ct[9 + OVERHEAD];
	struct hsm_crypt_in bad;

	assert_int_equal(generate(c, part_a, ENC | DEC, token), 0);
	memcpy(in, &h, 16);
	memcpy(in + 16, token, 128);
	memcpy(in + 144, "hello" "plaintext", 14);
	check_shape(c, part_a, HSM_OP_ENCRYPT, in, 158, sizeof(ct), rsvd, sizeof(rsvd));
	assert_int_equal(run(c, part_a, HSM_OP_ENCRYPT, in, 158, ct, sizeof(ct), NULL), 0);
	h.data_len = htole32(sizeof(ct));
	memcpy(in, &h, 16);
	memcpy(in + 149, ct, sizeof(ct));
	check_shape(c, part_a, HSM_OP_DECRYPT, in, sizeof(in), 9, rsvd, sizeof(rsvd));
	assert_memory_equal(out, "plaintext", 9);

	/* Limits, each one above; and sums that would wrap in 32 bits. */
	bad = h;
	bad.token_len = htole16(HSM_MAX_TOKEN + 1);
	memcpy(big, &bad, 16);
	assert_int_equal(run(c, part_a, HSM_OP_ENCRYPT, big, HSM_MAX_PAYLOAD, out, 9999, NULL),
			 HSM_ST_INVALID_FIELD);
	bad = h;
	bad.aad_len = htole32(HSM_MAX_AAD + 1);
	memcpy(big, &bad, 16);
	assert_int_equal(run(c, part_a, HSM_OP_ENCRYPT, big, HSM_MAX_PAYLOAD, out, 9999, NULL),
			 HSM_ST_INVALID_FIELD);
	bad = h;
	bad.data_len = htole32(HSM_MAX_DATA + 1);
	memcpy(big, &bad, 16);
	assert_int_equal(run(c, part_a, HSM_OP_ENCRYPT, big, HSM_MAX_PAYLOAD, out, 9999, NULL),
			 HSM_ST_INVALID_FIELD);
	bad.data_len = htole32(HSM_MAX_DATA + OVERHEAD + 1);
	memcpy(big, &bad, 16);
	assert_int_equal(run(c, part_a, HSM_OP_DECRYPT, big, HSM_MAX_PAYLOAD, out, 9999, NULL),
			 HSM_ST_INVALID_FIELD);
	bad.data_len = htole32(0xffffffffu);
	memcpy(big, &bad, 16);
	assert_int_equal(run(c, part_a, HSM_OP_DECRYPT, big, 16 + 128 + 4, out, 9999, NULL),
			 HSM_ST_INVALID_FIELD);
	memset(big, 0, 16);
}

static void test_crypt(void **state)
{
	static const size_t sizes[] = { 0, 1, 15, 16, 17, 4096, HSM_MAX_DATA };
	static const size_t aads[] = { 0, 1, 100, HSM_MAX_AAD };
	struct card *c = *state;
	uint8_t token[128], pt[HSM_MAX_DATA], ct[HSM_MAX_DATA + OVERHEAD], back[HSM_MAX_DATA];
	static uint8_t aad[HSM_MAX_AAD];
	size_t len, n;

	memset(pt, 0x5c, sizeof(pt));
	memset(aad, 0x11, sizeof(aad));
	assert_int_equal(generate(c, part_a, ENC | DEC, token), 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		for (size_t j = 0; j < sizeof(aads) / sizeof(*aads); j++) {
			assert_int_equal(crypt_token(c, part_a, HSM_OP_ENCRYPT, token, 128, aad,
						     aads[j], pt, sizes[i], ct, sizeof(ct), &len), 0);
			assert_int_equal(len, sizes[i] + OVERHEAD);
			assert_int_equal(crypt_token(c, part_a, HSM_OP_DECRYPT, token, 128, aad,
						     aads[j], ct, len, back, sizes[i], &n), 0);
			assert_int_equal(n, sizes[i]);
			assert_memory_equal(back, pt, n);
			if (!aads[j])
				continue;
			/* Another context, one byte shorter. */
			assert_int_equal(crypt_token(c, part_a, HSM_OP_DECRYPT, token, 128, aad,
						     aads[j] - 1, ct, len, back, sizeof(back), &n),
					 HSM_ST_BAD_CIPHERTEXT);
		}
	/* Twice the same is never the same. */
	assert_int_equal(crypt_token(c, part_a, HSM_OP_ENCRYPT, token, 128, NULL, 0, pt, 32, ct,
				     sizeof(ct), &len), 0);
	assert_int_equal(crypt_token(c, part_a, HSM_OP_ENCRYPT, token, 128, NULL, 0, pt, 32, out,
				     sizeof(ct), &n), 0);
	assert_memory_not_equal(ct, out, 16);
	assert_memory_not_equal(ct + 16, out + 16, 12);
	assert_memory_not_equal(ct + 28, out + 28, 32);

	/* run() sees to it that no plaintext is left in the output. */
	for (size_t i = 0; i < len; i++) {
		ct[i] ^= 0x80;
		assert_int_equal(crypt_token(c, part_a, HSM_OP_DECRYPT, token, 128, NULL, 0, ct,
					     len, back, sizeof(back), &n), HSM_ST_BAD_CIPHERTEXT);
		ct[i] ^= 0x80;
	}
	for (size_t i = 0; i < len; i++)
		assert_int_equal(crypt_token(c, part_a, HSM_OP_DECRYPT, token, 128, NULL, 0, ct, i,
					     back, sizeof(back), &n), HSM_ST_BAD_CIPHERTEXT);
}

static void test_usage(void **state)
{
	struct card *c = *state;
	uint8_t enc[128], dec[128], both[128], ct[100];
	size_t len;

	assert_int_equal(generate(c, part_a, ENC, enc), 0);
	assert_int_equal(generate(c, part_a, DEC, dec), 0);
	assert_int_equal(generate(c, part_a, ENC | DEC, both), 0);
	/* Twice: unsealed, and from the cache. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(crypt_token(c, part_a, HSM_OP_ENCRYPT, enc, 128, NULL, 0, "x", 1,
					     ct, sizeof(ct), &len), 0);
		assert_int_equal(crypt_token(c, part_a, HSM_OP_DECRYPT, enc, 128, NULL, 0, ct, len,
					     out, 100, NULL), HSM_ST_KEY_USAGE);
		assert_int_equal(crypt_token(c, part_a, HSM_OP_ENCRYPT, dec, 128, NULL, 0, "x", 1,
					     out, 100, NULL), HSM_ST_KEY_USAGE);
		assert_int_equal(data_key(c, HSM_OP_DATA_KEY, dec, NULL, 0, 32, out, 200, NULL),
				 HSM_ST_KEY_USAGE);
		assert_int_equal(data_key(c, HSM_OP_DATA_KEY_SEALED, dec, NULL, 0, 32, out, 200,
					  NULL), HSM_ST_KEY_USAGE);
		assert_int_equal(reencrypt(c, enc, both, NULL, 0, NULL, 0, ct, len, out, 100, NULL),
				 HSM_ST_KEY_USAGE);
		assert_int_equal(reencrypt(c, both, dec, NULL, 0, NULL, 0, ct, len, out, 100, NULL),
				 HSM_ST_KEY_USAGE);
	}
}

static void test_data_key(void **state)
{
	static const uint8_t rsvd[] = { 2, 3, 12, 13, 14, 15 };
	static const uint32_t sizes[] = { 1, 16, 32, HSM_MAX_DATA_KEY };
	struct hsm_data_key_in h = { .token_len = htole16(128), .aad_len = htole32(3),
				     .key_len = htole32(32) };
	struct card *c = *state;
	uint8_t in[16 + 128 + 3], token[128], key[2 * HSM_MAX_DATA_KEY + 8 + OVERHEAD];
	uint8_t back[HSM_MAX_DATA_KEY];
	struct hsm_data_key_out o;
	size_t len, n;

	assert_int_equal(generate(c, part_a, ENC | DEC, token), 0);
	memcpy(in, &h, 16);
	memcpy(in + 16, token, 128);
	memcpy(in + 144, "ctx", 3);
	check_shape(c, part_a, HSM_OP_DATA_KEY, in, sizeof(in), 8 + 32 + 32 + OVERHEAD, rsvd, 6);
	check_shape(c, part_a, HSM_OP_DATA_KEY_SEALED, in, sizeof(in), 8 + 32 + OVERHEAD, rsvd, 6);

	for (size_t i = 0; i < 4; i++) {
		uint32_t k = sizes[i];

		assert_int_equal(data_key(c, HSM_OP_DATA_KEY, token, "ctx", 3, k, key, sizeof(key),
					  &len), 0);
		memcpy(&o, key, 8);
		assert_int_equal(le32toh(o.plain_len), k);
		assert_int_equal(le32toh(o.cipher_len), k + OVERHEAD);
		assert_int_equal(len, 8 + k + k + OVERHEAD);
		assert_int_equal(crypt_token(c, part_a, HSM_OP_DECRYPT, token, 128, "ctx", 3,
					     key + 8 + k, k + OVERHEAD, back, sizeof(back), &n), 0);
		assert_int_equal(n, k);
		assert_memory_equal(back, key + 8, k);

		assert_int_equal(data_key(c, HSM_OP_DATA_KEY_SEALED, token, "ctx", 3, k, key,
					  sizeof(key), &len), 0);
		memcpy(&o, key, 8);
		assert_int_equal(o.plain_len, 0);
		assert_int_equal(len, 8 + k + OVERHEAD);
		assert_int_equal(crypt_token(c, part_a, HSM_OP_DECRYPT, token, 128, "ctx", 3,
					     key + 8, k + OVERHEAD, back, sizeof(back), &n), 0);
		assert_int_equal(n, k);
	}
	assert_int_equal(data_key(c, HSM_OP_DATA_KEY, token, NULL, 0, 0, key, sizeof(key), NULL),
			 HSM_ST_INVALID_FIELD);
	assert_int_equal(data_key(c, HSM_OP_DATA_KEY, token, NULL, 0, HSM_MAX_DATA_KEY + 1, out,
				  sizeof(out), NULL), HSM_ST_INVALID_FIELD);
}

static void test_reencrypt(void **state)
{
	struct hsm_reencrypt_in h = { .src_token_len = htole16(128), .dst_token_len = htole16(128),
				      .src_aad_len = htole32(3), .dst_aad_len = htole32(5) };
	struct card *c = *state;
	uint8_t src[128], dst[128], ct[20 + OVERHEAD], re[20 + OVERHEAD], back[20], in[400];
	size_t len, n, at = 16;

	assert_int_equal(generate(c, part_a, ENC | DEC, src), 0);
	assert_int_equal(generate(c, part_a, ENC | DEC, dst), 0);
	assert_int_equal(crypt_token(c, part_a, HSM_OP_ENCRYPT, src, 128, "one", 3,
				     "twenty bytes of text", 20, ct, sizeof(ct), &len), 0);
	h.data_len = htole32(len);
	memcpy(in, &h, 16);
	memcpy(in + at, src, 128);
	memcpy(in + (at += 128), dst, 128);
	memcpy(in + (at += 128), "one" "other", 8);
	memcpy(in + (at += 8), ct, len);
	check_shape(c, part_a, HSM_OP_REENCRYPT, in, at + len, len, NULL, 0);

	assert_int_equal(reencrypt(c, src, dst, "one", 3, "other", 5, ct, len, re, sizeof(re), &n), 0);
	assert_int_equal(n, len);
	assert_int_equal(crypt_token(c, part_a, HSM_OP_DECRYPT, dst, 128, "other", 5, re, n, back,
				     sizeof(back), &len), 0);
	assert_int_equal(len, 20);
	assert_memory_equal(back, "twenty bytes of text", 20);
	assert_int_equal(crypt_token(c, part_a, HSM_OP_DECRYPT, src, 128, "one", 3, re, n, back,
				     sizeof(back), &len), HSM_ST_BAD_CIPHERTEXT);
	assert_int_equal(reencrypt(c, src, dst, "two", 3, "other", 5, ct, n, re, sizeof(re), NULL),
			 HSM_ST_BAD_CIPHERTEXT);
	assert_int_equal(reencrypt(c, dst, src, "one", 3, "other", 5, ct, n, re, sizeof(re), NULL),
			 HSM_ST_BAD_CIPHERTEXT);
	assert_int_equal(reencrypt(c, src, dst, NULL, 0, NULL, 0, ct, 43, re, sizeof(re), NULL),
			 HSM_ST_BAD_CIPHERTEXT);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, card_setup, card_teardown)
	const struct CMUnitTest tests[] = {
		T(test_opcodes),    T(test_no_partition), T(test_identify), T(test_partitions),
		T(test_bind),	    T(test_key_generate), T(test_nop),	    T(test_random),
		T(test_crypt_shape), T(test_crypt),	  T(test_usage),    T(test_data_key),
		T(test_reencrypt),
	};

	return cmocka_run_group_tests_name("firmware commands", tests, NULL, NULL);
}
