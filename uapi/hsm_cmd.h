/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * HSM card commands: opcodes, classes, status codes and payload layouts.
 *
 * This is the one header that card firmware, device model, driver and daemons
 * share.  The normative text is Documentation/hardware.rst; both change in the
 * same commit.  All multi-byte fields are little-endian.  Reserved fields are
 * written as zero and refused with HSM_ST_INVALID_FIELD when they are not.
 *
 * A command is (partition, opcode, input bytes) -> (status, output bytes).
 * The partition is the one the queue pair was bound to when it was created;
 * the admin queue has none.  Every variable part follows its fixed header
 * immediately, in the order in which the lengths are declared, unpadded.
 */
#ifndef _UAPI_HSM_CMD_H
#define _UAPI_HSM_CMD_H

#include <linux/types.h>

/* Largest input and largest output buffer of one command, in bytes. */
#define HSM_MAX_PAYLOAD		32768u

#define HSM_UUID_LEN		16	/* partition identity, RFC 4122 byte order */
#define HSM_KEY_ID_LEN		16	/* random name of a key inside its token */

/* Limits that the card enforces on variable parts, in bytes. */
#define HSM_MAX_TOKEN		512u
#define HSM_MAX_AAD		12288u
#define HSM_MAX_DATA		8192u	/* plaintext; ciphertext is 44 bytes more */
#define HSM_MAX_RANDOM		4096u
#define HSM_MAX_DATA_KEY	1024u
#define HSM_MAX_PARTITIONS	64u

/*
 * Opcode classes.  The driver's filters, the kernel's request router and the
 * gateway's policy all speak of these four.
 */
enum hsm_class {
	HSM_CLASS_ADMIN		= 0,	/* card and partition administration; admin queue only */
	HSM_CLASS_MANAGE	= 1,	/* life cycle of keys */
	HSM_CLASS_CRYPTO	= 2,	/* key computation */
	HSM_CLASS_STORAGE	= 3,	/* moving key material: import, backup, restore */
	HSM_CLASS_COUNT
};

/*
 * The opcode table: X(name, value, class, idempotent).
 *
 * idempotent = 1: running the command twice leaves the card as running it once
 * would, so a driver may repeat it on another card of the partition after the
 * first card was lost with the outcome unknown.
 */
#define HSM_OPCODES(X)							\
	X(IDENTIFY,		0x01, ADMIN,	1)			\
	X(CREATE_QP,		0x02, ADMIN,	0)			\
	X(DELETE_QP,		0x03, ADMIN,	0)			\
	X(PARTITION_CREATE,	0x10, ADMIN,	0)			\
	X(PARTITION_DELETE,	0x11, ADMIN,	0)			\
	X(PARTITION_LIST,	0x12, ADMIN,	1)			\
	X(CLONE_OFFER,		0x13, ADMIN,	0)			\
	X(CLONE_EXPORT,		0x14, ADMIN,	0)			\
	X(CLONE_IMPORT,		0x15, ADMIN,	0)			\
	X(KEY_GENERATE,		0x40, MANAGE,	0)			\
	X(NOP,			0x80, CRYPTO,	1)			\
	X(RANDOM,		0x81, CRYPTO,	1)			\
	X(ENCRYPT,		0x82, CRYPTO,	1)			\
	X(DECRYPT,		0x83, CRYPTO,	1)			\
	X(DATA_KEY,		0x84, CRYPTO,	1)			\
	X(DATA_KEY_SEALED,	0x85, CRYPTO,	1)			\
	X(REENCRYPT,		0x86, CRYPTO,	1)

enum hsm_opcode {
#define HSM_X(name, value, class, idem) HSM_OP_##name = value,
	HSM_OPCODES(HSM_X)
#undef HSM_X
};

/*
 * Card status codes: X(name, value, errno, text).  This table is the only
 * place where a card status becomes an errno.
 */
#define HSM_STATUSES(X)								\
	X(OK,			0,  0,		   "success")			\
	X(INVALID_OPCODE,	1,  EOPNOTSUPP,	   "unknown opcode, or not on this queue") \
	X(INVALID_FIELD,	2,  EINVAL,	   "a field is out of range or reserved bits are set") \
	X(INVALID_LENGTH,	3,  EMSGSIZE,	   "input length disagrees with its header, or output does not fit") \
	X(NO_PARTITION,		4,  ENXIO,	   "no such partition, or it holds no domain key yet") \
	X(PARTITION_EXISTS,	5,  EEXIST,	   "the partition already exists")	\
	X(PARTITION_BUSY,	6,  EBUSY,	   "queue pairs are still bound to the partition") \
	X(NO_SPACE,		7,  ENOSPC,	   "no room on the card")		\
	X(BAD_TOKEN,		8,  EKEYREJECTED,  "the key token is malformed, altered, or of another partition") \
	X(KEY_USAGE,		9,  EACCES,	   "the key's usage does not permit this command") \
	X(BAD_CIPHERTEXT,	10, EBADMSG,	   "ciphertext or its authenticated data was altered") \
	X(NO_OFFER,		11, ENOKEY,	   "no clone offer is open for the partition") \
	X(NVRAM,		12, EROFS,	   "the card could not write its NVRAM") \
	X(INTERNAL,		13, EREMOTEIO,	   "internal card error")		\
	X(DMA,			14, EFAULT,	   "the card could not reach a host buffer") \
	X(NO_RESOURCES,		15, ENOBUFS,	   "the queue pair's qid is in use")	\
	X(SHUTDOWN,		16, ESHUTDOWN,	   "the card is shutting down")

enum hsm_status {
#define HSM_X(name, value, err, text) HSM_ST_##name = value,
	HSM_STATUSES(HSM_X)
#undef HSM_X
};

/* ---- IDENTIFY (0x01): no input ---- */

struct hsm_identify_out {
	__u8	serial[32];	/* ASCII, NUL padded */
	__u8	model[32];
	__u8	firmware[16];
	__le32	max_partitions;
	__le32	partitions;	/* now in use */
	__le64	keys_generated;	/* since the NVRAM was made */
	__le64	time;		/* card clock, seconds since 1970 */
	__u8	rsvd[24];
};						/* 128 bytes */

/* ---- partitions ---- */

/* PARTITION_CREATE (0x10): makes the partition and its domain key.  PARTITION_DELETE (0x11).
 * No output.  CLONE_OFFER (0x13) takes the same input.
 */
struct hsm_partition_in {
	__u8	uuid[HSM_UUID_LEN];
};						/* 16 bytes */

/* PARTITION_LIST (0x12): no input. */
struct hsm_partition_list_out {
	__le32	count;
	__le32	rsvd;
	/* followed by count * struct hsm_partition_entry */
};						/* 8 bytes */

struct hsm_partition_entry {
	__u8	uuid[HSM_UUID_LEN];
	__le64	created;	/* seconds since 1970, of the domain key */
	__u8	check[8];	/* key check value: equal on two cards <=> same domain key */
	__le32	queue_pairs;	/* bound now, on this card */
	__le32	rsvd;
};						/* 40 bytes */

/*
 * Domain key clone, card to card.  The destination makes an ephemeral P-256 key
 * (CLONE_OFFER), the source answers with one of its own and the domain key
 * sealed for the two (CLONE_EXPORT), the destination unseals it (CLONE_IMPORT)
 * and the partition exists there.  One offer per partition is open at a time; a
 * new offer replaces it, an import (good or bad) or a restart closes it.
 *
 *   Z   = ECDH(P-256)                          SP 800-56A rev 3, 5.7.1.2
 *   KEK = HKDF-SHA256(Z, salt = none,          RFC 5869
 *         info = "hsm clone v1" || uuid || offer point || export point)
 *   sealed = AES-256-GCM(KEK, iv, aad = uuid || created, domain key)
 */
#define HSM_POINT_LEN	65	/* uncompressed P-256 point, SEC 1 section 2.3.3 */

struct hsm_clone_offer_out {
	__u8	point[HSM_POINT_LEN];
	__u8	rsvd[7];
};						/* 72 bytes */

struct hsm_clone_export_in {
	__u8	uuid[HSM_UUID_LEN];
	struct hsm_clone_offer_out offer;
};						/* 88 bytes */

struct hsm_clone_export_out {
	__u8	point[HSM_POINT_LEN];
	__u8	rsvd[7];
	__le64	created;
	__u8	iv[12];
	__u8	rsvd2[4];
	__u8	sealed[32];
	__u8	tag[16];
};						/* 144 bytes */

struct hsm_clone_import_in {
	__u8	uuid[HSM_UUID_LEN];
	struct hsm_clone_export_out blob;
};						/* 160 bytes; no output */

/* ---- keys ---- */

enum hsm_key_type {
	HSM_KEY_AES256	= 1,
};

/* Usage bits.  The card accepts only the combinations of hardware.rst "Key usage". */
#define HSM_USAGE_ENCRYPT	(1u << 0)
#define HSM_USAGE_DECRYPT	(1u << 1)
#define HSM_USAGE_WRAP		(1u << 2)	/* of tokens, not of data; reserved */
#define HSM_USAGE_UNWRAP	(1u << 3)	/* never together with DECRYPT; reserved */
#define HSM_USAGE_SIGN		(1u << 4)	/* reserved */
#define HSM_USAGE_VERIFY	(1u << 5)	/* reserved */
#define HSM_USAGE_DERIVE	(1u << 6)	/* reserved */

#define HSM_KEY_EXPORTABLE	(1u << 0)	/* token flag; reserved, refused today */

/*
 * Key token: what the host stores.  The material is sealed with
 *   K = KBKDF(HMAC-SHA256, counter mode, SP 800-108r1 section 4.1;
 *             domain key, label "hsm token v1", context = key_id)
 *   AES-256-GCM(K, iv, aad = the 80 bytes of this header, material)
 */
#define HSM_TOKEN_MAGIC		0x31544b48u	/* "HKT1" */

struct hsm_token {
	__le32	magic;
	__u8	version;	/* 1 */
	__u8	type;		/* enum hsm_key_type */
	__le16	flags;		/* HSM_KEY_* */
	__le32	usage;		/* HSM_USAGE_* */
	__le32	material_len;	/* 32 for AES-256 */
	__u8	partition[HSM_UUID_LEN];
	__u8	key_id[HSM_KEY_ID_LEN];
	__le64	created;	/* seconds since 1970, card clock */
	__le64	rsvd;
	__u8	iv[12];
	__u8	rsvd2[4];
	/* followed by material_len bytes of ciphertext and a 16-byte tag */
};						/* 80 bytes */

#define HSM_TOKEN_AES256_LEN	(80u + 32u + 16u)

/* KEY_GENERATE (0x40).  Output: a key token. */
struct hsm_key_generate_in {
	__u8	type;
	__u8	rsvd;
	__le16	flags;
	__le32	usage;
	__le64	rsvd2;
};						/* 16 bytes */

/* ---- key computation ---- */

/* RANDOM (0x81).  Output: len bytes, 1..HSM_MAX_RANDOM. */
struct hsm_random_in {
	__le32	len;
	__le32	rsvd;
};						/* 8 bytes */

/*
 * Ciphertext as the card makes it: nonce[16] || iv[12] || ct || tag[16], with
 *   K = KBKDF(HMAC-SHA256, counter mode; key, label "hsm data v1", context = nonce)
 *   AES-256-GCM(K, iv, aad, plaintext)
 * A key per message, so that the 2^32 limit of SP 800-38D section 8.3 on random
 * IVs under one key is not met in practice.
 */
#define HSM_CIPHERTEXT_OVERHEAD	44u

/* ENCRYPT (0x82): output ciphertext.  DECRYPT (0x83): data is ciphertext, output plaintext. */
struct hsm_crypt_in {
	__le16	token_len;
	__le16	rsvd;
	__le32	aad_len;
	__le32	data_len;
	__le32	rsvd2;
	/* token, aad, data */
};						/* 16 bytes */

/* DATA_KEY (0x84), DATA_KEY_SEALED (0x85): key_len random bytes, 1..HSM_MAX_DATA_KEY. */
struct hsm_data_key_in {
	__le16	token_len;
	__le16	rsvd;
	__le32	aad_len;
	__le32	key_len;
	__le32	rsvd2;
	/* token, aad */
};						/* 16 bytes */

struct hsm_data_key_out {
	__le32	plain_len;	/* key_len for DATA_KEY, 0 for DATA_KEY_SEALED */
	__le32	cipher_len;
	/* plaintext, ciphertext */
};						/* 8 bytes */

/* REENCRYPT (0x86): decrypts under src, encrypts under dst, inside the card. Output: ciphertext. */
struct hsm_reencrypt_in {
	__le16	src_token_len;
	__le16	dst_token_len;
	__le32	src_aad_len;
	__le32	dst_aad_len;
	__le32	data_len;
	/* source token, destination token, source aad, destination aad, ciphertext */
};						/* 16 bytes */

#ifndef __cplusplus
_Static_assert(sizeof(struct hsm_identify_out) == 128, "struct hsm_identify_out");
_Static_assert(sizeof(struct hsm_partition_in) == 16, "struct hsm_partition_in");
_Static_assert(sizeof(struct hsm_partition_list_out) == 8, "struct hsm_partition_list_out");
_Static_assert(sizeof(struct hsm_partition_entry) == 40, "struct hsm_partition_entry");
_Static_assert(sizeof(struct hsm_clone_offer_out) == 72, "struct hsm_clone_offer_out");
_Static_assert(sizeof(struct hsm_clone_export_in) == 88, "struct hsm_clone_export_in");
_Static_assert(sizeof(struct hsm_clone_export_out) == 144, "struct hsm_clone_export_out");
_Static_assert(sizeof(struct hsm_clone_import_in) == 160, "struct hsm_clone_import_in");
_Static_assert(sizeof(struct hsm_token) == 80, "struct hsm_token");
_Static_assert(sizeof(struct hsm_key_generate_in) == 16, "struct hsm_key_generate_in");
_Static_assert(sizeof(struct hsm_random_in) == 8, "struct hsm_random_in");
_Static_assert(sizeof(struct hsm_crypt_in) == 16, "struct hsm_crypt_in");
_Static_assert(sizeof(struct hsm_data_key_in) == 16, "struct hsm_data_key_in");
_Static_assert(sizeof(struct hsm_data_key_out) == 8, "struct hsm_data_key_out");
_Static_assert(sizeof(struct hsm_reencrypt_in) == 16, "struct hsm_reencrypt_in");
#endif

#endif /* _UAPI_HSM_CMD_H */
