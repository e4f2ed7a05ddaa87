# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The rig's VM, on the scripts of tests/vm.

export HSM_VM_DIR=$RIG/vm/machine

vm_exec() { tests/vm/vm-exec "$@"; }
vm_shell() { tests/vm/vm-exec; }
vm_dmesg_check() { tests/vm/vm-dmesg-check; }
vm_alive() { timeout 20 tests/vm/vm-exec true </dev/null >/dev/null 2>&1; }

# Everything that the VM needs: the card's plug-in, a kernel, the driver for it, the root.
build_vm()
{
	local p specs=""
	say "building the card for QEMU"
	quiet plugin.log locked make -j"$(nproc)" build/hsm.so
	say "getting Debian's kernel for the VM"
	VM_KERNEL=$(tests/vm/get-kernel.sh) || die "no kernel"
	say "building hsm.ko for Linux $(cat "$VM_KERNEL/release")"
	quiet module.log locked make module KDIR="$VM_KERNEL/build"
	for p in hsm-kms hsm-gateway hsmctl; do specs="$specs build/bin/$p:usr/bin/$p"; done
	# shellcheck disable=SC2086
	quiet initramfs.log tests/vm/mkinitramfs.sh -o "$RIG/initramfs" -k "$VM_KERNEL" \
		-x "$(module_path "$VM_KERNEL")" $specs tests/rig/inside.sh:usr/lib/hsm/inside.sh \
		$(bench_specs)
}

module_path() { echo "build/module/$(cat "$1/release")/hsm.ko"; }

# The benchmark goes along when it was built.
bench_specs() { [ ! -x build/bench/uring_bench ] || echo build/bench/uring_bench:usr/bin/uring_bench; }

vm_up()
{
	VM_KERNEL=${VM_KERNEL:-$(tests/vm/get-kernel.sh)}
	# shellcheck disable=SC2086
	tests/vm/vm-up -k "$VM_KERNEL" -i "$RIG/initramfs" ${VM_UP_ARGS:-} \
		-p "$PORT_gateway:8443" -p "$PORT_acme:8501" -p "$PORT_globex:8502"
}

vm_down() { tests/vm/vm-down; }

vm_surprise_remove()
{
	tests/vm/vm-qmp qom-set "path=/machine/peripheral/$1" property=surprise-remove value=true >/dev/null
}
