# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
. tests/rig/stack.sh
if [ -f "$RIG/mode" ]; then stack_down || true; fi
vm_down || true	# one that a broken start left behind
rm -rf "$RIG"
say "forgot every key, store and card of the rig"
