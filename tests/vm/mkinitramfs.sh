#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# mkinitramfs.sh -o OUT -k KERNEL [-m MODULE]... [-x EXTRA.ko]... [SOURCE:TARGET]...
#
# Makes the VM's root: busybox, dropbear, tests/vm/init, the kernel's modules
# that are named (virtio-net and veth always) with what they depend on, and each
# SOURCE (file or folder) as TARGET.  Shared libraries of programs come along.
# KERNEL: a folder as get-kernel.sh or build-kernel.sh prints.
# An EXTRA.ko goes to /lib/hsm/ and init loads it.
# Not compressed: unpacking costs more under TCG than copying.
. "$(dirname "$0")/common.sh"

out= kernel= modules="virtio_pci virtio_net veth" extra=
while getopts o:k:m:x: opt; do
	case $opt in
	o) out=$OPTARG ;;
	k) kernel=$OPTARG ;;
	m) modules="$modules $OPTARG" ;;
	x) extra="$extra $OPTARG" ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ -n "$out" ] && [ -n "$kernel" ] || die "usage: $0 -o OUT -k KERNEL [-m MODULE]... [-x EXTRA.ko]... [SOURCE:TARGET]..."
release=$(cat "$kernel/release")

mkdir -p "$(dirname "$out")"
root=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,usr/local/bin,etc/hsm,proc,sys,dev,run,tmp,root/.ssh,var/lib/hsm,var/log,lib/hsm,lib/modules,lib64}
chmod 700 "$root/root" "$root/root/.ssh"

add_file()
{
	local src=$1 dst=$root/$2 lib

	mkdir -p "$(dirname "$dst")"
	cp -L --preserve=mode "$src" "$dst"
	for lib in $(ldd "$src" 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p; s/^[ \t]*\(\/[^ ]*\) (.*/\1/p'); do
		[ -e "$root/$lib" ] && continue
		mkdir -p "$root/$(dirname "$lib")"
		cp -L --preserve=mode "$lib" "$root/$lib"
	done
}

add_file "$(command -v busybox)" bin/busybox
for applet in $("$root/bin/busybox" --list-full); do
	mkdir -p "$root/$(dirname "$applet")"
	[ -e "$root/$applet" ] || ln -s /bin/busybox "$root/$applet"
done
add_file "$(PATH=$PATH:/usr/sbin command -v dropbear)" usr/sbin/dropbear
cp "$vm_here/init" "$root/init"
cp "$vm_here/poweroff" "$root/sbin/vm-poweroff"
chmod 755 "$root/init" "$root/sbin/vm-poweroff"

echo root:x:0:0:root:/root:/bin/sh >"$root/etc/passwd"
echo nobody:x:65534:65534:nobody:/:/bin/false >>"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
echo /bin/sh >"$root/etc/shells"
echo '127.0.0.1 localhost hsm-vm' >"$root/etc/hosts"
echo 'nameserver 10.0.2.3' >"$root/etc/resolv.conf"
cat >"$root/etc/inittab" <<'EOF'
::sysinit:/init boot
::restart:/bin/true
EOF

list=$root/lib/modules/list
: >"$list"
for m in $modules; do
	# Built into the kernel, or not there at all: init says so when it matters.
	modprobe -q -d "$kernel/root" -S "$release" --show-depends "$m" 2>/dev/null || true
done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r ko; do
	cp "$ko" "$root/lib/modules/"
	basename "$ko" >>"$list"
done
for ko in $extra; do
	cp "$ko" "$root/lib/hsm/"
done

for spec in "$@"; do
	src=${spec%%:*}
	dst=${spec#*:}
	[ "$src" != "$spec" ] || die "$spec: want SOURCE:TARGET"
	if [ -d "$src" ]; then
		find "$src" -type f -printf '%P\n' | while read -r f; do
			add_file "$src/$f" "$dst/$f"
		done
	else
		add_file "$src" "$dst"
	fi
done

(cd "$root" && find . -print0 | LC_ALL=C sort -z | cpio -0 --quiet -o -H newc -R 0:0) >"$out.new"
mv "$out.new" "$out"
