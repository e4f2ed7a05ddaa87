#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Builds the HSM card as a plug-in of the installed, packaged QEMU:
#
#	build-plugin.sh OUTPUT FIRMWARE.a
#
# The headers come from the source package of exactly the installed version
# (24 MB, fetched once into the cache).  Does nothing if OUTPUT is newer than
# its sources and was made for the QEMU that is installed now.
set -eu

out=$1
fw=$2
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/hsm-rig
qemu=${QEMU:-qemu-system-x86_64}
sources="hsm.c qp.c admin.c worker.c slot.c plugin.c"

say() { echo "hsm.so: $*" >&2; }
die() { say "$*"; exit 1; }

bin=$(readlink -f "$(command -v "$qemu")") || die "$qemu is not installed (package qemu-system-x86)"
pkg=$(dpkg-query -S "$bin" 2>/dev/null | cut -d: -f1 | head -n1)
[ -n "$pkg" ] || die "$bin belongs to no Debian package: build the device in-tree (Documentation/qemu.rst)"
ver=$(dpkg-query -W -f '${source:Version}' "$pkg")
build_id=$(readelf -n "$bin" 2>/dev/null | sed -n 's/^ *Build ID: //p')
[ -n "$build_id" ] || die "$bin has no build id"
key=$(echo "$ver" | tr -c 'A-Za-z0-9.+~\n-' _)
dir=$cache/qemu/$key
id="$ver $build_id"

fresh()
{
	local f

	[ -f "$out" ] && [ "$(cat "$out.for" 2>/dev/null)" = "$id" ] || return 1
	for f in "$here"/*.[ch] "$here"/build-plugin.sh "$here"/firmware/hsm_fw.h \
		 "$root"/uapi/hsm_hw.h "$root"/uapi/hsm_cmd.h "$fw"; do
		[ "$f" -nt "$out" ] && return 1
	done
	return 0
}

# deb-src entries for whatever suites the machine already trusts, in a list of our own.
write_sources()
{
	local f

	: >"$1"
	for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ -f "$f" ] && sed -n 's/^deb\( .*\)/deb-src\1/p' "$f" >>"$1"
	done
	: >"$2"
	for f in /etc/apt/sources.list.d/*.sources; do
		[ -f "$f" ] || continue
		sed 's/^Types:.*/Types: deb-src/' "$f" >>"$2"
		echo >>"$2"
	done
}

fetch_source()
{
	local tmp opts

	mkdir -p "$cache/qemu"
	tmp=$(mktemp -d "$cache/qemu/fetch.XXXXXX")
	# shellcheck disable=SC2064
	trap "rm -rf '$tmp'" EXIT
	mkdir -p "$tmp/lists/partial" "$tmp/parts"
	write_sources "$tmp/parts/hsm.list" "$tmp/parts/hsm.sources"
	opts=(-qq -oDir::Etc::sourcelist=/dev/null -oDir::Etc::sourceparts="$tmp/parts"
	      -oDir::State::lists="$tmp/lists" -oDir::Cache::pkgcache= -oDir::Cache::srcpkgcache=
	      -oAPT::Sandbox::User= -oAPT::Get::List-Cleanup=0
	      -oAcquire::IndexTargets::deb-src::Contents-dsc::DefaultEnabled=false
	      -oAcquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false)
	say "fetching the sources of QEMU $ver"
	apt-get "${opts[@]}" update || die "apt-get update failed"
	(cd "$tmp" && apt-get "${opts[@]}" source --download-only "qemu=$ver" >/dev/null) ||
		die "no source package qemu=$ver on the configured mirrors: is the installed QEMU outdated? (apt-get install --only-upgrade $pkg)"
	(cd "$tmp" && dpkg-source --no-check -x qemu_*.dsc src >/dev/null)
	# Only headers, QAPI schema and generator are used.
	mkdir "$tmp/keep"
	cp -a "$tmp/src/include" "$tmp/src/qapi" "$tmp/src/scripts" "$tmp/src/VERSION" "$tmp/keep/"
	make_generated "$tmp/keep"
	rm -rf "$dir"
	mv "$tmp/keep" "$dir"
	rm -rf "$tmp"
	trap - EXIT
}

# What configure would have made, as far as the headers ask for it.
make_generated()
{
	local version major minor micro rest

	version=$(cat "$1/VERSION")
	major=${version%%.*}
	rest=${version#*.}
	minor=${rest%%.*}
	micro=${rest#*.}
	mkdir -p "$1/gen"
	(cd "$1" && python3 scripts/qapi-gen.py -b -o gen/qapi qapi/qapi-schema.json)
	rm -f "$1"/gen/qapi/*.c
	: >"$1/gen/config-poison.h"
	cat >"$1/gen/config-host.h" <<-EOF
	#define CONFIG_POSIX 1
	#define CONFIG_LINUX 1
	#define CONFIG_IOVEC 1
	#define CONFIG_ATOMIC64 1
	#define CONFIG_INT128 1
	#define CONFIG_INT128_TYPE 1
	#define CONFIG_EVENTFD 1
	#define CONFIG_MADVISE 1
	#define CONFIG_POSIX_MADVISE 1
	#define CONFIG_TCG 1
	#define CONFIG_PLUGIN 1
	#define HOST_X86_64 1
	#define HAVE_STRCHRNUL 1
	#define QEMU_VERSION "$version"
	#define QEMU_VERSION_MAJOR $major
	#define QEMU_VERSION_MINOR $minor
	#define QEMU_VERSION_MICRO $micro
	EOF
}

fresh && exit 0
[ -f "$dir/gen/config-host.h" ] || fetch_source

obj=$(dirname "$out")/obj/qemu-hsm
mkdir -p "$obj"
printf '#define HSM_QEMU_PACKAGE "%s"\n#define HSM_QEMU_BUILD_ID "%s"\n' "$ver" "$build_id" \
	>"$obj/hsm-build.h"
flags="-std=gnu11 -O2 -g -fPIC -Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare
	-Wno-missing-field-initializers -fstack-protector-strong -fno-strict-aliasing -fwrapv
	-D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_LARGEFILE_SOURCE"
objs=
for f in $sources; do
	# shellcheck disable=SC2046,SC2086
	${CC:-gcc} $flags -I"$root/uapi" -I"$here" -I"$obj" -isystem "$dir/gen" \
		-isystem "$dir/include" $(pkg-config --cflags glib-2.0 gmodule-2.0) \
		-c -o "$obj/${f%.c}.o" "$here/$f"
	objs="$objs $obj/${f%.c}.o"
done
# The plug-in's copy of the firmware and its symbols stay its own: QEMU exports all of its own.
# shellcheck disable=SC2086
${CC:-gcc} -shared -Wl,-Bsymbolic -Wl,-z,relro,-z,now -o "$out.new" $objs "$fw" -lcrypto -lpthread
mv "$out.new" "$out"
echo "$id" >"$out.for"
say "built for QEMU $ver"
