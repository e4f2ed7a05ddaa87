# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the commands of the rig share: packages, building, where things are.

REGION=local-1
INSTANCES="acme globex"
DAEMONS="shared acme globex gateway"

# A client of the rig's speaks to the rig, whatever the user's own are set up for.
unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SESSION_TOKEN
no_proxy=${no_proxy:-${NO_PROXY:-}}
no_proxy=${no_proxy:+$no_proxy,}localhost,127.0.0.1
export no_proxy NO_PROXY=$no_proxy AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null
export AWS_EC2_METADATA_DISABLED=true

say() { printf '%s\n' "rig: $*" >&2; }
die() { say "$*"; exit 1; }

mode()
{
	[ -f "$RIG/mode" ] || die "nothing is up; start with: ./rig up [--native]"
	cat "$RIG/mode"
}

# Packages by what needs them.  Names are those of Debian 12 and 13, but for clang's runtime.
PKG_BUILD="gcc make pkg-config libc6-dev libssl-dev liburing-dev libnl-3-dev libnl-genl-3-dev
	libsqlite3-dev libjansson-dev openssl ca-certificates python3 iproute2 procps"
PKG_VM="qemu-system-x86 dpkg-dev libglib2.0-dev busybox-static cpio kmod xz-utils dropbear-bin
	e2fsprogs linux-libc-dev bc bison flex libelf-dev binutils file"
PKG_CLIENT="awscli python3-boto3 jq"
PKG_TEST="libcmocka-dev clang libclang-rt-dev linux-source util-linux mandoc"
PKG_BENCH="nginx-light"

installed() { [ "$(dpkg-query -W -f '${Status}' "$1" 2>/dev/null)" = "install ok installed" ]; }

# Debian 12 names clang's runtime by version; the two busyboxes exclude each other.
pkg_names()
{
	local p v

	for p in "$@"; do
		if [ "$p" = busybox-static ] && installed busybox; then
			p=busybox
		elif [ "$p" = libclang-rt-dev ]; then
			v=$(apt-cache depends clang 2>/dev/null | sed -n '/.*Depends: clang-\([0-9]*\)$/{s//\1/p;q}') || true
			p=libclang-rt-${v:-14}-dev
		fi
		echo "$p"
	done
}

need_packages()
{
	local missing="" p names

	# shellcheck disable=SC2046
	names=$(pkg_names "$@")
	for p in $names; do
		installed "$p" || missing="$missing $p"
	done
	[ -n "$missing" ] || return 0
	say "installing Debian packages:$missing"
	local run=""
	[ "$(id -u)" = 0 ] || run=sudo
	[ -z "$run" ] || command -v sudo >/dev/null || die "not root and no sudo: install these packages, then call again:$missing"
	$run apt-get -qq update || die "apt-get update failed"
	names=$(pkg_names "$@")
	# shellcheck disable=SC2086
	quiet apt.log $run env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 \
		install -y --no-remove --no-install-recommends $names
}

# locked CMD...: one at a time of all rigs that run side by side in this checkout.
locked() { flock --no-fork "$ROOT/build/lock" "$@"; }

# ends_with_us PID: SIGTERM would end us alone, and background jobs don't hear Ctrl-C.
ends_with_us()
{
	# shellcheck disable=SC2064
	trap "kill $1 2>/dev/null || true; wait $1 || true; exit 130" INT TERM
}

# attended CMD...: runs it, and takes it along when we are told to end.
attended()
{
	local rc=0
	"$@" &
	ends_with_us $!
	wait $! || rc=$?
	trap - INT TERM
	return $rc
}

# quiet LOG CMD...: output into build/LOG, shown only on failure, with a sign of life.
quiet()
{
	local log=$ROOT/build/$1 pid n=0
	shift
	mkdir -p "$(dirname "$log")"
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	ends_with_us $pid
	while kill -0 $pid 2>/dev/null; do
		sleep 0.2
		n=$((n + 1))
		[ $((n % 75)) -ne 0 ] || say "  ... $((n / 5)) s"
	done
	trap - INT TERM
	wait $pid && return 0
	tail -n 40 "$log" >&2
	die "failed: $* (whole log: ${log#"$ROOT"/})"
}

build_native()
{
	say "building the daemons"
	quiet make.log locked make -j"$(nproc)" userspace
}

mkdir -p "$ROOT/build" "$RIG"
