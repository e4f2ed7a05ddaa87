// SPDX-License-Identifier: Apache-2.0
/*
 * The way of one request through a worker:
 *
 *   transport -> operation's name -> signature -> body -> operation -> answer -> transport
 *
 * One struct request lives from the transport's callback to its reply, and
 * everything that it computes is in its arena, wiped at the end.  request_end() is the
 * one place through which every request leaves, whatever became of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "callmsg.h"
#include "dialect.h"
#include "kms.h"
#include "log.h"
#include "uuid.h"

#define KEEP_FREE	64	/* requests per worker */

struct request {
	struct worker *worker;
	struct request *next;		/* free list */
	struct arena arena;
	const struct dialect *dialect;
	const struct dialect_op *kind;
	const struct http_request *http;
	char id[UUID_TEXT + 1];

	struct httpd_conn *conn;	/* NULL: came over the route */
	uint64_t xid;
	uint32_t from;
	uint8_t class;			/* as the carrier checked it */
	struct call_request call;

	struct auth_check auth;
	struct op op;
};

static struct request *request_get(struct worker *w)
{
	struct request *r = w->free;

	if (r) {
		w->free = r->next;
		w->n_free--;
	} else {
		r = calloc(1, sizeof(*r));
		if (!r)
			return NULL;
		if (arena_open(&r->arena)) {
			free(r);
			return NULL;
		}
	}
	r->worker = w;
	memset(&r->op, 0, sizeof(r->op));
	w->in_flight++;
	return r;
}

static void request_put(struct request *r)
{
	struct worker *w = r->worker;

	arena_reset(&r->arena);
	if (w->n_free < KEEP_FREE) {
		r->next = w->free;
		w->free = r;
		w->n_free++;
	} else {
		arena_close(&r->arena);
		free(r);
	}
	worker_ended(w);
}

void requests_free(struct worker *w)
{
	struct request *r;

	while ((r = w->free)) {
		w->free = r->next;
		arena_close(&r->arena);
		free(r);
	}
	w->n_free = 0;
}

/* ---- answers ---- */

/*
 * The message is encoded outside of the request's arena: whoever fills that with a hostile body still gets
 * an answer, and the carrier its slot back.
 */
static int send_route(struct worker *w, uint64_t xid, uint32_t from, const struct call_reply *rep)
{
	int len = call_reply_encode(rep, w->out, sizeof(w->out)), err;

	if (len < 0)
		return len;
	err = w->route ? route_reply(w->route, xid, from, w->out, (size_t)len) : -ESHUTDOWN;
	OPENSSL_cleanse(w->out, (size_t)len);
	return err;
}

static int refuse_route(struct worker *w, uint64_t xid, uint32_t from, enum api_error e, const char *message)
{
	char error[256];
	int n = api_error_body(e, message, error, sizeof(error));
	struct call_reply rep = {
		.kind = CALL_ANSWER,
		.status = api_error_status(e),
		.body = { error, n < 0 ? 0 : (size_t)n },
	};

	return send_route(w, xid, from, &rep);
}

static void reply_route(struct request *r, const struct call_reply *rep)
{
	int err = send_route(r->worker, r->xid, r->from, rep);

	if (err == -EMSGSIZE)
		err = refuse_route(r->worker, r->xid, r->from, API_INTERNAL, "The answer does not fit.");
	if (err)
		log_warn("request %s: no answer to the gateway: %s", r->id, strerror(-err));
}

static void reply(struct request *r, int status, const void *body, size_t len)
{
	struct call_reply rep = { .kind = CALL_ANSWER, .status = status, .body = { body, len } };

	if (r->conn)
		httpd_reply(r->conn, status, r->id, body, len);
	else
		reply_route(r, &rep);
}

static void reply_redirect(struct request *r)
{
	const struct op_redirect *t = &r->op.target;
	char id[UUID_TEXT + 1];
	struct call_reply rep = {
		.kind = CALL_REDIRECT,
		.instance = { t->instance, strlen(t->instance) },
		.account = { t->account, strlen(t->account) },
		.key_id = { id, UUID_TEXT },
		.endpoint = { t->endpoint, strlen(t->endpoint) },
	};

	uuid_format(t->key_id, id);
	reply_route(r, &rep);
}

static void reply_error(struct request *r, enum api_error e, const char *message)
{
	char error[1024];
	int n;

	n = api_error_body(e, message, error, sizeof(error));
	if (n < 0)
		n = api_error_body(e, "", error, sizeof(error));
	reply(r, api_error_status(e), error, n < 0 ? 0 : (size_t)n);
}

/*
 * Every request ends here, once, before its answer leaves: refused (e and message), sent on to
 * another instance (op.redirected), or answered with body.
 */
static void request_end(struct request *r, enum api_error e, const char *message, const void *body, size_t len)
{
	struct worker *w = r->worker;
	struct span peer = r->call.peer;

	if (r->conn)
		peer = (struct span){ httpd_peer(r->conn), strlen(httpd_peer(r->conn)) };
	atomic_fetch_add_explicit(e == API_OK ? &w->served : &w->refused, 1, memory_order_relaxed);
	log_debug("%s %.*s %s %s%s", r->id, (int)peer.len, peer.p, r->kind ? r->kind->name : "-",
		  e == API_OK ? "ok" : api_error_name(e), e == API_OK && r->op.redirected ? ", redirected" : "");
	if (e != API_OK)
		reply_error(r, e, message);
	else if (r->op.redirected)
		reply_redirect(r);
	else
		reply(r, 200, body, len);
	request_put(r);
}

static void op_ended(struct op *op)
{
	struct request *r = from_member(op, struct request, op);
	char *out;
	int len;

	if (op->error != API_OK) {
		request_end(r, op->error, op->message, NULL, 0);
		return;
	}
	if (op->redirected) {
		request_end(r, r->conn ? API_NOT_FOUND : API_OK, "The key is of another instance.", NULL, 0);
		return;
	}
	out = arena_alloc(&r->arena, ROUTE_MAX_PAYLOAD);
	len = out ? r->kind->encode(op, out, ROUTE_MAX_PAYLOAD - 64) : -ENOMEM;
	if (len < 0) {
		log_err("request %s: no room for the answer of %s", r->id, r->kind->name);
		request_end(r, API_INTERNAL, "The answer does not fit.", NULL, 0);
		return;
	}
	arena_trim(&r->arena, out, (size_t)len);
	request_end(r, API_OK, NULL, out, (size_t)len);
}

/* ---- the way in ---- */

/* What an operation's class allows here, beside what the carrier has checked. */
static int check_class(struct request *r)
{
	const struct kms_config *cfg = &r->worker->kms->cfg;
	const struct dialect_op *k = r->kind;

	if (!k->run)
		return op_refuse(&r->op, API_UNSUPPORTED, "This operation is not supported yet.");
	if (r->conn && !k->listener_serves)
		return op_refuse(&r->op, API_ACCESS_DENIED, "%s is management; send it to the gateway, with your"
				 " account's credential (CustomKeyStoreId %s).", k->name, cfg->name);
	if (!r->conn && !cfg->shared && (k->class != HSM_CLASS_MANAGE || r->class != HSM_CLASS_MANAGE))
		return op_refuse(&r->op, API_ACCESS_DENIED, "%s is a key computation; send it to the private endpoint"
				 " of instance %s.", k->name, cfg->name);
	if (!r->conn && cfg->shared && k->class != r->class)
		return op_refuse(&r->op, API_ACCESS_DENIED, "%s came as an operation of another class.", k->name);
	return 0;
}

static void authenticated(struct auth_check *c, enum api_error e)
{
	struct request *r = from_member(c, struct request, auth);
	struct op *op = &r->op;

	if (e != API_OK) {
		request_end(r, e, c->why, NULL, 0);
		return;
	}
	op->caller = c->caller;
	op->signature = c->sig.signature;
	if (check_class(r) < 0 || r->dialect->decode(r->kind, r->http->body, op) < 0) {
		request_end(r, op->error, op->message, NULL, 0);
		return;
	}
	r->kind->run(op);
}

static void request_begin(struct request *r)
{
	struct worker *w = r->worker;

	r->op.env = &w->env;
	r->op.arena = &r->arena;
	r->op.done = op_ended;
	r->op.via_route = !r->conn;
	if (!r->conn)
		r->op.assigned_key_id = r->call.assigned_key_id;
	r->dialect = &dialect_awsjson;
	r->kind = NULL;
	if (w->stopping) {
		request_end(r, API_UNAVAILABLE, "The service is stopping.", NULL, 0);
		return;
	}
	r->kind = r->dialect->find(r->http);
	if (!r->kind) {
		request_end(r, API_UNKNOWN_OPERATION, "The request names no operation of this service.", NULL, 0);
		return;
	}
	r->auth.http = r->http;
	r->auth.kind = r->conn ? STORE_CRED_INSTANCE : STORE_CRED_ACCOUNT;
	r->auth.done = authenticated;
	auth_verify(w->auth, &r->auth);
}

void request_from_listener(void *arg, struct httpd_conn *conn, const struct http_request *req)
{
	static const char healthy[] = "{\"status\":\"healthy\"}";
	static const char busy[] = "{\"__type\":\"ServiceUnavailableException\",\"message\":\"Out of memory.\"}";
	struct worker *w = arg;
	struct request *r;

	if (span_eq(req->method, "GET") && span_eq(req->path, "/ping")) {
		httpd_reply(conn, 200, NULL, healthy, sizeof(healthy) - 1);
		return;
	}
	r = request_get(w);
	if (!r) {
		httpd_reply(conn, 503, NULL, busy, sizeof(busy) - 1);
		return;
	}
	uuid_make_text(r->id);
	r->conn = conn;
	r->http = req;
	request_begin(r);
}

void request_from_route(void *arg, const struct route_request *req)
{
	struct worker *w = arg;
	struct request *r;
	void *copy;

	if (req->refused) {
		refuse_route(w, req->xid, req->from, API_ACCESS_DENIED, "This KMS takes no requests from this gateway.");
		return;
	}
	r = request_get(w);
	if (!r) {
		refuse_route(w, req->xid, req->from, API_UNAVAILABLE, "Out of memory.");
		return;
	}
	r->conn = NULL;
	r->xid = req->xid;
	r->from = req->from;
	r->class = req->class;
	r->id[0] = '\0';
	r->kind = NULL;
	r->call.peer = (struct span){ "-", 1 };
	copy = arena_alloc(&r->arena, req->len);
	if (!copy) {
		request_end(r, API_UNAVAILABLE, "Out of memory.", NULL, 0);
		return;
	}
	memcpy(copy, req->payload, req->len);
	if (call_request_decode(copy, req->len, &r->call)) {
		route_log_refused(w->route, req->uid, req->pid, "it is malformed");
		r->call.peer = (struct span){ "-", 1 };
		request_end(r, API_INTERNAL, "The gateway's message is malformed.", NULL, 0);
		return;
	}
	if (r->call.request_id.len == UUID_TEXT)
		memcpy(r->id, r->call.request_id.p, UUID_TEXT);
	r->id[r->call.request_id.len == UUID_TEXT ? UUID_TEXT : 0] = '\0';
	r->http = &r->call.http;
	request_begin(r);
}
