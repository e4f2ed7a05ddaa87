#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of acme's hsm-kms during 1,000 CreateKey: what was acknowledged is there.

    crash.py ENDPOINTS.JSON [KEYS]

Threads create keys at the gateway until KEYS are acknowledged.  In the middle
acme's KMS is killed, stays dead for two seconds, and is started again; the
threads note every answer and how long it took.
"""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import BotoCoreError, ClientError

from kit import Rig, Tap

THREADS = 8
DEAD_S = 2.0		# how long acme stays dead
AT_ONCE_S = 1.0		# an answer for a dead instance takes less
BOUND_S = 300		# for the whole creation


class Run:
    def __init__(self, rig, keys):
        self.rig, self.keys = rig, keys
        self.lock = threading.Lock()
        self.acked, self.errors, self.silent = [], [], []
        self.end = time.monotonic() + BOUND_S

    def worker(self):
        gw = self.rig.gateway("acme")
        while len(self.acked) < self.keys and time.monotonic() < self.end:
            t0 = time.monotonic()
            try:
                key = gw.create_key(CustomKeyStoreId="acme")["KeyMetadata"]["KeyId"]
                with self.lock:
                    self.acked.append(key)
                continue
            except ClientError as e:
                with self.lock:
                    self.errors.append((t0, time.monotonic() - t0, e.response["Error"]["Code"],
                                        e.response["ResponseMetadata"]["HTTPStatusCode"]))
            except BotoCoreError as e:
                with self.lock:
                    self.silent.append(f"after {time.monotonic() - t0:.1f} s: {e}")
            time.sleep(0.02)

    def wait_acked(self, n):
        while len(self.acked) < n and time.monotonic() < self.end:
            time.sleep(0.01)
        return len(self.acked) >= n


def check_keys(tap, rig, acked):
    """Every acknowledged key, at both places, by list, by name and by use."""
    acme, gw = rig.private("acme", connections=THREADS), rig.gateway("acme", connections=THREADS)

    for where, client in (("acme", acme), ("the gateway", gw)):
        with tap.case(f"ListKeys at {where} has all {len(acked)} acknowledged keys"):
            ids = {k["KeyId"] for page in client.get_paginator("list_keys").paginate() for k in page["Keys"]}
            assert acked <= ids, f"{len(acked - ids)} are lost: {sorted(acked - ids)[:5]}"

    def use(key):
        try:
            assert gw.describe_key(KeyId=key)["KeyMetadata"]["KeyId"] == key
            blob = acme.encrypt(KeyId=key, Plaintext=b"here")["CiphertextBlob"]
            assert acme.decrypt(CiphertextBlob=blob)["Plaintext"] == b"here"
        except (ClientError, BotoCoreError, AssertionError) as e:
            return f"{key}: {e}"
        return None

    with ThreadPoolExecutor(THREADS) as pool:
        bad = [b for b in pool.map(use, sorted(acked)) if b]
    tap.ok(not bad, "each of them is described, encrypts and decrypts", "\n".join(bad[:5]))


def main():
    rig, tap = Rig(sys.argv[1]), Tap()
    run = Run(rig, int(sys.argv[2]) if len(sys.argv) > 2 else 1000)
    pid = rig.pid("hsm-kms-acme")
    threads = [threading.Thread(target=run.worker, daemon=True) for _ in range(THREADS)]

    for t in threads:
        t.start()
    tap.ok(run.wait_acked(run.keys * 3 // 10), f"{THREADS} threads create keys", f"{run.errors[:3]} {run.silent[:3]}")
    rig.inside("kill", "-9", str(pid))
    dead, before = time.monotonic(), len(run.acked)
    time.sleep(DEAD_S)
    until = time.monotonic()
    with tap.case("./rig restart acme"):
        rig.restart("acme")
    up = time.monotonic()
    tap.ok(run.wait_acked(run.keys), f"{run.keys} are acknowledged in the end",
           f"{len(run.acked)} in {BOUND_S} s; last: {run.errors[-1:]} {run.silent[-1:]}")
    for t in threads:
        t.join(60)

    tap.note(f"acknowledged {len(run.acked)}, {before} of them before the kill; refused {len(run.errors)}; "
             f"back {up - dead:.1f} s after the kill")
    tap.ok(not run.silent, "every request got an answer", "\n".join(run.silent[:5]))
    late = [e for e in run.errors if e[0] > up + 1]
    tap.ok(not late, "no errors once acme is back", str(late[:5]))
    during = [e for e in run.errors if dead <= e[0] < until]
    tap.ok(during, "the gateway answers while acme is dead")
    slow = [e for e in run.errors if e[1] >= AT_ONCE_S]
    tap.ok(not slow, f"each error within {AT_ONCE_S:.0f} s (slowest {max([e[1] for e in run.errors] or [0]):.3f} s)",
           str(slow[:5]))
    other = [e for e in run.errors if e[3] != 503]
    tap.ok(not other, "each error is HTTP 503: " + ", ".join(sorted({e[2] for e in run.errors})), str(other[:5]))
    tap.ok(len(set(run.acked)) == len(run.acked), "no key id was given out twice")
    check_keys(tap, rig, set(run.acked))
    tap.done()


if __name__ == "__main__":
    main()
