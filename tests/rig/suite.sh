#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# One suite of `./rig test`, TAP on stdout.  Started by tests/rig/test.sh, which
# has built everything and set HSM_RIG_DIR; also by hand:
#
#	tests/rig/suite.sh units | lint | fuzz | kms | module | card | demo | driver debian|debug | story native|vm
set -u
cd "$(dirname "$(readlink -f "$0")")/../.."
ROOT=$PWD
RIG=$(readlink -m "${HSM_RIG_DIR:-$ROOT/build/test-rig}")
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/hsm-rig
export ROOT RIG CACHE HSM_RIG_DIR=$RIG
. tests/rig/common.sh

N=0 BAD=0
# check TEXT CMD...: one TAP line from an exit status.
check()
{
	local text=$1 rc=0
	shift
	N=$((N + 1))
	"$@" || rc=$?
	if [ $rc = 0 ]; then
		echo "ok $N - $text"
	else
		echo "not ok $N - $text (exit status $rc)"
		BAD=1
	fi
	return $rc
}

# run CMD...: a program that prints TAP itself; its failure is ours.
run()
{
	local rc=0
	"$@" || rc=$?
	case $rc in
	0|4) ;;
	*)
		N=$((N + 1))
		echo "not ok $N - $* (exit status $rc)"
		BAD=1
		;;
	esac
}

units()
{
	check "unit tests under ASan and UBSan" make -k -j"$(nproc)" SAN=1 check
}

# none GREP...: grep finds nothing; an error of its own is no such thing.
none()
{
	local rc=0
	"$@" || rc=$?
	[ $rc = 1 ]
}

parse() { local f rc=0; for f in "$@"; do bash -n "$f" || rc=1; done; return $rc; }

licensed()
{
	local out
	out=$(grep -rIL --exclude='.*' --exclude='*.mod*' --exclude-dir=__pycache__ SPDX-License-Identifier "$@" 2>&1)
	[ -z "$out" ] || { printf '%s\n' "$out"; return 1; }
}

lint()
{
	local f code="userspace qemu-hsm driver"
	for f in Documentation/man/*.[0-9]; do
		check "man page $f" mandoc -T lint -W warning "$f"
	done
	check "shell scripts parse" parse rig .ci/run tests/*/*.sh tests/vm/init tests/vm/poweroff \
		tests/vm/vm-up tests/vm/vm-down tests/vm/vm-exec tests/vm/vm-dmesg-check qemu-hsm/*.sh
	# shellcheck disable=SC2086
	check "no unbounded string functions" none \
		grep -rnE --include='*.[ch]' '\b(strcpy|strcat|sprintf|gets|alloca)\(' $code
	check "secrets are compared in constant time" none \
		grep -rniE --include='*.[ch]' '[^_](mem|str)n?cmp\([^;]*(secret|signature|hmac|\btag\b)' userspace qemu-hsm
	# shellcheck disable=SC2086
	check "every source names its licence" licensed $code uapi tests Documentation README.md rig Kbuild Makefile .ci/run
}

fuzz()
{
	local t name seconds=${FUZZ_SECONDS:-20}
	check "fuzz targets build" make -j"$(nproc)" fuzz || return
	for t in build/fuzz/fuzz_*; do
		[ -x "$t" ] && [ -f "$t" ] || continue
		case $t in *.d|*.o) continue ;; esac
		name=${t##*/}
		mkdir -p "build/fuzz/corpus/$name"
		check "$name, $seconds s" "$t" -max_total_time="$seconds" -max_len=65536 -timeout=10 -rss_limit_mb=2048 \
			-print_final_stats=1 -artifact_prefix="build/fuzz/$name-" "build/fuzz/corpus/$name"
	done
}

kms()
{
	run /usr/bin/python3 tests/kms/e2e.py build
}

# module_builds KERNEL'S-NAME KDIR: from nothing, and nothing of the build warns.
module_builds()
{
	local log=build/module-$1.log
	rm -rf "build/warn/$1"
	make module B="build/warn/$1" KDIR="$2" >"$log" 2>&1 || { cat "$log"; return 1; }
	! grep -i warning "$log" | grep -v 'the compiler differs'
}

module()
{
	local hdr
	hdr=$(tests/vm/get-kernel.sh)/build || { check "headers of Debian's kernel" false; return; }
	check "hsm.ko builds for Debian's 6.1 with W=1 and no warning" module_builds 6.1 "$hdr"
	hdr=$(tests/driver/headers-6.12.sh) || { check "headers of Debian's 6.12 backport" false; return; }
	check "hsm.ko builds for Debian's 6.12 backport with W=1 and no warning" module_builds 6.12 "$hdr"
}

# Its folder and driver's are their own: the rig keeps keys in $RIG/vm.
card()
{
	HSM_VM_DIR=$RIG/card run tests/vm/hwtest.sh
}

demo()
{
	./rig reset
	check "rig demo" ./rig demo
}

driver()
{
	rm -rf "$RIG/driver"
	HSM_VM_DIR=$RIG/driver run tests/driver/run.sh "$1"
}

story()
{
	local e=$RIG/endpoints.json flag="" saved=$RIG/yesterday.json
	export HSM_VM_DIR=$RIG/vm/machine
	[ "$1" = vm ] || flag=--native
	[ ! -f "$RIG/mode" ] || ./rig down
	./rig reset
	# shellcheck disable=SC2086
	check "rig up $flag" ./rig up $flag || return
	run /usr/bin/python3 tests/story/api.py "$e"
	run bash tests/story/awscli.sh "$e"
	run /usr/bin/python3 tests/story/restart.py before "$e" "$saved"
	[ "$1" = native ] || check "dmesg is clean" tests/vm/vm-dmesg-check
	check "rig down" ./rig down
	# shellcheck disable=SC2086
	check "rig up $flag again" ./rig up $flag || return
	run /usr/bin/python3 tests/story/restart.py after "$e" "$saved"
	run /usr/bin/python3 tests/story/crash.py "$e"
	[ "$1" = vm ] || run bash tests/story/fulldisk.sh
	run bash tests/story/isolation.sh "$e"
	if [ "$1" = vm ]; then
		check "rig down before the cards are pulled" ./rig down
		check "rig up before the cards are pulled" ./rig up || return
		run /usr/bin/python3 tests/story/pull.py "$e"
	fi
	check "rig down at the end" ./rig down
}

"$@"
exit $BAD
