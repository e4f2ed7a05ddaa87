# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
. tests/rig/stack.sh
[ $# -gt 0 ] || die "exec what?  ./rig exec CMD [ARG...]"
if [ "$(mode)" = vm ]; then
	vm_exec "$@"
else
	PATH=$ROOT/build/bin:$PATH exec "$@"
fi
