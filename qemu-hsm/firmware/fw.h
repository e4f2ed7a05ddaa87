/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the firmware share; nobody else includes this, but its tests. */
#ifndef FW_H
#define FW_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <openssl/kdf.h>

#include "cursor.h"
#include "hsm_cmd.h"
#include "hsm_fw.h"

#pragma GCC visibility push(hidden)

#define FW_KEY_LEN	32u
#define FW_IV_LEN	12u
#define FW_TAG_LEN	16u
#define FW_NONCE_LEN	16u
#define FW_CHECK_LEN	8u

#define FW_MODEL	"hsm-1"
#define FW_VERSION	"1.0.0"

/* ---- crypto.c: algorithms, and contexts that are reused from command to command ---- */

struct fw_algs {
	EVP_CIPHER *gcm;
	EVP_MAC *hmac;
	EVP_KDF *hkdf;
};

/* All return 0 or -EIO; release with fw_algs_put(), also after an error. */
int fw_algs_get(struct fw_algs *algs);
void fw_algs_put(struct fw_algs *algs);

struct fw_ctx {
	EVP_CIPHER_CTX *enc;
	EVP_CIPHER_CTX *dec;
	EVP_MAC_CTX *mac;
	uint8_t scratch[HSM_MAX_DATA];	/* plaintext not yet released; wiped by its user */
};

/* NULL: out of memory.  fw_ctx_free() wipes; NULL is ignored. */
struct fw_ctx *fw_ctx_new(const struct fw_algs *algs);
void fw_ctx_free(struct fw_ctx *ctx);

#define FW_POOL_SLOTS	32u

struct fw_pool_slot {
	_Alignas(64) atomic_bool busy;
	struct fw_ctx *ctx;	/* owned by who set busy */
};

struct fw_pool {
	const struct fw_algs *algs;
	struct fw_pool_slot slots[FW_POOL_SLOTS];
};

/* A context of the pool for this thread alone, or NULL: out of memory.  Never waits. */
struct fw_ctx *fw_pool_get(struct fw_pool *pool, unsigned int *slot);
void fw_pool_put(struct fw_pool *pool, struct fw_ctx *ctx, unsigned int slot);
/* Frees every context, and with it the key schedules left there; waits for those in use. */
void fw_pool_purge(struct fw_pool *pool);

/* 0 or -EIO. */
int fw_random(void *out, size_t len);		/* public: nonces, IVs, names */
int fw_random_secret(void *out, size_t len);	/* keys */

/* HMAC-SHA256 (FIPS 198-1).  0 or -EIO. */
int fw_hmac(struct fw_ctx *ctx, const uint8_t *key, size_t key_len, const void *msg, size_t len,
	    uint8_t out[32]);

/* One block of SP 800-108r1 counter mode, section 4.1: 256 bits out.  0 or -EIO. */
int fw_kbkdf(struct fw_ctx *ctx, const uint8_t key[FW_KEY_LEN], const char *label,
	     const uint8_t context[16], uint8_t out[FW_KEY_LEN]);

/* AES-256-GCM (SP 800-38D).  Seal: 0 or -EIO. */
int fw_gcm_seal(struct fw_ctx *ctx, const uint8_t key[FW_KEY_LEN], const uint8_t iv[FW_IV_LEN],
		const void *aad, size_t aad_len, const void *in, size_t len, void *out,
		uint8_t tag[FW_TAG_LEN]);
/* Open: 0, -EBADMSG (out is wiped) or -EIO. */
int fw_gcm_open(struct fw_ctx *ctx, const uint8_t key[FW_KEY_LEN], const uint8_t iv[FW_IV_LEN],
		const void *aad, size_t aad_len, const void *in, size_t len, void *out,
		const uint8_t tag[FW_TAG_LEN]);

/* Page-aligned, zeroed and left out of core dumps; NULL: out of memory.  Free wipes. */
void *fw_secret_alloc(size_t size);
void fw_secret_free(void *p, size_t size);

/* ---- ecdh.c ---- */

/* A new P-256 key and its uncompressed point.  0 or -EIO. */
int fw_ecdh_generate(EVP_PKEY **key, uint8_t point[HSM_POINT_LEN]);
/* SP 800-56A rev 3, 5.7.1.2.  0, -EINVAL: peer is no point of the curve, or -EIO. */
int fw_ecdh(EVP_PKEY *key, const uint8_t peer[HSM_POINT_LEN], uint8_t z[32]);
/* A key with a known private part, for the self-test.  0 or -EIO. */
int fw_ecdh_import(const uint8_t priv[32], const uint8_t point[HSM_POINT_LEN], EVP_PKEY **key);
/* RFC 5869 without salt, 32 bytes out.  0 or -EIO. */
int fw_hkdf(const struct fw_algs *algs, const uint8_t *ikm, size_t ikm_len, const uint8_t *info,
	    size_t info_len, uint8_t out[32]);

/* ---- selftest.c ---- */

struct fw_selftest_vectors {
	struct {
		uint8_t key[32], iv[12], aad[20], plain[60], cipher[60], tag[16];
	} gcm;
	struct {
		uint8_t key[20], msg[8], mac[32];
	} hmac;
	struct {
		uint8_t key[32], context[16], out[32];
	} kbkdf;
	struct {
		uint8_t ikm[22], out[32];
	} hkdf;
	struct {
		uint8_t priv[32], point[65], peer[65], z[32];
	} ecdh;
};

extern const struct fw_selftest_vectors fw_selftest_vectors;

/* Known-answer tests of everything above.  0, -EIO or -ENOMEM. */
int fw_selftest(const struct fw_algs *algs, const struct fw_selftest_vectors *v);

/* ---- nvram.c ---- */

struct fw_partition_record {
	uint8_t uuid[HSM_UUID_LEN];
	uint64_t created;	/* seconds since 1970 */
	uint8_t key[FW_KEY_LEN];
};

/* What the NVRAM file says. */
struct fw_image {
	char serial[32];	/* NUL padded */
	uint64_t keys_generated;
	uint32_t count;
	struct fw_partition_record partitions[HSM_MAX_PARTITIONS];
};

struct fw_nvram {
	int dir;	/* folder of the file */
	int lock;	/* <name>.lock, flock()ed */
	char *name;	/* of the file in its folder */
};

/* Of a serial: 1 to 31 printable ASCII characters, or 0: it is none.  Looks at 32 bytes at most. */
size_t fw_serial_len(const char *s);

/* Locks and reads.  0, and *image is left as it was if there is no file yet;
 * -EINVAL: not a file of this format, or damaged; -EBUSY; -ENOMEM; an errno of a
 * file operation.  Unless it is 0 there is nothing to close.
 */
int fw_nvram_open(struct fw_nvram *nv, const char *path, struct fw_image *image);
/* Replaces the file.  0 or -errno; the file is the old one then, unless only the
 * last step, making the rename durable, failed.
 */
int fw_nvram_store(const struct fw_nvram *nv, const struct fw_image *image);
void fw_nvram_close(struct fw_nvram *nv);

/* ---- cache.c: unsealed tokens ---- */

#define FW_CACHE_SHARDS		8u
#define FW_CACHE_PER_SHARD	128u
#define FW_CACHE_BUCKETS	256u
#define FW_CACHE_NONE		0xffffu

struct fw_cache_entry {
	/* Compared as one string, in constant time. */
	struct {
		uint8_t partition[HSM_UUID_LEN];
		uint8_t token[HSM_TOKEN_AES256_LEN];
	} id;
	uint8_t key[FW_KEY_LEN];
	uint32_t usage;
	uint16_t bucket;
	uint16_t chain;		/* next in the bucket, or in the free list */
	uint16_t newer, older;	/* LRU list */
};

struct fw_cache_shard {
	_Alignas(64) pthread_mutex_t lock;
	uint16_t newest, oldest, free;
	uint16_t buckets[FW_CACHE_BUCKETS];
	struct fw_cache_entry entries[FW_CACHE_PER_SHARD];
};

struct fw_cache {
	struct fw_cache_shard shards[FW_CACHE_SHARDS];
};

int fw_cache_init(struct fw_cache *cache);	/* 0 or -errno */
void fw_cache_destroy(struct fw_cache *cache);
bool fw_cache_get(struct fw_cache *cache, const uint8_t partition[HSM_UUID_LEN],
		  const uint8_t token[HSM_TOKEN_AES256_LEN], uint8_t key[FW_KEY_LEN],
		  uint32_t *usage);
void fw_cache_put(struct fw_cache *cache, const uint8_t partition[HSM_UUID_LEN],
		  const uint8_t token[HSM_TOKEN_AES256_LEN], const uint8_t key[FW_KEY_LEN],
		  uint32_t usage);
void fw_cache_purge(struct fw_cache *cache, const uint8_t partition[HSM_UUID_LEN]);

/* ---- the card ---- */

struct fw_partition {
	struct fw_partition_record rec;
	uint8_t check[FW_CHECK_LEN];
	uint32_t bound;		/* queue pairs */
	bool deleting;		/* no queue pair may be bound any more */
};

struct fw_offer {
	uint8_t uuid[HSM_UUID_LEN];
	uint8_t point[HSM_POINT_LEN];
	EVP_PKEY *key;		/* NULL: slot is free */
};

/*
 * Locks, in this order: admin, rwlock, a shard of the cache.  The list of
 * partitions changes only with admin and rwlock (for writing) held, so who holds
 * either may read it.  Files are written with admin held, but not rwlock: key
 * computation never waits for a disk.
 */
struct hsm_fw {
	pthread_mutex_t admin;
	struct fw_nvram nvram;
	char serial[32];
	uint64_t keys_stored;	/* keys_generated as the file has it */
	bool dirty;		/* the file may differ in more than that */
	struct fw_offer offers[HSM_MAX_PARTITIONS];

	pthread_rwlock_t rwlock;
	struct fw_partition partitions[HSM_MAX_PARTITIONS];
	uint32_t count;

	struct fw_algs algs;
	struct fw_pool pool;
	struct fw_cache cache;
	_Alignas(64) _Atomic uint64_t keys_generated;
};

/* One command being run. */
struct fw_cmd {
	struct hsm_fw *fw;
	struct fw_ctx *ctx;
	const uint8_t *partition;	/* NULL: admin queue */
	struct fw_cursor in;
	uint8_t *out;
	size_t cap;
	size_t out_len;
};

/* ---- partition.c ---- */

/* With admin or rwlock held; NULL if there is none. */
struct fw_partition *fw_partition_find(struct hsm_fw *fw, const uint8_t uuid[HSM_UUID_LEN]);
/* The key check value.  0 or -EIO. */
int fw_partition_check(struct fw_ctx *ctx, const struct fw_partition_record *rec,
		       uint8_t check[FW_CHECK_LEN]);
/* With admin held: makes rec a partition, durably.  A card status. */
uint16_t fw_partition_add(struct hsm_fw *fw, struct fw_ctx *ctx,
			  const struct fw_partition_record *rec);
/* With admin held: writes NVRAM as it stands.  0 or -errno. */
int fw_partition_sync(struct hsm_fw *fw);
/* Reads a partition identity, which must be the whole input.  A card status. */
uint16_t fw_partition_take(struct fw_cmd *cmd, uint8_t uuid[HSM_UUID_LEN]);

uint16_t fw_partition_create(struct fw_cmd *cmd);
uint16_t fw_partition_delete(struct fw_cmd *cmd);
uint16_t fw_partition_list(struct fw_cmd *cmd);

/* ---- clone.c ---- */

/* With admin held. */
void fw_offer_close(struct hsm_fw *fw, const uint8_t uuid[HSM_UUID_LEN]);

uint16_t fw_clone_offer(struct fw_cmd *cmd);
uint16_t fw_clone_export(struct fw_cmd *cmd);
uint16_t fw_clone_import(struct fw_cmd *cmd);

/* ---- token.c ---- */

/* The key of a token, if it is one of the command's partition and its usage
 * includes all of need.  A card status; the caller wipes key.
 */
uint16_t fw_token_open(struct fw_cmd *cmd, const uint8_t *token, size_t len, uint32_t need,
		       uint8_t key[FW_KEY_LEN]);
uint16_t fw_key_generate(struct fw_cmd *cmd);

/* ---- data.c ---- */

uint16_t fw_nop(struct fw_cmd *cmd);
uint16_t fw_random_cmd(struct fw_cmd *cmd);
uint16_t fw_encrypt(struct fw_cmd *cmd);
uint16_t fw_decrypt(struct fw_cmd *cmd);
uint16_t fw_data_key(struct fw_cmd *cmd);
uint16_t fw_data_key_sealed(struct fw_cmd *cmd);
uint16_t fw_reencrypt(struct fw_cmd *cmd);

#pragma GCC visibility pop

#endif /* FW_H */
