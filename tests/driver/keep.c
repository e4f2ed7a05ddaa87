// SPDX-License-Identifier: GPL-2.0
/* Leaves the pool "kkeep" behind, for run.sh to unload the module with. */
#include <unistd.h>
#include "hsmlib.h"
#include "tap.h"

int main(void)
{
	static struct nl nl;

	if (access("/dev/hsm/card0", F_OK))
		tap_skip_all("no card");
	pool_setup(&nl, "kkeep", 7, "", 16, 0);
	tap(true, "a pool is left behind");
	return tap_end();
}
