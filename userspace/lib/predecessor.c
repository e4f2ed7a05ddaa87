// SPDX-License-Identifier: Apache-2.0
#include <time.h>

#include "predecessor.h"

#define WAIT_MS	2000u
#define TRY_MS	50u

bool predecessor_wait(unsigned int *waited_ms)
{
	const struct timespec pause = { .tv_nsec = TRY_MS * 1000000L };

	if (*waited_ms >= WAIT_MS)
		return false;
	nanosleep(&pause, NULL);
	*waited_ms += TRY_MS;
	return true;
}
