// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include <hsm_cmd.h>

#include "awsops.h"

#define M HSM_CLASS_MANAGE
#define C HSM_CLASS_CRYPTO
#define S HSM_CLASS_STORAGE

/* In strcmp() order. */
static const struct aws_op ops[] = {
	{ "CancelKeyDeletion", M },
	{ "ConnectCustomKeyStore", M },
	{ "CreateAlias", M },
	{ "CreateCustomKeyStore", M },
	{ "CreateGrant", M },
	{ "CreateKey", M },
	{ "Decrypt", C },
	{ "DeleteAlias", M },
	{ "DeleteCustomKeyStore", M },
	{ "DeleteImportedKeyMaterial", S },
	{ "DeriveSharedSecret", C },
	{ "DescribeCustomKeyStores", M },
	{ "DescribeKey", M },
	{ "DisableKey", M },
	{ "DisableKeyRotation", M },
	{ "DisconnectCustomKeyStore", M },
	{ "EnableKey", M },
	{ "EnableKeyRotation", M },
	{ "Encrypt", C },
	{ "GenerateDataKey", C },
	{ "GenerateDataKeyPair", C },
	{ "GenerateDataKeyPairWithoutPlaintext", C },
	{ "GenerateDataKeyWithoutPlaintext", C },
	{ "GenerateMac", C },
	{ "GenerateRandom", C },
	{ "GetKeyLastUsage", M },
	{ "GetKeyPolicy", M },
	{ "GetKeyRotationStatus", M },
	{ "GetParametersForImport", S },
	{ "GetPublicKey", M },
	{ "ImportKeyMaterial", S },
	{ "ListAliases", M },
	{ "ListGrants", M },
	{ "ListKeyPolicies", M },
	{ "ListKeyRotations", M },
	{ "ListKeys", M },
	{ "ListResourceTags", M },
	{ "ListRetirableGrants", M },
	{ "PutKeyPolicy", M },
	{ "ReEncrypt", C },
	{ "ReplicateKey", S },
	{ "RetireGrant", M },
	{ "RevokeGrant", M },
	{ "RotateKeyOnDemand", M },
	{ "ScheduleKeyDeletion", M },
	{ "Sign", C },
	{ "TagResource", M },
	{ "UntagResource", M },
	{ "UpdateAlias", M },
	{ "UpdateCustomKeyStore", M },
	{ "UpdateKeyDescription", M },
	{ "UpdatePrimaryRegion", M },
	{ "Verify", C },
	{ "VerifyMac", C },
};

static int compare(const void *key, const void *elem)
{
	const struct span *s = key;
	const char *name = ((const struct aws_op *)elem)->name;
	size_t len = strlen(name);
	/* Not strncmp(): the span may hold a NUL. */
	int c = memcmp(s->p, name, s->len < len ? s->len : len);

	return c ? c : (s->len > len) - (s->len < len);
}

const struct aws_op *aws_op_find(struct span target)
{
	static const char prefix[] = "TrentService.";
	const size_t n = sizeof(prefix) - 1;

	if (target.len <= n || memcmp(target.p, prefix, n))
		return NULL;
	target.p += n;
	target.len -= n;
	return bsearch(&target, ops, sizeof(ops) / sizeof(ops[0]), sizeof(ops[0]), compare);
}
