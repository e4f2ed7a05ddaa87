# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
. tests/rig/stack.sh
[ ! -f "$RIG/mode" ] || stack_down
rm -rf "$RIG"
say "forgot every key, store and card of the rig"
