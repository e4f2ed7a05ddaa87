# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The main job on a fresh machine: two cards, a driver, tenants, real clients.

. tests/rig/stack.sh
# shellcheck disable=SC2086
need_packages $PKG_BUILD $PKG_VM $PKG_CLIENT
build_native
build_vm

[ ! -f "$RIG/mode" ] || { say "something is up already; taking it down first"; stack_down; }
say "booting a VM with two HSM cards, making pools, starting the daemons"
trap '[ ! -f "$RIG/mode" ] || stack_down' EXIT
stack_up vm

# Binary values go by file: versions 1 and 2 of the client differ in how they read them elsewhere.
D=$(mktemp -d)
trap 'rm -rf "$D"; [ ! -f "$RIG/mode" ] || stack_down' EXIT

STEP=0
step() { STEP=$((STEP + 1)); printf '\n\033[1m%d. %s\033[0m\n' "$STEP" "$*"; }
show() { printf '   $ %s\n' "$*"; }
indent() { sed 's/^/   /'; }

ep() { jq -r "$1" "$RIG/endpoints.json"; }
# aws_as KIND NAME URL ARGS...: the stock client with one of the credentials.
aws_as()
{
	local kind=$1 name=$2 url=$3
	shift 3
	AWS_ACCESS_KEY_ID=$(ep ".$kind.$name.access_key_id") \
	AWS_SECRET_ACCESS_KEY=$(ep ".$kind.$name.secret_access_key") \
	AWS_DEFAULT_REGION=$REGION AWS_CA_BUNDLE=$RIG/ca.pem AWS_PAGER="" AWS_MAX_ATTEMPTS=1 \
		aws --endpoint-url "$url" kms "$@"
}

live_cards() { vm_exec hsmctl --json card list | jq '[.cards[] | select(.state == "live")] | length'; }

GW=$(ep .gateway.url)
ACME=$(ep .instances.acme.url)

step "Two cards, and pools of queue pairs from both: one per tenant, one shared"
show hsmctl card list
vm_exec hsmctl card list | indent
[ "$(live_cards)" = 2 ] || die "two live cards should be there"
show hsmctl pool list
vm_exec hsmctl pool list | indent

step "Tenant acme creates a key on its own HSM pool: an unmodified aws client, at the gateway"
show "aws --endpoint-url $GW kms create-key --custom-key-store-id acme"
aws_as accounts acme "$GW" create-key --custom-key-store-id acme --description "demo" >"$RIG/demo.json"
jq .KeyMetadata "$RIG/demo.json" | indent
KEY=$(jq -r .KeyMetadata.KeyId "$RIG/demo.json")

step "It encrypts at acme's private endpoint, with acme's own credential"
printf 'attack at dawn' >"$D/plain"
show "aws --endpoint-url $ACME kms encrypt --key-id $KEY --plaintext fileb://plain --encryption-context purpose=demo"
CT=$(aws_as instances acme "$ACME" encrypt --key-id "$KEY" --plaintext "fileb://$D/plain" \
	--encryption-context purpose=demo --query CiphertextBlob --output text)
echo "$CT" | fold -w 76 | indent
echo "$CT" | base64 -d >"$D/blob"

step "and decrypts there"
PT=$(aws_as instances acme "$ACME" decrypt --ciphertext-blob "fileb://$D/blob" --encryption-context purpose=demo \
	--query Plaintext --output text | base64 -d)
echo "   $PT"
[ "$PT" = "attack at dawn" ] || die "decrypted to something else"

step "A data key for envelope encryption, generated in the card"
aws_as instances acme "$ACME" generate-data-key --key-id "$KEY" --key-spec AES_256 --query '[KeyId,CiphertextBlob]' --output text |
	cut -c1-120 | indent

# refused PATTERN CMD...
refused()
{
	local pattern=$1 out
	shift
	! out=$("$@" 2>&1) || die "that should have been refused"
	printf '%s\n' "$out" | sed '/^$/d' | fold -s -w 110 | indent
	[[ $out == *"$pattern"* ]] || die "refused, but not with $pattern"
}

step "The gateway refuses key computation for a dedicated key"
refused AccessDeniedException aws_as accounts acme "$GW" encrypt --key-id "$KEY" --plaintext "fileb://$D/plain"

step "Another tenant's credential is worth nothing at acme"
refused UnrecognizedClientException aws_as instances globex "$ACME" encrypt --key-id "$KEY" --plaintext "fileb://$D/plain"

step "Tenant initech owns no instance: the shared KMS serves it through the gateway, crypto included"
IKEY=$(aws_as accounts initech "$GW" create-key --query KeyMetadata.KeyId --output text)
printf hello >"$D/hello"
aws_as accounts initech "$GW" encrypt --key-id "$IKEY" --plaintext "fileb://$D/hello" --query CiphertextBlob --output text |
	base64 -d >"$D/hello.blob"
PT=$(aws_as accounts initech "$GW" decrypt --ciphertext-blob "fileb://$D/hello.blob" --query Plaintext --output text | base64 -d)
echo "   decrypted: $PT"
[ "$PT" = hello ] || die "decrypted to something else"

step "root outside acme's cgroup can't open its pool"
show "cat /dev/hsm/acme"
refused "not permitted" vm_exec cat /dev/hsm/acme

step "Card 0 is pulled out"
vm_surprise_remove card0
END=$((SECONDS + 30))
while [ "$(live_cards)" != 1 ]; do
	[ $SECONDS -lt $END ] || die "the driver still lists it after 30 s"
	sleep 0.5
done
PT=$(aws_as instances acme "$ACME" decrypt --ciphertext-blob "fileb://$D/blob" --encryption-context purpose=demo \
	--query Plaintext --output text | base64 -d)
echo "   still decrypts, on card 1: $PT"
[ "$PT" = "attack at dawn" ] || die "decrypted to something else"
vm_exec hsmctl pool list | indent

step "The kernel's log is clean"
vm_dmesg_check || die "the kernel complained"
echo "   no warning, no oops"

printf '\nDone. Try it yourself: ./rig up, then aws with the credentials of build/rig/endpoints.json\n'
