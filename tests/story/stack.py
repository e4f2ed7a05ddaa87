# SPDX-License-Identifier: Apache-2.0
"""A small native stack of one's own, apart from the rig: a shared KMS and a gateway,
and on request a dedicated instance, on the soft card, in a folder."""

import json
import os
import pathlib
import socket
import subprocess
import time

from kit import ROOT

REGION = "local-1"
BIN = ROOT / "build/bin"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def make_certs(folder):
    """ca.pem, cert.pem, key.pem for localhost."""
    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=folder, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *ec, "-days", "30", "-subj", "/CN=test CA", "-keyout", "ca.key", "-out", "ca.pem",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
    openssl("req", *ec, "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "csr.pem")
    (folder / "ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
    openssl("x509", "-req", "-in", "csr.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "30", "-extfile", "ext", "-out", "cert.pem")


class Stack:
    """Daemons in self.procs by name; endpoints in the form of endpoints.json from write_endpoints()."""

    def __init__(self, folder, workers=None):
        self.dir = pathlib.Path(folder).resolve()
        self.dir.mkdir(parents=True, exist_ok=True)
        (self.dir / "route").mkdir(exist_ok=True)
        make_certs(self.dir)
        self.workers = workers
        self.procs, self.ports = {}, {}
        self.ends = {"mode": "native", "region": REGION, "ca": os.path.relpath(self.dir / "ca.pem", ROOT),
                     "run": str(self.dir), "accounts": {}, "instances": {}}

    def log(self, name):
        return (self.dir / f"{name}.log").read_text(errors="replace")

    def spawn(self, name, args):
        if self.workers:
            args += ["--workers", str(self.workers)]
        log = self.dir / f"{name}.log"
        seen = log.stat().st_size if log.exists() else 0
        with open(log, "ab") as out:
            p = subprocess.Popen([str(a) for a in args], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.procs[name] = p
        (self.dir / f"{'hsm-gateway' if name == 'gateway' else 'hsm-kms-' + name}.pid").write_text(str(p.pid))
        end = time.monotonic() + 30
        while b"ready" not in log.read_bytes()[seen:]:
            if p.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{name} does not start: {self.log(name)}")
            time.sleep(0.05)

    def listen(self, name):
        port = self.ports.setdefault(name, free_port())
        return ["--listen", f"127.0.0.1:{port}", "--cert", self.dir / "cert.pem", "--key", self.dir / "key.pem"]

    def start_kms(self, name, role, store=None, listen=False):
        card, store = self.dir / name / "card", pathlib.Path(store or self.dir / name / "store")
        for d in (card, store):
            d.mkdir(parents=True, exist_ok=True)
        self.spawn(name, [BIN / "hsm-kms", "--role", role, "--name", name, "--pool", f"soft:{card}",
                          "--store", store, "--route", f"usersock:{self.dir}/route",
                          "--admin", self.dir / f"{name}.sock", "--region", REGION,
                          *(self.listen(name) if listen else [])])

    def start_gateway(self, shared="shared"):
        self.spawn("gateway", [BIN / "hsm-gateway", *self.listen("gateway"),
                               "--route", f"usersock:{self.dir}/route", "--shared", shared])
        self.ends["gateway"] = {"url": f"https://localhost:{self.ports['gateway']}"}

    def ctl(self, name, *args, stdin=None):
        p = subprocess.run([BIN / "hsmctl", "--json", "--socket", self.dir / f"{name}.sock", *args], check=False,
                           text=True, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if p.returncode:
            raise RuntimeError(f"hsmctl {args}: exit {p.returncode}: {p.stdout}{p.stderr}")
        return json.loads(p.stdout)

    def add_account(self, name, shared="shared"):
        got = self.ctl(shared, "account", "create", name)
        self.ends["accounts"][name] = {k: got[k] for k in ("access_key_id", "secret_access_key")}
        return got

    def add_instance(self, name, account):
        url = f"https://localhost:{self.ports[name]}"
        self.ctl("shared", "instance", "add", name, "--account", account["account"], "--endpoint", url)
        self.ctl(name, "account", "import", stdin=json.dumps(account))
        got = self.ctl(name, "credential", "issue", "test")
        self.ends["instances"][name] = {"url": url, **{k: got[k] for k in ("access_key_id", "secret_access_key")}}

    def write_endpoints(self):
        path = self.dir / "endpoints.json"
        path.write_text(json.dumps(self.ends, indent=1))
        return path

    def stop(self, name):
        p = self.procs.pop(name)
        p.terminate()
        try:
            return p.wait(10)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
            return -9

    def stop_all(self):
        for name in reversed(list(self.procs)):
            self.stop(name)
