# SPDX-License-Identifier: Apache-2.0
"""Sets up the HTTPS benchmark natively and runs it: see https.sh."""

import argparse
import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "story"))
from kit import ROOT, Rig, http_bytes, signed_headers  # noqa: E402
from stack import Stack, free_port  # noqa: E402

REQUESTS = 64

NGINX = """
daemon off;
worker_processes {workers};
pid {dir}/nginx.pid;
error_log {dir}/error.log error;
{user}
events {{ worker_connections 1024; }}
http {{
	access_log off;
	keepalive_requests 1000000000;
	keepalive_timeout 75s;
	client_body_temp_path {dir}/body;
	proxy_temp_path {dir}/proxy;
	fastcgi_temp_path {dir}/fastcgi;
	uwsgi_temp_path {dir}/uwsgi;
	scgi_temp_path {dir}/scgi;
	server {{
		listen 127.0.0.1:{port} ssl reuseport;
		ssl_certificate {cert};
		ssl_certificate_key {key};
		ssl_protocols TLSv1.2 TLSv1.3;
		default_type application/x-amz-json-1.1;
		location / {{ return 200 '{body}'; }}
	}}
}}
"""


def start_nginx(folder, stack, workers):
    folder.mkdir()
    port = free_port()
    body = json.dumps({"CiphertextBlob": "A" * 100, "KeyId": "", "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"})
    body = body.replace('"KeyId": ""', '"KeyId": "%s"' % ("k" * (200 - len(body))))
    assert len(body) == 200
    (folder / "nginx.conf").write_text(NGINX.format(
        workers=workers, dir=folder, port=port, cert=stack.dir / "cert.pem", key=stack.dir / "key.pem", body=body,
        user="user root;" if os.getuid() == 0 else ""))
    p = subprocess.Popen(["nginx", "-p", folder, "-c", folder / "nginx.conf"], stderr=subprocess.DEVNULL)
    pids, end = [], time.monotonic() + 10
    while len(pids) < workers:
        if p.poll() is not None or time.monotonic() > end:
            sys.exit(f"nginx does not start: {(folder / 'error.log').read_text()}")
        time.sleep(0.1)
        pids = pathlib.Path(f"/proc/{p.pid}/task/{p.pid}/children").read_text().split()
    return p, port, pids


def write_requests(path, requests):
    with open(path, "wb") as f:
        for r in requests:
            f.write(b"%d\n" % len(r) + r)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=max(1, os.cpu_count() // 2))
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    if args.seconds * args.rounds * 2 > 200:
        sys.exit("https.py: the signed requests hold for 5 minutes: fewer rounds or seconds")

    folder = ROOT / "build/bench/https"
    shutil.rmtree(folder, ignore_errors=True)
    stack = Stack(folder, workers=args.workers)
    nginx = None
    try:
        stack.start_kms("shared", "shared")
        stack.start_kms("acme", "dedicated", listen=True)
        stack.start_gateway()
        stack.add_instance("acme", stack.add_account("acme"))
        rig = Rig(stack.write_endpoints())
        key = rig.gateway("acme").create_key(CustomKeyStoreId="acme")["KeyMetadata"]["KeyId"]
        stack.stop("gateway")
        stack.stop("shared")
        nginx, port, pids = start_nginx(folder / "nginx", stack, args.workers)

        acme = rig.instance("acme")
        requests = []
        for _ in range(REQUESTS):
            plain = base64.b64encode(os.urandom(32)).decode()
            body = json.dumps({"KeyId": key, "Plaintext": plain}).encode()
            requests.append(http_bytes(signed_headers(acme["url"], acme, rig.region, "Encrypt", body), body))
        write_requests(folder / "requests", requests)
        print(f"32-byte Encrypt against nginx's fixed 200 bytes: {args.workers} worker(s) each, "
              f"{args.workers} load thread(s), {args.connections} connections, median of {args.rounds} "
              f"alternating rounds of {args.seconds:g} s", flush=True)
        subprocess.run([ROOT / "build/bench/https_bench", "--ca", rig.ca, "--threads", str(args.workers),
                        "--connections", str(args.connections), "--seconds", str(args.seconds),
                        "--rounds", str(args.rounds),
                        "--target", f"hsm-kms,localhost,{urllib.parse.urlsplit(acme['url']).port},"
                                    f"{folder}/requests,{stack.procs['acme'].pid}",
                        "--target", f"nginx,localhost,{port},{folder}/requests,{','.join(pids)}"], check=True)
    finally:
        if nginx:
            nginx.terminate()
            nginx.wait()
        stack.stop_all()


if __name__ == "__main__":
    main()
