// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>

#include "fw.h"

#define CURVE "P-256"

int fw_ecdh_generate(EVP_PKEY **key, uint8_t point[HSM_POINT_LEN])
{
	size_t n;

	*key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", CURVE);
	if (!*key)
		return -EIO;
	if (!EVP_PKEY_get_octet_string_param(*key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, point,
					     HSM_POINT_LEN, &n) ||
	    n != HSM_POINT_LEN || point[0] != POINT_CONVERSION_UNCOMPRESSED) {
		EVP_PKEY_free(*key);
		*key = NULL;
		return -EIO;
	}
	return 0;
}

/* priv: NULL for a public key.  NULL: out of memory, or the point is none. */
static EVP_PKEY *make_key(const uint8_t *priv, const uint8_t point[HSM_POINT_LEN])
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	BIGNUM *d = priv ? BN_secure_new() : NULL;
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key = NULL;

	if (!bld || !ctx ||
	    !OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, CURVE, 0) ||
	    !OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, HSM_POINT_LEN))
		goto out;
	if (priv && (!d || !BN_bin2bn(priv, 32, d) ||
		     !OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, d)))
		goto out;
	params = OSSL_PARAM_BLD_to_param(bld);
	if (!params || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, priv ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
			      params) != 1)
		key = NULL;
out:
	OSSL_PARAM_free(params);
	BN_clear_free(d);
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_BLD_free(bld);
	return key;
}

int fw_ecdh_import(const uint8_t priv[32], const uint8_t point[HSM_POINT_LEN], EVP_PKEY **key)
{
	*key = make_key(priv, point);
	return *key ? 0 : -EIO;
}

int fw_ecdh(EVP_PKEY *key, const uint8_t peer[HSM_POINT_LEN], uint8_t z[32])
{
	EVP_PKEY *pub = NULL;
	EVP_PKEY_CTX *check = NULL, *derive = NULL;
	size_t n = 32;
	int ret = -EINVAL;

	if (peer[0] != POINT_CONVERSION_UNCOMPRESSED)
		return ret;
	pub = make_key(NULL, peer);
	if (!pub)
		goto out;
	check = EVP_PKEY_CTX_new_from_pkey(NULL, pub, NULL);
	if (!check || EVP_PKEY_public_check(check) != 1)
		goto out;
	ret = -EIO;
	derive = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	if (derive && EVP_PKEY_derive_init(derive) == 1 &&
	    EVP_PKEY_derive_set_peer(derive, pub) == 1 &&
	    EVP_PKEY_derive(derive, z, &n) == 1 && n == 32)
		ret = 0;
out:
	EVP_PKEY_CTX_free(derive);
	EVP_PKEY_CTX_free(check);
	EVP_PKEY_free(pub);
	return ret;
}

int fw_hkdf(const struct fw_algs *algs, const uint8_t *ikm, size_t ikm_len, const uint8_t *info,
	    size_t info_len, uint8_t out[32])
{
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(algs->hkdf);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)ikm, ikm_len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)info, info_len),
		OSSL_PARAM_construct_end(),
	};
	int ret = ctx && EVP_KDF_derive(ctx, out, 32, params) == 1 ? 0 : -EIO;

	EVP_KDF_CTX_free(ctx);
	return ret;
}
