// SPDX-License-Identifier: Apache-2.0
/* Apart from route.c, so that hsmctl need not link the carriers. */
#include <string.h>

#include "route.h"

bool route_name_valid(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");

	return n && !name[n] && n < ROUTE_NAME_LEN && name[0] != '-' && name[0] != '_';
}
