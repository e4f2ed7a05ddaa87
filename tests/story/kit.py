# SPDX-License-Identifier: Apache-2.0
"""What the story tests share: TAP, endpoints.json, AWS clients, and a raw HTTPS wire."""

import contextlib
import datetime
import json
import os
import pathlib
import socket
import ssl
import subprocess
import sys
import time
import traceback
import urllib.parse

os.environ.pop("AWS_PROFILE", None)
os.environ["AWS_CONFIG_FILE"] = "/dev/null"
os.environ["AWS_SHARED_CREDENTIALS_FILE"] = "/dev/null"
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "localhost,127.0.0.1"

try:
    import boto3
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.config import Config
    from botocore.credentials import Credentials
    from botocore.exceptions import ClientError
except ImportError as e:
    print(f"1..0 # SKIP {e}: install python3-boto3")
    sys.exit(4)

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAX_BODY = 49152


class Tap:
    """Counts and prints results; done() prints the plan and ends the program."""

    def __init__(self):
        self.n = self.failed = self.skipped = 0

    def ok(self, good, text, why=""):
        self.n += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.n} - {text}", flush=True)
        if not good and why:
            self.note(why)
        return good

    def skip(self, text, why):
        self.n += 1
        self.skipped += 1
        print(f"ok {self.n} - {text} # SKIP {why}", flush=True)

    def note(self, text):
        for line in str(text).rstrip().splitlines():
            print(f"# {line}", flush=True)

    @contextlib.contextmanager
    def case(self, text):
        """One result: the body passes unless it raises (assert included)."""
        try:
            yield
        except Exception:
            self.ok(False, text, traceback.format_exc())
        else:
            self.ok(True, text)

    def refused(self, text, names, call, status=400, says=()):
        """call() must fail with one of these AWS error names, this HTTP status, and these words."""
        names = (names,) if isinstance(names, str) else names
        says = (says,) if isinstance(says, str) else says
        with self.case(text):
            try:
                answer = call()
            except ClientError as e:
                code = e.response["Error"]["Code"]
                http = e.response["ResponseMetadata"]["HTTPStatusCode"]
                message = e.response["Error"]["Message"]
                assert code in names and http == status, f"got {http} {code}: {message}"
                assert message, "no message"
                for word in says:
                    assert word in message, f"'{word}' is not in the message: {message}"
            else:
                raise AssertionError(f"not refused: {answer}")

    def done(self):
        print(f"1..{self.n}")
        sys.exit(1 if self.failed else 4 if self.n and self.skipped == self.n else 0)


def skip_all(why):
    print(f"1..0 # SKIP {why}")
    sys.exit(4)


class Rig:
    """endpoints.json and the rig's commands."""

    def __init__(self, path):
        self.path = pathlib.Path(path).resolve()
        self.env = dict(os.environ, HSM_RIG_DIR=str(self.path.parent),
                        HSM_VM_DIR=str(self.path.parent / "vm/machine"))
        self.read()

    def read(self):
        """After `up` the ports and credentials may be others."""
        with open(self.path, encoding="utf-8") as f:
            self.ends = json.load(f)
        self.mode = self.ends["mode"]
        self.region = self.ends["region"]
        self.gateway_url = self.ends["gateway"]["url"]
        self.ca = str(ROOT / self.ends["ca"])

    def account(self, name):
        return self.ends["accounts"][name]

    def instance(self, name):
        return self.ends["instances"][name]

    def client(self, url, cred, attempts=1, timeout=60, connections=10):
        return boto3.session.Session().client(
            "kms", region_name=self.region, endpoint_url=url, verify=self.ca,
            aws_access_key_id=cred["access_key_id"],
            aws_secret_access_key=cred["secret_access_key"],
            config=Config(retries={"total_max_attempts": attempts}, parameter_validation=False,
                          connect_timeout=10, read_timeout=timeout, max_pool_connections=connections))

    def gateway(self, account, **kw):
        return self.client(self.gateway_url, self.account(account), **kw)

    def private(self, name, **kw):
        return self.client(self.instance(name)["url"], self.instance(name), **kw)

    def run(self, *args, check=True, timeout=300, program="rig"):
        p = subprocess.run([str(ROOT / program), *args], cwd=ROOT, timeout=timeout, text=True, env=self.env,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           check=False)
        if check and p.returncode:
            raise RuntimeError(f"{program} {' '.join(args)}: exit {p.returncode}: {p.stdout}{p.stderr}")
        return p

    def qmp(self, *args):
        return self.run(*args, program="tests/vm/vm-qmp")

    def inside(self, *cmd, **kw):
        return self.run("exec", *cmd, **kw)

    def restart(self, name):
        self.run("restart", name)

    def down_and_up(self):
        self.run("down")
        self.run("up", *(["--native"] if self.mode == "native" else []))
        self.read()

    def pid(self, program):
        """pid of hsm-gateway, hsm-kms-acme, ... inside."""
        return int(self.inside("cat", f"{self.ends['run']}/{program}.pid").stdout)


class _Signer(SigV4Auth):
    """SigV4 as botocore does it, with a clock that may be off."""

    def __init__(self, *args, shift=0):
        super().__init__(*args)
        self.shift = shift

    def add_auth(self, request):
        now = datetime.datetime.fromtimestamp(time.time() + self.shift, datetime.timezone.utc)
        request.context["timestamp"] = now.strftime("%Y%m%dT%H%M%SZ")
        self._modify_request_before_signing(request)
        canonical = self.canonical_request(request)
        text = self.string_to_sign(request, canonical)
        self._inject_signature_to_request(request, self.signature(text, request))


def signed_headers(url, cred, region, op, body, shift=0, service="kms"):
    """Headers of a signed request, as a dict.  op: with a dot it is the whole target."""
    request = AWSRequest("POST", url + "/", data=body, headers={
        "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": op if "." in op else f"TrentService.{op}"})
    _Signer(Credentials(cred["access_key_id"], cred["secret_access_key"]), service, region,
            shift=shift).add_auth(request)
    headers = {"Host": urllib.parse.urlsplit(url).netloc}
    headers.update(request.headers.items())
    headers["Content-Length"] = str(len(body))
    return headers


def http_bytes(headers, body, method="POST", path="/"):
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
    return head.encode() + b"\r\n" + body


class Wire:
    """One TLS connection on which anything can be sent."""

    def __init__(self, url, ca, timeout=30, version=None):
        parts = urllib.parse.urlsplit(url)
        context = ssl.create_default_context(cafile=ca)
        if version:
            context.minimum_version = context.maximum_version = version
            if version < ssl.TLSVersion.TLSv1_2:
                context.set_ciphers("ALL:@SECLEVEL=0")
        sock = socket.create_connection((parts.hostname, parts.port), timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = context.wrap_socket(sock, server_hostname=parts.hostname)
        self.have = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def _more(self):
        try:
            data = self.sock.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError):
            data = b""
        if not data:
            raise EOFError("connection closed")
        self.have += data

    def reply(self):
        """(status, headers with lower-case names, body) of the next response."""
        while b"\r\n\r\n" not in self.have:
            self._more()
        head, self.have = self.have.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        version, status = lines[0].split(" ")[:2]
        assert version == "HTTP/1.1", lines[0]
        headers = {}
        for line in lines[1:]:
            name, value = line.split(":", 1)
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", "0"))
        while len(self.have) < length:
            self._more()
        body, self.have = self.have[:length], self.have[length:]
        return int(status), headers, body

    def closed(self):
        """The peer closes, having sent nothing more."""
        try:
            self._more()
        except EOFError:
            return True
        return False


def error_of(body):
    """AWS error name in a response body."""
    return json.loads(body)["__type"].split("#")[-1]
