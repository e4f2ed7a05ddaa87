/* SPDX-License-Identifier: Apache-2.0 */
/* A card in a folder of its own, and its commands in one line each. */
#ifndef TEST_CARD_H
#define TEST_CARD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hsm_cmd.h"
#include "../../qemu-hsm/firmware/hsm_fw.h"

struct card {
	struct hsm_fw *fw;
	char dir[64];
	char nvram[80];
};

extern const uint8_t part_a[16], part_b[16];

/* These fail the running test when something that has to work does not. */
void card_make(struct card *c);		/* folder, and a card without partitions */
void card_on(struct card *c);
void card_off(struct card *c);
void card_destroy(struct card *c);	/* folder included */

/* cmocka fixtures: *state is a struct card with partition part_a. */
int card_setup(void **state);
int card_teardown(void **state);

/* Runs a command and checks what holds for each: nothing written beyond the
 * capacity, no length and no byte of output when it failed.
 */
uint16_t run(struct card *c, const uint8_t *part, uint8_t op, const void *in, size_t in_len,
	     void *out, size_t cap, size_t *len);

uint16_t part_op(struct card *c, uint8_t op, const uint8_t uuid[16]);
uint16_t generate(struct card *c, const uint8_t *part, uint32_t usage,
		  uint8_t token[HSM_TOKEN_AES256_LEN]);
/* op: ENCRYPT or DECRYPT. */
uint16_t crypt_token(struct card *c, const uint8_t *part, uint8_t op, const void *token,
		     size_t token_len, const void *aad, size_t aad_len, const void *data,
		     size_t data_len, void *out, size_t cap, size_t *len);
uint16_t data_key(struct card *c, uint8_t op, const void *token, const void *aad, size_t aad_len,
		  uint32_t key_len, void *out, size_t cap, size_t *len);
uint16_t reencrypt(struct card *c, const void *src, const void *dst, const void *src_aad,
		   size_t src_aad_len, const void *dst_aad, size_t dst_aad_len, const void *data,
		   size_t data_len, void *out, size_t cap, size_t *len);
/* Asserts that the card lists the partition. */
void partition_entry(struct card *c, const uint8_t uuid[16], struct hsm_partition_entry *e);
void identify(struct card *c, struct hsm_identify_out *id);

#define OVERHEAD HSM_CIPHERTEXT_OVERHEAD

#endif /* TEST_CARD_H */
