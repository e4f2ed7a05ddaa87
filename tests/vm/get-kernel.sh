#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# get-kernel.sh: fetches Debian's cloud kernel and its headers into the cache,
# without installing them, and prints the folder (by version, and by what this
# script does) that holds
#
#	bzImage release root/lib/modules/<release> build (KDIR for modules)
. "$(dirname "$0")/common.sh"

fetch()
{
	(cd "$tmp" && apt-get -qq -oAPT::Sandbox::User= download "$@") || die "can't download $*"
}

meta=$(apt-cache show --no-all-versions linux-image-cloud-amd64) ||
	die "linux-image-cloud-amd64 is unknown to apt: run apt-get update"
image=$(printf '%s\n' "$meta" | sed -n 's/^Depends: \(linux-image-[^ ,]*\).*/\1/p' | head -n1)
ver=$(printf '%s\n' "$meta" | sed -n 's/^Version: //p' | head -n1)
[ -n "$image" ] || die "linux-image-cloud-amd64 depends on no image"
release=${image#linux-image-}
hash=$(grep -v '^[[:space:]]*#' "$0" | sha256sum | cut -c1-8)
dir=$vm_cache/linux-cloud/$release-$ver-$hash

if [ ! -f "$dir/release" ]; then
	mkdir -p "$vm_cache/linux-cloud"
	exec 9>"$vm_cache/linux-cloud/lock"
	flock 9
fi
if [ ! -f "$dir/release" ]; then
	say "fetching $image $ver"
	tmp=$(mktemp -d "$vm_cache/linux-cloud/fetch.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	common=linux-headers-${release%-cloud-amd64}-common
	kbuild=linux-kbuild-$(echo "$release" | cut -d. -f1,2)
	fetch "$image" "linux-headers-$release" "$common" "$kbuild"
	mkdir "$tmp/root"
	for deb in "$tmp"/*.deb; do
		dpkg-deb -x "$deb" "$tmp/root"
		rm "$deb"
	done
	# The headers name each other by absolute path: point them into the cache.
	hdr=usr/src/linux-headers-$release
	src=usr/src/$common
	grep -rlI "/usr/src/$common\|/usr/lib/$kbuild" "$tmp/root/$hdr" "$tmp/root/$src/Makefile" \
		2>/dev/null | xargs -r sed -i "s#/usr/src/$common#$dir/root/$src#g"
	rm -rf "$tmp/root/$hdr/scripts" "$tmp/root/$hdr/tools" \
	       "$tmp/root/$src/scripts" "$tmp/root/$src/tools"
	for d in scripts tools; do
		[ -e "$tmp/root/usr/lib/$kbuild/$d" ] || continue
		ln -s "$dir/root/usr/lib/$kbuild/$d" "$tmp/root/$hdr/$d"
		ln -s "$dir/root/usr/lib/$kbuild/$d" "$tmp/root/$src/$d"
	done
	[ -d "$tmp/root/lib/modules" ] || { mkdir -p "$tmp/root/lib"; mv "$tmp/root/usr/lib/modules" "$tmp/root/lib/"; }
	depmod -b "$tmp/root" "$release"
	mv "$tmp/root/boot/vmlinuz-$release" "$tmp/bzImage"
	ln -s "$dir/root/$hdr" "$tmp/build"
	echo "$release" >"$tmp/release"
	rm -rf "$dir"
	mv "$tmp" "$dir"
	trap - EXIT
fi
echo "$dir"
