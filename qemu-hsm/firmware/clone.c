// SPDX-License-Identifier: Apache-2.0
/* A domain key's way from card to card; the protocol is in hsm_cmd.h. */
#include <endian.h>
#include <errno.h>

#include <openssl/crypto.h>

#include "fw.h"

#define INFO "hsm clone v1"

static struct fw_offer *offer_find(struct hsm_fw *fw, const uint8_t *uuid)
{
	for (uint32_t i = 0; i < HSM_MAX_PARTITIONS; i++)
		if (fw->offers[i].key && !memcmp(fw->offers[i].uuid, uuid, HSM_UUID_LEN))
			return &fw->offers[i];
	return NULL;
}

static struct fw_offer *offer_free_slot(struct hsm_fw *fw)
{
	for (uint32_t i = 0; i < HSM_MAX_PARTITIONS; i++)
		if (!fw->offers[i].key)
			return &fw->offers[i];
	return NULL;
}

static void offer_clear(struct fw_offer *o)
{
	EVP_PKEY_free(o->key);
	OPENSSL_cleanse(o, sizeof(*o));
}

void fw_offer_close(struct hsm_fw *fw, const uint8_t uuid[HSM_UUID_LEN])
{
	struct fw_offer *o = offer_find(fw, uuid);

	if (o)
		offer_clear(o);
}

/* The key that seals the domain key between the card that offered and the one that exports. */
static int derive_kek(const struct fw_algs *algs, EVP_PKEY *own, const uint8_t *peer,
		      const uint8_t *uuid, const uint8_t *offer, const uint8_t *export,
		      uint8_t kek[FW_KEY_LEN])
{
	uint8_t info[sizeof(INFO) - 1 + HSM_UUID_LEN + 2 * HSM_POINT_LEN], *p = info;
	uint8_t z[32];
	int err = fw_ecdh(own, peer, z);

	if (err)
		return err;
	p = memcpy(p, INFO, sizeof(INFO) - 1) + sizeof(INFO) - 1;
	p = memcpy(p, uuid, HSM_UUID_LEN) + HSM_UUID_LEN;
	p = memcpy(p, offer, HSM_POINT_LEN) + HSM_POINT_LEN;
	memcpy(p, export, HSM_POINT_LEN);
	err = fw_hkdf(algs, z, sizeof(z), info, sizeof(info), kek);
	OPENSSL_cleanse(z, sizeof(z));
	return err;
}

struct clone_aad {
	uint8_t uuid[HSM_UUID_LEN];
	__le64 created;
};

uint16_t fw_clone_offer(struct fw_cmd *cmd)
{
	struct hsm_fw *fw = cmd->fw;
	struct hsm_clone_offer_out out = { 0 };
	uint8_t uuid[HSM_UUID_LEN];
	struct fw_offer *o;
	EVP_PKEY *key;
	uint16_t st = fw_partition_take(cmd, uuid);

	if (st)
		return st;
	if (cmd->cap < sizeof(out))
		return HSM_ST_INVALID_LENGTH;
	if (fw_ecdh_generate(&key, out.point))
		return HSM_ST_INTERNAL;

	pthread_mutex_lock(&fw->admin);
	o = offer_find(fw, uuid);
	if (!o)
		o = offer_free_slot(fw);
	if (fw_partition_find(fw, uuid))
		st = HSM_ST_PARTITION_EXISTS;
	else if (!o)
		st = HSM_ST_NO_SPACE;
	if (st) {
		EVP_PKEY_free(key);
		goto out;
	}
	offer_clear(o);
	memcpy(o->uuid, uuid, sizeof(o->uuid));
	memcpy(o->point, out.point, sizeof(o->point));
	o->key = key;
	memcpy(cmd->out, &out, sizeof(out));
	cmd->out_len = sizeof(out);
out:
	pthread_mutex_unlock(&fw->admin);
	return st;
}

uint16_t fw_clone_export(struct fw_cmd *cmd)
{
	struct hsm_fw *fw = cmd->fw;
	struct hsm_clone_export_out out = { 0 };
	struct fw_partition_record rec;
	struct hsm_clone_export_in in;
	const struct fw_partition *p;
	uint8_t kek[FW_KEY_LEN];
	struct clone_aad aad;
	EVP_PKEY *key = NULL;
	uint16_t st = HSM_ST_INTERNAL;
	int err;

	if (!fw_copy(&cmd->in, &in, sizeof(in)) || cmd->in.left)
		return HSM_ST_INVALID_LENGTH;
	if (fw_is_zero(in.uuid, sizeof(in.uuid)) ||
	    !fw_is_zero(in.offer.rsvd, sizeof(in.offer.rsvd)))
		return HSM_ST_INVALID_FIELD;
	if (cmd->cap < sizeof(out))
		return HSM_ST_INVALID_LENGTH;

	pthread_rwlock_rdlock(&fw->rwlock);
	p = fw_partition_find(fw, in.uuid);
	if (p)
		rec = p->rec;
	pthread_rwlock_unlock(&fw->rwlock);
	if (!p)
		return HSM_ST_NO_PARTITION;

	out.created = htole64(rec.created);
	memcpy(aad.uuid, rec.uuid, sizeof(aad.uuid));
	aad.created = out.created;
	if (fw_ecdh_generate(&key, out.point))
		goto wipe;
	err = derive_kek(&fw->algs, key, in.offer.point, rec.uuid, in.offer.point, out.point, kek);
	if (err == -EINVAL)
		st = HSM_ST_INVALID_FIELD;
	if (err || fw_random(out.iv, sizeof(out.iv)) ||
	    fw_gcm_seal(cmd->ctx, kek, out.iv, &aad, sizeof(aad), rec.key, sizeof(rec.key),
			out.sealed, out.tag))
		goto wipe;
	memcpy(cmd->out, &out, sizeof(out));
	cmd->out_len = sizeof(out);
	st = HSM_ST_OK;
wipe:
	EVP_PKEY_free(key);
	OPENSSL_cleanse(kek, sizeof(kek));
	OPENSSL_cleanse(&rec, sizeof(rec));
	return st;
}

/* With admin held, and the offer open. */
static uint16_t import(struct fw_cmd *cmd, const struct fw_offer *o,
		       const struct hsm_clone_import_in *in)
{
	struct hsm_fw *fw = cmd->fw;
	const struct hsm_clone_export_out *blob = &in->blob;
	struct fw_partition_record rec = { .created = le64toh(blob->created) };
	struct clone_aad aad = { .created = blob->created };
	uint8_t kek[FW_KEY_LEN];
	uint16_t st;
	int err;

	memcpy(rec.uuid, in->uuid, sizeof(rec.uuid));
	memcpy(aad.uuid, in->uuid, sizeof(aad.uuid));
	err = derive_kek(&fw->algs, o->key, blob->point, in->uuid, o->point, blob->point, kek);
	if (!err)
		err = fw_gcm_open(cmd->ctx, kek, blob->iv, &aad, sizeof(aad), blob->sealed,
				  sizeof(blob->sealed), rec.key, blob->tag);
	if (err == -EINVAL)
		st = HSM_ST_INVALID_FIELD;
	else if (err == -EBADMSG)
		st = HSM_ST_BAD_CIPHERTEXT;
	else if (err)
		st = HSM_ST_INTERNAL;
	else
		st = fw_partition_add(fw, cmd->ctx, &rec);
	OPENSSL_cleanse(kek, sizeof(kek));
	OPENSSL_cleanse(&rec, sizeof(rec));
	return st;
}

uint16_t fw_clone_import(struct fw_cmd *cmd)
{
	struct hsm_fw *fw = cmd->fw;
	struct hsm_clone_import_in in;
	struct fw_offer *o;
	uint16_t st = HSM_ST_NO_OFFER;

	if (!fw_copy(&cmd->in, &in, sizeof(in)) || cmd->in.left)
		return HSM_ST_INVALID_LENGTH;
	if (fw_is_zero(in.uuid, sizeof(in.uuid)) ||
	    !fw_is_zero(in.blob.rsvd, sizeof(in.blob.rsvd)) ||
	    !fw_is_zero(in.blob.rsvd2, sizeof(in.blob.rsvd2)))
		return HSM_ST_INVALID_FIELD;

	pthread_mutex_lock(&fw->admin);
	o = offer_find(fw, in.uuid);
	if (o) {
		st = import(cmd, o, &in);
		offer_clear(o);
	}
	pthread_mutex_unlock(&fw->admin);
	return st;
}
