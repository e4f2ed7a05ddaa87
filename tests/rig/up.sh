# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
. tests/rig/stack.sh
case ${1:-} in
--native)
	# shellcheck disable=SC2086
	need_packages $PKG_BUILD $PKG_CLIENT
	build_native
	stack_up native
	;;
"")
	# shellcheck disable=SC2086
	need_packages $PKG_BUILD $PKG_VM $PKG_CLIENT
	build_native
	build_vm
	stack_up vm
	;;
*)
	die "up takes --native or nothing"
	;;
esac
say "up ($(mode)); endpoints and credentials: ${RIG#"$ROOT"/}/endpoints.json; stop with ./rig down"
