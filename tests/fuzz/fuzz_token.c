// SPDX-License-Identifier: Apache-2.0
/*
 * Tokens made from genuine ones: the input is a list of edits (offset, value)
 * after three bytes that choose token, partition and command, or, if the first
 * is above 0x80, a whole token.  Only a genuine token, in its own partition, for
 * what its usage permits, may ever be accepted.
 */
#include "card.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define GENUINE 6

static struct {
	uint8_t bytes[HSM_TOKEN_AES256_LEN];
	uint32_t usage;
	int part;
} genuine[GENUINE];

static struct hsm_fw *fw;
static uint8_t cipher[2][4 + HSM_CIPHERTEXT_OVERHEAD];	/* under the DECRYPT-able key of each */

static uint16_t crypt_token(const uint8_t *part, uint8_t op, const uint8_t *token, size_t token_len,
			    const uint8_t *data, size_t len, uint8_t *out, size_t *out_len)
{
	struct hsm_crypt_in h = { .token_len = token_len, .data_len = len };
	uint8_t in[sizeof(h) + HSM_MAX_TOKEN + 64];

	memcpy(in, &h, sizeof(h));
	memcpy(in + sizeof(h), token, token_len);
	memcpy(in + sizeof(h) + token_len, data, len);
	return hsm_fw_exec(fw, part, op, in, sizeof(h) + token_len + len, out, out_len);
}

static void power_on(void)
{
	fw = fuzz_card();
	for (int i = 0; i < GENUINE; i++) {
		struct hsm_key_generate_in in = { .type = HSM_KEY_AES256, .usage = 1 + i / 2 };
		size_t n = HSM_TOKEN_AES256_LEN;

		genuine[i].usage = in.usage;
		genuine[i].part = i % 2;
		CHECK(!hsm_fw_exec(fw, fuzz_part[i % 2], HSM_OP_KEY_GENERATE, &in, sizeof(in),
				   genuine[i].bytes, &n));
	}
	for (int p = 0; p < 2; p++) {
		size_t n = sizeof(cipher[p]);

		CHECK(!crypt_token(fuzz_part[p], HSM_OP_ENCRYPT, genuine[4 + p].bytes,
				   HSM_TOKEN_AES256_LEN, (const uint8_t *)"data", 4, cipher[p], &n));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t token[HSM_MAX_TOKEN], out[64];
	size_t token_len = HSM_TOKEN_AES256_LEN, n = sizeof(out);
	uint32_t need;
	uint16_t st;
	int part, who = -1;
	uint8_t op;

	if (!fw)
		power_on();
	if (size < 3)
		return 0;
	part = data[1] & 1;
	op = data[2] & 1 ? HSM_OP_DECRYPT : HSM_OP_ENCRYPT;
	need = op == HSM_OP_ENCRYPT ? HSM_USAGE_ENCRYPT : HSM_USAGE_DECRYPT;
	if (data[0] & 0x80) {
		token_len = size - 3 < sizeof(token) ? size - 3 : sizeof(token);
		memcpy(token, data + 3, token_len);
	} else {
		memcpy(token, genuine[data[0] % GENUINE].bytes, token_len);
		for (size_t i = 3; i + 1 < size; i += 2)
			token[data[i] % token_len] = data[i + 1];
	}
	for (int i = 0; i < GENUINE; i++)
		if (token_len == HSM_TOKEN_AES256_LEN && genuine[i].part == part &&
		    !memcmp(token, genuine[i].bytes, token_len))
			who = i;

	if (op == HSM_OP_ENCRYPT)
		st = crypt_token(fuzz_part[part], op, token, token_len, (const uint8_t *)"data", 4,
				 out, &n);
	else
		st = crypt_token(fuzz_part[part], op, token, token_len, cipher[part],
				 sizeof(cipher[part]), out, &n);

	if (who < 0)
		CHECK(st == HSM_ST_BAD_TOKEN);
	else if (!(genuine[who].usage & need))
		CHECK(st == HSM_ST_KEY_USAGE);
	else if (op == HSM_OP_DECRYPT && who < 4)
		CHECK(st == HSM_ST_BAD_CIPHERTEXT);
	else
		CHECK(st == HSM_ST_OK);
	CHECK(st ? !n : n == (op == HSM_OP_ENCRYPT ? sizeof(cipher[0]) : 4));
	return 0;
}
