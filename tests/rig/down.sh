# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
. tests/rig/stack.sh
[ -f "$RIG/mode" ] || { say "nothing is up"; exit 0; }
stack_down
say "down; keys and stores are kept in ${RIG#"$ROOT"/}"
