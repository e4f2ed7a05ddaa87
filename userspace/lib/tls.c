// SPDX-License-Identifier: Apache-2.0
/* Protocol choices: RFC 9325 (BCP 195), sections 3 and 4. */
#include "httpd.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>

#include "log.h"

/* One name only; a client that offers others as well gets this, one that offers none of ours gets no answer. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
			   const unsigned char *in, unsigned int in_len, void *arg)
{
	struct rcur c;

	(void)ssl, (void)arg;
	rcur_init(&c, in, in_len);
	while (c.left) {
		uint8_t len = rcur_u8(&c);
		const unsigned char *name = rcur_bytes(&c, len);

		if (name && len == 8 && !memcmp(name, "http/1.1", 8)) {
			*out = name;
			*out_len = len;
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_NOACK;
}

static void log_why(const char *what, const char *file)
{
	/* The first error is the cause, the later ones who passed it on. */
	unsigned long e = ERR_peek_error();
	const char *text = ERR_SYSTEM_ERROR(e) ? strerror(ERR_GET_REASON(e)) : ERR_reason_error_string(e);

	log_err("%s %s: %s", what, file, text ? text : "unknown reason");
	ERR_clear_error();
}

int tls_server_ctx(const char *cert_pem, const char *key_pem, SSL_CTX **ctx)
{
	static const unsigned char session_id[] = "hsm";
	SSL_CTX *c;

	ERR_clear_error();
	c = SSL_CTX_new(TLS_server_method());
	if (!c)
		return -ENOMEM;
	SSL_CTX_set_options(c, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
			       SSL_OP_CLEANSE_PLAINTEXT | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
	/* Sessions live in tickets at the clients; nothing is cached here. */
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	if (!SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) ||
	    !SSL_CTX_set_cipher_list(c, "ECDHE+AESGCM:ECDHE+CHACHA20") ||
	    !SSL_CTX_set1_groups_list(c, "X25519:P-256:P-384") ||
	    !SSL_CTX_set_num_tickets(c, 1) ||
	    !SSL_CTX_set_session_id_context(c, session_id, sizeof(session_id) - 1)) {
		log_why("TLS set-up for", cert_pem);
		goto err;
	}
	SSL_CTX_set_alpn_select_cb(c, choose_protocol, NULL);
	if (SSL_CTX_use_certificate_chain_file(c, cert_pem) != 1) {
		log_why("can't read the certificate", cert_pem);
		goto err;
	}
	if (SSL_CTX_use_PrivateKey_file(c, key_pem, SSL_FILETYPE_PEM) != 1) {
		log_why("can't read the private key", key_pem);
		goto err;
	}
	if (SSL_CTX_check_private_key(c) != 1) {
		log_why("the certificate does not belong to the private key", key_pem);
		goto err;
	}
	*ctx = c;
	return 0;
err:
	SSL_CTX_free(c);
	return -EINVAL;
}
