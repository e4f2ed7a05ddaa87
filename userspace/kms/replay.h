/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures that have made a key, so that whoever carries a signed CreateKey can't
 * keep it and have it carried out again: the assigned key id is not covered by the client's signature.
 *
 * Clients sign with a clock of whole seconds: two equal requests of one second have one signature, and are
 * two requests.  So a signature may come again within REPLAY_GRACE_MS of its first use, and then never again
 * while it could be valid.  The table holds REPLAY_SLOTS of them, then forgets the oldest of a bucket; it does not
 * outlive the process.  Belongs to one thread.
 */
#ifndef KMS_REPLAY_H
#define KMS_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#define REPLAY_WAYS	8u
#define REPLAY_BUCKETS	2048u
#define REPLAY_SLOTS	(REPLAY_WAYS * REPLAY_BUCKETS)
#define REPLAY_GRACE_MS	2000u
#define REPLAY_MS	601000u		/* twice the accepted difference of clocks, and a second */

struct replay {			/* all zero: empty */
	struct replay_slot {
		uint8_t signature[32];
		uint64_t until;		/* ms; 0: free */
	} slots[REPLAY_BUCKETS][REPLAY_WAYS];
};

/* now: ms of a clock that never steps back.  False: an old one comes again; else it is remembered. */
bool replay_accept(struct replay *r, const uint8_t signature[32], uint64_t now);

#endif
