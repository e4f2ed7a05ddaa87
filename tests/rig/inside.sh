#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs where the daemons run: in the guest (busybox sh) or natively.
#
#	inside.sh start NAME | stop NAME | pools | stop-all
#
# Environment: MODE vm|native, BIN, STATE, RUN, TLS (folder with cert.pem and
# key.pem), ADDR, PORT_gateway, PORT_acme, PORT_globex, REGION.
set -eu

case $MODE in
vm)	ROUTE=genl ;;
native)	ROUTE=usersock:$RUN/route ;;
esac
CGROUP=/sys/fs/cgroup

die() { echo "rig: $*" >&2; exit 1; }

# The number may have gone to a stranger since, natively even through a reboot: ours has
# our folder in its arguments.  (In the guest /run is new at each boot.)
alive()
{
	[ -s "$RUN/$1.pid" ] && pid=$(cat "$RUN/$1.pid") && kill -0 "$pid" 2>/dev/null || return 1
	[ "$MODE" = vm ] || tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "$RUN/"
}

program() { [ "$1" = gateway ] && echo hsm-gateway || echo "hsm-kms-$1"; }

# An appliance gives each daemon its own user; natively they all run as whoever started them.
user_of()
{
	[ "$MODE" = vm ] || return 0
	grep -q "^hsm-$1:" /etc/passwd 2>/dev/null && return 0
	n=$(wc -l </etc/passwd)
	echo "hsm-$1:x:$((900 + n)):$((900 + n))::/:/bin/false" >>/etc/passwd
	echo "hsm-$1:x:$((900 + n)):" >>/etc/group
}

# Pools are made anew at each boot, on the partitions that the cards kept.
pools()
{
	mkdir -p "$STATE/partitions"
	for name in shared acme globex; do
		[ ! -e "/dev/hsm/$name" ] || continue
		mkdir -p "$CGROUP/hsm-$name"
		set -- --cards 0,1 --queue-pairs 2 --cgroup "$CGROUP/hsm-$name"
		[ "$name" != shared ] || set -- "$@" --shared
		[ ! -s "$STATE/partitions/$name" ] || set -- "$@" --partition "$(cat "$STATE/partitions/$name")"
		"$BIN/hsmctl" --json pool create "$name" "$@" >"$RUN/pool-$name.json" ||
			die "could not make pool $name"
		sed -n 's/.*"partition": *"\([0-9a-f-]*\)".*/\1/p' "$RUN/pool-$name.json" >"$STATE/partitions/$name"
		[ -s "$STATE/partitions/$name" ] || die "hsmctl named no partition: $(cat "$RUN/pool-$name.json")"
		sync
	done
}

start()
{
	name=$1
	prog=$(program "$name")
	! alive "$prog" || die "$name is running already"
	mkdir -p "$RUN/route" "$RUN/log"
	user_of gateway
	user_of "$name"
	log=$RUN/log/$prog.log

	if [ "$name" = gateway ]; then
		set -- "$BIN/hsm-gateway" --listen "$ADDR:$PORT_gateway" --cert "$TLS/cert.pem" --key "$TLS/key.pem" \
			--route "$ROUTE" --shared shared
	else
		role=dedicated
		[ "$name" != shared ] || role=shared
		mkdir -p "$STATE/$name/store" "$STATE/$name/card"
		pool=soft:$STATE/$name/card
		[ "$MODE" = native ] || pool=/dev/hsm/$name
		set -- "$BIN/hsm-kms" --role $role --name "$name" --pool "$pool" --store "$STATE/$name/store" \
			--route "$ROUTE" --admin "$RUN/$name.sock" --region "$REGION"
		eval "port=\${PORT_$name:-}"
		[ -z "$port" ] || set -- "$@" --listen "$ADDR:$port" --cert "$TLS/cert.pem" --key "$TLS/key.pem"
		[ "$MODE" = native ] || set -- "$@" --gateway-uid "$(id -u hsm-gateway)"
	fi
	if [ "$MODE" = vm ]; then
		set -- "$@" --user "hsm-$name"
		[ "$name" = gateway ] || chown -R "hsm-$name:hsm-$name" "$STATE/$name"
	fi
	[ -z "${HSM_VERBOSE:-}" ] || set -- "$@" --verbose

	touch "$log"
	mark=$(wc -l <"$log")
	(
		if [ "$MODE" = vm ]; then
			mkdir -p "$CGROUP/hsm-$name"
			sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$CGROUP/hsm-$name" "$@" \
				</dev/null >>"$log" 2>&1 &
		else
			setsid "$@" </dev/null >>"$log" 2>&1 &
		fi
		echo $! >"$RUN/$prog.pid"
	)
	pid=$(cat "$RUN/$prog.pid")
	i=0
	until tail -n +$((mark + 1)) "$log" | grep -q ready; do
		kill -0 "$pid" 2>/dev/null || { tail -n +$((mark + 1)) "$log" >&2; die "$prog ended at start"; }
		i=$((i + 1))
		[ $i -lt 200 ] || { tail -n +$((mark + 1)) "$log" >&2; die "$prog did not become ready in 20 s"; }
		sleep 0.1
	done
}

stop()
{
	prog=$(program "$1")
	if alive "$prog"; then
		kill -TERM "$pid" 2>/dev/null || true
		i=0
		while kill -0 "$pid" 2>/dev/null; do
			i=$((i + 1))
			[ $i -lt 100 ] || { echo "rig: $prog did not stop in 10 s; killed" >&2; kill -KILL "$pid"; break; }
			sleep 0.1
		done
	fi
	rm -f "$RUN/$prog.pid"
}

case $1 in
pools)		mkdir -p "$RUN"; pools ;;
start)		mkdir -p "$RUN"; start "$2" ;;
stop)		stop "$2" ;;
stop-all)	for n in gateway acme globex shared; do stop $n; done ;;
*)		die "inside.sh: what is '$1'?" ;;
esac
