# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
. tests/rig/stack.sh
if [ "$(mode)" = vm ]; then
	vm_shell
else
	PATH=$ROOT/build/bin:$PATH exec "${SHELL:-/bin/sh}"
fi
