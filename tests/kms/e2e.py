#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""hsm-kms end to end, natively: soft pools, a shared and a dedicated KMS, the gateway, boto3.

usage: e2e.py BUILD_DIR
"""
import base64, datetime, json, os, shutil, signal, socket, struct, subprocess, sys, tempfile, threading, time
import http.client, ssl
from unittest import mock
import boto3
import botocore.auth
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

REGION = "local-1"
build = os.path.abspath(sys.argv[1])
top = tempfile.mkdtemp(prefix="hsm-kms-e2e.")
procs = {}
failed = passed = 0


def check(name, ok, detail=""):
    global failed, passed
    passed, failed = passed + bool(ok), failed + (not ok)
    print(f"{'ok' if ok else 'not ok'} {passed + failed} - {name}" + ("" if ok else f" # {detail}"), flush=True)


def start(name, *args):
    log = open(f"{top}/{name}.log", "ab")
    p = subprocess.Popen([f"{build}/bin/{args[0]}", *args[1:]], stderr=log)
    procs[name] = p
    mark = log.tell()
    for _ in range(400):
        with open(f"{top}/{name}.log", "rb") as f:
            f.seek(mark)
            if b"ready" in f.read():
                return p
        if p.poll() is not None:
            break
        time.sleep(0.05)
    sys.exit(f"{name} did not start:\n" + open(f"{top}/{name}.log").read())


def admin(daemon, /, **call):
    s = socket.socket(socket.AF_UNIX)
    s.connect(f"{top}/{daemon}.sock")
    s.sendall(json.dumps(call).encode() + b"\n")
    out = json.loads(s.makefile().readline())
    s.close()
    return out


def free_port():
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    return s.getsockname()[1]


def client(port, cred):
    return boto3.client("kms", region_name=REGION, endpoint_url=f"https://localhost:{port}",
                        verify=f"{top}/cert.pem", aws_access_key_id=cred["access_key_id"],
                        aws_secret_access_key=cred["secret_access_key"],
                        config=Config(retries={"max_attempts": 0}))


def refused(name, error, fn, text="", status=None, **args):
    try:
        fn(**args)
        check(name, False, "was not refused")
    except ClientError as e:
        got = e.response["Error"]["Code"]
        st = e.response["ResponseMetadata"]["HTTPStatusCode"]
        check(name, got == error and text in str(e) and status in (None, st), f"{st} {e}")


def raw(port, op, body, cred=None, when=None, tamper=False, conn=None):
    """A request made by hand: (status, error name)."""
    url = f"https://localhost:{port}/"
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "TrentService." + op,
               "Host": f"localhost:{port}"}
    req = AWSRequest("POST", url, data=body, headers=headers)
    if cred:
        auth = SigV4Auth(Credentials(cred["access_key_id"], cred["secret_access_key"]), "kms", REGION)
        if when:
            # The signer takes the time from its module's clock; where that is depends on its version.
            clock = type("clock", (), {"datetime": type("then", (), {"utcnow": staticmethod(lambda: when)})})
            with mock.patch.object(botocore.auth, "datetime", clock), mock.patch.object(
                    botocore.auth, "get_current_datetime", lambda *a, **k: when, create=True):
                auth.add_auth(req)
        else:
            auth.add_auth(req)
    if tamper:
        body = body.replace(b"AAAA", b"AAAB")
    c = conn or http.client.HTTPSConnection("localhost", port, context=ssl.create_default_context(cafile=f"{top}/cert.pem"))
    c.request("POST", "/", body=body, headers=dict(req.headers))
    r = c.getresponse()
    out = json.loads(r.read() or b"{}")
    return r.status, out.get("__type", "")


def kms(name, role, *more):
    return start(name, "hsm-kms", "--role", role, "--name", name, "--pool", f"soft:{top}/{name}.card", "--store",
                 f"{top}/{name}.store", "--route", f"usersock:{top}/route", "--admin", f"{top}/{name}.sock",
                 "--region", REGION, "--verbose", *more)


def main():
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", f"{top}/key.pem", "-out", f"{top}/cert.pem", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost"], check=True, stderr=subprocess.DEVNULL)
    os.mkdir(f"{top}/route", 0o700)
    port, gport = free_port(), free_port()
    tls = ("--cert", f"{top}/cert.pem", "--key", f"{top}/key.pem")
    kms("shared", "shared")
    dedicated = ("acme", "dedicated", "--listen", f"127.0.0.1:{port}", *tls, "--workers", "2")
    kms(*dedicated)
    start("gateway", "hsm-gateway", "--listen", f"127.0.0.1:{gport}", *tls, "--route", f"usersock:{top}/route")

    acme = admin("shared", op="account-create", name="acme")
    initech = admin("shared", op="account-create", name="initech")
    check("accounts", acme["ok"] and initech["ok"] and len(acme["secret_access_key"]) == 40, acme)
    check("same name again", not admin("shared", op="account-create", name="acme")["ok"])
    out = admin("shared", op="instance-add", name="acme", account=acme["account"], endpoint=f"https://localhost:{port}")
    check("instance-add", out["ok"], out)
    for bad in "Acme", "ac.me", "-acme", "a" * 32:
        out = admin("shared", op="instance-add", name=bad, account=acme["account"], endpoint="https://localhost:1")
        check(f"instance-add of {bad[:8]}, which no route carries", not out["ok"], out)
    out = admin("acme", op="account-import", **{k: v for k, v in acme.items() if k != "ok"})
    check("account-import", out["ok"], out)
    app = admin("acme", op="credential-issue", name="app")
    check("credential-issue", app["ok"], app)
    check("role's own operations", not admin("acme", op="account-create", name="x")["ok"])
    gw, data, init = client(gport, acme), client(port, app), client(gport, initech)

    # management through the gateway
    md = gw.create_key(Description="first \"key\" é", CustomKeyStoreId="acme")["KeyMetadata"]
    key, arn = md["KeyId"], md["Arn"]
    check("CreateKey", md["CustomKeyStoreId"] == "acme" and md["AWSAccountId"] == acme["account"] and
          md["Origin"] == "AWS_CLOUDHSM" and md["Description"] == "first \"key\" é", md)
    check("DescribeKey at the gateway", gw.describe_key(KeyId=arn)["KeyMetadata"]["Arn"] == arn)
    check("DescribeKey at the instance", data.describe_key(KeyId=key)["KeyMetadata"]["Arn"] == arn)
    key2 = gw.create_key(CustomKeyStoreId="acme")["KeyMetadata"]["KeyId"]
    check("ListKeys at the gateway", {k["KeyId"] for k in gw.list_keys()["Keys"]} == {key, key2})
    check("ListKeys of another account", init.list_keys()["Keys"] == [])
    pages = [gw.list_keys(Limit=1)]
    while pages[-1]["Truncated"]:
        pages.append(gw.list_keys(Limit=1, Marker=pages[-1]["NextMarker"]))
    check("ListKeys in pages", len(pages) == 2 and {p["Keys"][0]["KeyId"] for p in pages} == {key, key2}, pages)
    refused("Encrypt at the gateway", "AccessDeniedException", gw.encrypt, str(port), KeyId=key, Plaintext=b"x")
    refused("foreign key store", "CustomKeyStoreNotFoundException", init.create_key, CustomKeyStoreId="acme")
    refused("CreateKey at the instance", "AccessDeniedException", data.create_key, "gateway")
    refused("foreign key", "NotFoundException", init.describe_key, KeyId=key)
    refused("unknown key", "NotFoundException", gw.describe_key, KeyId="00000000-0000-4000-8000-000000000000")
    refused("bad ARN", "InvalidArnException", gw.describe_key, KeyId="arn:aws:kms:nonsense")
    refused("bad marker", "InvalidMarkerException", gw.list_keys, Marker="nonsense")
    refused("CreateKey with a policy", "UnsupportedOperationException", gw.create_key, Policy="{}")
    refused("not served", "UnsupportedOperationException", gw.list_aliases)

    # key computation at the instance
    ctx = {"purpose": "test", "a": "ü"}
    blob = data.encrypt(KeyId=arn, Plaintext=b"hello", EncryptionContext=ctx)["CiphertextBlob"]
    out = data.decrypt(CiphertextBlob=blob, EncryptionContext=dict(reversed(ctx.items())))
    check("Decrypt", out["Plaintext"] == b"hello" and out["KeyId"] == arn, out)
    refused("wrong context", "InvalidCiphertextException", data.decrypt, CiphertextBlob=blob)
    for at in (0, 10, 30, len(blob) - 1):
        bad = blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1:]
        refused(f"tampered at {at}", "InvalidCiphertextException", data.decrypt, CiphertextBlob=bad, EncryptionContext=ctx)
    refused("short", "InvalidCiphertextException", data.decrypt, CiphertextBlob=b"HKB1")
    refused("other key named", "IncorrectKeyException", data.decrypt, CiphertextBlob=blob, EncryptionContext=ctx, KeyId=key2)
    check("right key named", data.decrypt(CiphertextBlob=blob, EncryptionContext=ctx, KeyId=key)["Plaintext"] == b"hello")
    again = data.re_encrypt(CiphertextBlob=blob, SourceEncryptionContext=ctx, DestinationKeyId=key2,
                            DestinationEncryptionContext={"n": "2"})
    check("ReEncrypt", again["SourceKeyId"] == arn and key2 in again["KeyId"], again)
    check("Decrypt of it", data.decrypt(CiphertextBlob=again["CiphertextBlob"], EncryptionContext={"n": "2"})["Plaintext"] == b"hello")
    dk = data.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext=ctx)
    check("GenerateDataKey", len(dk["Plaintext"]) == 32 and
          data.decrypt(CiphertextBlob=dk["CiphertextBlob"], EncryptionContext=ctx)["Plaintext"] == dk["Plaintext"], dk)
    dk = data.generate_data_key_without_plaintext(KeyId=key, NumberOfBytes=77)
    check("GenerateDataKeyWithoutPlaintext", "Plaintext" not in dk and len(data.decrypt(CiphertextBlob=dk["CiphertextBlob"])["Plaintext"]) == 77, dk)
    check("GenerateRandom", len(data.generate_random(NumberOfBytes=1024)["Plaintext"]) == 1024)
    big = os.urandom(4096)
    check("4096 bytes", data.decrypt(CiphertextBlob=data.encrypt(KeyId=key, Plaintext=big)["CiphertextBlob"])["Plaintext"] == big)
    b64 = base64.b64encode(b"x" * 4097)
    check("4097 bytes", raw(port, "Encrypt", b'{"KeyId":"%s","Plaintext":"%s"}' % (key.encode(), b64), app) == (400, "ValidationException"))
    refused("spec and number", "ValidationException", data.generate_data_key, KeyId=key, KeySpec="AES_256", NumberOfBytes=5)
    refused("large context", "ValidationException", data.encrypt, KeyId=key, Plaintext=b"x", EncryptionContext={"k": "v" * 9000})

    # an account without an instance: all through the gateway
    ik = init.create_key()["KeyMetadata"]
    check("shared key", ik["Origin"] == "AWS_KMS" and "CustomKeyStoreId" not in ik, ik)
    ib = init.encrypt(KeyId=ik["KeyId"], Plaintext=b"shared")["CiphertextBlob"]
    check("shared Decrypt", init.decrypt(CiphertextBlob=ib)["Plaintext"] == b"shared")
    refused("acme on initech's ciphertext", "InvalidCiphertextException", gw.decrypt, CiphertextBlob=ib)

    # who is who
    body = b'{"NumberOfBytes":16,"Pad":"AAAA"}'
    check("unsigned", raw(port, "GenerateRandom", body) == (400, "MissingAuthenticationTokenException"), raw(port, "GenerateRandom", body))
    check("wrong signature", raw(port, "GenerateRandom", body, app, tamper=True) == (400, "InvalidSignatureException"))
    stale = datetime.datetime.utcnow() - datetime.timedelta(minutes=6)
    got = raw(port, "GenerateRandom", body, app, when=stale)
    check("stale", got == (400, "InvalidSignatureException"), got)
    check("signed well", raw(port, "GenerateRandom", body, app)[0] == 200)
    refused("account's credential at the instance", "UnrecognizedClientException", client(port, acme).list_keys)
    refused("application's credential at the gateway", "UnrecognizedClientException", client(gport, app).list_keys)

    # bad input; the connection survives
    c = http.client.HTTPSConnection("localhost", port, context=ssl.create_default_context(cafile=f"{top}/cert.pem"))
    for name, op, b, want in (
            ("malformed JSON", "Encrypt", b'{"KeyId": ', (400, "SerializationException")),
            ("duplicate member", "GenerateRandom", b'{"NumberOfBytes":1,"NumberOfBytes":2}', (400, "SerializationException")),
            ("deep JSON", "Encrypt", b"[" * 20000, (400, "SerializationException")),
            ("wrong type", "Encrypt", b'{"KeyId": 5}', (400, "SerializationException")),
            ("no KeyId", "Encrypt", b"{}", (400, "ValidationException")),
            ("unknown operation", "Frobnicate", b"{}", (400, "UnknownOperationException")),
            ("good", "GenerateRandom", b'{"NumberOfBytes":1}', (200, ""))):
        got = raw(port, op, b, app, conn=c)
        check(name, got == want, got)
    sock = c.sock
    check("one connection", sock is not None)
    # a body that takes more memory than a request has: answered all the same, and no slot stays taken
    hungry = b'{"KeyId":"x","x":[' + b"[]," * 15000 + b"[]]}"
    t = time.time()
    got = [raw(gport, "DescribeKey", hungry, acme) for _ in range(3)]
    check("hungry JSON over the route", got == [(400, "SerializationException")] * 3 and time.time() - t < 5, got)
    got = raw(port, "Encrypt", b" " * 50000, app)
    check("oversize body", got[0] == 413, got)

    # a signed CreateKey that somebody kept makes no more keys
    then = datetime.datetime.utcnow()
    repeat = lambda: raw(gport, "CreateKey", b'{"CustomKeyStoreId":"acme"}', acme, when=then)
    got = repeat()
    time.sleep(2.1)
    check("CreateKey carried out again", (got, repeat()) == ((200, ""), (400, "ThrottlingException")), got)

    # kill -9, restart: everything acknowledged is there
    keys = [gw.create_key(CustomKeyStoreId="acme")["KeyMetadata"]["KeyId"] for _ in range(20)]
    procs["acme"].send_signal(signal.SIGKILL)
    procs["acme"].wait()
    t = time.time()
    refused("instance down", "ServiceUnavailableException", gw.describe_key, KeyId=key, status=503)
    check("answered at once", time.time() - t < 1)
    listed = {k["KeyId"] for k in gw.list_keys()["Keys"]}
    refused("CreateKey with the instance down", "ServiceUnavailableException", gw.create_key, CustomKeyStoreId="acme", status=503)
    check("and it left no key behind", {k["KeyId"] for k in gw.list_keys()["Keys"]} == listed)
    kms(*dedicated)
    check("after kill -9", all(gw.describe_key(KeyId=k) for k in keys))
    check("yesterday's ciphertext", data.decrypt(CiphertextBlob=blob, EncryptionContext=ctx)["Plaintext"] == b"hello")

    # revocation holds at once, on every worker and connection
    clients = [client(port, app) for _ in range(6)]
    check("before revocation", all(c.generate_random(NumberOfBytes=1) for c in clients))
    check("credential-revoke", admin("acme", op="credential-revoke", access_key_id=app["access_key_id"])["ok"])
    for c in clients:
        refused("revoked", "UnrecognizedClientException", c.generate_random, NumberOfBytes=1)
    listed = admin("acme", op="credential-list")["credentials"]
    check("credential-list", [x["kind"] for x in listed] == ["account"] and "secret" not in json.dumps(listed), listed)

    # an account's credential is replaced, at the shared KMS and at the instance
    given = lambda c: {k: v for k, v in c.items() if k != "ok"}
    check("credential of no account", not admin("shared", op="credential-issue", name="nobody")["ok"])
    new = admin("shared", op="credential-issue", name="acme")
    check("further credential", new["ok"] and set(new) == set(acme) and new["account"] == acme["account"] and
          new["access_key_id"] != acme["access_key_id"], set(new))
    out = admin("acme", op="account-import", **{**given(new), "name": "other"})
    check("import under another name", not out["ok"], out)
    out = admin("acme", op="account-import", **given(new))
    check("import of it", out["ok"], out)
    check("import of it again", not admin("acme", op="account-import", **given(new))["ok"])
    for name in ("shared", "acme"):
        out = admin(name, op="credential-revoke", access_key_id=acme["access_key_id"])
        check(f"old one revoked at {name}", out["ok"], out)
    refused("old one", "UnrecognizedClientException", gw.describe_key, KeyId=key)
    check("new one", client(gport, new).describe_key(KeyId=key)["KeyMetadata"]["Arn"] == arn)
    out = admin("acme", op="account-import", **given(acme))
    check("import after revocation", out["ok"], out)
    check("one account", len(admin("acme", op="account-list")["accounts"]) == 1)

    # a gateway that sends nonsense does not fill the log
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 2)
    s.bind((0, 0))
    to = (int(open(f"{top}/route/acme").read().split()[1]), 0)
    for xid in range(50):
        s.sendto(struct.pack("<4sBBHQI", b"HRU1", 1, 1, 0, xid, 8) + b"nonsense", to)
        s.recv(4096)
    lines = open(f"{top}/acme.log").read().count("malformed")
    check("malformed messages in the log", lines == 1, lines)
    s.close()

    for name in ("acme", "shared"):
        for line in open(f"/proc/{procs[name].pid}/status"):
            if line.startswith("VmRSS"):
                print(f"# {name}: {line.split()[1]} KiB resident")
    # what waits at the gateway when it stops is answered
    procs["shared"].send_signal(signal.SIGSTOP)
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(raw(gport, "ListKeys", b"{}", initech)))
    waiting.start()
    time.sleep(0.7)
    procs["gateway"].send_signal(signal.SIGTERM)
    waiting.join(10)
    check("answered at the gateway's end", answers == [(503, "ServiceUnavailableException")], answers)
    procs["shared"].send_signal(signal.SIGCONT)
    for name in ("gateway", "acme", "shared"):
        procs[name].send_signal(signal.SIGTERM)
        check(f"{name} ends cleanly", procs[name].wait(timeout=15) == 0)
    secrets = [x["secret_access_key"].encode() for x in (acme, initech, app, new)]
    for root, _, files in os.walk(top):
        for f in files:
            p = os.path.join(root, f)
            if ".store" in root or ".card" in root:
                if os.stat(p).st_mode & 0o077:
                    check(f"mode of {p}", False)
                if any(s in open(p, "rb").read() for s in secrets):
                    check(f"no secret in {p}", False)


try:
    main()
except BaseException:
    for n in procs:
        print(f"--- {n}\n" + open(f"{top}/{n}.log", errors="replace").read()[-3000:], file=sys.stderr)
    raise
finally:
    for p in procs.values():
        if p.poll() is None:
            p.kill()
    shutil.rmtree(top, ignore_errors=True)
print(f"1..{passed + failed}")
sys.exit(1 if failed else 0)
