// SPDX-License-Identifier: Apache-2.0
/*
 * The way of a request: to the shared KMS, which answers it or names the
 * instance that owns its key; and then, if its class may pass, to that instance.
 * A key that the instance made is recorded at the shared KMS before the client hears of it.
 * The gateway reads the operation's name and nothing else of the request.
 */
#include "serve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apierr.h"
#include "callmsg.h"
#include "log.h"
#include "policy.h"
#include "uuid.h"

#define RING_ENTRIES	256
#define ROUTE_WAIT_MS	10000
#define FLUSH_MS	50	/* for answers that are being sent */
#define DRAIN_MS	1000
#define TARGET_PREFIX	"TrentService."
#define ERROR_BODY	1024

struct gateway {
	const struct gateway_config *cfg;
	struct ring *ring;
	struct route_client *route;
	struct httpd *httpd;
	struct ring_work stop;
	uint8_t msg[ROUTE_MAX_PAYLOAD];	/* of the message that is being encoded */
};

enum gw_stage {
	AT_DIRECTORY,	/* the shared KMS: to be answered or redirected */
	AT_INSTANCE,	/* the dedicated instance that the redirect named */
	AT_RECORD,	/* the shared KMS again, with a key that the instance has made */
};

/* CreateKey on an instance: the id that was assigned, and then the instance's answer. */
struct creation {
	char key_id[CALLMSG_ID_LEN];
	int status;
	size_t len;
	void *body;
};

/* A request under way, in its connection's scratch: a connection has one at a time. */
struct gw_request {
	struct gateway *gw;
	struct httpd_conn *conn;
	const struct http_request *http;
	const struct aws_op *op;
	struct creation *creation;	/* or NULL */
	uint64_t began;			/* ms */
	uint8_t id[16];
	enum gw_stage stage;
};

_Static_assert(sizeof(struct gw_request) <= HTTPD_CONN_DATA, "a request fits the connection's scratch");

/* ---- answers ---- */

/* The one end of a request. */
static void answer(struct gw_request *r, int status, const void *body, size_t len)
{
	struct creation *creation = r->creation;
	char id[UUID_TEXT + 1];

	uuid_format(r->id, id);
	log_debug("%s %s %s%s %d %llums", id, httpd_peer(r->conn), r->op ? r->op->name : "-",
		  r->stage == AT_DIRECTORY ? "" : " forwarded", status,
		  (unsigned long long)(ring_now(r->gw->ring) - r->began));
	httpd_reply(r->conn, status, id, body, len);
	if (creation)
		free(creation->body);
	free(creation);
}

static void refuse(struct gw_request *r, enum api_error e, const char *message)
{
	char body[ERROR_BODY];
	int len;

	len = api_error_body(e, message, body, sizeof(body));
	if (len < 0)
		len = api_error_body(e, "", body, sizeof(body));
	answer(r, api_error_status(e), body, (size_t)len);
}

static void refuse_route(struct gw_request *r, int err)
{
	const char *who = r->stage == AT_INSTANCE ? "The instance that owns the key" : "The shared KMS";
	const char *what;
	char text[256];

	switch (err) {
	case -ENOENT:
	case -ECONNREFUSED:
		what = "is not running";
		break;
	case -ECONNRESET:
		what = "stopped while it served the request; whether the request took effect is not known";
		break;
	case -ETIMEDOUT:
		what = "did not answer in time; whether the request took effect is not known";
		break;
	case -EBUSY:
		what = "has too many requests waiting; try again";
		break;
	case -EACCES:
		what = "does not take this request from this gateway";
		break;
	case -EMSGSIZE:
		what = "cannot be sent a request this large";
		break;
	case -ECANCELED:
		what = "cannot be reached: the gateway is stopping";
		err = -ECONNREFUSED;
		break;
	default:
		log_err("route: %s", strerror(-err));
		what = "could not be reached";
		break;
	}
	snprintf(text, sizeof(text), "%s %s.", who, what);
	refuse(r, api_error_of_route(err), text);
}

/* ---- forwarding ---- */

static void replied(void *arg, int err, const void *payload, size_t len);

static void forward(struct gw_request *r, const char *instance, enum hsm_class class, struct span assigned)
{
	struct gateway *gw = r->gw;
	const char *peer = httpd_peer(r->conn);
	char id[UUID_TEXT + 1];
	struct call_request req = {
		.assigned_key_id = assigned,
		.request_id = { id, UUID_TEXT },
		.peer = { peer, strlen(peer) },
		.http = *r->http,
	};
	int len;

	/* Stopping. */
	if (!gw->route) {
		refuse_route(r, -ECANCELED);
		return;
	}
	uuid_format(r->id, id);
	len = call_request_encode(&req, gw->msg, sizeof(gw->msg));
	if (len < 0) {
		refuse_route(r, len);
		return;
	}
	route_call(gw->route, instance, (uint8_t)class, gw->msg, (size_t)len, ROUTE_WAIT_MS, replied, r);
	explicit_bzero(gw->msg, (size_t)len);
}

static void redirect(struct gw_request *r, const struct call_reply *rep)
{
	struct span assigned = { NULL, 0 };
	char name[ROUTE_NAME_LEN], text[512];

	if (r->stage != AT_DIRECTORY || rep->instance.len >= sizeof(name) ||
	    span_eq(rep->instance, r->gw->cfg->shared)) {
		log_err("route: a redirect to '%.*s' that leads nowhere", (int)rep->instance.len, rep->instance.p);
		refuse(r, API_INTERNAL, "The key directory gave a wrong answer.");
		return;
	}
	if (!policy_forwards(r->op)) {
		policy_refusal(r->op, rep->instance, rep->endpoint, text, sizeof(text));
		refuse(r, API_ACCESS_DENIED, text);
		return;
	}
	if (policy_creates_key(r->op)) {
		r->creation = calloc(1, sizeof(*r->creation));
		if (!r->creation) {
			refuse(r, API_UNAVAILABLE, "Out of memory.");
			return;
		}
		memcpy(r->creation->key_id, rep->key_id.p, sizeof(r->creation->key_id));
		assigned = (struct span){ r->creation->key_id, sizeof(r->creation->key_id) };
	}
	memcpy(name, rep->instance.p, rep->instance.len);
	name[rep->instance.len] = '\0';
	r->stage = AT_INSTANCE;
	forward(r, name, HSM_CLASS_MANAGE, assigned);
}

/* The instance has made the key: its answer waits until the directory has it. */
static void record(struct gw_request *r, const struct call_reply *rep)
{
	struct creation *c = r->creation;

	c->body = malloc(rep->body.len + 1);
	if (!c->body) {
		refuse(r, API_UNAVAILABLE, "Out of memory.");
		return;
	}
	memcpy(c->body, rep->body.p, rep->body.len);
	c->len = rep->body.len;
	c->status = rep->status;
	r->stage = AT_RECORD;
	forward(r, r->gw->cfg->shared, HSM_CLASS_MANAGE, (struct span){ c->key_id, sizeof(c->key_id) });
}

static void replied(void *arg, int err, const void *payload, size_t len)
{
	struct gw_request *r = arg;
	struct call_reply rep;

	if (!err)
		err = call_reply_decode(payload, len, &rep);
	if (err)
		refuse_route(r, err);
	else if (r->stage == AT_RECORD && rep.kind == CALL_REDIRECT)
		answer(r, r->creation->status, r->creation->body, r->creation->len);
	else if (rep.kind == CALL_REDIRECT)
		redirect(r, &rep);
	else if (r->stage == AT_INSTANCE && r->creation && rep.status == 200)
		record(r, &rep);
	else
		answer(r, rep.status, rep.body.p, rep.body.len);
}

static void requested(void *arg, struct httpd_conn *conn, const struct http_request *http)
{
	static const char healthy[] = "{\"status\":\"healthy\"}";
	struct gateway *gw = arg;
	struct gw_request *r = httpd_conn_data(conn);
	struct span target;

	*r = (struct gw_request){ .gw = gw, .conn = conn, .http = http, .began = ring_now(gw->ring) };
	uuid_make(r->id);
	if (span_eq(http->method, "GET") && span_eq(http->path, "/ping")) {
		answer(r, 200, healthy, sizeof(healthy) - 1);
		return;
	}
	if (!span_eq(http->method, "POST") || !span_eq(http->path, "/")) {
		refuse(r, API_UNKNOWN_OPERATION, "Requests of this API are POST / with an X-Amz-Target header.");
		return;
	}
	target = http_get(http, "x-amz-target");
	if (!target.p || target.len < sizeof(TARGET_PREFIX) || memcmp(target.p, TARGET_PREFIX, sizeof(TARGET_PREFIX) - 1)) {
		refuse(r, API_UNKNOWN_OPERATION, "X-Amz-Target must be given once and name an operation of TrentService.");
		return;
	}
	r->op = policy_op(target);
	forward(r, gw->cfg->shared, policy_resolve_class(r->op), (struct span){ NULL, 0 });
}

/* ---- life ---- */

static void stop(struct ring_work *work)
{
	struct gateway *gw = (struct gateway *)((char *)work - offsetof(struct gateway, stop));

	/* Before the listener: what waits on the route is answered while its connection is still there. */
	route_client_close(gw->route);
	gw->route = NULL;
	ring_stop(gw->ring);
}

int gateway_open(const struct gateway_config *cfg, struct gateway **out)
{
	struct gateway *gw;
	int err;

	gw = calloc(1, sizeof(*gw));
	if (!gw)
		return -ENOMEM;
	gw->cfg = cfg;
	gw->stop.fn = stop;
	err = ring_create(RING_ENTRIES, &gw->ring);
	if (err) {
		log_err("io_uring: %s; it needs Linux 6.1 or later, not disabled by a sandbox", strerror(-err));
		goto fail;
	}
	err = route_client_open(cfg->route, gw->ring, &gw->route);
	if (err)
		goto fail;
	err = httpd_listen(gw->ring, &cfg->httpd, requested, gw, &gw->httpd);
	if (err) {
		log_err("listen: %s", strerror(-err));
		goto fail;
	}
	*out = gw;
	return 0;
fail:
	gateway_close(gw);
	return err;
}

unsigned int gateway_port(const struct gateway *gw)
{
	return httpd_port(gw->httpd);
}

int gateway_run(struct gateway *gw)
{
	int err = ring_run(gw->ring);

	if (err)
		return err;
	/* Closing the listener drops what it has not sent yet. */
	ring_drain(gw->ring, FLUSH_MS);
	httpd_close(gw->httpd);
	gw->httpd = NULL;
	ring_drain(gw->ring, DRAIN_MS);
	return 0;
}

void gateway_stop(struct gateway *gw)
{
	ring_post(gw->ring, &gw->stop);
}

void gateway_close(struct gateway *gw)
{
	if (gw->route || gw->httpd) {
		route_client_close(gw->route);
		if (gw->httpd)
			httpd_close(gw->httpd);
		ring_drain(gw->ring, DRAIN_MS);
	}
	ring_destroy(gw->ring);
	free(gw);
}
