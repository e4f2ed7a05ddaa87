# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Both benchmarks; ratios against a named peer in the same run.  Not part of test.
. tests/rig/stack.sh
# shellcheck disable=SC2086
need_packages $PKG_BUILD $PKG_VM $PKG_CLIENT $PKG_BENCH
build_native
build_vm
tests/bench/qd.sh
tests/bench/https.sh
