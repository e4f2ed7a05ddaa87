// SPDX-License-Identifier: Apache-2.0
/* The pool interface over the soft card. */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <hsm_cmd.h>

#include "pool.h"

static char dir[64], spec[80];
static struct ring *ring;
static struct hsm_pool *pool;
static struct hsm_port *port;

static int setup(void **state)
{
	(void)state;
	if (ring_create(64, &ring) || hsm_pool_open(spec, &pool) || hsm_port_open(pool, ring, &port))
		return -1;
	return 0;
}

static int teardown(void **state)
{
	int err;

	(void)state;
	hsm_port_close(port);
	err = ring_drain(ring, 1000);
	hsm_pool_close(pool);
	ring_destroy(ring);
	return err;
}

struct job {
	struct hsm_cmd cmd;
	int err;
	uint16_t status;
	uint32_t len;
	unsigned int done;
};

static unsigned int outstanding;
static bool submitting;

static void job_done(struct hsm_cmd *cmd, int err, uint16_t status, uint32_t out_len)
{
	struct job *j = (struct job *)cmd;

	assert_false(submitting);
	j->err = err;
	j->status = status;
	j->len = out_len;
	j->done++;
	if (!--outstanding)
		ring_stop(ring);
}

static void submit(struct job *j)
{
	j->cmd.done = job_done;
	outstanding++;
	submitting = true;
	hsm_submit(port, &j->cmd);
	submitting = false;
}

static void run_job(struct job *j)
{
	submit(j);
	assert_int_equal(ring_run(ring), 0);
	assert_int_equal(j->done, 1);
}

static void test_specs(void **state)
{
	struct hsm_pool *p;

	(void)state;
	assert_int_equal(hsm_pool_open("acme", &p), -EINVAL);
	assert_int_equal(hsm_pool_open("soft:", &p), -EINVAL);
	assert_null(p);
	assert_int_equal(hsm_pool_open("/dev/hsm/there-is-none", &p), -ENOENT);
	assert_int_equal(hsm_pool_open("/dev/null", &p), -ENOTTY);
	/* The NVRAM is one process's. */
	assert_int_equal(hsm_pool_open(spec, &p), -EBUSY);
	assert_int_equal(hsm_pool_fd(pool), -1);
}

static void test_encrypt(void **state)
{
	struct hsm_key_generate_in gen = {
		.type = HSM_KEY_AES256,
		.usage = htole32(HSM_USAGE_ENCRYPT | HSM_USAGE_DECRYPT),
	};
	uint8_t token[HSM_MAX_TOKEN], in[1024], ct[256], pt[256];
	struct hsm_crypt_in head = { 0 };
	struct job j = { 0 };
	uint32_t token_len;

	(void)state;
	j.cmd = (struct hsm_cmd){
		.opcode = HSM_OP_KEY_GENERATE,
		.in = &gen, .in_len = sizeof(gen), .out = token, .out_cap = sizeof(token),
	};
	run_job(&j);
	assert_int_equal(j.err, 0);
	assert_int_equal(j.status, HSM_ST_OK);
	assert_int_equal(j.len, HSM_TOKEN_AES256_LEN);
	assert_memory_equal(((struct hsm_token *)token)->partition, hsm_pool_partition(pool), HSM_UUID_LEN);
	token_len = j.len;

	head.token_len = htole16((uint16_t)token_len);
	head.aad_len = htole32(3);
	head.data_len = htole32(5);
	memcpy(in, &head, sizeof(head));
	memcpy(in + sizeof(head), token, token_len);
	memcpy(in + sizeof(head) + token_len, "aadhello", 8);
	j = (struct job){ .cmd = {
		.opcode = HSM_OP_ENCRYPT, .in = in, .in_len = (uint32_t)sizeof(head) + token_len + 8,
		.out = ct, .out_cap = sizeof(ct),
	} };
	run_job(&j);
	assert_int_equal(j.err, 0);
	assert_int_equal(j.len, 5 + HSM_CIPHERTEXT_OVERHEAD);

	head.data_len = htole32(j.len);
	memcpy(in, &head, sizeof(head));
	memcpy(in + sizeof(head) + token_len + 3, ct, j.len);
	j = (struct job){ .cmd = {
		.opcode = HSM_OP_DECRYPT, .in = in, .in_len = (uint32_t)sizeof(head) + token_len + 3 + j.len,
		.out = pt, .out_cap = sizeof(pt),
	} };
	run_job(&j);
	assert_int_equal(j.err, 0);
	assert_int_equal(j.len, 5);
	assert_memory_equal(pt, "hello", 5);

	in[j.cmd.in_len - 1] ^= 1;
	j.done = 0;
	run_job(&j);
	assert_int_equal(j.err, -EBADMSG);
	assert_int_equal(j.status, HSM_ST_BAD_CIPHERTEXT);
	assert_int_equal(j.len, 0);
}

static void test_many(void **state)
{
	static struct job jobs[500];
	static uint8_t out[500][16];
	struct hsm_random_in in = { .len = htole32(16) };

	(void)state;
	memset(jobs, 0, sizeof(jobs));
	for (unsigned int i = 0; i < 500; i++) {
		jobs[i].cmd = (struct hsm_cmd){
			.opcode = HSM_OP_RANDOM, .in = &in, .in_len = sizeof(in), .out = out[i], .out_cap = 16,
		};
		submit(&jobs[i]);
		assert_int_equal(jobs[i].done, 0);
	}
	assert_int_equal(ring_run(ring), 0);
	for (unsigned int i = 0; i < 500; i++) {
		assert_int_equal(jobs[i].done, 1);
		assert_int_equal(jobs[i].err, 0);
		assert_int_equal(jobs[i].len, 16);
		if (i)
			assert_memory_not_equal(out[i], out[i - 1], 16);
	}
}

/* A done that submits again: the loop does not end, nor recurse. */
static unsigned int again;

static void again_done(struct hsm_cmd *cmd, int err, uint16_t status, uint32_t out_len)
{
	assert_int_equal(err, 0);
	assert_int_equal(status, 0);
	assert_int_equal(out_len, 0);
	if (++again < 10000)
		hsm_submit(port, cmd);
	else
		ring_stop(ring);
}

static void test_resubmit(void **state)
{
	struct hsm_cmd cmd = { .opcode = HSM_OP_NOP, .done = again_done };

	(void)state;
	again = 0;
	hsm_submit(port, &cmd);
	assert_int_equal(ring_run(ring), 0);
	assert_int_equal(again, 10000);
}

static void test_admin_is_refused(void **state)
{
	struct job j = { .cmd = { .opcode = HSM_OP_PARTITION_CREATE, .in = dir, .in_len = HSM_UUID_LEN } };

	(void)state;
	run_job(&j);
	assert_int_equal(j.err, -EOPNOTSUPP);
	assert_int_equal(j.status, HSM_ST_INVALID_OPCODE);
}

static void test_call(void **state)
{
	struct hsm_random_in in = { .len = htole32(8) };
	uint8_t out[8];
	uint32_t len = sizeof(out);
	uint16_t status = 99;

	(void)state;
	assert_int_equal(hsm_call(pool, HSM_OP_RANDOM, &in, sizeof(in), out, &len, &status), 0);
	assert_int_equal(len, 8);
	assert_int_equal(status, 0);
	assert_int_equal(hsm_call(pool, HSM_OP_NOP, NULL, 0, NULL, NULL, NULL), 0);
	len = 4;
	assert_int_equal(hsm_call(pool, HSM_OP_RANDOM, &in, sizeof(in), out, &len, &status), -EMSGSIZE);
	assert_int_equal(status, HSM_ST_INVALID_LENGTH);
	assert_int_equal(len, 0);
}

static void test_partition_survives(void **state)
{
	uint8_t before[HSM_UUID_LEN];
	struct stat st;
	char path[80];

	(void)state;
	memcpy(before, hsm_pool_partition(pool), HSM_UUID_LEN);
	assert_int_equal(before[6] >> 4, 4);
	assert_int_equal(teardown(NULL), 0);
	assert_int_equal(setup(NULL), 0);
	assert_memory_equal(before, hsm_pool_partition(pool), HSM_UUID_LEN);
	snprintf(path, sizeof(path), "%s/nvram", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
}

static void test_status_table(void **state)
{
	(void)state;
	assert_int_equal(hsm_status_errno(HSM_ST_OK), 0);
	assert_int_equal(hsm_status_errno(HSM_ST_BAD_TOKEN), -EKEYREJECTED);
	assert_int_equal(hsm_status_errno(4711), -EREMOTEIO);
	assert_string_equal(hsm_status_text(HSM_ST_OK), "success");
	assert_string_equal(hsm_status_text(4711), "unknown card status");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_specs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_encrypt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_resubmit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_admin_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_call, setup, teardown),
		cmocka_unit_test_setup_teardown(test_partition_survives, setup, teardown),
		cmocka_unit_test(test_status_table),
	};
	char top[] = "/tmp/test_pool.XXXXXX", cmd[96];
	int failed;

	if (!mkdtemp(top))
		return 1;
	snprintf(dir, sizeof(dir), "%s/card", top);
	snprintf(spec, sizeof(spec), "soft:%s", dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", top);
	return system(cmd) || failed;
}
