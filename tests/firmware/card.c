// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "card.h"

const uint8_t part_a[16] = "\xa0partition-alpha", part_b[16] = "\xb0partition-beta!";

void card_make(struct card *c)
{
	/* In memory: what is tested is not the disk. */
	const char *base = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";

	snprintf(c->dir, sizeof(c->dir), "%s/hsm-fw-XXXXXX", base);
	assert_non_null(mkdtemp(c->dir));
	snprintf(c->nvram, sizeof(c->nvram), "%s/nvram", c->dir);
	card_on(c);
}

void card_on(struct card *c)
{
	struct hsm_fw_config cfg = { .nvram = c->nvram };

	assert_int_equal(hsm_fw_open(&cfg, &c->fw), 0);
	assert_non_null(c->fw);
}

void card_off(struct card *c)
{
	hsm_fw_close(c->fw);
	c->fw = NULL;
}

void card_destroy(struct card *c)
{
	struct dirent *e;
	DIR *d;

	card_off(c);
	d = opendir(c->dir);
	assert_non_null(d);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	assert_int_equal(rmdir(c->dir), 0);
}

int card_setup(void **state)
{
	struct card *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	card_make(c);
	assert_int_equal(part_op(c, HSM_OP_PARTITION_CREATE, part_a), HSM_ST_OK);
	*state = c;
	return 0;
}

int card_teardown(void **state)
{
	card_destroy(*state);
	free(*state);
	return 0;
}

uint16_t run(struct card *c, const uint8_t *part, uint8_t op, const void *in, size_t in_len,
	     void *out, size_t cap, size_t *len)
{
	/* Exact allocations: a sanitizer sees each byte read or written beyond. */
	uint8_t *i = malloc(in_len), *o = malloc(cap);
	size_t n = cap;
	uint16_t st;

	assert_true((i || !in_len) && (o || !cap));
	if (in_len)
		memcpy(i, in, in_len);
	if (cap)
		memset(o, 0xa5, cap);
	st = hsm_fw_exec(c->fw, part, op, i, in_len, o, &n);
	assert_true(n <= cap);
	if (st) {
		assert_int_equal(n, 0);
		for (size_t k = 0; k < cap; k++)
			assert_int_equal(o[k], 0xa5);
	}
	if (n)
		memcpy(out, o, n);
	if (len)
		*len = n;
	free(i);
	free(o);
	return st;
}

uint16_t part_op(struct card *c, uint8_t op, const uint8_t uuid[16])
{
	return run(c, NULL, op, uuid, 16, NULL, 0, NULL);
}

uint16_t generate(struct card *c, const uint8_t *part, uint32_t usage,
		  uint8_t token[HSM_TOKEN_AES256_LEN])
{
	struct hsm_key_generate_in in = { .type = HSM_KEY_AES256, .usage = htole32(usage) };
	size_t len;
	uint16_t st;

	st = run(c, part, HSM_OP_KEY_GENERATE, &in, sizeof(in), token, HSM_TOKEN_AES256_LEN, &len);
	if (!st)
		assert_int_equal(len, HSM_TOKEN_AES256_LEN);
	return st;
}

static size_t put(uint8_t *buf, size_t at, const void *p, size_t len)
{
	if (len)
		memcpy(buf + at, p, len);
	return at + len;
}

uint16_t crypt_token(struct card *c, const uint8_t *part, uint8_t op, const void *token,
		     size_t token_len, const void *aad, size_t aad_len, const void *data,
		     size_t data_len, void *out, size_t cap, size_t *len)
{
	struct hsm_crypt_in h = {
		.token_len = htole16(token_len),
		.aad_len = htole32(aad_len),
		.data_len = htole32(data_len),
	};
	uint8_t *in = malloc(sizeof(h) + token_len + aad_len + data_len);
	size_t n = put(in, 0, &h, sizeof(h));
	uint16_t st;

	n = put(in, n, token, token_len);
	n = put(in, n, aad, aad_len);
	n = put(in, n, data, data_len);
	st = run(c, part, op, in, n, out, cap, len);
	free(in);
	return st;
}

uint16_t data_key(struct card *c, uint8_t op, const void *token, const void *aad, size_t aad_len,
		  uint32_t key_len, void *out, size_t cap, size_t *len)
{
	struct hsm_data_key_in h = {
		.token_len = htole16(HSM_TOKEN_AES256_LEN),
		.aad_len = htole32(aad_len),
		.key_len = htole32(key_len),
	};
	uint8_t *in = malloc(sizeof(h) + HSM_TOKEN_AES256_LEN + aad_len);
	size_t n = put(in, 0, &h, sizeof(h));
	uint16_t st;

	n = put(in, n, token, HSM_TOKEN_AES256_LEN);
	n = put(in, n, aad, aad_len);
	st = run(c, part_a, op, in, n, out, cap, len);
	free(in);
	return st;
}

uint16_t reencrypt(struct card *c, const void *src, const void *dst, const void *src_aad,
		   size_t src_aad_len, const void *dst_aad, size_t dst_aad_len, const void *data,
		   size_t data_len, void *out, size_t cap, size_t *len)
{
	struct hsm_reencrypt_in h = {
		.src_token_len = htole16(HSM_TOKEN_AES256_LEN),
		.dst_token_len = htole16(HSM_TOKEN_AES256_LEN),
		.src_aad_len = htole32(src_aad_len),
		.dst_aad_len = htole32(dst_aad_len),
		.data_len = htole32(data_len),
	};
	uint8_t *in = malloc(sizeof(h) + 2 * HSM_TOKEN_AES256_LEN + src_aad_len + dst_aad_len +
			     data_len);
	size_t n = put(in, 0, &h, sizeof(h));
	uint16_t st;

	n = put(in, n, src, HSM_TOKEN_AES256_LEN);
	n = put(in, n, dst, HSM_TOKEN_AES256_LEN);
	n = put(in, n, src_aad, src_aad_len);
	n = put(in, n, dst_aad, dst_aad_len);
	n = put(in, n, data, data_len);
	st = run(c, part_a, HSM_OP_REENCRYPT, in, n, out, cap, len);
	free(in);
	return st;
}

void partition_entry(struct card *c, const uint8_t uuid[16], struct hsm_partition_entry *e)
{
	uint8_t out[8 + 40 * HSM_MAX_PARTITIONS];
	struct hsm_partition_list_out h;
	size_t len;

	assert_int_equal(run(c, NULL, HSM_OP_PARTITION_LIST, NULL, 0, out, sizeof(out), &len), 0);
	assert_true(len >= sizeof(h));
	memcpy(&h, out, sizeof(h));
	assert_int_equal(len, sizeof(h) + le32toh(h.count) * sizeof(*e));
	for (uint32_t i = 0; i < le32toh(h.count); i++) {
		memcpy(e, out + sizeof(h) + i * sizeof(*e), sizeof(*e));
		if (!memcmp(e->uuid, uuid, 16))
			return;
	}
	fail_msg("partition is not listed");
}

void identify(struct card *c, struct hsm_identify_out *id)
{
	size_t len;

	assert_int_equal(run(c, NULL, HSM_OP_IDENTIFY, NULL, 0, id, sizeof(*id), &len), 0);
	assert_int_equal(len, sizeof(*id));
}
