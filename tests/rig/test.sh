# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Everything that CI runs.  Every suite prints TAP into build/test/<suite>.log; the lines are counted here.
#
#	./rig test [SUITE...]		only these

LOGS=$ROOT/build/test
export CMOCKA_MESSAGE_OUTPUT=TAP
export HSM_RIG_DIR=$ROOT/build/test-rig	# not the rig that somebody may be using
RIG=$HSM_RIG_DIR
mkdir -p "$LOGS" "$RIG"
PASSED=0 FAILED=0 SKIPPED=0
ONLY="$*"
SKIPPED_TEST='^[[:space:]]*ok [0-9]+.*# *[Ss][Kk][Ii][Pp]'
SKIPPED_FILE='^[[:space:]]*1\.\.0 *# *[Ss][Kk][Ii][Pp]'	# the plan of a program that does nothing
START=$(date +%s)

. tests/rig/stack.sh

wanted() { [ -z "$ONLY" ] || [[ " $ONLY " == *" $1 "* ]]; }

# suite NAME SECONDS CMD...: runs it under a time limit and counts what it says.
suite()
{
	local name=$1 limit=$2 log=$LOGS/$1.log rc=0 p f s t0
	shift 2
	wanted "$name" || return 0
	t0=$(date +%s)
	say "$name ..."
	attended timeout --kill-after=60 "$limit" "$@" >"$log" 2>&1 </dev/null || rc=$?
	p=$(grep -cE '^[[:space:]]*ok [0-9]+' "$log") || true
	f=$(grep -cE '^[[:space:]]*not ok [0-9]+' "$log") || true
	s=$(grep -cE "$SKIPPED_TEST" "$log") || true
	p=$((p - s))
	s=$((s + $(grep -cE "$SKIPPED_FILE" "$log" || true)))
	if [ $rc = 124 ] || [ $rc = 137 ]; then
		echo "not ok - $name: no end after $limit s" | tee -a "$log"
		f=$((f + 1))
	elif [ $rc -ne 0 ] && [ "$f" = 0 ]; then
		echo "not ok - $name: exit status $rc" | tee -a "$log"
		f=1
	elif [ $((p + f + s)) = 0 ]; then
		echo "not ok - $name: said nothing that can be counted" | tee -a "$log"
		f=1
	fi
	PASSED=$((PASSED + p)) FAILED=$((FAILED + f)) SKIPPED=$((SKIPPED + s))
	printf '%-16s %4d passed %3d failed %3d skipped  %4d s\n' "$name" "$p" "$f" "$s" $(($(date +%s) - t0))
	grep -E "$SKIPPED_TEST|$SKIPPED_FILE" "$log" | sed 's/^/    skipped: /' || true
	if [ "$f" != 0 ]; then
		grep -m 30 -E '^[[:space:]]*not ok' "$log" | sed 's/^/    /'
		echo "    the last lines of build/test/$name.log:"
		tail -n 25 "$log" | sed 's/^/    | /'
	fi
}

# shellcheck disable=SC2086
need_packages $PKG_BUILD $PKG_VM $PKG_CLIENT $PKG_TEST
build_native
build_vm
if wanted driver-debug; then
	say "getting a kernel with KASAN, lockdep and kmemleak; the first time it is built"
	attended tests/vm/build-kernel.sh >/dev/null || say "no such kernel: driver-debug will fail"
fi

# What an interrupted suite left running.
trap '[ ! -f "$RIG/mode" ] || stack_down' EXIT

suite units 900 tests/rig/suite.sh units
suite lint 120 tests/rig/suite.sh lint
suite fuzz 600 tests/rig/suite.sh fuzz
suite kms 300 tests/rig/suite.sh kms
suite story-native 900 tests/rig/suite.sh story native
suite module 600 tests/rig/suite.sh module
suite card 300 tests/rig/suite.sh card
suite demo 300 tests/rig/suite.sh demo
suite driver 900 tests/rig/suite.sh driver debian
suite driver-debug 1500 tests/rig/suite.sh driver debug
suite story-vm 900 tests/rig/suite.sh story vm

say "$(($(date +%s) - START)) s; logs in build/test"
echo "$PASSED passed, $FAILED failed, $SKIPPED skipped"
[ "$FAILED" = 0 ] && [ "$PASSED" -gt 0 ]
