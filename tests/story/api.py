#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The API as a tenant's program sees it: boto3 for what is right, raw bytes for what is wrong.

    api.py ENDPOINTS.JSON
"""

import base64
import json
import re
import socket
import ssl
import sys
import uuid

from botocore.exceptions import ClientError

from kit import MAX_BODY, Rig, Tap, Wire, error_of, http_bytes, signed_headers

CTX = {"department": "payroll", "file": "2026-11.csv", "naïve": "ключ"}
MISSING = str(uuid.uuid4())


def b64(data):
    return base64.b64encode(data).decode()


def flip(blob, at):
    out = bytearray(blob)
    out[at] ^= 1
    return bytes(out)


def create(client, **kw):
    return client.create_key(**kw)["KeyMetadata"]


def all_keys(client, **kw):
    return [k["KeyId"] for page in client.get_paginator("list_keys").paginate(**kw) for k in page["Keys"]]


def story_keys(tap, rig):
    """acme's keys: made through the gateway, seen from both sides."""
    gw, acme = rig.gateway("acme"), rig.private("acme")
    keys = []

    with tap.case("CreateKey at the gateway in key store acme"):
        meta = create(gw, CustomKeyStoreId="acme", Description="payroll, first")
        assert re.fullmatch(r"\d{12}", meta["AWSAccountId"]), meta
        assert meta["Arn"] == f"arn:aws:kms:{rig.region}:{meta['AWSAccountId']}:key/{meta['KeyId']}", meta
        uuid.UUID(meta["KeyId"])
        assert meta["Enabled"] is True and meta["KeyState"] == "Enabled", meta
        assert meta["Origin"] == "AWS_CLOUDHSM" and meta["CustomKeyStoreId"] == "acme", meta
        assert meta["KeyUsage"] == "ENCRYPT_DECRYPT" and meta["KeySpec"] == "SYMMETRIC_DEFAULT", meta
        assert meta["Description"] == "payroll, first" and meta["KeyManager"] == "CUSTOMER", meta
        assert meta["EncryptionAlgorithms"] == ["SYMMETRIC_DEFAULT"] and meta["MultiRegion"] is False, meta
        keys.append(meta)
    with tap.case("CreateKey with Origin AWS_CLOUDHSM spelled out"):
        meta = create(gw, CustomKeyStoreId="acme", Origin="AWS_CLOUDHSM", KeyUsage="ENCRYPT_DECRYPT",
                      KeySpec="SYMMETRIC_DEFAULT")
        assert meta["CustomKeyStoreId"] == "acme", meta
        keys.append(meta)
    if len(keys) < 2:
        tap.note("without keys there is nothing to go on with")
        tap.done()
    for where, client in (("at the gateway", gw), ("at acme's endpoint", acme)):
        for what, name in (("id", keys[0]["KeyId"]), ("ARN", keys[0]["Arn"])):
            with tap.case(f"DescribeKey by {what} {where}"):
                got = client.describe_key(KeyId=name)["KeyMetadata"]
                assert got == keys[0], f"{got} != {keys[0]}"
        with tap.case(f"ListKeys {where} has both, once, whatever the page size"):
            whole = all_keys(client)
            assert len(whole) == len(set(whole)), "a key twice"
            assert {k["KeyId"] for k in keys} <= set(whole), whole
            size = 1 + len(whole) // 50
            assert sorted(all_keys(client, PaginationConfig={"PageSize": size})) == sorted(whole)
        tap.refused(f"a made-up marker {where}", "InvalidMarkerException",
                    lambda c=client: c.list_keys(Marker="not a marker"))
    return keys


def story_crypto(tap, client, one, two, who):
    """Everything a key can compute, at the place where its account may compute."""
    a, b = one["KeyId"], two["KeyId"]

    for text, ctx in (("without a context", {}), ("with a context", {"EncryptionContext": CTX})):
        with tap.case(f"{who}: Encrypt, Decrypt {text}"):
            for size in (1, 32, 4096):
                plain = bytes(i * 7 & 255 for i in range(size))
                got = client.encrypt(KeyId=a, Plaintext=plain, **ctx)
                blob = got["CiphertextBlob"]
                assert got["KeyId"] == one["Arn"] and got["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT", got
                assert size == 1 or plain not in blob
                for more in ({}, {"KeyId": a}, {"KeyId": one["Arn"], "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}):
                    back = client.decrypt(CiphertextBlob=blob, **more, **ctx)
                    assert back["Plaintext"] == plain and back["KeyId"] == one["Arn"], (size, more)
                assert client.encrypt(KeyId=one["Arn"], Plaintext=plain, **ctx)["CiphertextBlob"] != blob
    with tap.case(f"{who}: a context's order does not matter"):
        blob = client.encrypt(KeyId=a, Plaintext=b"x", EncryptionContext=CTX)["CiphertextBlob"]
        back = client.decrypt(CiphertextBlob=blob, EncryptionContext=dict(reversed(CTX.items())))
        assert back["Plaintext"] == b"x"
    with tap.case(f"{who}: GenerateDataKey"):
        for spec, size in (({"KeySpec": "AES_256"}, 32), ({"KeySpec": "AES_128"}, 16), ({"NumberOfBytes": 1024}, 1024)):
            got = client.generate_data_key(KeyId=a, EncryptionContext=CTX, **spec)
            assert len(got["Plaintext"]) == size and got["KeyId"] == one["Arn"], spec
            back = client.decrypt(CiphertextBlob=got["CiphertextBlob"], EncryptionContext=CTX)
            assert back["Plaintext"] == got["Plaintext"]
    with tap.case(f"{who}: GenerateDataKeyWithoutPlaintext"):
        got = client.generate_data_key_without_plaintext(KeyId=a, KeySpec="AES_256")
        assert "Plaintext" not in got, got
        assert len(client.decrypt(CiphertextBlob=got["CiphertextBlob"])["Plaintext"]) == 32
    with tap.case(f"{who}: ReEncrypt from one key and context to another"):
        blob = client.encrypt(KeyId=a, Plaintext=b"moved", EncryptionContext=CTX)["CiphertextBlob"]
        got = client.re_encrypt(CiphertextBlob=blob, SourceEncryptionContext=CTX, DestinationKeyId=b,
                                DestinationEncryptionContext={"to": "two"})
        assert got["SourceKeyId"] == one["Arn"] and got["KeyId"] == two["Arn"], got
        back = client.decrypt(CiphertextBlob=got["CiphertextBlob"], EncryptionContext={"to": "two"})
        assert back["Plaintext"] == b"moved" and back["KeyId"] == two["Arn"]
    with tap.case(f"{who}: GenerateRandom"):
        seen = {client.generate_random(NumberOfBytes=n)["Plaintext"] for n in (32, 32, 1024)}
        assert sorted(map(len, seen)) == [32, 32, 1024]


def story_wrong(tap, client, one, two, who):
    """Requests that are well signed and wrong."""
    a = one["KeyId"]
    blob = client.encrypt(KeyId=a, Plaintext=b"sixteen bytes ok", EncryptionContext=CTX)["CiphertextBlob"]

    def dec(blob=blob, ctx=None, **kw):
        return client.decrypt(CiphertextBlob=blob, EncryptionContext=CTX if ctx is None else ctx, **kw)

    tap.refused(f"{who}: another context", "InvalidCiphertextException", lambda: dec(ctx={**CTX, "file": "other"}))
    tap.refused(f"{who}: no context", "InvalidCiphertextException", lambda: dec(ctx={}))
    tap.refused(f"{who}: the ReEncrypt of a wrong context", "InvalidCiphertextException",
                lambda: client.re_encrypt(CiphertextBlob=blob, DestinationKeyId=a))
    for text, at in (("magic", 0), ("version", 4), ("nonce", 30), ("body", 56), ("tag", -1)):
        tap.refused(f"{who}: ciphertext with a bit turned in its {text}", "InvalidCiphertextException",
                    lambda at=at: dec(flip(blob, at)))
    tap.refused(f"{who}: ciphertext with a bit turned in its key's name",
                ("InvalidCiphertextException", "NotFoundException"), lambda: dec(flip(blob, 10)))
    for text, bad in (("cut short", blob[:-1]), ("cut to its head", blob[:24]), ("made longer", blob + b"\0"),
                      ("that is none", b"hello")):
        tap.refused(f"{who}: ciphertext {text}", "InvalidCiphertextException", lambda bad=bad: dec(bad))
    tap.refused(f"{who}: empty ciphertext", ("ValidationException", "InvalidCiphertextException"), lambda: dec(b""))
    tap.refused(f"{who}: Decrypt with the wrong KeyId", "IncorrectKeyException", lambda: dec(KeyId=two["KeyId"]))
    tap.refused(f"{who}: ReEncrypt with the wrong SourceKeyId", "IncorrectKeyException",
                lambda: client.re_encrypt(CiphertextBlob=blob, SourceEncryptionContext=CTX,
                                          SourceKeyId=two["KeyId"], DestinationKeyId=a))
    tap.refused(f"{who}: plaintext of 4097 bytes", "ValidationException",
                lambda: client.encrypt(KeyId=a, Plaintext=bytes(4097)))
    tap.refused(f"{who}: empty plaintext", "ValidationException", lambda: client.encrypt(KeyId=a, Plaintext=b""))
    tap.refused(f"{who}: a context of 8 KiB and more", "ValidationException",
                lambda: client.encrypt(KeyId=a, Plaintext=b"x", EncryptionContext={"k": "v" * 8200}))
    for op in ("encrypt", "describe_key", "generate_data_key"):
        more = {"encrypt": {"Plaintext": b"x"}, "generate_data_key": {"KeySpec": "AES_256"}}.get(op, {})
        tap.refused(f"{who}: {op} of a key that does not exist", "NotFoundException",
                    lambda op=op, more=more: getattr(client, op)(KeyId=MISSING, **more))
    tap.refused(f"{who}: a KeyId that is no key's", ("NotFoundException", "ValidationException", "InvalidArnException"),
                lambda: client.describe_key(KeyId="../etc/passwd"))
    tap.refused(f"{who}: no KeyId", "ValidationException", client.describe_key)
    for kw in ({}, {"KeySpec": "AES_256", "NumberOfBytes": 32}, {"NumberOfBytes": 0}, {"NumberOfBytes": 1025},
               {"KeySpec": "AES_512"}):
        tap.refused(f"{who}: GenerateDataKey {kw}", "ValidationException",
                    lambda kw=kw: client.generate_data_key(KeyId=a, **kw))
    for n in (0, 1025, -1):
        tap.refused(f"{who}: GenerateRandom of {n} bytes", "ValidationException",
                    lambda n=n: client.generate_random(NumberOfBytes=n))
    tap.refused(f"{who}: another encryption algorithm", ("InvalidKeyUsageException", "UnsupportedOperationException"),
                lambda: client.encrypt(KeyId=a, Plaintext=b"x", EncryptionAlgorithm="RSAES_OAEP_SHA_256"))
    tap.refused(f"{who}: an operation of AWS that is not built", ("UnsupportedOperationException",
                "UnknownOperationException"), client.list_aliases)


def story_borders(tap, rig, keys):
    """Who may not do what where."""
    gw, acme, globex = rig.gateway("acme"), rig.private("acme"), rig.private("globex")
    a, url = keys[0]["KeyId"], rig.instance("acme")["url"]
    blob = acme.encrypt(KeyId=a, Plaintext=b"mine")["CiphertextBlob"]

    for text, call in (
            ("Encrypt", lambda: gw.encrypt(KeyId=a, Plaintext=b"x")),
            ("Decrypt", lambda: gw.decrypt(CiphertextBlob=blob)),
            ("ReEncrypt", lambda: gw.re_encrypt(CiphertextBlob=blob, DestinationKeyId=keys[1]["KeyId"])),
            ("GenerateDataKey", lambda: gw.generate_data_key(KeyId=a, KeySpec="AES_256")),
            ("GenerateDataKeyWithoutPlaintext",
             lambda: gw.generate_data_key_without_plaintext(KeyId=a, KeySpec="AES_256"))):
        tap.refused(f"{text} of acme's key at the gateway names the private endpoint", "AccessDeniedException",
                    call, says=(text, "acme", url))
    tap.refused("CreateKey at acme's endpoint names the gateway", "AccessDeniedException",
                lambda: acme.create_key(), says="gateway")
    for text, cred, where in (
            ("globex's credential at acme's endpoint", rig.instance("globex"), url),
            ("acme's account credential at acme's endpoint", rig.account("acme"), url),
            ("acme's instance credential at the gateway", rig.instance("acme"), rig.gateway_url)):
        client = rig.client(where, cred)
        for op, kw in (("encrypt", {"KeyId": a, "Plaintext": b"x"}), ("describe_key", {"KeyId": a})):
            tap.refused(f"{text}: {op}", "UnrecognizedClientException", lambda c=client, op=op, kw=kw: getattr(c, op)(**kw))
    for who in ("globex", "initech"):
        other = rig.gateway(who)
        tap.refused(f"{who} makes a key in key store acme", "CustomKeyStoreNotFoundException",
                    lambda c=other: c.create_key(CustomKeyStoreId="acme"))
        for name in (a, keys[0]["Arn"]):
            tap.refused(f"{who} describes acme's key as {name[:8]}...", "NotFoundException",
                        lambda c=other, n=name: c.describe_key(KeyId=n))
        tap.refused(f"{who} encrypts with acme's key at the gateway", "NotFoundException",
                    lambda c=other: c.encrypt(KeyId=a, Plaintext=b"x"))
        with tap.case(f"{who}'s ListKeys does not have acme's key"):
            assert a not in all_keys(other)
    tap.refused("acme makes a key in a key store that is not there", "CustomKeyStoreNotFoundException",
                lambda: gw.create_key(CustomKeyStoreId="nowhere"))
    tap.refused("globex's instance is asked for acme's key", "NotFoundException",
                lambda: globex.encrypt(KeyId=a, Plaintext=b"x"))
    tap.refused("globex's instance is given acme's ciphertext",
                ("NotFoundException", "InvalidCiphertextException", "AccessDeniedException"),
                lambda: globex.decrypt(CiphertextBlob=blob))


class Place:
    """An endpoint, a credential that it takes, and a request that it answers with 200."""

    def __init__(self, rig, text, url, cred, key):
        self.rig, self.text, self.url, self.cred = rig, text, url, cred
        self.key = key
        self.describe = json.dumps({"KeyId": key}).encode()

    def wire(self, **kw):
        return Wire(self.url, self.rig.ca, **kw)

    def headers(self, op, body, cred=None, region=None, **kw):
        return signed_headers(self.url, cred or self.cred, region or self.rig.region, op, body, **kw)

    def request(self, op, body, **kw):
        return http_bytes(self.headers(op, body, **kw), body)

    def good(self):
        return self.request("DescribeKey", self.describe)

    def check_alive(self, wire):
        wire.send(self.good())
        status, _, body = wire.reply()
        assert status == 200 and json.loads(body)["KeyMetadata"]["KeyId"] == self.key, (status, body)


def wire_refusals(tap, place):
    """Bad requests in good HTTP: the error SDKs expect, on a connection that then serves on."""
    body = place.describe
    base = place.headers("DescribeKey", body)
    auth = base["Authorization"]
    big = json.dumps({"KeyId": place.key, "Plaintext": b64(bytes(20000))}).encode()

    def change(**kw):
        headers = dict(base)
        for name, value in kw.items():
            name = name.replace("_", "-")
            if value is None:
                headers.pop(name)
            else:
                headers[name] = value
        return http_bytes(headers, body)

    def raw(op, data):
        data = data if isinstance(data, bytes) else json.dumps(data).encode()
        return place.request(op, data)

    stranger = {"access_key_id": "AKIAAAAAAAAAAAAAAAAA", "secret_access_key": "x" * 40}
    wrong = dict(place.cred, secret_access_key="x" * 40)
    cases = (
        ("unsigned", "MissingAuthenticationTokenException", change(Authorization=None), ""),
        ("signed with the wrong secret", "InvalidSignatureException",
         place.request("DescribeKey", body, cred=wrong), ""),
        ("with an unknown access key", "UnrecognizedClientException",
         place.request("DescribeKey", body, cred=stranger), ""),
        ("with a signature altered", "InvalidSignatureException",
         change(Authorization=auth[:-1] + ("0" if auth[-1] != "0" else "1")), ""),
        ("with its body altered", "InvalidSignatureException", http_bytes(base, body[:-2] + b" }"), ""),
        ("with its target altered", "InvalidSignatureException", change(X_Amz_Target="TrentService.ListKeys"), ""),
        ("signed 6 minutes ago", "InvalidSignatureException",
         place.request("DescribeKey", body, shift=-360), "expired"),
        ("signed 6 minutes ahead", "InvalidSignatureException", place.request("DescribeKey", body, shift=360), ""),
        ("signed for another region", "InvalidSignatureException",
         place.request("DescribeKey", body, region="us-east-1"), ""),
        ("signed for another service", "InvalidSignatureException",
         place.request("DescribeKey", body, service="s3"), ""),
        ("with half an Authorization", "IncompleteSignatureException", change(Authorization=auth.split(",")[0]), ""),
        ("with another scheme", ("IncompleteSignatureException", "MissingAuthenticationTokenException"),
         change(Authorization="Basic YTpi"), ""),
        ("without a date", "IncompleteSignatureException", change(X_Amz_Date=None), ""),
        ("with JSON cut short", "SerializationException", raw("DescribeKey", b'{"KeyId": "'), ""),
        ("with bytes after its JSON", "SerializationException", raw("DescribeKey", b'{"KeyId": "x"}]'), ""),
        ("with JSON that is no object", "SerializationException", raw("DescribeKey", b'["KeyId"]'), ""),
        ("with a number for KeyId", "SerializationException", raw("DescribeKey", {"KeyId": 7}), ""),
        ("with a list as context", "SerializationException",
         raw("Encrypt", {"KeyId": place.key, "Plaintext": "eA==", "EncryptionContext": ["a"]}), ""),
        ("with broken base64", ("SerializationException", "ValidationException"),
         raw("Encrypt", {"KeyId": place.key, "Plaintext": "%%%"}), ""),
        ("with invalid UTF-8", "SerializationException", raw("DescribeKey", b'{"KeyId": "\xff\xfe"}'), ""),
        ("nested 10,000 deep", "SerializationException", raw("DescribeKey", b"[" * 10000), ""),
        ("for an operation that is not there", "UnknownOperationException", raw("MeltKey", {}), ""),
        ("for another service's operation", "UnknownOperationException",
         place.request("DynamoDB_20120810.PutItem", b"{}"), ""),
        ("for an oversize plaintext", ("ValidationException", "AccessDeniedException"), raw("Encrypt", big), ""),
    )
    with place.wire() as wire:
        for text, names, data, says in cases:
            names = (names,) if isinstance(names, str) else names
            with tap.case(f"{place.text}: a request {text}: {names[0]}, and the connection serves on"):
                try:
                    wire.send(data)
                    status, headers, reply = wire.reply()
                    assert status == 400 and error_of(reply) in names, (status, reply)
                    message = json.loads(reply)["message"]
                    assert message and says in message, reply
                    assert headers["content-type"] == "application/x-amz-json-1.1", headers
                    uuid.UUID(headers["x-amzn-requestid"])
                    place.check_alive(wire)
                except Exception:
                    wire.__init__(place.url, place.rig.ca)
                    raise


def wire_http(tap, place):
    """HTTP itself."""
    good = place.good()
    head, _, body = good.partition(b"\r\n\r\n")

    for text, data, want in (
            ("bytes that are no HTTP", b"\x00\x01\x02\x03hello\r\n\r\n", 400),
            ("a bare LF", good.replace(b"\r\n", b"\n"), 400),
            ("a folded header", head + b"\r\nX-Fold: a\r\n b\r\n\r\n" + body, 400),
            ("a space before a colon", head + b"\r\nX-Space : a\r\n\r\n" + body, 400),
            ("two Content-Lengths", head + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body, 400),
            ("two Hosts", head + b"\r\nHost: elsewhere\r\n\r\n" + body, 400),
            ("no Host", re.sub(rb"Host: [^\r]*\r\n", b"", good), 400),
            ("a negative Content-Length", re.sub(rb"Content-Length: \d+", b"Content-Length: -1", good), 400),
            ("a Content-Length that is no number", re.sub(rb"Content-Length: \d+", b"Content-Length: 4x", good), 400),
            ("a control character in a header", head + b"\r\nX-Bell: \x07\r\n\r\n" + body, 400),
            ("Transfer-Encoding", re.sub(rb"Content-Length: \d+", b"Transfer-Encoding: chunked", good), 501),
            ("HTTP/2.0 on the request line", good.replace(b"HTTP/1.1", b"HTTP/2.0"), 505),
            ("headers of 20 KiB", head + b"\r\nX-Big: " + b"a" * 20000 + b"\r\n\r\n" + body, 431),
            (f"a body of {MAX_BODY + 1} bytes", place.request("DescribeKey", b" " * (MAX_BODY + 1)), 413),
            ("a body announced as 1 TiB", re.sub(rb"Content-Length: \d+", b"Content-Length: 1099511627776", good), 413)):
        with tap.case(f"{place.text}: {text}: {want}, and closed"):
            with place.wire() as wire:
                try:
                    wire.send(data)
                except (BrokenPipeError, ConnectionResetError):
                    pass
                status, headers, reply = wire.reply()
                assert status == want, (status, reply)
                assert headers.get("connection", "").lower() == "close", headers
                assert wire.closed(), "still open"
    with tap.case(f"{place.text}: a body of {MAX_BODY} bytes is taken"):
        with place.wire() as wire:
            wire.send(place.request("DescribeKey", place.describe.ljust(MAX_BODY)))
            assert wire.reply()[0] == 200
            place.check_alive(wire)
    with tap.case(f"{place.text}: 20 signed requests pipelined, answered in order"):
        with place.wire() as wire:
            sent = []
            for i in range(20):
                known = i % 3 != 0
                sent.append((known, {"KeyId": place.key if known else str(uuid.UUID(int=i))}))
            wire.send(b"".join(place.request("DescribeKey", json.dumps(b).encode()) for _, b in sent))
            ids = set()
            for known, request in sent:
                status, headers, reply = wire.reply()
                ids.add(headers["x-amzn-requestid"])
                if known:
                    assert status == 200 and json.loads(reply)["KeyMetadata"]["KeyId"] == place.key, (status, reply)
                else:
                    assert status == 400 and error_of(reply) == "NotFoundException", (status, reply)
            assert len(ids) == len(sent), "a request id twice"
            place.check_alive(wire)
    with tap.case(f"{place.text}: a request in single bytes"):
        with place.wire() as wire:
            for i in range(len(good)):
                wire.send(good[i:i + 1])
            assert wire.reply()[0] == 200
            place.check_alive(wire)
    with tap.case(f"{place.text}: Connection: close is honoured"):
        with place.wire() as wire:
            wire.send(head + b"\r\nConnection: close\r\n\r\n" + body)
            status, headers, _ = wire.reply()
            assert status == 200 and headers["connection"].lower() == "close" and wire.closed(), headers
    with tap.case(f"{place.text}: Expect: 100-continue"):
        with place.wire() as wire:
            wire.send(head + b"\r\nExpect: 100-continue\r\n\r\n")
            assert wire.reply()[0] == 100
            wire.send(body)
            assert wire.reply()[0] == 200
            place.check_alive(wire)
    with tap.case(f"{place.text}: GET is refused with an answer"):
        with place.wire() as wire:
            wire.send(http_bytes({"Host": "localhost"}, b"", "GET", "/index.html"))
            assert 400 <= wire.reply()[0] < 500
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with tap.case(f"{place.text}: {version.name}"):
            with place.wire(version=version) as wire:
                place.check_alive(wire)
    with tap.case(f"{place.text}: TLS 1.1 is refused"):
        try:
            with place.wire(version=ssl.TLSVersion.TLSv1_1):
                raise AssertionError("taken")
        except (ssl.SSLError, ConnectionResetError, ValueError):
            pass
    with tap.case(f"{place.text}: a connection without TLS does no harm"):
        with place.wire() as wire:
            plain = socket.create_connection(wire.sock.getpeername()[:2], 10)
            plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            plain.close()
            place.check_alive(wire)


def main():
    rig, tap = Rig(sys.argv[1]), Tap()

    keys = story_keys(tap, rig)
    acme = rig.private("acme")
    story_crypto(tap, acme, keys[0], keys[1], "acme's endpoint")
    story_wrong(tap, acme, keys[0], keys[1], "acme's endpoint")
    story_borders(tap, rig, keys)

    initech = rig.gateway("initech")
    shared = [create(initech, Description=f"shared {i}") for i in range(2)]
    with tap.case("initech's key lives in the shared KMS"):
        assert shared[0]["Origin"] == "AWS_KMS" and not shared[0].get("CustomKeyStoreId"), shared[0]
        assert {k["KeyId"] for k in shared} <= set(all_keys(initech))
    story_crypto(tap, initech, shared[0], shared[1], "initech through the gateway")
    story_wrong(tap, initech, shared[0], shared[1], "initech through the gateway")

    for place in (Place(rig, "gateway", rig.gateway_url, rig.account("acme"), keys[0]["KeyId"]),
                  Place(rig, "acme's endpoint", rig.instance("acme")["url"], rig.instance("acme"), keys[0]["KeyId"])):
        wire_refusals(tap, place)
        wire_http(tap, place)
    tap.done()


if __name__ == "__main__":
    try:
        main()
    except ClientError as e:
        print(f"Bail out! {e}")
        sys.exit(1)
