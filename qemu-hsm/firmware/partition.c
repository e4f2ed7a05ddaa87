// SPDX-License-Identifier: Apache-2.0
#include <endian.h>
#include <errno.h>
#include <time.h>

#include <openssl/crypto.h>

#include "fw.h"

/* Its value tells two cards' domain keys apart and nothing about either. */
#define LABEL_CHECK "hsm check v1"

struct fw_partition *fw_partition_find(struct hsm_fw *fw, const uint8_t uuid[HSM_UUID_LEN])
{
	for (uint32_t i = 0; i < fw->count; i++)
		if (!memcmp(fw->partitions[i].rec.uuid, uuid, HSM_UUID_LEN))
			return &fw->partitions[i];
	return NULL;
}

uint16_t fw_partition_take(struct fw_cmd *cmd, uint8_t uuid[HSM_UUID_LEN])
{
	if (!fw_copy(&cmd->in, uuid, HSM_UUID_LEN) || cmd->in.left)
		return HSM_ST_INVALID_LENGTH;
	return fw_is_zero(uuid, HSM_UUID_LEN) ? HSM_ST_INVALID_FIELD : HSM_ST_OK;
}

/* Stores the card's state, with one more record or without one partition. */
static int store(struct hsm_fw *fw, const struct fw_partition_record *more,
		 const struct fw_partition *without)
{
	struct fw_image *image = fw_secret_alloc(sizeof(*image));
	int err;

	if (!image)
		return -ENOMEM;
	memcpy(image->serial, fw->serial, sizeof(image->serial));
	image->keys_generated = atomic_load_explicit(&fw->keys_generated, memory_order_relaxed);
	for (uint32_t i = 0; i < fw->count; i++)
		if (&fw->partitions[i] != without)
			image->partitions[image->count++] = fw->partitions[i].rec;
	if (more)
		image->partitions[image->count++] = *more;
	err = fw_nvram_store(&fw->nvram, image);
	/* After a failure the file may be the new one all the same: write again at power-off. */
	fw->dirty = err;
	if (!err)
		fw->keys_stored = image->keys_generated;
	fw_secret_free(image, sizeof(*image));
	return err;
}

int fw_partition_sync(struct hsm_fw *fw)
{
	return store(fw, NULL, NULL);
}

int fw_partition_check(struct fw_ctx *ctx, const struct fw_partition_record *rec,
		       uint8_t check[FW_CHECK_LEN])
{
	uint8_t block[FW_KEY_LEN];

	if (fw_kbkdf(ctx, rec->key, LABEL_CHECK, rec->uuid, block))
		return -EIO;
	memcpy(check, block, FW_CHECK_LEN);
	OPENSSL_cleanse(block, sizeof(block));
	return 0;
}

uint16_t fw_partition_add(struct hsm_fw *fw, struct fw_ctx *ctx,
			  const struct fw_partition_record *rec)
{
	struct fw_partition p = { .rec = *rec };
	uint16_t st = HSM_ST_OK;

	if (fw_partition_find(fw, rec->uuid))
		st = HSM_ST_PARTITION_EXISTS;
	else if (fw->count == HSM_MAX_PARTITIONS)
		st = HSM_ST_NO_SPACE;
	else if (fw_partition_check(ctx, rec, p.check))
		st = HSM_ST_INTERNAL;
	else if (store(fw, rec, NULL))
		st = HSM_ST_NVRAM;
	if (!st) {
		pthread_rwlock_wrlock(&fw->rwlock);
		fw->partitions[fw->count++] = p;
		pthread_rwlock_unlock(&fw->rwlock);
	}
	OPENSSL_cleanse(&p, sizeof(p));
	return st;
}

uint16_t fw_partition_create(struct fw_cmd *cmd)
{
	struct hsm_fw *fw = cmd->fw;
	struct fw_partition_record rec = { .created = (uint64_t)time(NULL) };
	uint16_t st = fw_partition_take(cmd, rec.uuid);

	if (st)
		return st;
	if (fw_random_secret(rec.key, sizeof(rec.key)))
		return HSM_ST_INTERNAL;
	pthread_mutex_lock(&fw->admin);
	st = fw_partition_add(fw, cmd->ctx, &rec);
	if (!st)
		fw_offer_close(fw, rec.uuid);
	pthread_mutex_unlock(&fw->admin);
	OPENSSL_cleanse(&rec, sizeof(rec));
	return st;
}

uint16_t fw_partition_delete(struct fw_cmd *cmd)
{
	struct hsm_fw *fw = cmd->fw;
	uint8_t uuid[HSM_UUID_LEN];
	struct fw_partition *p;
	uint16_t st = fw_partition_take(cmd, uuid);

	if (st)
		return st;
	pthread_mutex_lock(&fw->admin);
	pthread_rwlock_wrlock(&fw->rwlock);
	p = fw_partition_find(fw, uuid);
	if (!p)
		st = HSM_ST_NO_PARTITION;
	else if (p->bound)
		st = HSM_ST_PARTITION_BUSY;
	else
		p->deleting = true;
	pthread_rwlock_unlock(&fw->rwlock);
	if (st)
		goto out;

	if (store(fw, NULL, p))
		st = HSM_ST_NVRAM;

	pthread_rwlock_wrlock(&fw->rwlock);
	if (st) {
		p->deleting = false;
	} else {
		struct fw_partition *last = &fw->partitions[--fw->count];

		*p = *last;
		OPENSSL_cleanse(last, sizeof(*last));
		fw_cache_purge(&fw->cache, uuid);
	}
	pthread_rwlock_unlock(&fw->rwlock);
out:
	pthread_mutex_unlock(&fw->admin);
	return st;
}

uint16_t fw_partition_list(struct fw_cmd *cmd)
{
	struct hsm_fw *fw = cmd->fw;
	struct hsm_partition_list_out head = { 0 };
	uint16_t st = HSM_ST_OK;
	uint8_t *out;

	if (cmd->in.left)
		return HSM_ST_INVALID_LENGTH;
	pthread_rwlock_rdlock(&fw->rwlock);
	if (cmd->cap < sizeof(head) + fw->count * sizeof(struct hsm_partition_entry)) {
		st = HSM_ST_INVALID_LENGTH;
		goto out;
	}
	head.count = htole32(fw->count);
	out = memcpy(cmd->out, &head, sizeof(head)) + sizeof(head);
	for (uint32_t i = 0; i < fw->count; i++) {
		const struct fw_partition *p = &fw->partitions[i];
		struct hsm_partition_entry e = {
			.created = htole64(p->rec.created),
			.queue_pairs = htole32(p->bound),
		};

		memcpy(e.uuid, p->rec.uuid, sizeof(e.uuid));
		memcpy(e.check, p->check, sizeof(e.check));
		out = memcpy(out, &e, sizeof(e)) + sizeof(e);
	}
	cmd->out_len = out - cmd->out;
out:
	pthread_rwlock_unlock(&fw->rwlock);
	return st;
}

uint16_t hsm_fw_bind(struct hsm_fw *fw, const uint8_t partition[16])
{
	struct fw_partition *p;
	uint16_t st = HSM_ST_NO_PARTITION;

	pthread_rwlock_wrlock(&fw->rwlock);
	p = fw_partition_find(fw, partition);
	if (p && !p->deleting) {
		p->bound++;
		st = HSM_ST_OK;
	}
	pthread_rwlock_unlock(&fw->rwlock);
	return st;
}

void hsm_fw_unbind(struct hsm_fw *fw, const uint8_t partition[16])
{
	struct fw_partition *p;

	pthread_rwlock_wrlock(&fw->rwlock);
	p = fw_partition_find(fw, partition);
	if (p && p->bound)
		p->bound--;
	pthread_rwlock_unlock(&fw->rwlock);
}
