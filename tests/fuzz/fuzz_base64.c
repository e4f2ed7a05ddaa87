// SPDX-License-Identifier: Apache-2.0
/* What decodes has exactly one text: encoding gives it back. */
#include <stdlib.h>
#include <string.h>

#include "base64.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	size_t cap = BASE64_DECODED(size);
	unsigned char *out = malloc(cap + 1);
	char *text = malloc(size + 1);
	ssize_t len;

	if (!out || !text)
		abort();
	len = base64_decode((const char *)data, size, out, cap);
	if (len >= 0) {
		if (base64_encode(out, (size_t)len, text) != size || memcmp(text, data, size))
			abort();
		if (len && base64_decode((const char *)data, size, out, (size_t)len - 1) >= 0)
			abort();
	}
	free(out);
	free(text);
	return 0;
}
