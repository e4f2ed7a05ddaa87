// SPDX-License-Identifier: Apache-2.0
/* Grammar: RFC 9112 (message), RFC 9110, section 5 (fields), RFC 3986 (target). */
#include "http.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define MAX_METHOD 32
#define MAX_TARGET 4096

enum {
	C_TOKEN	= 1,	/* tchar */
	C_VALUE	= 2,	/* field-vchar, SP, HTAB */
	C_PATH	= 4,	/* pchar and "/", but for "%" */
	C_QUERY	= 8,	/* the same and "?" */
	C_HOST	= 16,	/* of uri-host [":" port], but for "%" */
};

static const uint8_t class_of[256] = {
	['\t'] = C_VALUE, [' '] = C_VALUE,
	[0x80 ... 0xff] = C_VALUE,
	['0' ... '9'] = C_TOKEN | C_VALUE | C_PATH | C_QUERY | C_HOST,
	['A' ... 'Z'] = C_TOKEN | C_VALUE | C_PATH | C_QUERY | C_HOST,
	['a' ... 'z'] = C_TOKEN | C_VALUE | C_PATH | C_QUERY | C_HOST,
	['-'] = C_TOKEN | C_VALUE | C_PATH | C_QUERY | C_HOST,
	['.'] = C_TOKEN | C_VALUE | C_PATH | C_QUERY | C_HOST,
	['_'] = C_TOKEN | C_VALUE | C_PATH | C_QUERY | C_HOST,
	['~'] = C_TOKEN | C_VALUE | C_PATH | C_QUERY | C_HOST,
	['!'] = C_TOKEN | C_VALUE | C_PATH | C_QUERY,
	['$'] = C_TOKEN | C_VALUE | C_PATH | C_QUERY,
	['&'] = C_TOKEN | C_VALUE | C_PATH | C_QUERY,
	['\''] = C_TOKEN | C_VALUE | C_PATH | C_QUERY,
	['*'] = C_TOKEN | C_VALUE | C_PATH | C_QUERY,
	['+'] = C_TOKEN | C_VALUE | C_PATH | C_QUERY,
	['('] = C_VALUE | C_PATH | C_QUERY,
	[')'] = C_VALUE | C_PATH | C_QUERY,
	[','] = C_VALUE | C_PATH | C_QUERY,
	[';'] = C_VALUE | C_PATH | C_QUERY,
	['='] = C_VALUE | C_PATH | C_QUERY,
	['@'] = C_VALUE | C_PATH | C_QUERY,
	['/'] = C_VALUE | C_PATH | C_QUERY,
	[':'] = C_VALUE | C_PATH | C_QUERY | C_HOST,
	['['] = C_VALUE | C_HOST,
	[']'] = C_VALUE | C_HOST,
	['?'] = C_VALUE | C_QUERY,
	['#'] = C_TOKEN | C_VALUE,
	['%'] = C_TOKEN | C_VALUE,
	['^'] = C_TOKEN | C_VALUE,
	['`'] = C_TOKEN | C_VALUE,
	['|'] = C_TOKEN | C_VALUE,
	['"'] = C_VALUE, ['<'] = C_VALUE, ['>'] = C_VALUE,
	['\\'] = C_VALUE, ['{'] = C_VALUE, ['}'] = C_VALUE,
};

/* Parsers of parts return 1, or MORE if the input ends within, or a negated status. */
#define MORE 0

struct scan {
	const char *p, *end;
};

struct head {
	bool host, length, encoding, close;
	uint64_t content_length;
};

static bool is(char c, uint8_t class)
{
	return class_of[(unsigned char)c] & class;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static int take(struct scan *s, uint8_t class, struct span *out)
{
	out->p = s->p;
	while (s->p < s->end && is(*s->p, class))
		s->p++;
	out->len = (size_t)(s->p - out->p);
	return s->p < s->end ? 1 : MORE;
}

static int literal(struct scan *s, const char *text)
{
	for (; *text; text++, s->p++) {
		if (s->p == s->end)
			return MORE;
		if (*s->p != *text)
			return -400;
	}
	return 1;
}

/* Like take(), with percent-encoded bytes between. */
static int take_encoded(struct scan *s, uint8_t class, struct span *out)
{
	struct span part;

	out->p = s->p;
	for (;;) {
		int ret = take(s, class, &part);

		out->len = (size_t)(s->p - out->p);
		if (ret != 1)
			return ret;
		if (*s->p != '%')
			return 1;
		if (s->end - s->p < 3)
			return MORE;
		if (!is_hex(s->p[1]) || !is_hex(s->p[2]))
			return -400;
		s->p += 3;
	}
}

static int parse_target(struct scan *s, struct http_request *req)
{
	int ret;

	if (s->p == s->end)
		return MORE;
	if (*s->p != '/')
		return -400;
	ret = take_encoded(s, C_PATH, &req->path);
	if (req->path.len > MAX_TARGET)
		return -414;
	if (ret != 1)
		return ret;
	req->query = (struct span){ .p = s->p };
	if (*s->p != '?')
		return 1;
	s->p++;
	ret = take_encoded(s, C_QUERY, &req->query);
	if (req->path.len + req->query.len > MAX_TARGET)
		return -414;
	return ret;
}

static int parse_version(struct scan *s)
{
	int ret = literal(s, "HTTP/");
	bool ours;

	if (ret != 1)
		return ret;
	for (int i = 0; i < 3; i++) {
		if (s->end - s->p <= i)
			return MORE;
		if (i == 1 ? s->p[i] != '.' : !is_digit(s->p[i]))
			return -400;
	}
	ours = s->p[0] == '1' && s->p[2] == '1';
	s->p += 3;
	ret = literal(s, "\r\n");
	if (ret == 1 && !ours)
		return -505;
	return ret;
}

static int parse_request_line(struct scan *s, struct http_request *req)
{
	int ret = take(s, C_TOKEN, &req->method);

	if (req->method.len > MAX_METHOD)
		return -400;
	if (ret != 1)
		return ret;
	if (!req->method.len)
		return -400;
	ret = literal(s, " ");
	if (ret != 1)
		return ret;
	ret = parse_target(s, req);
	if (ret != 1)
		return ret;
	ret = literal(s, " ");
	if (ret != 1)
		return ret;
	return parse_version(s);
}

static bool is_ows(char c)
{
	return c == ' ' || c == '\t';
}

/* 1#element: whether the list holds word; false too for what is no list of tokens, with *good cleared. */
static bool list_has(struct span list, const char *word, bool *good)
{
	struct scan s = { list.p, list.p + list.len };
	bool found = false;

	for (;;) {
		struct span item;

		while (s.p < s.end && is_ows(*s.p))
			s.p++;
		take(&s, C_TOKEN, &item);
		if (span_ieq(item, word))
			found = true;
		while (s.p < s.end && is_ows(*s.p))
			s.p++;
		if (s.p == s.end)
			return found;
		if (*s.p++ != ',') {
			*good = false;
			return false;
		}
	}
}

static int parse_length(struct span v, uint64_t *out)
{
	uint64_t n = 0;

	if (!v.len)
		return -400;
	for (size_t i = 0; i < v.len; i++) {
		if (!is_digit(v.p[i]))
			return -400;
		/* Saturated: all that is too big is the same to us. */
		if (n <= HTTP_MAX_BODY)
			n = n * 10 + (uint64_t)(v.p[i] - '0');
	}
	*out = n;
	return 1;
}

static int check_host(struct span v)
{
	struct scan s = { v.p, v.p + v.len };
	struct span host;

	if (!v.len)
		return -400;
	take(&s, C_HOST, &host);
	return s.p == s.end ? 1 : -400;
}

static int note_header(const struct http_header *h, struct head *head, struct http_request *req)
{
	bool good = true;

	switch (h->name.len) {
	case 4:
		if (!span_ieq(h->name, "host"))
			break;
		if (head->host)
			return -400;
		head->host = true;
		return check_host(h->value);
	case 6:
		if (!span_ieq(h->name, "expect"))
			break;
		if (req->expect_continue || !span_ieq(h->value, "100-continue"))
			return -417;
		req->expect_continue = true;
		break;
	case 10:
		if (!span_ieq(h->name, "connection"))
			break;
		if (list_has(h->value, "close", &good))
			head->close = true;
		return good ? 1 : -400;
	case 14:
		if (!span_ieq(h->name, "content-length"))
			break;
		if (head->length)
			return -400;
		head->length = true;
		return parse_length(h->value, &head->content_length);
	case 17:
		if (span_ieq(h->name, "transfer-encoding"))
			head->encoding = true;
		break;
	}
	return 1;
}

static int parse_header(struct scan *s, struct http_header *h)
{
	int ret = take(s, C_TOKEN, &h->name);

	if (ret != 1)
		return ret;
	/* Empty also at white space: neither obs-fold nor space before the colon is taken. */
	if (!h->name.len)
		return -400;
	ret = literal(s, ":");
	if (ret != 1)
		return ret;
	ret = take(s, C_VALUE, &h->value);
	if (ret != 1)
		return ret;
	while (h->value.len && is_ows(h->value.p[0])) {
		h->value.p++;
		h->value.len--;
	}
	while (h->value.len && is_ows(h->value.p[h->value.len - 1]))
		h->value.len--;
	return literal(s, "\r\n");
}

static int parse_head(struct scan *s, struct http_request *req, struct head *head)
{
	int ret = parse_request_line(s, req);

	if (ret != 1)
		return ret;
	for (;;) {
		struct http_header *h = &req->headers[req->n_headers];

		if (s->p == s->end)
			return MORE;
		if (*s->p == '\r')
			return literal(s, "\r\n");
		if (req->n_headers == HTTP_MAX_HEADERS)
			return -431;
		ret = parse_header(s, h);
		if (ret != 1)
			return ret;
		ret = note_header(h, head, req);
		if (ret != 1)
			return ret;
		req->n_headers++;
	}
}

int http_parse(const char *buf, size_t len, struct http_request *req, size_t *need)
{
	struct scan s = { buf, buf + (len < HTTP_MAX_HEAD ? len : HTTP_MAX_HEAD) };
	struct head head = { 0 };
	size_t head_len, total;
	int ret;

	*need = 0;
	req->n_headers = 0;
	req->expect_continue = false;
	req->body = (struct span){ 0 };

	ret = parse_head(&s, req, &head);
	if (ret < 0)
		return ret;
	if (ret == MORE)
		return len < HTTP_MAX_HEAD ? 0 : -431;
	if (!head.host)
		return -400;
	if (head.encoding)
		return head.length ? -400 : -501;
	if (head.content_length > HTTP_MAX_BODY)
		return -413;

	head_len = (size_t)(s.p - buf);
	total = head_len + head.content_length;
	req->keep_alive = !head.close;
	if (len < total) {
		*need = total;
		return 0;
	}
	req->body = (struct span){ s.p, head.content_length };
	return (int)total;
}

struct span http_get(const struct http_request *req, const char *name)
{
	struct span found = { 0 };
	size_t len = strlen(name);

	for (unsigned int i = 0; i < req->n_headers; i++) {
		const struct http_header *h = &req->headers[i];

		if (h->name.len != len || !span_ieq(h->name, name))
			continue;
		if (found.p)
			return (struct span){ 0 };
		found = h->value;
	}
	return found;
}

static const char *reason(int status)
{
	switch (status) {
	case 200: return "OK";
	case 400: return "Bad Request";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 408: return "Request Timeout";
	case 413: return "Content Too Large";
	case 414: return "URI Too Long";
	case 417: return "Expectation Failed";
	case 431: return "Request Header Fields Too Large";
	case 500: return "Internal Server Error";
	case 501: return "Not Implemented";
	case 503: return "Service Unavailable";
	case 505: return "HTTP Version Not Supported";
	}
	/* RFC 9112, section 4: the phrase may be empty. */
	return "";
}

static void put(struct wcur *w, const char *text)
{
	wcur_bytes(w, text, strlen(text));
}

static void put_number(struct wcur *w, size_t n)
{
	char digits[20], *p = digits + sizeof(digits);

	do {
		*--p = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	wcur_bytes(w, p, (size_t)(digits + sizeof(digits) - p));
}

int http_write_head(const struct http_reply *rep, char *out, size_t cap)
{
	struct wcur w;

	wcur_init(&w, out, cap);
	put(&w, "HTTP/1.1 ");
	put_number(&w, (size_t)rep->status);
	put(&w, " ");
	put(&w, reason(rep->status));
	put(&w, "\r\nContent-Type: ");
	put(&w, rep->content_type ? rep->content_type : "application/x-amz-json-1.1");
	put(&w, "\r\nContent-Length: ");
	put_number(&w, rep->body_len);
	if (rep->request_id) {
		put(&w, "\r\nx-amzn-RequestId: ");
		put(&w, rep->request_id);
	}
	if (!rep->keep_alive)
		put(&w, "\r\nConnection: close");
	put(&w, "\r\n\r\n");
	return w.bad ? -ENOSPC : (int)w.len;
}

int http_write(const struct http_reply *rep, char *out, size_t cap)
{
	int len = http_write_head(rep, out, cap);

	if (len < 0)
		return len;
	if (rep->body_len > cap - (size_t)len || rep->body_len > INT_MAX - (size_t)len)
		return -ENOSPC;
	if (rep->body_len)
		memcpy(out + len, rep->body, rep->body_len);
	return len + (int)rep->body_len;
}
