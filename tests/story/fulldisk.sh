#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# fulldisk.sh: a KMS whose disk is full.  Mounts a tiny file system in a mount
# namespace of its own and runs fulldisk.py on daemons of its own there.
cd "$(dirname "$0")/../.." || exit 1
flags=-m
[ "$(id -u)" = 0 ] || flags=-rm
if ! unshare $flags true 2>/dev/null; then
	echo "1..0 # SKIP no mount namespace may be made here"
	exit 4
fi
dir=$(mktemp -d "${TMPDIR:-/tmp}/hsm-full.XXXXXX")
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/tiny"
# shellcheck disable=SC2016
unshare $flags sh -c 'mount -t tmpfs -o size=1m,mode=700 tiny "$0/tiny" && exec /usr/bin/python3 -B tests/story/fulldisk.py "$0"' "$dir"
