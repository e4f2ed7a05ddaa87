/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations of a KMS: what is done, apart from how it was said.  No dialect's
 * word appears here: a dialect fills the typed request of a struct op, starts
 * it, and reads the typed answer when done runs.
 *
 * An operation never blocks: it goes from step to step through completions of
 * the pool and the store, on one worker's thread, and ends exactly once with
 * op_end().  All its memory is in the request's arena, so nothing needs freeing on any path.
 */
#ifndef KMS_OPS_H
#define KMS_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "apierr.h"
#include "arena.h"
#include "blob.h"
#include "keycache.h"
#include "pool.h"
#include "ring.h"
#include "store.h"

#define OP_MAX_PLAINTEXT	4096u	/* bytes */
#define OP_MAX_BLOB		6144u
#define OP_MAX_DATA_KEY		1024u
#define OP_MAX_RANDOM		1024u
#define OP_PAGE_DEFAULT		100u
#define OP_PAGE_MAX		1000u	/* that a client may ask for */
#define OP_PAGE_CAP		256u	/* that one answer holds */
#define OP_MAX_DESCRIPTION	8192u	/* characters */

/* What operations work with: one per worker. */
struct op_env {
	bool shared;			/* role */
	const char *name;		/* of the instance */
	const char *region;
	struct ring *ring;
	struct hsm_port *pool;
	struct store *store;
	struct store_port *port;
	struct keycache *keys;
	struct replay *seen;		/* of a dedicated KMS, where the route ends; else NULL */
};

struct op_caller {
	bool any_key;			/* a credential of this instance: every key of it */
	char account[STORE_ACCOUNT_LEN + 1];	/* else: this account's keys only */
	char access_key_id[STORE_AKID_MAX + 1];
};

struct op_bytes {
	const uint8_t *p;
	size_t len;
};

/* A key that an operation uses: named by the client, or by a ciphertext. */
struct op_key {
	struct span name;		/* as the client said it: id or ARN; len 0: id below is set */
	bool from_blob;			/* an unknown one is a fault of the ciphertext */
	char arn_account[STORE_ACCOUNT_LEN + 1];
	/* once located: */
	uint8_t id[16];
	char account[STORE_ACCOUNT_LEN + 1];
	int64_t created_ms;
	uint16_t token_len;
	uint8_t token[HSM_MAX_TOKEN];
	struct span description;	/* if op.describe */
};

struct op_context {
	struct context_pair *pairs;
	size_t n;
};

/* ---- requests and answers; "in" is the dialect's to fill, borrowed until the end ---- */

struct op_create_key {
	struct span description;	/* in */
	struct span instance;		/* in: its name; len 0: this KMS */
};					/* out: op.key */

struct op_list_keys {
	unsigned int limit;		/* in: 1..OP_PAGE_MAX */
	struct span marker;		/* in: len 0: the first page */
	struct store_page_row *rows;	/* out */
	unsigned int n;
	bool truncated;			/* the last row's id is the marker of the next page */
};

struct op_encrypt {
	struct op_bytes plaintext;	/* in */
	struct op_context context;	/* in */
	struct op_bytes blob;		/* out */
};

struct op_decrypt {
	struct op_bytes blob;		/* in */
	struct op_context context;	/* in */
	struct op_bytes plaintext;	/* out */
};

struct op_reencrypt {			/* op.key: source, op.key2: destination */
	struct op_bytes blob;		/* in */
	struct op_context src_context, dst_context; /* in */
	struct op_bytes out;		/* out: a blob */
};

struct op_data_key {
	unsigned int len;		/* in: bytes, 1..OP_MAX_DATA_KEY */
	bool sealed_only;		/* in: without plaintext */
	struct op_context context;	/* in */
	struct op_bytes plaintext, blob; /* out */
};

struct op_random {
	unsigned int len;		/* in: 1..OP_MAX_RANDOM */
	struct span instance;		/* in: whose generator; len 0: this KMS's */
	struct op_bytes bytes;		/* out */
};

/* The key (or the instance asked for) is another KMS's. */
struct op_redirect {
	char instance[STORE_INSTANCE_MAX + 1];
	char account[STORE_ACCOUNT_LEN + 1];
	uint8_t key_id[16];
	char endpoint[STORE_URL_MAX + 1];
};

struct op {
	const struct op_env *env;
	struct arena *arena;
	struct op_caller caller;
	bool via_route;			/* came through the gateway */
	bool dry_run;			/* check everything, compute nothing */
	bool describe;			/* descriptions of located keys are wanted */
	const uint8_t *signature;	/* the request's, 32 bytes, verified */
	struct span assigned_key_id;	/* of CreateKey on an instance, by the shared KMS; len 0: none yet */
	struct op_key key, key2;
	union {
		struct op_create_key create_key;
		struct op_list_keys list_keys;
		struct op_encrypt encrypt;
		struct op_decrypt decrypt;
		struct op_reencrypt reencrypt;
		struct op_data_key data_key;
		struct op_random random;
	};

	/* outcome */
	void (*done)(struct op *op);
	enum api_error error;
	char message[384];
	bool redirected;
	struct op_redirect target;

	/* the step under way; op_step.c */
	void (*then)(struct op *op);
	struct op_key *locating;
	uint64_t generation;
	struct hsm_cmd cmd;
	uint32_t card_len;		/* bytes in cmd.out */
	struct store_read read;
	struct store_page page;
	struct store_write write;
	struct store_key new_key;
	struct store_dir new_dir;
};

/* Each starts one operation; op.done runs when it has ended, perhaps before the call returns. */
void op_create_key(struct op *op);
void op_describe_key(struct op *op);
void op_list_keys(struct op *op);
void op_encrypt(struct op *op);
void op_decrypt(struct op *op);
void op_reencrypt(struct op *op);
void op_data_key(struct op *op);
void op_random(struct op *op);

/* ---- steps, for op_*.c ---- */

/* Of the calendar, for what is recorded. */
int64_t op_now_ms(void);

void op_end(struct op *op);
/* Notes the refusal; the caller ends the operation or returns to one that does.  Always -1. */
int op_refuse(struct op *op, enum api_error e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* op_refuse() and op_end(). */
void op_fail(struct op *op, enum api_error e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void op_fail_store(struct op *op, int err);
/* Arena memory, or NULL after op_fail(). */
void *op_alloc(struct op *op, size_t len);

/*
 * Finds the key and goes on with then; else the operation ends, refused or redirected.
 * A key that the caller may not see does not exist.
 */
void op_locate(struct op *op, struct op_key *key, void (*then)(struct op *op));
/* Runs a card command into out; a failure ends the operation. */
void op_card(struct op *op, uint8_t opcode, const void *in, size_t in_len, void *out, size_t out_cap,
	     void (*then)(struct op *op));
/* Redirects to the instance if the caller's account owns it; else CustomKeyStoreNotFoundException. */
void op_redirect_instance(struct op *op, struct span instance, void (*then)(struct op *op));
/* Header and context of key into out (BLOB_AAD_MAX bytes); length, or -1 after op_fail(). */
int op_aad(struct op *op, const struct op_key *key, const struct op_context *ctx, void *out);
/* Ends the operation if it was a dry run. */
bool op_dry_run_ends(struct op *op);

#define OP_ARN_MAX 160
/* The key's ARN; out holds OP_ARN_MAX. */
void op_arn(const struct op_env *env, const char *account, const uint8_t id[16], char *out);

#endif
