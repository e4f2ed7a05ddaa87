#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# qd.sh [uring_bench's arguments]: HSM no-op against NVMe passthrough in the VM,
# depth 1 and depth 32; see uring_bench.c.  Boots a rig of its own, with an NVMe
# namespace on QEMU's null-co, and takes it down.
set -eu
cd "$(dirname "$0")/../.."
export HSM_RIG_DIR=$PWD/build/bench-rig VM_UP_ARGS=-n
make -s build/bench/uring_bench
[ ! -f "$HSM_RIG_DIR/mode" ] || ./rig down
trap './rig down' EXIT
./rig up
# shellcheck disable=SC2016
nvme=$(./rig exec sh -c '
	for c in /sys/class/nvme/nvme*; do
		[ "$(tr -d " " <$c/serial)" != hsm-null ] || echo /dev/ng${c##*/nvme}n1
	done')
[ -n "$nvme" ] || { echo "qd.sh: no null-co namespace in the VM" >&2; exit 1; }
./rig exec uring_bench --cgroup /sys/fs/cgroup/hsm-acme --hsm /dev/hsm/acme --nvme "$nvme" "$@"
