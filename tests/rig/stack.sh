# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Bringing the whole stack up and down, in the VM or natively.

. tests/rig/vm.sh

taken() { [ -n "$(ss -Hltn "sport = :$1")" ]; }

# Ports stay what they were at the first `up`: the shared KMS's directory names them.
choose_ports()
{
	local n p=18443
	if [ ! -s "$RIG/$MODE/ports" ]; then
		: >"$RIG/$MODE/ports.new"
		[ "$MODE" = vm ] || p=19443
		for n in gateway acme globex; do
			while taken $p; do p=$((p + 1)); done
			echo "PORT_$n=$p" >>"$RIG/$MODE/ports.new"
			p=$((p + 1))
		done
		mv "$RIG/$MODE/ports.new" "$RIG/$MODE/ports"
	fi
	. "$RIG/$MODE/ports"
	for n in $PORT_gateway $PORT_acme $PORT_globex; do
		! taken "$n" || die "port $n is taken by another program; stop it, or: ./rig reset (forgets all keys)"
	done
}

make_certs()
{
	local d=$RIG/tls
	[ ! -s "$d/cert.pem" ] || { cp "$d/ca.pem" "$RIG/ca.pem"; return 0; }
	mkdir -p "$d"
	(
		umask 077
		cd "$d"
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=hsm rig CA" \
			-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign \
			-keyout ca.key -out ca.pem
		openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=localhost" -keyout key.pem -out csr.pem
		printf '%s\n' "subjectAltName=DNS:localhost,IP:127.0.0.1" "extendedKeyUsage=serverAuth" >ext
		openssl x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 825 -extfile ext -out cert.pem
	) >/dev/null 2>&1 || die "openssl could not make the certificates"
	cp "$d/ca.pem" "$RIG/ca.pem"
}

# inside CMD...: runs tests/rig/inside.sh where the daemons are.
inside()
{
	if [ "$MODE" = vm ]; then
		vm_exec env MODE=vm BIN=/usr/bin STATE=/var/lib/hsm RUN=/run/hsm TLS=/var/lib/hsm/tls ADDR=0.0.0.0 \
			PORT_gateway=8443 PORT_acme=8501 PORT_globex=8502 REGION=$REGION HSM_VERBOSE="${HSM_VERBOSE:-}" \
			sh /usr/lib/hsm/inside.sh "$@"
	else
		env MODE=native BIN="$ROOT/build/bin" STATE="$RIG/native" RUN="$RIG/native/run" TLS="$RIG/tls" ADDR=127.0.0.1 \
			PORT_gateway="$PORT_gateway" PORT_acme="$PORT_acme" PORT_globex="$PORT_globex" REGION=$REGION \
			HSM_VERBOSE="${HSM_VERBOSE:-}" sh tests/rig/inside.sh "$@"
	fi
}

# ctl SOCKET ARGS...: hsmctl where the daemons are, JSON out.
ctl()
{
	local sock=$1
	shift
	if [ "$MODE" = vm ]; then
		vm_exec /usr/bin/hsmctl --json --socket "/run/hsm/$sock.sock" "$@"
	else
		"$ROOT/build/bin/hsmctl" --json --socket "$RIG/native/run/$sock.sock" "$@"
	fi
}

field() { /usr/bin/python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$1" "$2"; }

# Accounts, instances and credentials: made once, their secrets are shown once.  An `up`
# that was interrupted may have made more than it noted: then there is a new credential.
make_tenants()
{
	local d=$RIG/$MODE/tenants a
	mkdir -p "$d"
	chmod 700 "$d"
	for a in acme globex initech; do
		[ -s "$d/account-$a.json" ] || {
			ctl shared account create $a >"$d/new" 2>"$d/why" || new_credential $a || die "could not make account $a"
			mv "$d/new" "$d/account-$a.json"
			rm -f "$d/instance-$a.done"
		}
	done
	for a in $INSTANCES; do
		[ -e "$d/instance-$a.done" ] || {
			eval "port=\$PORT_$a"
			# shellcheck disable=SC2154
			ctl shared instance add $a --account "$(field "$d/account-$a.json" account)" \
				--endpoint "https://localhost:$port" >/dev/null || die "could not add instance $a"
			ctl $a account import <"$d/account-$a.json" >/dev/null 2>"$d/why" || {
				new_credential $a && mv "$d/new" "$d/account-$a.json" &&
					ctl $a account import <"$d/account-$a.json" >/dev/null
			} || die "could not import account $a"
			: >"$d/instance-$a.done"
		}
		[ -s "$d/credential-$a.json" ] || {
			ctl $a credential issue rig >"$d/new" || die "could not issue a credential of $a"
			mv "$d/new" "$d/credential-$a.json"
		}
	done
}

# new_credential ACCOUNT: into $d/new, if $d/why says that the one at hand is used up.
new_credential()
{
	grep -q "exists already" "$d/why" || { cat "$d/why" >&2; return 1; }
	ctl shared credential issue "$1" >"$d/new"
}

write_endpoints()
{
	local run=/run/hsm
	[ "$MODE" = vm ] || run=$RIG/native/run
	/usr/bin/python3 - "$MODE" "$REGION" "$RIG" "$run" "$PORT_gateway" "acme=$PORT_acme" "globex=$PORT_globex" <<'EOF'
import json, os, sys
mode, region, rig, run, gw = sys.argv[1:6]
d = os.path.join(rig, mode, "tenants")
def cred(path):
    j = json.load(open(os.path.join(d, path)))
    return {k: j[k] for k in ("access_key_id", "secret_access_key")}
out = {"mode": mode, "region": region, "ca": os.path.relpath(os.path.join(rig, "ca.pem")), "run": run,
       "gateway": {"url": "https://localhost:" + gw}, "accounts": {}, "instances": {}}
for a in ("acme", "globex", "initech"):
    out["accounts"][a] = cred("account-%s.json" % a)
for arg in sys.argv[6:]:
    name, port = arg.split("=")
    out["instances"][name] = dict(url="https://localhost:" + port, **cred("credential-%s.json" % name))
fd = os.open(os.path.join(rig, "endpoints.json.new"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
with os.fdopen(fd, "w") as f:
    json.dump(out, f, indent=1)
    f.write("\n")
os.rename(os.path.join(rig, "endpoints.json.new"), os.path.join(rig, "endpoints.json"))
EOF
}

# stack_up MODE: returns when every daemon serves.
stack_up()
{
	MODE=$1
	[ ! -f "$RIG/mode" ] || die "already up ($(cat "$RIG/mode")); ./rig down first"
	[ "$MODE" = vm ] || [ "$(printf %s "$RIG/native/run/globex.sock" | wc -c)" -le 107 ] ||
		die "$RIG is too long for the name of a socket; set HSM_RIG_DIR to a folder of at most 84 bytes"
	mkdir -p "$RIG/$MODE"
	chmod 700 "$RIG"
	make_certs
	choose_ports
	echo "$MODE" >"$RIG/mode"
	if [ "$MODE" = vm ]; then
		vm_up || {
			vm_down || true
			rm -f "$RIG/mode"
			die "the VM did not come up; its console: $HSM_VM_DIR/console.log"
		}
		vm_exec sh -c 'mkdir -p /var/lib/hsm/tls && cat >/var/lib/hsm/tls/cert.pem' <"$RIG/tls/cert.pem"
		vm_exec sh -c 'umask 077; cat >/var/lib/hsm/tls/key.pem' <"$RIG/tls/key.pem"
		inside pools
	else
		mkdir -p "$RIG/native/run"
	fi
	for n in shared acme globex gateway; do inside start $n; done
	make_tenants
	write_endpoints
}

stack_down()
{
	local rc=0
	MODE=$(mode)
	. "$RIG/$MODE/ports"
	if [ "$MODE" = vm ]; then
		if vm_alive; then inside stop-all || say "the daemons did not stop cleanly"; fi
		vm_down || rc=1
	else
		inside stop-all
	fi
	rm -f "$RIG/mode" "$RIG/endpoints.json"
	return $rc
}
