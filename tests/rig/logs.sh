# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
. tests/rig/stack.sh
MODE=$(mode)
dir=/run/hsm/log
[ "$MODE" = vm ] || dir=$RIG/native/run/log
prog=$([ "${1:-}" = gateway ] && echo hsm-gateway || echo "hsm-kms-${1:-*}")
[ $# -gt 0 ] || prog='*'
# shellcheck disable=SC2016
script='for f in "$0"/$1.log; do echo "== ${f##*/}"; cat "$f"; done'
if [ "$MODE" = vm ]; then
	vm_exec sh -c "$script" "$dir" "$prog"
	[ $# -gt 0 ] || { echo "== dmesg"; vm_exec dmesg; }
else
	sh -c "$script" "$dir" "$prog"
fi
