/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The card's firmware as a library: (partition, command) -> (status, reply),
 * plus one NVRAM file.  Used inside the QEMU device and inside the soft card.
 * Of the rest of the tree it sees uapi/hsm_cmd.h only.
 */
#ifndef HSM_FW_H
#define HSM_FW_H

#include <stddef.h>
#include <stdint.h>

struct hsm_fw;

struct hsm_fw_config {
	/* File that holds identity, partitions and domain keys; made (0600) if missing.
	 * It is locked (flock) while open: -EBUSY if another process has it.
	 * Replaced atomically (write, fsync, rename, fsync of the folder) on each change.
	 */
	const char *nvram;
	const char *serial;	/* up to 31 ASCII characters; NULL: kept from NVRAM, or random */
};

/*
 * Powers the card on.  0 and *fw, to be released with hsm_fw_close(); or -EINVAL
 * (NVRAM is not ours or is damaged; never overwritten then), -EBUSY, -ENOMEM,
 * -EIO (self-test failed), or the errno of the file operation.
 * The process may exit() with commands running: OpenSSL is told not to clean up.
 */
int hsm_fw_open(const struct hsm_fw_config *cfg, struct hsm_fw **fw);

/*
 * Writes what NVRAM does not have yet: the count of keys.  Thread safe.  For a
 * host that goes away without hsm_fw_close().
 */
void hsm_fw_sync(struct hsm_fw *fw);

/* Powers off: as hsm_fw_sync(), and wipes keys from memory.  No other call may be running.  NULL is ignored. */
void hsm_fw_close(struct hsm_fw *fw);

/*
 * Runs one command and returns its card status (enum hsm_status).
 *
 * partition: 16 bytes, the queue pair's; NULL on the admin queue, which takes
 * class admin only (and a queue pair everything but admin).  CREATE_QP and
 * DELETE_QP are the device's own and are INVALID_OPCODE here.
 * out_len: in, capacity of out; out, bytes written, 0 unless the status is OK.
 * in and out may not overlap.  Thread safe; commands run in parallel.
 */
uint16_t hsm_fw_exec(struct hsm_fw *fw, const uint8_t *partition, uint8_t opcode,
		     const void *in, size_t in_len, void *out, size_t *out_len);

/*
 * Counts a queue pair in and out of a partition: while the count is not zero
 * PARTITION_DELETE is refused.  Returns a card status: OK or NO_PARTITION.
 */
uint16_t hsm_fw_bind(struct hsm_fw *fw, const uint8_t partition[16]);
void hsm_fw_unbind(struct hsm_fw *fw, const uint8_t partition[16]);

#endif /* HSM_FW_H */
