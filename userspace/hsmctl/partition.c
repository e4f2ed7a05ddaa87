// SPDX-License-Identifier: Apache-2.0
/* partition list */
#include <stdio.h>
#include <time.h>

#include "card.h"
#include "hsmctl.h"
#include "uuid.h"

static json_t *entry(const struct card_partition *p)
{
	char uuid[UUID_TEXT + 1], check[17], created[32] = "-";
	time_t t = (time_t)p->created;
	struct tm tm;

	uuid_format(p->uuid, uuid);
	for (int i = 0; i < 8; i++)
		snprintf(check + 2 * i, 3, "%02x", p->check[i]);
	if (gmtime_r(&t, &tm))
		strftime(created, sizeof(created), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_pack("{s:s, s:s, s:s, s:I}", "partition", uuid, "created", created, "check", check,
			 "queue_pairs", (json_int_t)p->queue_pairs);
}

int partition_list(const struct ctl *c)
{
	static const struct column columns[] = {
		{ "PARTITION", "partition" },
		{ "CREATED", "created" },
		{ "CHECK", "check" },
		{ "QPS", "queue_pairs" },
		{ 0 },
	};
	struct card_partition list[HSM_MAX_PARTITIONS];
	size_t n = HSM_MAX_PARTITIONS;
	struct card card;
	json_t *rows;
	uint32_t id;
	int err;

	if (ctl_number(c->card, 0, 1023, &id))
		return ctl_usage("--card '%s': give a card's number", c->card);
	if (card_open(&card, id))
		return CTL_REFUSED;
	err = card_partitions(&card, list, &n);
	card_close(&card);
	if (err)
		return CTL_REFUSED;
	rows = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(rows, entry(&list[i]));
	return ctl_print(c, json_pack("{s:I, s:o}", "card", (json_int_t)id, "partitions", rows), "partitions", columns);
}
