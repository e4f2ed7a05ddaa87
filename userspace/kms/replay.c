// SPDX-License-Identifier: Apache-2.0
#include <openssl/crypto.h>
#include <string.h>

#include "replay.h"
#include "sigv4.h"

_Static_assert(REPLAY_MS > 2 * SIGV4_SKEW_S * 1000, "longer than a signature is valid");

bool replay_accept(struct replay *r, const uint8_t signature[32], uint64_t now)
{
	/* An HMAC's bytes are spread evenly, and only valid ones come here. */
	struct replay_slot *bucket = r->slots[(signature[0] | signature[1] << 8) % REPLAY_BUCKETS];
	struct replay_slot *oldest = bucket;

	for (unsigned int i = 0; i < REPLAY_WAYS; i++) {
		struct replay_slot *s = &bucket[i];

		if (s->until > now && !CRYPTO_memcmp(s->signature, signature, sizeof(s->signature)))
			return now - (s->until - REPLAY_MS) < REPLAY_GRACE_MS;
		if (s->until < oldest->until)
			oldest = s;
	}
	memcpy(oldest->signature, signature, sizeof(oldest->signature));
	oldest->until = now + REPLAY_MS;
	return true;
}
