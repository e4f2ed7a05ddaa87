#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The main story with the stock aws command.
#
#	awscli.sh ENDPOINTS.JSON
set -u
[ $# = 1 ] || { echo "usage: $0 ENDPOINTS.JSON" >&2; exit 2; }
ends=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
aws=/usr/bin/aws
if [ ! -x $aws ] || ! command -v jq >/dev/null; then
	echo "1..0 # SKIP needs Debian's awscli and jq"
	exit 4
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
n=0 bad=0

get() { jq -er "$1" "$ends"; }

unset AWS_PROFILE AWS_SESSION_TOKEN
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true
export AWS_PAGER="" AWS_MAX_ATTEMPTS=1 no_proxy=localhost,127.0.0.1 NO_PROXY=localhost,127.0.0.1
AWS_DEFAULT_REGION=$(get .region)
AWS_CA_BUNDLE=$root/$(get .ca)
export AWS_DEFAULT_REGION AWS_CA_BUNDLE

# kms WHO WHERE ARGS...: WHO and WHERE are jq paths of a credential and of a place with a url.
kms()
{
	local who=$1 where=$2
	shift 2
	AWS_ACCESS_KEY_ID=$(get "$who.access_key_id") AWS_SECRET_ACCESS_KEY=$(get "$who.secret_access_key") \
		"$aws" --endpoint-url "$(get "$where.url")" --output json kms "$@" >"$tmp/out" 2>"$tmp/err"
}

result()
{
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		sed 's/^/# /' "$tmp/out" "$tmp/err"
		bad=1
	fi
}

# works TEXT WHO WHERE ARGS...
works() { local text=$1; shift; kms "$@"; result $? "$text"; }

# refused TEXT WORD WHO WHERE ARGS...: WORD (a basic regular expression) is in the error.
refused()
{
	local text=$1 word=$2 rc=0
	shift 2
	if kms "$@"; then rc=1; else grep -q -- "$word" "$tmp/err" || rc=1; fi
	result $rc "$text"
}

same() { cmp -s "$1" "$2"; result $? "$3"; }
blob() { jq -er "$1" "$tmp/out" | base64 -d >"$2"; }

acme=.accounts.acme initech=.accounts.initech gw=.gateway in=.instances.acme
printf 'salaries of November' >"$tmp/plain"

works "create-key --custom-key-store-id acme at the gateway" $acme $gw create-key --custom-key-store-id acme
key=$(jq -er .KeyMetadata.KeyId "$tmp/out") || { echo "1..$n"; exit 1; }
works "describe-key at the gateway" $acme $gw describe-key --key-id "$key"
[ "$(jq -r .KeyMetadata.CustomKeyStoreId "$tmp/out")" = acme ]
result $? "which says that the key is acme's"
works "encrypt at acme's endpoint" $in $in encrypt --key-id "$key" --plaintext "fileb://$tmp/plain" \
	--encryption-context month=november
blob .CiphertextBlob "$tmp/blob"
works "decrypt at acme's endpoint" $in $in decrypt --ciphertext-blob "fileb://$tmp/blob" \
	--encryption-context month=november
blob .Plaintext "$tmp/back"
same "$tmp/plain" "$tmp/back" "gives back what was encrypted"
refused "decrypt with another context" InvalidCiphertextException $in $in decrypt \
	--ciphertext-blob "fileb://$tmp/blob" --encryption-context month=december
works "generate-data-key at acme's endpoint" $in $in generate-data-key --key-id "$key" --key-spec AES_256
blob .CiphertextBlob "$tmp/blob"
blob .Plaintext "$tmp/data-key"
works "decrypt of the data key" $in $in decrypt --ciphertext-blob "fileb://$tmp/blob"
blob .Plaintext "$tmp/back"
same "$tmp/data-key" "$tmp/back" "gives the same data key"
works "list-keys at acme's endpoint" $in $in list-keys
jq -e --arg k "$key" '.Keys | any(.KeyId == $k)' "$tmp/out" >/dev/null
result $? "has the key"
refused "encrypt at the gateway: AccessDeniedException" AccessDeniedException $acme $gw encrypt \
	--key-id "$key" --plaintext "fileb://$tmp/plain"
grep -qF "$(get .instances.acme.url)" "$tmp/err"
result $? "which names acme's private endpoint"
refused "globex's credential at acme's endpoint" UnrecognizedClientException .instances.globex $in encrypt \
	--key-id "$key" --plaintext "fileb://$tmp/plain"
works "initech makes a key" $initech $gw create-key --description "no instance of its own"
key=$(jq -er .KeyMetadata.KeyId "$tmp/out")
works "and encrypts through the gateway" $initech $gw encrypt --key-id "$key" --plaintext "fileb://$tmp/plain"
blob .CiphertextBlob "$tmp/blob"
works "and decrypts" $initech $gw decrypt --ciphertext-blob "fileb://$tmp/blob"
blob .Plaintext "$tmp/back"
same "$tmp/plain" "$tmp/back" "what it encrypted"
echo "1..$n"
exit $bad
