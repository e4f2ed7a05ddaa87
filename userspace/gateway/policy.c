// SPDX-License-Identifier: Apache-2.0
#include "policy.h"

#include <stdio.h>

#define M HSM_CLASS_MANAGE
#define C HSM_CLASS_CRYPTO
#define S HSM_CLASS_STORAGE

static const struct policy_op ops[] = {
	{ "CancelKeyDeletion",			 M, false },
	{ "ConnectCustomKeyStore",		 M, false },
	{ "CreateAlias",			 M, false },
	{ "CreateCustomKeyStore",		 M, false },
	{ "CreateGrant",			 M, false },
	{ "CreateKey",				 M, true },
	{ "Decrypt",				 C, false },
	{ "DeleteAlias",			 M, false },
	{ "DeleteCustomKeyStore",		 M, false },
	{ "DeleteImportedKeyMaterial",		 M, false },
	{ "DeriveSharedSecret",			 C, false },
	{ "DescribeCustomKeyStores",		 M, false },
	{ "DescribeKey",			 M, false },
	{ "DisableKey",				 M, false },
	{ "DisableKeyRotation",			 M, false },
	{ "DisconnectCustomKeyStore",		 M, false },
	{ "EnableKey",				 M, false },
	{ "EnableKeyRotation",			 M, false },
	{ "Encrypt",				 C, false },
	{ "GenerateDataKey",			 C, false },
	{ "GenerateDataKeyPair",		 C, false },
	{ "GenerateDataKeyPairWithoutPlaintext", C, false },
	{ "GenerateDataKeyWithoutPlaintext",	 C, false },
	{ "GenerateMac",			 C, false },
	{ "GenerateRandom",			 C, false },
	{ "GetKeyLastUsage",			 M, false },
	{ "GetKeyPolicy",			 M, false },
	{ "GetKeyRotationStatus",		 M, false },
	{ "GetParametersForImport",		 M, false },
	{ "GetPublicKey",			 M, false },
	{ "ImportKeyMaterial",			 S, false },
	{ "ListAliases",			 M, false },
	{ "ListGrants",				 M, false },
	{ "ListKeyPolicies",			 M, false },
	{ "ListKeyRotations",			 M, false },
	{ "ListKeys",				 M, false },
	{ "ListResourceTags",			 M, false },
	{ "ListRetirableGrants",		 M, false },
	{ "PutKeyPolicy",			 M, false },
	{ "ReEncrypt",				 C, false },
	{ "ReplicateKey",			 S, false },
	{ "RetireGrant",			 M, false },
	{ "RevokeGrant",			 M, false },
	{ "RotateKeyOnDemand",			 M, false },
	{ "ScheduleKeyDeletion",		 M, false },
	{ "Sign",				 C, false },
	{ "TagResource",			 M, false },
	{ "UntagResource",			 M, false },
	{ "UpdateAlias",			 M, false },
	{ "UpdateCustomKeyStore",		 M, false },
	{ "UpdateKeyDescription",		 M, false },
	{ "UpdatePrimaryRegion",		 M, false },
	{ "Verify",				 C, false },
	{ "VerifyMac",				 C, false },
};

static const struct policy_op unknown = { "(unknown)", M, false };

const struct policy_op *policy_find(struct span name)
{
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (span_eq(name, ops[i].name))
			return &ops[i];
	return &unknown;
}

bool policy_forwards(enum hsm_class class)
{
	return class == HSM_CLASS_MANAGE;
}

void policy_refusal(const struct policy_op *op, struct span instance, struct span endpoint, char *out, size_t cap)
{
	const char *is = op->class == HSM_CLASS_STORAGE ? "moves key material" : "is a key computation";

	snprintf(out, cap, "%s %s; send it to the private endpoint of instance %.*s (%.*s)", op->name, is,
		 (int)instance.len, instance.p, (int)endpoint.len, endpoint.p);
}
