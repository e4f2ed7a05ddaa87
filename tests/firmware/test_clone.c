// SPDX-License-Identifier: Apache-2.0
/* The domain key's way to a second card, and what happens to those who interfere. */
#include <endian.h>
#include <stdlib.h>

#include "card.h"
#include "../../qemu-hsm/firmware/fw.h"

#define BOTH (HSM_USAGE_ENCRYPT | HSM_USAGE_DECRYPT)

struct pair {
	struct card src, dst;
};

static int setup(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));

	card_make(&p->src);
	card_make(&p->dst);
	assert_int_equal(part_op(&p->src, HSM_OP_PARTITION_CREATE, part_a), 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct pair *p = *state;

	card_destroy(&p->src);
	card_destroy(&p->dst);
	free(p);
	return 0;
}

static uint16_t offer(struct card *c, const uint8_t *uuid, struct hsm_clone_export_in *x)
{
	memset(x, 0, sizeof(*x));
	memcpy(x->uuid, uuid, 16);
	return run(c, NULL, HSM_OP_CLONE_OFFER, uuid, 16, &x->offer, sizeof(x->offer), NULL);
}

static uint16_t export(struct card *c, const struct hsm_clone_export_in *x,
		       struct hsm_clone_import_in *i)
{
	memset(i, 0, sizeof(*i));
	memcpy(i->uuid, x->uuid, 16);
	return run(c, NULL, HSM_OP_CLONE_EXPORT, x, sizeof(*x), &i->blob, sizeof(i->blob), NULL);
}

static uint16_t import(struct card *c, const struct hsm_clone_import_in *i)
{
	return run(c, NULL, HSM_OP_CLONE_IMPORT, i, sizeof(*i), NULL, 0, NULL);
}

static void test_clone(void **state)
{
	struct pair *p = *state;
	struct hsm_partition_entry s, d;
	struct hsm_clone_export_in x;
	struct hsm_clone_import_in i;
	uint8_t token[128], ct[60], back[20];
	size_t len, n;

	assert_int_equal(generate(&p->src, part_a, BOTH, token), 0);
	assert_int_equal(offer(&p->dst, part_a, &x), 0);
	assert_int_equal(export(&p->src, &x, &i), 0);
	assert_int_equal(import(&p->dst, &i), 0);
	partition_entry(&p->src, part_a, &s);
	partition_entry(&p->dst, part_a, &d);
	assert_memory_equal(&s, &d, sizeof(s));

	assert_int_equal(crypt_token(&p->src, part_a, HSM_OP_ENCRYPT, token, 128, "c", 1, "secret",
				     6, ct, sizeof(ct), &len), 0);
	card_off(&p->dst);
	card_on(&p->dst);
	assert_int_equal(crypt_token(&p->dst, part_a, HSM_OP_DECRYPT, token, 128, "c", 1, ct, len,
				     back, sizeof(back), &n), 0);
	assert_int_equal(n, 6);
	assert_memory_equal(back, "secret", 6);
	/* And the other way. */
	assert_int_equal(generate(&p->dst, part_a, BOTH, token), 0);
	assert_int_equal(crypt_token(&p->src, part_a, HSM_OP_ENCRYPT, token, 128, NULL, 0, "x", 1,
				     ct, sizeof(ct), &len), 0);
	/* The offer is spent. */
	assert_int_equal(import(&p->dst, &i), HSM_ST_NO_OFFER);
	assert_int_equal(offer(&p->dst, part_a, &x), HSM_ST_PARTITION_EXISTS);
}

static void test_offers(void **state)
{
	struct pair *p = *state;
	struct hsm_clone_export_in x, first;
	struct hsm_clone_import_in i;
	uint8_t uuid[16] = { 7 };

	assert_int_equal(offer(&p->src, part_a, &x), HSM_ST_PARTITION_EXISTS);
	assert_int_equal(offer(&p->dst, (uint8_t[16]){ 0 }, &x), HSM_ST_INVALID_FIELD);
	assert_int_equal(offer(&p->dst, part_b, &x), 0);
	assert_int_equal(export(&p->src, &x, &i), HSM_ST_NO_PARTITION);

	/* As many offers as partitions; replacing one needs no room. */
	assert_int_equal(offer(&p->dst, part_a, &first), 0);
	for (unsigned int n = 2; n < HSM_MAX_PARTITIONS; n++) {
		uuid[1] = n;
		assert_int_equal(offer(&p->dst, uuid, &x), 0);
	}
	uuid[1] = 200;
	assert_int_equal(offer(&p->dst, uuid, &x), HSM_ST_NO_SPACE);
	assert_int_equal(offer(&p->dst, part_b, &x), 0);
	assert_int_equal(export(&p->src, &first, &i), 0);
	assert_int_equal(import(&p->dst, &i), 0);
	assert_int_equal(offer(&p->dst, uuid, &x), 0);
	/* A partition made meanwhile ends the offer for it. */
	assert_int_equal(part_op(&p->dst, HSM_OP_PARTITION_CREATE, part_b), 0);
	memcpy(i.uuid, part_b, 16);
	assert_int_equal(import(&p->dst, &i), HSM_ST_NO_OFFER);
}

/* A new offer replaces the one before: an export for that is of no use. */
static void test_offer_replaced(void **state)
{
	struct pair *p = *state;
	struct hsm_clone_export_in x, y;
	struct hsm_clone_import_in i;

	assert_int_equal(offer(&p->dst, part_a, &x), 0);
	assert_int_equal(export(&p->src, &x, &i), 0);
	assert_int_equal(offer(&p->dst, part_a, &y), 0);
	assert_memory_not_equal(x.offer.point, y.offer.point, 65);
	assert_int_equal(import(&p->dst, &i), HSM_ST_BAD_CIPHERTEXT);
	/* That closed the second offer too. */
	assert_int_equal(export(&p->src, &y, &i), 0);
	assert_int_equal(import(&p->dst, &i), HSM_ST_NO_OFFER);
	assert_int_equal(part_op(&p->dst, HSM_OP_PARTITION_DELETE, part_a), HSM_ST_NO_PARTITION);
}

static void test_restart_closes(void **state)
{
	struct pair *p = *state;
	struct hsm_clone_export_in x;
	struct hsm_clone_import_in i;

	assert_int_equal(offer(&p->dst, part_a, &x), 0);
	assert_int_equal(export(&p->src, &x, &i), 0);
	card_off(&p->dst);
	card_on(&p->dst);
	assert_int_equal(import(&p->dst, &i), HSM_ST_NO_OFFER);
}

/* Somebody between the cards puts a point of his own in the place of either. */
static void test_changed_point(void **state)
{
	struct pair *p = *state;
	struct hsm_clone_export_in x, mine;
	struct hsm_clone_import_in i;

	assert_int_equal(offer(&p->dst, part_a, &x), 0);
	assert_int_equal(offer(&p->dst, part_b, &mine), 0);
	memcpy(mine.uuid, part_a, 16);
	assert_int_equal(export(&p->src, &mine, &i), 0);
	assert_int_equal(import(&p->dst, &i), HSM_ST_BAD_CIPHERTEXT);

	assert_int_equal(offer(&p->dst, part_a, &x), 0);
	assert_int_equal(export(&p->src, &x, &i), 0);
	memcpy(i.blob.point, mine.offer.point, 65);
	assert_int_equal(import(&p->dst, &i), HSM_ST_BAD_CIPHERTEXT);
}

static void test_altered(void **state)
{
	static const size_t at[] = {
		offsetof(struct hsm_clone_export_out, created),
		offsetof(struct hsm_clone_export_out, iv),
		offsetof(struct hsm_clone_export_out, sealed),
		offsetof(struct hsm_clone_export_out, sealed) + 31,
		offsetof(struct hsm_clone_export_out, tag),
		offsetof(struct hsm_clone_export_out, tag) + 15,
	};
	struct pair *p = *state;
	struct hsm_clone_export_in x;
	struct hsm_clone_import_in i;

	for (size_t k = 0; k < sizeof(at) / sizeof(*at); k++) {
		assert_int_equal(offer(&p->dst, part_a, &x), 0);
		assert_int_equal(export(&p->src, &x, &i), 0);
		((uint8_t *)&i.blob)[at[k]] ^= 1;
		assert_int_equal(import(&p->dst, &i), HSM_ST_BAD_CIPHERTEXT);
	}
	/* The name of another partition that waits for a key. */
	assert_int_equal(offer(&p->dst, part_a, &x), 0);
	assert_int_equal(export(&p->src, &x, &i), 0);
	assert_int_equal(offer(&p->dst, part_b, &x), 0);
	memcpy(i.uuid, part_b, 16);
	assert_int_equal(import(&p->dst, &i), HSM_ST_BAD_CIPHERTEXT);
}

static void test_no_point(void **state)
{
	struct pair *p = *state;
	struct hsm_clone_export_in x, bad;
	struct hsm_clone_import_in i, wrong;

	assert_int_equal(offer(&p->dst, part_a, &x), 0);
	bad = x;
	bad.offer.point[64] ^= 1;	/* off the curve */
	assert_int_equal(export(&p->src, &bad, &i), HSM_ST_INVALID_FIELD);
	bad = x;
	memset(bad.offer.point, 0, 65);	/* infinity */
	assert_int_equal(export(&p->src, &bad, &i), HSM_ST_INVALID_FIELD);
	for (int form = 0; form < 256; form++) {
		bad = x;
		bad.offer.point[0] = form;
		assert_int_equal(export(&p->src, &bad, &i),
				 form == 4 ? HSM_ST_OK : HSM_ST_INVALID_FIELD);
	}
	assert_int_equal(export(&p->src, &x, &i), 0);
	wrong = i;
	wrong.blob.point[64] ^= 1;
	assert_int_equal(import(&p->dst, &wrong), HSM_ST_INVALID_FIELD);
	assert_int_equal(import(&p->dst, &i), HSM_ST_NO_OFFER);
}

static void test_shapes(void **state)
{
	struct pair *p = *state;
	struct hsm_clone_export_in x;
	struct hsm_clone_import_in i;
	uint8_t out[200], buf[200] = { 0 };

	assert_int_equal(offer(&p->dst, part_a, &x), 0);
	assert_int_equal(export(&p->src, &x, &i), 0);
	for (size_t n = 0; n < sizeof(out); n++) {
		if (n != 16)
			assert_int_equal(run(&p->dst, NULL, HSM_OP_CLONE_OFFER, buf, n, out, 200,
					     NULL), HSM_ST_INVALID_LENGTH);
		memcpy(buf, &x, sizeof(x));
		if (n != sizeof(x))
			assert_int_equal(run(&p->src, NULL, HSM_OP_CLONE_EXPORT, buf, n, out, 200,
					     NULL), HSM_ST_INVALID_LENGTH);
		memcpy(buf, &i, sizeof(i));
		if (n != sizeof(i))
			assert_int_equal(run(&p->dst, NULL, HSM_OP_CLONE_IMPORT, buf, n, out, 200,
					     NULL), HSM_ST_INVALID_LENGTH);
	}
	for (size_t n = 0; n < sizeof(struct hsm_clone_offer_out); n++)
		assert_int_equal(run(&p->dst, NULL, HSM_OP_CLONE_OFFER, part_a, 16, out, n, NULL),
				 HSM_ST_INVALID_LENGTH);
	for (size_t n = 0; n < sizeof(struct hsm_clone_export_out); n++)
		assert_int_equal(run(&p->src, NULL, HSM_OP_CLONE_EXPORT, &x, sizeof(x), out, n,
				     NULL), HSM_ST_INVALID_LENGTH);
	for (size_t n = 0; n < 7; n++) {
		x.offer.rsvd[n] = 1;
		assert_int_equal(run(&p->src, NULL, HSM_OP_CLONE_EXPORT, &x, sizeof(x), out, 200,
				     NULL), HSM_ST_INVALID_FIELD);
		x.offer.rsvd[n] = 0;
		i.blob.rsvd[n] = 1;
		assert_int_equal(import(&p->dst, &i), HSM_ST_INVALID_FIELD);
		i.blob.rsvd[n] = 0;
		i.blob.rsvd2[n % 4] = 1;
		assert_int_equal(import(&p->dst, &i), HSM_ST_INVALID_FIELD);
		i.blob.rsvd2[n % 4] = 0;
	}
	/* None of that was an import: the offer is still open. */
	assert_int_equal(import(&p->dst, &i), HSM_ST_OK);
}

/* The protocol as the header has it, with OpenSSL in the place of the destination card. */
static void test_protocol(void **state)
{
	struct pair *p = *state;
	struct hsm_clone_export_in x = { 0 };
	struct hsm_clone_import_in i;
	struct fw_algs algs = { 0 };
	uint8_t z[32], kek[32], info[12 + 16 + 130], aad[24], key[32];
	struct fw_ctx *ctx;
	EVP_PKEY *mine;

	assert_int_equal(fw_algs_get(&algs), 0);
	ctx = fw_ctx_new(&algs);
	assert_non_null(ctx);
	memcpy(x.uuid, part_a, 16);
	assert_int_equal(fw_ecdh_generate(&mine, x.offer.point), 0);
	assert_int_equal(export(&p->src, &x, &i), 0);
	assert_int_equal(fw_ecdh(mine, i.blob.point, z), 0);
	memcpy(info, "hsm clone v1", 12);
	memcpy(info + 12, part_a, 16);
	memcpy(info + 28, x.offer.point, 65);
	memcpy(info + 93, i.blob.point, 65);
	assert_int_equal(fw_hkdf(&algs, z, 32, info, sizeof(info), kek), 0);
	memcpy(aad, part_a, 16);
	memcpy(aad + 16, &i.blob.created, 8);
	assert_int_equal(fw_gcm_open(ctx, kek, i.blob.iv, aad, 24, i.blob.sealed, 32, key,
				     i.blob.tag), 0);
	assert_memory_equal(key, p->src.fw->partitions[0].rec.key, 32);
	EVP_PKEY_free(mine);
	fw_ctx_free(ctx);
	fw_algs_put(&algs);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_clone),	       T(test_offers),	T(test_offer_replaced), T(test_restart_closes),
		T(test_changed_point), T(test_altered), T(test_no_point),	T(test_shapes),
		T(test_protocol),
	};

	return cmocka_run_group_tests_name("firmware clone", tests, NULL, NULL);
}
