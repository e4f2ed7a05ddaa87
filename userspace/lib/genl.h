/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's generic netlink family, from userspace: a socket, synchronous
 * requests for set-up and tools, and the reading of messages.
 */
#ifndef HSM_GENL_H
#define HSM_GENL_H

#include <stddef.h>
#include <stdint.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <hsm.h>

struct genl {
	struct nl_sock *sk;
	int fd, family;
	uint32_t port;
};

/* 0, or -ENOENT (no such family: module not loaded), ... */
int genl_open(struct genl *g);
void genl_close(struct genl *g);

/* A request; room: bytes of attributes.  NULL: out of memory. */
struct nl_msg *genl_msg(const struct genl *g, uint8_t cmd, int flags, uint32_t seq, size_t room);

/* The family's messages: 0 with attributes that have their types' lengths, or -EBADMSG. */
int genl_parse(const struct genl *g, const struct nlmsghdr *h, uint8_t *cmd, struct nlattr *attrs[HSM_A_MAX + 1]);

/* An NLMSG_ERROR: its errno (0: acknowledged; -EBADMSG: not one) and the kernel's explanation, "" if none. */
int genl_error(const struct nlmsghdr *h, char *why, size_t cap);

/*
 * Sends (and frees) msg, with acknowledgement or as a dump, and waits for its end.  fn is called with every
 * message of the family that comes meanwhile, asked for or not; why: the kernel's explanation ("" if none).
 * -EAGAIN: something changed during the dump, what came is not the whole list.
 */
typedef void (*genl_fn)(void *arg, const struct nlmsghdr *h);
int genl_request(struct genl *g, struct nl_msg *msg, genl_fn fn, void *arg, char *why, size_t cap);

#endif
