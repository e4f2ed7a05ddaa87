// SPDX-License-Identifier: Apache-2.0
/*
 * Call messages, and the frames that carry them over NETLINK_USERSOCK.  What decodes must
 * encode to the same bytes again: there is one way to say a thing.
 */
#include <stdlib.h>
#include <string.h>

#include "awsops.h"
#include "callmsg.h"
#include "route.h"
#include "usersock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t again[1 << 17];

static void must_be_same(int len, const uint8_t *data, size_t size)
{
	if (len < 0 || (size_t)len != size || memcmp(again, data, size))
		abort();
}

/* Read all of it, for the sanitizer to see. */
static void touch(struct span s)
{
	static uint8_t copy[1 << 17];

	if (s.len)
		memcpy(copy, s.p, s.len);
	__asm__ volatile("" ::"r"(copy) : "memory");
}

static void messages(const uint8_t *data, size_t size)
{
	struct call_request req;
	struct call_reply rep;

	if (!call_request_decode(data, size, &req)) {
		touch(req.http.body);
		touch(req.peer);
		if (memchr(req.http.path.p, 0, req.http.path.len) || memchr(req.http.path.p, '\n', req.http.path.len))
			abort();
		(void)aws_op_find(http_get(&req.http, "x-amz-target"));
		must_be_same(call_request_encode(&req, again, sizeof(again)), data, size);
	}
	if (!call_reply_decode(data, size, &rep)) {
		touch(rep.body);
		touch(rep.endpoint);
		must_be_same(call_reply_encode(&rep, again, sizeof(again)), data, size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct usersock_frame f;

	if (!usersock_parse(data, size, &f)) {
		if (f.len + USERSOCK_HEAD != size || f.len > ROUTE_MAX_PAYLOAD)
			abort();
		messages(f.payload, f.len);
	}
	messages(data, size);
	return 0;
}
