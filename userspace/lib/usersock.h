/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A NETLINK_USERSOCK socket on a ring: framed messages between processes, no
 * module and no privilege needed.  Frame (little-endian): u32 magic, u8 kind,
 * u8 class, u16 0, u64 xid, u32 payload length, payload; nothing after it.
 */
#ifndef HSM_USERSOCK_H
#define HSM_USERSOCK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "ring.h"

#define USERSOCK_MAGIC	0x31555248u	/* "HRU1" */
#define USERSOCK_HEAD	20u
#define USERSOCK_ERRNO	4u		/* payload of USERSOCK_ERROR */

enum usersock_kind {
	USERSOCK_REQUEST = 1,
	USERSOCK_REPLY	 = 2,
	USERSOCK_ERROR	 = 3,		/* payload: u32, an errno as a positive number */
};

struct usersock_frame {
	uint8_t kind, class;
	uint64_t xid;
	const void *payload;
	size_t len;
};

/* 0, or -EBADMSG: kind, class, reserved bits, or lengths that disagree. */
int usersock_parse(const void *buf, size_t len, struct usersock_frame *f);
void usersock_put_errno(uint8_t out[USERSOCK_ERRNO], int err);	/* err < 0 */

struct usersock;

/* from: the sender's port; cred: the sender as the kernel says.  Payload valid during the call. */
typedef void (*usersock_fn)(void *arg, const struct usersock_frame *f, uint32_t from, const struct ucred *cred);
/* After usersock_send() failed: -ECONNREFUSED nobody has that port, -EBUSY its queue is full, ... */
typedef void (*usersock_failed_fn)(void *arg, uint32_t to, uint64_t xid, int err);

int usersock_open(struct ring *ring, usersock_fn fn, usersock_failed_fn failed, void *arg, struct usersock **u);
void usersock_close(struct usersock *u);	/* no callback runs any more; freed when the ring is done with it */
uint32_t usersock_port(const struct usersock *u);

/* Copies the frame.  While the receiver's queue is full it is retried for patience_ms.  -ENOMEM or 0. */
int usersock_send(struct usersock *u, uint32_t to, const struct usersock_frame *f, unsigned int patience_ms);
/* An error, sent once and without waiting: senders to whom nothing is owed get neither memory nor patience. */
void usersock_refuse(struct usersock *u, uint32_t to, uint64_t xid, int err);

#endif
