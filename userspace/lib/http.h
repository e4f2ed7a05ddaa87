/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict HTTP/1.1 request reader (RFC 9112) and response writer.  What is not
 * plainly right is refused: bare LF, obs-fold, white space before the colon,
 * repeated Content-Length or Host, Transfer-Encoding (501), control characters,
 * absent Host, any target form but origin-form.
 */
#ifndef HSM_HTTP_H
#define HSM_HTTP_H

#include "cursor.h"

#define HTTP_MAX_HEAD 16384		/* request line and headers, bytes */
#define HTTP_MAX_HEADERS 64
#define HTTP_MAX_BODY 49152u		/* bytes; more is 413 */

struct http_header {
	struct span name;		/* as sent */
	struct span value;		/* without surrounding white space */
};

struct http_request {
	struct span method, path, query;	/* path and query as sent, undecoded; query without '?' */
	struct http_header headers[HTTP_MAX_HEADERS];
	unsigned int n_headers;
	struct span body;
	bool keep_alive;
	bool expect_continue;
};

/*
 * Parses one request at the start of buf.  Returns the bytes it took (> 0), with spans
 * into buf; 0 if more are needed; or a negated HTTP status (-400, -413, -414, -417, -431, -501, -505)
 * after which the connection can't go on.  When the head is complete but the body is not, 0 is returned
 * and *need is the total size of the request (else 0), and expect_continue is valid.
 */
int http_parse(const char *buf, size_t len, struct http_request *req, size_t *need);

/* The value of the only header of that name (lower case); NULL p if absent or repeated. */
struct span http_get(const struct http_request *req, const char *name);

/*
 * Head and body of a response into out: status line, Date-less, Content-Type, Content-Length,
 * x-amzn-RequestId, and Connection: close unless keep_alive.  Returns its length, or -ENOSPC.
 */
struct http_reply {
	int status;
	const char *content_type;	/* NULL: application/x-amz-json-1.1 */
	const char *request_id;		/* UUID text; NULL: no header */
	const void *body;
	size_t body_len;
	bool keep_alive;
};
int http_write(const struct http_reply *rep, char *out, size_t cap);
int http_write_head(const struct http_reply *rep, char *out, size_t cap);	/* the same without the body's bytes */

#endif
