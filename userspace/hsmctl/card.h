/* SPDX-License-Identifier: Apache-2.0 */
/* One card, through /dev/hsm/card<N>: its partitions. */
#ifndef HSMCTL_CARD_H
#define HSMCTL_CARD_H

#include <stddef.h>
#include <stdint.h>
#include <hsm_cmd.h>

struct genl;

struct card {
	uint32_t id;
	int fd;
};

struct card_partition {
	uint8_t uuid[HSM_UUID_LEN];
	uint64_t created;	/* seconds since 1970 */
	uint8_t check[8];	/* equal on two cards: the same domain key */
	uint32_t queue_pairs;
};

/* All of these say what went wrong, and return 0 or -errno. */

int card_open(struct card *card, uint32_t id);
void card_close(struct card *card);

/* *n: in room, out partitions. */
int card_partitions(const struct card *card, struct card_partition *list, size_t *n);
/* The partition of that name; -ENOENT, without a message, if the card has none. */
int card_partition(const struct card *card, const uint8_t uuid[HSM_UUID_LEN], struct card_partition *out);

int card_partition_create(const struct card *card, const uint8_t uuid[HSM_UUID_LEN]);
int card_partition_delete(const struct card *card, const uint8_t uuid[HSM_UUID_LEN]);
/* The domain key, sealed from one card for the other. */
int card_partition_clone(const struct card *from, const struct card *to, const uint8_t uuid[HSM_UUID_LEN]);

/* Numbers of the cards that the driver has.  *n: in room, out cards. */
int card_ids(struct genl *g, uint32_t *ids, size_t *n);

#endif
