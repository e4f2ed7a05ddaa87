#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# build-kernel.sh [CONFIG]: builds a kernel from Debian's linux-source package,
# tinyconfig with CONFIG (default debug-kernel.config) merged over it, and prints
# the folder, laid out as get-kernel.sh does.  Cached by source version and
# configuration; the first run takes some minutes and says how far it is.
. "$(dirname "$0")/common.sh"

config=$(readlink -f "${1:-$vm_here/debug-kernel.config}")
pkg=$(apt-cache show --no-all-versions linux-source 2>/dev/null |
	sed -n 's/^Depends: \(linux-source-[0-9.]*\).*/\1/p' | head -n1)
[ -n "$pkg" ] || die "linux-source is unknown to apt: run apt-get update"
ver=$(apt-cache show --no-all-versions "$pkg" | sed -n 's/^Version: //p' | head -n1)
# Comments don't change a kernel.
hash=$(grep '^CONFIG_' "$config" | sha256sum | cut -c1-16)
dir=$vm_cache/linux-debug/$ver-$hash

if [ -f "$dir/release" ]; then
	echo "$dir"
	exit 0
fi
for tool in flex bison bc xz make gcc; do
	command -v $tool >/dev/null || die "$tool is missing"
done
[ -f /usr/include/libelf.h ] || die "libelf-dev is missing"

mkdir -p "$dir"
exec 9>"$dir/lock"
flock 9
if [ -f "$dir/release" ]; then
	echo "$dir"
	exit 0
fi

log=$dir/build.log
if [ ! -f "$dir/build/.unpacked" ]; then
	tarball=/usr/src/$pkg.tar.xz
	tmp=$(mktemp -d "$dir/unpack.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	if [ ! -f "$tarball" ] || [ "$(dpkg-query -W -f '${Version}' "$pkg" 2>/dev/null)" != "$ver" ]; then
		say "fetching $pkg $ver"
		(cd "$tmp" && apt-get -qq -oAPT::Sandbox::User= download "$pkg") || die "can't download $pkg"
		dpkg-deb -x "$tmp/$pkg"_*.deb "$tmp"
		tarball=$tmp/usr/src/$pkg.tar.xz
	fi
	say "unpacking $pkg $ver"
	mkdir "$tmp/tree"
	tar -xJf "$tarball" -C "$tmp/tree" --strip-components=1
	rm -rf "$dir/build"
	mv "$tmp/tree" "$dir/build"
	touch "$dir/build/.unpacked"
	rm -rf "$tmp"
	trap - EXIT
fi

cd "$dir/build"
make -s tinyconfig >"$log" 2>&1 || die "tinyconfig failed: $log"
{ scripts/kconfig/merge_config.sh -m .config "$config" && make -s olddefconfig; } >>"$log" 2>&1 ||
	die "configuration failed: $log"
while IFS='=' read -r name value; do
	case $value in
	n) ! grep -q "^$name=" .config ;;
	*) grep -qxF "$name=$value" .config ;;
	esac || die "$name=$value did not survive olddefconfig"
done < <(grep '^CONFIG_' "$config")

say "building Linux $ver, $(nproc) jobs (log: $log)"
make -j"$(nproc)" bzImage modules >>"$log" 2>&1 9>&- &
job=$!
trap 'kill $job 2>/dev/null || true' EXIT
start=$SECONDS
while kill -0 $job 2>/dev/null; do
	sleep 1
	[ $(((SECONDS - start) % 15)) != 0 ] ||
		say "$((SECONDS - start)) s, $(grep -cE '^  (CC|AS|LD|AR)' "$log") objects (about 1,500), $(tail -n1 "$log" | tr -s ' ')"
done
wait $job || { tail -n 30 "$log" >&2; die "the build failed"; }
trap - EXIT
make -s modules_install INSTALL_MOD_PATH="$dir/root" INSTALL_MOD_STRIP=1 >>"$log" 2>&1 ||
	die "modules_install failed: $log"
cp arch/x86/boot/bzImage "$dir/bzImage"
make -s kernelrelease >"$dir/release.new"
mv "$dir/release.new" "$dir/release"
echo "$dir"
