# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What the VM scripts share.  A VM is its state folder, HSM_VM_DIR:
#
#	card0.nvram card1.nvram state.img	survive a restart
#	id host_key authorized_keys known_hosts	SSH keys, made once
#	pid console.log qmp.sock monitor.sock ssh.port qemu.log	of the running VM
#
# Several VMs run side by side, each with a folder of its own.

set -eu

vm_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034
vm_root=$(cd "$vm_here/../.." && pwd)
vm_cache=${XDG_CACHE_HOME:-$HOME/.cache}/hsm-rig
vm_dir=${HSM_VM_DIR:-$vm_root/build/vm/default}

say() { echo "${0##*/}: $*" >&2; }
die() { say "$*"; exit 1; }

# The running VM's process id; fails if there is none.
vm_pid()
{
	local pid

	pid=$(cat "$vm_dir/pid" 2>/dev/null) || return 1
	# A reused number is somebody else's process.
	[ -r "/proc/$pid/cmdline" ] &&
		tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -q -- "hsm-vm-$vm_id" || return 1
	echo "$pid"
}

vm_id=$(printf %s "$vm_dir" | sha256sum | cut -c1-16)

# Prints its arguments as one line of shell.
vm_quote()
{
	local a out=

	for a in "$@"; do
		out="$out '${a//\'/\'\\\'\'}'"
	done
	echo "${out# }"
}
