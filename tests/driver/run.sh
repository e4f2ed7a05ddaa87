#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run.sh [debug]: the driver's tests in a VM of their own, on Debian's kernel or
# on the debug kernel (KASAN, lockdep, kmemleak); the kernel's log is looked at
# after each.  TAP on stdout, a summary at the end.  TESTS="exec stall:busy" and
# the like names a few.  HSM_VM_DIR is made and removed unless it is given.
set -u
cd "$(dirname "$0")/../.."

case ${1:-} in
debug) kernel=${HSM_KERNEL:-$(tests/vm/build-kernel.sh)} slow=5 ;;
*) kernel=${HSM_KERNEL:-$(tests/vm/get-kernel.sh)} slow=1 ;;
esac
[ -n "$kernel" ] || exit 1

given=${HSM_VM_DIR:-}
HSM_VM_DIR=${given:-$(mktemp -d)}
export HSM_VM_DIR
B=${B:-build}
log=$HSM_VM_DIR/test.log
mkdir -p "$HSM_VM_DIR"
cleanup()
{
	tests/vm/vm-down >&2 || true
	[ -n "$given" ] || rm -rf "$HSM_VM_DIR"
}
trap cleanup EXIT

make -s B="$B" driver-tests build/hsm.so >&2 || exit 1
ko=$(make -s B="$B" module KDIR="$(readlink -f "$kernel/build")" | tail -n 1)
[ -f "$ko" ] || { echo "Bail out! the module does not build"; exit 1; }
ko=$(readlink -f "$ko")

vm() { tests/vm/vm-exec "$@"; }
qmp() { tests/vm/vm-qmp "$@" >/dev/null; }
hang() { qmp qom-set path=/machine/peripheral/card0 property=hang value="$1" &&
	 qmp qom-set path=/machine/peripheral/card1 property=hang value="$1"; }

# no5lvl: while 6.1 with KASAN patches itself for 5-level paging an early interrupt
# makes it report itself, and lockdep is off from then on.
boot()
{
	tests/vm/vm-down >/dev/null 2>&1 || true
	tests/vm/mkinitramfs.sh -o "$HSM_VM_DIR/initramfs" -k "$kernel" -x "$ko" \
		"$B/driver-tests:usr/lib/hsm-tests" &&
	tests/vm/vm-up -k "$kernel" -i "$HSM_VM_DIR/initramfs" -t 300 -a no5lvl
}

# A look for leaks takes a minute on the debug kernel: there it comes once, with the
# whole log, before the cards are pulled.  pciehp of 6.1 takes its reset_lock inside
# the rescan lock and outside: that report is not the driver's (and turns lockdep off).
kernel_log()
{
	[ "$slow" != 1 ] || { tests/vm/vm-dmesg-check </dev/null; return; }
	vm dmesg </dev/null | awk '
		/possible circular/ { held = $0; next }
		held && /trying to acquire/ { if (!/-pciehp\//) { print held; bad = 1 } held = "" }
		/BUG:|UBSAN:|INFO: (task|rcu|trying)|possible recursive|DMA-API: .*driver/ ||
			/WARNING: [^p]/ { print; bad = 1 }
		END { exit bad }'
}

passed=0 failed=0 skipped=0
# verdict NAME: counts the TAP in $log, and the exit status $2 and the kernel's log as points.
verdict()
{
	local ok not

	sed "s/^/    /" "$log"
	ok=$(grep -c '^ok' "$log")
	not=$(grep -c '^not ok' "$log")
	[ "$2" != 4 ] || skipped=$((skipped + 1))
	if [ "$not" = 0 ] && [ "$2" != 0 ] && [ "$2" != 4 ]; then
		not=1
		echo "not ok - $1: exit status $2"
	fi
	if kernel_log >"$log.kernel" 2>&1; then
		ok=$((ok + 1))
	else
		not=$((not + 1))
		sed 's/^/# /' "$log.kernel"
	fi
	passed=$((passed + ok))
	failed=$((failed + not))
	[ "$not" = 0 ] && echo "ok - $1 ($ok)" || echo "not ok - $1 ($not failed)"
}

simple()
{
	vm timeout $((60 * slow)) "/usr/lib/hsm-tests/$1" </dev/null >"$log" 2>&1
	verdict "$1" $?
}

# The program says "# hang" and "# go on" when the host is to act, and waits.
stall()
{
	local line rc=0

	coproc VM { exec tests/vm/vm-exec timeout $((90 * slow)) /usr/lib/hsm-tests/stall "$1" 2>&1; }
	local pid=$VM_PID
	exec 7>&"${VM[1]}" 8<&"${VM[0]}"
	eval "exec ${VM[1]}>&- ${VM[0]}<&-"
	: >"$log"
	while IFS= read -r line <&8; do
		printf '%s\n' "$line" >>"$log"
		case $line in
		"# hang") hang true; echo >&7 ;;
		"# go on") hang false; echo >&7 ;;
		esac
	done
	wait "$pid" || rc=$?
	exec 7>&- 8<&-
	hang false
	set_hang_ms 3000
	verdict "stall $1" $rc
}

# loses NAME COMMAND...: the load runs while COMMAND takes card 0 away.
loses()
{
	local name=$1 pid rc=0 i

	vm timeout $((60 * slow)) /usr/lib/hsm-tests/load $((4 * slow)) </dev/null >"$log" 2>&1 &
	pid=$!
	for ((i = 0; i < 600; i++)); do
		grep -q '^# running' "$log" && break
		kill -0 $pid 2>/dev/null || break
		sleep 0.1
	done
	sleep 1
	"${@:2}" >>"$log" 2>&1 || echo "not ok - $name: the host's part" >>"$log"
	wait $pid || rc=$?
	verdict "load, $name" $rc
}

gone() { ! vm test -e /dev/hsm/card0 </dev/null; }
back()
{
	local i

	for ((i = 0; i < 30 * slow; i++)); do
		vm test -e /dev/hsm/card0 </dev/null && return 0
		sleep 0.5
	done
	return 1
}

surprise() { qmp qom-set path=/machine/peripheral/card0 property=surprise-remove value=true; }
unplug() { qmp wait-event DEVICE_DELETED 60 device_del id=card0; }
unbind() { vm sh -c 'echo 0000:01:00.0 >/sys/bus/pci/drivers/hsm/unbind' </dev/null; }
hang_one() { qmp qom-set path=/machine/peripheral/card0 property=hang value=true; }

add_card()
{
	qmp device_add driver=hsm id=card0 bus=rp0 nvram=card0.nvram serial=CARD0 iothread=io0
}

# After a surprise the slot takes a second to power down, then QEMU lets go of the card.
replace()
{
	sleep $((2 * slow))
	qmp wait-event DEVICE_DELETED 60 device_del id=card0 && add_card && back
}

set_hang_ms() { vm sh -c "echo $1 >/sys/module/hsm/parameters/hang_ms" </dev/null; }

point()
{
	if "${@:2}" >"$log" 2>&1; then echo "ok - $1" >"$log"; else
		sed 's/^/# /' "$log"; echo "not ok - $1" >"$log"; fi
	verdict "$1" 0
}

reload()
{
	vm sh -c 'rmmod hsm && ! test -e /dev/hsm/card0 && insmod /lib/hsm/hsm.ko &&
		test -e /dev/hsm/card1' </dev/null
}

# rmmod with pools there, none open; and refused while one is open.
unload_with_pools()
{
	vm sh -c '/usr/lib/hsm-tests/keep || exit 1
		exec 3</dev/hsm/kkeep && ! rmmod hsm 2>/dev/null && exec 3<&- &&
		rmmod hsm && insmod /lib/hsm/hsm.ko' </dev/null
}

boot || { echo "Bail out! the VM does not boot"; exit 1; }

all="pool exec cgroup route load stall:time-out stall:busy stall:kill stall:exit
     unbind hang dead reload unload leaks surprise device_del"
for t in ${TESTS:-$all}; do
	case $t in
	stall:*) set_hang_ms 30000; stall "${t#*:}" ;;	# hung for seconds, and to be well again
	surprise) loses "surprise removal of card 0" surprise; point "card 0 is gone" gone
		point "another card in its place" replace ;;
	device_del) loses "device_del of card 0" unplug; point "card 0 is gone" gone
		point "it comes back" eval 'add_card && back' ;;
	unbind) loses "unbind of card 0" unbind; point "card 0 is gone" gone
		point "it comes back" vm sh -c \
			'echo 0000:01:00.0 >/sys/bus/pci/drivers/hsm/bind' </dev/null ;;
	hang) set_hang_ms 2000; loses "card 0 hangs" hang_one; hang false
		point "reload revives it" reload ;;
	dead) set_hang_ms 2000; stall dead; point "reload revives them" reload ;;
	reload) point "rmmod and insmod" reload; simple exec ;;
	unload) point "rmmod with pools" unload_with_pools; simple exec ;;
	leaks) point "the kernel's log, and leaks" tests/vm/vm-dmesg-check </dev/null ;;
	*) simple "$t" ;;
	esac
done
echo "# $kernel"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
