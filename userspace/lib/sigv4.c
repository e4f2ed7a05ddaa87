// SPDX-License-Identifier: Apache-2.0
/*
 * AWS Identity and Access Management User Guide, "Create a signed AWS API request".
 * HMAC chain and canonical forms are named there as they are here.
 */
#include "sigv4.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define ALGORITHM "AWS4-HMAC-SHA256"
#define TERMINATOR "aws4_request"
#define MAX_SECRET 256
#define MAX_TARGET 4096		/* as http.c admits */
#define MAX_PARAMS 64

/* ---- contexts: fetching or making these costs more than using them ---- */

struct crypto {
	EVP_MD_CTX *md;
	EVP_MAC_CTX *mac;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t crypto_key;
static EVP_MD *sha256;
static EVP_MAC *hmac;
static bool once_ok;
static _Thread_local struct crypto *crypto;

static void crypto_free(void *p)
{
	struct crypto *c = p;

	EVP_MD_CTX_free(c->md);
	EVP_MAC_CTX_free(c->mac);
	free(c);
}

static void crypto_once(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	once_ok = sha256 && hmac && !pthread_key_create(&crypto_key, crypto_free);
}

static struct crypto *crypto_get(void)
{
	char name[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
		OSSL_PARAM_construct_end(),
	};
	struct crypto *c;

	if (crypto)
		return crypto;
	pthread_once(&once, crypto_once);
	if (!once_ok)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->md = EVP_MD_CTX_new();
	c->mac = EVP_MAC_CTX_new(hmac);
	if (!c->md || !c->mac || !EVP_MAC_CTX_set_params(c->mac, params) ||
	    pthread_setspecific(crypto_key, c)) {
		crypto_free(c);
		return NULL;
	}
	crypto = c;
	return c;
}

static int hmac_sha256(struct crypto *c, const void *key, size_t key_len,
		       const void *data, size_t len, uint8_t out[32])
{
	size_t out_len;

	if (!EVP_MAC_init(c->mac, key, key_len, NULL) || !EVP_MAC_update(c->mac, data, len) ||
	    !EVP_MAC_final(c->mac, out, &out_len, 32) || out_len != 32)
		return -EIO;
	return 0;
}

static void hex(const uint8_t *in, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		*out++ = digits[in[i] >> 4];
		*out++ = digits[in[i] & 15];
	}
}

static int hash_hex(struct crypto *c, const void *data, size_t len, char out[64])
{
	uint8_t md[32];

	if (!EVP_DigestInit_ex2(c->md, sha256, NULL) || !EVP_DigestUpdate(c->md, data, len) ||
	    !EVP_DigestFinal_ex(c->md, md, NULL))
		return -EIO;
	hex(md, sizeof(md), out);
	return 0;
}

/* ---- parsing ---- */

/* Cuts s at the first sep: the part before it, with s left after it; all of s if there is none. */
static struct span cut(struct span *s, char sep)
{
	const char *at = s->len ? memchr(s->p, sep, s->len) : NULL;
	struct span head = *s;

	if (!at) {
		*s = (struct span){ s->p + s->len, 0 };
		return head;
	}
	head.len = (size_t)(at - s->p);
	s->p += head.len + 1;
	s->len -= head.len + 1;
	return head;
}

static bool digits(const char *p, size_t len, int *out)
{
	int n = 0;

	for (size_t i = 0; i < len; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		n = n * 10 + (p[i] - '0');
	}
	*out = n;
	return true;
}

/* Days since 1970-01-01 of a date in the Gregorian calendar; March counts as first month. */
static long long days_of(int year, int month, int day)
{
	int y = month > 2 ? year : year - 1;
	int m = month > 2 ? month - 3 : month + 9;
	long long leaps = y / 4 - y / 100 + y / 400;

	return 365LL * y + leaps + (153 * m + 2) / 5 + day - 1 - 719468;
}

/* YYYYMMDD'T'HHMMSS'Z' (ISO 8601 basic). */
static bool parse_time(struct span s, time_t *t)
{
	static const int month_days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int year, month, day, hour, min, sec;
	bool leap;

	if (s.len != 16 || s.p[8] != 'T' || s.p[15] != 'Z' ||
	    !digits(s.p, 4, &year) || !digits(s.p + 4, 2, &month) || !digits(s.p + 6, 2, &day) ||
	    !digits(s.p + 9, 2, &hour) || !digits(s.p + 11, 2, &min) || !digits(s.p + 13, 2, &sec))
		return false;
	if (year < 1970 || month < 1 || month > 12 || day < 1 || day > month_days[month - 1] ||
	    hour > 23 || min > 59 || sec > 59)
		return false;
	leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	if (month == 2 && day == 29 && !leap)
		return false;
	*t = days_of(year, month, day) * 86400 + hour * 3600 + min * 60 + sec;
	return true;
}

static bool parse_signature(struct span s, uint8_t out[32])
{
	if (s.len != 64)
		return false;
	for (size_t i = 0; i < 64; i++) {
		char c = s.p[i];
		uint8_t v;

		if (c >= '0' && c <= '9')
			v = (uint8_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = (uint8_t)(c - 'a' + 10);
		else
			return false;
		out[i / 2] = (uint8_t)(i % 2 ? out[i / 2] | v : v << 4);
	}
	return true;
}

static bool parse_credential(struct span s, struct sigv4 *sig)
{
	struct span id = cut(&s, '/'), terminator;
	int number;

	sig->date = cut(&s, '/');
	sig->region = cut(&s, '/');
	sig->service = cut(&s, '/');
	terminator = s;
	if (!id.len || id.len > SIGV4_MAX_ID || sig->date.len != 8 || !digits(sig->date.p, 8, &number) ||
	    !sig->region.len || !sig->service.len || !span_eq(terminator, TERMINATOR))
		return false;
	for (size_t i = 0; i < id.len; i++) {
		char c = id.p[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		      c == '_' || c == '-'))
			return false;
	}
	memcpy(sig->access_key_id, id.p, id.len);
	sig->access_key_id[id.len] = '\0';
	return true;
}

static bool split_field(struct span s, const char *name, struct span *value)
{
	struct span key = cut(&s, '=');

	if (!span_eq(key, name) || value->p)
		return false;
	*value = s;
	return true;
}

static const char *parse_authorization(struct span s, struct sigv4 *sig)
{
	struct span credential = { 0 }, signature = { 0 };

	if (!span_eq(cut(&s, ' '), ALGORITHM))
		return "Unsupported signature algorithm; use " ALGORITHM ".";
	while (s.len) {
		struct span field;

		while (s.len && s.p[0] == ' ') {
			s.p++;
			s.len--;
		}
		field = cut(&s, ',');
		if (!split_field(field, "Credential", &credential) &&
		    !split_field(field, "SignedHeaders", &sig->signed_headers) &&
		    !split_field(field, "Signature", &signature))
			return "Authorization header has an unknown or repeated part.";
	}
	if (!credential.p || !parse_credential(credential, sig))
		return "Authorization header requires a Credential of the form id/date/region/service/" TERMINATOR ".";
	if (!signature.p || !parse_signature(signature, sig->signature))
		return "Authorization header requires a Signature of 64 lower-case hexadecimal digits.";
	if (!sig->signed_headers.len)
		return "Authorization header requires SignedHeaders.";
	return NULL;
}

/* Header of a lower-case name; from is where to go on looking. */
static const struct http_header *find_header(const struct http_request *req, struct span name, unsigned int *from)
{
	for (unsigned int i = *from; i < req->n_headers; i++) {
		const struct http_header *h = &req->headers[i];
		size_t k;

		if (h->name.len != name.len)
			continue;
		for (k = 0; k < name.len; k++) {
			char c = h->name.p[k];

			if (c >= 'A' && c <= 'Z')
				c = (char)(c | 0x20);
			if (c != name.p[k])
				break;
		}
		if (k == name.len) {
			*from = i + 1;
			return h;
		}
	}
	return NULL;
}

static bool has_header(const struct http_request *req, const char *name)
{
	unsigned int from = 0;

	return find_header(req, (struct span){ name, strlen(name) }, &from);
}

static int compare(struct span a, struct span b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int c = len ? memcmp(a.p, b.p, len) : 0;

	if (c)
		return c;
	return (a.len > b.len) - (a.len < b.len);
}

static bool is_signed(struct span list, const char *name)
{
	while (list.len)
		if (span_eq(cut(&list, ';'), name))
			return true;
	return false;
}

static const char *check_signed_headers(const struct http_request *req, struct span list)
{
	struct span rest = list, last = { 0 };

	if (list.p[list.len - 1] == ';')
		return "SignedHeaders must not end with a semicolon.";
	while (rest.len) {
		struct span name = cut(&rest, ';');
		unsigned int from = 0;

		if (!name.len || (last.p && compare(last, name) >= 0))
			return "SignedHeaders must be sorted and without repetition.";
		/* Upper case finds nothing either. */
		if (!find_header(req, name, &from))
			return "A header of SignedHeaders is not in the request.";
		last = name;
	}
	if (!is_signed(list, "host"))
		return "'Host' must be a signed header.";
	if (!is_signed(list, "x-amz-date"))
		return "'X-Amz-Date' must be a signed header.";
	if (has_header(req, "x-amz-target") && !is_signed(list, "x-amz-target"))
		return "'X-Amz-Target' must be a signed header.";
	return NULL;
}

enum sigv4_result sigv4_parse(const struct http_request *req, const char *region, time_t now,
			      struct sigv4 *sig, const char **why)
{
	struct span auth;
	long long age;

	*why = NULL;
	memset(sig, 0, sizeof(*sig));
	if (!has_header(req, "authorization")) {
		*why = "Missing Authentication Token";
		return SIGV4_MISSING;
	}
	auth = http_get(req, "authorization");
	if (!auth.p) {
		*why = "Authorization header is repeated.";
		return SIGV4_INCOMPLETE;
	}
	*why = parse_authorization(auth, sig);
	if (*why)
		return SIGV4_INCOMPLETE;
	sig->amz_date = http_get(req, "x-amz-date");
	if (!sig->amz_date.p || !parse_time(sig->amz_date, &sig->time)) {
		*why = "One 'X-Amz-Date' header of the form YYYYMMDD'T'HHMMSS'Z' is required.";
		return SIGV4_INCOMPLETE;
	}
	*why = check_signed_headers(req, sig->signed_headers);
	if (*why)
		return SIGV4_INCOMPLETE;

	if (!span_eq(sig->region, region))
		*why = "Credential should be scoped to this server's region.";
	else if (!span_eq(sig->service, "kms"))
		*why = "Credential should be scoped to correct service: 'kms'.";
	else if (memcmp(sig->date.p, sig->amz_date.p, 8))
		*why = "Date in Credential scope does not match YYYYMMDD from X-Amz-Date.";
	if (*why)
		return SIGV4_SCOPE;

	age = (long long)now - sig->time;
	if (age > SIGV4_SKEW_S)
		*why = "Signature expired: the request was signed more than 5 minutes ago by this server's clock.";
	else if (age < -SIGV4_SKEW_S)
		*why = "Signature not yet current: the request's time is more than 5 minutes ahead of this server's clock.";
	return *why ? SIGV4_EXPIRED : SIGV4_OK;
}

/* ---- signing key ---- */

int sigv4_key(const char *secret, size_t secret_len, struct span date, struct span region,
	      struct span service, uint8_t key[32])
{
	struct crypto *c = crypto_get();
	char first[4 + MAX_SECRET];
	int err;

	if (!c)
		return -ENOMEM;
	if (secret_len > MAX_SECRET)
		return -EINVAL;
	memcpy(first, "AWS4", 4);
	memcpy(first + 4, secret, secret_len);
	err = hmac_sha256(c, first, 4 + secret_len, date.p, date.len, key);
	OPENSSL_cleanse(first, 4 + secret_len);
	if (!err)
		err = hmac_sha256(c, key, 32, region.p, region.len, key);
	if (!err)
		err = hmac_sha256(c, key, 32, service.p, service.len, key);
	if (!err)
		err = hmac_sha256(c, key, 32, TERMINATOR, strlen(TERMINATOR), key);
	if (err)
		OPENSSL_cleanse(key, 32);
	return err;
}

/* ---- canonical request ---- */

/* Gathers small pieces before they go into the digest: each update has a price. */
struct gather {
	EVP_MD_CTX *md;
	bool bad;		/* the library failed */
	bool refused;		/* the request has no canonical form of its own */
	size_t len;
	char buf[1024];
};

static void flush(struct gather *g)
{
	if (!EVP_DigestUpdate(g->md, g->buf, g->len))
		g->bad = true;
	g->len = 0;
}

/*
 * Only bytes of the request come this way.  A new line in them, possible in a request that
 * came over a route, would let two different requests have one canonical form.
 */
static void add(struct gather *g, const char *p, size_t len)
{
	if (len && memchr(p, '\n', len))
		g->refused = true;
	while (len) {
		size_t n = sizeof(g->buf) - g->len;

		if (n > len)
			n = len;
		memcpy(g->buf + g->len, p, n);
		g->len += n;
		p += n;
		len -= n;
		if (g->len == sizeof(g->buf))
			flush(g);
	}
}

static void add_char(struct gather *g, char c)
{
	g->buf[g->len++] = c;
	if (g->len == sizeof(g->buf))
		flush(g);
}

static void put_encoded(struct wcur *w, char c)
{
	static const char digits_up[] = "0123456789ABCDEF";
	unsigned char u = (unsigned char)c;

	if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	    c == '-' || c == '.' || c == '_' || c == '~') {
		wcur_u8(w, u);
		return;
	}
	wcur_u8(w, '%');
	wcur_u8(w, (uint8_t)digits_up[u >> 4]);
	wcur_u8(w, (uint8_t)digits_up[u & 15]);
}

/*
 * CanonicalUri: dot segments and empty segments removed, then every segment
 * encoded once more (services other than S3 encode twice).
 */
static void add_path(struct gather *g, struct span path)
{
	struct span segment[MAX_TARGET / 2 + 1], rest = path;
	char buf[12];
	size_t n = 0;

	if (path.len <= 1) {
		add_char(g, '/');
		return;
	}
	if (path.len > MAX_TARGET) {
		g->refused = true;
		return;
	}
	while (rest.len) {
		struct span s = cut(&rest, '/');

		if (!s.len || span_eq(s, "."))
			continue;
		if (!span_eq(s, ".."))
			segment[n++] = s;
		else if (n)
			n--;
	}
	add_char(g, '/');
	for (size_t i = 0; i < n; i++) {
		if (i)
			add_char(g, '/');
		for (size_t k = 0; k < segment[i].len; k++) {
			struct wcur w;

			wcur_init(&w, buf, sizeof(buf));
			put_encoded(&w, segment[i].p[k]);
			add(g, buf, w.len);
		}
	}
	if (n && path.p[path.len - 1] == '/')
		add_char(g, '/');
}

static int unhex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return ((c | 0x20) - 'a' + 10) & 15;
}

/* One encoding for what may be encoded in several ways; http.c has checked the digits. */
static struct span reencode(struct wcur *w, struct span s)
{
	struct span out = { (const char *)w->p, w->len };

	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];

		if (c == '%' && s.len - i > 2) {
			c = (char)(unhex(s.p[i + 1]) << 4 | unhex(s.p[i + 2]));
			i += 2;
		}
		put_encoded(w, c);
	}
	out.len = w->len - out.len;
	return out;
}

struct param {
	struct span name, value;
};

static int compare_params(const void *a, const void *b)
{
	const struct param *x = a, *y = b;
	int c = compare(x->name, y->name);

	return c ? c : compare(x->value, y->value);
}

/* CanonicalQueryString: encoded, sorted by name, then by value. */
static void add_query(struct gather *g, struct span query)
{
	struct param params[MAX_PARAMS];
	char buf[3 * MAX_TARGET];
	struct wcur w;
	size_t n = 0;

	wcur_init(&w, buf, sizeof(buf));
	while (query.len) {
		struct span value = cut(&query, '&'), name = cut(&value, '=');

		if (!name.len && !value.len)
			continue;
		if (n == MAX_PARAMS) {
			g->refused = true;
			return;
		}
		params[n].name = reencode(&w, name);
		params[n++].value = reencode(&w, value);
	}
	if (w.bad) {
		g->refused = true;
		return;
	}
	qsort(params, n, sizeof(params[0]), compare_params);
	for (size_t i = 0; i < n; i++) {
		if (i)
			add_char(g, '&');
		add(g, params[i].name.p, params[i].name.len);
		add_char(g, '=');
		add(g, params[i].value.p, params[i].value.len);
	}
}

/* A value trimmed (http.c did), runs of white space one space. */
static void add_value(struct gather *g, struct span v)
{
	size_t i = 0;

	while (i < v.len) {
		size_t start = i;

		while (i < v.len && v.p[i] != ' ' && v.p[i] != '\t')
			i++;
		add(g, v.p + start, i - start);
		if (i == v.len)
			return;
		while (i < v.len && (v.p[i] == ' ' || v.p[i] == '\t'))
			i++;
		add_char(g, ' ');
	}
}

static void add_headers(struct gather *g, const struct http_request *req, struct span list)
{
	while (list.len) {
		struct span name = cut(&list, ';');
		const struct http_header *h;
		unsigned int from = 0;
		bool first = true;

		add(g, name.p, name.len);
		add_char(g, ':');
		while ((h = find_header(req, name, &from))) {
			if (!first)
				add_char(g, ',');
			first = false;
			add_value(g, h->value);
		}
		add_char(g, '\n');
	}
}

static int canonical_hash(struct crypto *c, const struct http_request *req, const struct sigv4 *sig,
			  const char payload[64], char out[64])
{
	struct gather g;
	uint8_t md[32];

	g.md = c->md;
	g.bad = g.refused = false;
	g.len = 0;
	if (!EVP_DigestInit_ex2(c->md, sha256, NULL))
		return -EIO;
	add(&g, req->method.p, req->method.len);
	add_char(&g, '\n');
	add_path(&g, req->path);
	add_char(&g, '\n');
	if (req->query.len)
		add_query(&g, req->query);
	add_char(&g, '\n');
	add_headers(&g, req, sig->signed_headers);
	add_char(&g, '\n');
	add(&g, sig->signed_headers.p, sig->signed_headers.len);
	add_char(&g, '\n');
	add(&g, payload, 64);
	flush(&g);
	if (g.bad || !EVP_DigestFinal_ex(c->md, md, NULL))
		return -EIO;
	if (g.refused)
		return SIGV4_MISMATCH;
	hex(md, sizeof(md), out);
	return 0;
}

int sigv4_verify(const struct http_request *req, const struct sigv4 *sig, const uint8_t key[32])
{
	struct crypto *c = crypto_get();
	char payload[64], canonical[64], to_sign[512];
	struct span claimed;
	uint8_t expected[32];
	struct wcur w;
	int err;

	if (!c)
		return -ENOMEM;
	err = hash_hex(c, req->body.p, req->body.len, payload);
	if (err)
		return err;
	/* A signed hash that is not the body's, or no hash (UNSIGNED-PAYLOAD): the body would go unsigned. */
	if (is_signed(sig->signed_headers, "x-amz-content-sha256")) {
		claimed = http_get(req, "x-amz-content-sha256");
		if (!claimed.p || claimed.len != 64 || CRYPTO_memcmp(claimed.p, payload, 64))
			return SIGV4_MISMATCH;
	}
	err = canonical_hash(c, req, sig, payload, canonical);
	if (err)
		return err;

	wcur_init(&w, to_sign, sizeof(to_sign));
	wcur_bytes(&w, ALGORITHM "\n", strlen(ALGORITHM) + 1);
	wcur_bytes(&w, sig->amz_date.p, sig->amz_date.len);
	wcur_u8(&w, '\n');
	wcur_bytes(&w, sig->date.p, sig->date.len);
	wcur_u8(&w, '/');
	wcur_bytes(&w, sig->region.p, sig->region.len);
	wcur_u8(&w, '/');
	wcur_bytes(&w, sig->service.p, sig->service.len);
	wcur_bytes(&w, "/" TERMINATOR "\n", strlen(TERMINATOR) + 2);
	wcur_bytes(&w, canonical, sizeof(canonical));
	if (w.bad)
		return SIGV4_MISMATCH;
	err = hmac_sha256(c, key, 32, to_sign, w.len, expected);
	if (err)
		return err;
	err = CRYPTO_memcmp(expected, sig->signature, 32) ? SIGV4_MISMATCH : SIGV4_OK;
	OPENSSL_cleanse(expected, sizeof(expected));
	return err;
}
