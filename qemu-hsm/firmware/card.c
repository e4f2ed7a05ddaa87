// SPDX-License-Identifier: Apache-2.0
/* Power on, power off, and from an opcode to what runs it. */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "fw.h"

static uint16_t identify(struct fw_cmd *cmd)
{
	struct hsm_fw *fw = cmd->fw;
	struct hsm_identify_out out = {
		.model = FW_MODEL,
		.firmware = FW_VERSION,
		.max_partitions = htole32(HSM_MAX_PARTITIONS),
		.time = htole64((uint64_t)time(NULL)),
	};

	if (cmd->in.left || cmd->cap < sizeof(out))
		return HSM_ST_INVALID_LENGTH;
	memcpy(out.serial, fw->serial, sizeof(out.serial));
	pthread_rwlock_rdlock(&fw->rwlock);
	out.partitions = htole32(fw->count);
	pthread_rwlock_unlock(&fw->rwlock);
	out.keys_generated =
		htole64(atomic_load_explicit(&fw->keys_generated, memory_order_relaxed));
	memcpy(cmd->out, &out, sizeof(out));
	cmd->out_len = sizeof(out);
	return HSM_ST_OK;
}

/* CREATE_QP and DELETE_QP are the device's. */
static uint16_t (*const handlers[256])(struct fw_cmd *) = {
	[HSM_OP_IDENTIFY]		= identify,
	[HSM_OP_PARTITION_CREATE]	= fw_partition_create,
	[HSM_OP_PARTITION_DELETE]	= fw_partition_delete,
	[HSM_OP_PARTITION_LIST]		= fw_partition_list,
	[HSM_OP_CLONE_OFFER]		= fw_clone_offer,
	[HSM_OP_CLONE_EXPORT]		= fw_clone_export,
	[HSM_OP_CLONE_IMPORT]		= fw_clone_import,
	[HSM_OP_KEY_GENERATE]		= fw_key_generate,
	[HSM_OP_NOP]			= fw_nop,
	[HSM_OP_RANDOM]			= fw_random_cmd,
	[HSM_OP_ENCRYPT]		= fw_encrypt,
	[HSM_OP_DECRYPT]		= fw_decrypt,
	[HSM_OP_DATA_KEY]		= fw_data_key,
	[HSM_OP_DATA_KEY_SEALED]	= fw_data_key_sealed,
	[HSM_OP_REENCRYPT]		= fw_reencrypt,
};

static bool is_admin(uint8_t opcode)
{
	switch (opcode) {
#define HSM_X(name, value, class, idem)			\
	case value:					\
		return HSM_CLASS_##class == HSM_CLASS_ADMIN;
	HSM_OPCODES(HSM_X)
#undef HSM_X
	default:
		return false;
	}
}

static bool has_partition(struct hsm_fw *fw, const uint8_t *uuid)
{
	bool found;

	pthread_rwlock_rdlock(&fw->rwlock);
	found = fw_partition_find(fw, uuid);
	pthread_rwlock_unlock(&fw->rwlock);
	return found;
}

uint16_t hsm_fw_exec(struct hsm_fw *fw, const uint8_t *partition, uint8_t opcode,
		     const void *in, size_t in_len, void *out, size_t *out_len)
{
	struct fw_cmd cmd = {
		.fw = fw,
		.partition = partition,
		.in = { in, in_len },
		.out = out,
		.cap = *out_len,
	};
	unsigned int slot;
	uint16_t st;

	*out_len = 0;
	if (!handlers[opcode] || is_admin(opcode) != !partition)
		return HSM_ST_INVALID_OPCODE;
	if (partition && !has_partition(fw, partition))
		return HSM_ST_NO_PARTITION;
	if (in_len > HSM_MAX_PAYLOAD)
		return HSM_ST_INVALID_LENGTH;
	cmd.ctx = fw_pool_get(&fw->pool, &slot);
	if (!cmd.ctx)
		return HSM_ST_INTERNAL;
	st = handlers[opcode](&cmd);
	fw_pool_put(&fw->pool, cmd.ctx, slot);
	if (st == HSM_ST_OK) {
		*out_len = cmd.out_len;
		/* What contexts still hold of the partition's keys goes with it. */
		if (opcode == HSM_OP_PARTITION_DELETE)
			fw_pool_purge(&fw->pool);
	} else {
		ERR_clear_error();
	}
	return st;
}

static int set_serial(struct hsm_fw *fw, const char *wanted)
{
	uint8_t r[8];

	if (wanted) {
		if (!strncmp(fw->serial, wanted, sizeof(fw->serial)))
			return 0;
		memset(fw->serial, 0, sizeof(fw->serial));
		memcpy(fw->serial, wanted, strlen(wanted));
	} else if (!fw->serial[0]) {
		if (fw_random(r, sizeof(r)))
			return -EIO;
		snprintf(fw->serial, sizeof(fw->serial), "%02X%02X%02X%02X%02X%02X%02X%02X", r[0],
			 r[1], r[2], r[3], r[4], r[5], r[6], r[7]);
	} else {
		return 0;
	}
	fw->dirty = true;
	return 0;
}

/* Takes over what NVRAM holds. */
static int restore(struct hsm_fw *fw, struct fw_ctx *ctx, const struct fw_image *image)
{
	memcpy(fw->serial, image->serial, sizeof(fw->serial));
	atomic_init(&fw->keys_generated, image->keys_generated);
	fw->keys_stored = image->keys_generated;
	for (; fw->count < image->count; fw->count++) {
		struct fw_partition *p = &fw->partitions[fw->count];

		p->rec = image->partitions[fw->count];
		if (fw_partition_check(ctx, &p->rec, p->check))
			return -EIO;
	}
	return 0;
}

/* Writers first: a queue pair that comes or goes must not wait for a pause of all readers. */
static void rwlock_init(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(lock, &attr);
	pthread_rwlockattr_destroy(&attr);
}

int hsm_fw_open(const struct hsm_fw_config *cfg, struct hsm_fw **out)
{
	struct fw_image *image = NULL;
	struct fw_ctx *ctx = NULL;
	struct hsm_fw *fw;
	int err;

	*out = NULL;
	if (!cfg->nvram || (cfg->serial && !fw_serial_len(cfg->serial)))
		return -EINVAL;
	fw = fw_secret_alloc(sizeof(*fw));
	if (!fw)
		return -ENOMEM;
	pthread_mutex_init(&fw->admin, NULL);
	rwlock_init(&fw->rwlock);
	fw_cache_init(&fw->cache);
	fw->pool.algs = &fw->algs;
	fw->nvram = (struct fw_nvram){ .dir = -1, .lock = -1 };

	err = fw_algs_get(&fw->algs);
	if (err)
		goto fail;
	err = fw_selftest(&fw->algs, &fw_selftest_vectors);
	if (err)
		goto fail;
	err = -ENOMEM;
	image = fw_secret_alloc(sizeof(*image));
	ctx = fw_ctx_new(&fw->algs);
	if (!image || !ctx)
		goto fail;
	err = fw_nvram_open(&fw->nvram, cfg->nvram, image);
	if (!err)
		err = restore(fw, ctx, image);
	if (!err)
		err = set_serial(fw, cfg->serial);
	if (!err && fw->dirty)
		err = fw_partition_sync(fw);
	if (err)
		goto fail;
	fw_secret_free(image, sizeof(*image));
	fw_ctx_free(ctx);
	*out = fw;
	return 0;
fail:
	/* Nothing of a card that did not come up may reach its NVRAM. */
	fw->dirty = false;
	fw->keys_stored = fw->keys_generated;
	fw_secret_free(image, sizeof(*image));
	fw_ctx_free(ctx);
	hsm_fw_close(fw);
	return err;
}

void hsm_fw_sync(struct hsm_fw *fw)
{
	pthread_mutex_lock(&fw->admin);
	/* Nobody is left to tell if it fails; what is lost then is a count of keys. */
	if (fw->dirty || fw->keys_stored != fw->keys_generated)
		fw_partition_sync(fw);
	pthread_mutex_unlock(&fw->admin);
}

void hsm_fw_close(struct hsm_fw *fw)
{
	if (!fw)
		return;
	hsm_fw_sync(fw);
	for (uint32_t i = 0; i < HSM_MAX_PARTITIONS; i++)
		EVP_PKEY_free(fw->offers[i].key);
	fw_nvram_close(&fw->nvram);
	fw_pool_purge(&fw->pool);
	fw_algs_put(&fw->algs);
	fw_cache_destroy(&fw->cache);
	pthread_rwlock_destroy(&fw->rwlock);
	pthread_mutex_destroy(&fw->admin);
	fw_secret_free(fw, sizeof(*fw));
}
