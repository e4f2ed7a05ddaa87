#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Yesterday's ciphertext decrypts after everything was down.

    restart.py before|after ENDPOINTS.JSON [FILE]

`before` makes keys and ciphertexts and writes them to FILE (default: yesterday.json
beside endpoints.json); then the caller takes the rig down and up; `after`
decrypts them.
"""

import base64
import json
import sys

from kit import Rig, Tap

CTX = {"day": "yesterday"}


def homes(rig):
    """(name, client for management, client for crypto, CreateKey's arguments)"""
    for name in ("acme", "globex"):
        yield name, rig.gateway(name), rig.private(name), {"CustomKeyStoreId": name}
    yield "initech", rig.gateway("initech"), rig.gateway("initech"), {}


def before(tap, rig, path):
    kept = {}
    for name, gw, crypto, args in homes(rig):
        with tap.case(f"{name}: a key and three ciphertexts"):
            key = gw.create_key(**args)["KeyMetadata"]
            data = crypto.generate_data_key(KeyId=key["KeyId"], KeySpec="AES_256")
            plain = f"{name}'s secret".encode()
            pairs = [(plain, {}, crypto.encrypt(KeyId=key["KeyId"], Plaintext=plain)["CiphertextBlob"]),
                     (plain, CTX, crypto.encrypt(KeyId=key["KeyId"], Plaintext=plain,
                                                 EncryptionContext=CTX)["CiphertextBlob"]),
                     (data["Plaintext"], {}, data["CiphertextBlob"])]
            kept[name] = {"arn": key["Arn"], "id": key["KeyId"], "pairs": [
                [base64.b64encode(p).decode(), c, base64.b64encode(b).decode()] for p, c, b in pairs]}
    with open(path, "w", encoding="utf-8") as f:
        json.dump(kept, f)


def after(tap, rig, path):
    with open(path, encoding="utf-8") as f:
        kept = json.load(f)
    for name, gw, crypto, _ in homes(rig):
        with tap.case(f"{name}: the key is still described and listed"):
            was = kept[name]
            assert gw.describe_key(KeyId=was["id"])["KeyMetadata"]["Arn"] == was["arn"]
            ids = [k["KeyId"] for page in crypto.get_paginator("list_keys").paginate() for k in page["Keys"]]
            assert was["id"] in ids
        with tap.case(f"{name}: yesterday's ciphertexts decrypt"):
            for plain, ctx, blob in kept[name]["pairs"]:
                got = crypto.decrypt(CiphertextBlob=base64.b64decode(blob), EncryptionContext=ctx)
                assert got["Plaintext"] == base64.b64decode(plain) and got["KeyId"] == kept[name]["arn"]
        with tap.case(f"{name}: the key encrypts on"):
            blob = crypto.encrypt(KeyId=kept[name]["id"], Plaintext=b"today")["CiphertextBlob"]
            assert crypto.decrypt(CiphertextBlob=blob)["Plaintext"] == b"today"


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in ("before", "after"):
        sys.exit(__doc__)
    tap, rig = Tap(), Rig(sys.argv[2])
    path = sys.argv[3] if len(sys.argv) > 3 else rig.path.parent / "yesterday.json"
    {"before": before, "after": after}[sys.argv[1]](tap, rig, path)
    tap.done()


if __name__ == "__main__":
    main()
