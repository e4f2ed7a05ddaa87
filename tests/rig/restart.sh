# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
. tests/rig/stack.sh
MODE=$(mode)
. "$RIG/$MODE/ports"
case " $DAEMONS " in
*" ${1:-none} "*) ;;
*) die "restart which?  one of: $DAEMONS" ;;
esac
inside stop "$1"
inside start "$1"
