/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors of the AWS KMS API: one table of names and HTTP statuses, and the one
 * place where an errno or a card status becomes one of them.
 */
#ifndef HSM_APIERR_H
#define HSM_APIERR_H

#include <stddef.h>
#include <stdint.h>

/* X(enumerator, "Name", HTTP status) */
#define API_ERRORS(X)								\
	X(OK,			"",					200)	\
	X(MISSING_AUTH,		"MissingAuthenticationTokenException",	400)	\
	X(INCOMPLETE_SIGNATURE,	"IncompleteSignatureException",		400)	\
	X(INVALID_SIGNATURE,	"InvalidSignatureException",		400)	\
	X(UNRECOGNIZED_CLIENT,	"UnrecognizedClientException",		400)	\
	X(ACCESS_DENIED,	"AccessDeniedException",		400)	\
	X(SERIALIZATION,	"SerializationException",		400)	\
	X(UNKNOWN_OPERATION,	"UnknownOperationException",		400)	\
	X(VALIDATION,		"ValidationException",			400)	\
	X(NOT_FOUND,		"NotFoundException",			400)	\
	X(INVALID_ARN,		"InvalidArnException",			400)	\
	X(INVALID_CIPHERTEXT,	"InvalidCiphertextException",		400)	\
	X(INCORRECT_KEY,	"IncorrectKeyException",		400)	\
	X(INVALID_KEY_USAGE,	"InvalidKeyUsageException",		400)	\
	X(INVALID_MARKER,	"InvalidMarkerException",		400)	\
	X(UNSUPPORTED,		"UnsupportedOperationException",	400)	\
	X(KEY_STORE_NOT_FOUND,	"CustomKeyStoreNotFoundException",	400)	\
	X(LIMIT_EXCEEDED,	"LimitExceededException",		400)	\
	X(TOO_LARGE,		"RequestEntityTooLargeException",	413)	\
	X(THROTTLING,		"ThrottlingException",			400)	\
	X(INTERNAL,		"KMSInternalException",			500)	\
	X(DEPENDENCY_TIMEOUT,	"DependencyTimeoutException",		503)	\
	X(DRY_RUN,		"DryRunOperationException",		412)	\
	X(UNAVAILABLE,		"ServiceUnavailableException",		503)

enum api_error {
#define X(e, name, status) API_##e,
	API_ERRORS(X)
#undef X
};

const char *api_error_name(enum api_error e);
int api_error_status(enum api_error e);

/* Error of a pool command (err and status as given to hsm_cmd.done). */
enum api_error api_error_of_card(int err, uint16_t status);
/* Error of a route call. */
enum api_error api_error_of_route(int err);

/* {"__type":"Name","message":"..."} into out, message escaped.  Length, or -ENOSPC. */
int api_error_body(enum api_error e, const char *message, char *out, size_t cap);

#endif
