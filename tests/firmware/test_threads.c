// SPDX-License-Identifier: Apache-2.0
/* Commands, partitions and queue pairs from many threads at once. */
#include <endian.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "card.h"

#define BOTH	(HSM_USAGE_ENCRYPT | HSM_USAGE_DECRYPT)
#define WORKERS	6
#define ROUNDS	400

struct shared {
	struct card *c;
	uint8_t tokens[40][128];
	atomic_uint errors, generated, churned;
	atomic_bool stop;
};

/* cmocka's asserts are for its own thread only. */
#define EXPECT(x)							\
	do {								\
		if (!(x)) {						\
			fprintf(stderr, "%s:%d: %s\n", __func__, __LINE__, #x);	\
			atomic_fetch_add(&s->errors, 1);		\
		}							\
	} while (0)

static uint16_t crypt_raw(struct card *c, const uint8_t *part, uint8_t op, const uint8_t *token,
			  const void *data, uint32_t len, void *out, size_t *out_len)
{
	struct hsm_crypt_in h = { .token_len = htole16(128), .data_len = htole32(len) };
	uint8_t in[16 + 128 + 256];

	memcpy(in, &h, 16);
	memcpy(in + 16, token, 128);
	memcpy(in + 144, data, len);
	return hsm_fw_exec(c->fw, part, op, in, 144 + len, out, out_len);
}

static void *worker(void *arg)
{
	struct shared *s = arg;
	unsigned int seed = (uintptr_t)&seed >> 4;

	for (int i = 0; i < ROUNDS; i++) {
		struct hsm_key_generate_in g = { .type = HSM_KEY_AES256, .usage = htole32(BOTH) };
		uint8_t token[128], pt[100], ct[144], back[100];
		size_t n = sizeof(token), m = sizeof(back);

		memcpy(token, s->tokens[rand_r(&seed) % 40], 128);
		if (i % 4 == 0) {
			EXPECT(!hsm_fw_exec(s->c->fw, part_a, HSM_OP_KEY_GENERATE, &g, sizeof(g),
					    token, &n));
			atomic_fetch_add(&s->generated, 1);
		}
		memset(pt, rand_r(&seed), sizeof(pt));
		n = sizeof(ct);
		EXPECT(!crypt_raw(s->c, part_a, HSM_OP_ENCRYPT, token, pt, 100, ct, &n));
		EXPECT(n == sizeof(ct));
		EXPECT(!crypt_raw(s->c, part_a, HSM_OP_DECRYPT, token, ct, 144, back, &m));
		EXPECT(m == sizeof(back) && !memcmp(pt, back, 100));
		ct[rand_r(&seed) % 144] ^= 1;
		m = sizeof(back);
		EXPECT(crypt_raw(s->c, part_a, HSM_OP_DECRYPT, token, ct, 144, back, &m) ==
		       HSM_ST_BAD_CIPHERTEXT);
	}
	return NULL;
}

/* Makes, binds and deletes a partition over and over; list and identify meanwhile. */
static void *churner(void *arg)
{
	struct shared *s = arg;

	while (!atomic_load(&s->stop)) {
		uint8_t out[8 + 40 * HSM_MAX_PARTITIONS];
		size_t n = 0;

		EXPECT(!hsm_fw_exec(s->c->fw, NULL, HSM_OP_PARTITION_CREATE, part_b, 16, NULL, &n));
		EXPECT(!hsm_fw_bind(s->c->fw, part_b));
		EXPECT(hsm_fw_exec(s->c->fw, NULL, HSM_OP_PARTITION_DELETE, part_b, 16, NULL, &n) ==
		       HSM_ST_PARTITION_BUSY);
		hsm_fw_unbind(s->c->fw, part_b);
		n = sizeof(out);
		EXPECT(!hsm_fw_exec(s->c->fw, NULL, HSM_OP_PARTITION_LIST, NULL, 0, out, &n));
		EXPECT(n == 8 + 2 * 40);
		n = 0;
		EXPECT(!hsm_fw_exec(s->c->fw, NULL, HSM_OP_PARTITION_DELETE, part_b, 16, NULL, &n));
		atomic_fetch_add(&s->churned, 1);
	}
	return NULL;
}

/* Works in the partition that comes and goes: good answers are these few only. */
static void *visitor(void *arg)
{
	struct shared *s = arg;

	while (!atomic_load(&s->stop)) {
		struct hsm_key_generate_in g = { .type = HSM_KEY_AES256, .usage = htole32(BOTH) };
		uint8_t token[128], ct[100];
		size_t n = sizeof(token);
		uint16_t st = hsm_fw_exec(s->c->fw, part_b, HSM_OP_KEY_GENERATE, &g, sizeof(g),
					  token, &n);

		EXPECT(st == HSM_ST_OK || st == HSM_ST_NO_PARTITION);
		if (st)
			continue;
		atomic_fetch_add(&s->generated, 1);
		for (int i = 0; i < 4; i++) {
			n = sizeof(ct);
			st = crypt_raw(s->c, part_b, HSM_OP_ENCRYPT, token, "data", 4, ct, &n);
			EXPECT(st == HSM_ST_OK || st == HSM_ST_NO_PARTITION ||
			       st == HSM_ST_BAD_TOKEN);
		}
	}
	return NULL;
}

static void test_hammer(void **state)
{
	struct shared *s = calloc(1, sizeof(*s));
	pthread_t workers[WORKERS], churn, visit;
	struct hsm_identify_out id;

	assert_non_null(s);
	s->c = *state;
	for (int i = 0; i < 40; i++)
		assert_int_equal(generate(s->c, part_a, BOTH, s->tokens[i]), 0);
	assert_int_equal(pthread_create(&churn, NULL, churner, s), 0);
	assert_int_equal(pthread_create(&visit, NULL, visitor, s), 0);
	for (int i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&workers[i], NULL, worker, s), 0);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(workers[i], NULL);
	atomic_store(&s->stop, true);
	pthread_join(churn, NULL);
	pthread_join(visit, NULL);
	assert_int_equal(s->errors, 0);
	assert_true(s->churned > 0);
	identify(s->c, &id);
	assert_int_equal(le64toh(id.keys_generated), 40 + s->generated);
	assert_int_equal(le32toh(id.partitions), 1);
	print_message("%u partitions came and went, %u keys made\n", s->churned, s->generated);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_hammer, card_setup, card_teardown),
	};

	return cmocka_run_group_tests_name("firmware threads", tests, NULL, NULL);
}
