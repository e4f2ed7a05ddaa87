// SPDX-License-Identifier: Apache-2.0
/*
 * The AWS JSON dialect: the first byte chooses the operation, the rest is the body.
 * What is decoded must keep its promises: lengths within the limits, contexts
 * that either have a canonical form or are refused, spans inside the arena.
 */
#include <stdlib.h>
#include <string.h>

#include "dialect.h"

static const char *const targets[] = {
	"TrentService.Encrypt", "TrentService.Decrypt", "TrentService.ReEncrypt", "TrentService.GenerateDataKey",
	"TrentService.GenerateDataKeyWithoutPlaintext", "TrentService.GenerateRandom", "TrentService.CreateKey",
	"TrentService.DescribeKey", "TrentService.ListKeys",
};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct arena arena;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	arena_json_init();
	if (arena_open(&arena))
		abort();
	return 0;
}

static void require(int ok)
{
	if (!ok)
		abort();
}

static void check_span(struct span s)
{
	volatile char c;

	for (size_t i = 0; i < s.len; i++)
		c = s.p[i];
	(void)c;
}

static void check_context(const struct op_context *ctx)
{
	uint8_t out[CONTEXT_MAX];
	int len = context_canon(ctx->pairs, ctx->n, out, sizeof(out));

	require(len <= CONTEXT_MAX);
}

static void check_bytes(const struct op_bytes *b, size_t max)
{
	require(b->len >= 1 && b->len <= max);
	check_span((struct span){ (const char *)b->p, b->len });
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct op_env env = { .shared = true, .name = "shared", .region = "local-1" };
	struct http_request req = { .method = { "POST", 4 }, .path = { "/", 1 }, .n_headers = 1 };
	const struct dialect_op *d;
	unsigned int which;
	struct op op;

	if (!size)
		return 0;
	which = data[0] % (sizeof(targets) / sizeof(targets[0]));
	req.headers[0] = (struct http_header){ { "x-amz-target", 12 }, { targets[which], strlen(targets[which]) } };
	d = dialect_awsjson.find(&req);
	require(d && d->run);
	memset(&op, 0, sizeof(op));
	op.env = &env;
	op.arena = &arena;
	if (dialect_awsjson.decode(d, (struct span){ (const char *)data + 1, size - 1 }, &op)) {
		require(op.error != API_OK && op.message[0]);
	} else {
		require(op.error == API_OK);
		check_span(op.key.name);
		check_span(op.key2.name);
		switch (which) {
		case 0:
			check_bytes(&op.encrypt.plaintext, OP_MAX_PLAINTEXT);
			check_context(&op.encrypt.context);
			break;
		case 1:
			check_bytes(&op.decrypt.blob, OP_MAX_BLOB);
			check_context(&op.decrypt.context);
			break;
		case 2:
			check_bytes(&op.reencrypt.blob, OP_MAX_BLOB);
			check_context(&op.reencrypt.src_context);
			check_context(&op.reencrypt.dst_context);
			break;
		case 3:
		case 4:
			require(op.data_key.len >= 1 && op.data_key.len <= OP_MAX_DATA_KEY);
			check_context(&op.data_key.context);
			break;
		case 5:
			require(op.random.len >= 1 && op.random.len <= OP_MAX_RANDOM);
			break;
		case 6:
			check_span(op.create_key.description);
			check_span(op.create_key.instance);
			break;
		case 8:
			require(op.list_keys.limit >= 1 && op.list_keys.limit <= OP_PAGE_MAX);
			check_span(op.list_keys.marker);
			break;
		}
	}
	arena_reset(&arena);
	return 0;
}
