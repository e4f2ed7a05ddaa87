#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# hwtest.sh: the device's regression test: hwtest in a VM of its own, without
# the driver, on both cards; then hang, delay, surprise removal, device_del and
# device_add over QMP; then a boot with an IOMMU.  TAP on stdout.  HSM_VM_DIR is made and removed.
HSM_VM_DIR=${HSM_VM_DIR:-$(mktemp -d)}
export HSM_VM_DIR
. "$(dirname "$0")/common.sh"
cd "$vm_root"
trap 'tests/vm/vm-down || true; rm -rf "$vm_dir"' EXIT

n=0 failed=0
check()
{
	n=$((n + 1))
	if "${@:2}"; then echo "ok $n - $1"; else echo "not ok $n - $1"; failed=1; fi
}

vm() { tests/vm/vm-exec "$@" </dev/null; }
qmp() { tests/vm/vm-qmp "$@" >/dev/null; }
card() { echo "/sys/bus/pci/devices/0000:0$1:00.0"; }
present() { vm test -e "$(card "$1")"; }
within() { local i; for ((i = 0; i < 10 * $1; i++)); do "${@:2}" && return 0; sleep 0.1; done; return 1; }
absent() { ! present "$1"; }
hwtest()
{
	local log rc=0

	log=$(vm hwtest "0000:0$1:00.0" "${@:2}") || rc=$?
	printf '%s\n' "$log" | grep -E '^(not ok|# NOP|# .* reads|Bail)' | sed "s/^/# card$(($1 - 1)): /"
	return $rc
}
fails() { ! "$@"; }

kernel=${HSM_KERNEL:-$(tests/vm/get-kernel.sh)}
mkdir -p build/vm
${CC:-gcc} -std=gnu11 -O2 -g -Wall -Wextra -Werror -D_GNU_SOURCE -Iuapi -static \
	-o build/vm/hwtest tests/vm/hwtest.c
tests/vm/mkinitramfs.sh -o "$vm_dir/initramfs" -k "$kernel" build/vm/hwtest:usr/bin/hwtest
# shellcheck disable=SC2086
boot() { tests/vm/vm-up -k "$kernel" -i "$vm_dir/initramfs" "$@" ${HSM_VM_ARGS:-}; }
boot -a iomem=relaxed

check "card 0" hwtest 1
check "card 1" hwtest 2
qmp qom-set path=/machine/peripheral/card1 property=hang value=true
check "a hung card does not answer" fails hwtest 2
qmp qom-set path=/machine/peripheral/card1 property=hang value=false
check "card 1 answers again" hwtest 2
qmp qom-set path=/machine/peripheral/card0 property=delay-ms value=400
check "delayed commands, and disabling under them" hwtest 1 400
qmp qom-set path=/machine/peripheral/card0 property=delay-ms value=0
qmp qom-set path=/machine/peripheral/card0 property=surprise-remove value=true
check "surprise removal: card 0 is gone" within 10 absent 1
check "card 1 does not mind" hwtest 2
# Linux needs a second to power the slot down; before that the port ignores device_del.
sleep 2
check "device_del after it" qmp wait-event DEVICE_DELETED 10 device_del id=card0
qmp device_add driver=hsm id=card0 bus=rp0 nvram="$vm_dir/fresh.nvram" iothread=io0
check "device_add after surprise removal" within 15 present 1
check "the new card works" hwtest 1
check "device_del" qmp wait-event DEVICE_DELETED 20 device_del id=card1
check "card 1 is gone" within 10 absent 2
qmp device_add driver=hsm id=card1 bus=rp1 nvram="$vm_dir/card1.nvram"
check "device_add, no iothread" within 15 present 2
check "a card in the main loop works" hwtest 2
check "a key is made" hwtest 2 keep
check "kernel log" tests/vm/vm-dmesg-check
counted() { [ "$(od -An -j48 -N8 -tu8 "$vm_dir/card1.nvram")" -gt "$1" ]; }
keys=$(od -An -j48 -N8 -tu8 "$vm_dir/card1.nvram")
tests/vm/vm-down
check "QEMU has counted it when it is gone" counted "$keys"
# Not in use by the guest: a card that did not look would find its rings.
boot -q "-device intel-iommu" -a intel_iommu=off
check "behind an IOMMU that came after the card" hwtest 1 iommu
echo "1..$n"
exit $failed
