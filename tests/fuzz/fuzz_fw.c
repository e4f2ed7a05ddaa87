// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes as a command.  First byte: opcode.  Second: queue (admin, a
 * partition, none such) and whether genuine tokens are put where the command has
 * its own, so that what lies behind the check of tokens is reached as well.
 * Then 16 bits: capacity of the output.  The rest is the input.
 */
#include "card.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct hsm_fw *fw;
static uint8_t token[2][HSM_TOKEN_AES256_LEN];

static void make_token(int i)
{
	struct hsm_key_generate_in in = {
		.type = HSM_KEY_AES256,
		.usage = HSM_USAGE_ENCRYPT | HSM_USAGE_DECRYPT,
	};
	size_t n = HSM_TOKEN_AES256_LEN;

	CHECK(!hsm_fw_exec(fw, fuzz_part[i], HSM_OP_KEY_GENERATE, &in, sizeof(in), token[i], &n));
}

/* Puts the partition back that the last command deleted. */
static void restore(int i)
{
	size_t n = 0;
	uint16_t st = hsm_fw_exec(fw, NULL, HSM_OP_PARTITION_CREATE, fuzz_part[i], 16, NULL, &n);

	CHECK(st == HSM_ST_OK || st == HSM_ST_PARTITION_EXISTS || st == HSM_ST_NO_SPACE);
	if (st == HSM_ST_OK)
		make_token(i);
}

static void put_tokens(uint8_t opcode, int i, uint8_t *in, size_t len)
{
	switch (opcode) {
	case HSM_OP_ENCRYPT:
	case HSM_OP_DECRYPT:
	case HSM_OP_DATA_KEY:
	case HSM_OP_DATA_KEY_SEALED:
		if (len >= 16 + sizeof(token[i]))
			memcpy(in + 16, token[i], sizeof(token[i]));
		break;
	case HSM_OP_REENCRYPT:
		if (len >= 16 + 2 * sizeof(token[i])) {
			memcpy(in + 16, token[i], sizeof(token[i]));
			memcpy(in + 16 + sizeof(token[i]), token[i], sizeof(token[i]));
		}
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t stranger[16] = { 0xff };
	const uint8_t *part = NULL;
	uint8_t opcode, *in, *out;
	size_t cap, len, n;
	uint16_t st;

	if (!fw) {
		fw = fuzz_card();
		make_token(0);
		make_token(1);
	}
	if (size < 4)
		return 0;
	opcode = data[0];
	if (data[1] & 3)
		part = (data[1] & 3) == 3 ? stranger : fuzz_part[(data[1] & 3) - 1];
	cap = (data[2] | data[3] << 8) % (HSM_MAX_PAYLOAD + 1);
	len = size - 4;
	/* Exact allocations, for the sanitizer. */
	in = malloc(len ? len : 1);
	out = malloc(cap ? cap : 1);
	CHECK(in && out);
	memcpy(in, data + 4, len);
	if ((data[1] & 4) && part && part != stranger)
		put_tokens(opcode, part == fuzz_part[1], in, len);
	memset(out, 0xa5, cap);
	n = cap;
	st = hsm_fw_exec(fw, part, opcode, in, len, out, &n);
	CHECK(n <= cap);
	CHECK(part != stranger || st);
	CHECK(st <= HSM_ST_SHUTDOWN && st != HSM_ST_INTERNAL && st != HSM_ST_NVRAM);
	if (st) {
		CHECK(!n);
		for (size_t i = 0; i < cap; i++)
			CHECK(out[i] == 0xa5);
	}
	free(in);
	free(out);
	if (!st && opcode == HSM_OP_PARTITION_DELETE) {
		restore(0);
		restore(1);
	}
	return 0;
}
