# SPDX-License-Identifier: Apache-2.0
"""A full disk: CreateKey fails cleanly, nothing is half-written, and space makes it work again.

    fulldisk.py FOLDER		(started by fulldisk.sh; FOLDER/tiny is a tiny file system)
"""

import os
import pathlib
import sqlite3
import sys
import time

from botocore.exceptions import BotoCoreError, ClientError

from kit import Rig, Tap
from stack import Stack


def fill(path, leave):
    """Takes all space of path's file system but `leave` bytes."""
    with open(path, "wb", buffering=0) as f:
        try:
            while True:
                f.write(bytes(4096))
        except OSError:
            pass
        f.truncate(max(0, f.tell() - leave) // 4096 * 4096)


def create_until_full(client, most=4000, **args):
    """(ids made, refusals) until ten refusals came in a row."""
    made, refusals, row = [], [], 0
    while row < 10 and len(made) < most:
        t0 = time.monotonic()
        try:
            made.append(client.create_key(**args)["KeyMetadata"]["KeyId"])
            row = 0
        except (ClientError, BotoCoreError) as e:
            refusals.append((e, time.monotonic() - t0))
            row += 1
    return made, refusals


def listed(client):
    return {k["KeyId"] for page in client.get_paginator("list_keys").paginate() for k in page["Keys"]}


def check_listed(tap, client, made, text):
    with tap.case(f"{text}: exactly the {len(made)} acknowledged keys are listed"):
        ids = listed(client)
        assert ids == set(made), f"lost {len(set(made) - ids)}, unknown {len(ids - set(made))}"


def check_all(tap, client, made, text):
    check_listed(tap, client, made, text)
    with tap.case(f"{text}: old keys encrypt and decrypt"):
        for key in made[:3] + made[-3:]:
            blob = client.encrypt(KeyId=key, Plaintext=b"still")["CiphertextBlob"]
            assert client.decrypt(CiphertextBlob=blob)["Plaintext"] == b"still"


def shared(tap, stack, tiny, filler):
    """The shared KMS's disk: its own keys."""
    stack.start_kms("shared", "shared", store=tiny / "store")
    stack.start_gateway()
    stack.add_account("initech")
    client = Rig(stack.write_endpoints()).gateway("initech")
    made = [client.create_key()["KeyMetadata"]["KeyId"] for _ in range(5)]

    fill(filler, 65536)
    more, refusals = create_until_full(client)
    made += more
    tap.note(f"{len(more)} keys more until the disk was full; df: {os.statvfs(tiny).f_bavail} blocks left")
    tap.ok(refusals, "CreateKey fails when the disk is full")
    with tap.case("each failure is LimitExceededException, in time"):
        for e, took in refusals:
            assert isinstance(e, ClientError), repr(e)
            assert e.response["Error"]["Code"] == "LimitExceededException", e
            assert took < 5, took
        tap.note(refusals[-1][0])
    tap.ok(stack.procs["shared"].poll() is None, "the daemon lives", stack.log("shared"))
    check_all(tap, client, made, "full disk")

    filler.unlink()
    with tap.case("with space again CreateKey works"):
        made.append(client.create_key()["KeyMetadata"]["KeyId"])
    check_all(tap, client, made, "with space again")

    fill(filler, 0)
    more, refusals = create_until_full(client)
    made += more
    tap.ok(refusals, "CreateKey fails again")
    tap.ok(stack.stop("shared") == 0, "the daemon stops cleanly on a full disk", stack.log("shared"))
    filler.unlink()
    stack.start_kms("shared", "shared", store=tiny / "store")
    check_all(tap, client, made, "after a restart")
    stack.stop("shared")
    for path in sorted((tiny / "store").iterdir()):
        if path.is_file() and path.read_bytes()[:15] == b"SQLite format 3":
            with tap.case(f"integrity_check of {path.name}"):
                assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def dedicated(tap, stack, tiny, filler):
    """An instance's disk: a key that could not be made is not in the shared KMS's directory either."""
    stack.start_kms("shared", "shared")
    stack.start_kms("acme", "dedicated", store=tiny / "acme", listen=True)
    stack.start_gateway()
    stack.add_instance("acme", stack.add_account("acme"))
    rig = Rig(stack.write_endpoints())
    gateway, acme = rig.gateway("acme"), rig.private("acme")
    made = [gateway.create_key(CustomKeyStoreId="acme")["KeyMetadata"]["KeyId"] for _ in range(5)]

    fill(filler, 65536)
    more, refusals = create_until_full(gateway, CustomKeyStoreId="acme")
    made += more
    tap.ok(refusals, "CreateKey fails when the instance's disk is full")
    check_listed(tap, gateway, made, "full disk of an instance, at the gateway")
    check_all(tap, acme, made, "full disk of an instance, at its endpoint")
    filler.unlink()
    with tap.case("with space again CreateKey on the instance works"):
        made.append(gateway.create_key(CustomKeyStoreId="acme")["KeyMetadata"]["KeyId"])
    check_listed(tap, gateway, made, "with space again, at the gateway")


def on_stack(part, tap, folder):
    stack = Stack(folder / part.__name__)
    try:
        part(tap, stack, folder / "tiny", folder / "tiny" / "filler")
    except Exception as e:
        tap.ok(False, f"the test itself: {e!r}", "\n".join(stack.log(n)[-2000:] for n in stack.procs))
        raise
    finally:
        stack.stop_all()


def main():
    tap, folder = Tap(), pathlib.Path(sys.argv[1])
    on_stack(shared, tap, folder)
    on_stack(dedicated, tap, folder)
    tap.done()


if __name__ == "__main__":
    main()
