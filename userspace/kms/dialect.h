/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A dialect: how operations are said on the wire.  It names the operation of
 * a request, turns a body into the typed request of a struct op, and a typed
 * answer (or a refusal) into a body.  What is done is in ops.h; signatures are in
 * auth.h; neither knows the dialect.
 */
#ifndef KMS_DIALECT_H
#define KMS_DIALECT_H

#include "http.h"
#include "ops.h"

/* One operation as a dialect knows it: an entry of its table. */
struct dialect_op {
	const char *name;
	uint8_t class;			/* enum hsm_class */
	bool listener_serves;		/* management that an instance's data listener serves too */
	/*
	 * Fills op's request from the body; strings stay in op->arena, where the
	 * decoded text is.  0, or -1 after op_refuse().
	 */
	int (*decode)(struct op *op, const void *doc);
	void (*run)(struct op *op);	/* NULL: known, not served */
	/* Writes the answer: length, or -ENOSPC. */
	int (*encode)(const struct op *op, char *out, size_t cap);
};

struct dialect {
	/* NULL: the request names no operation. */
	const struct dialect_op *(*find)(const struct http_request *req);
	int (*decode)(const struct dialect_op *d, struct span body, struct op *op);
};

/* AWS JSON 1.1: POST /, X-Amz-Target: TrentService.<operation>. */
extern const struct dialect dialect_awsjson;

#endif
