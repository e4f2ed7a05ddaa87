#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Unpacks the 6.12 kernel headers of bookworm-backports where a module can be
# built against them, without installing them, and prints the directory to
# give as KDIR.  A private package list is used: the machine's is left alone.
set -eu

cache=${XDG_CACHE_HOME:-$HOME/.cache}/hsm-rig/headers-6.12
mirror=${HSM_MIRROR:-http://deb.debian.org/debian}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

find_kdir()
{
	for d in "$cache"/root/usr/src/linux-headers-6.12*-cloud-amd64; do
		[ -e "$d/.hsm-ready" ] && { echo "$d"; return 0; }
	done
	return 1
}

find_kdir && exit 0

mkdir -p "$cache/lists/partial" "$cache/archives/partial" "$cache/parts"
echo "deb [signed-by=$keyring] $mirror bookworm-backports main" \
	>"$cache/sources.list"

apt_private()
{
	apt-get -q \
		-o Dir::Etc::sourcelist="$cache/sources.list" \
		-o Dir::Etc::sourceparts="$cache/parts" \
		-o Dir::State::lists="$cache/lists" \
		-o Dir::Cache::archives="$cache/archives" \
		-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
		-o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false \
		"$@" >&2
}

apt_private update
index=$(ls "$cache"/lists/*bookworm-backports_main_binary-amd64_Packages*)
release=$(/usr/lib/apt/apt-helper cat-file "$index" |
	sed -n 's/^Package: linux-headers-\(6\.12\.[0-9]*+deb12\)-cloud-amd64$/\1/p' |
	sort -V | tail -n 1)
[ -n "$release" ] || { echo "no 6.12 headers in bookworm-backports" >&2; exit 1; }

# The tools that the headers call (objtool, modpost) sit in linux-kbuild.
cd "$cache/archives"
apt_private download "linux-headers-$release-cloud-amd64" \
	"linux-headers-$release-common" "linux-kbuild-$release"
for deb in *"$release"*.deb; do
	dpkg-deb -x "$deb" "$cache/root"
	rm "$deb"
done

# Debian writes the absolute places /usr/src and /usr/lib into these two.
kdir=$cache/root/usr/src/linux-headers-$release-cloud-amd64
sed -i "s|/usr/src/|$cache/root/usr/src/|g" "$kdir/Makefile"
for dir in "$kdir" "$cache/root/usr/src/linux-headers-$release-common"; do
	for name in scripts tools; do
		[ -L "$dir/$name" ] || continue
		target=$(readlink "$dir/$name")
		case $target in
		/*) ln -sfn "$cache/root$target" "$dir/$name" ;;
		esac
	done
done
touch "$kdir/.hsm-ready"
find_kdir
