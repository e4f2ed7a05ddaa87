/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the owner of an instance can be reached over NETLINK_USERSOCK: the file
 * <dir>/<instance> holds "1 <port> <pid> <start time>\n".  The start time (field 22 of
 * /proc/<pid>/stat) tells the owner from a later process with the same number, and so a
 * live port from one that was bound anew by a stranger.
 */
#ifndef HSM_RENDEZVOUS_H
#define HSM_RENDEZVOUS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Publishes our port, atomically.  0 and *lock, a descriptor that holds the name until it is
 * closed or we die; -EBUSY if a live process holds it; or the errno of the file operation.
 */
int rendezvous_publish(const char *dir, const char *name, uint32_t port, int *lock);
/* Removes the file and lets go of the name. */
void rendezvous_withdraw(const char *dir, const char *name, int lock);

/*
 * Finds the owner.  0 with its port, and *pidfd that becomes readable when it dies (the caller's
 * to close); -ENOENT never published or withdrawn; -ECONNREFUSED it died; -EBADMSG not such a file.
 */
int rendezvous_lookup(const char *dir, const char *name, uint32_t *port, int *pidfd);

/* Whether that process has ended, its parent waiting for it or not. */
bool pidfd_dead(int pidfd);

#endif
