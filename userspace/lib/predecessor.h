/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon that was killed keeps its ports and its sockets until the kernel has torn its
 * io_uring down, a moment after the process is gone.  Whoever starts in its place waits for that:
 *
 *	unsigned int waited_ms = 0;
 *
 *	do
 *		err = take_it();
 *	while (err == -EBUSY && predecessor_wait(&waited_ms));
 */
#ifndef HSM_PREDECESSOR_H
#define HSM_PREDECESSOR_H

#include <stdbool.h>

/* Blocks for 50 ms and counts them; false, at once, after 2 s of them. */
bool predecessor_wait(unsigned int *waited_ms);

#endif
