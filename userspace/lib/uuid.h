/* SPDX-License-Identifier: Apache-2.0 */
/* UUIDs (RFC 9562), bytes in network order as in their text. */
#ifndef HSM_UUID_H
#define HSM_UUID_H

#include <stdbool.h>
#include <stdint.h>
#include "cursor.h"

#define UUID_TEXT 36	/* characters; the buffers below hold one NUL more */

/* Random (version 4); from getrandom(2), buffered per thread.  Not for secrets. */
void uuid_make(uint8_t id[16]);
void uuid_make_text(char text[UUID_TEXT + 1]);

void uuid_format(const uint8_t id[16], char text[UUID_TEXT + 1]);	/* lower case */
/* Any version and variant, either case; false if it is not 8-4-4-4-12 hexadecimal digits exactly. */
bool uuid_parse(struct span text, uint8_t id[16]);

#endif
