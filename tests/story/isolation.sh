#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What keeps tenants apart, and what a daemon leaves behind when it dies.
#
#	isolation.sh ENDPOINTS.JSON
#
#	root cgroup --x--> /dev/hsm/acme <--- cgroup hsm-acme
#	cgroup hsm-globex --x--^
#
# In the VM it ends with the daemons stopped and the driver unloaded and loaded
# again, without pools: the caller restarts the rig.
set -u
[ $# = 1 ] || { echo "usage: $0 ENDPOINTS.JSON" >&2; exit 2; }
cd "$(dirname "$0")/../.."
ends=$(readlink -f "$1")
export HSM_RIG_DIR=${ends%/*} HSM_VM_DIR=${ends%/*}/vm/machine PYTHONDONTWRITEBYTECODE=1
mode=$(jq -er .mode "$ends") run=$(jq -er .run "$ends") || exit 1
n=0 bad=0

ok()
{
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		[ -z "${3-}" ] || printf '%s\n' "$3" | sed 's/^/# /'
		bad=1
	fi
}

skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }

rss() { ./rig exec sh -c "sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' /proc/\$(cat $run/$1.pid)/status"; }

small()
{
	local kib
	kib=$(rss "$1")
	[ -n "$kib" ] && [ "$kib" -gt 0 ] && [ "$kib" -le $(($2 * 1024)) ]
	ok $? "$1 idles in ${kib:-?} KiB, at most $2 MiB"
}

# opens CGROUP: root in that cgroup opens /dev/hsm/acme; its words are in $said.
opens()
{
	said=$(./rig exec sh -c "echo \$\$ >/sys/fs/cgroup/$1/cgroup.procs && exec 3<>/dev/hsm/acme && echo opened" 2>&1)
}

# One DescribeKey of acme's key at the gateway: "<seconds> <HTTP status> <error>".
describe()
{
	/usr/bin/python3 - "$ends" "$key" <<'EOF'
import sys, time
sys.path.insert(0, "tests/story")
from kit import ClientError, Rig
rig = Rig(sys.argv[1])
gw = rig.gateway("acme", timeout=20)
try:
    gw.list_keys(Limit=1)	# the connection, and the shared KMS, stand
    t = time.monotonic()
    gw.describe_key(KeyId=sys.argv[2])
    print("%.3f 200" % (time.monotonic() - t))
except ClientError as e:
    print("%.3f %d %s" % (time.monotonic() - t, e.response["ResponseMetadata"]["HTTPStatusCode"],
                          e.response["Error"]["Code"]))
EOF
}

# Idle: after a quiet second the daemons give back what a burst left.
sleep 3
for d in shared acme globex; do small hsm-kms-$d 16; done
small hsm-gateway 12

if [ "$mode" = vm ]; then
	opens hsm-acme
	ok $? "root inside acme's cgroup opens /dev/hsm/acme" "$said"
	for cg in . hsm-globex hsm-gateway; do
		opens $cg
		[ $? != 0 ] && [[ $said == *"/dev/hsm/acme"*"Operation not permitted"* ]]
		ok $? "root in cgroup $cg: EPERM" "$said"
	done
	said=$(./rig exec sh -c "
		for d in acme globex shared; do
			echo \$d \$(stat -c %u /proc/\$(cat $run/hsm-kms-\$d.pid)) \$(tail -n 1 /proc/\$(cat $run/hsm-kms-\$d.pid)/cgroup)
		done" 2>&1)
	[ "$(printf '%s\n' "$said" | awk '$2 != 0 { print $2, $3 }' | sort -u | wc -l)" = 3 ]
	ok $? "each KMS has a user and a cgroup of its own, none is root" "$said"
else
	skip "root outside acme's cgroup is refused" "no driver natively"
fi

said=$(./rig exec sh -c "for p in $run/*.pid; do grep -H '' /proc/\$(cat \$p)/limits | grep 'core file'; done" 2>&1)
[ "$(printf '%s\n' "$said" | awk '{ print $(NF-2), $(NF-1) }' | sort -u)" = "0 0" ]
ok $? "no daemon may leave a core file" "$said"

key=$(/usr/bin/python3 - "$ends" <<'EOF'
import sys
sys.path.insert(0, "tests/story")
from kit import Rig
print(Rig(sys.argv[1]).gateway("acme").create_key(CustomKeyStoreId="acme")["KeyMetadata"]["KeyId"])
EOF
)
said=$(describe 2>&1)
[[ $said == *" 200" ]]
ok $? "the gateway reaches acme ($said)" "$said"
./rig exec sh -c "kill -9 \$(cat $run/hsm-kms-acme.pid)"
for when in first second; do
	said=$(describe 2>&1)
	[[ $said == 0.*" 503 "* ]]
	ok $? "acme is dead: 503 at once, $when request ($said)" "$said"
done
said=$(./rig restart acme 2>&1)
ok $? "./rig restart acme" "$said"
said=$(describe 2>&1)
[[ $said == *" 200" ]]
ok $? "the gateway reaches acme again ($said)" "$said"

if [ "$mode" = vm ]; then
	said=$(tests/vm/vm-dmesg-check 2>&1)
	ok $? "dmesg is clean" "$said"
	said=$(./rig exec rmmod hsm 2>&1)
	[ $? != 0 ]
	ok $? "the driver can't be unloaded while a KMS uses it" "$said"
	said=$(./rig exec sh -c "
		for p in $run/*.pid; do kill -TERM \$(cat \$p); done
		for p in $run/*.pid; do
			i=0
			while kill -0 \$(cat \$p) 2>/dev/null; do
				i=\$((i + 1)); [ \$i -lt 100 ] || exit 1
				sleep 0.1
			done
			rm \$p
		done" 2>&1)
	ok $? "SIGTERM ends each daemon within 10 s" "$said"
	said=$(./rig exec sh -c "rmmod hsm && ! grep -q '^hsm ' /proc/modules && [ ! -e /dev/hsm/acme ]" 2>&1)
	ok $? "rmmod works then, and takes /dev/hsm along" "$said"
	said=$(./rig exec sh -c "insmod /lib/hsm/hsm.ko && sleep 1 && hsmctl --json card list" 2>&1)
	[ "$(jq '[.cards[] | select(.state == "live")] | length' <<<"$said")" = 2 ]
	ok $? "it loads again and finds the cards" "$said"
	said=$(tests/vm/vm-dmesg-check 2>&1)
	ok $? "dmesg is still clean" "$said"
else
	skip "rmmod after the daemons stopped" "no driver natively"
fi
echo "1..$n"
exit $bad
