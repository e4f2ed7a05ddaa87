/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What gateway and KMS say to each other over a route: an API request as the
 * client signed it, and its answer.  Layout, little-endian:
 *
 * request: u8 version, u8 type = 1, u16 headers, u32 body length,
 *          str assigned key id, str request id, str peer,
 *          str method, str path, str query, headers * (str name, str value), body
 * reply:   u8 version, u8 type = 2, u8 kind, u8 0, then
 *          answer:   u16 status, u16 0, u32 body length, body
 *          redirect: str instance, str account, str key id, str endpoint
 *
 * str is u16 length and that many bytes.  Nothing follows the last member.
 */
#ifndef HSM_CALLMSG_H
#define HSM_CALLMSG_H

#include "http.h"

#define CALLMSG_VERSION 1
#define CALLMSG_ID_LEN 36	/* UUID text */

struct call_request {
	/*
	 * CreateKey on a dedicated instance: set by the gateway, from the shared KMS's redirect.  To the instance: the
	 * id that the key shall have.  Back to the shared KMS: the id of the key that was made, to be recorded.  Else len 0.
	 */
	struct span assigned_key_id;
	struct span request_id;		/* UUID text, made by the gateway, for logs of both */
	struct span peer;		/* client's address as the gateway saw it, for logs of both */
	struct http_request http;	/* as it came, all headers and the body */
};

enum call_kind {
	CALL_ANSWER	= 1,	/* status and JSON body for the client */
	CALL_REDIRECT	= 2,	/* the key belongs to a dedicated instance */
};

struct call_reply {
	enum call_kind kind;
	/* CALL_ANSWER */
	int status;			/* HTTP status */
	struct span body;
	/* CALL_REDIRECT: metadata of the key, for the gateway's policy */
	struct span instance;		/* pool name */
	struct span account;
	struct span key_id;		/* existing, or assigned to a key that is to be made, or just recorded */
	struct span endpoint;		/* private endpoint's URL, for refusals */
};

/* Encoded length, or -EMSGSIZE if it does not fit cap. */
int call_request_encode(const struct call_request *req, void *buf, size_t cap);
int call_reply_encode(const struct call_reply *rep, void *buf, size_t cap);
/* 0 with spans into buf, or -EBADMSG. */
int call_request_decode(const void *buf, size_t len, struct call_request *req);
int call_reply_decode(const void *buf, size_t len, struct call_reply *rep);

#endif
