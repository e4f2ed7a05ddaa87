/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signed requests.  Named as in AWS's Signature Version 4 test suite where they are of
 * its kind (service "service"; get-vanilla and post-vanilla have the published signatures);
 * all computed with botocore 1.29.27 (Debian python3-botocore), botocore.auth.SigV4Auth.
 * Identifier AKIDEXAMPLE, secret below, time 2015-08-30 12:36:00 UTC.
 */
#ifndef HSM_SIGV4_VECTORS_H
#define HSM_SIGV4_VECTORS_H

#define VECTOR_SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define VECTOR_TIME 1440938160

static const struct vector {
	const char *name, *region, *text;
} vectors[] = {
	{ "get-vanilla", "us-east-1",
	  "GET / HTTP/1.1\r\n"
	  "Host: example.amazonaws.com\r\n"
	  "X-Amz-Date: 20150830T123600Z\r\n"
	  "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
	  "SignedHeaders=host;x-amz-date, "
	  "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31\r\n"
	  "\r\n" },
	{ "post-vanilla", "us-east-1",
	  "POST / HTTP/1.1\r\n"
	  "Host: example.amazonaws.com\r\n"
	  "X-Amz-Date: 20150830T123600Z\r\n"
	  "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
	  "SignedHeaders=host;x-amz-date, "
	  "Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b\r\n"
	  "\r\n" },
	{ "get-vanilla-query-order-key-case", "us-east-1",
	  "GET /?Param2=value2&Param1=value1 HTTP/1.1\r\n"
	  "Host: example.amazonaws.com\r\n"
	  "X-Amz-Date: 20150830T123600Z\r\n"
	  "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
	  "SignedHeaders=host;x-amz-date, "
	  "Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500\r\n"
	  "\r\n" },
	{ "get-vanilla-query-order-value", "us-east-1",
	  "GET /?Param1=value2&Param1=value1&B&A= HTTP/1.1\r\n"
	  "Host: example.amazonaws.com\r\n"
	  "X-Amz-Date: 20150830T123600Z\r\n"
	  "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
	  "SignedHeaders=host;x-amz-date, "
	  "Signature=5a4f99eb1c29fafb7af3070d7ade2e5d0391346ad6b619e2530ac1ea770a9389\r\n"
	  "\r\n" },
	{ "get-vanilla-query-unreserved", "us-east-1",
	  "GET /?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz HTTP/1.1\r\n"
	  "Host: example.amazonaws.com\r\n"
	  "X-Amz-Date: 20150830T123600Z\r\n"
	  "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
	  "SignedHeaders=host;x-amz-date, "
	  "Signature=9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197\r\n"
	  "\r\n" },
	{ "get-vanilla-utf8-query", "us-east-1",
	  "GET /?%E1%88%B4=bar%20baz HTTP/1.1\r\n"
	  "Host: example.amazonaws.com\r\n"
	  "X-Amz-Date: 20150830T123600Z\r\n"
	  "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
	  "SignedHeaders=host;x-amz-date, "
	  "Signature=bb0ddc252adfc7f2181e445c84563e3bb1c7869f74bddc29efe88ba8d7b1218d\r\n"
	  "\r\n" },
	{ "get-utf8 (path encoded by the client)", "us-east-1",
	  "GET /%E1%88%B4/a%20b HTTP/1.1\r\n"
	  "Host: example.amazonaws.com\r\n"
	  "X-Amz-Date: 20150830T123600Z\r\n"
	  "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
	  "SignedHeaders=host;x-amz-date, "
	  "Signature=9ce58cc1ce2cc3a2388a68b96ac805167dcfc7d34fcd030c5c079032d80be1b3\r\n"
	  "\r\n" },
	{ "get-relative", "us-east-1",
	  "GET /example/.. HTTP/1.1\r\n"
	  "Host: example.amazonaws.com\r\n"
	  "X-Amz-Date: 20150830T123600Z\r\n"
	  "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
	  "SignedHeaders=host;x-amz-date, "
	  "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31\r\n"
	  "\r\n" },
	{ "get-relative-relative", "us-east-1",
	  "GET /example1/example2/../.. HTTP/1.1\r\n"
	  "Host: example.amazonaws.com\r\n"
	  "X-Amz-Date: 20150830T123600Z\r\n"
	  "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
	  "SignedHeaders=host;x-amz-date, "
	  "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31\r\n"
	  "\r\n" },
	{ "get-slash-dot-slash", "us-east-1",
	  "GET /./ HTTP/1.1\r\n"
	  "Host: example.amazonaws.com\r\n"
	  "X-Amz-Date: 20150830T123600Z\r\n"
	  "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
	  "SignedHeaders=host;x-amz-date, "
	  "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31\r\n"
	  "\r\n" },
	{ "get-slash-pointless-dot", "us-east-1",
	  "GET /./example HTTP/1.1\r\n"
	  "Host: example.amazonaws.com\r\n"
	  "X-Amz-Date: 20150830T123600Z\r\n"
	  "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
	  "SignedHeaders=host;x-amz-date, "
	  "Signature=ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5\r\n"
	  "\r\n" },
	{ "get-slashes", "us-east-1",
	  "GET //example// HTTP/1.1\r\n"
	  "Host: example.amazonaws.com\r\n"
	  "X-Amz-Date: 20150830T123600Z\r\n"
	  "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
	  "SignedHeaders=host;x-amz-date, "
	  "Signature=9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84\r\n"
	  "\r\n" },
	{ "path beyond the root", "us-east-1",
	  "GET /../../a/.././b/ HTTP/1.1\r\n"
	  "Host: example.amazonaws.com\r\n"
	  "X-Amz-Date: 20150830T123600Z\r\n"
	  "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
	  "SignedHeaders=host;x-amz-date, "
	  "Signature=0b867cc1c01088741ef3c5175a9b8aae7f8e4e32ba46aff9ac2bfc25bbf5791e\r\n"
	  "\r\n" },
	{ "post-header-key-sort", "us-east-1",
	  "POST / HTTP/1.1\r\n"
	  "Host: example.amazonaws.com\r\n"
	  "My-Header1: value1\r\n"
	  "X-Amz-Date: 20150830T123600Z\r\n"
	  "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
	  "SignedHeaders=host;my-header1;x-amz-date, "
	  "Signature=c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c\r\n"
	  "\r\n" },
	{ "post-header-value-case", "us-east-1",
	  "POST / HTTP/1.1\r\n"
	  "Host: example.amazonaws.com\r\n"
	  "My-Header1: VALUE1\r\n"
	  "X-Amz-Date: 20150830T123600Z\r\n"
	  "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
	  "SignedHeaders=host;my-header1;x-amz-date, "
	  "Signature=cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d\r\n"
	  "\r\n" },
	{ "get-header-value-trim", "us-east-1",
	  "GET / HTTP/1.1\r\n"
	  "Host: example.amazonaws.com\r\n"
	  "My-Header1:   value1 \r\n"
	  "My-Header2:  \"a   b   c\" \r\n"
	  "X-Amz-Date: 20150830T123600Z\r\n"
	  "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
	  "SignedHeaders=host;my-header1;my-header2;x-amz-date, "
	  "Signature=acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736\r\n"
	  "\r\n" },
	{ "tabs and runs of spaces", "us-east-1",
	  "GET / HTTP/1.1\r\n"
	  "Host: example.amazonaws.com\r\n"
	  "My-Header1: a \t b\tc\r\n"
	  "X-Amz-Date: 20150830T123600Z\r\n"
	  "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
	  "SignedHeaders=host;my-header1;x-amz-date, "
	  "Signature=6ff6bc3cebca8811504dc903f3a072c310d9f48f8ee5c0b08115052209439e1b\r\n"
	  "\r\n" },
	{ "empty value", "us-east-1",
	  "GET / HTTP/1.1\r\n"
	  "Host: example.amazonaws.com\r\n"
	  "My-Header1: \r\n"
	  "X-Amz-Date: 20150830T123600Z\r\n"
	  "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
	  "SignedHeaders=host;my-header1;x-amz-date, "
	  "Signature=8691850dd38d072764229f10d3134e1a5b72c1fda6672468ed803a44e7de1f77\r\n"
	  "\r\n" },
	{ "get-header-key-duplicate", "us-east-1",
	  "GET / HTTP/1.1\r\n"
	  "Host: example.amazonaws.com\r\n"
	  "My-Header1: value2\r\n"
	  "My-Header1: value2\r\n"
	  "My-Header1: value1\r\n"
	  "X-Amz-Date: 20150830T123600Z\r\n"
	  "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
	  "SignedHeaders=host;my-header1;x-amz-date, "
	  "Signature=c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea\r\n"
	  "\r\n" },
	{ "post-x-www-form-urlencoded", "us-east-1",
	  "POST / HTTP/1.1\r\n"
	  "Host: example.amazonaws.com\r\n"
	  "Content-Type: application/x-www-form-urlencoded\r\n"
	  "X-Amz-Date: 20150830T123600Z\r\n"
	  "Content-Length: 13\r\n"
	  "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
	  "SignedHeaders=content-type;host;x-amz-date, "
	  "Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a\r\n"
	  "\r\n"
	  "Param1=value1" },
	{ "kms ListKeys", "local-1",
	  "POST / HTTP/1.1\r\n"
	  "Host: localhost:8443\r\n"
	  "X-Amz-Target: TrentService.ListKeys\r\n"
	  "Content-Type: application/x-amz-json-1.1\r\n"
	  "X-Amz-Date: 20150830T123600Z\r\n"
	  "Content-Length: 2\r\n"
	  "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/local-1/kms/aws4_request, "
	  "SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
	  "Signature=9be2fa4916065d50f0d1ea7d96681fa1073ff4650808131670d82bedb60d7ebf\r\n"
	  "\r\n"
	  "{}" },
	{ "kms Encrypt", "local-1",
	  "POST / HTTP/1.1\r\n"
	  "Host: localhost:8443\r\n"
	  "X-Amz-Target: TrentService.Encrypt\r\n"
	  "Content-Type: application/x-amz-json-1.1\r\n"
	  "User-Agent: aws-cli/2.9.19 Python/3.11.2\r\n"
	  "X-Amz-Date: 20150830T123600Z\r\n"
	  "Content-Length: 74\r\n"
	  "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/local-1/kms/aws4_request, "
	  "SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
	  "Signature=199bd94bc0c49cee76823aec81b6f7ca050c4e40c04df2dfd7d0849e720b0449\r\n"
	  "\r\n"
	  "{\"KeyId\": \"11111111-2222-4333-8444-555555555555\", \"Plaintext\": \"aGVsbG8=\"}" },
	{ "kms, hash of the body signed", "local-1",
	  "POST / HTTP/1.1\r\n"
	  "Host: localhost:8443\r\n"
	  "X-Amz-Target: TrentService.ListKeys\r\n"
	  "X-Amz-Content-SHA256: 44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\r\n"
	  "X-Amz-Date: 20150830T123600Z\r\n"
	  "Content-Length: 2\r\n"
	  "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/local-1/kms/aws4_request, "
	  "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-target, "
	  "Signature=7f9cef232510920675763da88ae221b18a382e8d926078d584c509a77ef78a2b\r\n"
	  "\r\n"
	  "{}" },
};

#endif
