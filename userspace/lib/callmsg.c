// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <limits.h>

#include "callmsg.h"

enum msg_type {
	MSG_REQUEST = 1,
	MSG_REPLY = 2,
};

static void put_bytes(struct wcur *w, struct span s)
{
	if (s.len)
		wcur_bytes(w, s.p, s.len);
}

static void put_str(struct wcur *w, struct span s)
{
	if (s.len > UINT16_MAX) {
		w->bad = true;
		return;
	}
	wcur_u16(w, (uint16_t)s.len);
	put_bytes(w, s);
}

static struct span get_bytes(struct rcur *r, size_t len)
{
	const char *p = len ? rcur_bytes(r, len) : "";

	return p ? (struct span){ p, len } : (struct span){ "", 0 };
}

static struct span get_str(struct rcur *r)
{
	return get_bytes(r, rcur_u16(r));
}

/* What a parsed HTTP message never holds (RFC 9110, section 5.5), nor a line of a log: the sender made it up. */
static bool is_clean(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!s.p[i] || s.p[i] == '\r' || s.p[i] == '\n')
			return false;
	return true;
}

static int encoded(const struct wcur *w)
{
	return w->bad || w->len > INT_MAX ? -EMSGSIZE : (int)w->len;
}

static bool is_id_or_empty(struct span s)
{
	return !s.len || s.len == CALLMSG_ID_LEN;
}

int call_request_encode(const struct call_request *req, void *buf, size_t cap)
{
	const struct http_request *http = &req->http;
	struct wcur w;

	if (http->n_headers > HTTP_MAX_HEADERS || http->body.len > HTTP_MAX_BODY)
		return -EMSGSIZE;
	wcur_init(&w, buf, cap);
	wcur_u8(&w, CALLMSG_VERSION);
	wcur_u8(&w, MSG_REQUEST);
	wcur_u16(&w, (uint16_t)http->n_headers);
	wcur_u32(&w, (uint32_t)http->body.len);
	put_str(&w, req->assigned_key_id);
	put_str(&w, req->request_id);
	put_str(&w, req->peer);
	put_str(&w, http->method);
	put_str(&w, http->path);
	put_str(&w, http->query);
	for (unsigned int i = 0; i < http->n_headers; i++) {
		put_str(&w, http->headers[i].name);
		put_str(&w, http->headers[i].value);
	}
	put_bytes(&w, http->body);
	return encoded(&w);
}

int call_request_decode(const void *buf, size_t len, struct call_request *req)
{
	struct http_request *http = &req->http;
	size_t body_len;
	struct rcur r;
	bool clean;

	*req = (struct call_request){ 0 };
	rcur_init(&r, buf, len);
	if (rcur_u8(&r) != CALLMSG_VERSION || rcur_u8(&r) != MSG_REQUEST)
		return -EBADMSG;
	http->n_headers = rcur_u16(&r);
	body_len = rcur_u32(&r);
	if (http->n_headers > HTTP_MAX_HEADERS || body_len > HTTP_MAX_BODY)
		return -EBADMSG;
	req->assigned_key_id = get_str(&r);
	req->request_id = get_str(&r);
	req->peer = get_str(&r);
	http->method = get_str(&r);
	http->path = get_str(&r);
	http->query = get_str(&r);
	clean = is_clean(req->request_id) && is_clean(req->peer) && is_clean(http->method) && is_clean(http->path) &&
		is_clean(http->query);
	for (unsigned int i = 0; i < http->n_headers; i++) {
		http->headers[i].name = get_str(&r);
		http->headers[i].value = get_str(&r);
		clean = clean && is_clean(http->headers[i].name) && is_clean(http->headers[i].value);
	}
	http->body = get_bytes(&r, body_len);
	if (!rcur_done(&r) || !clean || req->request_id.len != CALLMSG_ID_LEN ||
	    !is_id_or_empty(req->assigned_key_id) || !http->method.len || !http->path.len)
		return -EBADMSG;
	return 0;
}

int call_reply_encode(const struct call_reply *rep, void *buf, size_t cap)
{
	struct wcur w;

	wcur_init(&w, buf, cap);
	wcur_u8(&w, CALLMSG_VERSION);
	wcur_u8(&w, MSG_REPLY);
	wcur_u8(&w, (uint8_t)rep->kind);
	wcur_u8(&w, 0);
	switch (rep->kind) {
	case CALL_ANSWER:
		if (rep->body.len > UINT32_MAX)
			return -EMSGSIZE;
		wcur_u16(&w, (uint16_t)rep->status);
		wcur_u16(&w, 0);
		wcur_u32(&w, (uint32_t)rep->body.len);
		put_bytes(&w, rep->body);
		break;
	case CALL_REDIRECT:
		put_str(&w, rep->instance);
		put_str(&w, rep->account);
		put_str(&w, rep->key_id);
		put_str(&w, rep->endpoint);
		break;
	}
	return encoded(&w);
}

int call_reply_decode(const void *buf, size_t len, struct call_reply *rep)
{
	uint16_t zero = 0;
	uint8_t kind;
	struct rcur r;

	*rep = (struct call_reply){ 0 };
	rcur_init(&r, buf, len);
	if (rcur_u8(&r) != CALLMSG_VERSION || rcur_u8(&r) != MSG_REPLY)
		return -EBADMSG;
	kind = rcur_u8(&r);
	if (rcur_u8(&r))
		return -EBADMSG;
	switch (kind) {
	case CALL_ANSWER:
		rep->kind = CALL_ANSWER;
		rep->status = rcur_u16(&r);
		zero = rcur_u16(&r);
		rep->body = get_bytes(&r, rcur_u32(&r));
		if (rep->status < 200 || rep->status > 599)
			return -EBADMSG;
		break;
	case CALL_REDIRECT:
		rep->kind = CALL_REDIRECT;
		rep->instance = get_str(&r);
		rep->account = get_str(&r);
		rep->key_id = get_str(&r);
		rep->endpoint = get_str(&r);
		if (!rep->instance.len || rep->key_id.len != CALLMSG_ID_LEN)
			return -EBADMSG;
		break;
	default:
		return -EBADMSG;
	}
	return rcur_done(&r) && !zero ? 0 : -EBADMSG;
}
